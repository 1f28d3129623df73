/* Dense integer convolutions with AVX-512 VNNI: one implicit GEMM for every kernel size and stride.
 * A tile is up to 12 pixels of a row by up to 64 output channels; its sums stay in registers, and
 * each step multiplies four input bytes of every pixel with four weights of every channel.
 *
 * The dot product is inline assembly because gcc 12 spills the accumulators around its intrinsic,
 * which halves the speed. */
#include "nn/x86/avx512.h"
#include "nn/x86/tiles.h"

#define MAX_TILE 12 /* pixels */

/* acc += dot of four unsigned bytes (x) and four signed bytes (w), per 32-bit lane, exact */
#define DOT(acc, x, w) __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w))

/* Sums of a tile that needs more than a clamp. The lanes go back to plain order first. */
static void finish_general(const vl_conv *c, const vl_chunk *k, const __m512i *acc, uint8_t *out,
                           const uint8_t *residual, int pixels, int blocks) {
    float plain[4 * 16];
    for (int i = 0; i < pixels; i++) {
        for (int b = 0; b < blocks; b++) {
            __m512 v = _mm512_cvtepi32_ps(acc[i * blocks + b]);
            v = _mm512_fmadd_ps(v, _mm512_load_ps(k->mult + 16 * b),
                                _mm512_load_ps(k->add + 16 * b));
            float *to = plain + 4 * b;
            _mm_storeu_ps(to, _mm512_castps512_ps128(v));
            _mm_storeu_ps(to + 4 * blocks, _mm512_extractf32x4_ps(v, 1));
            _mm_storeu_ps(to + 8 * blocks, _mm512_extractf32x4_ps(v, 2));
            _mm_storeu_ps(to + 12 * blocks, _mm512_extractf32x4_ps(v, 3));
        }
        for (int32_t o = 0; o < k->n; o += 16)
            vl_finish_512(&c->finish, _mm512_loadu_ps(plain + o), out, residual, k->first + o,
                          k->n - o);
        out += c->out_pixel;
        if (residual != NULL)
            residual += c->finish.res_pixel;
    }
}

VL_INLINE __m512i to_int(__m512i acc, __m512 mult, __m512 add) {
    return _mm512_cvtps_epi32(_mm512_fmadd_ps(_mm512_cvtepi32_ps(acc), mult, add));
}

/* Four vectors of 32-bit values to bytes, saturated; within each 128-bit lane a, b, c, d follow
 * each other. That is the order the weights were interleaved for. */
