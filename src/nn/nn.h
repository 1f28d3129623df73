/* The engine: a model parsed from memory, a plan for one input size, a run without allocation.
 * It knows no faces; detect.c decodes its outputs. Implemented in model.c, share.c, plan.c, run.c.
 */
#ifndef VL_NN_H
#define VL_NN_H

#include "veil.h"

#include <stddef.h>
#include <stdint.h>

typedef struct vl_pool vl_pool;
typedef struct vl_model vl_model; /* parsed file: graph and weights; immutable, shareable */
typedef struct vl_net vl_net;     /* a model planned for one size, with its arena */

/* Parses and checks every offset, index, size and number; VEIL_E_MODEL when anything is off. Copies
 * what it needs, or gives the model that was parsed from the same bytes before and is still in use:
 * each is destroyed as often as it was given. */
int vl_model_parse(vl_model **out, const void *bytes, size_t size);
void vl_model_destroy(vl_model *m);
const char *vl_model_meta(const vl_model *m, const char *key); /* NULL: absent */
const char *vl_model_meta_key(const vl_model *m, size_t i);    /* NULL: past the end */

/* m and pool stay the caller's and must outlive the net. pool NULL: one thread. */
int vl_net_create(vl_net **out, const vl_model *m, vl_pool *pool, uint32_t cpu_off,
                  int32_t keep_all);
void vl_net_destroy(vl_net *net);
int vl_net_set_size(vl_net *net, int32_t width, int32_t height);
uint8_t *vl_net_input(vl_net *net); /* (H,W,4) bytes R,G,B,unused; NULL before set_size */
int32_t vl_net_width(const vl_net *net);
int32_t vl_net_height(const vl_net *net);
void vl_net_set_clock(vl_net *net, int64_t (*clock_ns)(void)); /* NULL: no profile */
int vl_net_run(vl_net *net);
size_t vl_net_outputs(const vl_net *net);
/* Outputs are always float32. name and stride (input px a cell) come from the model file. */
int vl_net_output(const vl_net *net, size_t i, veil_tensor *out);
size_t vl_net_layers(const vl_net *net);
int vl_net_layer(const vl_net *net, size_t i, veil_layer *out);
int vl_net_tensor(const vl_net *net, size_t i, veil_tensor *out);
int vl_net_memory(const vl_net *net, size_t *arena, size_t *weights);

#endif
