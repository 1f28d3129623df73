/* See mask.h. The ellipse goes through the corners of the box's inner 4/5, so that it holds the
 * whole box of the detector when the padding is the default, and cuts only what padding added. The
 * head is the same ellipse over a box grown for hair and chin, upwards as the picture is seen.
 * Soft edges lie outside: a pixel of which any part is inside the shape is at full strength. */
#include "mask.h"

#include <math.h>
#include <string.h>

#define ELLIPSE_PART 0.8f /* of the box that the ellipse must contain */
#define FAR_PX       1e6f /* coordinates are clipped here: far outside any frame */
#define SMALLEST_PX  8.0f /* a smaller box is grown: a face is never so small */
#define GROUP_PART   0.3f /* of the smaller mask's box */
#define CLEAR_PART   0.9f /* of a spared face's ellipse that stays quite clear */

static float clip_far(float v) {
    return fminf(fmaxf(v, -FAR_PX), FAR_PX);
}

static int32_t clip_px(float v, int32_t top) {
    return v < 0 ? 0 : v > (float)top ? top : (int32_t)v;
}

static vl_rect head_box(const veil_frame *f, vl_rect box) {
    vl_rect u = vl_frame_to_upright(f, box);
    vl_rect grown = {u.x - 0.1f * u.w, u.y - 0.3f * u.h, u.w * 1.2f, u.h * 1.4f};
    return vl_frame_from_upright(f, grown);
}

static void set_area(vl_mask *m, const veil_frame *f, float outer_x, float outer_y) {
    float x0 = floorf(m->cx - outer_x), x1 = ceilf(m->cx + outer_x);
    float y0 = floorf(m->cy - outer_y), y1 = ceilf(m->cy + outer_y);
    m->whole = (vl_mask_area){(int32_t)x0, (int32_t)y0, (int32_t)x1, (int32_t)y1};
    m->area = (vl_mask_area){clip_px(x0, f->width), clip_px(y0, f->height), clip_px(x1, f->width),
                             clip_px(y1, f->height)};
}

bool vl_mask_make(vl_mask *m, const veil_frame *f, vl_rect b, const vl_redact_style *style) {
    *m = (vl_mask){.box = style->shape == VEIL_SHAPE_BOX, .group = -1};
    if (!isfinite(b.x) || !isfinite(b.y) || !isfinite(b.w) || !isfinite(b.h))
        return false;
    float x0 = clip_far(fminf(b.x, b.x + b.w)), x1 = clip_far(fmaxf(b.x, b.x + b.w));
    float y0 = clip_far(fminf(b.y, b.y + b.h)), y1 = clip_far(fmaxf(b.y, b.y + b.h));
    b = (vl_rect){x0, y0, x1 - x0, y1 - y0};
    if (style->shape == VEIL_SHAPE_HEAD)
        b = head_box(f, b);
    m->cx = b.x + b.w / 2;
    m->cy = b.y + b.h / 2;
    b.w = fmaxf(b.w, SMALLEST_PX);
    b.h = fmaxf(b.h, SMALLEST_PX);
    /* Written so that a feather that is not a number gives a hard edge. */
    float feather = style->feather > 0 ? fminf(style->feather, 1) : 0;
    float outer_x, outer_y;
    if (m->box) {
        m->half_x = b.w / 2 + 0.5f;
        m->half_y = b.h / 2 + 0.5f;
        m->soft_x = fmaxf(feather * b.w, 1e-3f);
        m->soft_y = fmaxf(feather * b.h, 1e-3f);
        outer_x = m->half_x + m->soft_x;
        outer_y = m->half_y + m->soft_y;
    } else {
        const float grow = ELLIPSE_PART * 1.41421356f;
        m->half_x = b.w / 2 * grow + 0.75f; /* over half a pixel's diagonal */
        m->half_y = b.h / 2 * grow + 0.75f;
        float radius = 1 + 2 * feather / grow;
        m->ring = fmaxf(radius * radius - 1, 1e-4f);
        outer_x = m->half_x * radius + 1e-3f;
        outer_y = m->half_y * radius + 1e-3f;
    }
    set_area(m, f, outer_x, outer_y);
    return true;
}

bool vl_mask_make_clear(vl_mask *m, const veil_frame *f, vl_rect b) {
    *m = (vl_mask){.group = -1};
    if (!(fabsf(b.x) < FAR_PX) || !(fabsf(b.y) < FAR_PX) || !(b.w > SMALLEST_PX && b.w < FAR_PX) ||
        !(b.h > SMALLEST_PX && b.h < FAR_PX))
        return false;
    m->cx = b.x + b.w / 2;
    m->cy = b.y + b.h / 2;
    m->half_x = b.w / 2 * CLEAR_PART;
    m->half_y = b.h / 2 * CLEAR_PART;
    m->ring = 1 / (CLEAR_PART * CLEAR_PART) - 1;
    set_area(m, f, b.w / 2, b.h / 2);
    return m->area.x0 < m->area.x1 && m->area.y0 < m->area.y1;
}

