/* What the AVX-512 VNNI kernels share: the dot product and the way from 32-bit values to bytes.
 *
 * The dot product is inline assembly because gcc 12 spills the accumulators around its intrinsic,
 * which halves the speed. */
#ifndef VL_NN_X86_AVX512VNNI_H
#define VL_NN_X86_AVX512VNNI_H

#include "nn/x86/avx512.h"

/* acc += dot of four unsigned bytes (x) and four signed bytes (w), per 32-bit lane, exact */
#define DOT(acc, x, w) __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w))

/* Four vectors of 32-bit values to bytes, saturated; within each 128-bit lane a, b, c, d follow
 * each other. That is the order the weights were interleaved for. */
VL_INLINE __m512i to_bytes(__m512i a, __m512i b, __m512i c, __m512i d) {
    return _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
}

/* The same with a dip on the way. */
VL_INLINE __m512i to_bytes_dipped(const vl_dip_512 *t, __m512i a, __m512i b, __m512i c, __m512i d) {
    return _mm512_packus_epi16(vl_dip_words_512(t, _mm512_packs_epi32(a, b)),
                               vl_dip_words_512(t, _mm512_packs_epi32(c, d)));
}

/* Of avx512vnni_finish.c: the end of n pixels that follow each other, sums as
 * [pixel][vector][lane], 64-byte aligned; out and residual point to the first pixel's channel 0. */
void vl_finish_sums_512(const vl_conv *c, const vl_chunk *k, const int32_t *sums, uint8_t *out,
                        const uint8_t *residual, int32_t n);

/* The convolution of avx512vnni.c, for what AMX leaves. */
void vl_conv_s8_avx512vnni(const vl_conv *c, int32_t y0, int32_t y1);

/* The inverse of the lanes' order of four vectors: v[i] becomes channels 16 i to 16 i + 15. */
VL_INLINE void vl_plain_order_4(__m512 v[4]) {
    __m512 a = _mm512_shuffle_f32x4(v[0], v[1], 0x44), b = _mm512_shuffle_f32x4(v[2], v[3], 0x44);
    __m512 c = _mm512_shuffle_f32x4(v[0], v[1], 0xee), d = _mm512_shuffle_f32x4(v[2], v[3], 0xee);
    v[0] = _mm512_shuffle_f32x4(a, b, 0x88);
    v[1] = _mm512_shuffle_f32x4(a, b, 0xdd);
    v[2] = _mm512_shuffle_f32x4(c, d, 0x88);
    v[3] = _mm512_shuffle_f32x4(c, d, 0xdd);
}

VL_INLINE void store_16(uint8_t *out, __m128i v, int32_t n) {
    if (n >= 16)
        _mm_storeu_si128((__m128i *)(void *)out, v);
    else
        _mm_mask_storeu_epi8(out, (__mmask16)((1u << n) - 1), v);
}

VL_INLINE void store_32(uint8_t *out, __m256i v, int32_t n) {
    if (n >= 32)
        _mm256_storeu_si256((__m256i *)(void *)out, v);
    else
        _mm256_mask_storeu_epi8(out, (__mmask32)((1u << n) - 1), v);
}

VL_INLINE void store_64(uint8_t *out, __m512i v, int32_t n) {
    if (n >= 64)
        _mm512_storeu_si512(out, v);
    else
        _mm512_mask_storeu_epi8(out, (__mmask64)((1ull << n) - 1), v);
}

#endif
