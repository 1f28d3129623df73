/* Between grad.c (order and memory), grad_conv.c (dense convolutions) and grad_ops.c (the rest). */
#ifndef VL_NN_GRAD_PRIV_H
#define VL_NN_GRAD_PRIV_H

#include "grad.h"
#include "plan.h"

static inline bool vl_region_empty(vl_region r) {
    return r.y0 >= r.y1 || r.x0 >= r.x1;
}

/* Makes the region of g contain r, cut at the edges; returns the cut r. */
vl_region vl_grad_cover(vl_gradient *g, vl_region r);

static inline float *vl_grad_at(const vl_gradient *g, int32_t y, int32_t x) {
    return g->data + ((size_t)y * (size_t)g->width + (size_t)x) * (size_t)g->channels;
}

static inline const float *vl_grad_value(const vl_view *v, int32_t y, int32_t x) {
    return (const float *)(const void *)(v->data + y * v->row + x * v->pixel);
}

/* Inputs that window positions of the region can reach. */
vl_region vl_grad_window(const vl_op *op, vl_region r);

/* act'(x) told from y = act(x), for all activations but SiLU, hard swish and PReLU. */
float vl_grad_slope(const vl_op *op, float y);

/* Adds to in_grad[k] (NULL: not wanted) what out_grad says, for every operator but dense
 * convolutions. in and out are the operator's values, of the last run. */
void vl_grad_op(const vl_op *op, const vl_view *in, const vl_view *out, const vl_gradient *out_grad,
                vl_gradient *const *in_grad);

/* A convolution turned round: for each position modulo the stride the taps that meet there, as a
 * convolution of stride 1 from output to input. */
typedef struct {
    vl_packed packed;
    int32_t n_y, n_x; /* taps */
    int32_t ky[VL_FMT_MAX_KERNEL], kx[VL_FMT_MAX_KERNEL];
} vl_grad_phase;

typedef struct {
    vl_grad_phase *phase; /* [sh * sw], NULL: not made yet */
    int32_t n;
} vl_grad_turned;

/* Memory that grows. */
typedef struct {
    float *data;
    int32_t *offsets;
    vl_chunk *chunks;
    size_t n_data, n_offsets, n_chunks;
} vl_grad_scratch;

bool vl_grad_is_depthwise(const vl_op *op, int32_t in_channels, int32_t out_channels);
int vl_grad_conv(vl_grad_turned *t, const vl_net *net, const vl_op *op, const vl_view *out,
                 const vl_gradient *out_grad, vl_gradient *in_grad, vl_grad_scratch *scratch);
void vl_grad_turned_free(vl_grad_turned *t);
void vl_grad_scratch_free(vl_grad_scratch *s);

#endif
