/* Closed, never open: whatever fails, what comes out is covered or nothing. The stages fail by the
 * test hook, memory by mem.h's; the pixels are compared. */
#include "mem.h"
#include "scene.h"
#include "veil_priv.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bright.h"

#define MS 1000000LL

typedef struct {
    const char *stage;
    int from, to; /* calls of the stage that fail, counted from 0 */
    int count;
    int covers; /* events of the whole frame */
} saboteur;

static int fault(void *user, const char *stage) {
    saboteur *s = user;
    if (strcmp(stage, s->stage) != 0)
        return 0;
    int i = s->count++;
    return i >= s->from && i < s->to;
}

static void note(void *user, const veil_event *e) {
    saboteur *s = user;
    s->covers += e->track == 0 && e->decision == VEIL_HIDE && e->reason == VEIL_REASON_ERROR;
}

/* Nothing of the original is left: the frame is flat. */
static void assert_covered(const scene_frame *f) {
    assert_true(scene_is_covered(f));
}

static const scene_face bystander = {
    .x = 200, .y = 60, .w = 30, .h = 36, .vx = 0.5f, .score = 0.7f, .interview = 0.05f};

static void options(veil_options *o, saboteur *s) {
    veil_options_init(o, sizeof *o);
    o->fault = fault;
    o->on_event = note;
    o->user = s;
    o->threads = 1;
}

/* Each stage of a frame fails in frames 10 to 14: they are covered and say so; before and after,
 * the face is hidden as always. With and without look-ahead. */
static void stages_cover(void **state) {
    (void)state;
    const char *const stages[] = {"scale", "infer", "decode", "track", "redact", "alloc"};
    for (size_t k = 0; k < sizeof stages / sizeof stages[0]; k++) {
        /* "alloc" is also asked at creation and once for the first plan with a network */
        int first = strcmp(stages[k], "alloc") == 0 ? 11 : 10;
        saboteur bad = {.stage = stages[k], .from = first, .to = first + 5};
        scene s = {.face = {bystander}, .n = 1};
        veil_options o;
        veil *v;
        options(&o, &bad);
        assert_int_equal(vl_veil_create(&v, &o, scene_detect, &s), VEIL_OK);
        int covered = 0;
        for (int i = 0; i < 30; i++) {
            scene_frame f = scene_frame_make(i);
            veil_result r;
            int err = veil_process(v, &f.frame, &r);
            if (i >= 10 && i < 15) {
                assert_true(err < 0);
                assert_int_equal(r.covered, 1);
                assert_int_equal(r.reason, VEIL_REASON_ERROR);
                assert_int_equal(r.n_kept, 0);
                assert_covered(&f);
                covered++;
            } else {
                assert_int_equal(err, VEIL_OK);
                assert_int_equal(r.covered, 0);
                assert_true(scene_hidden(&f, &s.face[0]));
            }
            scene_frame_free(&f);
        }
        assert_int_equal(covered, 5);
        assert_int_equal(bad.covers, 1);
        veil_destroy(v);
    }
}

static void stages_cover_with_lookahead(void **state) {
    (void)state;
    const char *const stages[] = {"scale", "infer", "decode", "track", "redact", "alloc"};
    for (size_t k = 0; k < sizeof stages / sizeof stages[0]; k++) {
        int first = strcmp(stages[k], "alloc") == 0 ? 11 : 10;
        saboteur bad = {.stage = stages[k], .from = first, .to = first + 5};
        scene s = {.face = {bystander}, .n = 1};
        veil_options o;
        veil *v;
        options(&o, &bad);
        o.lookahead_ns = 250 * MS;
        assert_int_equal(vl_veil_create(&v, &o, scene_detect, &s), VEIL_OK);
        enum { N = 30 };
        scene_frame f[N];
        int next = 0;
        for (int i = 0; i < N; i++) {
            f[i] = scene_frame_make(i);
            assert_int_equal(veil_send(v, &f[i].frame), VEIL_OK);
            if (i == N - 1)
                veil_flush(v);
            veil_frame got;
            veil_result r;
            while (veil_receive(v, &got, &r) == VEIL_OK) {
                bool failed = next >= 10 && next < 15;
                assert_int_equal(r.covered, failed);
                if (failed)
                    assert_covered(&f[next]);
                else
                    assert_true(scene_hidden(&f[next], &s.face[0]));
                next++;
            }
        }
        assert_int_equal(next, N);
        veil_destroy(v);
        for (int i = 0; i < N; i++)
            scene_frame_free(&f[i]);
    }
}

