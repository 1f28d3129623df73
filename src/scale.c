/* See scale.h. Separable: for bands of 16 target rows, each plane is first summed vertically over
 * the caller's rows, then turned so that 16 rows lie side by side, summed horizontally, and only
 * the small picture is converted to RGB. Packed formats need no unpacking: their bytes are columns
 * like any other. The kernels are in pix/. */
#include "scale.h"

#include "cpu.h"
#include "mem.h"
#include "pix/pix.h"
#include "pool.h"

#include <math.h>
#include <string.h>

#define TILE         64  /* target columns filtered at a time */
#define GREY         114 /* of the letterbox */
#define SIZE_MAX_DST VEIL_SIZE_MAX
#define MAX_JOBS     64

/* One direction of one subsampling: which source samples make each target sample. */
typedef struct {
    vl_pix_tap *tap;
    uint16_t *weight;
    int32_t n, max_count;
} axis;

/* What one job needs, so that jobs share nothing. */
typedef struct {
    uint16_t *band[3];    /* per plane (16, row samples), 8.8 levels */
    uint16_t *turned;     /* (columns of a tile, 16) */
    uint16_t *channel[3]; /* (TILE, 16) */
    uint8_t *tile;        /* (16, TILE, 4), for rotated targets */
    const void **rows;    /* of one target row */
} scratch;

typedef struct {
    veil_format format;
    int32_t width, height, rotation; /* source, as stored */
    int32_t dst_w, dst_h;            /* of the picture in the target, upright */
    bool luma;
} geometry;

typedef struct {
    bool valid;
    geometry g;
    int32_t w, h;    /* target size as stored, before rotation */
    axis x[2], y[2]; /* [0] full, [1] halved chroma */
    ptrdiff_t band_stride[3];
    int32_t n_jobs;
    scratch *job;
} plan;

struct vl_scale {
    vl_pix pix;
    plan fill, luma;
};

/* ------------------------------------------------------------------ tables */

static void axis_free(axis *a) {
    vl_mem_free(a->tap);
    vl_mem_free(a->weight);
    *a = (axis){0};
}

/* Weights of one target sample to 65536ths: the rounding's remainder goes to the largest. A single
 * weight of 1 becomes 65535, which the kernels' bias makes up for. */
static void axis_quantise(const double *exact, int32_t count, uint16_t *weight) {
    double sum = 0;
    for (int32_t i = 0; i < count; i++)
        sum += exact[i];
    int32_t rest = 65536, largest = 0;
    for (int32_t i = 0; i < count; i++) {
        int32_t w = (int32_t)lrint(exact[i] / sum * 65536);
        w = w > 65535 ? 65535 : w;
        weight[i] = (uint16_t)w;
        rest -= w;
        if (w > weight[largest])
            largest = i;
    }
    int32_t w = weight[largest] + rest;
    weight[largest] = (uint16_t)(w > 65535 ? 65535 : w);
}

/* The source samples of target sample i and their exact weights; returns the first sample. ratio is
 * source px a target px, len the length of the picture in source px: the last sample of a halved
 * odd plane stands for half as much as the others. */
static int32_t axis_exact(int32_t i, double ratio, double len, int32_t n_src, double *exact,
                          int32_t *count) {
    if (ratio < 1) {
        double pos = fmin(fmax((i + 0.5) * ratio - 0.5, 0), n_src - 1);
        int32_t first = (int32_t)pos;
        exact[0] = 1 - (pos - first);
        exact[1] = pos - first;
        *count = exact[1] > 1e-9 ? 2 : 1;
        return first;
    }
    double from = i * ratio, to = fmin((i + 1) * ratio, len);
    int32_t first = (int32_t)from;
    first = first > n_src - 1 ? n_src - 1 : first;
    int32_t n = 0;
    for (int32_t s = first; s < n_src && (s < to - 1e-7 || n == 0); s++) {
        double part = fmin(s + 1, to) - fmax(s, from);
        exact[n++] = fmax(part, 1e-9);
    }
    *count = n;
    return first;
}