VL_INLINE __m512i to_bytes(__m512i a, __m512i b, __m512i c, __m512i d) {
    return _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
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

VL_INLINE void tile(const vl_conv *c, const vl_chunk *k, const uint8_t *in, uint8_t *out,
                    const uint8_t *residual, const int pixels, const int blocks) {
    __m512i acc[MAX_TILE][4];
    const __m512i *w = k->weights;
    const int32_t *offset = k->offset, *end = offset + k->n_k;
    const ptrdiff_t step = c->in_pixel;
#pragma GCC unroll 16
    for (int i = 0; i < pixels; i++) {
#pragma GCC unroll 4
        for (int b = 0; b < blocks; b++)
            acc[i][b] = _mm512_setzero_si512();
    }
#pragma GCC unroll 1
    for (; offset < end; offset++, w += blocks) {
        const uint8_t *x = in + *offset;
        __m512i wb[4];
#pragma GCC unroll 4
        for (int b = 0; b < blocks; b++)
            wb[b] = w[b];
#pragma GCC unroll 16
        for (int i = 0; i < pixels; i++) {
            int32_t four;
            memcpy(&four, x + i * step, sizeof four);
            __m512i v = _mm512_set1_epi32(four);
#pragma GCC unroll 4
            for (int b = 0; b < blocks; b++)
                DOT(acc[i][b], v, wb[b]);
        }
    }
    if (!c->finish.quick) {
        __m512i spilled[MAX_TILE * 4];
#pragma GCC unroll 16
        for (int i = 0; i < pixels; i++) {
#pragma GCC unroll 4
            for (int b = 0; b < blocks; b++)
                spilled[i * blocks + b] = acc[i][b];
        }
        finish_general(c, k, spilled, out, residual, pixels, blocks);
        return;
    }
    __m512 mult[4], add[4];
#pragma GCC unroll 4
    for (int b = 0; b < blocks; b++) {
        mult[b] = _mm512_load_ps(k->mult + 16 * b);
        add[b] = _mm512_load_ps(k->add + 16 * b);
    }
    const __m512i low = _mm512_set1_epi8((char)(uint8_t)c->finish.low);
    const __m512i high = _mm512_set1_epi8((char)(uint8_t)c->finish.high);
    const ptrdiff_t next = c->out_pixel;
    out += k->first;
    if (blocks >= 3) {
#pragma GCC unroll 16
        for (int i = 0; i < pixels; i++) {
            __m512i q2 = to_int(acc[i][2], mult[2], add[2]);
            __m512i q3 =
                blocks == 4 ? to_int(acc[i][blocks - 1], mult[blocks - 1], add[blocks - 1]) : q2;
            __m512i v = to_bytes(to_int(acc[i][0], mult[0], add[0]),
                                 to_int(acc[i][1], mult[1], add[1]), q2, q3);
            v = _mm512_min_epu8(_mm512_max_epu8(v, low), high);
            if (blocks == 3) /* drop every fourth group of four */
                v = _mm512_permutexvar_epi32(
                    _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 0, 0, 0, 0), v);
            store_64(out + i * next, v, k->n);
        }
        return;
    }
    const int together = blocks == 2 ? 2 : 4; /* pixels whose bytes fill a register */
#pragma GCC unroll 16
    for (int i = 0; i < pixels; i += together) {
        __m512i q[4];
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            int p = i + j / blocks < pixels ? i + j / blocks : pixels - 1, b = j % blocks;
            q[j] = to_int(acc[p][b], mult[b], add[b]);
        }
        __m512i v = to_bytes(q[0], q[1], q[2], q[3]);
        v = _mm512_min_epu8(_mm512_max_epu8(v, low), high);
        if (blocks == 2) {
            v = _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), v);
            store_32(out + i * next, _mm512_castsi512_si256(v), k->n);
            if (i + 1 < pixels)
                store_32(out + (i + 1) * next, _mm512_extracti64x4_epi64(v, 1), k->n);
        } else {
            v = _mm512_permutexvar_epi32(
                _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), v);
            store_16(out + i * next, _mm512_castsi512_si128(v), k->n);
            if (i + 1 < pixels)
                store_16(out + (i + 1) * next, _mm512_extracti32x4_epi32(v, 1), k->n);
            if (i + 2 < pixels)
                store_16(out + (i + 2) * next, _mm512_extracti32x4_epi32(v, 2), k->n);
            if (i + 3 < pixels)
                store_16(out + (i + 3) * next, _mm512_extracti32x4_epi32(v, 3), k->n);
        }
    }
}

VL_TILES_1_TO_6(4)
VL_TILES_1_TO_6(3)
VL_TILES_7_AND_8(3)
VL_TILES_1_TO_6(2)
VL_TILES_7_AND_8(2)
VL_TILES_9_TO_12(2)
VL_TILES_1_TO_6(1)
VL_TILES_7_AND_8(1)
VL_TILES_9_TO_12(1)

static const vl_tiles tiles = {
    {{tile_1_1, tile_2_1, tile_3_1, tile_4_1, tile_5_1, tile_6_1, tile_7_1, tile_8_1, tile_9_1,
      tile_10_1, tile_11_1, tile_12_1},
     {tile_1_2, tile_2_2, tile_3_2, tile_4_2, tile_5_2, tile_6_2, tile_7_2, tile_8_2, tile_9_2,
      tile_10_2, tile_11_2, tile_12_2},
     {tile_1_3, tile_2_3, tile_3_3, tile_4_3, tile_5_3, tile_6_3, tile_7_3, tile_8_3},
     {tile_1_4, tile_2_4, tile_3_4, tile_4_4, tile_5_4, tile_6_4}},
    {12, 12, 8, 6}};

static void conv_s8_avx512vnni(const vl_conv *c, int32_t y0, int32_t y1) {
    vl_conv_rows(c, &tiles, y0, y1);
}

void vl_dsp_init_avx512vnni(vl_dsp *dsp) {
    dsp->conv_s8_level = "avx512vnni";
    dsp->pack_s8 = (vl_packing){.lanes = 16, .max_blocks = 4, .interleaved = 1};
    dsp->conv_s8 = conv_s8_avx512vnni;
}
