/* Between detect.c and the decoders in decode.c. */
#ifndef VL_DETECT_PRIV_H
#define VL_DETECT_PRIV_H

#include "detect.h"

#include <stdbool.h>

#define VL_DECODE_MAX_ANCHORS 32

typedef struct {
    float cx, cy, w, h; /* input px */
    float score;        /* logit of the face score */
    float interview;    /* P(interview | face), 0..1 */
} vl_candidate;

/* A min-heap by score: the worst candidate is first and falls out when it is full. */
typedef struct {
    vl_candidate *c; /* [VL_DETECT_MAX] */
    size_t n;
    float min_logit; /* of the face score */
} vl_candidates;

/* Parameters of a decoder, from the model's texts. */
typedef struct {
    float anchor[VL_DECODE_MAX_ANCHORS][2]; /* width, height in input px */
    int32_t n_anchors;
    int32_t interview_class; /* channel among the classes, -1: the model has none */
} vl_decode_params;

typedef struct {
    const char *name;
    /* VEIL_OK, or VEIL_E_MODEL when the outputs cannot be this decoder's. */
    int (*check)(const vl_decode_params *p, const vl_net *net);
    /* Pushes every face above c->min_logit. VEIL_E_INTERNAL on values that are not numbers. */
    int (*decode)(const vl_decode_params *p, const vl_net *net, vl_candidates *c);
} vl_decoder;

/* NULL: unknown name. */
const vl_decoder *vl_decode_find(const char *name);

/* VEIL_E_MODEL on damaged texts. */
int vl_decode_params_read(vl_decode_params *p, const vl_model *model, const char *decoder);

/* False when a value is not a number or absurd. */
bool vl_candidates_push(vl_candidates *c, const vl_candidate *item);

#endif