static int axis_make(axis *a, int32_t n_dst, double len, int32_t n_src) {
    double ratio = len / n_dst;
    int32_t most = (int32_t)ratio + 3;
    int err = VEIL_E_NOMEM;
    size_t n_weights;
    double *exact = vl_mem_alloc((size_t)most, sizeof *exact);
    a->n = n_dst;
    a->tap = vl_mem_alloc((size_t)n_dst, sizeof *a->tap);
    if (exact == NULL || a->tap == NULL || !vl_mem_mul((size_t)n_dst, (size_t)most, &n_weights))
        goto done;
    a->weight = vl_mem_alloc(n_weights, sizeof *a->weight);
    if (a->weight == NULL)
        goto done;
    for (int32_t i = 0, used = 0; i < n_dst; i++) {
        vl_pix_tap *t = &a->tap[i];
        t->start = axis_exact(i, ratio, len, n_src, exact, &t->count);
        t->weight = used;
        axis_quantise(exact, t->count, a->weight + used);
        used += t->count;
        a->max_count = t->count > a->max_count ? t->count : a->max_count;
    }
    err = VEIL_OK;
done:
    vl_mem_free(exact);
    return err;
}

/* ------------------------------------------------------------------ plan */

static void scratch_free(scratch *s) {
    for (int i = 0; i < 3; i++) {
        vl_mem_free(s->band[i]);
        vl_mem_free(s->channel[i]);
    }
    vl_mem_free(s->turned);
    vl_mem_free(s->tile);
    vl_mem_free(s->rows);
}

static void plan_free(plan *p) {
    for (int i = 0; i < 2; i++) {
        axis_free(&p->x[i]);
        axis_free(&p->y[i]);
    }
    for (int32_t i = 0; p->job != NULL && i < p->n_jobs; i++)
        scratch_free(&p->job[i]);
    vl_mem_free(p->job);
    *p = (plan){0};
}

/* Columns of a plane, in samples, that a tile of TILE targets may need, rounded to whole turns. */
static size_t tile_columns(const plan *p, const vl_frame_layout *l) {
    int32_t most = 0;
    for (int c = 0; c < l->n_channels; c++) {
        const vl_frame_channel *ch = &l->channel[c];
        const axis *a = &p->x[ch->x_shift];
        for (int32_t i = 0; i < a->n; i += TILE) {
            int32_t last = (i + TILE < a->n ? i + TILE : a->n) - 1;
            int32_t n = a->tap[last].start + a->tap[last].count - a->tap[i].start;
            most = n * ch->step > most ? n * ch->step : most;
        }
    }
    /* A packed plane's channels need not start at the same pixel. */
    return (size_t)most + 64;
}

static int scratch_make(scratch *s, const plan *p, const vl_frame_layout *l) {
    for (int i = 0; i < l->n_planes; i++) {
        s->band[i] = vl_mem_alloc((size_t)p->band_stride[i], VL_PIX_ROWS * sizeof(uint16_t));
        if (s->band[i] == NULL)
            return VEIL_E_NOMEM;
    }
    int32_t most = p->y[0].max_count > p->y[1].max_count ? p->y[0].max_count : p->y[1].max_count;
    s->turned = vl_mem_alloc(tile_columns(p, l), VL_PIX_ROWS * sizeof(uint16_t));
    s->tile = vl_mem_alloc(VL_PIX_ROWS, TILE * 4);
    s->rows = vl_mem_alloc((size_t)most, sizeof *s->rows);
    for (int i = 0; i < 3; i++) {
        s->channel[i] = vl_mem_alloc(TILE, VL_PIX_ROWS * sizeof(uint16_t));
        if (s->channel[i] == NULL)
            return VEIL_E_NOMEM;
    }
    return s->turned && s->tile && s->rows ? VEIL_OK : VEIL_E_NOMEM;
}

static int plan_build(plan *p, const geometry *g, int32_t n_jobs) {
    const vl_frame_layout *l = vl_frame_layout_of(g->format);
    bool turned = g->rotation == 90 || g->rotation == 270;
    p->g = *g;
    p->w = turned ? g->dst_h : g->dst_w;
    p->h = turned ? g->dst_w : g->dst_h;
    for (int i = 0; i < 2; i++) {
        double part = i == 0 ? 1 : 0.5;
        int err = axis_make(&p->x[i], p->w, g->width * part, (g->width + i) >> i);
        if (err == VEIL_OK)
            err = axis_make(&p->y[i], p->h, g->height * part, (g->height + i) >> i);
        if (err != VEIL_OK)
            return err;
    }
    for (int i = 0; i < l->n_planes; i++)
        p->band_stride[i] = (vl_frame_row_samples(l, i, g->width) + 15) & ~7;
    p->job = vl_mem_alloc((size_t)n_jobs, sizeof *p->job);
    if (p->job == NULL)
        return VEIL_E_NOMEM;
    p->n_jobs = n_jobs;
    for (int32_t i = 0; i < n_jobs; i++) {
        int err = scratch_make(&p->job[i], p, l);
        if (err != VEIL_OK)
            return err;
    }
    p->valid = true;
    return VEIL_OK;
}

