/* See frame.h. One table says where each channel of each format lies; everything that reads or
 * writes pixels goes by it. Does not touch pixels itself. */
#include "frame.h"

#include <math.h>

static const vl_frame_layout layouts[VEIL_FORMAT_COUNT] = {
    [VEIL_FORMAT_I420] = {"i420",
                          3,
                          false,
                          8,
                          3,
                          {{0, 0, 1, 1, 1}, {1, 1, 1, 1, 1}, {1, 1, 1, 1, 1}},
                          {{0, 0, 1, 0, 0}, {1, 0, 1, 1, 1}, {2, 0, 1, 1, 1}}},
    [VEIL_FORMAT_NV12] = {"nv12",
                          2,
                          false,
                          8,
                          3,
                          {{0, 0, 1, 1, 1}, {1, 1, 2, 1, 2}},
                          {{0, 0, 1, 0, 0}, {1, 0, 2, 1, 1}, {1, 1, 2, 1, 1}}},
    [VEIL_FORMAT_I422] = {"i422",
                          3,
                          false,
                          8,
                          3,
                          {{0, 0, 1, 1, 1}, {1, 0, 1, 1, 1}, {1, 0, 1, 1, 1}},
                          {{0, 0, 1, 0, 0}, {1, 0, 1, 1, 0}, {2, 0, 1, 1, 0}}},
    [VEIL_FORMAT_I444] = {"i444",
                          3,
                          false,
                          8,
                          3,
                          {{0, 0, 1, 1, 1}, {0, 0, 1, 1, 1}, {0, 0, 1, 1, 1}},
                          {{0, 0, 1, 0, 0}, {1, 0, 1, 0, 0}, {2, 0, 1, 0, 0}}},
    [VEIL_FORMAT_YUY2] = {"yuy2",
                          1,
                          false,
                          8,
                          3,
                          {{1, 0, 4, 1, 3}},
                          {{0, 0, 2, 0, 0}, {0, 1, 4, 1, 0}, {0, 3, 4, 1, 0}}},
    [VEIL_FORMAT_UYVY] = {"uyvy",
                          1,
                          false,
                          8,
                          3,
                          {{1, 0, 4, 1, 3}},
                          {{0, 1, 2, 0, 0}, {0, 0, 4, 1, 0}, {0, 2, 4, 1, 0}}},
    [VEIL_FORMAT_RGB24] = {"rgb24",
                           1,
                           true,
                           8,
                           3,
                           {{0, 0, 3, 1, 3}},
                           {{0, 0, 3, 0, 0}, {0, 1, 3, 0, 0}, {0, 2, 3, 0, 0}}},
    [VEIL_FORMAT_BGR24] = {"bgr24",
                           1,
                           true,
                           8,
                           3,
                           {{0, 0, 3, 1, 3}},
                           {{0, 2, 3, 0, 0}, {0, 1, 3, 0, 0}, {0, 0, 3, 0, 0}}},
    [VEIL_FORMAT_RGBA] = {"rgba",
                          1,
                          true,
                          8,
                          3,
                          {{0, 0, 4, 1, 3}},
                          {{0, 0, 4, 0, 0}, {0, 1, 4, 0, 0}, {0, 2, 4, 0, 0}}},
    [VEIL_FORMAT_BGRA] = {"bgra",
                          1,
                          true,
                          8,
                          3,
                          {{0, 0, 4, 1, 3}},
                          {{0, 2, 4, 0, 0}, {0, 1, 4, 0, 0}, {0, 0, 4, 0, 0}}},
    [VEIL_FORMAT_I010] =
        {"i010",
         3,
         false,
         10,
         3,
         {{0, 0, 2, 2, 1}, {1, 1, 2, 2, 1}, {1, 1, 2, 2, 1}},
         {{0, 0, 1, 0, 0}, {1, 0, 1, 1, 1}, {2, 0, 1, 1, 1}}},
    [VEIL_FORMAT_GRAY8] = {"gray8", 1, false, 8, 1, {{0, 0, 1, 1, 1}}, {{0, 0, 1, 0, 0}}},
};

const vl_frame_layout *vl_frame_layout_of(veil_format format) {
    unsigned i = (unsigned)format;
    return i > VEIL_FORMAT_NONE && i < VEIL_FORMAT_COUNT ? &layouts[i] : NULL;
}

int32_t vl_frame_row_samples(const vl_frame_layout *l, int p, int32_t width) {
    const vl_frame_plane *pl = &l->plane[p];
    int32_t steps = (width + (1 << pl->x_shift) - 1) >> pl->x_shift;
    return steps * pl->step / pl->sample_bytes;
}

int32_t vl_frame_rows(const vl_frame_layout *l, int p, int32_t height) {
    int shift = l->plane[p].y_shift;
    return (height + (1 << shift) - 1) >> shift;
}

static bool size_ok(int32_t px) {
    return px >= VEIL_SIZE_MIN && px <= VEIL_SIZE_MAX;
}

