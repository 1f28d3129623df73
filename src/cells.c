/* See cells.h. Smooth paint is a uniform quadratic B-spline with the averages as its control
 * points: no overshoot, no visible edges, and a pixel depends on nine averages only. */
#include "cells.h"

#include "mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* So many rows of 10-bit samples fit into 16-bit sums, and more than so many of 8 bits. */
#define ROWS_A_FLUSH 64
#define SETTLE       (4 * 128) /* four grey levels of 8 bits, in units of a level */

int vl_cells_rows_make(vl_cells_rows *r, const vl_frame_layout *l, int32_t width) {
    *r = (vl_cells_rows){0};
    int32_t widest = 0;
    bool ok = true;
    for (int p = 0; p < l->n_planes; p++) {
        r->stride[p] = vl_frame_row_samples(l, p, width);
        widest = r->stride[p] > widest ? r->stride[p] : widest;
        r->spread[p] = vl_mem_alloc((size_t)r->stride[p], VL_CELLS_MAX * sizeof(int16_t));
        ok = ok && r->spread[p] != NULL;
    }
    for (int i = 0; i < 6; i++) {
        r->weight[i / 3][i % 3] = vl_mem_alloc((size_t)width + 1, sizeof(int16_t));
        ok = ok && r->weight[i / 3][i % 3] != NULL;
    }
    r->sums = vl_mem_alloc((size_t)widest, sizeof(uint16_t));
    r->channel = vl_mem_alloc((size_t)width + 1, sizeof(int16_t));
    if (ok && r->sums != NULL && r->channel != NULL)
        return VEIL_OK;
    vl_cells_rows_free(r);
    return VEIL_E_NOMEM;
}

void vl_cells_rows_free(vl_cells_rows *r) {
    for (int i = 0; i < 3; i++) {
        vl_mem_free(r->spread[i]);
        vl_mem_free(r->weight[0][i]);
        vl_mem_free(r->weight[1][i]);
    }
    vl_mem_free(r->sums);
    vl_mem_free(r->channel);
    *r = (vl_cells_rows){0};
}

/* ------------------------------------------------------------------ grid */

/* Edges in pairs of pixels from the whole's first, which is even; those well inside the area count,
 * and the area's own ends. Returns the number of cells; *first: of those of the whole, the first.
 */
static int32_t edges(int32_t *edge, int32_t n, const int32_t whole[2], const int32_t area[2],
                     int32_t *first) {
    int32_t pairs = (whole[1] - whole[0]) / 2, k = 0;
    edge[0] = area[0];
    *first = 0;
    for (int32_t i = 1; i < n; i++) {
        int32_t at = whole[0] + pairs * i / n * 2;
        if (at < area[0] + VL_CELLS_LEAST_PX)
            *first = i;
        else if (at <= area[1] - VL_CELLS_LEAST_PX)
            edge[++k] = at;
    }
    edge[++k] = area[1];
    return k;
}

static int32_t at_most(int32_t n, int32_t px) {
    int32_t most = px / VL_CELLS_LEAST_PX;
    n = n > most ? most : n;
    return n < 1 ? 1 : n;
}

void vl_cells_grid(vl_cells *c, vl_mask_area all, vl_mask_area a, float count) {
    int32_t w = all.x1 - all.x0, h = all.y1 - all.y0, longer = w > h ? w : h;
    /* Not a number, and everything below one: the strongest. */
    int32_t n = count >= VL_CELLS_MAX ? VL_CELLS_MAX : count >= 1 ? (int32_t)count : 1;
    c->whole = all;
    c->whole_x = at_most((n * w + longer / 2) / longer, w);
    c->whole_y = at_most((n * h + longer / 2) / longer, h);
    const int32_t across[2][2] = {{all.x0, all.x1}, {a.x0, a.x1}};
    const int32_t down[2][2] = {{all.y0, all.y1}, {a.y0, a.y1}};
    c->nx = edges(c->x, c->whole_x, across[0], across[1], &c->first_x);
    c->ny = edges(c->y, c->whole_y, down[0], down[1], &c->first_y);
}

/* A luma edge in samples of a channel. */
static int32_t edge_of(int32_t px, int shift) {
    return (px + (1 << shift) - 1) >> shift;
}

/* ------------------------------------------------------------------ averages */

/* Sum of a channel's samples in rows that were added up. */
static uint32_t total_of(const uint16_t *sums, const vl_frame_channel *ch, int32_t columns) {
    uint32_t total = 0; /* at most 8192 columns of 65535 */
    if (ch->step == 1)
        for (int32_t x = 0; x < columns; x++)
            total += sums[x];
    else
        for (int32_t x = 0; x < columns; x++)
            total += sums[x * ch->step + ch->offset];
    return total;
}

