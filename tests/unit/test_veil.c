/* The whole way of a frame through a veil, with a scripted detector in place of the network. */
#include "mem.h"
#include "scene.h"
#include "veil_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS 1000000LL

static const scene_face speaker = {
    .x = 120, .y = 50, .w = 50, .h = 60, .score = 0.9f, .interview = 0.95f};
static const scene_face bystander = {
    .x = 230, .y = 60, .w = 24, .h = 30, .score = 0.7f, .interview = 0.05f};

static veil *make(scene *s, int64_t lookahead_ns, void (*on_event)(void *, const veil_event *),
                  void *user) {
    veil_options o;
    veil *v;
    veil_options_init(&o, sizeof o);
    o.lookahead_ns = lookahead_ns;
    o.on_event = on_event;
    o.user = user;
    o.threads = 1;
    assert_int_equal(vl_veil_create(&v, &o, scene_detect, s), VEIL_OK);
    return v;
}

static scene_frame process(veil *v, int index, veil_result *r) {
    scene_frame f = scene_frame_make(index);
    assert_int_equal(veil_process(v, &f.frame, r), VEIL_OK);
    return f;
}

/* ------------------------------------------------------------------ without look-ahead */

static void hides_from_the_first_frame(void **state) {
    (void)state;
    scene s = {.face = {speaker, bystander}, .n = 2};
    veil *v = make(&s, 0, NULL, NULL);
    int first_visible = -1;
    for (int i = 0; i < 60; i++) {
        veil_result r;
        scene_frame f = process(v, i, &r);
        assert_int_equal(r.covered, 0);
        assert_int_equal(r.detected, 1);
        assert_int_equal(r.n_hidden + r.n_kept, 2);
        assert_true(scene_hidden(&f, &s.face[1]));
        if (first_visible < 0 && scene_visible(&f, &s.face[0]))
            first_visible = i;
        if (first_visible < 0)
            assert_true(scene_hidden(&f, &s.face[0]));
        else
            assert_true(scene_visible(&f, &s.face[0]));
        veil_detection corner = {2, 2, 60, 30, 0, 0}; /* nobody there: not touched */
        assert_true(scene_changed(&f, corner) == 0);
        scene_frame_free(&f);
    }
    assert_in_range(first_visible, 4, 15); /* earned, within half a second */
    veil_destroy(v);
}

static void unknown_is_hidden(void **state) {
    (void)state;
    scene s = {.face = {speaker, bystander}, .n = 2};
    s.face[0].interview = 0.5f;
    s.face[1].wrong = 20; /* one frame says interview: not enough */
    veil *v = make(&s, 0, NULL, NULL);
    for (int i = 0; i < 60; i++) {
        scene_frame f = process(v, i, NULL);
        assert_true(scene_hidden(&f, &s.face[0]));
        assert_true(scene_hidden(&f, &s.face[1]));
        scene_frame_free(&f);
    }
    veil_destroy(v);
}

static void holds_after_loss(void **state) {
    (void)state;
    scene s = {.face = {bystander}, .n = 1};
    s.face[0].vx = 0.7f;
    s.face[0].x = 100;
    s.face[0].miss_from = 20;
    s.face[0].miss_to = 35; /* half a second */
    veil *v = make(&s, 0, NULL, NULL);
    uint32_t id = 0;
    for (int i = 0; i < 60; i++) {
        scene_frame f = process(v, i, NULL);
        assert_true(scene_hidden(&f, &s.face[0]));
        veil_track t;
        assert_int_equal(veil_tracks(v, &t, 1), 1);
        assert_true(id == 0 || id == t.id); /* the same track before and after */
        id = t.id;
        assert_int_equal(t.age, i);
        assert_int_equal(t.lost, i >= 20 && i < 35 ? i - 19 : 0);
        assert_int_equal(t.decision, VEIL_HIDE);
        scene_frame_free(&f);
    }
    veil_destroy(v);
}

