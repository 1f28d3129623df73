/* What the arm64 kernels share: the way from the sums of 16 channels to stored outputs. */
#ifndef VL_NN_ARM_NEON_H
#define VL_NN_ARM_NEON_H

#include "nn/dsp.h"
#include "nn/format.h"
#include "nn/tiles.h"

#include <arm_neon.h>
#include <string.h>

#define VL_INLINE static inline __attribute__((always_inline))

/* Values of 16 channels, n of them valid, through the plain C finish. */
static inline void vl_finish_neon(const vl_finish *f, const float *v, uint8_t *out,
                                  const uint8_t *residual, int32_t n) {
    size_t item = f->out_u8 ? 1 : sizeof(float);
    for (int32_t o = 0; o < n; o++)
        vl_finish_c(f, v[o], residual == NULL ? NULL : residual + (size_t)o * item,
                    out + (size_t)o * item);
}

/* Rounded, clamped to the finish's own range and with the residual x added in floats. */
VL_INLINE float32x4_t vl_adding_neon(const vl_finish *f, float32x4_t v, uint16x4_t x) {
    v = vrndnq_f32(v);
    v = vminq_f32(vmaxq_f32(v, vdupq_n_f32(f->low)), vdupq_n_f32(f->high));
    float32x4_t r = vfmaq_n_f32(vdupq_n_f32(f->res_c), vcvtq_f32_u32(vmovl_u16(x)), f->res_b);
    return vfmaq_n_f32(r, v, f->res_a);
}

/* A table of a dip: its words' bytes. */
VL_INLINE uint8x16x4_t vl_dip_table_neon(const int16_t *table) {
    const uint8_t *p = (const uint8_t *)table;
    return (uint8x16x4_t){{vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48)}};
}

/* vl_dip_apply on 16-bit numbers, but for the rounding to them. */
VL_INLINE int16x8_t vl_dip_words_neon(const vl_dip *d, int16x8_t q) {
    uint16x8_t a =
        vminq_u16(vreinterpretq_u16_s16(vabsq_s16(q)), vdupq_n_u16((uint16_t)VL_DIP_LIMIT));
    /* a word's two bytes lie at 2 part and 2 part + 1 */
    uint8x16_t at = vreinterpretq_u8_u16(
        vmlaq_n_u16(vdupq_n_u16(0x0100), vshrq_n_u16(a, VL_DIP_SHIFT), 0x0202));
    int16x8_t base = vreinterpretq_s16_u8(vqtbl4q_u8(vl_dip_table_neon(d->base), at));
    int16x8_t slope = vreinterpretq_s16_u8(vqtbl4q_u8(vl_dip_table_neon(d->slope), at));
    int16x8_t line = vaddq_s16(vqrdmulhq_s16(vreinterpretq_s16_u16(a), slope), base);
    return vqrdmulhq_n_s16(vqaddq_s16(vmaxq_s16(q, vdupq_n_s16(0)), line), d->factor);
}

/* Whole numbers, rounded to nearest. */
VL_INLINE int16x8_t vl_words_neon(float32x4_t a, float32x4_t b) {
    return vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(a)), vqmovn_s32(vcvtnq_s32_f32(b)));
}

VL_INLINE void vl_floats_neon(int16x8_t w, float32x4_t v[2]) {
    v[0] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(w)));
    v[1] = vcvtq_f32_s32(vmovl_high_s16(w));
}

