/* Decoders of other families of detectors. `veil model build` cuts such a network where its last
 * feature maps leave it and names them by role and stride ("p8", "box16", "cls32"); sigmoid,
 * softmax, anchors and strides, which the ONNX file does behind, are done here, for the few cells
 * that hold a face. A model without an interview class calls nobody interview. */
#include "detect_priv.h"

#include <math.h>
#include <string.h>

#define LOG_SIZE_MAX 8.0f
#define DFL_BINS     16
#define YOLO_BOX     5  /* tx ty tw th objectness */
#define FACE_POINTS  10 /* five points, between objectness and class */
#define SSD_CENTRE   0.1f
#define SSD_SIZE     0.2f

/* Inverse of the sigmoid for a probability that was multiplied together; NaN stays NaN. */
static float logit(float p) {
    if (p < 1e-30f)
        return p >= 0 ? -69.0f : NAN;
    if (p >= 1)
        return p <= 1.001f ? 16.0f : NAN;
    float x = logf(p / (1 - p));
    return x > 16 ? 16.0f : x; /* not fminf, which drops NaN */
}

/* The map of a role at one stride. False: there is none. */
static bool find(const vl_net *net, const char *role, int32_t stride, veil_tensor *out) {
    size_t length = strlen(role);
    for (size_t i = 0; i < vl_net_outputs(net); i++) {
        if (vl_net_output(net, i, out) != VEIL_OK || out->stride != stride || out->name == NULL ||
            strncmp(out->name, role, length) != 0)
            continue;
        char digit = out->name[length];
        if (digit >= '0' && digit <= '9' && vl_decode_usable(out))
            return true;
    }
    return false;
}

/* The level-th smallest stride; 0: there are fewer. */
static int32_t stride_of(const vl_net *net, int32_t level) {
    int32_t stride = 0;
    for (int32_t k = 0; k <= level; k++) {
        int32_t next = 0;
        for (size_t i = 0; i < vl_net_outputs(net); i++) {
            veil_tensor t;
            if (vl_net_output(net, i, &t) == VEIL_OK && t.stride > stride &&
                (next == 0 || t.stride < next))
                next = t.stride;
        }
        if (next == 0)
            return 0;
        stride = next;
    }
    return stride;
}

static bool same_grid(const veil_tensor *a, const veil_tensor *b) {
    return a->width == b->width && a->height == b->height;
}

/* The maps of one level; what is absent has no data. */
typedef struct {
    const vl_decode_params *p;
    vl_candidates *c;
    int32_t level;
    float s; /* stride */
    veil_tensor a, b, d;
} maps;

/* Calls check or decode for each level. fn returns false when the level is not as it should be. */
static int each_level(const vl_decode_params *p, const vl_net *net, vl_candidates *c,
                      const char *const role[3], bool (*fn)(maps *m), int error) {
    int32_t level = 0, stride;
    for (; level < VL_DECODE_LEVELS && (stride = stride_of(net, level)) > 0; level++) {
        maps m = {.p = p, .c = c, .level = level, .s = (float)stride};
        veil_tensor *t[3] = {&m.a, &m.b, &m.d};
        for (int i = 0; i < 3; i++)
            if (role[i] != NULL &&
                (!find(net, role[i], stride, t[i]) || (i > 0 && !same_grid(&m.a, t[i]))))
                return VEIL_E_MODEL;
        if (!fn(&m))
            return error;
    }
    return level > 0 ? VEIL_OK : VEIL_E_MODEL;
}

/* P(interview) among class scores given as logits; 0 without such a class. */
static float interview_of(const vl_decode_params *p, const float *classes, int32_t n) {
    if (p->interview_class < 0 || p->interview_class >= n || n < 2)
        return 0;
    float sum = 0;
    for (int32_t i = 0; i < n; i++)
        sum += vl_decode_sigmoid(classes[i]);
    return sum > 0 ? vl_decode_sigmoid(classes[p->interview_class]) / sum : sum;
}

/* The largest class score; not a number if any is none. */
static float best_of(const float *classes, int32_t n) {
    float best = classes[0];
    for (int32_t i = 0; i < n; i++) {
        if (!(fabsf(classes[i]) < -VL_DECODE_LOGIT_LOWEST))
            return NAN;
        best = fmaxf(best, classes[i]);
    }
    return best;
}

/* ------------------------------------------------------------------ yolov5, yolov5-face */

static bool yolo_fits(maps *m, int32_t extra) {
    int32_t n = m->level < m->p->n_levels ? m->p->n_anchors[m->level] : 0;
    return n > 0 && m->a.channels % n == 0 && m->a.channels / n > YOLO_BOX + extra;
}

static bool yolov5_fits(maps *m) {
    return yolo_fits(m, 0);
}

static bool yolov5_face_fits(maps *m) {
    return yolo_fits(m, FACE_POINTS);
}

