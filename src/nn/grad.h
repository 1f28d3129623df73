/* The reverse pass: how a number at the end of a network changes with the values before it. Works
 * on float networks that keep all their values (floats.h, keep_all). Plain C; dense convolutions go
 * through the engine's own float kernels with turned weights. Computes only where a gradient can be
 * other than zero: the part of the picture that the seeded cells see. */
#ifndef VL_NN_GRAD_H
#define VL_NN_GRAD_H

#include "model.h"

/* Rows y0 <= y < y1, columns x0 <= x < x1; empty when y0 >= y1. */
typedef struct {
    int32_t y0, y1, x0, x1;
} vl_region;

/* Of one value of the network, (H, W, C) without gaps; zero outside the region. */
typedef struct {
    float *data;
    int32_t height, width, channels;
    vl_region region;
} vl_gradient;

typedef struct vl_grad vl_grad;

/* net stays the caller's, must outlive it and have been planned; pool may be NULL. After a new size
 * make a new one. VEIL_E_UNSUPPORTED: the net is not made of floats. */
int vl_grad_create(vl_grad **out, const vl_net *net);
void vl_grad_destroy(vl_grad *g);

/* Forgets all gradients and seeds. */
void vl_grad_clear(vl_grad *g);
/* Adds to the gradient of one number of a value. VEIL_E_ARG: there is no such number. */
int vl_grad_seed(vl_grad *g, int32_t value, int32_t y, int32_t x, int32_t channel, float amount);
/* Goes back from the seeds to `value`, with the values of the last vl_net_run, and says how the
 * seeded numbers, times their amounts, change with it. *out stays the vl_grad's and may be empty
 * (data NULL or an empty region): the seeds do not depend on it. Once a seeding. */
int vl_grad_run(vl_grad *g, int32_t value, vl_gradient *out);

#endif
