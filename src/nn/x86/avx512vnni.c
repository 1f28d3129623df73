/* Dense integer convolutions with AVX-512 VNNI: one implicit GEMM for every kernel size and stride.
 * A tile is up to 12 pixels of a row by up to 64 output channels; its sums stay in registers, and
 * each step multiplies four input bytes of every pixel with four weights of every channel. */
#include "nn/x86/avx512vnni_finish.h"

#include "nn/tiles.h"

#define MAX_TILE 12 /* pixels */

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
    if (vl_finish_clamps(&c->finish) && residual == NULL) {
        const quick_finish quick = quick_constants(&c->finish, k, blocks, false, false);
        finish_quick(c, k, &quick, acc, out, NULL, pixels, blocks, false, false);
        return;
    }
    /* Rarer ends share their code: the sums take the way through memory. */
    _Alignas(64) int32_t sums[MAX_TILE * 4 * 16];
#pragma GCC unroll 16
    for (int i = 0; i < pixels; i++) {
#pragma GCC unroll 4
        for (int b = 0; b < blocks; b++)
            _mm512_store_si512(sums + 16 * (i * blocks + b), acc[i][b]);
    }
    vl_finish_sums_512(c, k, sums, out, residual, pixels);
}

VL_TILES_24_SUMS_WIDE(tiles)

/* ---------------------------------------------------------------- first layer */

/* A 3x3 convolution of stride 2 from 4-byte pixels to at most 16 channels: nine vectors of weights,
 * which stay in registers. */
static bool is_stem(const vl_conv *c) {
    const vl_chunk *k = &c->chunk[0];
    bool shape = c->n_chunks == 1 && k->blocks == 1 && k->n_k == 9 && c->in_pixel == 8 &&
                 c->finish.quick && c->finish.residual == NULL && c->out_pixel == 16 && k->n == 16;
    for (int32_t i = 0; i < 9 && shape; i++)
        shape = k->offset[i] == k->offset[i / 3 * 3] + i % 3 * 4;
    return shape;
}

VL_INLINE __m512i load_four(const uint8_t *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
}

/* width is a multiple of 4; out pixels follow each other. */
VL_INLINE void stem_row(const vl_conv *c, const vl_chunk *k, const uint8_t *in, uint8_t *out,
                        int32_t width, const bool dips) {
    const quick_finish q = quick_constants(&c->finish, k, 1, false, dips);
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i w[9];
#pragma GCC unroll 9
    for (int i = 0; i < 9; i++)
        w[i] = ((const __m512i *)k->weights)[i];
    const uint8_t *row[3] = {in + k->offset[0], in + k->offset[3], in + k->offset[6]};
    for (ptrdiff_t x = 0; x < width; x += 4) {
        __m512i acc[4];
#pragma GCC unroll 4
        for (int p = 0; p < 4; p++) {
            acc[p] = _mm512_setzero_si512();
#pragma GCC unroll 9
            for (int i = 0; i < 9; i++)
                DOT(acc[p], load_four(row[i / 3] + 8 * x + 8 * p + 4 * (i % 3)), w[i]);
            acc[p] = to_int(&q, acc[p], 0);
        }
        __m512i bytes;
        if (dips) {
            bytes = to_bytes_dipped(&q.dip, acc[0], acc[1], acc[2], acc[3]);
        } else {
            bytes = to_bytes(acc[0], acc[1], acc[2], acc[3]);
            bytes = _mm512_min_epu8(_mm512_max_epu8(bytes, q.low_byte), q.high_byte);
        }
        _mm512_storeu_si512(out + 16 * x, _mm512_permutexvar_epi32(order, bytes));
    }
}

void vl_conv_s8_avx512vnni(const vl_conv *c, int32_t y0, int32_t y1) {
    if (!is_stem(c)) {
        vl_conv_rows(c, &tiles, y0, y1);
        return;
    }
    int32_t width = c->width / 4 * 4;
    for (int32_t y = y0; y < y1; y++) {
        const uint8_t *in = c->in + y * c->in_row;
        uint8_t *out = c->out + y * c->out_row;
        if (c->finish.dip == NULL)
            stem_row(c, c->chunk, in, out, width, false);
        else
            stem_row(c, c->chunk, in, out, width, true);
        if (width < c->width)
            vl_conv_row(c, c->chunk, &tiles, in + width * c->in_pixel, out + width * c->out_pixel,
                        NULL, c->width - width);
    }
}

void vl_dsp_init_avx512vnni(vl_dsp *dsp) {
    dsp->conv_s8_level = "avx512vnni";
    dsp->pack_s8 = (vl_packing){.lanes = 16, .max_blocks = 4, .interleaved = 1};
    dsp->conv_s8 = vl_conv_s8_avx512vnni;
    vl_dsp_init_avx512vnni_dw(dsp);
}
