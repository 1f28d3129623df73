/* See redact.h. Order of work: shapes (mask.c), groups, colours of every group (around.c, cells.c),
 * and only then painting, so that no colour is taken of what was drawn and no average of a face
 * twice. Groups are painted one over the other; where soft edges meet, their strengths add up. */
#include "redact.h"

#include "around.h"
#include "cpu.h"
#include "mem.h"
#include "overlay.h"

#include <stdlib.h>
#include <string.h>

#define COVER_RGB    0x202020u
#define GROUP_STEP   16 /* px */
#define CORE_FEATHER 0.04f

typedef struct {
    size_t first, n; /* masks */
    vl_mask_area whole, area;
    vl_cells cells;
} group;

struct vl_redact {
    vl_pix pix;
    /* For one width and format. */
    veil_format format;
    int32_t width;
    vl_cells_rows rows;
    uint8_t *alpha[2];    /* two luma rows of a group's area */
    uint8_t *alpha_half;  /* chroma */
    uint8_t *alpha_aside; /* a row of the frame: what stays clear, or is hidden in any case */
    uint8_t *alpha_plane; /* as the samples of a plane lie */
    void *paint;          /* one row of a plane */
    /* Grow with the number of masks. */
    vl_mask *mask;
    size_t mask_room;
    group *group;
    size_t group_room;
    float *distance;
    size_t distance_room;
    vl_cells *past; /* grids of the drawing before, for style.settle */
    size_t past_room, n_past;
    vl_mask_area *hidden; /* areas of all groups */
    size_t hidden_room;
    vl_around around;
    /* Faces beside the masks: n_clear of them, then n_core. */
    vl_mask *aside;
    size_t aside_room, n_clear, n_core;
    float *aside_distance;
    size_t aside_distance_room;
};

/* ------------------------------------------------------------------ memory */

static void free_rows(vl_redact *r) {
    vl_cells_rows_free(&r->rows);
    vl_mem_free(r->alpha[0]);
    vl_mem_free(r->alpha[1]);
    vl_mem_free(r->alpha_half);
    vl_mem_free(r->alpha_aside);
    vl_mem_free(r->alpha_plane);
    vl_mem_free(r->paint);
    r->alpha[0] = r->alpha[1] = r->alpha_half = r->alpha_aside = r->alpha_plane = NULL;
    r->paint = NULL;
    r->width = 0;
    r->n_past = 0;
}

static int make_rows(vl_redact *r, const veil_frame *f) {
    if (r->width == f->width && r->format == f->format)
        return VEIL_OK;
    const vl_frame_layout *l = vl_frame_layout_of(f->format);
    int32_t widest = 0;
    for (int p = 0; p < l->n_planes; p++) {
        int32_t n = vl_frame_row_samples(l, p, f->width);
        widest = n > widest ? n : widest;
    }
    free_rows(r);
    size_t px = (size_t)f->width + 2;
    for (int i = 0; i < 2; i++)
        r->alpha[i] = vl_mem_alloc(px, 1);
    r->alpha_half = vl_mem_alloc(px, 1);
    r->alpha_aside = vl_mem_alloc(px, 1);
    r->alpha_plane = vl_mem_alloc((size_t)widest, 1);
    r->paint = vl_mem_alloc((size_t)widest, sizeof(uint16_t));
    if (r->alpha[0] == NULL || r->alpha[1] == NULL || r->alpha_half == NULL ||
        r->alpha_plane == NULL || r->alpha_aside == NULL || r->paint == NULL ||
        vl_cells_rows_make(&r->rows, l, f->width) != VEIL_OK) {
        free_rows(r);
        return VEIL_E_NOMEM;
    }
    r->width = f->width;
    r->format = f->format;
    return VEIL_OK;
}

/* Room for n things of size bytes; what was there is lost. */
static bool make_room(void **p, size_t *room, size_t n, size_t size) {
    if (n <= *room)
        return true;
    size_t want = n < 64 ? 64 : n + n / 2;
    vl_mem_free(*p);
    *p = vl_mem_alloc(want, size);
    *room = *p != NULL ? want : 0;
    return *p != NULL;
}

