/* How a dense convolution walks over its output: chunks of channels, rows, and tiles of nearly
 * equal width across a row, each computed by a function made for just that many pixels and vectors.
 */
#ifndef VL_NN_TILES_H
#define VL_NN_TILES_H

#include "nn/dsp.h"

#include <stdbool.h>

typedef void vl_tile_fn(const vl_conv *c, const vl_chunk *k, const uint8_t *in, uint8_t *out,
                        const uint8_t *residual);

#define VL_TILE(pixels, blocks)                                                                    \
    static void tile_##pixels##_##blocks(const vl_conv *c, const vl_chunk *k, const uint8_t *in,   \
                                         uint8_t *out, const uint8_t *residual) {                  \
        tile(c, k, in, out, residual, pixels, blocks);                                             \
    }
#define VL_TILES_1_TO_6(b)                                                                         \
    VL_TILE(1, b) VL_TILE(2, b) VL_TILE(3, b) VL_TILE(4, b) VL_TILE(5, b) VL_TILE(6, b)
#define VL_TILES_7_AND_8(b) VL_TILE(7, b) VL_TILE(8, b)
#define VL_TILES_9_TO_12(b) VL_TILE(9, b) VL_TILE(10, b) VL_TILE(11, b) VL_TILE(12, b)

/* Tile functions, by vectors - 1 and pixels - 1, and the widest for each number of vectors. */
typedef struct {
    vl_tile_fn *of[4][12];
    int32_t widest[4];
} vl_tiles;

#define VL_ROW_6(b)  tile_1_##b, tile_2_##b, tile_3_##b, tile_4_##b, tile_5_##b, tile_6_##b
#define VL_ROW_8(b)  VL_ROW_6(b), tile_7_##b, tile_8_##b
#define VL_ROW_12(b) VL_ROW_8(b), tile_9_##b, tile_10_##b, tile_11_##b, tile_12_##b

/* Tile functions and their table where up to 24 sums fit the registers: by four vectors of channels
 * 6 pixels, by three 8. */
/* clang-format off */
#define VL_TILES_24_SUMS(name)                                                                     \
    VL_TILES_1_TO_6(4)                                                                             \
    VL_TILES_1_TO_6(3) VL_TILES_7_AND_8(3)                                                         \
    VL_TILES_1_TO_6(2) VL_TILES_7_AND_8(2)                                                         \
    VL_TILES_1_TO_6(1) VL_TILES_7_AND_8(1)                                                         \
    static const vl_tiles name = {                                                                 \
        {{VL_ROW_8(1)}, {VL_ROW_8(2)}, {VL_ROW_8(3)}, {VL_ROW_6(4)}}, {8, 8, 8, 6}};

/* The same with 12 pixels by one or two vectors. */
#define VL_TILES_24_SUMS_WIDE(name)                                                                \
    VL_TILES_1_TO_6(4)                                                                             \
    VL_TILES_1_TO_6(3) VL_TILES_7_AND_8(3)                                                         \
    VL_TILES_1_TO_6(2) VL_TILES_7_AND_8(2) VL_TILES_9_TO_12(2)                                     \
    VL_TILES_1_TO_6(1) VL_TILES_7_AND_8(1) VL_TILES_9_TO_12(1)                                     \
    static const vl_tiles name = {                                                                 \
        {{VL_ROW_12(1)}, {VL_ROW_12(2)}, {VL_ROW_8(3)}, {VL_ROW_6(4)}}, {12, 12, 8, 6}};
/* clang-format on */

static inline void vl_conv_row(const vl_conv *c, const vl_chunk *k, const vl_tiles *t,
                               const uint8_t *in, uint8_t *out, const uint8_t *residual,
                               int32_t width) {
    int32_t widest = t->widest[k->blocks - 1];
    int32_t n = (width + widest - 1) / widest;
    int32_t narrow = width / n, wider = width % n; /* so many tiles have one pixel more */
    for (int32_t i = 0; i < n; i++) {
        int32_t pixels = narrow + (i < wider ? 1 : 0);
        t->of[k->blocks - 1][pixels - 1](c, k, in, out, residual);
        in += pixels * c->in_pixel;
        out += pixels * c->out_pixel;
        if (residual != NULL)
            residual += pixels * c->finish.res_pixel;
    }
}

static inline void vl_conv_rows(const vl_conv *c, const vl_tiles *t, int32_t y0, int32_t y1) {
    const uint8_t *x = c->finish.residual;
    /* Rows that follow each other without a gap are one long row. */
    bool joined = c->in_row == c->width * c->in_pixel && c->out_row == c->width * c->out_pixel &&
                  (x == NULL || c->finish.res_row == c->width * c->finish.res_pixel);
    int32_t width = joined ? c->width * (y1 - y0) : c->width, end = joined ? y0 + 1 : y1;
    for (int32_t i = 0; i < c->n_chunks; i++) {
        for (int32_t y = y0; y < end && y < y1; y++)
            vl_conv_row(c, &c->chunk[i], t, c->in + y * c->in_row, c->out + y * c->out_row,
                        x == NULL ? NULL : x + y * c->finish.res_row, width);
    }
}

#endif