/* The mean of the samples of channels in plane p, of every step-th row. */
static void mean_of_plane(const vl_pix *pix, const veil_frame *f, int p, vl_mask_area a,
                          int32_t step, vl_cells_rows *r, int16_t level[3]) {
    const vl_frame_layout *l = vl_frame_layout_of(f->format);
    int32_t first = vl_frame_row_samples(l, p, a.x0), shift = l->plane[p].y_shift;
    int32_t n = vl_frame_row_samples(l, p, a.x1) - first, to = edge_of(a.y1, shift);
    uint64_t total[3] = {0}, rows = 0;
    for (int32_t y = edge_of(a.y0, shift); y < to;) {
        memset(r->sums, 0, (size_t)n * sizeof *r->sums);
        for (int i = 0; i < ROWS_A_FLUSH && y < to; i++, y += step, rows++) {
            const uint8_t *row =
                f->plane[p] + y * f->stride[p] + (ptrdiff_t)first * l->plane[p].sample_bytes;
            (l->bits > 8 ? pix->sum_u16 : pix->sum_u8)(r->sums, row, n);
        }
        for (int k = 0; k < l->n_channels; k++)
            if (l->channel[k].plane == p)
                total[k] += total_of(r->sums, &l->channel[k],
                                     edge_of(a.x1, l->channel[k].x_shift) -
                                         edge_of(a.x0, l->channel[k].x_shift));
    }
    for (int k = 0; k < l->n_channels; k++) {
        const vl_frame_channel *ch = &l->channel[k];
        if (ch->plane != p)
            continue;
        uint64_t columns = (uint64_t)(edge_of(a.x1, ch->x_shift) - edge_of(a.x0, ch->x_shift));
        uint64_t count = columns * rows;
        level[k] = (int16_t)(((total[k] << (l->bits > 8 ? 5 : 7)) + count / 2) / count);
    }
}

void vl_cells_mean(const vl_pix *pix, const veil_frame *f, vl_mask_area a, int32_t most_rows,
                   vl_cells_rows *r, int16_t level[3]) {
    const vl_frame_layout *l = vl_frame_layout_of(f->format);
    int32_t step = (a.y1 - a.y0 + most_rows - 1) / most_rows;
    for (int p = 0; p < l->n_planes; p++)
        mean_of_plane(pix, f, p, a, step, r, level);
}

void vl_cells_measure(vl_cells *c, const vl_pix *pix, const veil_frame *f, vl_cells_rows *r) {
    for (int32_t j = 0; j < c->ny; j++)
        for (int32_t i = 0; i < c->nx; i++) {
            const vl_mask_area a = {c->x[i], c->y[j], c->x[i + 1], c->y[j + 1]};
            int16_t level[3] = {0};
            vl_cells_mean(pix, f, a, a.y1 - a.y0, r, level);
            for (int k = 0; k < 3; k++)
                c->level[k][j][i] = level[k];
        }
}

void vl_cells_set(vl_cells *c, const veil_frame *f, const uint16_t native[3]) {
    int unit = vl_frame_layout_of(f->format)->bits > 8 ? 32 : 128;
    for (int k = 0; k < 3; k++)
        for (int32_t i = 0; i < c->nx * c->ny; i++)
            c->level[k][i / c->nx][i % c->nx] = (int16_t)(native[k] * unit);
}

void vl_cells_solid(vl_cells *c, vl_mask_area a, const veil_frame *f, const uint16_t native[3]) {
    vl_cells_grid(c, a, a, 1);
    c->flat = true;
    vl_cells_set(c, f, native);
}

/* ------------------------------------------------------------------ from frame to frame */

bool vl_cells_nearer(const vl_cells *c, const vl_cells *past, const vl_cells *best) {
    int32_t w = c->whole.x1 - c->whole.x0, h = c->whole.y1 - c->whole.y0;
    if (past->whole_x != c->whole_x || past->whole_y != c->whole_y ||
        past->whole.x1 - past->whole.x0 != w || past->whole.y1 - past->whole.y0 != h)
        return false;
    int32_t dx = abs(past->whole.x0 - c->whole.x0), dy = abs(past->whole.y0 - c->whole.y0);
    if (dx * c->whole_x > w || dy * c->whole_y > h)
        return false;
    return best == NULL ||
           dx + dy < abs(best->whole.x0 - c->whole.x0) + abs(best->whole.y0 - c->whole.y0);
}