static void detects_every_third_frame(void **state) {
    (void)state;
    scene s = {.face = {bystander, speaker}, .n = 2};
    s.face[0].x = 310;
    s.face[0].vx = -2;
    veil *v = make(&s, 0, NULL, NULL);
    veil_settings set;
    veil_settings_init(&set, sizeof set);
    set.detect_every = 3;
    assert_int_equal(veil_set_settings(v, &set), VEIL_OK);
    int detected = 0;
    for (int i = 0; i < 60; i++) {
        veil_result r;
        scene_frame f = process(v, i, &r);
        detected += r.detected;
        if (i > 0) /* the velocity is known from the second look */
            assert_true(scene_changed(&f, scene_box(&s.face[0], i)) > (i < 6 ? 0.6f : 0.85f));
        if (i > 45)
            assert_true(scene_visible(&f, &s.face[1]));
        scene_frame_free(&f);
    }
    assert_int_equal(detected, 20);
    assert_int_equal(s.looked, 20);
    veil_destroy(v);
}

/* ------------------------------------------------------------------ look-ahead */

typedef struct {
    scene_frame f[400];
    veil_result r[400];
    int n;
} output;

/* Sends n frames and receives whatever is ready; checks that frames come back in order, once. */
static output *run(veil *v, int n) {
    output *o = calloc(1, sizeof *o);
    assert_non_null(o);
    scene_frame sent[400];
    int next = 0;
    for (int i = 0; i <= n; i++) {
        if (i < n) {
            sent[i] = scene_frame_make(i);
            sent[i].frame.opaque = &sent[i];
            assert_int_equal(veil_send(v, &sent[i].frame), VEIL_OK);
            assert_memory_equal(sent[i].data, sent[i].before, sent[i].size); /* not yet touched */
        } else {
            assert_int_equal(veil_flush(v), VEIL_OK);
        }
        veil_frame got;
        int err;
        while ((err = veil_receive(v, &got, &o->r[next])) == VEIL_OK) {
            assert_ptr_equal(got.opaque, &sent[next]);
            assert_true(got.pts_ns == scene_pts(next));
            o->f[next] = sent[next];
            next++;
        }
        assert_int_equal(err, VEIL_E_AGAIN);
    }
    assert_int_equal(next, n);
    o->n = n;
    return o;
}

static void output_free(output *o) {
    for (int i = 0; i < o->n; i++)
        scene_frame_free(&o->f[i]);
    free(o);
}

static void lookahead_shows_speaker_at_once(void **state) {
    (void)state;
    scene s = {.face = {speaker, bystander}, .n = 2};
    veil *v = make(&s, 300 * MS, NULL, NULL);
    output *o = run(v, 60);
    for (int i = 0; i < o->n; i++) {
        assert_true(scene_visible(&o->f[i], &s.face[0]));
        assert_true(scene_hidden(&o->f[i], &s.face[1]));
        assert_int_equal(o->r[i].n_kept, 1);
        assert_int_equal(o->r[i].n_hidden, 1);
    }
    output_free(o);
    veil_destroy(v);
}

/* A face walks in and the detector needs six frames to see it, twice loses it for a while and gives
 * up on it before it is gone. */
static void no_frame_is_exposed(void **state) {
    (void)state;
    scene s = {.face = {speaker, bystander, bystander}, .n = 3};
    s.face[1] = (scene_face){.x = 10,
                             .y = 20,
                             .w = 24,
                             .h = 30,
                             .vx = 3,
                             .vy = 0.5f,
                             .from = 10,
                             .to = 80,
                             .seen_from = 16,
                             .seen_to = 72,
                             .miss_from = 30,
                             .miss_to = 38,
                             .score = 0.6f,
                             .interview = 0.1f};
    s.face[2].miss_from = 50;
    s.face[2].miss_to = 56;
    veil *v = make(&s, 250 * MS, NULL, NULL);
    output *o = run(v, 110);
    for (int i = 0; i < o->n; i++) {
        for (int k = 1; k < 3; k++)
            if (scene_there(&s.face[k], i) && !scene_hidden(&o->f[i], &s.face[k]))
                fail_msg("face %d exposed in frame %d: %.2f", k, i,
                         (double)scene_changed(&o->f[i], scene_box(&s.face[k], i)));
        if (i > 15 && i < 21) /* before its mask touches the speaker */
            assert_true(scene_visible(&o->f[i], &s.face[0]));
    }
    output_free(o);
    veil_destroy(v);
}

