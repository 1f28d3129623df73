/* Dense integer convolutions with the arm64 dot-product instructions (Armv8.2): four signed
 * products a lane. The inputs are made signed (x - 128); 128 times the sum of the weights is put
 * back. */
#include "nn/arm/neon.h"

#define MAX_TILE 6 /* pixels */

VL_INLINE void tile(const vl_conv *c, const vl_chunk *k, const uint8_t *in, uint8_t *out,
                    const uint8_t *residual, const int pixels, const int blocks) {
    int32x4_t acc[MAX_TILE][4], back[4];
    const int8_t *w = k->weights;
    const int8x16_t low = vdupq_n_s8(-128);
    (void)blocks; /* always 4 */
#pragma GCC unroll 4
    for (int b = 0; b < 4; b++) {
        back[b] = vdupq_n_s32(0);
#pragma GCC unroll 6
        for (int i = 0; i < pixels; i++)
            acc[i][b] = vdupq_n_s32(0);
    }
    for (int32_t j = 0; j < k->n_k; j++, w += 64) {
        const uint8_t *x = in + k->offset[j];
        int8x16_t wb[4] = {vld1q_s8(w), vld1q_s8(w + 16), vld1q_s8(w + 32), vld1q_s8(w + 48)};
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++)
            back[b] = vdotq_s32(back[b], low, wb[b]);
#pragma GCC unroll 6
        for (int i = 0; i < pixels; i++) {
            int32_t four;
            memcpy(&four, x + i * c->in_pixel, sizeof four);
            int8x16_t v = veorq_s8(vreinterpretq_s8_s32(vdupq_n_s32(four)), low);
#pragma GCC unroll 4
            for (int b = 0; b < 4; b++)
                acc[i][b] = vdotq_s32(acc[i][b], v, wb[b]);
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < pixels; i++) {
        int32x4_t sum[4];
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++)
            sum[b] = vsubq_s32(acc[i][b], back[b]);
        vl_finish_sums_neon(c, k, sum, out + i * c->out_pixel,
                            residual == NULL ? NULL : residual + i * c->finish.res_pixel);
    }
}

VL_TILES_1_TO_6(4)

static const vl_tiles tiles = {
    {{0}, {0}, {0}, {tile_1_4, tile_2_4, tile_3_4, tile_4_4, tile_5_4, tile_6_4}}, {0, 0, 0, 6}};

static void conv_s8_dotprod(const vl_conv *c, int32_t y0, int32_t y1) {
    vl_conv_rows(c, &tiles, y0, y1);
}

void vl_dsp_init_dotprod(vl_dsp *dsp) {
    dsp->conv_s8_level = "dotprod";
    dsp->pack_s8 = (vl_packing){.lanes = 4, .max_blocks = 4, .whole = 1};
    dsp->conv_s8 = conv_s8_dotprod;
}