int vl_redact_create(vl_redact **out) {
    *out = vl_mem_alloc(1, sizeof **out);
    if (*out == NULL)
        return VEIL_E_NOMEM;
    vl_redact_set_cpu(*out, 0);
    return VEIL_OK;
}

void vl_redact_destroy(vl_redact *r) {
    if (r == NULL)
        return;
    free_rows(r);
    vl_mem_free(r->mask);
    vl_mem_free(r->group);
    vl_mem_free(r->distance);
    vl_mem_free(r->past);
    vl_mem_free(r->hidden);
    vl_mem_free(r->aside);
    vl_mem_free(r->aside_distance);
    vl_mem_free(r);
}

void vl_redact_set_cpu(vl_redact *r, uint32_t cpu_off) {
    vl_pix_init(&r->pix, vl_cpu_levels(cpu_off));
}

/* ------------------------------------------------------------------ painting */

/* Puts a channel's alpha where its samples lie in the plane's row. */
static void place(uint8_t *out, const uint8_t *alpha, const vl_frame_channel *ch, int32_t n) {
    out += ch->offset;
    if (ch->step == 2)
        for (int32_t i = 0; i < n; i++)
            out[2 * i] = alpha[i];
    else if (ch->step == 3)
        for (int32_t i = 0; i < n; i++)
            out[3 * i] = alpha[i];
    else
        for (int32_t i = 0; i < n; i++)
            out[4 * i] = alpha[i];
}

/* Alpha of n px of the two luma rows a and b in the order of plane p's samples. The entry of an
 * alpha channel stays 0. */
static uint8_t *plane_alpha(vl_redact *r, const vl_frame_layout *l, int p, uint8_t *a, uint8_t *b,
                            int32_t n) {
    int32_t half = (n + 1) / 2;
    bool halved = false;
    for (int k = 0; k < l->n_channels; k++) {
        const vl_frame_channel *ch = &l->channel[k];
        if (ch->plane != p)
            continue;
        if (ch->x_shift != 0 && !halved) {
            r->pix.alpha_half(r->alpha_half, a, b, half);
            halved = true;
        }
        uint8_t *alpha = ch->x_shift != 0 ? r->alpha_half : a;
        if (ch->step == 1)
            return alpha;
        place(r->alpha_plane, alpha, ch, ch->x_shift != 0 ? half : n);
    }
    return r->alpha_plane;
}

typedef struct {
    vl_redact *r;
    const veil_frame *f;
    const vl_frame_layout *l;
    const group *g;
    const vl_overlay *overlay; /* painted instead of the cells when not NULL */
} job;

/* Blends columns lo..lo+n (relative to the group's area) of row y (of the plane) of plane p. */
static void paint_row(const job *j, int p, int32_t y, int32_t lo, int32_t n, uint8_t *a,
                      uint8_t *b) {
    const vl_frame_layout *l = j->l;
    int32_t x0 = j->g->area.x0;
    int32_t first = vl_frame_row_samples(l, p, x0 + lo);
    int32_t samples = vl_frame_row_samples(l, p, x0 + lo + n) - first;
    int32_t from = first - vl_frame_row_samples(l, p, x0);
    int bytes = l->plane[p].sample_bytes;
    uint8_t *alpha = plane_alpha(j->r, l, p, a + lo, b + lo, n);
    uint8_t *paint = (uint8_t *)j->r->paint + (ptrdiff_t)from * bytes;
    if (j->overlay != NULL) {
        /* It changes alpha, which other planes still need as it is. */
        if (alpha != j->r->alpha_plane)
            alpha = memcpy(j->r->alpha_plane, alpha, (size_t)samples);
        vl_overlay_paint(j->overlay, l, p, x0 + lo, y, n, paint, alpha);
    } else {
        vl_cells_paint(&j->g->cells, &j->r->pix, l, &j->r->rows, p, y, from, samples, paint);
    }
    uint8_t *dst = j->f->plane[p] + y * j->f->stride[p] + (ptrdiff_t)first * bytes;
    (bytes == 2 ? j->r->pix.blend_u16 : j->r->pix.blend_u8)(dst, paint, alpha, samples);
}