/* The track was shown, then turns out to be background: nothing of the window is shown any more. */
static void lookahead_takes_back(void **state) {
    (void)state;
    scene s = {.face = {speaker}, .n = 1};
    veil *v = make(&s, 400 * MS, NULL, NULL);
    scene_frame f[60];
    int next = 0, last_visible = -1;
    for (int i = 0; i < 60; i++) {
        if (i == 30)
            s.face[0].interview = 0.03f;
        f[i] = scene_frame_make(i);
        assert_int_equal(veil_send(v, &f[i].frame), VEIL_OK);
        veil_frame got;
        while (veil_receive(v, &got, NULL) == VEIL_OK) {
            if (scene_visible(&f[next], &s.face[0]))
                last_visible = next;
            next++;
        }
    }
    assert_in_range(last_visible, 20, 29); /* never after the evidence changed */
    veil_destroy(v);
    for (int i = 0; i < 60; i++)
        scene_frame_free(&f[i]);
}

static void latency_is_exact(void **state) {
    (void)state;
    scene s = {.n = 0};
    veil *v = make(&s, 200 * MS, NULL, NULL);
    scene_frame f[40];
    int out = 0;
    for (int i = 0; i < 40; i++) {
        f[i] = scene_frame_make(i);
        assert_int_equal(veil_send(v, &f[i].frame), VEIL_OK);
        veil_frame got;
        while (veil_receive(v, &got, NULL) == VEIL_OK) {
            assert_true(scene_pts(i) - got.pts_ns >= 200 * MS);
            assert_true(scene_pts(i - 1) - got.pts_ns < 200 * MS); /* and no frame longer */
            out++;
        }
    }
    assert_int_equal(out, 34);
    veil_result r;
    assert_int_equal(veil_process(v, &f[0].frame, &r), VEIL_E_STATE);
    assert_int_equal(veil_reset(v), VEIL_E_STATE);
    veil_destroy(v); /* with frames held */
    for (int i = 0; i < 40; i++)
        scene_frame_free(&f[i]);
}

static void full_says_again(void **state) {
    (void)state;
    scene s = {.n = 0};
    veil_options o;
    veil *v;
    veil_options_init(&o, sizeof o);
    o.lookahead_ns = 5000 * MS;
    o.max_held = 4;
    assert_int_equal(vl_veil_create(&v, &o, scene_detect, &s), VEIL_OK);
    scene_frame f[5];
    veil_frame got;
    for (int i = 0; i < 5; i++) {
        f[i] = scene_frame_make(i);
        if (i < 4)
            assert_int_equal(veil_receive(v, &got, NULL), VEIL_E_AGAIN);
        assert_int_equal(veil_send(v, &f[i].frame), i < 4 ? VEIL_OK : VEIL_E_AGAIN);
    }
    assert_int_equal(veil_receive(v, &got, NULL), VEIL_OK);
    assert_true(got.pts_ns == 0);
    assert_int_equal(veil_send(v, &f[4].frame), VEIL_OK);
    veil_destroy(v);
    for (int i = 0; i < 5; i++)
        scene_frame_free(&f[i]);
}

/* A bystander walks behind the speaker and is not seen there: the speaker's face stays clear, the
 * bystander is hidden before and after. */
static void walks_behind_the_speaker(void **state) {
    (void)state;
    scene s = {.face = {speaker, bystander}, .n = 2};
    s.face[1].x = 40;
    s.face[1].vx = 2;
    s.face[1].miss_from = 36; /* x 112: the faces touch */
    s.face[1].miss_to = 66;   /* x 172 */
    veil *v = make(&s, 250 * MS, NULL, NULL);
    output *o = run(v, 100);
    for (int i = 0; i < o->n; i++) {
        if (i < 34 || i > 68)
            assert_true(scene_hidden(&o->f[i], &s.face[1]));
        veil_detection middle = {135, 65, 20, 30, 0, 0}; /* of the speaker's face */
        if (i > 46 && i < 56)
            assert_true(scene_changed(&o->f[i], middle) < 0.02f);
    }
    output_free(o);
    veil_destroy(v);
}

