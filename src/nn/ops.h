/* Operators without a kernel of their own, and copies between types: any mix of bytes and floats, a
 * row of outputs at a time, plain C. Not fast; fast where it only moves memory. */
#ifndef VL_NN_OPS_H
#define VL_NN_OPS_H

#include "model.h"

/* A tensor, or some channels of one, in memory. */
typedef struct {
    uint8_t *data;        /* channel 0 of pixel (0,0) */
    ptrdiff_t row, pixel; /* bytes to the next */
    int32_t height, width, channels;
    int32_t is_u8; /* else float */
    float scale;   /* value = (q - zero) * scale when is_u8 */
    int32_t zero;
    int32_t whole; /* nothing of another tensor lies between its pixels */
} vl_view;

/* Same type and same meaning of the numbers. */
int vl_ops_same_kind(const vl_view *a, const vl_view *b);

/* Where output i of a bilinear enlargement by f lies among n inputs: half-pixel centres, edges
 * repeat. Returns the first of two neighbours; *part is the weight of *next. */
int32_t vl_ops_bilinear_at(int32_t i, int32_t f, int32_t n, int32_t *next, float *part);

/* Rows y0 <= y < y1 of out. op NULL: out = in[0], converted. op->type is any of MAXPOOL, UPSAMPLE,
 * ADD, ACT, SHUFFLE, AVGPOOL, MUL, SCALE, FOCUS. */
typedef void vl_ops_fn(const vl_op *op, const vl_view *in, const vl_view *out, int32_t y0,
                       int32_t y1);
vl_ops_fn vl_ops_run;
vl_ops_fn vl_ops_run_avx2; /* the same, compiled for AVX2 */

#endif