/* Sums of up to 16 channels, n of them valid; out and residual point to the first one's. */
VL_INLINE void vl_finish_16_neon(const vl_finish *f, const float *mult, const float *add,
                                 const int32x4_t sum[4], uint8_t *out, const uint8_t *residual,
                                 int32_t n) {
    float32x4_t v[4];
    for (int b = 0; b < 4; b++)
        v[b] = vfmaq_f32(vld1q_f32(add + 4 * b), vcvtq_f32_s32(sum[b]), vld1q_f32(mult + 4 * b));
    if (!f->quick) {
        float plain[16];
        for (int b = 0; b < 4; b++)
            vst1q_f32(plain + 4 * b, v[b]);
        vl_finish_neon(f, plain, out, residual, n);
        return;
    }
    uint8_t all[16] = {0};
    int16x8_t low_words = vl_words_neon(v[0], v[1]), high_words = vl_words_neon(v[2], v[3]);
    if (f->dip != NULL) {
        low_words = vl_dip_words_neon(f->dip, low_words);
        high_words = vl_dip_words_neon(f->dip, high_words);
    }
    if (residual != NULL) {
        if (f->dip != NULL) {
            vl_floats_neon(low_words, v);
            vl_floats_neon(high_words, v + 2);
        }
        memcpy(all, residual, n < 16 ? (size_t)n : 16);
        uint8x16_t x = vld1q_u8(all);
        uint16x8_t low = vmovl_u8(vget_low_u8(x)), high = vmovl_u8(vget_high_u8(x));
        v[0] = vl_adding_neon(f, v[0], vget_low_u16(low));
        v[1] = vl_adding_neon(f, v[1], vget_high_u16(low));
        v[2] = vl_adding_neon(f, v[2], vget_low_u16(high));
        v[3] = vl_adding_neon(f, v[3], vget_high_u16(high));
        low_words = vl_words_neon(v[0], v[1]);
        high_words = vl_words_neon(v[2], v[3]);
    }
    uint8x16_t q = vcombine_u8(vqmovun_s16(low_words), vqmovun_s16(high_words));
    q = vmaxq_u8(q, vdupq_n_u8((uint8_t)(residual != NULL ? f->res_low : f->low)));
    q = vminq_u8(q, vdupq_n_u8((uint8_t)(residual != NULL ? f->res_high : f->high)));
    if (n >= 16) {
        vst1q_u8(out, q);
    } else {
        vst1q_u8(all, q);
        memcpy(out, all, (size_t)n);
    }
}

/* Sums of one pixel; out and residual point to the pixel's channel 0. */
VL_INLINE void vl_finish_sums_neon(const vl_conv *c, const vl_chunk *k, const int32x4_t sum[4],
                                   uint8_t *out, const uint8_t *residual) {
    size_t at = (size_t)k->first * (c->finish.out_u8 ? 1 : sizeof(float));
    vl_finish_16_neon(&c->finish, k->mult, k->add, sum, out + at,
                      residual == NULL ? NULL : residual + at, k->n);
}

/* An integer convolution whose inputs are made signed, x - 128, so that both factors are. What the
 * sums of a chunk's channels begin with puts that back. */
typedef struct {
    vl_conv c; /* first: tile functions get a pointer to it */
    int32x4_t start[4];
} vl_signed_conv;

/* 128 times the sums of the weights of sixteen channels. */
static inline void vl_signed_start(const vl_chunk *k, int32x4_t start[4]) {
    const int8_t *w = k->weights;
    for (int b = 0; b < 4; b++)
        start[b] = vdupq_n_s32(0);
    for (int32_t j = 0; j < k->n_k; j++, w += 64) {
        for (int b = 0; b < 4; b++)
            start[b] = vpadalq_s16(start[b], vpaddlq_s8(vld1q_s8(w + 16 * b)));
    }
    for (int b = 0; b < 4; b++)
        start[b] = vshlq_n_s32(start[b], 7);
}

static inline void vl_signed_rows(const vl_conv *c, const vl_tiles *t, int32_t y0, int32_t y1) {
    vl_signed_conv s = {.c = *c};
    s.c.n_chunks = 1;
    for (int32_t i = 0; i < c->n_chunks; i++) {
        s.c.chunk = &c->chunk[i];
        vl_signed_start(s.c.chunk, s.start);
        vl_conv_rows(&s.c, t, y0, y1);
    }
}

/* Four bytes of the input, repeated, as signed numbers. */
VL_INLINE int8x16_t vl_signed_four(const uint8_t *x) {
    int32_t four;
    memcpy(&four, x, sizeof four);
    return veorq_s8(vreinterpretq_s8_s32(vdupq_n_s32(four)), vdupq_n_s8(-128));
}

#endif
