/* Operators that work element by element: activations, sums and products, of two feature maps or of
 * one with a constant per channel. */
#include "lower.h"

#include <math.h>
#include <string.h>

/* A scalar that may be an input (newer opsets) or an attribute (older ones). */
static bool scalar(const lower *l, const og_node *n, uint32_t k, const char *name, float absent,
                   float *out) {
    *out = og_float(n, name, absent);
    if (!lw_in(l, n, k))
        return true;
    const og_const *c = lw_const(l, n, k);
    if (!c || c->n != 1)
        return false;
    *out = c->is_float ? c->f[0] : (float)c->i[0];
    return true;
}

int lw_act(lower *l, const og_node *n) {
    if (!lw_is_map(l, n, 0))
        return lw_not_here(l, "its input is not a feature map");
    float a = 0, b = 0;
    uint32_t act = VL_FMT_ACT_RELU;
    if (strcmp(n->op, "LeakyRelu") == 0) {
        act = VL_FMT_ACT_LEAKY;
        a = og_float(n, "alpha", 0.01f);
    } else if (strcmp(n->op, "Clip") == 0) {
        act = VL_FMT_ACT_CLIP;
        if (!scalar(l, n, 1, "min", -INFINITY, &a) || !scalar(l, n, 2, "max", INFINITY, &b))
            return lw_not_here(l, "its limits are not constant");
        /* The engine wants finite numbers; activations never come near these. */
        a = a < -1e30f ? -1e30f : a;
        b = b > 1e30f ? 1e30f : b;
        if (a == 0 && b >= 1e30f)
            act = VL_FMT_ACT_RELU;
        if (!(a <= b))
            return mb_fail(l->m, "node '%s' (Clip): its lower limit is above its upper", n->name);
    } else if (strcmp(n->op, "Sigmoid") == 0) {
        act = VL_FMT_ACT_SIGMOID;
    } else if (strcmp(n->op, "HardSwish") == 0) {
        act = VL_FMT_ACT_HSWISH;
    } else if (strcmp(n->op, "HardSigmoid") == 0) {
        act = VL_FMT_ACT_HSIGMOID;
        a = og_float(n, "alpha", 0.2f);
        b = og_float(n, "beta", 0.5f);
    }
    if (!isfinite(a) || !isfinite(b))
        return mb_fail(l->m, "node '%s' (%s): a parameter is not a finite number", n->name, n->op);
    uint32_t from = lw_in(l, n, 0)->tensor;
    gr_tensor in = l->out->t[from];
    uint32_t i = lw_op(l, n, VL_FMT_OP_ACT, in.channels, in.height, in.width, 1, &from);
    if (i == GR_NONE)
        return LW_ERROR;
    l->out->op[i].f.act = act;
    l->out->op[i].f.act_a = act == VL_FMT_ACT_RELU ? 0 : a;
    l->out->op[i].f.act_b = act == VL_FMT_ACT_RELU ? 0 : b;
    return lw_set_map(l, n, 0, l->out->op[i].f.out);
}

/* One number per channel from a constant that broadcasts over (1,C,H,W); NULL: it does not. Error
 * only without memory. */
static float *per_channel(lower *l, const og_const *c, uint32_t channels) {
    if (!c || !c->is_float || c->n == 0 || c->rank > 4)
        return NULL;
    /* (C,1,1) or (1,C,1,1), or a single number of any rank */
    uint32_t axis = c->rank - 3;
    if (c->n != 1 && (c->rank < 3 || c->dims[axis] != channels || c->n != channels))
        return NULL;
    float *v = mb_alloc(l->m, channels, sizeof(float));
    for (uint32_t k = 0; v && k < channels; k++)
        v[k] = c->f[c->n == 1 ? 0 : k];
    return v;
}

int lw_prelu(lower *l, const og_node *n) {
    const og_const *slope = lw_const(l, n, 1);
    if (!lw_is_map(l, n, 0) || !slope)
        return lw_not_here(l, "its input is not a feature map or its slopes are not constant");
    uint32_t from = lw_in(l, n, 0)->tensor;
    gr_tensor in = l->out->t[from];
    float *slopes = per_channel(l, slope, in.channels);
    if (!slopes)
        return l->m->error[0] ? LW_ERROR : lw_not_here(l, "its slopes are not one per channel");
    uint32_t i = lw_op(l, n, VL_FMT_OP_ACT, in.channels, in.height, in.width, 1, &from);
    if (i == GR_NONE)
        return LW_ERROR;
    l->out->op[i].f.act = VL_FMT_ACT_PRELU;
    l->out->op[i].scales = slopes;
    return lw_set_map(l, n, 0, l->out->op[i].f.out);
}

/* tensor * factor + offset; either may be NULL. */
static uint32_t add_scale(lower *l, const og_node *n, uint32_t from, float *factor, float *offset) {
    gr_tensor in = l->out->t[from];
    uint32_t i = lw_op(l, n, VL_FMT_OP_SCALE, in.channels, in.height, in.width, 1, &from);
    if (i == GR_NONE)
        return GR_NONE;
    gr_op *op = &l->out->op[i];
    op->scales = factor ? factor : mb_alloc(l->m, in.channels, sizeof(float));
    op->bias = offset ? offset : mb_alloc(l->m, in.channels, sizeof(float));
    if (!op->scales || !op->bias)
        return GR_NONE;
    for (uint32_t k = 0; k < in.channels && !factor; k++)
        op->scales[k] = 1.0f;
    return op->f.out;
}

