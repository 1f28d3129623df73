/* What several nets of one process use together: parsed models and packed weights, kept once for
 * as long as somebody uses them. Safe from any thread; nothing of it is touched while running. */
#ifndef VL_NN_SHARE_H
#define VL_NN_SHARE_H

#include "pack.h"

/* The convolution weights of a model as some levels read them. Not changed once it is made. */
typedef struct vl_weights {
    vl_packed *packed; /* per operator; empty for all but convolutions */
    size_t bytes;
    const vl_model *model;
    vl_packing pack_s8, pack_f32;
    int32_t depthwise_four;
    int32_t users;
    struct vl_weights *next;
} vl_weights;

/* Packs the weights, or takes those that another net of the same model has packed alike. m must
 * outlive what it gives; vl_share_release accepts NULL. */
int vl_share_weights(vl_weights **out, const vl_model *m, const vl_dsp *dsp);
void vl_share_release(vl_weights *w);

#endif
