/* See around.h. The ring is one cell thick and cut into parts as the grid is into cells. A part
 * that a hidden area reaches into counts with its largest free rectangle. A cell gets the mean of
 * all parts, the nearer the more (inverse cubes of distances): smooth inside, fitting at the edges.
 */
#include "around.h"

#include <math.h>
#include <stdlib.h>

#define TRIES      4 /* rings, each farther out, until one has a free part */
#define NEAR_MOST  64
#define MEAN_ROWS  12
#define GREY_RGB   0x707070u
#define REST       (4 * 128) /* nearer than four grey levels of 8 bits colours stay as they are */
#define EASE_PARTS 6         /* of the way are made in one frame: one */

typedef struct {
    bool free;
    int16_t level[3];
} part;

/* ------------------------------------------------------------------ free places */

static int64_t size_of(vl_mask_area a) {
    return a.x1 > a.x0 && a.y1 > a.y0 ? (int64_t)(a.x1 - a.x0) * (a.y1 - a.y0) : 0;
}

static bool meet(const vl_mask_area *a, const vl_mask_area *b) {
    return a->x0 < b->x1 && b->x0 < a->x1 && a->y0 < b->y1 && b->y0 < a->y1;
}

/* The largest rectangle of a that is outside of h. */
static vl_mask_area outside_of(vl_mask_area a, const vl_mask_area *h) {
    if (!meet(&a, h))
        return a;
    vl_mask_area cut[4] = {a, a, a, a}, best = {0, 0, 0, 0};
    cut[0].x1 = h->x0;
    cut[1].x0 = h->x1;
    cut[2].y1 = h->y0;
    cut[3].y0 = h->y1;
    for (int i = 0; i < 4; i++)
        best = size_of(cut[i]) > size_of(best) ? cut[i] : best;
    return best;
}

/* What is free of a part of a ring: even edges, but for the frame's own. */
static vl_mask_area free_of(vl_mask_area a, const vl_mask_area *hidden, size_t n,
                            const veil_frame *f) {
    a.x0 = a.x0 > 0 ? a.x0 : 0;
    a.y0 = a.y0 > 0 ? a.y0 : 0;
    a.x1 = a.x1 < f->width ? a.x1 : f->width;
    a.y1 = a.y1 < f->height ? a.y1 : f->height;
    for (size_t i = 0; i < n && size_of(a) > 0; i++)
        a = outside_of(a, &hidden[i]);
    a.x0 = (a.x0 + 1) & ~1;
    a.y0 = (a.y0 + 1) & ~1;
    a.x1 = a.x1 < f->width ? a.x1 & ~1 : a.x1;
    a.y1 = a.y1 < f->height ? a.y1 & ~1 : a.y1;
    return a;
}

/* ------------------------------------------------------------------ rings */

/* Rectangle k of the ring: above from left to right with both corners, below alike, left, right. */
static vl_mask_area part_at(const vl_cells *c, int32_t k, int32_t thick, int32_t gap) {
    int32_t x0 = c->x[0] - gap, x1 = c->x[c->nx] + gap;
    int32_t y0 = c->y[0] - gap, y1 = c->y[c->ny] + gap;
    if (k < 2 * (c->nx + 2)) {
        bool above = k < c->nx + 2;
        int32_t i = (above ? k : k - c->nx - 2) - 1;
        vl_mask_area a = {x0 - thick, above ? y0 - thick : y1, x0, above ? y0 : y1 + thick};
        if (i >= 0 && i < c->nx) {
            a.x0 = i == 0 ? x0 : c->x[i];
            a.x1 = i == c->nx - 1 ? x1 : c->x[i + 1];
        } else if (i == c->nx) {
            a.x0 = x1;
            a.x1 = x1 + thick;
        }
        return a;
    }
    k -= 2 * (c->nx + 2);
    bool left = k < c->ny;
    int32_t j = left ? k : k - c->ny;
    return (vl_mask_area){left ? x0 - thick : x1, j == 0 ? y0 : c->y[j], left ? x0 : x1 + thick,
                          j == c->ny - 1 ? y1 : c->y[j + 1]};
}

/* Centre of part k in cells. */
static void part_centre(const vl_cells *c, int32_t k, float *x, float *y) {
    int32_t row = c->nx + 2;
    if (k < 2 * row) {
        *x = (float)(k % row) - 0.5f;
        *y = k < row ? -0.5f : (float)c->ny + 0.5f;
        return;
    }
    k -= 2 * row;
    *x = k < c->ny ? -0.5f : (float)c->nx + 0.5f;
    *y = (float)(k % c->ny) + 0.5f;
}

static int32_t parts_of(const vl_cells *c) {
    return 2 * (c->nx + 2) + 2 * c->ny;
}

static void make_weights(vl_around *a, const vl_cells *c) {
    if (a->nx == c->nx && a->ny == c->ny)
        return;
    a->nx = c->nx;
    a->ny = c->ny;
    int32_t n = parts_of(c);
    for (int32_t i = 0; i < c->nx * c->ny; i++)
        for (int32_t k = 0; k < n; k++) {
            float x, y;
            part_centre(c, k, &x, &y);
            float d = hypotf((float)(i % c->nx) + 0.5f - x, (float)(i / c->nx) + 0.5f - y);
            a->weight[i][k] = 1 / (d * d * d);
        }
}

