/* Dense convolutions for any arm64 processor: float with fused multiply-adds, integer with 8-bit
 * products of signed inputs (vl_signed_conv). No weight is -128 (VL_SPLIT_LEAST), so a product is
 * at most 128 * 127 and the sum of two fits 16 bits: two groups are added up before their pairs are
 * added to the 32-bit sums. */
#include "nn/arm/neon.h"

#define MAX_TILE 6 /* pixels */

/* ---------------------------------------------------------------- float */

VL_INLINE void tile_f32(const vl_conv *c, const vl_chunk *k, const uint8_t *in, uint8_t *out,
                        const uint8_t *residual, const int pixels) {
    float32x4_t acc[MAX_TILE][4];
    const float *w = k->weights;
    for (int i = 0; i < pixels; i++) {
        for (int b = 0; b < 4; b++)
            acc[i][b] = vdupq_n_f32(0.0f);
    }
    for (int32_t j = 0; j < k->n_k; j++, w += 16) {
        const uint8_t *x = in + k->offset[j];
        float32x4_t wb[4] = {vld1q_f32(w), vld1q_f32(w + 4), vld1q_f32(w + 8), vld1q_f32(w + 12)};
#pragma GCC unroll 6
        for (int i = 0; i < pixels; i++) {
            float32x4_t v = vld1q_dup_f32((const float *)(const void *)(x + i * c->in_pixel));
#pragma GCC unroll 4
            for (int b = 0; b < 4; b++)
                acc[i][b] = vfmaq_f32(acc[i][b], v, wb[b]);
        }
    }
    size_t at = (size_t)k->first * sizeof(float);
    for (int i = 0; i < pixels; i++) {
        float plain[16];
        for (int b = 0; b < 4; b++)
            vst1q_f32(plain + 4 * b, vaddq_f32(acc[i][b], vld1q_f32(k->add + 4 * b)));
        vl_finish_neon(&c->finish, plain, out + at + i * c->out_pixel,
                       residual == NULL ? NULL : residual + at + i * c->finish.res_pixel, k->n);
    }
}

/* ---------------------------------------------------------------- integer */

/* Adds the group of four inputs at x, or that and the one at y, to the sums: per pair of channels
 * two each. */
VL_INLINE void multiply(int32x4_t acc[2][8], const uint8_t *x, const uint8_t *y, ptrdiff_t step,
                        const int8_t *w, const int pixels, const int groups) {
    int8x16_t a[2], b[2];
#pragma GCC unroll 2
    for (int i = 0; i < pixels; i++) {
        a[i] = vl_signed_four(x + i * step);
        b[i] = groups == 2 ? vl_signed_four(y + i * step) : a[i];
    }
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++) {
        const int8x16_t v = vld1q_s8(w + 16 * q);
        const int8x16_t u = groups == 2 ? vld1q_s8(w + 64 + 16 * q) : v;
#pragma GCC unroll 2
        for (int i = 0; i < pixels; i++) {
            int16x8_t low = vmull_s8(vget_low_s8(a[i]), vget_low_s8(v));
            int16x8_t high = vmull_high_s8(a[i], v);
            if (groups == 2) {
                low = vmlal_s8(low, vget_low_s8(b[i]), vget_low_s8(u));
                high = vmlal_high_s8(high, b[i], u);
            }
            acc[i][2 * q] = vpadalq_s16(acc[i][2 * q], low);
            acc[i][2 * q + 1] = vpadalq_s16(acc[i][2 * q + 1], high);
        }
    }
}

VL_INLINE void tile_s8(const vl_conv *c, const vl_chunk *k, const uint8_t *in, uint8_t *out,
                       const uint8_t *residual, const int pixels) {
    const int32x4_t *start = ((const vl_signed_conv *)(const void *)c)->start;
    int32x4_t acc[2][8];
    const int8_t *w = k->weights;
    const int32_t *offset = k->offset;
    int32_t j = 0;
#pragma GCC unroll 8
    for (int b = 0; b < 8; b++) {
#pragma GCC unroll 2
        for (int i = 0; i < pixels; i++)
            acc[i][b] = vdupq_n_s32(0);
    }
    for (; j + 2 <= k->n_k; j += 2, w += 128)
        multiply(acc, in + offset[j], in + offset[j + 1], c->in_pixel, w, pixels, 2);
    if (j < k->n_k)
        multiply(acc, in + offset[j], in, c->in_pixel, w, pixels, 1);
#pragma GCC unroll 2
    for (int i = 0; i < pixels; i++) {
        int32x4_t sum[4];
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++)
            sum[b] = vaddq_s32(start[b], vpaddq_s32(acc[i][2 * b], acc[i][2 * b + 1]));
        vl_finish_sums_neon(c, k, sum, out + i * c->out_pixel,
                            residual == NULL ? NULL : residual + i * c->finish.res_pixel);
    }
}

#define F32(pixels)                                                                                \
    static void f32_##pixels(const vl_conv *c, const vl_chunk *k, const uint8_t *in, uint8_t *out, \
                             const uint8_t *residual) {                                            \
        tile_f32(c, k, in, out, residual, pixels);                                                 \
    }
#define S8(pixels)                                                                                 \
    static void s8_##pixels(const vl_conv *c, const vl_chunk *k, const uint8_t *in, uint8_t *out,  \
                            const uint8_t *residual) {                                             \
        tile_s8(c, k, in, out, residual, pixels);                                                  \
    }
F32(1)
F32(2)
F32(3)
F32(4)
F32(5)
F32(6)
S8(1)
S8(2)

static const vl_tiles tiles_f32 = {{{0}, {0}, {0}, {f32_1, f32_2, f32_3, f32_4, f32_5, f32_6}},
                                   {0, 0, 0, 6}};
static const vl_tiles tiles_s8 = {{{0}, {0}, {0}, {s8_1, s8_2}}, {0, 0, 0, 2}};

static void conv_f32_neon(const vl_conv *c, int32_t y0, int32_t y1) {
    vl_conv_rows(c, &tiles_f32, y0, y1);
}

static void conv_s8_neon(const vl_conv *c, int32_t y0, int32_t y1) {
    vl_signed_rows(c, &tiles_s8, y0, y1);
}

void vl_dsp_init_neon(vl_dsp *dsp) {
    const vl_packing sixteen = {.lanes = 4, .max_blocks = 4, .whole = 1};
    dsp->conv_s8_level = dsp->conv_f32_level = "neon";
    dsp->pack_s8 = dsp->pack_f32 = sixteen;
    dsp->pack_s8.split = VL_SPLIT_LEAST;
    dsp->conv_s8 = conv_s8_neon;
    dsp->conv_f32 = conv_f32_neon;
    vl_dsp_init_neon_dw(dsp);
}