/* A bystander is found late at the corner of the speaker's box, beside the cheek: not behind him,
 * so it is hidden before it was found as well. */
static void comes_out_beside_the_cheek(void **state) {
    (void)state;
    scene s = {.face = {speaker, bystander}, .n = 2};
    s.face[1].x = 149; /* centre at 0.64 of the speaker's half width and height */
    s.face[1].y = 84;
    s.face[1].seen_from = 40;
    veil *v = make(&s, 500 * MS, NULL, NULL);
    output *o = run(v, 60);
    for (int i = 30; i < 60; i++)
        assert_true(scene_hidden(&o->f[i], &s.face[1]));
    output_free(o);
    veil_destroy(v);
}

/* A bystander beside the speaker is lost, and its mask grows: over the wall, not over the speaker's
 * face. Where the bystander was seen last stays hidden. */
static void growth_spares_the_speaker(void **state) {
    (void)state;
    scene s = {.face = {speaker, bystander}, .n = 2};
    s.face[1].x = 168; /* the speaker's ends at 170 */
    s.face[1].seen_to = 40;
    veil *v = make(&s, 250 * MS, NULL, NULL);
    output *o = run(v, 70);
    for (int i = 20; i < 62; i++) {
        veil_detection face = {121, 51, 48, 58, 0, 0}, wall = {193, 60, 8, 30, 0, 0};
        face.x += 5; /* its ellipse ends in a soft edge */
        face.y += 6;
        face.w -= 10;
        face.h -= 12;
        assert_true(scene_changed(&o->f[i], face) < 0.02f);
        assert_true(scene_hidden(&o->f[i], &s.face[1]));
        if (i > 55)
            assert_true(scene_changed(&o->f[i], wall) > 0.85f);
    }
    output_free(o);
    veil_destroy(v);
}

/* ------------------------------------------------------------------ the user's word */

typedef struct {
    veil_event e[64];
    int n;
} log_of_events;

static void note(void *user, const veil_event *e) {
    log_of_events *l = user;
    if (l->n < 64)
        l->e[l->n++] = *e;
}

static void user_decides(void **state) {
    (void)state;
    scene s = {.face = {speaker, bystander}, .n = 2};
    log_of_events log = {.n = 0};
    veil *v = make(&s, 0, note, &log);
    veil_track t[4];
    assert_int_equal(veil_set_decision(v, 1, VEIL_KEEP), VEIL_E_NOT_FOUND); /* nobody yet */
    for (int i = 0; i < 80; i++) {
        scene_frame f = process(v, i, NULL);
        assert_int_equal(veil_tracks(v, t, 4), 2);
        if (i == 30) { /* the roles are turned round */
            assert_true(scene_visible(&f, &s.face[0]));
            assert_int_equal(veil_set_decision(v, t[0].id, VEIL_HIDE), VEIL_OK);
            assert_int_equal(veil_set_decision(v, t[1].id, VEIL_KEEP), VEIL_OK);
        }
        if (i > 30 && i <= 50) {
            assert_true(scene_hidden(&f, &s.face[0]));
            assert_true(scene_visible(&f, &s.face[1]));
            assert_int_equal(t[0].reason, VEIL_REASON_USER);
            assert_int_equal(t[1].decision, VEIL_KEEP);
        }
        if (i == 50) {
            assert_int_equal(veil_set_decision(v, t[0].id, VEIL_AUTO), VEIL_OK);
            assert_int_equal(veil_set_decision(v, t[1].id, VEIL_AUTO), VEIL_OK);
        }
        if (i > 50) {
            assert_true(scene_hidden(&f, &s.face[1]));
        }
        scene_frame_free(&f);
    }
    assert_int_equal(veil_set_decision(v, 3, VEIL_KEEP), VEIL_E_NOT_FOUND);
    assert_int_equal(veil_set_decision(v, 1, (veil_decision)7), VEIL_E_ARG);
    /* speaker shown, then hidden by the user, bystander shown, hidden, speaker shown again */
    assert_int_equal(log.n, 5);
    assert_int_equal(log.e[0].decision, VEIL_KEEP);
    assert_int_equal(log.e[0].reason, VEIL_REASON_CLASS);
    assert_int_equal(log.e[1].decision, VEIL_HIDE);
    assert_int_equal(log.e[1].reason, VEIL_REASON_USER);
    assert_int_equal(log.e[2].decision, VEIL_KEEP);
    assert_int_equal(log.e[2].reason, VEIL_REASON_USER);
    assert_true(log.e[2].pts_ns == scene_pts(31));
    veil_destroy(v);
}

