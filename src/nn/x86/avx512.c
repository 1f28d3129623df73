/* Additions, and float convolutions, with AVX-512: an implicit GEMM as the integer one of
 * avx512vnni.c, one input channel a step. */
#include "nn/x86/avx512.h"
#include "nn/tiles.h"

#define MAX_TILE 8 /* pixels */

static void finish_general(const vl_conv *c, const vl_chunk *k, const __m512 *acc, uint8_t *out,
                           const uint8_t *residual, int pixels, int blocks) {
    for (int i = 0; i < pixels; i++) {
        for (int b = 0; b < blocks; b++) {
            __m512 v = _mm512_add_ps(acc[i * blocks + b], _mm512_load_ps(k->add + 16 * b));
            vl_finish_512(&c->finish, v, out, residual, k->first + 16 * b, k->n - 16 * b);
        }
        out += c->out_pixel;
        if (residual != NULL)
            residual += c->finish.res_pixel;
    }
}

/* The end of a tile, whose sums come through memory: one for all tiles keeps the library small. */
static __attribute__((noinline)) void finish(const vl_conv *c, const vl_chunk *k, const __m512 *acc,
                                             uint8_t *out, const uint8_t *residual, int pixels,
                                             int blocks) {
    const uint32_t act = c->finish.act;
    if (residual != NULL || (act != VL_FMT_ACT_NONE && act != VL_FMT_ACT_RELU)) {
        finish_general(c, k, acc, out, residual, pixels, blocks);
        return;
    }
    const __m512 low = _mm512_set1_ps(act == VL_FMT_ACT_RELU ? 0.0f : -INFINITY);
    for (int b = 0; b < blocks; b++) {
        const __m512 add = _mm512_load_ps(k->add + 16 * b);
        const __mmask16 lanes = vl_first_512(k->n - 16 * b);
        uint8_t *to = out + 4 * (ptrdiff_t)k->first + 64 * b;
        for (int i = 0; i < pixels; i++, to += c->out_pixel)
            _mm512_mask_storeu_ps(to, lanes,
                                  _mm512_max_ps(_mm512_add_ps(acc[i * blocks + b], add), low));
    }
}

VL_INLINE void tile(const vl_conv *c, const vl_chunk *k, const uint8_t *in, uint8_t *out,
                    const uint8_t *residual, const int pixels, const int blocks) {
    __m512 acc[MAX_TILE][4];
    const float *w = k->weights;
    const int32_t *offset = k->offset, *end = offset + k->n_k;
    const ptrdiff_t step = c->in_pixel;
#pragma GCC unroll 16
    for (int i = 0; i < pixels; i++) {
#pragma GCC unroll 4
        for (int b = 0; b < blocks; b++)
            acc[i][b] = _mm512_setzero_ps();
    }
#pragma GCC unroll 1
    for (; offset < end; offset++, w += 16 * blocks) {
        const uint8_t *x = in + *offset;
        __m512 wb[4];
#pragma GCC unroll 4
        for (int b = 0; b < blocks; b++)
            wb[b] = _mm512_load_ps(w + 16 * b);
#pragma GCC unroll 16
        for (int i = 0; i < pixels; i++) {
            float one;
            memcpy(&one, x + i * step, sizeof one);
            __m512 v = _mm512_set1_ps(one);
#pragma GCC unroll 4
            for (int b = 0; b < blocks; b++)
                acc[i][b] = _mm512_fmadd_ps(v, wb[b], acc[i][b]);
        }
    }
    __m512 spilled[MAX_TILE * 4];
#pragma GCC unroll 16
    for (int i = 0; i < pixels; i++) {
#pragma GCC unroll 4
        for (int b = 0; b < blocks; b++)
            spilled[i * blocks + b] = acc[i][b];
    }
    finish(c, k, spilled, out, residual, pixels, blocks);
}

VL_TILES_24_SUMS(tiles)

static void conv_f32_avx512(const vl_conv *c, int32_t y0, int32_t y1) {
    vl_conv_rows(c, &tiles, y0, y1);
}

static void add_u8_avx512(const vl_addition *a, int32_t y0, int32_t y1) {
    const __m512 ra = _mm512_set1_ps(a->res_a), rb = _mm512_set1_ps(a->res_b);
    const __m512 rc = _mm512_set1_ps(a->res_c);
    const __m512 low = _mm512_set1_ps(a->low), high = _mm512_set1_ps(a->high);
    const bool dense =
        a->a_pixel == a->channels && a->b_pixel == a->channels && a->out_pixel == a->channels;
    const int32_t width = dense ? 1 : a->width, n = dense ? a->width * a->channels : a->channels;
    for (int32_t y = y0; y < y1; y++) {
        for (int32_t x = 0; x < width; x++) {
            const uint8_t *p = a->a + y * a->a_row + x * a->a_pixel;
            const uint8_t *q = a->b + y * a->b_row + x * a->b_pixel;
            uint8_t *out = a->out + y * a->out_row + x * a->out_pixel;
            for (int32_t c = 0; c < n; c += 16) {
                __mmask16 m = vl_first_512(n - c);
                __m512i i = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(m, p + c));
                __m512i k = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(m, q + c));
                __m512 v = _mm512_fmadd_ps(_mm512_cvtepi32_ps(k), rb, rc);
                v = _mm512_fmadd_ps(_mm512_cvtepi32_ps(i), ra, v);
                v = vl_clamp_512(v, low, high);
                _mm512_mask_cvtusepi32_storeu_epi8(out + c, m, _mm512_cvtps_epi32(v));
            }
        }
    }
}

void vl_dsp_init_avx512(vl_dsp *dsp) {
    dsp->add_level = "avx512";
    dsp->add_u8 = add_u8_avx512;
    dsp->conv_f32_level = "avx512";
    dsp->pack_f32 = (vl_packing){.lanes = 16, .max_blocks = 4};
    dsp->conv_f32 = conv_f32_avx512;
}
