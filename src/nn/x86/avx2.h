/* What the AVX2 kernels share: activations on 8 floats (act.h, operation by operation), the way
 * from sums to stored outputs, and the dense integer convolution, whose dot product avx2.c and
 * avxvnni.c define each for itself. */
#ifndef VL_NN_X86_AVX2_H
#define VL_NN_X86_AVX2_H

#include "nn/act.h"
#include "nn/dsp.h"
#include "nn/tiles.h"

#include <immintrin.h>

#define VL_INLINE static inline __attribute__((always_inline))

VL_INLINE __m256 vl_clamp_256(__m256 v, __m256 low, __m256 high) {
    return _mm256_min_ps(_mm256_max_ps(v, low), high);
}

VL_INLINE __m256 vl_exp_256(__m256 x) {
    x = vl_clamp_256(x, _mm256_set1_ps(-VL_EXP_CUT), _mm256_set1_ps(VL_EXP_CUT));
    __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(VL_EXP_LOG2E)), 0x08);
    __m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(VL_EXP_LN2HI), x);
    r = _mm256_fmadd_ps(n, _mm256_set1_ps(VL_EXP_LN2LO), r);
    __m256 p = _mm256_fmadd_ps(_mm256_set1_ps(VL_EXP_P0), r, _mm256_set1_ps(VL_EXP_P1));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(VL_EXP_P2));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(VL_EXP_P3));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(VL_EXP_P4));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(VL_EXP_P5));
    p = _mm256_add_ps(_mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r), _mm256_set1_ps(1.0f));
    __m256i power = _mm256_add_epi32(_mm256_cvttps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(power, 23)));
}

VL_INLINE __m256 vl_act_256(__m256 v, uint32_t act, float a, float b) {
    const __m256 zero = _mm256_setzero_ps(), one = _mm256_set1_ps(1.0f);
    switch (act) {
    case VL_FMT_ACT_RELU:
        return _mm256_max_ps(v, zero);
    case VL_FMT_ACT_LEAKY:
        return _mm256_blendv_ps(_mm256_mul_ps(v, _mm256_set1_ps(a)), v,
                                _mm256_cmp_ps(v, zero, _CMP_GT_OQ));
    case VL_FMT_ACT_CLIP:
        return vl_clamp_256(v, _mm256_set1_ps(a), _mm256_set1_ps(b));
    case VL_FMT_ACT_SILU:
    case VL_FMT_ACT_SIGMOID: {
        __m256 minus = _mm256_xor_ps(v, _mm256_set1_ps(-0.0f));
        __m256 below = _mm256_add_ps(one, vl_exp_256(minus));
        return _mm256_div_ps(act == VL_FMT_ACT_SILU ? v : one, below);
    }
    case VL_FMT_ACT_HSWISH: {
        __m256 g = _mm256_fmadd_ps(v, _mm256_set1_ps(1.0f / 6.0f), _mm256_set1_ps(0.5f));
        return _mm256_mul_ps(v, vl_clamp_256(g, zero, one));
    }
    case VL_FMT_ACT_HSIGMOID: {
        __m256 g = _mm256_fmadd_ps(v, _mm256_set1_ps(a), _mm256_set1_ps(b));
        return vl_clamp_256(g, zero, one);
    }
    default:
        return v;
    }
}

/* A dip in registers: eight numbers of a table in each half, those after the first eight as
 * differences (exclusive or) to the ones eight before. */
typedef struct {
    __m256i base[4], slope[4], factor;
} vl_dip_256;

VL_INLINE void vl_dip_table_256(const int16_t *table, __m256i out[4]) {
    for (int k = 3; k >= 0; k--) {
        const __m128i *p = (const __m128i *)(const void *)(table + 8 * k);
        out[k] = _mm256_broadcastsi128_si256(_mm_loadu_si128(p));
        if (k < 3)
            out[k + 1] = _mm256_xor_si256(out[k + 1], out[k]);
    }
}

VL_INLINE vl_dip_256 vl_dip_load_256(const vl_dip *d) {
    vl_dip_256 r = {.factor = _mm256_set1_epi16(d->factor)};
    vl_dip_table_256(d->base, r.base);
    vl_dip_table_256(d->slope, r.slope);
    return r;
}

/* vl_dip_apply on 16-bit numbers, but for the rounding to them. A byte shuffle looks 16 bytes up by
 * the low four bits of an index and gives 0 for a negative one; so of the differences only those up
 * to the wanted table count. */