static int plan_set(plan *p, const geometry *g, int32_t n_jobs) {
    const geometry *o = &p->g;
    if (p->valid && p->n_jobs >= n_jobs && o->format == g->format && o->width == g->width &&
        o->height == g->height && o->rotation == g->rotation && o->dst_w == g->dst_w &&
        o->dst_h == g->dst_h && o->luma == g->luma)
        return VEIL_OK;
    plan_free(p);
    int err = plan_build(p, g, n_jobs);
    if (err != VEIL_OK)
        plan_free(p);
    return err;
}

/* ------------------------------------------------------------------ colour */

static vl_pix_colour colour_of(const veil_frame *f) {
    double kr, kb;
    vl_frame_luma_weights(f, &kr, &kb);
    double kg = 1 - kr - kb;
    bool full = vl_frame_full_range(f);
    double y = full ? 1 : 255.0 / 219, c = full ? 1 : 255.0 / 224;
    double unit = 32768.0 / 4;
    return (vl_pix_colour){
        .y_gain = (uint16_t)lrint(y * 65536 / 4),
        .y_off = (int16_t)lrint((full ? 0 : 16 * y * 64) - 32),
        .rv = (int16_t)lrint(2 * (1 - kr) * c * unit),
        .gu = (int16_t)lrint(2 * (1 - kb) * kb / kg * c * unit),
        .gv = (int16_t)lrint(2 * (1 - kr) * kr / kg * c * unit),
        .bu = (int16_t)lrint(2 * (1 - kb) * c * unit),
    };
}

/* ------------------------------------------------------------------ running */

typedef struct {
    const vl_pix *pix;
    const plan *p;
    const veil_frame *f;
    const vl_frame_layout *l;
    vl_pix_colour colour;
    uint8_t *dst;
    ptrdiff_t dst_stride;
    int32_t n_jobs;
} work;

static bool plane_used(const work *w, int plane) {
    return !w->p->g.luma || w->l->rgb || plane == w->l->channel[0].plane;
}

/* Sums the caller's rows into n_rows rows of each plane's band. */
static void band_rows(const work *w, scratch *s, int32_t first, int32_t n_rows) {
    for (int p = 0; p < w->l->n_planes; p++) {
        if (!plane_used(w, p))
            continue;
        const axis *a = &w->p->y[w->l->plane[p].y_shift];
        int32_t n = vl_frame_row_samples(w->l, p, w->f->width);
        for (int32_t r = 0; r < n_rows; r++) {
            const vl_pix_tap *t = &a->tap[first + r];
            for (int32_t i = 0; i < t->count; i++)
                s->rows[i] = w->f->plane[p] + (t->start + i) * w->f->stride[p];
            uint16_t *out = s->band[p] + r * w->p->band_stride[p];
            if (w->l->bits > 8)
                w->pix->wsum_u16(out, s->rows, a->weight + t->weight, t->count, n);
            else
                w->pix->wsum_u8(out, s->rows, a->weight + t->weight, t->count, n);
        }
    }
}

/* Fills s->channel with n columns of the target from column x0 on. */
static void tile_channels(const work *w, scratch *s, int32_t x0, int32_t n) {
    int n_channels = w->p->g.luma && !w->l->rgb ? 1 : w->l->n_channels;
    int turned_plane = -1;
    int32_t base = 0;
    for (int c = 0; c < n_channels; c++) {
        const vl_frame_channel *ch = &w->l->channel[c];
        const axis *a = &w->p->x[ch->x_shift];
        if (ch->plane != turned_plane) {
            /* All channels of a plane share one turn: from the first sample any needs. */
            int32_t from = INT32_MAX, to = 0;
            for (int d = c; d < n_channels && w->l->channel[d].plane == ch->plane; d++) {
                const vl_frame_channel *o = &w->l->channel[d];
                const axis *b = &w->p->x[o->x_shift];
                int32_t lo = b->tap[x0].start * o->step;
                int32_t hi = (b->tap[x0 + n - 1].start + b->tap[x0 + n - 1].count) * o->step;
                from = lo < from ? lo : from;
                to = hi > to ? hi : to;
            }
            base = from & ~7;
            w->pix->turn_u16(s->turned, s->band[ch->plane] + base, w->p->band_stride[ch->plane],
                             (to - base + 7) & ~7);
            turned_plane = ch->plane;
        }
        w->pix->taps_u16(s->channel[c], s->turned, a->tap + x0, a->weight, n, ch->step,
                         base - ch->offset);
    }
}

