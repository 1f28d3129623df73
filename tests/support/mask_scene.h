/* Scenes of masks for tests of hiding. The shapes are worked out here anew, only the grid of cells
 * is taken from the code. Include after cmocka.h. */
#ifndef VEIL_TESTS_MASK_SCENE_H
#define VEIL_TESTS_MASK_SCENE_H

#include "cells.h"
#include "mask.h"
#include "redact.h"

#include "picture.h"

#include <math.h>

#define MAX_MASKS 8

typedef struct {
    vl_rect box[MAX_MASKS];
    size_t n;
    vl_redact_style style;
} scene;

static const uint8_t half_clear[4 * 4] = {200, 10, 10,  255, 10, 200, 10, 128,
                                          10,  10, 200, 64,  0,  0,   0,  0};

static inline vl_redact_style style_of(veil_style style, veil_shape shape) {
    return (vl_redact_style){.style = style,
                             .shape = shape,
                             .feather = 0.12f,
                             .cells = 6,
                             .fill_rgb = 0x4080c0,
                             .image = half_clear,
                             .image_width = 2,
                             .image_height = 2,
                             .image_stride = 8};
}

/* ------------------------------------------------------------------ where is hidden */

/* The shape's box: for a head grown as mask.c says. */
static inline vl_rect shape_box(const veil_frame *f, vl_rect b, veil_shape shape) {
    if (shape != VEIL_SHAPE_HEAD)
        return b;
    vl_rect u = vl_frame_to_upright(f, b);
    return vl_frame_from_upright(
        f, (vl_rect){u.x - 0.1f * u.w, u.y - 0.3f * u.h, u.w * 1.2f, u.h * 1.4f});
}

/* How far luma pixel x, y is out of the shape: up to 0 some part of it is inside and must be at
 * full strength, from 1 on even its nearest part is beyond the soft edge (with some margin). */
static inline int where(const veil_frame *f, const scene *s, size_t i, int32_t x, int32_t y) {
    vl_rect b = shape_box(f, s->box[i], s->style.shape);
    double cx = b.x + b.w / 2.0, cy = b.y + b.h / 2.0;
    double near_x = fmax(0, fabs(x + 0.5 - cx) - 0.5), near_y = fmax(0, fabs(y + 0.5 - cy) - 0.5);
    double far = 2 * s->style.feather, half_x = b.w / 2.0, half_y = b.h / 2.0;
    if (s->style.shape == VEIL_SHAPE_BOX) {
        if (near_x <= half_x && near_y <= half_y)
            return 0;
        double out_x = half_x * (1 + far) + 1, out_y = half_y * (1 + far) + 1;
        return near_x > out_x || near_y > out_y ? 2 : 1;
    }
    half_x *= 0.8 * sqrt(2);
    half_y *= 0.8 * sqrt(2);
    if (hypot(near_x / half_x, near_y / half_y) <= 1)
        return 0;
    double reach = 1 + far / (0.8 * sqrt(2));
    return hypot(near_x / ((half_x + 1.5) * reach), near_y / ((half_y + 1.5) * reach)) > 1 ? 2 : 1;
}

/* 0: fully hidden by some mask, 2: outside of all, 1: between. For a sample of a channel. */
static inline int where_sample(const veil_frame *f, const scene *s, int channel, int32_t x,
                               int32_t y) {
    const vl_frame_channel *c = &vl_frame_layout_of(f->format)->channel[channel];
    int best = 2;
    for (int32_t ly = y << c->y_shift; ly < (y + 1) << c->y_shift && ly < f->height; ly++)
        for (int32_t lx = x << c->x_shift; lx < (x + 1) << c->x_shift && lx < f->width; lx++)
            for (size_t i = 0; i < s->n && best > 0; i++) {
                int w = where(f, s, i, lx, ly);
                best = w < best ? w : best;
            }
    return best;
}

/* ------------------------------------------------------------------ same averages */

static inline void join_areas(vl_mask_area *to, const vl_mask_area *a) {
    to->x0 = a->x0 < to->x0 ? a->x0 : to->x0;
    to->y0 = a->y0 < to->y0 ? a->y0 : to->y0;
    to->x1 = a->x1 > to->x1 ? a->x1 : to->x1;
    to->y1 = a->y1 > to->y1 ? a->y1 : to->y1;
}