/* The detector answers nonsense or too much. */
static int nonsense(void *user, const veil_frame *frame, veil_detection *out, size_t cap,
                    size_t *n) {
    int kind = *(int *)user;
    (void)frame;
    *n = 1;
    out[0] = (veil_detection){10, 10, 20, 20, 0.9f, 0.5f};
    if (kind == 0)
        out[0].x = NAN;
    if (kind == 1)
        out[0].h = -5;
    if (kind == 2)
        out[0].score = INFINITY;
    if (kind == 3)
        out[0].interview = 2;
    if (kind == 4)
        *n = cap + 1;
    for (size_t i = 0; kind == 5 && i < cap; i++)
        out[i] = (veil_detection){(float)i, 10, 20, 20, 0.9f, 0.5f};
    if (kind == 5)
        *n = cap; /* the list is full of sure faces: there may be more */
    return VEIL_OK;
}

static void nonsense_covers(void **state) {
    (void)state;
    for (int kind = 0; kind < 6; kind++) {
        veil *v;
        assert_int_equal(vl_veil_create(&v, NULL, nonsense, &kind), VEIL_OK);
        scene_frame f = scene_frame_make(0);
        veil_result r;
        assert_true(veil_process(v, &f.frame, &r) < 0);
        assert_int_equal(r.covered, 1);
        assert_covered(&f);
        scene_frame_free(&f);
        veil_destroy(v);
    }
}

/* Creation fails as a whole, without leaks (run under ASan), and says why. */
static void creation_fails_whole(void **state) {
    (void)state;
    const struct {
        const char *stage;
        int error;
    } cases[] = {{"alloc", VEIL_E_NOMEM}, {"model", VEIL_E_MODEL}, {"thread", VEIL_E_THREAD}};
    size_t size;
    uint8_t *bytes = bright_model("veil", 40, 2, &size);
    for (size_t k = 0; k < 3; k++) {
        saboteur bad = {.stage = cases[k].stage, .from = 0, .to = 1};
        veil_options o;
        options(&o, &bad);
        o.model = bytes;
        o.model_size = size;
        veil *v = (veil *)(void *)&o;
        assert_int_equal(veil_create(&v, &o), cases[k].error);
        assert_null(v);
    }
    saboteur none = {.stage = "none"};
    veil_options o;
    options(&o, &none);
    veil *v;
    o.model = bytes;
    o.model_size = size - 1; /* damaged */
    assert_int_equal(veil_create(&v, &o), VEIL_E_MODEL);
    o.model_size = size;
    o.lookahead_ns = -1;
    assert_int_equal(veil_create(&v, &o), VEIL_E_ARG);
    o.lookahead_ns = 0;
    o.input_width = 100;
    assert_int_equal(veil_create(&v, &o), VEIL_E_ARG);
    o.input_width = 0;
    o.settings.cells = 99;
    assert_int_equal(veil_create(&v, &o), VEIL_E_ARG);
    assert_int_equal(veil_create(NULL, NULL), VEIL_E_ARG);
    free(bytes);
}

static int allocations_left;

static int run_out(void) {
    return allocations_left-- <= 0;
}

/* The n-th allocation fails, for every n until all goes well: creation fails whole, or the frames
 * are covered or hidden, never open. */
static void every_allocation_may_fail(void **state) {
    (void)state;
    size_t size;
    uint8_t *bytes = bright_model("veil", 40, 2, &size);
    bool all_well = false;
    for (int n = 0; !all_well; n++) {
        assert_true(n < 500);
        veil_options o;
        veil_options_init(&o, sizeof o);
        o.model = bytes;
        o.model_size = size;
        o.threads = 1;
        scene_frame f[3];
        for (int i = 0; i < 3; i++) { /* a bright square that the network calls a face */
            f[i] = scene_frame_make(i);
            for (int y = 64; y < 104; y++)
                memset(f[i].data + y * SCENE_W + 96, 235, 40);
            for (int y = 32; y < 52; y++) {
                memset(f[i].data + SCENE_W * SCENE_H + y * SCENE_W / 2 + 48, 128, 20);
                memset(f[i].data + SCENE_W * SCENE_H * 5 / 4 + y * SCENE_W / 2 + 48, 128, 20);
            }
            memcpy(f[i].before, f[i].data, f[i].size);
        }
        allocations_left = n;
        vl_mem_fail = run_out;
        veil *v;
        int err = veil_create(&v, &o);
        if (err == VEIL_OK) {
            all_well = true;
            for (int i = 0; i < 3; i++) {
                veil_result r;
                err = veil_process(v, &f[i].frame, &r);
                all_well = all_well && err == VEIL_OK;
                assert_int_equal(r.covered, err != VEIL_OK);
                if (r.covered)
                    assert_covered(&f[i]);
                else
                    assert_true(r.n_hidden > 0 && memcmp(f[i].data, f[i].before, f[i].size) != 0);
            }
        } else {
            assert_null(v);
        }
        vl_mem_fail = NULL;
        veil_destroy(v);
        for (int i = 0; i < 3; i++)
            scene_frame_free(&f[i]);
    }
    free(bytes);
}