/* Row y of one mask beside the group's, in r->alpha_aside in columns of the frame; *x0..*x1 is
 * where it may be above 0 inside the group. False: nowhere. */
static bool aside_row(vl_redact *r, const group *g, const vl_mask *m, int32_t y, int32_t *x0,
                      int32_t *x1) {
    if (y < m->area.y0 || y >= m->area.y1)
        return false;
    *x0 = m->area.x0 > g->area.x0 ? m->area.x0 : g->area.x0;
    *x1 = m->area.x1 < g->area.x1 ? m->area.x1 : g->area.x1;
    if (*x0 >= *x1)
        return false;
    int32_t lo, hi;
    lo = hi = 0;
    memset(r->alpha_aside + m->area.x0, 0, (size_t)(m->area.x1 - m->area.x0));
    vl_mask_row(m, &r->pix, y, 0, r->alpha_aside, &lo, &hi);
    return true;
}

/* Takes the faces that stay clear out of a row of a group's alpha, and puts its hidden ones in
 * again. */
static void spare_row(vl_redact *r, const group *g, int32_t y, uint8_t *alpha) {
    int32_t x0, x1;
    for (size_t i = 0; i < r->n_clear; i++) {
        if (!aside_row(r, g, &r->aside[i], y, &x0, &x1))
            continue;
        for (int32_t x = x0; x < x1; x++) {
            uint8_t most = (uint8_t)(255 - r->alpha_aside[x]), *a = &alpha[x - g->area.x0];
            *a = *a < most ? *a : most;
        }
    }
    for (size_t i = g->first; i < g->first + g->n; i++) {
        size_t core = r->mask[i].origin;
        if (core >= r->n_core || !aside_row(r, g, &r->aside[r->n_clear + core], y, &x0, &x1))
            continue;
        for (int32_t x = x0; x < x1; x++) {
            uint8_t least = r->alpha_aside[x], *a = &alpha[x - g->area.x0];
            *a = *a > least ? *a : least;
        }
    }
}

/* Rows y and y + 1 of luma, y even, and the chroma that belongs to them. */
static void paint_pair(const job *j, int32_t y) {
    vl_redact *r = j->r;
    const group *g = j->g;
    int32_t width = g->area.x1 - g->area.x0, lo = width, hi = 0;
    for (int32_t i = 0; i < 2; i++) {
        memset(r->alpha[i], 0, (size_t)width + 2);
        if (y + i >= j->f->height)
            continue;
        for (size_t k = g->first; k < g->first + g->n; k++)
            vl_mask_row(&r->mask[k], &r->pix, y + i, g->area.x0, r->alpha[i], &lo, &hi);
        if (r->n_clear > 0 && lo < hi) {
            spare_row(r, g, y + i, r->alpha[i]);
            lo = 0; /* a core may lie beside the ellipse */
            hi = width;
        }
    }
    if (lo >= hi)
        return;
    lo &= ~1;
    hi = (hi + 1) & ~1;
    int32_t n = (hi < width ? hi : width) - lo;
    for (int p = 0; p < j->l->n_planes; p++) {
        if (j->l->plane[p].y_shift != 0) {
            paint_row(j, p, y / 2, lo, n, r->alpha[0], r->alpha[1]);
            continue;
        }
        for (int32_t i = 0; i < 2 && y + i < j->f->height; i++)
            paint_row(j, p, y + i, lo, n, r->alpha[i], r->alpha[i]);
    }
}