static void keep_none_and_zones(void **state) {
    (void)state;
    scene s = {.face = {speaker, bystander}, .n = 2};
    veil *v = make(&s, 0, NULL, NULL);
    veil_settings set;
    veil_settings_init(&set, sizeof set);
    veil_zone zones[2] = {{0.6f, 0, 0.4f, 1, VEIL_KEEP}, {0, 0, 0.1f, 0.2f, VEIL_HIDE}};
    for (int i = 0; i < 90; i++) {
        if (i == 30) {
            set.zones = zones;
            set.n_zones = 2;
            assert_int_equal(veil_set_settings(v, &set), VEIL_OK);
            memset(zones, 0, sizeof zones); /* they were copied */
        }
        if (i == 60) {
            set.n_zones = 0;
            set.zones = NULL;
            set.keep = VEIL_KEEP_NONE;
            assert_int_equal(veil_set_settings(v, &set), VEIL_OK);
        }
        scene_frame f = process(v, i, NULL);
        veil_detection corner = {4, 4, 24, 28, 0, 0};
        if (i >= 30 && i < 60) {
            assert_true(scene_visible(&f, &s.face[1]));
            assert_true(scene_changed(&f, corner) > 0.85f);
        } else {
            assert_true(scene_hidden(&f, &s.face[1]));
            assert_true(scene_changed(&f, corner) == 0);
        }
        if (i >= 60)
            assert_true(scene_hidden(&f, &s.face[0]));
        scene_frame_free(&f);
    }
    veil_destroy(v);
}

static void panic_covers(void **state) {
    (void)state;
    scene s = {.face = {speaker}, .n = 1};
    log_of_events log = {.n = 0};
    veil *v = make(&s, 0, note, &log);
    for (int i = 0; i < 40; i++) {
        if (i == 20)
            assert_int_equal(veil_cover(v, 1), VEIL_OK);
        if (i == 30)
            assert_int_equal(veil_cover(v, 0), VEIL_OK);
        veil_result r;
        scene_frame f = process(v, i, &r);
        bool on = i >= 20 && i < 30;
        assert_int_equal(r.covered, on);
        assert_int_equal(r.reason, on ? VEIL_REASON_PANIC : VEIL_REASON_NONE);
        assert_int_equal(scene_is_covered(&f), on);
        if (on)
            assert_int_equal(veil_tracks(v, NULL, 0), 0);
        scene_frame_free(&f);
    }
    assert_int_equal(log.n, 3); /* shown, covered, shown */
    assert_int_equal(log.e[1].track, 0);
    assert_int_equal(log.e[1].reason, VEIL_REASON_PANIC);
    veil_destroy(v);
}

static void largest_and_chosen(void **state) {
    (void)state;
    scene s = {.face = {speaker, bystander}, .n = 2};
    s.face[0].interview = 0.01f; /* the class does not matter to these rules */
    veil *v = make(&s, 0, NULL, NULL);
    veil_settings set;
    veil_settings_init(&set, sizeof set);
    set.keep = VEIL_KEEP_LARGEST;
    assert_int_equal(veil_set_settings(v, &set), VEIL_OK);
    for (int i = 0; i < 60; i++) {
        if (i == 40) {
            set.keep = VEIL_KEEP_CHOSEN;
            assert_int_equal(veil_set_settings(v, &set), VEIL_OK);
        }
        scene_frame f = process(v, i, NULL);
        assert_true(scene_hidden(&f, &s.face[1]));
        if (i < 5 || i >= 40)
            assert_true(scene_hidden(&f, &s.face[0]));
        if (i > 20 && i < 40)
            assert_true(scene_visible(&f, &s.face[0]));
        scene_frame_free(&f);
    }
    veil_destroy(v);
}