int vl_frame_check(const veil_frame *f) {
    if (f == NULL)
        return VEIL_E_ARG;
    const vl_frame_layout *l = vl_frame_layout_of(f->format);
    if (l == NULL)
        return VEIL_E_FORMAT;
    if (!size_ok(f->width) || !size_ok(f->height))
        return VEIL_E_SIZE;
    if (f->rotation != 0 && f->rotation != 90 && f->rotation != 180 && f->rotation != 270)
        return VEIL_E_ARG;
    if ((unsigned)f->matrix > VEIL_MATRIX_BT2020 || (unsigned)f->range > VEIL_RANGE_FULL)
        return VEIL_E_ARG;
    for (int p = 0; p < l->n_planes; p++) {
        int bytes = l->plane[p].sample_bytes;
        ptrdiff_t row = (ptrdiff_t)vl_frame_row_samples(l, p, f->width) * bytes;
        ptrdiff_t stride = f->stride[p];
        if (f->plane[p] == NULL || (stride < row && stride > -row))
            return VEIL_E_ARG;
        /* 16-bit samples are read as words. */
        if (bytes == 2 && (((uintptr_t)f->plane[p] | (uintptr_t)stride) & 1) != 0)
            return VEIL_E_ARG;
    }
    return VEIL_OK;
}

void vl_frame_luma_weights(const veil_frame *f, double *kr, double *kb) {
    veil_matrix m = f->matrix;
    if (m == VEIL_MATRIX_AUTO)
        m = f->height >= 720 ? VEIL_MATRIX_BT709 : VEIL_MATRIX_BT601;
    *kr = m == VEIL_MATRIX_BT2020 ? 0.2627 : m == VEIL_MATRIX_BT709 ? 0.2126 : 0.299;
    *kb = m == VEIL_MATRIX_BT2020 ? 0.0593 : m == VEIL_MATRIX_BT709 ? 0.0722 : 0.114;
}

bool vl_frame_full_range(const veil_frame *f) {
    return f->range == VEIL_RANGE_FULL;
}

void vl_frame_native_matrix(const veil_frame *f, float m[3][4]) {
    const vl_frame_layout *l = vl_frame_layout_of(f->format);
    if (l == NULL || l->rgb) {
        for (int i = 0; i < 3; i++)
            for (int k = 0; k < 4; k++)
                m[i][k] = i == k ? 1 : 0;
        return;
    }
    double kr, kb;
    vl_frame_luma_weights(f, &kr, &kb);
    bool full = vl_frame_full_range(f);
    double unit = l->bits == 10 ? 4 : 1, top = l->bits == 10 ? 1023 : 255;
    double y_gain = full ? top / 255 : 219.0 / 255 * unit;
    double c_gain = full ? top / 255 : 224.0 / 255 * unit;
    double luma[3] = {kr, 1 - kr - kb, kb};
    for (int k = 0; k < 3; k++) {
        m[0][k] = (float)(luma[k] * y_gain);
        m[1][k] = (float)(((k == 2) - luma[k]) / (2 * (1 - kb)) * c_gain);
        m[2][k] = (float)(((k == 0) - luma[k]) / (2 * (1 - kr)) * c_gain);
    }
    m[0][3] = full ? 0 : (float)(16 * unit);
    m[1][3] = m[2][3] = (float)(128 * unit);
}

void vl_frame_native_rgb(const veil_frame *f, uint32_t rgb, uint16_t native[3]) {
    const vl_frame_layout *l = vl_frame_layout_of(f->format);
    float m[3][4], top = l != NULL && l->bits == 10 ? 1023 : 255;
    float c[3] = {(float)(rgb >> 16 & 255), (float)(rgb >> 8 & 255), (float)(rgb & 255)};
    vl_frame_native_matrix(f, m);
    for (int i = 0; i < 3; i++) {
        float v = m[i][0] * c[0] + m[i][1] * c[1] + m[i][2] * c[2] + m[i][3];
        native[i] = (uint16_t)lrintf(fminf(fmaxf(v, 0), top));
    }
}

vl_rect vl_frame_to_upright(const veil_frame *f, vl_rect s) {
    float w = (float)f->width, h = (float)f->height;
    switch (f->rotation) {
    case 90:
        return (vl_rect){h - (s.y + s.h), s.x, s.h, s.w};
    case 180:
        return (vl_rect){w - (s.x + s.w), h - (s.y + s.h), s.w, s.h};
    case 270:
        return (vl_rect){s.y, w - (s.x + s.w), s.h, s.w};
    default:
        return s;
    }
}

vl_rect vl_frame_from_upright(const veil_frame *f, vl_rect u) {
    float w = (float)f->width, h = (float)f->height;
    switch (f->rotation) {
    case 90:
        return (vl_rect){u.y, h - (u.x + u.w), u.h, u.w};
    case 180:
        return (vl_rect){w - (u.x + u.w), h - (u.y + u.h), u.w, u.h};
    case 270:
        return (vl_rect){w - (u.y + u.h), u.x, u.h, u.w};
    default:
        return u;
    }
}

int32_t vl_frame_upright_width(const veil_frame *f) {
    return f->rotation == 90 || f->rotation == 270 ? f->height : f->width;
}

int32_t vl_frame_upright_height(const veil_frame *f) {
    return f->rotation == 90 || f->rotation == 270 ? f->width : f->height;
}

vl_rect vl_frame_rect(const veil_detection *d) {
    return (vl_rect){d->x, d->y, d->w, d->h};
}

float vl_frame_overlap(vl_rect a, vl_rect b) {
    float w = fminf(a.x + a.w, b.x + b.w) - fmaxf(a.x, b.x);
    float h = fminf(a.y + a.h, b.y + b.h) - fmaxf(a.y, b.y);
    if (!(w > 0) || !(h > 0))
        return 0;
    return w * h / (a.w * a.h + b.w * b.h - w * h);
}
