/* A stream through a veil: sizes, formats, rotations, times, detections, settings and calls in any
 * order. Checked: frames come back in order and each once, a frame with a detection that is not
 * kept is changed at its centre, and a broken detector leaves only covered frames. */
#include "fuzz.h"
#include "veil_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const unsigned fuzz_rounds = 400;

#define HELD_MAX  12
#define STEPS_MAX 60
#define FACES_MAX 6

typedef struct {
    const uint8_t *p;
    size_t n;
} bytes;

static uint32_t take(bytes *b, uint32_t below) {
    uint32_t v = 0;
    for (int i = 0; i < 2 && b->n > 0; i++, b->p++, b->n--)
        v = (v << 8) | *b->p;
    return v % below;
}

typedef struct {
    veil_detection d[FACES_MAX];
    size_t n;
    bool broken; /* the detector fails or answers nonsense */
} script;

typedef struct {
    uint8_t *data, *before;
    size_t size;
    veil_frame frame;
    script faces;
} item;

static void check(bool ok) {
    if (!ok)
        abort();
}

static int detect(void *user, const veil_frame *f, veil_detection *out, size_t cap, size_t *n) {
    const script *s = user;
    (void)f;
    (void)cap;
    if (s->broken && s->n == 0)
        return VEIL_E_INTERNAL;
    memcpy(out, s->d, s->n * sizeof *out);
    *n = s->n;
    if (s->broken)
        out[0].w = NAN;
    return VEIL_OK;
}

static void script_faces(bytes *b, script *s, const veil_frame *f) {
    float w = (float)vl_frame_upright_width(f), h = (float)vl_frame_upright_height(f);
    s->n = take(b, FACES_MAX + 1);
    s->broken = take(b, 12) == 0;
    for (size_t i = 0; i < s->n; i++)
        s->d[i] = (veil_detection){.x = w * (float)take(b, 1000) / 800 - w / 8,
                                   .y = h * (float)take(b, 1000) / 800 - h / 8,
                                   .w = 1 + w * (float)take(b, 1000) / 2000,
                                   .h = 1 + h * (float)take(b, 1000) / 2000,
                                   .score = 0.36f + (float)take(b, 60) / 100,
                                   .interview = (float)take(b, 101) / 100};
}

/* I420, GRAY8 or BGRA of any size. */
static void make_item(bytes *b, item *it, int64_t pts_ns) {
    static const veil_format formats[] = {VEIL_FORMAT_I420, VEIL_FORMAT_GRAY8, VEIL_FORMAT_BGRA};
    veil_format format = formats[take(b, 3)];
    int32_t w = VEIL_SIZE_MIN + (int32_t)take(b, 120), h = VEIL_SIZE_MIN + (int32_t)take(b, 120);
    int32_t cw = (w + 1) / 2, ch = (h + 1) / 2;
    size_t luma = (size_t)w * (size_t)h, chroma = (size_t)cw * (size_t)ch;
    it->size = format == VEIL_FORMAT_BGRA    ? 4 * luma
               : format == VEIL_FORMAT_GRAY8 ? luma
                                             : luma + 2 * chroma;
    it->data = malloc(it->size);
    it->before = malloc(it->size);
    check(it->data != NULL && it->before != NULL);
    for (size_t i = 0; i < it->size; i++) /* no pixel keeps its value when it is averaged */
        it->data[i] = (uint8_t)((i * 2654435761u >> 7) & 1 ? 250 : 5);
    memcpy(it->before, it->data, it->size);
    it->frame = (veil_frame){.plane = {it->data, it->data + luma, it->data + luma + chroma},
                             .stride = {format == VEIL_FORMAT_BGRA ? 4 * w : w, cw, cw},
                             .width = w,
                             .height = h,
                             .format = format,
                             .rotation = (int32_t)take(b, 4) * 90,
                             .pts_ns = pts_ns};
}

static void free_item(item *it) {
    free(it->data);
    free(it->before);
    it->data = it->before = NULL;
}

static bool flat(const item *it) {
    if (it->frame.format == VEIL_FORMAT_BGRA) {
        for (size_t i = 4; i < it->size; i++) /* alpha, each fourth byte, is left alone */
            if (i % 4 != 3 && it->data[i] != it->data[i % 4])
                return false;
        return true;
    }
    size_t luma = (size_t)it->frame.width * (size_t)it->frame.height;
    for (size_t i = 1; i < luma; i++)
        if (it->data[i] != it->data[0])
            return false;
    return true;
}