/* ------------------------------------------------------------------ changes of the stream */

static void time_jump_starts_anew(void **state) {
    (void)state;
    scene s = {.face = {speaker}, .n = 1};
    veil *v = make(&s, 0, NULL, NULL);
    veil_track t;
    for (int i = 0; i < 40; i++) {
        scene_frame f = process(v, i, NULL);
        scene_frame_free(&f);
    }
    assert_int_equal(veil_tracks(v, &t, 1), 1);
    uint32_t id = t.id;
    assert_int_equal(t.decision, VEIL_KEEP);
    for (int k = 0; k < 2; k++) { /* forward, then back */
        int i = k == 0 ? 100 : 50;
        scene_frame f = process(v, i, NULL);
        assert_true(scene_hidden(&f, &s.face[0])); /* unknown again */
        assert_int_equal(veil_tracks(v, &t, 1), 1);
        assert_true(t.id > id);
        id = t.id;
        scene_frame_free(&f);
    }
    assert_int_equal(veil_reset(v), VEIL_OK);
    assert_int_equal(veil_tracks(v, &t, 1), 0);
    veil_destroy(v);
}

static void scene_cut_starts_anew(void **state) {
    (void)state;
    scene s = {.face = {speaker}, .n = 1};
    veil *v = make(&s, 0, NULL, NULL);
    veil_track t;
    uint32_t id = 0;
    for (int i = 0; i < 60; i++) {
        scene_frame f = scene_frame_make(i);
        if (i >= 40) { /* another picture, the same box */
            for (int y = 0; y < SCENE_H; y++)
                for (int x = 0; x < SCENE_W; x++)
                    f.data[y * SCENE_W + x] =
                        (uint8_t)(90 + 40 * sinf((float)(x * x) * 0.004f) * sinf((float)y * 0.4f));
            memcpy(f.before, f.data, f.size);
        }
        assert_int_equal(veil_process(v, &f.frame, NULL), VEIL_OK);
        assert_int_equal(veil_tracks(v, &t, 1), 1);
        if (i == 39) {
            id = t.id;
            assert_int_equal(t.decision, VEIL_KEEP);
        }
        if (i == 40) {
            assert_true(t.id > id);
            assert_int_equal(t.decision, VEIL_HIDE);
        }
        scene_frame_free(&f);
    }
    veil_destroy(v);
}

/* Size and format change while frames are held: the old ones still come out right. */
static void geometry_changes_in_flight(void **state) {
    (void)state;
    scene s = {.face = {bystander}, .n = 1};
    s.face[0].x = 60;
    veil *v = make(&s, 300 * MS, NULL, NULL);
    enum { N = 30 };
    scene_frame f[N];
    uint8_t *small = calloc(160 * 90, 3), *copy = calloc(160 * 90, 3);
    int next = 0;
    for (int i = 0; i < N; i++) {
        f[i] = scene_frame_make(i);
        if (i >= 15) { /* half the size and RGB from here on */
            for (int k = 0; k < 160 * 90 * 3; k++)
                small[k] = copy[k] = (uint8_t)(k * 7919 >> 3);
            f[i].frame = (veil_frame){.plane = {small},
                                      .stride = {480},
                                      .width = 160,
                                      .height = 90,
                                      .format = VEIL_FORMAT_RGB24,
                                      .pts_ns = scene_pts(i)};
        }
        assert_int_equal(veil_send(v, &f[i].frame), VEIL_OK);
        if (i == N - 1)
            veil_flush(v);
        veil_frame got;
        veil_result r;
        while (veil_receive(v, &got, &r) == VEIL_OK) {
            assert_int_equal(r.covered, 0);
            assert_true(got.pts_ns == scene_pts(next));
            if (next < 15)
                assert_true(scene_hidden(&f[next], &s.face[0]));
            else
                assert_int_equal(r.n_hidden, 1);
            next++;
        }
    }
    assert_int_equal(next, N);
    assert_memory_not_equal(small, copy, 160 * 90 * 3);
    veil_destroy(v);
    for (int i = 0; i < N; i++)
        scene_frame_free(&f[i]);
    free(small);
    free(copy);
}

