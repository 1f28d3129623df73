/* From the sums of a dense integer convolution to stored outputs, for the levels whose weights are
 * interleaved in vectors of 16 channels: AVX-512 VNNI and AMX. */
#ifndef VL_NN_X86_AVX512VNNI_FINISH_H
#define VL_NN_X86_AVX512VNNI_FINISH_H

#include "nn/x86/avx512vnni.h"

/* Sums of a tile that needs more than a clamp. The lanes go back to plain order first. */
VL_INLINE void finish_general(const vl_conv *c, const vl_chunk *k, const __m512i *acc, uint8_t *out,
                              const uint8_t *residual, int pixels, int blocks) {
    for (int i = 0; i < pixels; i++) {
        __m512 v[4];
        float plain[4 * 16];
        for (int b = 0; b < 4; b++) {
            v[b] = _mm512_setzero_ps();
            if (b >= blocks)
                continue;
            v[b] =
                _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[i * blocks + b]),
                                _mm512_load_ps(k->mult + 16 * b), _mm512_load_ps(k->add + 16 * b));
        }
        if (blocks == 4)
            vl_plain_order_4(v);
        for (int b = 0; b < blocks && (blocks == 2 || blocks == 3); b++) {
            float *to = plain + 4 * b;
            _mm_storeu_ps(to, _mm512_castps512_ps128(v[b]));
            _mm_storeu_ps(to + 4 * blocks, _mm512_extractf32x4_ps(v[b], 1));
            _mm_storeu_ps(to + 8 * blocks, _mm512_extractf32x4_ps(v[b], 2));
            _mm_storeu_ps(to + 12 * blocks, _mm512_extractf32x4_ps(v[b], 3));
        }
        for (int b = 0; 16 * b < k->n; b++) {
            if (blocks == 2 || blocks == 3)
                v[b] = _mm512_loadu_ps(plain + 16 * b);
            vl_finish_512(&c->finish, v[b], out, residual, k->first + 16 * b, k->n - 16 * b);
        }
        out += c->out_pixel;
        if (residual != NULL)
            residual += c->finish.res_pixel;
    }
}

/* Constants of a chunk and of the finish. */
typedef struct {
    __m512 mult[4], add[4], res_a, res_b, res_c;
    __m512i low, high, low_byte, high_byte;
    vl_dip_512 dip;
} quick_finish;

VL_INLINE quick_finish quick_constants(const vl_finish *f, const vl_chunk *k, const int blocks,
                                       const bool adds, const bool dips) {
    quick_finish q;
#pragma GCC unroll 4
    for (int b = 0; b < blocks; b++) {
        q.mult[b] = _mm512_load_ps(k->mult + 16 * b);
        q.add[b] = _mm512_load_ps(k->add + 16 * b);
    }
    q.low_byte = _mm512_set1_epi8((char)(uint8_t)(adds ? f->res_low : f->low));
    q.high_byte = _mm512_set1_epi8((char)(uint8_t)(adds ? f->res_high : f->high));
    if (adds) {
        q.low = _mm512_set1_epi32((int32_t)f->low);
        q.high = _mm512_set1_epi32((int32_t)f->high);
        q.res_a = _mm512_set1_ps(f->res_a);
        q.res_b = _mm512_set1_ps(f->res_b);
        q.res_c = _mm512_set1_ps(f->res_c);
    }
    if (dips)
        q.dip = vl_dip_load_512(f->dip);
    return q;
}

/* A pixel's residual in the order of the lanes: the inverse of to_bytes. */
VL_INLINE void load_residual(const uint8_t *p, int32_t n, const int blocks, __m512i x[4]) {
    const __m512i zero = _mm512_setzero_si512();
    if (blocks == 1) {
        x[0] = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(vl_first_512(n), p));
        return;
    }
    if (blocks == 2) {
        __mmask32 m = n >= 32 ? 0xffffffffu : (1u << n) - 1;
        __m512i w = _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(m, p));
        x[0] = _mm512_unpacklo_epi16(w, zero);
        x[1] = _mm512_unpackhi_epi16(w, zero);
        return;
    }
    __m512i v = _mm512_maskz_loadu_epi8(n >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << n) - 1, p);
    if (blocks == 3)
        v = _mm512_permutexvar_epi32(
            _mm512_setr_epi32(0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11), v);
    __m512i low = _mm512_unpacklo_epi8(v, zero), high = _mm512_unpackhi_epi8(v, zero);
    x[0] = _mm512_unpacklo_epi16(low, zero);
    x[1] = _mm512_unpackhi_epi16(low, zero);
    x[2] = _mm512_unpacklo_epi16(high, zero);
    if (blocks == 4)
        x[3] = _mm512_unpackhi_epi16(high, zero);
}