static int paint_group(const job *j) {
    vl_redact *r = j->r;
    const group *g = j->g;
    size_t need = 0;
    for (size_t k = g->first; k < g->first + g->n; k++)
        need += (size_t)(r->mask[k].area.x1 - r->mask[k].area.x0);
    void *room = r->distance;
    bool ok = make_room(&room, &r->distance_room, need, sizeof *r->distance);
    r->distance = room;
    if (!ok)
        return VEIL_E_NOMEM;
    float *next = r->distance;
    for (size_t k = g->first; k < g->first + g->n; k++) {
        vl_mask_distances(&r->mask[k], next);
        next += r->mask[k].area.x1 - r->mask[k].area.x0;
    }
    if (j->overlay == NULL)
        vl_cells_spread(&g->cells, &r->pix, j->f, &r->rows);
    for (int32_t y = g->area.y0; y < g->area.y1; y += 2)
        paint_pair(j, y);
    return VEIL_OK;
}

/* ------------------------------------------------------------------ groups */

static int by_group(const void *a, const void *b) {
    const vl_mask *p = a, *q = b;
    return (p->group > q->group) - (p->group < q->group);
}

/* Small ones first: the larger face is nearer to the camera. */
static int by_size(const void *a, const void *b) {
    const group *p = a, *q = b;
    int64_t s = (int64_t)(p->area.x1 - p->area.x0) * (p->area.y1 - p->area.y0);
    int64_t t = (int64_t)(q->area.x1 - q->area.x0) * (q->area.y1 - q->area.y0);
    if (s != t)
        return s < t ? -1 : 1;
    return (p->first > q->first) - (p->first < q->first);
}

/* Grown to even edges, so that chroma samples belong to it whole. */
static void even_area(vl_mask_area *a) {
    a->x0 &= ~1;
    a->y0 &= ~1;
    a->x1 = (a->x1 + 1) & ~1;
    a->y1 = (a->y1 + 1) & ~1;
}

/* Masks that move against each other shall not change their common grid with every step. */
static void round_area(vl_mask_area *a) {
    a->x1 += (GROUP_STEP - (a->x1 - a->x0) % GROUP_STEP) % GROUP_STEP;
    a->y1 += (GROUP_STEP - (a->y1 - a->y0) % GROUP_STEP) % GROUP_STEP;
}

static void clip_area(vl_mask_area *a, const veil_frame *f) {
    a->x1 = a->x1 < f->width ? a->x1 : f->width;
    a->y1 = a->y1 < f->height ? a->y1 : f->height;
}

static void join_area(vl_mask_area *to, const vl_mask_area *a) {
    to->x0 = a->x0 < to->x0 ? a->x0 : to->x0;
    to->y0 = a->y0 < to->y0 ? a->y0 : to->y0;
    to->x1 = a->x1 > to->x1 ? a->x1 : to->x1;
    to->y1 = a->y1 > to->y1 ? a->y1 : to->y1;
}

/* Sorts n masks into groups; returns how many. */
static size_t make_groups(vl_redact *r, const veil_frame *f, size_t n) {
    size_t n_groups = 0;
    vl_mask_group(r->mask, n);
    qsort(r->mask, n, sizeof *r->mask, by_group);
    for (size_t i = 0; i < n; i++) {
        const vl_mask *m = &r->mask[i];
        if (i == 0 || m->group != r->mask[i - 1].group) {
            r->group[n_groups] = (group){.first = i, .whole = m->whole, .area = m->area};
            n_groups++;
        }
        group *g = &r->group[n_groups - 1];
        g->n++;
        join_area(&g->whole, &m->whole);
        join_area(&g->area, &m->area);
    }
    for (size_t i = 0; i < n_groups; i++) {
        even_area(&r->group[i].whole);
        if (r->group[i].n > 1)
            round_area(&r->group[i].whole);
        even_area(&r->group[i].area);
        clip_area(&r->group[i].area, f);
    }
    qsort(r->group, n_groups, sizeof *r->group, by_size);
    return n_groups;
}