static inline int32_t even_below(int32_t v) {
    return v - (v % 2 != 0 ? (v % 2 + 2) % 2 : 0);
}

/* The grids that the code lays over a scene, one for each group of masks. */
static inline size_t grids_of(const veil_frame *f, const scene *s, vl_cells grid[MAX_MASKS]) {
    vl_mask m[MAX_MASKS];
    size_t used = 0, n = 0;
    for (size_t i = 0; i < s->n; i++) {
        assert_true(vl_mask_make(&m[used], f, s->box[i], &s->style));
        used += m[used].area.x0 < m[used].area.x1 && m[used].area.y0 < m[used].area.y1;
    }
    vl_mask_group(m, used);
    for (size_t g = 0; g < used; g++) {
        vl_mask_area a = {INT32_MAX, INT32_MAX, 0, 0};
        vl_mask_area all = {INT32_MAX, INT32_MAX, INT32_MIN, INT32_MIN};
        int members = 0;
        for (size_t i = 0; i < used; i++) {
            if (m[i].group != (int32_t)g)
                continue;
            members++;
            join_areas(&a, &m[i].area);
            join_areas(&all, &m[i].whole);
        }
        if (members == 0)
            continue;
        a.x0 &= ~1;
        a.y0 &= ~1;
        a.x1 = a.x1 % 2 != 0 && a.x1 < f->width ? a.x1 + 1 : a.x1;
        a.y1 = a.y1 % 2 != 0 && a.y1 < f->height ? a.y1 + 1 : a.y1;
        int32_t step = members > 1 ? 16 : 2; /* sizes of common grids are multiples */
        all.x0 = even_below(all.x0);
        all.y0 = even_below(all.y0);
        all.x1 = all.x0 + (all.x1 - all.x0 + step - 1) / step * step;
        all.y1 = all.y0 + (all.y1 - all.y0 + step - 1) / step * step;
        vl_cells_grid(&grid[n++], all, a, s->style.cells);
    }
    return n;
}

/* Which cell of a grid a luma pixel is in, 1..64; 0 outside. */
static inline uint64_t cell_of(const vl_cells *g, int32_t x, int32_t y) {
    if (x < g->x[0] || x >= g->x[g->nx] || y < g->y[0] || y >= g->y[g->ny])
        return 0;
    int32_t i = 0, j = 0;
    while (x >= g->x[i + 1])
        i++;
    while (y >= g->y[j + 1])
        j++;
    return (uint64_t)(j * VL_CELLS_MAX + i + 1);
}

/* ------------------------------------------------------------------ drawing */

static inline void draw(const picture *p, const scene *s, uint32_t cpu_off) {
    vl_redact *r = NULL;
    assert_int_equal(vl_redact_create(&r), VEIL_OK);
    vl_redact_set_cpu(r, cpu_off);
    assert_int_equal(vl_redact_draw(r, &p->frame, s->box, s->n, &s->style), VEIL_OK);
    vl_redact_destroy(r);
}

static inline void check_outside(const picture *before, const picture *after, const scene *s) {
    const vl_frame_layout *l = vl_frame_layout_of(after->frame.format);
    for (int k = 0; k < l->n_channels; k++)
        for (int32_t y = 0; y < picture_channel_height(&after->frame, k); y++)
            for (int32_t x = 0; x < picture_channel_width(&after->frame, k); x++)
                if (where_sample(&after->frame, s, k, x, y) == 2 &&
                    picture_get(&after->frame, k, x, y) != picture_get(&before->frame, k, x, y))
                    fail_msg("%s: channel %d changed at %d,%d, outside", l->name, k, x, y);
    if (l->rgb && l->plane[0].step == 4)
        for (int32_t y = 0; y < after->frame.height; y++)
            for (int32_t x = 0; x < after->frame.width; x++)
                assert_int_equal(after->frame.plane[0][y * after->frame.stride[0] + x * 4 + 3],
                                 before->frame.plane[0][y * before->frame.stride[0] + x * 4 + 3]);
    assert_int_equal(picture_broken_guards(after), 0);
}

#endif