/* The centre of each detected face inside the frame was drawn over, unless its track is kept. */
static void check_hidden(const item *it, veil *v, const veil_result *r) {
    if (r->covered) {
        check(flat(it));
        return;
    }
    check(!it->faces.broken);
    if (r->n_kept > 0 || !r->detected)
        return; /* who is who is the unit tests' */
    check(veil_tracks(v, NULL, 0) == (size_t)(r->n_hidden + r->n_kept));
    int32_t step = it->frame.format == VEIL_FORMAT_BGRA ? 4 : 1;
    for (size_t i = 0; i < it->faces.n; i++) {
        const veil_detection *d = &it->faces.d[i];
        vl_rect s = vl_frame_from_upright(&it->frame, (vl_rect){d->x, d->y, d->w, d->h});
        float x = s.x + s.w / 2, y = s.y + s.h / 2;
        if (!(x >= 0 && y >= 0 && x < (float)it->frame.width && y < (float)it->frame.height))
            continue;
        size_t at = (size_t)((ptrdiff_t)y * it->frame.stride[0]) + (size_t)x * (size_t)step;
        check(it->data[at] != it->before[at]);
    }
}

typedef struct {
    veil *v;
    script now; /* what the detector says */
    item held[HELD_MAX];
    size_t n;
} stream;

static void receive(stream *s) {
    veil_frame got;
    veil_result r;
    while (veil_receive(s->v, &got, &r) == VEIL_OK) {
        check(s->n > 0 && got.plane[0] == s->held[0].data && got.pts_ns == s->held[0].frame.pts_ns);
        check_hidden(&s->held[0], s->v, &r);
        free_item(&s->held[0]);
        memmove(s->held, s->held + 1, --s->n * sizeof *s->held);
    }
}

static void change_settings(bytes *b, stream *s) {
    veil_settings set;
    veil_settings_init(&set, sizeof set);
    set.keep = (veil_keep)take(b, 5);
    set.style = (veil_style)take(b, 3);
    set.shape = (veil_shape)take(b, 3);
    set.tracker = (veil_tracker)take(b, 3);
    set.detect_every = (int32_t)take(b, 4);
    set.hold_ns = (int64_t)take(b, 2000) * 1000000;
    (void)veil_set_settings(s->v, &set);
}

static void step(bytes *b, stream *s, int64_t *pts_ns) {
    uint32_t what = take(b, 16);
    if (what == 0)
        change_settings(b, s);
    else if (what == 1)
        (void)veil_set_decision(s->v, 1 + take(b, 20), (veil_decision)take(b, 2));
    else if (what == 2)
        (void)veil_cover(s->v, (int)take(b, 2));
    else if (what == 3)
        (void)veil_flush(s->v);
    else if (what == 4)
        (void)veil_reset(s->v);
    else if (s->n < HELD_MAX) {
        *pts_ns += (int64_t)take(b, 200) * 1000000 - 10000000;
        item it;
        make_item(b, &it, *pts_ns);
        script_faces(b, &it.faces, &it.frame);
        s->now = it.faces;
        veil_result r;
        if (what == 5 && veil_process(s->v, &it.frame, &r) != VEIL_E_STATE) {
            check_hidden(&it, s->v, &r);
            free_item(&it);
        } else if (veil_send(s->v, &it.frame) == VEIL_OK) {
            s->held[s->n++] = it;
        } else {
            free_item(&it);
        }
    }
    receive(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bytes b = {data, size};
    stream s = {.n = 0};
    veil_options o;
    veil_options_init(&o, sizeof o);
    o.threads = 1;
    o.max_held = 1 + (int32_t)take(&b, HELD_MAX - 1);
    o.lookahead_ns = (int64_t)take(&b, 600) * 1000000;
    check(vl_veil_create(&s.v, &o, detect, &s.now) == VEIL_OK);
    int64_t pts_ns = 0;
    for (int i = 0; i < STEPS_MAX && b.n > 0; i++)
        step(&b, &s, &pts_ns);
    (void)veil_flush(s.v);
    receive(&s);
    check(s.n == 0); /* each came back */
    veil_destroy(s.v);
    return 0;
}

uint8_t *fuzz_seed(size_t *size) {
    *size = 1400;
    uint8_t *seed = malloc(*size);
    for (size_t i = 0; seed != NULL && i < *size; i++)
        seed[i] = (uint8_t)(i * 2654435761u >> 11);
    return seed;
}