static void measure_groups(vl_redact *r, const veil_frame *f, size_t n,
                           const vl_redact_style *style) {
    uint16_t native[3];
    vl_frame_native_rgb(f, style->fill_rgb, native);
    for (size_t i = 0; i < n; i++)
        r->hidden[i] = r->group[i].area;
    for (size_t i = 0; i < n; i++) {
        group *g = &r->group[i];
        if (style->style == VEIL_STYLE_SOLID) {
            vl_cells_solid(&g->cells, g->area, f, native);
            continue;
        }
        g->cells.flat = style->style == VEIL_STYLE_MOSAIC || style->style == VEIL_STYLE_WEAK_MOSAIC;
        vl_cells_grid(&g->cells, g->whole, g->area, style->cells);
        if (veil_style_is_weak(style->style))
            vl_cells_measure(&g->cells, &r->pix, f, &r->rows);
        else
            vl_around_fill(&r->around, &g->cells, r->hidden, n, &r->pix, f, &r->rows);
    }
}

/* Colours that tremble cost more in the encoder than they tell the viewer. Of a weak style averages
 * of the drawing before over the same cells are drawn then: nothing more of the face than these. */
static int settle_groups(vl_redact *r, size_t n, veil_style style) {
    for (size_t i = 0; i < n; i++) {
        if (style != VEIL_STYLE_SOLID && !veil_style_is_weak(style)) {
            vl_around_ease(&r->group[i].cells, r->past, r->n_past);
            continue;
        }
        const vl_cells *best = NULL;
        for (size_t k = 0; k < r->n_past; k++)
            if (vl_cells_nearer(&r->group[i].cells, &r->past[k], best))
                best = &r->past[k];
        if (best != NULL)
            vl_cells_settle(&r->group[i].cells, best);
    }
    void *room = r->past;
    r->n_past = make_room(&room, &r->past_room, n, sizeof *r->past) ? n : 0;
    r->past = room;
    for (size_t i = 0; i < r->n_past; i++)
        r->past[i] = r->group[i].cells;
    return r->n_past == n ? VEIL_OK : VEIL_E_NOMEM;
}

/* Images lie on masks that are hidden already, each clipped to its mask's alpha. */
static int draw_images(vl_redact *r, const veil_frame *f, size_t n, const vl_redact_style *style) {
    int err = VEIL_OK;
    for (size_t i = 0; i < n && err == VEIL_OK; i++) {
        vl_overlay o;
        vl_overlay_make(&o, f, &r->mask[i], style);
        group g = {.first = i, .n = 1, .area = r->mask[i].area};
        even_area(&g.area);
        clip_area(&g.area, f);
        job j = {r, f, vl_frame_layout_of(f->format), &g, &o};
        err = paint_group(&j);
    }
    return err;
}

/* Shapes of what is beside the masks; cores count only where something stays clear. */
static bool make_aside(vl_redact *r, const veil_frame *f, const vl_redact_aside *aside) {
    r->n_clear = r->n_core = 0;
    if (aside == NULL || aside->n_clear == 0)
        return true;
    void *room = r->aside;
    bool ok = make_room(&room, &r->aside_room, aside->n_clear + aside->n_core, sizeof *r->aside);
    r->aside = room;
    size_t px = 0;
    for (size_t i = 0; ok && i < aside->n_clear; i++) {
        vl_mask *m = &r->aside[r->n_clear];
        if (vl_mask_make_clear(m, f, aside->clear[i])) {
            px += (size_t)(m->area.x1 - m->area.x0);
            r->n_clear++;
        }
    }
    const vl_redact_style hard = {.shape = VEIL_SHAPE_BOX, .feather = CORE_FEATHER};
    for (size_t i = 0; ok && r->n_clear > 0 && i < aside->n_core; i++) {
        vl_mask *m = &r->aside[r->n_clear + r->n_core];
        if (!vl_mask_make(m, f, aside->core[i], &hard)) {
            r->n_clear = r->n_core = 0; /* nothing is spared beside a face that is anywhere */
            return true;
        }
        px += (size_t)(m->area.x1 - m->area.x0);
        r->n_core++;
    }
    room = r->aside_distance;
    ok = ok && make_room(&room, &r->aside_distance_room, px + 1, sizeof *r->aside_distance);
    r->aside_distance = room;
    float *next = r->aside_distance;
    for (size_t i = 0; ok && i < r->n_clear + r->n_core; i++) {
        vl_mask_distances(&r->aside[i], next);
        next += r->aside[i].area.x1 - r->aside[i].area.x0;
    }
    return ok;
}