/* ------------------------------------------------------------------ groups */

static bool overlap(const vl_mask *a, const vl_mask *b) {
    float w =
        fminf(a->cx + a->half_x, b->cx + b->half_x) - fmaxf(a->cx - a->half_x, b->cx - b->half_x);
    float h =
        fminf(a->cy + a->half_y, b->cy + b->half_y) - fmaxf(a->cy - a->half_y, b->cy - b->half_y);
    if (w <= 0 || h <= 0)
        return false;
    float smaller = fminf(a->half_x * a->half_y, b->half_x * b->half_y) * 4;
    return w * h > GROUP_PART * smaller;
}

/* Groups are numbered by their first mask; a pass repeats until nothing joins any more. */
void vl_mask_group(vl_mask *masks, size_t n) {
    for (size_t i = 0; i < n; i++) {
        masks[i].group = (int32_t)i;
        for (size_t k = 0; k < i; k++) {
            int32_t to = masks[k].group, from = masks[i].group;
            if (to == from || !overlap(&masks[i], &masks[k]))
                continue;
            int32_t low = to < from ? to : from, high = to < from ? from : to;
            for (size_t j = 0; j <= i; j++)
                if (masks[j].group == high)
                    masks[j].group = low;
        }
    }
}

/* ------------------------------------------------------------------ rows */

void vl_mask_distances(vl_mask *m, float *distance) {
    int32_t n = m->area.x1 - m->area.x0;
    float first = (float)m->area.x0 + 0.5f - m->cx;
    float inv = 1 / (m->box ? m->soft_x : m->half_x);
    float inside = m->box ? m->half_x : 0;
    for (int32_t i = 0; i < n; i++) {
        float d = (fmaxf(fabsf(first + (float)i) - inside, 0)) * inv;
        distance[i] = d * d;
    }
    m->distance = distance;
}

/* Columns from..to of the area by the exact formula; the kernel wants 8 at least. */
static void soft_span(const vl_mask *m, const vl_pix *pix, float add, int32_t x0, uint8_t *alpha,
                      int32_t from, int32_t to) {
    if (from >= to)
        return;
    float inv = m->box ? 1 : 1 / m->ring;
    pix->alpha_row(alpha + (m->area.x0 + from - x0), m->distance + from, add, inv, to - from);
}

void vl_mask_row(const vl_mask *m, const vl_pix *pix, int32_t y, int32_t x0, uint8_t *alpha,
                 int32_t *lo, int32_t *hi) {
    if (y < m->area.y0 || y >= m->area.y1)
        return;
    float dy = fabsf((float)y + 0.5f - m->cy);
    float v = m->box ? fmaxf(dy - m->half_y, 0) / m->soft_y : dy / m->half_y;
    /* Hidden where distance + add <= 0, untouched from limit on. */
    float add = m->box ? v * v : v * v - 1, limit = m->box ? 1 : m->ring;
    if (add >= limit)
        return;
    float outer =
        m->box ? m->half_x + m->soft_x * sqrtf(limit - add) : m->half_x * sqrtf(limit - add);
    float inner = 0;
    if (add <= 0)
        inner = m->box ? m->half_x : m->half_x * sqrtf(-add);
    int32_t width = m->area.x1 - m->area.x0;
    float centre = m->cx - (float)m->area.x0;
    int32_t o0 = clip_px(centre - outer - 1, width), o1 = clip_px(centre + outer + 2, width);
    /* A pixel of margin on each side leaves rounding to the exact formula. */
    int32_t i0 = clip_px(centre - inner + 2, width), i1 = clip_px(centre + inner - 2, width);
    if (i1 - i0 < 16) {
        soft_span(m, pix, add, x0, alpha, o0, o1);
    } else {
        memset(alpha + (m->area.x0 + i0 - x0), 255, (size_t)(i1 - i0));
        int32_t left = i0 - o0 < 8 ? o0 + 8 : i0, right = o1 - i1 < 8 ? o1 - 8 : i1;
        soft_span(m, pix, add, x0, alpha, o0, i0 > o0 ? left : o0);
        soft_span(m, pix, add, x0, alpha, o1 > i1 ? right : o1, o1);
    }
    *lo = o0 + m->area.x0 - x0 < *lo ? o0 + m->area.x0 - x0 : *lo;
    *hi = o1 + m->area.x0 - x0 > *hi ? o1 + m->area.x0 - x0 : *hi;
}
