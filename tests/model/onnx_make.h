/* Small ONNX files for tests, written through protobuf-c. Names and data are copied; everything
 * ends with the mb. Out of memory ends the test. */
#ifndef TESTS_MODEL_ONNX_MAKE_H
#define TESTS_MODEL_ONNX_MAKE_H

#include "mb.h"
#include "onnx.pb-c.h"

typedef struct {
    mb *m;
    Onnx__ModelProto *model;
    uint32_t seed;
} om;

void om_begin(om *o, mb *m, int64_t opset, int64_t channels, int64_t height, int64_t width);

/* Inputs and outputs as one text each, names separated by spaces; "-" is a left out input. Returns
 * the node for attributes. */
Onnx__NodeProto *om_node(om *o, const char *op, const char *in, const char *out);
void om_int(om *o, Onnx__NodeProto *n, const char *name, int64_t v);
void om_float(om *o, Onnx__NodeProto *n, const char *name, float v);
void om_text(om *o, Onnx__NodeProto *n, const char *name, const char *v);
void om_ints(om *o, Onnx__NodeProto *n, const char *name, size_t count, const int64_t *v);
#define OM_INTS(o, n, name, ...)                                                                   \
    om_ints(o, n, name, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),                        \
            (int64_t[]){__VA_ARGS__})

/* Initializers. random: uniform in low..high from the seed. */
float *om_floats(om *o, const char *name, size_t rank, const int64_t *dims);
void om_random(om *o, const char *name, float low, float high, size_t rank, const int64_t *dims);
#define OM_RANDOM(o, name, low, high, ...)                                                         \
    om_random(o, name, low, high, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),              \
              (int64_t[]){__VA_ARGS__})
void om_whole(om *o, const char *name, size_t count, const int64_t *v); /* int64, one dimension */
#define OM_WHOLE(o, name, ...)                                                                     \
    om_whole(o, name, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__})
void om_scalar(om *o, const char *name, float v);

/* Convolution with random weights and a bias, named like its output. */
Onnx__NodeProto *om_conv(om *o, const char *in, const char *out, int64_t cin, int64_t cout,
                         int64_t k, int64_t stride, int64_t groups);

void om_output(om *o, const char *name);
void om_meta(om *o, const char *key, const char *value);
uint8_t *om_end(om *o, size_t *size); /* lives in the mb */

#endif