VL_INLINE __m256i vl_dip_words_256(const vl_dip_256 *d, __m256i q) {
    __m256i a = _mm256_min_epu16(_mm256_abs_epi16(q), _mm256_set1_epi16(VL_DIP_LIMIT));
    __m256i part = _mm256_srli_epi16(a, VL_DIP_SHIFT); /* its two bytes: 2 part, 2 part + 1 */
    __m256i at = _mm256_mullo_epi16(part, _mm256_set1_epi16(0x0202));
    at = _mm256_or_si256(at, _mm256_set1_epi16(0x0100));
    __m256i base = _mm256_shuffle_epi8(d->base[0], at);
    __m256i slope = _mm256_shuffle_epi8(d->slope[0], at);
#pragma GCC unroll 3
    for (int k = 1; k < 4; k++) {
        at = _mm256_sub_epi8(at, _mm256_set1_epi8(16));
        base = _mm256_xor_si256(base, _mm256_shuffle_epi8(d->base[k], at));
        slope = _mm256_xor_si256(slope, _mm256_shuffle_epi8(d->slope[k], at));
    }
    __m256i line = _mm256_add_epi16(_mm256_mulhrs_epi16(a, slope), base);
    __m256i x = _mm256_adds_epi16(_mm256_max_epi16(q, _mm256_setzero_si256()), line);
    return _mm256_mulhrs_epi16(x, d->factor);
}

VL_INLINE __m256 vl_dip_floats_256(const vl_dip *d, __m256 v) {
    const vl_dip_256 dip = vl_dip_load_256(d);
    __m256i q = _mm256_cvtps_epi32(v);
    q = vl_dip_words_256(&dip, _mm256_packs_epi32(q, q));
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_unpacklo_epi16(q, q), 16));
}

/* All ones in the first n of 8 lanes. */
VL_INLINE __m256i vl_first_256(int32_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* The first n of 8 bytes at p as 32-bit values; reads no more than those. */
VL_INLINE __m256i vl_load_8(const uint8_t *p, int32_t n) {
    uint8_t all[8] = {0};
    if (n < 8)
        p = memcpy(all, p, n > 0 ? (size_t)n : 0);
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
}

/* Eight 32-bit values in 0..255 as bytes, the first n stored. */
VL_INLINE void vl_store_8(uint8_t *p, __m256i v, int32_t n) {
    __m128i w = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    w = _mm_packus_epi16(w, w);
    if (n >= 8) {
        _mm_storel_epi64((__m128i *)(void *)p, w);
        return;
    }
    uint8_t all[8];
    _mm_storel_epi64((__m128i *)(void *)all, w);
    memcpy(p, all, n > 0 ? (size_t)n : 0);
}

/* Finishes 8 channels in plain order whose value is v (mult and add applied), n of them valid. at:
 * index of the first channel; out and residual point to channel 0 of the pixel. */
VL_INLINE void vl_finish_256(const vl_finish *f, __m256 v, uint8_t *out, const uint8_t *residual,
                             int32_t at, int32_t n) {
    v = f->dip != NULL ? vl_dip_floats_256(f->dip, v) : vl_act_256(v, f->act, f->act_a, f->act_b);
    if (!f->out_u8) {
        __m256i m = vl_first_256(n);
        if (residual != NULL)
            v = _mm256_add_ps(
                v, _mm256_maskload_ps((const float *)(const void *)(residual + 4 * at), m));
        _mm256_maskstore_ps((float *)(void *)(out + 4 * at), m, v);
        return;
    }
    v = _mm256_fmadd_ps(v, _mm256_set1_ps(f->inv_scale), _mm256_set1_ps(f->zero));
    v = vl_clamp_256(v, _mm256_set1_ps(f->low), _mm256_set1_ps(f->high));
    if (residual != NULL) {
        v = _mm256_round_ps(v, 0x08);
        __m256 r = _mm256_fmadd_ps(_mm256_cvtepi32_ps(vl_load_8(residual + at, n)),
                                   _mm256_set1_ps(f->res_b), _mm256_set1_ps(f->res_c));
        v = _mm256_fmadd_ps(v, _mm256_set1_ps(f->res_a), r);
        v = vl_clamp_256(v, _mm256_set1_ps(f->res_low), _mm256_set1_ps(f->res_high));
    }
    vl_store_8(out + at, _mm256_cvtps_epi32(v), n);
}

#endif