/* Measures a ring; false: nothing of it is free. */
static bool look_around(const vl_cells *c, int32_t thick, int32_t gap, const vl_mask_area *hidden,
                        size_t n_hidden, const vl_pix *pix, const veil_frame *f, vl_cells_rows *r,
                        part *parts) {
    vl_mask_area near[NEAR_MOST];
    int32_t far = thick + gap;
    const vl_mask_area ring = {c->x[0] - far, c->y[0] - far, c->x[c->nx] + far, c->y[c->ny] + far};
    size_t n = 0;
    for (size_t i = 0; i < n_hidden && n <= NEAR_MOST; i++)
        if (meet(&ring, &hidden[i])) {
            if (n < NEAR_MOST)
                near[n] = hidden[i];
            n++;
        }
    const vl_mask_area *list = n <= NEAR_MOST ? near : hidden;
    n = n <= NEAR_MOST ? n : n_hidden;
    bool any = false;
    for (int32_t k = 0; k < parts_of(c); k++) {
        vl_mask_area a = free_of(part_at(c, k, thick, gap), list, n, f);
        parts[k].free = a.x1 - a.x0 >= 2 && a.y1 - a.y0 >= 2;
        if (parts[k].free)
            vl_cells_mean(pix, f, a, MEAN_ROWS, r, parts[k].level);
        any = any || parts[k].free;
    }
    return any;
}

static void carry_inwards(const vl_around *a, vl_cells *c, const part *parts) {
    for (int32_t i = 0; i < c->nx * c->ny; i++) {
        float all = 0, sum[3] = {0};
        for (int32_t k = 0; k < parts_of(c); k++) {
            float w = parts[k].free ? a->weight[i][k] : 0;
            all += w;
            for (int ch = 0; ch < 3; ch++)
                sum[ch] += w * (float)parts[k].level[ch];
        }
        for (int ch = 0; ch < 3; ch++)
            c->level[ch][i / c->nx][i % c->nx] = (int16_t)(sum[ch] / all + 0.5f);
    }
}

void vl_around_fill(vl_around *a, vl_cells *c, const vl_mask_area *hidden, size_t n_hidden,
                    const vl_pix *pix, const veil_frame *f, vl_cells_rows *r) {
    int32_t w = c->whole.x1 - c->whole.x0, h = c->whole.y1 - c->whole.y0;
    int32_t thick = ((w > h ? w : h) / 6 + 1) & ~1;
    thick = thick < 4 ? 4 : thick;
    part parts[VL_AROUND_PARTS] = {{0}};
    for (int32_t i = 0, gap = 0; i < TRIES; i++, gap = 2 * gap + thick)
        if (look_around(c, thick, gap, hidden, n_hidden, pix, f, r, parts)) {
            make_weights(a, c);
            carry_inwards(a, c, parts);
            return;
        }
    uint16_t native[3];
    vl_frame_native_rgb(f, GREY_RGB, native);
    vl_cells_set(c, f, native);
}

/* ------------------------------------------------------------------ from frame to frame */

/* How far the middles of two grids are apart, in sizes of the smaller; large when they are of quite
 * different size. */
static float apart(const vl_cells *a, const vl_cells *b) {
    float aw = (float)(a->whole.x1 - a->whole.x0), ah = (float)(a->whole.y1 - a->whole.y0);
    float bw = (float)(b->whole.x1 - b->whole.x0), bh = (float)(b->whole.y1 - b->whole.y0);
    float ratio = aw * ah / (bw * bh);
    if (!(ratio > 0.25f && ratio < 4))
        return HUGE_VALF;
    float dx = (float)(a->whole.x0 + a->whole.x1 - b->whole.x0 - b->whole.x1) / 2;
    float dy = (float)(a->whole.y0 + a->whole.y1 - b->whole.y0 - b->whole.y1) / 2;
    return hypotf(dx / fminf(aw, bw), dy / fminf(ah, bh));
}

/* Cell of the past grid at the same place of the mask, as a part of it. */
static int32_t same_place(int32_t i, int32_t of, int32_t past_of, int32_t past_first,
                          int32_t past_n) {
    int32_t k = (2 * i + 1) * past_of / (2 * of) - past_first;
    return k < 0 ? 0 : k < past_n ? k : past_n - 1;
}

void vl_around_ease(vl_cells *c, const vl_cells *past, size_t n_past) {
    const vl_cells *best = NULL;
    float least = 0.5f;
    for (size_t i = 0; i < n_past; i++) {
        float d = apart(c, &past[i]);
        if (d < least) {
            least = d;
            best = &past[i];
        }
    }
    for (int32_t i = 0; best != NULL && i < c->nx * c->ny; i++) {
        int32_t x = i % c->nx, y = i / c->nx;
        int32_t px = same_place(x + c->first_x, c->whole_x, best->whole_x, best->first_x, best->nx);
        int32_t py = same_place(y + c->first_y, c->whole_y, best->whole_y, best->first_y, best->ny);
        for (int k = 0; k < 3; k++) {
            int16_t *now = &c->level[k][y][x];
            int32_t was = best->level[k][py][px], d = *now - was;
            *now = (int16_t)(abs(d) <= REST ? was : was + d / EASE_PARTS);
        }
    }
}
