/* See overlay.h. Each sample is the mean of four points of the image, weighted by their alpha:
 * enough for stickers of up to twice the face's size; larger pictures should be scaled first. */
#include "overlay.h"

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

/* Index of the image px under frame position v, inside 0..n-1. */
static int32_t under(float v, float origin, float scale, int32_t n) {
    float at = (v - origin) * scale;
    return at > 0 ? (at < (float)n ? (int32_t)at : n - 1) : 0;
}

/* Mean colour under the rectangle of w x h frame px at x, y; returns the mean alpha, 0..255. */
static int32_t sample(const vl_overlay *o, float x, float y, float w, float h, float rgb[3]) {
    int32_t sum[3] = {0}, alpha = 0;
    for (int i = 0; i < 4; i++) {
        float px = x + w * ((i & 1) != 0 ? 0.75f : 0.25f);
        float py = y + h * ((i & 2) != 0 ? 0.75f : 0.25f);
        const uint8_t *s = o->image + under(py, o->y, o->scale_y, o->height) * o->stride +
                           (ptrdiff_t)under(px, o->x, o->scale_x, o->width) * 4;
        alpha += s[3];
        for (int k = 0; k < 3; k++)
            sum[k] += s[k] * s[3];
    }
    for (int k = 0; k < 3; k++)
        rgb[k] = alpha != 0 ? (float)sum[k] / (float)alpha : 0;
    return (alpha + 2) / 4;
}

void vl_overlay_paint(const vl_overlay *o, const vl_frame_layout *l, int p, int32_t x, int32_t y,
                      int32_t n, void *paint, uint8_t *alpha) {
    uint8_t *p8 = paint;
    uint16_t *p16 = paint;
    for (int k = 0; k < l->n_channels; k++) {
        const vl_frame_channel *ch = &l->channel[k];
        if (ch->plane != p)
            continue;
        int32_t w = 1 << ch->x_shift, h = 1 << ch->y_shift;
        for (int32_t i = 0; i < (n + w - 1) / w; i++) {
            int32_t at = ch->offset + i * ch->step;
            if (alpha[at] == 0)
                continue;
            float rgb[3];
            int32_t a = sample(o, (float)(x + i * w), (float)(y * h), (float)w, (float)h, rgb);
            const float *m = o->native[k];
            float v = m[0] * rgb[0] + m[1] * rgb[1] + m[2] * rgb[2] + m[3] + 0.5f;
            v = v < 0 ? 0 : v > o->top ? o->top : v;
            if (l->bits > 8)
                p16[at] = (uint16_t)v;
            else
                p8[at] = (uint8_t)v;
            alpha[at] = (uint8_t)((alpha[at] * a + 127) / 255);
        }
    }
}
