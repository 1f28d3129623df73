/* A drawn scene with faces on known paths, and a detector that finds them as the script says. The
 * pixels are a fixed texture, so that anything drawn over a face shows as changed pixels. */
#ifndef VEIL_TESTS_SCENE_H
#define VEIL_TESTS_SCENE_H

#include "random.h"
#include "veil.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SCENE_W     320
#define SCENE_H     180
#define SCENE_FPS   30
#define SCENE_FACES 8

typedef struct {
    float x, y, w, h;       /* at frame 0, upright px */
    float vx, vy;           /* px a frame */
    int from, to;           /* frames in which it is there; to 0: until the end */
    int seen_from, seen_to; /* frames in which the detector finds it; to 0: until the end */
    int miss_from, miss_to; /* frames in between in which it does not */
    float score, interview;
    int wrong; /* frame with the opposite class, 0: none */
} scene_face;

typedef struct {
    scene_face face[SCENE_FACES];
    int n;
    int fail_at; /* frame in which the detector fails; 0: none */
    int looked;  /* times the detector was called */
    int64_t start_ns;
} scene;

typedef struct {
    veil_frame frame;
    uint8_t *data, *before; /* I420 */
    size_t size;
    int index;
} scene_frame;

static inline int64_t scene_pts(int index) {
    return (int64_t)index * 1000000000 / SCENE_FPS;
}

static inline bool scene_there(const scene_face *f, int i) {
    return i >= f->from && (f->to == 0 || i < f->to);
}

static inline bool scene_seen(const scene_face *f, int i) {
    return scene_there(f, i) && i >= f->seen_from && (f->seen_to == 0 || i < f->seen_to) &&
           !(i >= f->miss_from && i < f->miss_to);
}

static inline veil_detection scene_box(const scene_face *f, int i) {
    float t = (float)i;
    bool wrong = f->wrong != 0 && i == f->wrong;
    return (veil_detection){f->x + f->vx * t,
                            f->y + f->vy * t,
                            f->w,
                            f->h,
                            f->score,
                            wrong ? 1 - f->interview : f->interview};
}

/* A vl_detector. */
static inline int scene_detect(void *user, const veil_frame *frame, veil_detection *out, size_t cap,
                               size_t *n) {
    scene *s = user;
    int i = (int)((frame->pts_ns - s->start_ns) * SCENE_FPS / 1000000000 +
                  ((frame->pts_ns - s->start_ns) * SCENE_FPS % 1000000000 > 500000000));
    s->looked++;
    *n = 0;
    if (s->fail_at != 0 && i == s->fail_at)
        return VEIL_E_INTERNAL;
    for (int k = 0; k < s->n; k++)
        if (scene_seen(&s->face[k], i) && *n < cap)
            out[(*n)++] = scene_box(&s->face[k], i);
    return VEIL_OK;
}

static inline scene_frame scene_frame_make(int index) {
    scene_frame f = {.size = SCENE_W * SCENE_H * 3 / 2, .index = index};
    f.data = malloc(f.size);
    f.before = malloc(f.size);
    if (f.data == NULL || f.before == NULL)
        abort();
    random_source r = random_from(99);
    for (int y = 0; y < SCENE_H; y++)
        for (int x = 0; x < SCENE_W; x++) {
            float v = 128 + 50 * sinf((float)x * 0.21f + (float)y * 0.08f) +
                      40 * sinf((float)y * 0.3f - (float)x * 0.05f);
            f.data[y * SCENE_W + x] = (uint8_t)((int)v + random_int(&r, -30, 30));
        }
    for (size_t i = SCENE_W * SCENE_H; i < f.size; i++)
        f.data[i] = (uint8_t)(128 + random_int(&r, -60, 60));
    memcpy(f.before, f.data, f.size);
    f.frame = (veil_frame){
        .plane = {f.data, f.data + SCENE_W * SCENE_H, f.data + SCENE_W * SCENE_H * 5 / 4},
        .stride = {SCENE_W, SCENE_W / 2, SCENE_W / 2},
        .width = SCENE_W,
        .height = SCENE_H,
        .format = VEIL_FORMAT_I420,
        .pts_ns = scene_pts(index)};
    return f;
}

static inline void scene_frame_free(scene_frame *f) {
    free(f->data);
    free(f->before);
    f->data = f->before = NULL;
}

/* Part of the luma pixels in the ellipse inside a box that are not as they were. */
static inline float scene_changed(const scene_frame *f, veil_detection b) {
    int all = 0, changed = 0;
    for (int y = 0; y < SCENE_H; y++) {
        for (int x = 0; x < SCENE_W; x++) {
            float dx = ((float)x + 0.5f - b.x - b.w / 2) / (b.w / 2);
            float dy = ((float)y + 0.5f - b.y - b.h / 2) / (b.h / 2);
            if (dx * dx + dy * dy > 1)
                continue;
            all++;
            changed += f->data[y * SCENE_W + x] != f->before[y * SCENE_W + x];
        }
    }
    return all > 0 ? (float)changed / (float)all : 1;
}

static inline bool scene_hidden(const scene_frame *f, const scene_face *face) {
    return scene_changed(f, scene_box(face, f->index)) > 0.85f;
}

static inline bool scene_visible(const scene_frame *f, const scene_face *face) {
    return scene_changed(f, scene_box(face, f->index)) < 0.02f;
}

/* One flat picture, nothing of the scene left. */
static inline bool scene_is_covered(const scene_frame *f) {
    for (size_t i = 1; i < SCENE_W * SCENE_H; i++)
        if (f->data[i] != f->data[0])
            return false;
    for (size_t i = SCENE_W * SCENE_H + 1; i < f->size; i++)
        if (f->data[i] != f->data[SCENE_W * SCENE_H])
            return false;
    return true;
}

#endif