/* The detector's boxes are upright; masks land where the face is in the stored picture. */
static void rotation_is_followed(void **state) {
    (void)state;
    scene s = {.n = 1};
    s.face[0] = (scene_face){.x = 20, .y = 230, .w = 40, .h = 50, .score = 0.8f, .interview = 0.1f};
    veil *v = make(&s, 0, NULL, NULL);
    scene_frame f = scene_frame_make(0);
    f.frame.rotation = 90; /* stored 320x180, upright 180x320 */
    assert_int_equal(veil_process(v, &f.frame, NULL), VEIL_OK);
    veil_track t;
    assert_int_equal(veil_tracks(v, &t, 1), 1);
    vl_rect stored = vl_frame_from_upright(&f.frame, (vl_rect){20, 230, 40, 50});
    assert_true(fabsf(t.x - stored.x) < 0.01f && fabsf(t.w - 50) < 0.01f);
    veil_detection d = {stored.x, stored.y, stored.w, stored.h, 0, 0};
    assert_true(scene_changed(&f, d) > 0.85f);
    veil_detection wrong = {20, 230, 40, 50, 0, 0};
    wrong.y = 20;
    assert_true(scene_changed(&f, wrong) < 0.1f);
    scene_frame_free(&f);
    veil_destroy(v);
}

/* More faces than anybody could follow, side by side. */
static int crowd_detect(void *user, const veil_frame *f, veil_detection *out, size_t cap,
                        size_t *n) {
    (void)user;
    for (*n = 0; *n < cap; (*n)++)
        out[*n] = (veil_detection){.x = (float)(*n % 32) * (float)f->width / 32,
                                   .y = (float)(*n / 32) * (float)f->height / 32,
                                   .w = (float)f->width / 40,
                                   .h = (float)f->height / 40,
                                   .score = 0.9f};
    return VEIL_OK;
}

/* There may be more faces than fit the list, so nothing of the frame is shown. And it says so as a
 * failure: VEIL_E_SIZE would mean that the frame was not touched. */
static void too_many_faces_cover(void **state) {
    (void)state;
    veil_options o;
    veil *v;
    veil_options_init(&o, sizeof o);
    o.threads = 1;
    assert_int_equal(vl_veil_create(&v, &o, crowd_detect, NULL), VEIL_OK);
    scene_frame f = scene_frame_make(0);
    veil_result r;
    assert_int_equal(veil_process(v, &f.frame, &r), VEIL_E_INTERNAL);
    assert_int_equal(r.covered, 1);
    assert_int_equal(r.reason, VEIL_REASON_ERROR);
    assert_true(scene_is_covered(&f));
    scene_frame_free(&f);
    veil_destroy(v);
}

static void bad_frames_are_not_touched(void **state) {
    (void)state;
    scene s = {.n = 0};
    veil *v = make(&s, 0, NULL, NULL);
    scene_frame f = scene_frame_make(0);
    veil_frame bad = f.frame;
    bad.width = 8;
    assert_int_equal(veil_process(v, &bad, NULL), VEIL_E_SIZE);
    bad = f.frame;
    bad.format = (veil_format)99;
    assert_int_equal(veil_send(v, &bad), VEIL_E_FORMAT);
    bad = f.frame;
    bad.plane[1] = NULL;
    assert_int_equal(veil_process(v, &bad, NULL), VEIL_E_ARG);
    bad = f.frame;
    bad.rotation = 45;
    assert_int_equal(veil_process(v, &bad, NULL), VEIL_E_ARG);
    assert_int_equal(veil_process(NULL, &f.frame, NULL), VEIL_E_ARG);
    assert_int_equal(veil_process(v, NULL, NULL), VEIL_E_ARG);
    assert_memory_equal(f.data, f.before, f.size);
    assert_int_equal(veil_cover_frame(&f.frame), VEIL_OK);
    assert_true(scene_is_covered(&f));
    scene_frame_free(&f);
    veil_destroy(v);
    veil_destroy(NULL);
}

/* ------------------------------------------------------------------ drawing by itself */