/* The plain luma of a turned tile; small pictures only, so no kernel. */
static void tile_luma(const work *w, const scratch *s, uint8_t *out, ptrdiff_t stride,
                      int32_t n_rows, int32_t n) {
    for (int32_t r = 0; r < n_rows; r++) {
        for (int32_t i = 0; i < n; i++) {
            int32_t k = i * VL_PIX_ROWS + r;
            int32_t v = s->channel[0][k];
            if (w->l->rgb)
                v = (77 * v + 150 * s->channel[1][k] + 29 * s->channel[2][k]) >> 8;
            v = (v + 128) >> 8;
            out[r * stride + i] = (uint8_t)(v > 255 ? 255 : v);
        }
    }
}

/* Copies a tile of pixels of px bytes from the stored to the upright position. */
static void tile_rotate(const work *w, const scratch *s, int32_t x0, int32_t y0, int32_t n_rows,
                        int32_t n, int32_t px) {
    for (int32_t i = 0; i < n; i++) {
        for (int32_t r = 0; r < n_rows; r++) {
            int32_t x = x0 + i, y = y0 + r, ux, uy;
            if (w->f->rotation == 90) {
                ux = w->p->h - 1 - y;
                uy = x;
            } else if (w->f->rotation == 180) {
                ux = w->p->w - 1 - x;
                uy = w->p->h - 1 - y;
            } else {
                ux = y;
                uy = w->p->w - 1 - x;
            }
            const uint8_t *from = s->tile + (r * TILE + i) * px;
            uint8_t *to = w->dst + uy * w->dst_stride + (ptrdiff_t)ux * px;
            for (int32_t b = 0; b < px; b++)
                to[b] = from[b];
        }
    }
}

static void tile_write(const work *w, scratch *s, int32_t x0, int32_t y0, int32_t n_rows,
                       int32_t n) {
    int32_t px = w->p->g.luma ? 1 : 4;
    bool rotated = w->f->rotation != 0;
    uint8_t *out = rotated ? s->tile : w->dst + y0 * w->dst_stride + (ptrdiff_t)x0 * px;
    ptrdiff_t stride = rotated ? (ptrdiff_t)TILE * px : w->dst_stride;
    const uint16_t *const *c = (const uint16_t *const *)s->channel;
    if (w->p->g.luma)
        tile_luma(w, s, out, stride, n_rows, n);
    else if (w->l->rgb)
        w->pix->rgb_rgbx(out, stride, n_rows, n, c[0], c[1], c[2]);
    else
        w->pix->yuv_rgbx(out, stride, n_rows, n, c[0], c[1], c[2], &w->colour);
    if (rotated)
        tile_rotate(w, s, x0, y0, n_rows, n, px);
}

/* Job i does bands i, i + n_jobs, ... */
static void run_job(void *ctx, int32_t i) {
    const work *w = ctx;
    scratch *s = &w->p->job[i];
    if (w->l->n_channels == 1) /* grey: no colour difference */
        for (int32_t k = 0; k < TILE * VL_PIX_ROWS; k++)
            s->channel[1][k] = s->channel[2][k] = 128 << 8;
    for (int32_t y = i * VL_PIX_ROWS; y < w->p->h; y += w->n_jobs * VL_PIX_ROWS) {
        int32_t n_rows = w->p->h - y < VL_PIX_ROWS ? w->p->h - y : VL_PIX_ROWS;
        band_rows(w, s, y, n_rows);
        for (int32_t x = 0; x < w->p->w; x += TILE) {
            int32_t n = w->p->w - x < TILE ? w->p->w - x : TILE;
            tile_channels(w, s, x, n);
            tile_write(w, s, x, y, n_rows, n);
        }
    }
}

