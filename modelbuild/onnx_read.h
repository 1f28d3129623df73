/* An ONNX file as a checked graph in execution order. Knows the file format and nothing of what the
 * operators mean. Everything it returns lives in the mb and, for strings, in the unpacked message,
 * which lives there too. */
#ifndef VEIL_MODELBUILD_ONNX_READ_H
#define VEIL_MODELBUILD_ONNX_READ_H

#include "mb.h"
#include "onnx.pb-c.h"

#define OG_MAX_RANK 8

/* A constant: floating point types become float, all others int64. */
typedef struct {
    bool is_float;
    uint32_t rank;
    int64_t dims[OG_MAX_RANK];
    size_t n; /* elements; the product of dims */
    float *f;
    int64_t *i;
} og_const;

typedef struct {
    const char *name;
    int producer; /* node, or -1: graph input or initializer */
    const Onnx__TensorProto *initializer;
    bool is_input;
} og_value;

typedef struct {
    const char *op, *name; /* never NULL; without a name the first output's name */
    const Onnx__NodeProto *proto;
    uint32_t n_in, n_out;
    int *in, *out; /* values; -1 = left out */
} og_node;

typedef struct {
    const Onnx__ModelProto *model;
    int64_t opset;
    og_value *values;
    size_t n_values;
    og_node *nodes; /* each after the nodes it reads from */
    size_t n_nodes;
    int input;          /* the picture */
    int64_t in_dims[4]; /* N, C, H, W of the picture; -1 = not fixed in the file */
    int *outputs;
    size_t n_outputs;
} og_graph;

/* 0, or -1 with the error set. bytes must outlive the graph. */
int og_read(mb *m, og_graph *g, const uint8_t *bytes, size_t size);

/* Attributes; the default when absent. */
int64_t og_int(const og_node *n, const char *name, int64_t absent);
float og_float(const og_node *n, const char *name, float absent);
/* Copies at most cap values, returns how many there are (0: absent). */
size_t og_ints(const og_node *n, const char *name, int64_t *out, size_t cap);
size_t og_floats(const og_node *n, const char *name, float *out, size_t cap);
bool og_is(const og_node *n, const char *name, const char *text, bool absent);
const Onnx__TensorProto *og_tensor(const og_node *n, const char *name);

/* Converts a stored tensor; NULL with the error set when it contradicts itself. */
og_const *og_convert(mb *m, const Onnx__TensorProto *t);
og_const *og_const_new(mb *m, bool is_float, uint32_t rank, const int64_t *dims);
float og_half(uint16_t h);

#endif
