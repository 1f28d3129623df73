/* ONNX graph -> network graph, one node at a time. A node that has no counterpart in the engine
 * makes its outputs opaque, with the reason kept: it may be a detector's tail, which cut.c takes
 * off, and is an error only when the network needs it. */
#ifndef VEIL_MODELBUILD_LOWER_H
#define VEIL_MODELBUILD_LOWER_H

#include "graph.h"
#include "onnx_read.h"

typedef enum {
    LW_UNSET = 0,
    LW_CONST,   /* c */
    LW_MAP,     /* tensor */
    LW_VIEW,    /* tensor with every second row and column, from a[0], a[1]; -1 = all */
    LW_PADDED,  /* tensor with zeros around: a = top, left, bottom, right */
    LW_SHUFFLE, /* tensor, half way through a channel shuffle: a[0] groups, a[1] steps done */
    LW_OPAQUE   /* not in the engine */
} lw_kind;

typedef struct {
    lw_kind kind;
    og_const *c;
    uint32_t tensor;
    int32_t a[4];
} lw_value;

typedef struct {
    mb *m;
    const og_graph *g;
    gr_graph *out;
    lw_value *v;        /* one per value of g */
    const char **why;   /* one per node of g: why it is opaque, NULL otherwise */
    const char *reason; /* of the node at work */
} lower;

enum { LW_OK = 0, LW_NOT_HERE = 1, LW_ERROR = -1 };

/* width, height: the input size. 0, or -1 with the error set. */
int lw_lower(mb *m, lower *l, const og_graph *g, gr_graph *out, int32_t width, int32_t height);

/* Between the lower_*.c files. Each lowers one node: LW_OK, LW_NOT_HERE (reason set) or LW_ERROR.
 */
int lw_conv(lower *l, const og_node *n);
int lw_pool(lower *l, const og_node *n);
int lw_global_pool(lower *l, const og_node *n);
int lw_batch_norm(lower *l, const og_node *n);
int lw_act(lower *l, const og_node *n);
int lw_prelu(lower *l, const og_node *n);
int lw_arith(lower *l, const og_node *n);
int lw_sum(lower *l, const og_node *n);
int lw_resize(lower *l, const og_node *n);
int lw_concat(lower *l, const og_node *n);
int lw_slice(lower *l, const og_node *n);
int lw_split(lower *l, const og_node *n);
int lw_pad(lower *l, const og_node *n);
int lw_reshape(lower *l, const og_node *n);
int lw_transpose(lower *l, const og_node *n);

int lw_not_here(lower *l, const char *reason);                          /* LW_NOT_HERE */
const lw_value *lw_in(const lower *l, const og_node *n, uint32_t k);    /* NULL: left out */
const og_const *lw_const(const lower *l, const og_node *n, uint32_t k); /* NULL: not constant */
bool lw_is_map(const lower *l, const og_node *n, uint32_t k);
int lw_set(lower *l, const og_node *n, uint32_t k, lw_value v); /* output k of n */
int lw_set_map(lower *l, const og_node *n, uint32_t k, uint32_t tensor);
/* New operator with a new output tensor named after the node's output k; GR_NONE on error. */
uint32_t lw_op(lower *l, const og_node *n, uint32_t type, uint32_t channels, uint32_t height,
               uint32_t width, uint32_t n_in, const uint32_t *in);
/* kernel, strides, pads (top, left, bottom, right) of a convolution or pool over (H,W). */
typedef struct {
    uint32_t k[2], s[2], d[2], pad[4], out[2]; /* (rows, columns) */
} lw_window;
int lw_read_window(lower *l, const og_node *n, const gr_tensor *in, const int32_t *extra,
                   lw_window *w);

#endif
