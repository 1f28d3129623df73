/* One convolution with memory of its own for the kernel tests: random numbers, a margin around the
 * input, canaries around every pixel of the output. */
#ifndef VEIL_TESTS_CONVCASE_H
#define VEIL_TESTS_CONVCASE_H

#include "nn/pack.h"
#include "random.h"

#include <stdbool.h>

typedef enum { FILL_RANDOM, FILL_LOW, FILL_HIGH, FILL_ALTERNATE } conv_fill;

typedef struct {
    int32_t in_channels, out_channels, groups, kh, kw, sh, sw, dilation, pad;
    int32_t height, width; /* of the input */
    uint32_t act;
    bool integer, float_out, residual;
    bool large;      /* the kernels are told that the residual's sum may leave int32 */
    bool dense_rows; /* pixels of input and output follow each other without gaps */
    int32_t in_zero, out_zero;
    float out_scale, gain; /* of bytes, and a factor to all weights; 0: the usual */
    conv_fill fill;
} conv_shape;

typedef struct {
    conv_shape shape;
    vl_op op;
    vl_value values[2];
    vl_blob weights, bias, scales;
    vl_model model;
    int32_t out_height, out_width;
    size_t in_pixel, in_row, out_pixel, out_row, item_in, item_out; /* bytes */
    uint8_t *input, *output, *residual;
    size_t input_bytes, output_bytes;
    bool dipped; /* the last run had an activation's dip (nn/dip.h) */
} conv_case;

/* False: out of memory or an empty output. */
bool conv_case_make(conv_case *c, const conv_shape *shape, uint64_t seed);
void conv_case_free(conv_case *c);

/* Packs for the table and runs all rows in two parts; the output starts as canaries. 0 or an error.
 */
int conv_case_run(conv_case *c, const vl_dsp *dsp, const char **level);

/* What output (y,x,o) must be from the unpacked weights, in double precision, before rounding; in
 * output units for bytes. */
double conv_case_expect(const conv_case *c, int32_t y, int32_t x, int32_t o);
float conv_case_float_at(const conv_case *c, int32_t y, int32_t x, int32_t o);
int32_t conv_case_byte_at(const conv_case *c, int32_t y, int32_t x, int32_t o);

/* True when only outputs were written. */
bool conv_case_canaries_alive(const conv_case *c);

#endif