static bool yolo_cell(maps *m, const float *o, int32_t x, int32_t y, const float anchor[2],
                      int32_t first_class, int32_t n_classes) {
    if (vl_decode_empty(o[4], m->c->min_logit)) /* the product is smaller still */
        return true;
    float best = best_of(o + first_class, n_classes);
    float score = logit(vl_decode_sigmoid(o[4]) * vl_decode_sigmoid(best));
    if (vl_decode_empty(score, m->c->min_logit) && fabsf(o[4]) < -VL_DECODE_LOGIT_LOWEST)
        return true;
    float w = 2 * vl_decode_sigmoid(o[2]), h = 2 * vl_decode_sigmoid(o[3]);
    vl_candidate k = {.cx = (2 * vl_decode_sigmoid(o[0]) - 0.5f + (float)x) * m->s,
                      .cy = (2 * vl_decode_sigmoid(o[1]) - 0.5f + (float)y) * m->s,
                      .w = w * w * anchor[0],
                      .h = h * h * anchor[1],
                      .score = fabsf(o[4]) < -VL_DECODE_LOGIT_LOWEST ? score : NAN,
                      .interview = interview_of(m->p, o + first_class, n_classes)};
    return vl_candidates_push(m->c, &k);
}

static bool yolo_level(maps *m, int32_t extra) {
    int32_t n = m->p->n_anchors[m->level], per = m->a.channels / n;
    for (int32_t y = 0; y < m->a.height; y++)
        for (int32_t x = 0; x < m->a.width; x++)
            for (int32_t i = 0; i < n; i++)
                if (!yolo_cell(m, vl_decode_cell(&m->a, y, x) + i * per, x, y,
                               m->p->anchor[m->level][i], YOLO_BOX + extra, per - YOLO_BOX - extra))
                    return false;
    return true;
}

static bool yolov5_level(maps *m) {
    return yolo_level(m, 0);
}

static bool yolov5_face_level(maps *m) {
    return yolo_level(m, FACE_POINTS);
}

/* ------------------------------------------------------------------ yolov8 */

static bool yolov8_fits(maps *m) {
    return m->a.channels == 4 * DFL_BINS && m->b.channels >= 1;
}

/* Expected value of a distribution over distances. */
static float distance(const float *o) {
    float most = o[0], sum = 0, mean = 0;
    for (int i = 1; i < DFL_BINS; i++)
        most = fmaxf(most, o[i]);
    for (int i = 0; i < DFL_BINS; i++) {
        float e = expf(o[i] - most);
        sum += e;
        mean += e * (float)i;
    }
    return mean / sum;
}