/* A network whose numbers overflow. */
static void broken_network_covers(void **state) {
    (void)state;
    size_t size;
    uint8_t *bytes = bright_model("veil", 3e38f, 2, &size);
    veil_options o;
    veil_options_init(&o, sizeof o);
    o.model = bytes;
    o.model_size = size;
    veil *v;
    assert_int_equal(veil_create(&v, &o), VEIL_OK);
    free(bytes); /* it was copied */
    scene_frame f = scene_frame_make(0);
    veil_result r;
    assert_int_equal(veil_process(v, &f.frame, &r), VEIL_E_INTERNAL);
    assert_covered(&f);
    scene_frame_free(&f);
    veil_destroy(v);
}

/* ------------------------------------------------------------------ setters beside the work */

typedef struct {
    veil *v;
    atomic_int stop;
    uint8_t image[16 * 16 * 4];
} other;

static void *meddle(void *user) {
    other *o = user;
    veil_settings s;
    veil_track t[8];
    for (unsigned i = 0; !atomic_load(&o->stop); i++) {
        veil_settings_init(&s, sizeof s);
        veil_zone z = {0.9f, 0.9f, 0.05f, 0.05f, VEIL_HIDE};
        s.zones = &z;
        s.n_zones = i % 2;
        s.detect_every = 1 + (int32_t)(i % 3);
        s.style = i % 5 == 0 ? VEIL_STYLE_IMAGE : VEIL_STYLE_MOSAIC;
        uint8_t *image = malloc(sizeof o->image);
        if (image == NULL)
            abort();
        memset(image, 77, sizeof o->image);
        s.image = image;
        s.image_width = s.image_height = 16;
        s.image_stride = 64;
        (void)veil_set_settings(o->v, &s);
        (void)veil_cover(o->v, i % 7 == 0);
        size_t n = veil_tracks(o->v, t, 8);
        for (size_t k = 0; k < n && k < 8; k++)
            (void)veil_set_decision(o->v, t[k].id, (veil_decision)(i % 2));
        veil_settings got = {.struct_size = sizeof got};
        (void)veil_get_settings(o->v, &got);
        s.style = VEIL_STYLE_BLUR;
        s.image = NULL;
        (void)veil_set_settings(o->v, &s);
        free(image); /* replaced: must not be in use any more */
    }
    return NULL;
}

/* Never KEEP, so the face must be hidden in every frame, whatever the other thread does. */
static void setters_beside_processing(void **state) {
    (void)state;
    scene s = {.face = {bystander}, .n = 1};
    veil_options o;
    other beside = {.v = NULL};
    veil_options_init(&o, sizeof o);
    o.lookahead_ns = 100 * MS;
    assert_int_equal(vl_veil_create(&beside.v, &o, scene_detect, &s), VEIL_OK);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, meddle, &beside), 0);
    enum { N = 150 };
    static scene_frame f[N];
    int next = 0;
    for (int i = 0; i < N; i++) {
        f[i] = scene_frame_make(i);
        assert_int_equal(veil_send(beside.v, &f[i].frame), VEIL_OK);
        if (i == N - 1)
            veil_flush(beside.v);
        veil_frame got;
        veil_result r;
        while (veil_receive(beside.v, &got, &r) == VEIL_OK) {
            if (r.covered)
                assert_covered(&f[next]);
            else
                assert_true(scene_changed(&f[next], scene_box(&s.face[0], next)) > 0.6f);
            scene_frame_free(&f[next++]);
        }
    }
    assert_int_equal(next, N);
    atomic_store(&beside.stop, 1);
    pthread_join(thread, NULL);
    veil_destroy(beside.v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_cover),
        cmocka_unit_test(stages_cover_with_lookahead),
        cmocka_unit_test(nonsense_covers),
        cmocka_unit_test(creation_fails_whole),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(broken_network_covers),
        cmocka_unit_test(setters_beside_processing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
