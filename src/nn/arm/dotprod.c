/* Dense integer convolutions with the arm64 dot-product instructions (Armv8.2): four products of
 * signed inputs (vl_signed_conv) and weights a lane. */
#include "nn/arm/neon.h"

#define MAX_TILE 6 /* pixels */

VL_INLINE void tile(const vl_conv *c, const vl_chunk *k, const uint8_t *in, uint8_t *out,
                    const uint8_t *residual, const int pixels, const int blocks) {
    const int32x4_t *start = ((const vl_signed_conv *)(const void *)c)->start;
    int32x4_t acc[MAX_TILE][4];
    const int8_t *w = k->weights;
    (void)blocks; /* always 4 */
#pragma GCC unroll 6
    for (int i = 0; i < pixels; i++) {
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++)
            acc[i][b] = start[b];
    }
    for (int32_t j = 0; j < k->n_k; j++, w += 64) {
        const uint8_t *x = in + k->offset[j];
        int8x16_t wb[4] = {vld1q_s8(w), vld1q_s8(w + 16), vld1q_s8(w + 32), vld1q_s8(w + 48)};
#pragma GCC unroll 6
        for (int i = 0; i < pixels; i++) {
            int8x16_t v = vl_signed_four(x + i * c->in_pixel);
#pragma GCC unroll 4
            for (int b = 0; b < 4; b++)
                acc[i][b] = vdotq_s32(acc[i][b], v, wb[b]);
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < pixels; i++)
        vl_finish_sums_neon(c, k, acc[i], out + i * c->out_pixel,
                            residual == NULL ? NULL : residual + i * c->finish.res_pixel);
}

VL_TILES_1_TO_6(4)

static const vl_tiles tiles = {
    {{0}, {0}, {0}, {tile_1_4, tile_2_4, tile_3_4, tile_4_4, tile_5_4, tile_6_4}}, {0, 0, 0, 6}};

static void conv_s8_dotprod(const vl_conv *c, int32_t y0, int32_t y1) {
    vl_signed_rows(c, &tiles, y0, y1);
}

void vl_dsp_init_dotprod(vl_dsp *dsp) {
    dsp->conv_s8_level = "dotprod";
    dsp->pack_s8 = (vl_packing){.lanes = 4, .max_blocks = 4, .whole = 1};
    dsp->conv_s8 = conv_s8_dotprod;
}
