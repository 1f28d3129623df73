/* See quantise.h. Tensors that only move values (pool, upsample, concat, slice) share one scale
 * with their source, so that moving them costs nothing and loses nothing. */
#include "quantise.h"

#include <math.h>
#include <string.h>

#define MAX_PER_OUTPUT 65000u /* products a sum may have before 32 bits could overflow */
#define SHARE_AT_MOST  2.0f   /* a tensor read elsewhere too joins a range up to so much wider */

typedef struct {
    mb *m;
    gr_graph *g;
    uint32_t *group; /* tensor -> a tensor of the same scale; itself at the root */
    float *low, *high;
} quantiser;

static uint32_t root(const quantiser *q, uint32_t t) {
    while (q->group[t] != t)
        t = q->group[t];
    return t;
}

static void join(quantiser *q, uint32_t a, uint32_t b) {
    a = root(q, a);
    b = root(q, b);
    if (a == b)
        return;
    if (b == 0) { /* the picture's scale is given */
        b = a;
        a = 0;
    }
    q->group[b] = a;
    if (a) {
        q->low[a] = fminf(q->low[a], q->low[b]);
        q->high[a] = fmaxf(q->high[a], q->high[b]);
    }
}

static bool is_output(const gr_graph *g, uint32_t t) {
    for (size_t i = 0; i < g->n_out; i++)
        if (g->out[i].tensor == t)
            return true;
    return false;
}

static bool moves_values(uint32_t type) {
    return type == VL_FMT_OP_MAXPOOL || type == VL_FMT_OP_UPSAMPLE || type == VL_FMT_OP_SLICE ||
           type == VL_FMT_OP_SHUFFLE || type == VL_FMT_OP_FOCUS;
}

static void share_concat(quantiser *q, const gr_op *op) {
    uint32_t out = root(q, op->f.out);
    for (uint32_t k = 0; k < op->f.n_in; k++) {
        uint32_t in = root(q, op->f.in[k]);
        float span = q->high[in] - q->low[in], all = q->high[out] - q->low[out];
        /* Alone with this reader it is rounded to the common scale in any case. */
        if (in && (gr_uses(q->g, op->f.in[k]) == 1 || all <= SHARE_AT_MOST * span))
            join(q, out, in);
    }
}

static void share_scales(quantiser *q) {
    gr_graph *g = q->g;
    for (size_t i = 0; i < g->n_op; i++) {
        const gr_op *op = &g->op[i];
        if (moves_values(op->f.type) && !is_output(g, op->f.out))
            join(q, op->f.in[0], op->f.out);
    }
    for (size_t i = 0; i < g->n_op; i++)
        if (g->op[i].f.type == VL_FMT_OP_CONCAT && !is_output(g, g->op[i].f.out))
            share_concat(q, &g->op[i]);
}

static void set_scale(quantiser *q, uint32_t t) {
    gr_tensor *x = &q->g->t[t];
    uint32_t r = root(q, t);
    if (is_output(q->g, t))
        return;
    x->u8 = true;
    if (r == 0) {
        x->scale = 1.0f / 255.0f;
        x->zero = 0;
        return;
    }
    float span = q->high[r] - q->low[r];
    x->scale = span > 1e-9f ? span / 255.0f : 1e-9f;
    float zero = rintf(-q->low[r] / x->scale);
    x->zero = (uint32_t)(zero < 0 ? 0 : zero > 255 ? 255 : zero);
}

/* Squared error of rounding v to steps of s within -127..127. */
static double rounding_error(const float *v, size_t n, float s) {
    double sum = 0;
    for (size_t k = 0; k < n; k++) {
        float r = rintf(v[k] / s);
        r = fmaxf(-127, fminf(127, r));
        sum += (double)((v[k] - r * s) * (v[k] - r * s));
    }
    return sum;
}

/* The step that rounds one output channel's weights with the least squared error. */
static float weight_scale(const float *v, size_t n) {
    float peak = 0, best;
    for (size_t k = 0; k < n; k++)
        peak = fmaxf(peak, fabsf(v[k]));
    if (peak < 1e-20f)
        return 1e-20f / 127.0f;
    best = peak / 127.0f;
    double least = rounding_error(v, n, best);
    for (int i = 98; i >= 70; i -= 2) {
        float s = peak * (float)i / 100.0f / 127.0f;
        double e = rounding_error(v, n, s);
        if (e < least) {
            least = e;
            best = s;
        }
    }
    return best;
}

/* What the rounding of the weights adds to an output on average is taken off its bias. */
static double mean_shift(const gr_graph *g, const gr_op *op, const cb_stats *in, uint32_t oc,
                         uint32_t o) {
    uint32_t ic = g->t[op->f.in[0]].channels, per_group = ic / op->f.groups;
    uint32_t first = o / (oc / op->f.groups) * per_group;
    size_t per = op->n_weights / oc;
    double sum = 0;
    for (size_t k = 0; k < per; k++) {
        float real = (float)op->q[o * per + k] * op->q_scales[o];
        sum += (double)(real - op->weights[o * per + k]) * in->mean[first + k % per_group];
    }
    return sum;
}

static int quantise_conv(quantiser *q, gr_op *op, const cb_stats *stats) {
    const gr_graph *g = q->g;
    uint32_t oc = g->t[op->f.out].channels;
    size_t per = op->n_weights / oc;
    if (!g->t[op->f.in[0]].u8 || per > MAX_PER_OUTPUT) {
        mb_note(q->m, "note: '%s' stays float", op->f.name);
        return 0;
    }
    op->q = mb_alloc(q->m, op->n_weights, 1);
    op->q_scales = mb_alloc(q->m, oc, sizeof(float));
    float *bias = mb_alloc(q->m, oc, sizeof(float));
    if (!op->q || !op->q_scales || !bias)
        return -1;
    for (uint32_t o = 0; o < oc; o++) {
        const float *w = op->weights + o * per;
        float s = op->q_scales[o] = weight_scale(w, per);
        for (size_t k = 0; k < per; k++)
            op->q[o * per + k] = (int8_t)fmaxf(-127, fminf(127, rintf(w[k] / s)));
        bias[o] = (op->bias ? op->bias[o] : 0);
        if (op->f.in[0] != 0) /* the picture has no statistics */
            bias[o] -= (float)mean_shift(g, op, &stats[op->f.in[0]], oc, o);
    }
    op->bias = bias;
    return 0;
}

int qz_quantise(mb *m, gr_graph *g, const cb_stats *stats, const cb_options *o) {
    quantiser q = {.m = m, .g = g};
    q.group = mb_alloc(m, g->n_t, sizeof(*q.group));
    q.low = mb_alloc(m, g->n_t, sizeof(float));
    q.high = mb_alloc(m, g->n_t, sizeof(float));
    if (!q.group || !q.low || !q.high)
        return -1;
    for (uint32_t t = 0; t < g->n_t; t++) {
        q.group[t] = t;
        if (t)
            cb_range(&stats[t], o, &q.low[t], &q.high[t]);
    }
    q.high[0] = 1;
    share_scales(&q);
    for (uint32_t t = 1; t < g->n_t; t++)
        set_scale(&q, t);
    g->t[0].u8 = true;
    g->t[0].scale = 1.0f / 255.0f;
    for (size_t i = 0; i < g->n_op; i++)
        if (g->op[i].f.type == VL_FMT_OP_CONV && quantise_conv(&q, &g->op[i], stats) < 0)
            return -1;
    return 0;
}
