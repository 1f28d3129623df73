/* Scale and offset per channel folded into neighbouring convolutions. See passes.h. */
#include "passes.h"

#include <math.h>
#include <string.h>

static bool is_plain_conv(const gr_op *op) {
    return op->f.type == VL_FMT_OP_CONV && op->f.act == VL_FMT_ACT_NONE;
}

/* conv -> scale: w *= s, b = b * s + t. The scale's activation becomes the convolution's. */
static int into_conv_before(mb *m, gr_graph *g, gr_op *conv, gr_op *scale) {
    uint32_t oc = g->t[conv->f.out].channels;
    size_t per = conv->n_weights / oc;
    /* Copies: several convolutions may share one stored tensor. */
    float *w = mb_alloc(m, conv->n_weights, sizeof(float)), *b = mb_alloc(m, oc, sizeof(float));
    if (!w || !b)
        return -1;
    for (uint32_t o = 0; o < oc; o++) {
        for (size_t k = 0; k < per; k++)
            w[o * per + k] = conv->weights[o * per + k] * scale->scales[o];
        b[o] = (conv->bias ? conv->bias[o] : 0) * scale->scales[o] +
               (scale->bias ? scale->bias[o] : 0);
        if (!isfinite(b[o]))
            return mb_fail(m, "node '%s': its factors overflow", scale->f.name);
    }
    conv->weights = w;
    conv->bias = b;
    conv->f.act = scale->f.act;
    conv->f.act_a = scale->f.act_a;
    conv->f.act_b = scale->f.act_b;
    conv->f.out = scale->f.out;
    scale->dead = true;
    return 0;
}

static bool has_offset(const gr_graph *g, const gr_op *op) {
    for (uint32_t c = 0; op->bias && c < g->t[op->f.out].channels; c++)
        if (op->bias[c] != 0)
            return true;
    return false;
}

/* scale -> conv: w[o][a][i] *= s[i]. With an offset only where the convolution does not pad, since
 * the padding is zero after the scale. */
static bool into_conv_after(mb *m, gr_graph *g, gr_op *scale, gr_op *conv) {
    bool padded = conv->f.pad_top || conv->f.pad_left || conv->f.pad_bottom || conv->f.pad_right;
    if (scale->f.act != VL_FMT_ACT_NONE || (has_offset(g, scale) && padded))
        return false;
    uint32_t oc = g->t[conv->f.out].channels, ic = g->t[scale->f.out].channels;
    uint32_t per_group = ic / conv->f.groups;
    size_t per = conv->n_weights / oc;
    float *w = mb_alloc(m, conv->n_weights, sizeof(float)), *b = mb_alloc(m, oc, sizeof(float));
    if (!w || !b)
        return false;
    for (uint32_t o = 0; o < oc; o++) {
        uint32_t first = o / (oc / conv->f.groups) * per_group;
        double sum = conv->bias ? (double)conv->bias[o] : 0;
        for (size_t k = 0; k < per; k++) {
            uint32_t i = first + (uint32_t)(k % per_group);
            float old = conv->weights[o * per + k];
            w[o * per + k] = old * scale->scales[i];
            sum += (double)old * (scale->bias ? (double)scale->bias[i] : 0);
        }
        b[o] = (float)sum;
    }
    conv->weights = w;
    conv->bias = b;
    conv->f.in[0] = scale->f.in[0];
    scale->dead = true;
    return true;
}

/* scale -> scale: s = s1 * s2, t = t1 * s2 + t2. */
static int into_scale_before(mb *m, gr_graph *g, gr_op *first, gr_op *second) {
    uint32_t channels = g->t[first->f.out].channels;
    float *s = mb_alloc(m, channels, sizeof(float)), *t = mb_alloc(m, channels, sizeof(float));
    if (!s || !t)
        return -1;
    for (uint32_t c = 0; c < channels; c++) {
        s[c] = first->scales[c] * second->scales[c];
        t[c] = first->bias[c] * second->scales[c] + second->bias[c];
    }
    second->scales = s;
    second->bias = t;
    second->f.in[0] = first->f.in[0];
    first->dead = true;
    return 0;
}

static int fold_one(mb *m, gr_graph *g, gr_op *scale) {
    uint32_t p = gr_producer(g, scale->f.in[0]);
    gr_op *before = p == GR_NONE ? NULL : &g->op[p];
    if (before && gr_uses(g, before->f.out) == 1) {
        if (is_plain_conv(before))
            return into_conv_before(m, g, before, scale);
        if (before->f.type == VL_FMT_OP_SCALE && before->f.act == VL_FMT_ACT_NONE)
            return into_scale_before(m, g, before, scale);
    }
    return 0;
}

/* A 1x1 convolution of the picture without offset (colour order, range) goes into the next one. */
static int compose_input(mb *m, gr_graph *g, gr_op *first, gr_op *conv) {
    uint32_t oc = g->t[conv->f.out].channels, mid = g->t[first->f.out].channels;
    uint32_t ic = g->t[first->f.in[0]].channels;
    size_t area = (size_t)conv->f.kh * conv->f.kw;
    float *w = mb_alloc(m, oc * area * ic, sizeof(float));
    if (!w)
        return -1;
    for (size_t oa = 0; oa < oc * area; oa++)
        for (uint32_t i = 0; i < ic; i++) {
            double sum = 0;
            for (uint32_t k = 0; k < mid; k++)
                sum += (double)conv->weights[oa * mid + k] * (double)first->weights[k * ic + i];
            w[oa * ic + i] = (float)sum;
        }
    conv->weights = w;
    conv->n_weights = oc * area * ic;
    conv->f.in[0] = first->f.in[0];
    first->dead = true;
    return 0;
}

static bool is_input_mix(const gr_graph *g, const gr_op *op) {
    return is_plain_conv(op) && op->f.in[0] == 0 && op->f.kh == 1 && op->f.kw == 1 &&
           op->f.sh == 1 && op->f.sw == 1 && op->f.groups == 1 && g->t[op->f.out].channels == 3 &&
           !op->f.pad_top && !op->f.pad_left && !op->f.pad_bottom && !op->f.pad_right &&
           !has_offset(g, op);
}

int ps_fold_scale(mb *m, gr_graph *g) {
    for (size_t i = 0; i < g->n_op; i++)
        if (!g->op[i].dead && g->op[i].f.type == VL_FMT_OP_SCALE && fold_one(m, g, &g->op[i]) < 0)
            return -1;
    for (size_t i = 0; i < g->n_op; i++) {
        gr_op *op = &g->op[i];
        uint32_t p =
            op->dead || op->f.type != VL_FMT_OP_CONV ? GR_NONE : gr_producer(g, op->f.in[0]);
        if (p == GR_NONE || gr_uses(g, g->op[p].f.out) != 1)
            continue;
        if (g->op[p].f.type == VL_FMT_OP_SCALE)
            into_conv_after(m, g, &g->op[p], op);
        else if (is_input_mix(g, &g->op[p]) && op->f.groups == 1 &&
                 compose_input(m, g, &g->op[p], op) < 0)
            return -1;
        if (m->error[0])
            return -1;
    }
    return gr_clean(m, g);
}
