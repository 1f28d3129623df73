/* The inside of an explainer, shared by explain.c (life, the face, the map) and occlude.c. */
#ifndef VL_EXPLAIN_H
#define VL_EXPLAIN_H

#include "nn/grad.h"
#include "nn/nn.h"
#include "pool.h"
#include "scale.h"

struct veil_explainer {
    vl_pool *pool;
    vl_model *model, *twin; /* as given; its float twin */
    vl_net *net;            /* of the twin */
    vl_net *plain;          /* of the model, made when first needed */
    vl_grad *grad;
    vl_scale *scale;
    uint32_t cpu_off;
    int32_t input_width, input_height; /* 0: from the frame */
    veil_frame frame;                  /* the last one; its pixels are not kept */
    bool has_frame;
    vl_scale_map at; /* of the last frame in the input */
};

/* A map of the places of a layer, or of an occluding mask. */
typedef struct {
    float *data;
    int32_t width, height;
    float cell_x, cell_y; /* input px a place */
} vl_explain_map;

/* How much the explained number sinks, on average, when a square of `patch` input px over a place
 * is grey. Places are half a patch apart. map->data is allocated. */
int vl_occlude(veil_explainer *e, const veil_explanation *cell, veil_class target, int32_t patch,
               vl_explain_map *map);

/* Channel of an output that a class is about, and the sign it has there. */
int32_t vl_explain_channel(veil_class target, float *sign);

#endif
