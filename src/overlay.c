/* See overlay.h. Each sample is the mean of four points of the image, weighted by their alpha:
 * enough for stickers of up to twice the face's size; larger pictures should be scaled first. */
#include "overlay.h"

#include <math.h>

#define SIZE_MAX_PX 4096

bool vl_overlay_usable(const vl_redact_style *s) {
    ptrdiff_t row = (ptrdiff_t)s->image_width * 4;
    return s->style == VEIL_STYLE_IMAGE && s->image != NULL && s->image_width >= 1 &&
           s->image_width <= SIZE_MAX_PX && s->image_height >= 1 &&
           s->image_height <= SIZE_MAX_PX && (s->image_stride >= row || s->image_stride <= -row);
}

void vl_overlay_make(vl_overlay *o, const veil_frame *f, const vl_mask *m,
                     const vl_redact_style *style) {
    *o = (vl_overlay){.image = style->image,
                      .width = style->image_width,
                      .height = style->image_height,
                      .stride = style->image_stride,
                      .x = m->cx - m->half_x,
                      .y = m->cy - m->half_y,
                      .scale_x = (float)style->image_width / (2 * m->half_x),
                      .scale_y = (float)style->image_height / (2 * m->half_y),
                      .top = vl_frame_layout_of(f->format)->bits > 8 ? 1023 : 255};
    vl_frame_native_matrix(f, o->native);
}

/* Position v of the frame in image px, 16 binary places. */
static int64_t under(float v, float origin, float scale) {
    return (int64_t)((v - origin) * scale * 65536.0f);
}

static int32_t inside(int64_t at, int32_t n) {
    int64_t i = at >> 16;
    return i < 0 ? 0 : i < n ? (int32_t)i : n - 1;
}

static uint32_t load_rgba(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Sums of the channels of four pixels; when not all are opaque, each pixel counts by its alpha and
 * the sums are brought back to those of four opaque ones. Returns the sum of alphas. */
static int32_t sum4(const uint8_t *const px[4], int32_t rgb[3]) {
    uint32_t even = 0, odd = 0; /* red and blue, green and alpha, 16 bits each */
    for (int i = 0; i < 4; i++) {
        uint32_t v = load_rgba(px[i]);
        even += v & 0x00ff00ffu;
        odd += v >> 8 & 0x00ff00ffu;
    }
    int32_t alpha = (int32_t)(odd >> 16);
    rgb[0] = (int32_t)(even & 0xffff);
    rgb[1] = (int32_t)(odd & 0xffff);
    rgb[2] = (int32_t)(even >> 16);
    if (alpha == 4 * 255 || alpha == 0)
        return alpha;
    for (int k = 0; k < 3; k++) {
        int32_t sum = 0;
        for (int i = 0; i < 4; i++)
            sum += px[i][k] * px[i][3];
        rgb[k] = sum * 4 / alpha;
    }
    return alpha;
}

/* One channel of one row; row pointers are the image's under the upper and lower half of it. */
static void paint_channel(const vl_overlay *o, const vl_frame_channel *ch, int k,
                          const uint8_t *const row[2], int32_t x, int32_t n, bool wide, void *paint,
                          uint8_t *alpha) {
    uint8_t *p8 = paint;
    uint16_t *p16 = paint;
    int32_t m[4], top = (int32_t)o->top; /* 18 binary places for the mean of four */
    for (int i = 0; i < 4; i++)
        m[i] = (int32_t)lrintf(o->native[k][i] * (i < 3 ? 65536.0f : 262144.0f));
    float w = (float)(1 << ch->x_shift);
    int64_t at = under((float)x + w / 4, o->x, o->scale_x);
    int64_t half = (int64_t)(w / 2 * o->scale_x * 65536.0f);
    for (int32_t i = 0; i < n; i++, at += 2 * half) {
        int32_t to = ch->offset + i * ch->step, rgb[3];
        if (alpha[to] == 0)
            continue;
        ptrdiff_t left = (ptrdiff_t)inside(at, o->width) * 4;
        ptrdiff_t right = (ptrdiff_t)inside(at + half, o->width) * 4;
        const uint8_t *const px[4] = {row[0] + left, row[0] + right, row[1] + left, row[1] + right};
        int32_t a = sum4(px, rgb);
        int32_t v = (m[0] * rgb[0] + m[1] * rgb[1] + m[2] * rgb[2] + m[3] + (1 << 17)) >> 18;
        v = v < 0 ? 0 : v > top ? top : v;
        if (wide)
            p16[to] = (uint16_t)v;
        else
            p8[to] = (uint8_t)v;
        if (a != 4 * 255)
            alpha[to] = (uint8_t)((alpha[to] * (a / 4) + 127) / 255);
    }
}

void vl_overlay_paint(const vl_overlay *o, const vl_frame_layout *l, int p, int32_t x, int32_t y,
                      int32_t n, void *paint, uint8_t *alpha) {
    for (int k = 0; k < l->n_channels; k++) {
        const vl_frame_channel *ch = &l->channel[k];
        if (ch->plane != p)
            continue;
        const uint8_t *row[2];
        for (int i = 0; i < 2; i++) {
            float at = ((float)y + (i == 0 ? 0.25f : 0.75f)) * (float)(1 << ch->y_shift);
            row[i] = o->image + inside(under(at, o->y, o->scale_y), o->height) * o->stride;
        }
        int32_t round = (1 << ch->x_shift) - 1;
        paint_channel(o, ch, k, row, x, (n + round) >> ch->x_shift, l->bits > 8, paint, alpha);
    }
}
