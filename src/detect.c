/* See detect.h. Candidates come from decode.c; here they are sorted, overlaps are suppressed
 * (greedy, best first) and boxes are mapped back. */
#include "detect.h"

#include "detect_priv.h"
#include "mem.h"
#include "relate.h"

#include <math.h>
#include <string.h>

#define LOGIT_ABSURD 1e6f /* no sane network answers beyond */
#define PX_ABSURD    1e6f
#define FAR_IOU      0.4f /* overlap from which a face of another look is this one */

struct vl_detect {
    const vl_decoder *decoder;
    vl_decode_params params;
    vl_candidates candidates;
    vl_relate *relate;   /* NULL: the network's own word stands */
    float *class_sum;    /* [VL_DETECT_MAX] score-weighted sum of P(interview) */
    float *class_weight; /* [VL_DETECT_MAX] */
    veil_detection far[VL_DETECT_LOOKS][VL_DETECT_FAR_MAX];
    size_t n_far[VL_DETECT_LOOKS];
    int n_looks;
};

int vl_detect_create(vl_detect **out, const vl_model *model) {
    if (out == NULL || model == NULL)
        return VEIL_E_ARG;
    *out = NULL;
    const char *name = vl_model_meta(model, "decoder");
    const vl_decoder *decoder = vl_decode_find(name != NULL ? name : "veil");
    if (decoder == NULL)
        return VEIL_E_MODEL;
    vl_detect *d = vl_mem_alloc(1, sizeof *d);
    if (d == NULL)
        return VEIL_E_NOMEM;
    d->decoder = decoder;
    int err = vl_decode_params_read(&d->params, model, decoder->name);
    if (err == VEIL_OK)
        err = vl_relate_create(&d->relate, model);
    if (err != VEIL_OK)
        goto fail;
    err = VEIL_E_NOMEM;
    d->candidates.c = vl_mem_alloc(VL_DETECT_MAX, sizeof *d->candidates.c);
    d->class_sum = vl_mem_alloc(VL_DETECT_MAX, sizeof *d->class_sum);
    d->class_weight = vl_mem_alloc(VL_DETECT_MAX, sizeof *d->class_weight);
    if (d->candidates.c == NULL || d->class_sum == NULL || d->class_weight == NULL)
        goto fail;
    *out = d;
    return VEIL_OK;
fail:
    vl_detect_destroy(d);
    return err;
}

void vl_detect_destroy(vl_detect *d) {
    if (d == NULL)
        return;
    vl_relate_destroy(d->relate);
    vl_mem_free(d->candidates.c);
    vl_mem_free(d->class_sum);
    vl_mem_free(d->class_weight);
    vl_mem_free(d);
}

int vl_detect_check(const vl_detect *d, const vl_net *net) {
    return d->decoder->check(&d->params, net);
}

static int32_t round_up_32(int64_t px) {
    int64_t r = (px + 31) / 32 * 32;
    return (int32_t)(r < 32 ? 32 : r > 4096 ? 4096 : r);
}

void vl_detect_fit_size(int64_t net_long, int32_t width, int32_t height, int32_t *net_width,
                        int32_t *net_height) {
    int64_t longer = width > height ? width : height;
    int64_t shorter = width > height ? height : width;
    int32_t a = round_up_32(net_long);
    int32_t b = longer > 0 ? round_up_32((a * shorter + longer - 1) / longer) : a;
    *net_width = width >= height ? a : b;
    *net_height = width >= height ? b : a;
}

void vl_detect_input_size(int32_t width, int32_t height, int32_t *net_width, int32_t *net_height) {
    int64_t longer = width > height ? width : height;
    /* A third of the source, but not less than 640, to which small sources are enlarged up to
     * twice: small faces are found better so, and the classes were learnt at this size. */
    int64_t net_long = longer / 3 < 640 ? 640 : longer / 3;
    if (net_long > 2 * longer)
        net_long = longer < 160 ? 320 : 2 * longer;
    vl_detect_fit_size(net_long, width, height, net_width, net_height);
}

/* ------------------------------------------------------------------ candidates */

