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

/* Sums of one pixel; out and residual point to the pixel's channel 0. */
VL_INLINE void vl_finish_sums_neon(const vl_conv *c, const vl_chunk *k, const int32x4_t sum[4],
                                   uint8_t *out, const uint8_t *residual) {
    float32x4_t v[4];
    size_t at = (size_t)k->first * (c->finish.out_u8 ? 1 : sizeof(float));
    for (int b = 0; b < 4; b++)
        v[b] =
            vfmaq_f32(vld1q_f32(k->add + 4 * b), vcvtq_f32_s32(sum[b]), vld1q_f32(k->mult + 4 * b));
    if (!c->finish.quick || residual != NULL) {
        float plain[16];
        for (int b = 0; b < 4; b++)
            vst1q_f32(plain + 4 * b, v[b]);
        vl_finish_neon(&c->finish, plain, out + at, residual == NULL ? NULL : residual + at, k->n);
        return;
    }
    int16x8_t low =
        vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(v[0])), vqmovn_s32(vcvtnq_s32_f32(v[1])));
    int16x8_t high =
        vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(v[2])), vqmovn_s32(vcvtnq_s32_f32(v[3])));
    uint8x16_t q = vcombine_u8(vqmovun_s16(low), vqmovun_s16(high));
    q = vmaxq_u8(q, vdupq_n_u8((uint8_t)c->finish.low));
    q = vminq_u8(q, vdupq_n_u8((uint8_t)c->finish.high));
    if (k->n >= 16) {
        vst1q_u8(out + at, q);
    } else {
        uint8_t all[16];
        vst1q_u8(all, q);
        memcpy(out + at, all, (size_t)k->n);
    }
}

#endif