static uint32_t negated(lower *l, const og_node *n, uint32_t from) {
    uint32_t channels = l->out->t[from].channels;
    float *minus = mb_alloc(l->m, channels, sizeof(float));
    for (uint32_t k = 0; minus && k < channels; k++)
        minus[k] = -1.0f;
    return minus ? add_scale(l, n, from, minus, NULL) : GR_NONE;
}

static bool same_shape(const gr_tensor *a, const gr_tensor *b) {
    return a->channels == b->channels && a->height == b->height && a->width == b->width;
}

/* Two feature maps. */
static int two_maps(lower *l, const og_node *n) {
    uint32_t in[2] = {lw_in(l, n, 0)->tensor, lw_in(l, n, 1)->tensor};
    bool mul = strcmp(n->op, "Mul") == 0;
    gr_tensor a = l->out->t[in[0]], b = l->out->t[in[1]];
    if (strcmp(n->op, "Div") == 0)
        return lw_not_here(l, "a division of two feature maps is not supported");
    if (mul && !same_shape(&a, &b) && a.height == 1 && a.width == 1) {
        in[0] = lw_in(l, n, 1)->tensor;
        in[1] = lw_in(l, n, 0)->tensor;
        a = l->out->t[in[0]];
        b = l->out->t[in[1]];
    }
    bool by_channel = mul && b.height == 1 && b.width == 1 && a.channels == b.channels;
    if (!same_shape(&a, &b) && !by_channel)
        return lw_not_here(l, "its two inputs have different shapes");
    if (strcmp(n->op, "Sub") == 0 && (in[1] = negated(l, n, in[1])) == GR_NONE)
        return LW_ERROR;
    uint32_t i =
        lw_op(l, n, mul ? VL_FMT_OP_MUL : VL_FMT_OP_ADD, a.channels, a.height, a.width, 2, in);
    if (i == GR_NONE)
        return LW_ERROR;
    return lw_set_map(l, n, 0, l->out->op[i].f.out);
}

int lw_arith(lower *l, const og_node *n) {
    if (strcmp(n->op, "Neg") == 0) {
        uint32_t t = lw_is_map(l, n, 0) ? negated(l, n, lw_in(l, n, 0)->tensor) : GR_NONE;
        return t != GR_NONE     ? lw_set_map(l, n, 0, t)
               : l->m->error[0] ? LW_ERROR
                                : lw_not_here(l, "its input is not a feature map");
    }
    if (n->n_in != 2)
        return lw_not_here(l, "it does not have two inputs");
    bool first = lw_is_map(l, n, 0), second = lw_is_map(l, n, 1);
    if (first && second)
        return two_maps(l, n);
    uint32_t map = first ? 0 : 1;
    const og_const *c = lw_const(l, n, 1 - map);
    if ((!first && !second) || !c)
        return lw_not_here(l, "its inputs are not feature maps");
    uint32_t from = lw_in(l, n, map)->tensor, channels = l->out->t[from].channels;
    float *v = per_channel(l, c, channels), *factor = NULL, *offset = NULL;
    if (!v)
        return l->m->error[0] ? LW_ERROR : lw_not_here(l, "its constant is not one per channel");
    if (strcmp(n->op, "Add") == 0) {
        offset = v;
    } else if (strcmp(n->op, "Sub") == 0) {
        offset = v;
        factor = map == 1 ? mb_alloc(l->m, channels, sizeof(float)) : NULL;
        for (uint32_t k = 0; k < channels; k++) {
            if (factor)
                factor[k] = -1.0f; /* constant - x */
            if (map == 0)
                offset[k] = -offset[k];
        }
    } else if (strcmp(n->op, "Mul") == 0) {
        factor = v;
    } else if (map == 0) {
        factor = v;
        for (uint32_t k = 0; k < channels; k++) {
            if (v[k] == 0)
                return mb_fail(l->m, "node '%s' (Div): a division by zero", n->name);
            factor[k] = 1.0f / v[k];
        }
    } else {
        return lw_not_here(l, "a division by a feature map is not supported");
    }
    uint32_t t = l->m->error[0] ? GR_NONE : add_scale(l, n, from, factor, offset);
    return t == GR_NONE ? LW_ERROR : lw_set_map(l, n, 0, t);
}

int lw_sum(lower *l, const og_node *n) {
    for (uint32_t k = 0; k < n->n_in; k++)
        if (!lw_is_map(l, n, k) ||
            !same_shape(&l->out->t[lw_in(l, n, k)->tensor], &l->out->t[lw_in(l, n, 0)->tensor]))
            return lw_not_here(l, "its inputs are not feature maps of one shape");
    if (n->n_in < 1)
        return lw_not_here(l, "it has no input");
    uint32_t in[2] = {lw_in(l, n, 0)->tensor, 0};
    gr_tensor t = l->out->t[in[0]];
    for (uint32_t k = 1; k < n->n_in; k++) {
        in[1] = lw_in(l, n, k)->tensor;
        uint32_t i = lw_op(l, n, VL_FMT_OP_ADD, t.channels, t.height, t.width, 2, in);
        if (i == GR_NONE)
            return LW_ERROR;
        in[0] = l->out->op[i].f.out;
    }
    return lw_set_map(l, n, 0, in[0]);
}