static void redact_draws_what_it_is_told(void **state) {
    (void)state;
    scene s = {.n = 0};
    veil *v = make(&s, 0, NULL, NULL);
    scene_frame f = scene_frame_make(0);
    veil_track t[2] = {{.x = 40, .y = 40, .w = 30, .h = 40, .decision = VEIL_HIDE},
                       {.x = 200, .y = 40, .w = 30, .h = 40, .decision = VEIL_KEEP}};
    assert_int_equal(veil_redact(v, &f.frame, t, 2), VEIL_OK);
    assert_true(scene_changed(&f, (veil_detection){40, 40, 30, 40, 0, 0}) > 0.85f);
    assert_true(scene_changed(&f, (veil_detection){200, 40, 30, 40, 0, 0}) == 0);
    t[0].x = NAN; /* not a place: everything */
    assert_int_equal(veil_redact(v, &f.frame, t, 1), VEIL_OK);
    assert_true(scene_changed(&f, (veil_detection){200, 40, 30, 40, 0, 0}) > 0.85f);
    scene_frame_free(&f);
    veil_destroy(v);
}

/* ------------------------------------------------------------------ memory */

static int allocations;

static int count(void) {
    allocations++;
    return 0;
}

static void no_allocation_after_warm_up(void **state) {
    (void)state;
    scene s = {.face = {speaker, bystander}, .n = 2};
    veil *v = make(&s, 200 * MS, NULL, NULL);
    for (int i = 0; i < 100; i++) {
        if (i == 40) {
            allocations = 0;
            vl_mem_fail = count;
        }
        scene_frame f = scene_frame_make(i);
        assert_int_equal(veil_send(v, &f.frame), VEIL_OK);
        f.frame.opaque = f.data;
        veil_frame got;
        while (veil_receive(v, &got, NULL) == VEIL_OK) {
        }
        /* the frames leak in this test's view only until the end: keep them alive */
        static scene_frame alive[100];
        alive[i] = f;
        if (i == 99)
            for (int k = 0; k < 100; k++)
                if (k < 92)
                    scene_frame_free(&alive[k]);
        if (i == 99) {
            vl_mem_fail = NULL;
            assert_int_equal(allocations, 0);
            veil_destroy(v);
            for (int k = 92; k < 100; k++)
                scene_frame_free(&alive[k]);
        }
    }
}

static void texts(void **state) {
    (void)state;
    assert_string_equal(veil_strerror(VEIL_E_NOMEM), "out of memory");
    assert_string_equal(veil_strerror(1234), "unknown error");
    for (int r = -1; r <= VEIL_REASON_CUT + 1; r++)
        assert_non_null(veil_reason_text((veil_reason)r));
    assert_int_equal(veil_version(),
                     VEIL_VERSION_MAJOR << 16 | VEIL_VERSION_MINOR << 8 | VEIL_VERSION_PATCH);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hides_from_the_first_frame),
        cmocka_unit_test(unknown_is_hidden),
        cmocka_unit_test(holds_after_loss),
        cmocka_unit_test(detects_every_third_frame),
        cmocka_unit_test(lookahead_shows_speaker_at_once),
        cmocka_unit_test(no_frame_is_exposed),
        cmocka_unit_test(lookahead_takes_back),
        cmocka_unit_test(walks_behind_the_speaker),
        cmocka_unit_test(comes_out_beside_the_cheek),
        cmocka_unit_test(growth_spares_the_speaker),
        cmocka_unit_test(latency_is_exact),
        cmocka_unit_test(full_says_again),
        cmocka_unit_test(user_decides),
        cmocka_unit_test(keep_none_and_zones),
        cmocka_unit_test(panic_covers),
        cmocka_unit_test(largest_and_chosen),
        cmocka_unit_test(time_jump_starts_anew),
        cmocka_unit_test(scene_cut_starts_anew),
        cmocka_unit_test(geometry_changes_in_flight),
        cmocka_unit_test(rotation_is_followed),
        cmocka_unit_test(too_many_faces_cover),
        cmocka_unit_test(bad_frames_are_not_touched),
        cmocka_unit_test(redact_draws_what_it_is_told),
        cmocka_unit_test(no_allocation_after_warm_up),
        cmocka_unit_test(texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