static bool worse(const vl_candidate *a, const vl_candidate *b) {
    return a->score < b->score;
}

static void swap(vl_candidate *a, vl_candidate *b) {
    vl_candidate t = *a;
    *a = *b;
    *b = t;
}

static void sift_down(vl_candidate *c, size_t n, size_t i) {
    for (;;) {
        size_t least = i, l = 2 * i + 1, r = l + 1;
        if (l < n && worse(&c[l], &c[least]))
            least = l;
        if (r < n && worse(&c[r], &c[least]))
            least = r;
        if (least == i)
            return;
        swap(&c[i], &c[least]);
        i = least;
    }
}

static bool sane(const vl_candidate *c) {
    return fabsf(c->cx) < PX_ABSURD && fabsf(c->cy) < PX_ABSURD && c->w > 0 && c->w < PX_ABSURD &&
           c->h > 0 && c->h < PX_ABSURD && fabsf(c->score) < LOGIT_ABSURD && c->interview >= 0 &&
           c->interview <= 1; /* false for NaN in any of them */
}

bool vl_candidates_push(vl_candidates *list, const vl_candidate *item) {
    if (!sane(item))
        return false;
    vl_candidate *c = list->c;
    if (list->n == VL_DETECT_MAX) {
        if (worse(&c[0], item)) {
            c[0] = *item;
            sift_down(c, list->n, 0);
        }
        return true;
    }
    size_t i = list->n++;
    c[i] = *item;
    while (i > 0 && worse(&c[i], &c[(i - 1) / 2])) {
        swap(&c[i], &c[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    return true;
}

/* Heap to an array, best first. */
static void sort_best_first(vl_candidates *list) {
    for (size_t n = list->n; n > 1; n--) {
        swap(&list->c[0], &list->c[n - 1]);
        sift_down(list->c, n - 1, 0);
    }
}

/* ------------------------------------------------------------------ overlaps */

static float overlap(const vl_candidate *a, const vl_candidate *b) {
    float w = fminf(a->cx + a->w / 2, b->cx + b->w / 2) - fmaxf(a->cx - a->w / 2, b->cx - b->w / 2);
    if (w <= 0)
        return 0;
    float h = fminf(a->cy + a->h / 2, b->cy + b->h / 2) - fmaxf(a->cy - a->h / 2, b->cy - b->h / 2);
    if (h <= 0)
        return 0;
    float both = w * h;
    return both / (a->w * a->h + b->w * b->h - both);
}

/* Candidates are sorted. Kept ones move to the front; a suppressed one gives its class vote to the
 * box that suppressed it. */
static size_t suppress(vl_detect *d) {
    vl_candidate *c = d->candidates.c;
    size_t kept = 0;
    for (size_t i = 0; i < d->candidates.n; i++) {
        float score = vl_decode_sigmoid(c[i].score);
        size_t k = 0;
        while (k < kept && overlap(&c[k], &c[i]) <= VL_DETECT_IOU)
            k++;
        if (k == kept) {
            c[kept] = c[i];
            d->class_sum[kept] = 0;
            d->class_weight[kept] = 0;
            kept++;
        }
        d->class_sum[k] += score * c[i].interview;
        d->class_weight[k] += score;
    }
    return kept;
}

int vl_detect_decode(vl_detect *d, const vl_net *net, float min_score, veil_detection *out,
                     size_t cap, size_t *n) {
    *n = 0;
    float p = fminf(fmaxf(min_score, 1e-4f), 0.9999f);
    d->candidates.n = 0;
    d->candidates.min_logit = logf(p / (1 - p));
    int err = d->decoder->decode(&d->params, net, &d->candidates);
    if (err != VEIL_OK)
        return err;
    sort_best_first(&d->candidates);
    size_t kept = suppress(d);
    if (kept > cap)
        kept = cap;
    for (size_t i = 0; i < kept; i++) {
        const vl_candidate *c = &d->candidates.c[i];
        out[i] = (veil_detection){
            .x = c->cx - c->w / 2,
            .y = c->cy - c->h / 2,
            .w = c->w,
            .h = c->h,
            .score = vl_decode_sigmoid(c->score),
            .interview = d->class_weight[i] > 0 ? d->class_sum[i] / d->class_weight[i] : 0};
    }
    *n = kept;
    return VEIL_OK;
}

/* ------------------------------------------------------------------ a whole frame */

int vl_detect_look(vl_detect *d, vl_net *net, vl_scale *scale, vl_pool *pool, const veil_frame *f,
                   float min_score, veil_detection *out, size_t cap, size_t *n, vl_scale_map *map,
                   const vl_fault *fault) {
    *n = 0;
    if (vl_fault_hits(fault, "scale"))
        return VEIL_E_INTERNAL;
    int err = vl_scale_fill(scale, pool, f, vl_net_input(net), vl_net_width(net),
                            vl_net_height(net), map);
    if (err != VEIL_OK)
        return err;
    if (vl_fault_hits(fault, "infer"))
        return VEIL_E_INTERNAL;
    err = vl_net_run(net);
    if (err != VEIL_OK)
        return err;
    if (vl_fault_hits(fault, "decode"))
        return VEIL_E_INTERNAL;
    err = vl_detect_decode(d, net, min_score, out, cap, n);
    if (err != VEIL_OK)
        return err;
    for (size_t i = 0; i < *n; i++) {
        out[i].x *= map->scale_x;
        out[i].y *= map->scale_y;
        out[i].w *= map->scale_x;
        out[i].h *= map->scale_y;
    }
    return VEIL_OK;
}

void vl_detect_add_far(vl_detect *d, const veil_detection *far, size_t n) {
    if (d->n_looks == VL_DETECT_LOOKS)
        return;
    n = n < VL_DETECT_FAR_MAX ? n : VL_DETECT_FAR_MAX;
    if (n > 0)
        memcpy(d->far[d->n_looks], far, n * sizeof *far);
    d->n_far[d->n_looks++] = n;
}

void vl_detect_forget_far(vl_detect *d) {
    d->n_looks = 0;
}

/* The face of a further look that is this one, or NULL. */
static const veil_detection *same_face(const veil_detection *face, const veil_detection *far,
                                       size_t n) {
    const veil_detection *same = NULL;
    float most = FAR_IOU;
    for (size_t i = 0; i < n; i++) {
        float o = vl_frame_overlap(vl_frame_rect(face), vl_frame_rect(&far[i]));
        if (o >= most) {
            most = o;
            same = &far[i];
        }
    }
    return same;
}

static void mix_in_far(const vl_detect *d, veil_detection *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float sum = vl_relate_log_odds(out[i].interview);
        int looks = 1;
        for (int k = 0; k < d->n_looks; k++) {
            const veil_detection *same = same_face(&out[i], d->far[k], d->n_far[k]);
            if (same == NULL)
                continue;
            sum += vl_relate_log_odds(same->interview);
            looks++;
        }
        if (looks > 1)
            out[i].interview = vl_decode_sigmoid(sum / (float)looks);
    }
}

int vl_detect_frame(vl_detect *d, vl_net *net, vl_scale *scale, vl_pool *pool, const veil_frame *f,
                    float min_score, veil_detection *out, size_t cap, size_t *n, vl_scale_map *map,
                    const vl_fault *fault) {
    vl_scale_map m = {0};
    int err = vl_detect_look(d, net, scale, pool, f, min_score, out, cap, n, &m, fault);
    if (err != VEIL_OK)
        return err;
    mix_in_far(d, out, *n);
    vl_relate_apply(d->relate, vl_frame_upright_width(f), vl_frame_upright_height(f), out, *n);
    if (map != NULL)
        *map = m;
    return VEIL_OK;
}

void vl_detect_to_stored(const veil_frame *f, veil_detection *d, size_t n) {
    for (size_t i = 0; i < n; i++) {
        vl_rect r = vl_frame_from_upright(f, (vl_rect){d[i].x, d[i].y, d[i].w, d[i].h});
        d[i].x = r.x;
        d[i].y = r.y;
        d[i].w = r.w;
        d[i].h = r.h;
    }
}
