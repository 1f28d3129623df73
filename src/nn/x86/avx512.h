/* What the AVX-512 kernels share: activations on 16 floats (act.h, operation by operation) and the
 * way from sums to stored outputs. Only for files compiled for AVX-512 F, BW, DQ and VL. */
#ifndef VL_NN_X86_AVX512_H
#define VL_NN_X86_AVX512_H

#include "nn/act.h"
#include "nn/dsp.h"

#include <immintrin.h>

#define VL_INLINE static inline __attribute__((always_inline))

VL_INLINE __m512 vl_clamp_512(__m512 v, __m512 low, __m512 high) {
    return _mm512_min_ps(_mm512_max_ps(v, low), high);
}

VL_INLINE __m512 vl_exp_512(__m512 x) {
    x = vl_clamp_512(x, _mm512_set1_ps(-VL_EXP_CUT), _mm512_set1_ps(VL_EXP_CUT));
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(VL_EXP_LOG2E)), 0x08);
    __m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(VL_EXP_LN2HI), x);
    r = _mm512_fmadd_ps(n, _mm512_set1_ps(VL_EXP_LN2LO), r);
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(VL_EXP_P0), r, _mm512_set1_ps(VL_EXP_P1));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(VL_EXP_P2));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(VL_EXP_P3));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(VL_EXP_P4));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(VL_EXP_P5));
    p = _mm512_add_ps(_mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r), _mm512_set1_ps(1.0f));
    __m512i power = _mm512_add_epi32(_mm512_cvttps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_mul_ps(p, _mm512_castsi512_ps(_mm512_slli_epi32(power, 23)));
}

VL_INLINE __m512 vl_act_512(__m512 v, uint32_t act, float a, float b) {
    const __m512 zero = _mm512_setzero_ps(), one = _mm512_set1_ps(1.0f);
    switch (act) {
    case VL_FMT_ACT_RELU:
        return _mm512_max_ps(v, zero);
    case VL_FMT_ACT_LEAKY:
        return _mm512_mask_mul_ps(v, _mm512_cmp_ps_mask(v, zero, _CMP_NGT_UQ), v,
                                  _mm512_set1_ps(a));
    case VL_FMT_ACT_CLIP:
        return vl_clamp_512(v, _mm512_set1_ps(a), _mm512_set1_ps(b));
    case VL_FMT_ACT_SILU:
    case VL_FMT_ACT_SIGMOID: {
        __m512 minus = _mm512_xor_ps(v, _mm512_set1_ps(-0.0f));
        __m512 below = _mm512_add_ps(one, vl_exp_512(minus));
        return _mm512_div_ps(act == VL_FMT_ACT_SILU ? v : one, below);
    }
    case VL_FMT_ACT_HSWISH: {
        __m512 g = _mm512_fmadd_ps(v, _mm512_set1_ps(1.0f / 6.0f), _mm512_set1_ps(0.5f));
        return _mm512_mul_ps(v, vl_clamp_512(g, zero, one));
    }
    case VL_FMT_ACT_HSIGMOID: {
        __m512 g = _mm512_fmadd_ps(v, _mm512_set1_ps(a), _mm512_set1_ps(b));
        return vl_clamp_512(g, zero, one);
    }
    default:
        return v;
    }
}

/* A dip in registers. */
typedef struct {
    __m512i base, slope, factor;
} vl_dip_512;

VL_INLINE vl_dip_512 vl_dip_load_512(const vl_dip *d) {
    return (vl_dip_512){_mm512_loadu_si512(d->base), _mm512_loadu_si512(d->slope),
                        _mm512_set1_epi16(d->factor)};
}

/* vl_dip_apply on 16-bit numbers, but for the rounding to them. */
VL_INLINE __m512i vl_dip_words_512(const vl_dip_512 *d, __m512i q) {
    __m512i a = _mm512_min_epu16(_mm512_abs_epi16(q), _mm512_set1_epi16(VL_DIP_LIMIT));
    __m512i part = _mm512_srli_epi16(a, VL_DIP_SHIFT);
    __m512i line = _mm512_mulhrs_epi16(a, _mm512_permutexvar_epi16(part, d->slope));
    line = _mm512_add_epi16(line, _mm512_permutexvar_epi16(part, d->base));
    __m512i x = _mm512_adds_epi16(_mm512_max_epi16(q, _mm512_setzero_si512()), line);
    return _mm512_mulhrs_epi16(x, d->factor);
}

VL_INLINE __m512 vl_dip_floats_512(const vl_dip *d, __m512 v) {
    const vl_dip_512 dip = vl_dip_load_512(d);
    __m256i q = _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(v));
    __m512i y = vl_dip_words_512(&dip, _mm512_castsi256_si512(q));
    return _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm512_castsi512_si256(y)));
}

/* The first n of 16 lanes. */
VL_INLINE __mmask16 vl_first_512(int32_t n) {
    uint32_t mask = n >= 16 ? 0xffffu : n <= 0 ? 0 : (1u << n) - 1;
    return (__mmask16)mask;
}

/* Finishes 16 channels in plain order whose value is v (mult and add applied), n of them valid. at:
 * index of the first channel; out and residual point to channel 0 of the pixel. */
VL_INLINE void vl_finish_512(const vl_finish *f, __m512 v, uint8_t *out, const uint8_t *residual,
                             int32_t at, int32_t n) {
    __mmask16 m = vl_first_512(n);
    v = f->dip != NULL ? vl_dip_floats_512(f->dip, v) : vl_act_512(v, f->act, f->act_a, f->act_b);
    if (!f->out_u8) {
        if (residual != NULL)
            v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(m, residual + 4 * at));
        _mm512_mask_storeu_ps(out + 4 * at, m, v);
        return;
    }
    v = _mm512_fmadd_ps(v, _mm512_set1_ps(f->inv_scale), _mm512_set1_ps(f->zero));
    v = vl_clamp_512(v, _mm512_set1_ps(f->low), _mm512_set1_ps(f->high));
    if (residual != NULL) {
        v = _mm512_roundscale_ps(v, 0x08);
        __m512i x = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(m, residual + at));
        __m512 r = _mm512_fmadd_ps(_mm512_cvtepi32_ps(x), _mm512_set1_ps(f->res_b),
                                   _mm512_set1_ps(f->res_c));
        v = _mm512_fmadd_ps(v, _mm512_set1_ps(f->res_a), r);
        v = vl_clamp_512(v, _mm512_set1_ps(f->res_low), _mm512_set1_ps(f->res_high));
    }
    _mm512_mask_cvtusepi32_storeu_epi8(out + at, m, _mm512_cvtps_epi32(v));
}

#endif
