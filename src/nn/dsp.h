/* The table of kernels and what they are given. Plain C (ref.c) fills the table first and says what
 * is right; each instruction set overwrites what it does better. Integer kernels give the same
 * bytes at every level; float kernels may differ in the last bits.
 *
 * Letters: H, W rows and columns of the output; C channels of the input, O of the output. */
#ifndef VL_NN_DSP_H
#define VL_NN_DSP_H

#include "dip.h"
#include "ops.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VL_DSP_BLOCK 16 /* outputs are padded to so many channels in packed weights */

/* What happens to the sums of a convolution before they are stored. In this order:
 *   v = fma(sum, mult[o], add[o])               float; float convolutions: v = sum + add[o]
 *   v = act(v)                                  act NONE in the quick case
 *   v = dip(v)                                  with a dip (dip.h), whose units v has; act NONE
 *   q = rint(clamp(fma(v, inv_scale, zero), low, high))     only with out_u8
 * and with a residual (the other input of a fused ADD):
 *   v = fma(q, res_a, fma(x, res_b, res_c)), q = rint(clamp(v, res_low, res_high))     with out_u8
 *   v = v + x                                                                          float
 * `quick`: out_u8 and act NONE with scale and zero already in mult and add, or in the dip
 * (inv_scale 1, zero 0), and no value can leave the range of int32, the residual's included:
 * kernels may round before they clamp. */
typedef struct {
    int32_t out_u8, quick;
    uint32_t act; /* VL_FMT_ACT_* except PRELU */
    float act_a, act_b;
    const vl_dip *dip;                /* of the packed weights; NULL: none */
    float inv_scale, zero, low, high; /* low, high: whole numbers 0..255 */
    const void *residual;             /* NULL: none; same type as the output */
    ptrdiff_t res_row, res_pixel;     /* bytes */
    float res_a, res_b, res_c, res_low, res_high;
} vl_finish;

/* Some output channels of a packed convolution.
 * Integer weights lie as [k][block][lane][4 input channels], k a group of four input bytes; float
 * weights as [k][block * 16 + lane], k one input channel. */
typedef struct {
    int32_t first, n;        /* channels */
    int32_t blocks;          /* vectors of channels a pixel */
    int32_t n_k;             /* entries of offset */
    int32_t alone[2];        /* so many of the last n_k have weights in their first vector alone, so
                                many after them in their second; only of levels that split */
    const int32_t *offset;   /* bytes from a pixel's first tap to the input of each k */
    const void *weights;     /* 64-byte aligned */
    const float *mult, *add; /* in the order of the lanes, blocks * lanes each, 64-byte aligned */
} vl_chunk;

typedef struct {
    const uint8_t *in;          /* first tap of output (0,0), margin included */
    ptrdiff_t in_row, in_pixel; /* bytes from an output row or pixel to the next */
    uint8_t *out;               /* channel 0 of output (0,0) */
    ptrdiff_t out_row, out_pixel;
    int32_t width, channels; /* W, O */
    const vl_chunk *chunk;
    int32_t n_chunks;
    vl_finish finish;
} vl_conv;

/* Depthwise: weights [kh*kw][C padded to 16], int8 or float; mult and add as in vl_chunk, in plain
 * order. in is the first tap of output (0,0).
 *
 * Integer weights of levels with depthwise_four: [64 channels][four taps][quarter][16 lanes][tap],
 * lane l of quarter q being channel 16 * (l / 4) + 4 * q + l % 4, and mult and add in that order.
 * Kernels of three rows have a column of taps and a zero in each four. When C divides 64, the
 * channels repeat to fill 64, so that neighbouring pixels may be taken together. */
typedef struct {
    const uint8_t *in;
    ptrdiff_t in_row, in_pixel;   /* bytes from an output row or pixel to the next */
    ptrdiff_t tap_row, tap_pixel; /* bytes from a tap to the next */
    uint8_t *out;
    ptrdiff_t out_row, out_pixel;
    int32_t width, channels, kh, kw;
    const void *weights;
    const float *mult, *add;
    vl_finish finish;
} vl_depthwise;

/* Max pooling; windows are cut at the edges of the input. */
typedef struct {
    const uint8_t *in; /* channel 0 of input (0,0) */
    ptrdiff_t in_row, in_pixel;
    int32_t in_height, in_width;
    uint8_t *out;
    ptrdiff_t out_row, out_pixel;
    int32_t width, channels, kh, kw, sh, sw, pad_top, pad_left;
} vl_pooling;

/* out = fma(a, res_a, fma(b, res_b, res_c)) clamped and rounded, bytes; or a + b, floats. */
typedef struct {
    const uint8_t *a, *b;
    ptrdiff_t a_row, a_pixel, b_row, b_pixel;
    uint8_t *out;
    ptrdiff_t out_row, out_pixel;
    int32_t width, channels;
    float res_a, res_b, res_c, low, high;
} vl_addition;

