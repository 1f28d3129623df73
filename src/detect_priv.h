/* Between detect.c and the decoders in decode.c. */
#ifndef VL_DETECT_PRIV_H
#define VL_DETECT_PRIV_H

#include "detect.h"

#include <stdbool.h>

#define VL_DECODE_LEVELS  8 /* maps of one detector, by stride */
#define VL_DECODE_ANCHORS 8 /* boxes of a cell */

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
    /* "anchors": width,height,... of a level's boxes in input px, levels separated by ';' */
    float anchor[VL_DECODE_LEVELS][VL_DECODE_ANCHORS][2];
    int32_t n_anchors[VL_DECODE_LEVELS];
    int32_t n_levels;
    int32_t
        interview_class; /* "interview_class": index among the classes; -1: the model has none */
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

/* False when the text is damaged. */
bool vl_decode_anchors_read(vl_decode_params *p, const char *text);

/* Decoders of other families, decode_other.c. */
extern const vl_decoder vl_decode_yolov5, vl_decode_yolov5_face, vl_decode_yolov8, vl_decode_scrfd,
    vl_decode_yunet, vl_decode_ultraface;

/* Scores below are a broken network's, not an unsure one's. */
#define VL_DECODE_LOGIT_LOWEST (-1e4f)

/* True when the cell is surely empty; values that are not numbers or absurd are not. */
static inline bool vl_decode_empty(float score, float min_logit) {
    return score < min_logit && score > VL_DECODE_LOGIT_LOWEST;
}

static inline float vl_decode_clamp(float x, float low, float high) {
    return x < low ? low : x > high ? high : x; /* NaN stays NaN */
}

static inline const float *vl_decode_cell(const veil_tensor *t, int32_t y, int32_t x) {
    return (const float *)t->data + y * t->row_stride + x * t->pixel_stride;
}

static inline bool vl_decode_usable(const veil_tensor *t) {
    return t->data != NULL && t->is_u8 == 0 && t->channels > 0 && t->stride > 0 && t->width > 0 &&
           t->height > 0;
}

float vl_decode_sigmoid(float x);

/* Channels of an output of veil's own decoder: tx ty tw th face interview. */
enum { VL_DECODE_FACE = 4, VL_DECODE_INTERVIEW = 5, VL_DECODE_CHANNELS = 6 };
vl_candidate vl_decode_own_cell(const veil_tensor *t, int32_t y, int32_t x);

/* False when a value is not a number or absurd. */
bool vl_candidates_push(vl_candidates *c, const vl_candidate *item);

#endif