/* Sums of one pixel, vector b, to whole numbers that to_bytes may saturate. */
VL_INLINE __m512i to_int(const quick_finish *q, __m512i acc, int b) {
    __m512 v = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc), q->mult[b], q->add[b]);
    return _mm512_cvtps_epi32(v);
}

/* The sums of some pixels, through the dip, as whole numbers of a byte's range. */
VL_INLINE void dip_sums(const quick_finish *q, __m512i acc[][4], const int pixels,
                        const int blocks) {
    const __m512i zero = _mm512_setzero_si512();
    const int n = pixels * blocks;
#pragma GCC unroll 16
    for (int i = 0; i < n; i += 2) {
        const int j = i + 1 < n ? i + 1 : i;
        __m512i *a = &acc[i / blocks][i % blocks], *b = &acc[j / blocks][j % blocks];
        __m512i w = _mm512_packs_epi32(to_int(q, *a, i % blocks), to_int(q, *b, j % blocks));
        w = _mm512_max_epi16(vl_dip_words_512(&q->dip, w), zero);
        w = _mm512_min_epi16(w, _mm512_set1_epi16(255));
        *a = _mm512_unpacklo_epi16(w, zero);
        if (j != i)
            *b = _mm512_unpackhi_epi16(w, zero);
    }
}

VL_INLINE __m512i clamp_int(const quick_finish *q, __m512i i) {
    return _mm512_min_epi32(_mm512_max_epi32(i, q->low), q->high);
}

VL_INLINE __m512i add_residual(const quick_finish *q, __m512i i, __m512i x) {
    __m512 r = _mm512_fmadd_ps(_mm512_cvtepi32_ps(x), q->res_b, q->res_c);
    return _mm512_cvtps_epi32(_mm512_fmadd_ps(_mm512_cvtepi32_ps(i), q->res_a, r));
}

/* The sums of some pixels; they are changed. */
VL_INLINE void finish_quick(const vl_conv *c, const vl_chunk *k, const quick_finish *q,
                            __m512i acc[][4], uint8_t *out, const uint8_t *residual,
                            const int pixels, const int blocks, const bool adds, const bool dips) {
    const ptrdiff_t next = c->out_pixel;
    out += k->first;
    if (adds && dips)
        dip_sums(q, acc, pixels, blocks);
#pragma GCC unroll 16
    for (int i = 0; i < pixels; i++) {
        __m512i x[4];
        if (adds)
            load_residual(residual + i * c->finish.res_pixel + k->first, k->n, blocks, x);
#pragma GCC unroll 4
        for (int b = 0; b < blocks; b++) {
            if (!adds || !dips)
                acc[i][b] = to_int(q, acc[i][b], b);
            if (adds)
                acc[i][b] = add_residual(q, dips ? acc[i][b] : clamp_int(q, acc[i][b]), x[b]);
        }
    }
    const int together = blocks >= 3 ? 1 : blocks == 2 ? 2 : 4; /* pixels that fill a register */
#pragma GCC unroll 16
    for (int i = 0; i < pixels; i += together) {
        __m512i v[4];
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            int p = i + j / blocks < pixels ? i + j / blocks : pixels - 1;
            v[j] = acc[p][blocks == 3 && j == 3 ? 2 : j % blocks];
        }
        __m512i bytes = dips && !adds ? to_bytes_dipped(&q->dip, v[0], v[1], v[2], v[3])
                                      : to_bytes(v[0], v[1], v[2], v[3]);
        if (adds || !dips) /* a dip's bounds are those of a byte */
            bytes = _mm512_min_epu8(_mm512_max_epu8(bytes, q->low_byte), q->high_byte);
        if (blocks == 3) /* drop every fourth group of four */
            bytes = _mm512_permutexvar_epi32(
                _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 0, 0, 0, 0), bytes);
        if (blocks >= 3) {
            store_64(out + i * next, bytes, k->n);
        } else if (blocks == 2) {
            bytes = _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), bytes);
            store_32(out + i * next, _mm512_castsi512_si256(bytes), k->n);
            if (i + 1 < pixels)
                store_32(out + (i + 1) * next, _mm512_extracti64x4_epi64(bytes, 1), k->n);
        } else {
            bytes = _mm512_permutexvar_epi32(
                _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), bytes);
            store_16(out + i * next, _mm512_castsi512_si128(bytes), k->n);
            if (i + 1 < pixels)
                store_16(out + (i + 1) * next, _mm512_extracti32x4_epi32(bytes, 1), k->n);
            if (i + 2 < pixels)
                store_16(out + (i + 2) * next, _mm512_extracti32x4_epi32(bytes, 2), k->n);
            if (i + 3 < pixels)
                store_16(out + (i + 3) * next, _mm512_extracti32x4_epi32(bytes, 3), k->n);
        }
    }
}

#endif