/* Which weights are split over two groups of the same four inputs, so that the sum of two products
 * fits 16 bits. */
typedef enum {
    VL_SPLIT_NONE,
    VL_SPLIT_PAIRS, /* of unsigned inputs: neighbours of one sign beyond 128; in vectors by turns */
    VL_SPLIT_LEAST  /* of signed inputs: -128 */
} vl_split;

/* How convolution weights must be packed for a level. */
typedef struct {
    int32_t lanes, max_blocks; /* outputs of a vector; vectors of a chunk */
    int32_t whole;             /* every chunk has max_blocks, the last one filled up with zeros */
    int32_t interleaved; /* lane l of block b is channel 4 * blocks * (l / 4) + 4 * b + l % 4 of the
                            chunk; else b * lanes + l */
    vl_split split;
} vl_packing;

/* Row functions: rows y0 <= y < y1 of the output. */
typedef struct {
    const char *conv_s8_level, *conv_f32_level, *dw_s8_level, *dw_f32_level, *pool_level,
        *add_level; /* names for the profile */
    vl_packing pack_s8, pack_f32;
    int32_t depthwise_four; /* see vl_depthwise */
    const char *ops_level;
    vl_ops_fn *ops_run;
    void (*conv_s8)(const vl_conv *c, int32_t y0, int32_t y1);
    void (*conv_f32)(const vl_conv *c, int32_t y0, int32_t y1);
    void (*depthwise_s8)(const vl_depthwise *d, int32_t y0, int32_t y1);
    void (*depthwise_f32)(const vl_depthwise *d, int32_t y0, int32_t y1);
    void (*maxpool_u8)(const vl_pooling *p, int32_t y0, int32_t y1);
    void (*maxpool_f32)(const vl_pooling *p, int32_t y0, int32_t y1);
    void (*add_u8)(const vl_addition *a, int32_t y0, int32_t y1);
    void (*add_f32)(const vl_addition *a, int32_t y0, int32_t y1);
} vl_dsp;

/* Is a clamp all that is left to do, but for a residual? */
static inline bool vl_finish_clamps(const vl_finish *f) {
    return f->quick && f->dip == NULL;
}

/* The part of a window that lies inside the picture: rows y0 <= y < y1, columns x0 <= x < x1. */
typedef struct {
    int32_t y0, y1, x0, x1;
} vl_window;

static inline vl_window vl_window_cut(int32_t top, int32_t left, int32_t kh, int32_t kw,
                                      int32_t height, int32_t width) {
    vl_window w = {top, top + kh, left, left + kw};
    w.y1 = w.y1 < height ? w.y1 : height;
    w.x1 = w.x1 < width ? w.x1 : width;
    w.y0 = w.y0 > 0 ? w.y0 : 0;
    w.x0 = w.x0 > 0 ? w.x0 : 0;
    return w;
}

/* That of a pooling for output (y, x). */
static inline vl_window vl_window_at(const vl_pooling *p, int32_t y, int32_t x) {
    return vl_window_cut(y * p->sh - p->pad_top, x * p->sw - p->pad_left, p->kh, p->kw,
                         p->in_height, p->in_width);
}

/* The end of a convolution for one output channel in plain C: v has mult and add applied, x points
 * to the residual's channel or is NULL, out to the output's. */
void vl_finish_c(const vl_finish *f, float v, const void *x, void *out);

/* Fills the table for the levels (VEIL_CPU_*) given. */
void vl_dsp_init(vl_dsp *dsp, uint32_t levels);

/* One file per level; each sets the entries it does better. */
void vl_dsp_init_c(vl_dsp *dsp);
void vl_dsp_init_avx2(vl_dsp *dsp);
void vl_dsp_init_avx2_f32(vl_dsp *dsp); /* called by vl_dsp_init_avx2 */
void vl_dsp_init_avx2_ops(vl_dsp *dsp); /* the same */
void vl_dsp_init_avxvnni(vl_dsp *dsp);
void vl_dsp_init_avx512(vl_dsp *dsp);
void vl_dsp_init_avx512vnni(vl_dsp *dsp);
void vl_dsp_init_avx512vnni_dw(vl_dsp *dsp); /* called by the former */
void vl_dsp_init_amx(vl_dsp *dsp);           /* on AVX-512 VNNI's packing */
void vl_dsp_init_neon(vl_dsp *dsp);
void vl_dsp_init_neon_dw(vl_dsp *dsp); /* called by the former */
void vl_dsp_init_dotprod(vl_dsp *dsp);

#endif
