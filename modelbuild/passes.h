/* Changes to the network graph that keep what it computes. Each leaves dead operators behind;
 * gr_clean takes them out. 0, or -1 with the error set. */
#ifndef VEIL_MODELBUILD_PASSES_H
#define VEIL_MODELBUILD_PASSES_H

#include "graph.h"

/* fold_scale.c: factors and offsets per channel (batch norm) go into the convolution before them,
 * or after them where that is exact. */
int ps_fold_scale(mb *m, gr_graph *g);

/* fuse_act.c: activations written as several operators become one; activations go into the
 * operator before them. */
int ps_fuse_act(mb *m, gr_graph *g);

/* preprocess.c: the picture as the ONNX network expects it from RGB 0..1:
 * (x * 255 - mean) / std, channels swapped for BGR. */
typedef struct {
    float mean[3], std[3]; /* RGB order */
    bool bgr;
} ps_input;
int ps_preprocess(mb *m, gr_graph *g, const ps_input *in);

#endif
