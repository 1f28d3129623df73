/* The network between ONNX and the model file: operators of src/nn/format.h on named tensors of
 * shape (H,W,C), weights as floats. Every pass reads and writes this. */
#ifndef VEIL_MODELBUILD_GRAPH_H
#define VEIL_MODELBUILD_GRAPH_H

#include "../src/nn/format.h"
#include "emit.h"
#include "mb.h"

#define GR_NONE UINT32_MAX

typedef struct {
    const char *name;
    uint32_t channels, height, width; /* height and width at the size of the import */
    bool u8;                          /* after quantise: u8 with scale and zero, else float */
    float scale;
    uint32_t zero;
} gr_tensor;

/* f holds the numbers of format.h; its weights, bias and scales are unused here, see below. */
typedef struct {
    emit_op f;
    float *weights; /* CONV: (OC,KH,KW,IC/groups) */
    size_t n_weights;
    float *bias;   /* CONV, SCALE: one per output channel; NULL = 0 */
    float *scales; /* SCALE: factors; ACT PRELU: slopes, per channel */
    int8_t *q;     /* CONV after quantise: weights as s8, real = q * q_scales[oc] */
    float *q_scales;
    bool dead;
} gr_op;

typedef struct {
    const char *name;
    uint32_t tensor, stride;
} gr_output;

typedef struct {
    gr_tensor *t; /* tensor 0 is the picture */
    size_t n_t, room_t;
    gr_op *op; /* in execution order */
    size_t n_op, room_op;
    gr_output *out;
    size_t n_out, room_out;
} gr_graph;

/* Index of a new tensor or operator, GR_NONE with the error set. Pointers into the graph move. */
uint32_t gr_add_tensor(mb *m, gr_graph *g, const char *name, uint32_t channels, uint32_t height,
                       uint32_t width);
/* Zeroed but for type, name, inputs, out, and 1 for strides, groups and dilation. */
uint32_t gr_add_op(mb *m, gr_graph *g, uint32_t type, const char *name, uint32_t out, uint32_t n_in,
                   const uint32_t *in);
int gr_add_output(mb *m, gr_graph *g, const char *name, uint32_t tensor, uint32_t stride);
/* Makes room for one operator before position `at`; the caller fills it. */
int gr_insert(mb *m, gr_graph *g, size_t at);

/* Operators that read a tensor, plus one for each graph output that it is. */
size_t gr_uses(const gr_graph *g, uint32_t tensor);
uint32_t gr_producer(const gr_graph *g, uint32_t tensor); /* GR_NONE: the picture */
/* Every reader of `from` reads `to` instead, graph outputs too. */
void gr_replace(gr_graph *g, uint32_t from, uint32_t to);
/* Drops dead operators, those that no output needs, and unused tensors. */
int gr_clean(mb *m, gr_graph *g);

/* Makes all names printable, and those of tensors differ by a number behind the later ones. */
int gr_tidy_names(mb *m, gr_graph *g);

const char *gr_type_name(uint32_t type);
const char *gr_act_name(uint32_t act);
/* Multiply-adds of one operator at the import size. */
int64_t gr_macs(const gr_graph *g, const gr_op *op);

#endif
