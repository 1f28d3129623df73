/* Dense float convolutions with AVX2 and FMA: tiles of 6 pixels by 16 channels. */
#include "nn/x86/avx2.h"

#define TILE 6 /* pixels */

static void finish_tile(const vl_conv *c, const vl_chunk *k, const __m256 *acc, uint8_t *out,
                        const uint8_t *residual, int pixels) {
    for (int i = 0; i < pixels; i++) {
        for (int b = 0; b < 2; b++) {
            __m256 v = _mm256_add_ps(acc[2 * i + b], _mm256_load_ps(k->add + 8 * b));
            if (k->n > 8 * b)
                vl_finish_256(&c->finish, v, out, residual, k->first + 8 * b, k->n - 8 * b);
        }
        out += c->out_pixel;
        if (residual != NULL)
            residual += c->finish.res_pixel;
    }
}

VL_INLINE void tile(const vl_conv *c, const vl_chunk *k, const uint8_t *in, uint8_t *out,
                    const uint8_t *residual, const int pixels, const int blocks) {
    __m256 acc[TILE][2];
    const float *w = k->weights;
    const int32_t *offset = k->offset, *end = offset + k->n_k;
    const ptrdiff_t step = c->in_pixel;
    (void)blocks; /* always 2 */
#pragma GCC unroll 16
    for (int i = 0; i < pixels; i++)
        acc[i][0] = acc[i][1] = _mm256_setzero_ps();
#pragma GCC unroll 1
    for (; offset < end; offset++, w += 16) {
        const uint8_t *x = in + *offset;
        __m256 w0 = _mm256_load_ps(w), w1 = _mm256_load_ps(w + 8);
#pragma GCC unroll 16
        for (int i = 0; i < pixels; i++) {
            float one;
            memcpy(&one, x + i * step, sizeof one);
            __m256 v = _mm256_set1_ps(one);
            acc[i][0] = _mm256_fmadd_ps(v, w0, acc[i][0]);
            acc[i][1] = _mm256_fmadd_ps(v, w1, acc[i][1]);
        }
    }
    __m256 spilled[TILE * 2];
#pragma GCC unroll 16
    for (int i = 0; i < pixels; i++) {
        spilled[2 * i] = acc[i][0];
        spilled[2 * i + 1] = acc[i][1];
    }
    finish_tile(c, k, spilled, out, residual, pixels);
}

VL_TILES_1_TO_6(2)

static const vl_tiles tiles_f32 = {
    {{0}, {tile_1_2, tile_2_2, tile_3_2, tile_4_2, tile_5_2, tile_6_2}, {0}, {0}}, {0, TILE, 0, 0}};

static void conv_f32_avx2(const vl_conv *c, int32_t y0, int32_t y1) {
    vl_conv_rows(c, &tiles_f32, y0, y1);
}

void vl_dsp_init_avx2_f32(vl_dsp *dsp) {
    dsp->conv_f32_level = "avx2";
    dsp->pack_f32 = (vl_packing){.lanes = 8, .max_blocks = 2, .whole = 1};
    dsp->conv_f32 = conv_f32_avx2;
}