int vl_redact_draw(vl_redact *r, const veil_frame *f, const vl_rect *masks, size_t n,
                   const vl_redact_style *style) {
    return vl_redact_draw_beside(r, f, masks, n, style, NULL);
}

int vl_redact_draw_beside(vl_redact *r, const veil_frame *f, const vl_rect *masks, size_t n,
                          const vl_redact_style *style, const vl_redact_aside *aside) {
    int err = vl_frame_check(f);
    if (err != VEIL_OK)
        return err;
    if (r == NULL || style == NULL || (masks == NULL && n != 0) || n > INT32_MAX ||
        (aside != NULL && aside->n_zones > n))
        return VEIL_E_ARG;
    if (n == 0 || style->style == VEIL_STYLE_NONE)
        return VEIL_OK;
    void *room = r->mask;
    bool ok = make_room(&room, &r->mask_room, n, sizeof *r->mask);
    r->mask = room;
    room = r->group;
    ok = make_room(&room, &r->group_room, n, sizeof *r->group) && ok;
    r->group = room;
    room = r->hidden;
    ok = make_room(&room, &r->hidden_room, n, sizeof *r->hidden) && ok;
    r->hidden = room;
    if (!ok || make_rows(r, f) != VEIL_OK || !make_aside(r, f, aside))
        return VEIL_E_NOMEM;
    size_t used = 0, n_faces = aside != NULL ? n - aside->n_zones : n;
    vl_redact_style zone = *style;
    zone.shape = VEIL_SHAPE_BOX;
    for (size_t i = 0; i < n; i++) {
        vl_mask *m = &r->mask[used];
        if (!vl_mask_make(m, f, masks[i], i < n_faces ? style : &zone)) {
            vl_redact_cover(f);
            return VEIL_OK;
        }
        m->origin = i;
        used += m->area.x0 < m->area.x1 && m->area.y0 < m->area.y1;
    }
    size_t n_groups = make_groups(r, f, used);
    measure_groups(r, f, n_groups, style);
    if (style->settle && settle_groups(r, n_groups, style->style) != VEIL_OK)
        return VEIL_E_NOMEM;
    for (size_t i = 0; i < n_groups && err == VEIL_OK; i++) {
        job j = {r, f, vl_frame_layout_of(f->format), &r->group[i], NULL};
        err = paint_group(&j);
    }
    if (err == VEIL_OK && vl_overlay_usable(style))
        err = draw_images(r, f, used, style);
    return err;
}

void vl_redact_forget(vl_redact *r) {
    r->n_past = 0;
}

/* ------------------------------------------------------------------ cover */

void vl_redact_cover(const veil_frame *f) {
    const vl_frame_layout *l = vl_frame_layout_of(f->format);
    uint16_t native[3];
    vl_frame_native_rgb(f, COVER_RGB, native);
    for (int k = 0; k < l->n_channels; k++) {
        const vl_frame_channel *ch = &l->channel[k];
        int32_t n = (f->width + (1 << ch->x_shift) - 1) >> ch->x_shift;
        int32_t rows = (f->height + (1 << ch->y_shift) - 1) >> ch->y_shift;
        for (int32_t y = 0; y < rows; y++) {
            uint8_t *row = f->plane[ch->plane] + y * f->stride[ch->plane];
            uint8_t *d = row + ch->offset;
            uint16_t *d16 = (uint16_t *)(void *)row;
            if (l->bits > 8)
                for (int32_t x = 0; x < n; x++)
                    d16[x] = native[k];
            else if (ch->step == 1)
                memset(d, native[k], (size_t)n);
            else
                for (int32_t x = 0; x < n; x++)
                    d[x * ch->step] = (uint8_t)native[k];
        }
    }
}