static int run(vl_scale *s, plan *p, vl_pool *pool, const veil_frame *f, const geometry *g,
               uint8_t *dst, ptrdiff_t dst_stride) {
    int32_t n_bands = (g->dst_h + VL_PIX_ROWS - 1) / VL_PIX_ROWS;
    if (g->rotation == 90 || g->rotation == 270)
        n_bands = (g->dst_w + VL_PIX_ROWS - 1) / VL_PIX_ROWS;
    int32_t n_jobs = vl_pool_threads(pool);
    n_jobs = n_jobs > MAX_JOBS ? MAX_JOBS : n_jobs;
    n_jobs = n_jobs > n_bands ? n_bands : n_jobs;
    int err = plan_set(p, g, n_jobs);
    if (err != VEIL_OK)
        return err;
    work w = {.pix = &s->pix,
              .p = p,
              .f = f,
              .l = vl_frame_layout_of(f->format),
              .colour = colour_of(f),
              .dst = dst,
              .dst_stride = dst_stride,
              .n_jobs = n_jobs};
    vl_pool_run(pool, run_job, &w, n_jobs);
    return VEIL_OK;
}

/* ------------------------------------------------------------------ interface */

int vl_scale_create(vl_scale **out) {
    *out = vl_mem_alloc(1, sizeof **out);
    if (*out == NULL)
        return VEIL_E_NOMEM;
    vl_scale_set_cpu(*out, 0);
    return VEIL_OK;
}

void vl_scale_destroy(vl_scale *s) {
    if (s == NULL)
        return;
    plan_free(&s->fill);
    plan_free(&s->luma);
    vl_mem_free(s);
}

void vl_scale_set_cpu(vl_scale *s, uint32_t cpu_off) {
    vl_pix_init(&s->pix, vl_cpu_levels(cpu_off));
}

static void fill_grey(uint8_t *px, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        px[4 * i] = px[4 * i + 1] = px[4 * i + 2] = GREY;
        px[4 * i + 3] = 0;
    }
}

int vl_scale_fill(vl_scale *s, vl_pool *pool, const veil_frame *f, uint8_t *dst, int32_t dst_w,
                  int32_t dst_h, vl_scale_map *map) {
    int err = vl_frame_check(f);
    if (err != VEIL_OK)
        return err;
    if (s == NULL || dst == NULL)
        return VEIL_E_ARG;
    if (dst_w < 1 || dst_h < 1 || dst_w > SIZE_MAX_DST || dst_h > SIZE_MAX_DST)
        return VEIL_E_SIZE;
    int32_t uw = vl_frame_upright_width(f), uh = vl_frame_upright_height(f);
    double part = fmin((double)dst_w / uw, (double)dst_h / uh);
    int32_t w = (int32_t)lrint(uw * part), h = (int32_t)lrint(uh * part);
    w = w < 1 ? 1 : w > dst_w ? dst_w : w;
    h = h < 1 ? 1 : h > dst_h ? dst_h : h;
    geometry g = {f->format, f->width, f->height, f->rotation, w, h, false};
    ptrdiff_t stride = (ptrdiff_t)dst_w * 4;
    err = run(s, &s->fill, pool, f, &g, dst, stride);
    if (err != VEIL_OK)
        return err;
    for (int32_t y = 0; y < h && w < dst_w; y++)
        fill_grey(dst + y * stride + (ptrdiff_t)w * 4, dst_w - w);
    for (int32_t y = h; y < dst_h; y++)
        fill_grey(dst + y * stride, dst_w);
    if (map != NULL)
        *map = (vl_scale_map){(float)uw / (float)w, (float)uh / (float)h, w, h};
    return VEIL_OK;
}

int vl_scale_luma(vl_scale *s, const veil_frame *f, uint8_t *dst, int32_t w, int32_t h) {
    int err = vl_frame_check(f);
    if (err != VEIL_OK)
        return err;
    if (s == NULL || dst == NULL)
        return VEIL_E_ARG;
    if (w < 1 || h < 1 || w > SIZE_MAX_DST || h > SIZE_MAX_DST)
        return VEIL_E_SIZE;
    geometry g = {f->format, f->width, f->height, f->rotation, w, h, true};
    return run(s, &s->luma, NULL, f, &g, dst, w);
}
