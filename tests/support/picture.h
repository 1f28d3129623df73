/* Frames of every format for tests: own memory, guard bytes between and around rows, any stride
 * sign, samples filled at random or smoothly. Include after cmocka.h. */
#ifndef VEIL_TESTS_PICTURE_H
#define VEIL_TESTS_PICTURE_H

#include "frame.h"
#include "random.h"

#include <stdlib.h>
#include <string.h>

#define PICTURE_PAD   37 /* guard bytes after each row; odd, but one more for 16-bit samples */
#define PICTURE_GUARD 0xA5

typedef struct {
    veil_frame frame;
    uint8_t *memory[3];
    size_t bytes[3];
} picture;

static inline int32_t picture_row_bytes(const picture *p, int plane) {
    const vl_frame_layout *l = vl_frame_layout_of(p->frame.format);
    return vl_frame_row_samples(l, plane, p->frame.width) * l->plane[plane].sample_bytes;
}

static inline int32_t picture_rows(const picture *p, int plane) {
    return vl_frame_rows(vl_frame_layout_of(p->frame.format), plane, p->frame.height);
}

/* Everything guard bytes; flipped rows lie from the bottom up in memory. */
static inline picture picture_make(veil_format format, int32_t w, int32_t h, bool flipped) {
    picture p = {.frame = {.width = w, .height = h, .format = format}};
    const vl_frame_layout *l = vl_frame_layout_of(format);
    for (int i = 0; i < l->n_planes; i++) {
        int32_t rows = picture_rows(&p, i);
        ptrdiff_t stride = picture_row_bytes(&p, i) + PICTURE_PAD;
        stride += l->bits > 8 ? stride & 1 : 0;
        p.bytes[i] = (size_t)stride * (size_t)(rows + 2);
        p.memory[i] = malloc(p.bytes[i]);
        assert_non_null(p.memory[i]);
        memset(p.memory[i], PICTURE_GUARD, p.bytes[i]);
        p.frame.plane[i] = p.memory[i] + stride * (flipped ? rows : 1);
        p.frame.stride[i] = flipped ? -stride : stride;
    }
    return p;
}

static inline void picture_free(picture *p) {
    for (int i = 0; i < 3; i++)
        free(p->memory[i]);
}

static inline picture picture_copy(const picture *p) {
    picture q =
        picture_make(p->frame.format, p->frame.width, p->frame.height, p->frame.stride[0] < 0);
    veil_frame f = p->frame;
    for (int i = 0; i < 3; i++) {
        f.plane[i] = q.frame.plane[i];
        if (q.memory[i] != NULL)
            memcpy(q.memory[i], p->memory[i], q.bytes[i]);
    }
    q.frame = f;
    return q;
}

static inline bool picture_same(const picture *p, const picture *q) {
    for (int i = 0; i < 3; i++)
        if (p->memory[i] != NULL && memcmp(p->memory[i], q->memory[i], p->bytes[i]) != 0)
            return false;
    return true;
}

/* Guard bytes that are no longer so. */
static inline size_t picture_broken_guards(const picture *p) {
    size_t broken = 0;
    for (int i = 0; i < 3 && p->memory[i] != NULL; i++) {
        for (size_t k = 0; k < p->bytes[i]; k++)
            broken += p->memory[i][k] != PICTURE_GUARD;
        for (int32_t y = 0; y < picture_rows(p, i); y++)
            for (int32_t x = 0; x < picture_row_bytes(p, i); x++)
                broken -= p->frame.plane[i][y * p->frame.stride[i] + x] != PICTURE_GUARD;
    }
    return broken;
}

/* Sample x, y of a channel, in the channel's own resolution. */
static inline uint8_t *picture_at(const veil_frame *f, int channel, int32_t x, int32_t y) {
    const vl_frame_layout *l = vl_frame_layout_of(f->format);
    const vl_frame_channel *c = &l->channel[channel];
    int bytes = l->plane[c->plane].sample_bytes;
    return f->plane[c->plane] + y * f->stride[c->plane] +
           (ptrdiff_t)(c->offset + x * c->step) * bytes;
}

static inline int32_t picture_get(const veil_frame *f, int channel, int32_t x, int32_t y) {
    const uint8_t *s = picture_at(f, channel, x, y);
    return vl_frame_layout_of(f->format)->bits > 8 ? s[0] | s[1] << 8 : s[0];
}

static inline void picture_set(const veil_frame *f, int channel, int32_t x, int32_t y, int32_t v) {
    uint8_t *s = picture_at(f, channel, x, y);
    s[0] = (uint8_t)(v & 255);
    if (vl_frame_layout_of(f->format)->bits > 8)
        s[1] = (uint8_t)(v >> 8);
}

static inline int32_t picture_channel_width(const veil_frame *f, int channel) {
    int s = vl_frame_layout_of(f->format)->channel[channel].x_shift;
    return (f->width + (1 << s) - 1) >> s;
}

static inline int32_t picture_channel_height(const veil_frame *f, int channel) {
    int s = vl_frame_layout_of(f->format)->channel[channel].y_shift;
    return (f->height + (1 << s) - 1) >> s;
}

/* Independent random samples everywhere, alpha and unused packed samples too. */
static inline void picture_noise(picture *p, uint64_t seed) {
    const vl_frame_layout *l = vl_frame_layout_of(p->frame.format);
    random_source r = random_from(seed);
    for (int i = 0; i < l->n_planes; i++)
        for (int32_t y = 0; y < picture_rows(p, i); y++)
            for (int32_t x = 0; x < picture_row_bytes(p, i); x++)
                p->frame.plane[i][y * p->frame.stride[i] + x] =
                    (uint8_t)(l->bits > 8 && (x & 1) != 0 ? random_bits(&r) & 3 : random_bits(&r));
}

#endif