void vl_cells_settle(vl_cells *c, const vl_cells *past) {
    for (int k = 0; k < 3; k++)
        for (int32_t j = 0; j < c->ny; j++)
            for (int32_t i = 0; i < c->nx; i++) {
                int32_t pi = i + c->first_x - past->first_x, pj = j + c->first_y - past->first_y;
                if (pi < 0 || pj < 0 || pi >= past->nx || pj >= past->ny)
                    continue;
                if (abs(c->level[k][j][i] - past->level[k][pj][pi]) <= SETTLE)
                    c->level[k][j][i] = past->level[k][pj][pi];
            }
}

/* ------------------------------------------------------------------ paint */

/* Spline weights at t = 0..1 across a cell, 15 binary places, sum 32768. */
static void spline(float t, int16_t w[3]) {
    int32_t before = (int32_t)((1 - t) * (1 - t) * 16384 + 0.5f);
    int32_t after = (int32_t)(t * t * 16384 + 0.5f);
    w[0] = (int16_t)before;
    w[1] = (int16_t)(32768 - before - after);
    w[2] = (int16_t)after;
}

static void column_weights(const vl_cells *c, vl_cells_rows *r, int shift) {
    int32_t first = edge_of(c->x[0], shift);
    for (int32_t i = 0; i < c->nx; i++) {
        int32_t from = edge_of(c->x[i], shift), to = edge_of(c->x[i + 1], shift);
        float inv = 1 / (float)(to - from);
        for (int32_t x = from; x < to; x++) {
            int16_t w[3];
            spline(((float)(x - from) + 0.5f) * inv, w);
            for (int k = 0; k < 3; k++)
                r->weight[shift][k][x - first] = w[k];
        }
    }
}

/* One row of cells of one channel, spread to out. */
static void spread_channel(const vl_cells *c, const vl_pix *pix, const vl_cells_rows *r, int shift,
                           const int16_t *level, int16_t *out) {
    int32_t first = edge_of(c->x[0], shift);
    for (int32_t i = 0; i < c->nx; i++) {
        int32_t from = edge_of(c->x[i], shift) - first, to = edge_of(c->x[i + 1], shift) - first;
        if (c->flat) {
            for (int32_t x = from; x < to; x++)
                out[x] = level[i];
            continue;
        }
        /* The weights are the rows here, the levels the weights. */
        int16_t l[3] = {level[i > 0 ? i - 1 : 0], level[i], level[i + 1 < c->nx ? i + 1 : i]};
        int16_t *const *w = r->weight[shift];
        pix->mix3_s16(out + from, w[0] + from, w[1] + from, w[2] + from, l, to - from);
    }
}

void vl_cells_spread(const vl_cells *c, const vl_pix *pix, const veil_frame *f, vl_cells_rows *r) {
    const vl_frame_layout *l = vl_frame_layout_of(f->format);
    if (!c->flat) {
        column_weights(c, r, 0);
        column_weights(c, r, 1);
    }
    for (int k = 0; k < l->n_channels; k++) {
        const vl_frame_channel *ch = &l->channel[k];
        int32_t n = edge_of(c->x[c->nx], ch->x_shift) - edge_of(c->x[0], ch->x_shift);
        for (int32_t j = 0; j < c->ny; j++) {
            int16_t *row = r->spread[ch->plane] + (ptrdiff_t)j * r->stride[ch->plane];
            if (ch->step == 1) {
                spread_channel(c, pix, r, ch->x_shift, c->level[k][j], row);
                continue;
            }
            spread_channel(c, pix, r, ch->x_shift, c->level[k][j], r->channel);
            for (int32_t x = 0; x < n; x++)
                row[x * ch->step + ch->offset] = r->channel[x];
        }
    }
}

void vl_cells_paint(const vl_cells *c, const vl_pix *pix, const vl_frame_layout *l,
                    const vl_cells_rows *r, int p, int32_t y, int32_t from, int32_t n,
                    void *paint) {
    int shift = l->plane[p].y_shift;
    int32_t j = 0;
    while (j + 1 < c->ny && y >= edge_of(c->y[j + 1], shift))
        j++;
    int32_t top = edge_of(c->y[j], shift), end = edge_of(c->y[j + 1], shift);
    int16_t w[3] = {0, 32767, 0};
    if (!c->flat)
        spline(((float)(y - top) + 0.5f) / (float)(end - top), w);
    const int16_t *own = r->spread[p] + (ptrdiff_t)j * r->stride[p] + from;
    const int16_t *before = j > 0 ? own - r->stride[p] : own;
    const int16_t *after = j + 1 < c->ny ? own + r->stride[p] : own;
    if (l->bits > 8)
        pix->mix3_u16(paint, before, own, after, w, n);
    else
        pix->mix3_u8(paint, before, own, after, w, n);
}
