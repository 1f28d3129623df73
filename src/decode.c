/* Decoders of detector families: how each lays boxes and scores out in its raw output maps. Scores
 * are compared before any exponential is taken, so that empty cells cost one comparison. */
#include "detect_priv.h"

#include <math.h>
#include <string.h>

#define LOGIT_LOWEST (-1e4f) /* below, the network is broken, not sure */
#define LOG_SIZE_MIN (-4.0f) /* log(size / stride) is clamped as in training */
#define LOG_SIZE_MAX 5.0f

static float sigmoid(float x) {
    return 1.0f / (1.0f + expf(-x));
}

/* True when the cell is surely empty; NaN and absurd values are not. */
static bool empty(float score, float min_logit) {
    return score < min_logit && score > LOGIT_LOWEST;
}

static float clamp(float x, float low, float high) {
    return x < low ? low : x > high ? high : x; /* NaN stays NaN */
}

static const float *cell(const veil_tensor *t, int32_t y, int32_t x) {
    return (const float *)t->data + y * t->row_stride + x * t->pixel_stride;
}

static bool usable(const veil_tensor *t, int32_t min_channels) {
    return t->data != NULL && t->is_u8 == 0 && t->channels >= min_channels && t->stride > 0 &&
           t->width > 0 && t->height > 0;
}

/* ------------------------------------------------------------------ veil: our own */

/* (H,W,6) at each stride: tx ty tw th face interview. */
#define VEIL_CHANNELS 6

static int veil_check(const vl_decode_params *p, const vl_net *net) {
    (void)p;
    size_t n = vl_net_outputs(net);
    if (n == 0)
        return VEIL_E_MODEL;
    for (size_t i = 0; i < n; i++) {
        veil_tensor t;
        if (vl_net_output(net, i, &t) != VEIL_OK || !usable(&t, VEIL_CHANNELS) ||
            t.channels != VEIL_CHANNELS)
            return VEIL_E_MODEL;
    }
    return VEIL_OK;
}

static int veil_level(const veil_tensor *t, vl_candidates *c) {
    float s = (float)t->stride, min_logit = c->min_logit;
    for (int32_t y = 0; y < t->height; y++) {
        for (int32_t x = 0; x < t->width; x++) {
            const float *o = cell(t, y, x);
            if (empty(o[4], min_logit))
                continue;
            vl_candidate k = {.cx = ((float)x + 0.5f + o[0]) * s,
                              .cy = ((float)y + 0.5f + o[1]) * s,
                              .w = s * expf(clamp(o[2], LOG_SIZE_MIN, LOG_SIZE_MAX)),
                              .h = s * expf(clamp(o[3], LOG_SIZE_MIN, LOG_SIZE_MAX)),
                              .score = o[4],
                              .interview = sigmoid(o[5])};
            if (!vl_candidates_push(c, &k))
                return VEIL_E_INTERNAL;
        }
    }
    return VEIL_OK;
}

static int veil_decode(const vl_decode_params *p, const vl_net *net, vl_candidates *c) {
    (void)p;
    int err = VEIL_OK;
    for (size_t i = 0; i < vl_net_outputs(net) && err == VEIL_OK; i++) {
        veil_tensor t;
        err = vl_net_output(net, i, &t);
        if (err == VEIL_OK)
            err = veil_level(&t, c);
    }
    return err;
}

static const vl_decoder decoders[] = {
    {"veil", veil_check, veil_decode},
};

const vl_decoder *vl_decode_find(const char *name) {
    for (size_t i = 0; i < sizeof decoders / sizeof decoders[0]; i++)
        if (strcmp(name, decoders[i].name) == 0)
            return &decoders[i];
    return NULL;
}

int vl_decode_params_read(vl_decode_params *p, const vl_model *model, const char *decoder) {
    (void)model;
    (void)decoder;
    memset(p, 0, sizeof *p);
    p->interview_class = -1;
    return VEIL_OK;
}