static bool yolov8_level(maps *m) {
    for (int32_t y = 0; y < m->a.height; y++) {
        for (int32_t x = 0; x < m->a.width; x++) {
            const float *o = vl_decode_cell(&m->a, y, x), *classes = vl_decode_cell(&m->b, y, x);
            float best = best_of(classes, m->b.channels);
            if (vl_decode_empty(best, m->c->min_logit))
                continue;
            float l = distance(o), t = distance(o + DFL_BINS), r = distance(o + 2 * DFL_BINS);
            float b = distance(o + 3 * DFL_BINS);
            vl_candidate k = {.cx = ((float)x + 0.5f + (r - l) / 2) * m->s,
                              .cy = ((float)y + 0.5f + (b - t) / 2) * m->s,
                              .w = (l + r) * m->s,
                              .h = (t + b) * m->s,
                              .score = best,
                              .interview = interview_of(m->p, classes, m->b.channels)};
            if (!vl_candidates_push(m->c, &k))
                return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------ scrfd */

static bool scrfd_fits(maps *m) {
    return m->b.channels == 4 * m->a.channels;
}

/* Distances from the cell's corner, in strides. */
static bool scrfd_level(maps *m) {
    for (int32_t y = 0; y < m->a.height; y++) {
        for (int32_t x = 0; x < m->a.width; x++) {
            const float *score = vl_decode_cell(&m->a, y, x), *box = vl_decode_cell(&m->b, y, x);
            for (int32_t i = 0; i < m->a.channels; i++) {
                if (vl_decode_empty(score[i], m->c->min_logit))
                    continue;
                const float *o = box + 4 * i;
                vl_candidate k = {.cx = ((float)x + (o[2] - o[0]) / 2) * m->s,
                                  .cy = ((float)y + (o[3] - o[1]) / 2) * m->s,
                                  .w = fmaxf(o[0] + o[2], 0.05f) * m->s,
                                  .h = fmaxf(o[1] + o[3], 0.05f) * m->s,
                                  .score = score[i]};
                if (!vl_candidates_push(m->c, &k))
                    return false;
            }
        }
    }
    return true;
}

/* ------------------------------------------------------------------ yunet */

static bool yunet_fits(maps *m) {
    return m->a.channels == 1 && m->b.channels == 1 && m->d.channels == 4;
}

static bool yunet_level(maps *m) {
    float least = vl_decode_sigmoid(m->c->min_logit);
    float min_logit = logit(least * least); /* score is the root of a product */
    for (int32_t y = 0; y < m->a.height; y++) {
        for (int32_t x = 0; x < m->a.width; x++) {
            float face = *vl_decode_cell(&m->a, y, x), object = *vl_decode_cell(&m->b, y, x);
            bool sane =
                fabsf(object) < -VL_DECODE_LOGIT_LOWEST && fabsf(face) < -VL_DECODE_LOGIT_LOWEST;
            if (sane && vl_decode_empty(face, min_logit))
                continue;
            float score = logit(sqrtf(vl_decode_sigmoid(face) * vl_decode_sigmoid(object)));
            if (sane && vl_decode_empty(score, m->c->min_logit))
                continue;
            const float *o = vl_decode_cell(&m->d, y, x);
            vl_candidate k = {.cx = ((float)x + o[0]) * m->s,
                              .cy = ((float)y + o[1]) * m->s,
                              .w = expf(vl_decode_clamp(o[2], -LOG_SIZE_MAX, LOG_SIZE_MAX)) * m->s,
                              .h = expf(vl_decode_clamp(o[3], -LOG_SIZE_MAX, LOG_SIZE_MAX)) * m->s,
                              .score = sane ? score : NAN};
            if (!vl_candidates_push(m->c, &k))
                return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------ ultraface */

static bool ultraface_fits(maps *m) {
    int32_t n = m->level < m->p->n_levels ? m->p->n_anchors[m->level] : 0;
    return n > 0 && m->a.channels == 2 * n && m->b.channels == 4 * n;
}

/* SSD: softmax of background and face, offsets scaled by variances. */
static bool ultraface_level(maps *m) {
    int32_t n = m->p->n_anchors[m->level];
    for (int32_t y = 0; y < m->a.height; y++) {
        for (int32_t x = 0; x < m->a.width; x++) {
            const float *score = vl_decode_cell(&m->a, y, x), *box = vl_decode_cell(&m->b, y, x);
            for (int32_t i = 0; i < n; i++) {
                float face = score[2 * i + 1] - score[2 * i];
                if (vl_decode_empty(face, m->c->min_logit))
                    continue;
                const float *o = box + 4 * i, *size = m->p->anchor[m->level][i];
                float dw = vl_decode_clamp(o[2] * SSD_SIZE, -LOG_SIZE_MAX, LOG_SIZE_MAX);
                float dh = vl_decode_clamp(o[3] * SSD_SIZE, -LOG_SIZE_MAX, LOG_SIZE_MAX);
                vl_candidate k = {.cx = ((float)x + 0.5f) * m->s + o[0] * SSD_CENTRE * size[0],
                                  .cy = ((float)y + 0.5f) * m->s + o[1] * SSD_CENTRE * size[1],
                                  .w = size[0] * expf(dw),
                                  .h = size[1] * expf(dh),
                                  .score = fabsf(face) < -VL_DECODE_LOGIT_LOWEST ? face : NAN};
                if (!vl_candidates_push(m->c, &k))
                    return false;
            }
        }
    }
    return true;
}

/* ------------------------------------------------------------------ tables */

#define DECODER(family, fits, level, ...)                                                          \
    static const char *const family##_roles[3] = {__VA_ARGS__};                                    \
    static int family##_check(const vl_decode_params *p, const vl_net *net) {                      \
        return each_level(p, net, NULL, family##_roles, fits, VEIL_E_MODEL);                       \
    }                                                                                              \
    static int family##_decode(const vl_decode_params *p, const vl_net *net, vl_candidates *c) {   \
        return each_level(p, net, c, family##_roles, level, VEIL_E_INTERNAL);                      \
    }

DECODER(yolov5, yolov5_fits, yolov5_level, "p", NULL, NULL)
DECODER(yolov5_face, yolov5_face_fits, yolov5_face_level, "p", NULL, NULL)
DECODER(yolov8, yolov8_fits, yolov8_level, "box", "cls", NULL)
DECODER(scrfd, scrfd_fits, scrfd_level, "score", "box", NULL)
DECODER(yunet, yunet_fits, yunet_level, "cls", "obj", "box")
DECODER(ultraface, ultraface_fits, ultraface_level, "score", "box", NULL)

const vl_decoder vl_decode_yolov5 = {"yolov5", yolov5_check, yolov5_decode};
const vl_decoder vl_decode_yolov5_face = {"yolov5-face", yolov5_face_check, yolov5_face_decode};
const vl_decoder vl_decode_yolov8 = {"yolov8", yolov8_check, yolov8_decode};
const vl_decoder vl_decode_scrfd = {"scrfd", scrfd_check, scrfd_decode};
const vl_decoder vl_decode_yunet = {"yunet", yunet_check, yunet_decode};
const vl_decoder vl_decode_ultraface = {"ultraface", ultraface_check, ultraface_decode};
