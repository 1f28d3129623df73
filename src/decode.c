/* Decoders of detector families: how each lays boxes and scores out in its raw output maps. Scores
 * are compared before any exponential is taken, so that empty cells cost one comparison. */
#include "detect_priv.h"

#include <math.h>
#include <string.h>

#define LOG_SIZE_MIN (-4.0f) /* log(size / stride) is clamped as in training */
#define LOG_SIZE_MAX 5.0f

float vl_decode_sigmoid(float x) {
    return 1.0f / (1.0f + expf(-x));
}

/* ------------------------------------------------------------------ veil: our own */

static int veil_check(const vl_decode_params *p, const vl_net *net) {
    (void)p;
    size_t n = vl_net_outputs(net);
    if (n == 0)
        return VEIL_E_MODEL;
    for (size_t i = 0; i < n; i++) {
        veil_tensor t;
        if (vl_net_output(net, i, &t) != VEIL_OK || !vl_decode_usable(&t) ||
            t.channels != VL_DECODE_CHANNELS)
            return VEIL_E_MODEL;
    }
    return VEIL_OK;
}

vl_candidate vl_decode_own_cell(const veil_tensor *t, int32_t y, int32_t x) {
    const float *o = vl_decode_cell(t, y, x), s = (float)t->stride;
    return (vl_candidate){.cx = ((float)x + 0.5f + o[0]) * s,
                          .cy = ((float)y + 0.5f + o[1]) * s,
                          .w = s * expf(vl_decode_clamp(o[2], LOG_SIZE_MIN, LOG_SIZE_MAX)),
                          .h = s * expf(vl_decode_clamp(o[3], LOG_SIZE_MIN, LOG_SIZE_MAX)),
                          .score = o[VL_DECODE_FACE],
                          .interview = vl_decode_sigmoid(o[VL_DECODE_INTERVIEW])};
}

static int veil_level(const veil_tensor *t, vl_candidates *c) {
    for (int32_t y = 0; y < t->height; y++) {
        for (int32_t x = 0; x < t->width; x++) {
            if (vl_decode_empty(vl_decode_cell(t, y, x)[VL_DECODE_FACE], c->min_logit))
                continue;
            vl_candidate k = vl_decode_own_cell(t, y, x);
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

/* ------------------------------------------------------------------ choice */

static const vl_decoder ours = {"veil", veil_check, veil_decode};

static const vl_decoder *const decoders[] = {
    &ours,
    &vl_decode_yolov5,
    &vl_decode_yolov5_face,
    &vl_decode_yolov8,
    &vl_decode_scrfd,
    &vl_decode_yunet,
    &vl_decode_ultraface,
};

const vl_decoder *vl_decode_find(const char *name) {
    for (size_t i = 0; i < sizeof decoders / sizeof decoders[0]; i++)
        if (strcmp(name, decoders[i]->name) == 0)
            return decoders[i];
    return NULL;
}

/* A number of at most six digits with a fraction; no locale, no exponent, no sign. */
static bool read_number(const char **text, float *out) {
    const char *p = *text;
    float value = 0, part = 1;
    int digits = 0;
    for (; *p >= '0' && *p <= '9' && digits < 6; p++, digits++)
        value = value * 10 + (float)(*p - '0');
    if (digits > 0 && *p == '.')
        for (p++; *p >= '0' && *p <= '9'; p++)
            value += (part *= 0.1f) * (float)(*p - '0');
    *text = p;
    *out = value;
    return digits > 0 && value > 0;
}

bool vl_decode_anchors_read(vl_decode_params *p, const char *text) {
    p->n_levels = 0;
    while (*text != 0) {
        if (p->n_levels == VL_DECODE_LEVELS)
            return false;
        int32_t n = 0, level = p->n_levels++;
        for (;;) {
            if (n == VL_DECODE_ANCHORS || !read_number(&text, &p->anchor[level][n][0]) ||
                *text++ != ',' || !read_number(&text, &p->anchor[level][n][1]))
                return false;
            n++;
            if (*text != ',')
                break;
            text++;
        }
        p->n_anchors[level] = n;
        if (*text == ';')
            text++;
        else if (*text != 0)
            return false;
    }
    return p->n_levels > 0;
}

int vl_decode_params_read(vl_decode_params *p, const vl_model *model, const char *decoder) {
    memset(p, 0, sizeof *p);
    p->interview_class = -1;
    const char *anchors = vl_model_meta(model, "anchors");
    const char *class_text = vl_model_meta(model, "interview_class");
    if (strcmp(decoder, "veil") != 0 && anchors != NULL && !vl_decode_anchors_read(p, anchors))
        return VEIL_E_MODEL;
    if (class_text != NULL) {
        if (class_text[0] < '0' || class_text[0] > '9' || class_text[1] != 0)
            return VEIL_E_MODEL;
        p->interview_class = class_text[0] - '0';
    }
    return VEIL_OK;
}
