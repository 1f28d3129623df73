/* Activations: recognised where exporters spell them out, then fused into their producer. */
#include "passes.h"

#include <math.h>

static gr_op *producer(gr_graph *g, uint32_t tensor) {
    uint32_t p = gr_producer(g, tensor);
    return p == GR_NONE ? NULL : &g->op[p];
}

static bool is_act(const gr_op *op, uint32_t act) {
    return op && op->f.type == VL_FMT_OP_ACT && op->f.act == act;
}

static bool near(float a, float b) {
    return fabsf(a - b) <= 1e-4f * (fabsf(b) + 1e-3f);
}

/* True when the operator is x * factor + offset with the same numbers for every channel. */
static bool is_affine(const gr_graph *g, const gr_op *op, float factor, float offset) {
    if (!op || op->f.type != VL_FMT_OP_SCALE || op->f.act != VL_FMT_ACT_NONE)
        return false;
    for (uint32_t c = 0; c < g->t[op->f.out].channels; c++)
        if (!near(op->scales[c], factor) || !near(op->bias[c] + 1, offset + 1))
            return false;
    return true;
}

/* clip(x + 3, 0, 6): the start of a spelt-out hard sigmoid. Returns x, or GR_NONE. */
static uint32_t six_clip(gr_graph *g, uint32_t tensor) {
    gr_op *clip = producer(g, tensor);
    if (!is_act(clip, VL_FMT_ACT_CLIP) || clip->f.act_a != 0 || clip->f.act_b != 6)
        return GR_NONE;
    gr_op *add = producer(g, clip->f.in[0]);
    return is_affine(g, add, 1, 3) ? add->f.in[0] : GR_NONE;
}

static void become_act(gr_op *op, uint32_t act, uint32_t from) {
    op->f.type = VL_FMT_OP_ACT;
    op->f.act = act;
    op->f.act_a = act == VL_FMT_ACT_HSIGMOID ? 1.0f / 6.0f : 0;
    op->f.act_b = act == VL_FMT_ACT_HSIGMOID ? 0.5f : 0;
    op->f.n_in = 1;
    op->f.in[0] = from;
    op->scales = op->bias = NULL;
}

/* x * sigmoid(x), x * hsigmoid(x). */
static void fuse_gate(gr_graph *g, gr_op *mul) {
    for (int side = 0; side < 2; side++) {
        uint32_t x = mul->f.in[side];
        gr_op *gate = producer(g, mul->f.in[1 - side]);
        if (!gate || gate->f.type != VL_FMT_OP_ACT || gate->f.in[0] != x)
            continue;
        if (gate->f.act == VL_FMT_ACT_SIGMOID) {
            become_act(mul, VL_FMT_ACT_SILU, x);
            return;
        }
        if (gate->f.act == VL_FMT_ACT_HSIGMOID && near(gate->f.act_a, 1.0f / 6.0f) &&
            near(gate->f.act_b, 0.5f)) {
            become_act(mul, VL_FMT_ACT_HSWISH, x);
            return;
        }
    }
}

/* clip(x + 3, 0, 6) / 6, and x * clip(x + 3, 0, 6) / 6 where the division comes last. */
static void fuse_sixth(gr_graph *g, gr_op *scale) {
    if (!is_affine(g, scale, 1.0f / 6.0f, 0))
        return;
    uint32_t x = six_clip(g, scale->f.in[0]);
    if (x != GR_NONE) {
        become_act(scale, VL_FMT_ACT_HSIGMOID, x);
        return;
    }
    gr_op *mul = producer(g, scale->f.in[0]);
    for (int side = 0; mul && mul->f.type == VL_FMT_OP_MUL && side < 2; side++)
        if (six_clip(g, mul->f.in[1 - side]) == mul->f.in[side]) {
            become_act(scale, VL_FMT_ACT_HSWISH, mul->f.in[side]);
            return;
        }
}

/* Slopes that are all one number need no table. */
static void simplify_prelu(const gr_graph *g, gr_op *op) {
    for (uint32_t c = 1; c < g->t[op->f.out].channels; c++)
        if (op->scales[c] != op->scales[0])
            return;
    op->f.act = op->scales[0] == 0 ? VL_FMT_ACT_RELU : VL_FMT_ACT_LEAKY;
    op->f.act_a = op->scales[0];
    op->scales = NULL;
}

static void into_producer(gr_graph *g, gr_op *act) {
    gr_op *p = producer(g, act->f.in[0]);
    if (!p || p->f.act != VL_FMT_ACT_NONE || gr_uses(g, p->f.out) != 1 ||
        act->f.act == VL_FMT_ACT_PRELU)
        return;
    if (p->f.type != VL_FMT_OP_CONV && p->f.type != VL_FMT_OP_ADD && p->f.type != VL_FMT_OP_SCALE)
        return;
    p->f.act = act->f.act;
    p->f.act_a = act->f.act_a;
    p->f.act_b = act->f.act_b;
    p->f.out = act->f.out;
    act->dead = true;
}

int ps_fuse_act(mb *m, gr_graph *g) {
    for (size_t i = 0; i < g->n_op; i++) {
        if (g->op[i].f.type == VL_FMT_OP_SCALE)
            fuse_sixth(g, &g->op[i]);
        else if (g->op[i].f.type == VL_FMT_OP_MUL)
            fuse_gate(g, &g->op[i]);
        else if (is_act(&g->op[i], VL_FMT_ACT_PRELU))
            simplify_prelu(g, &g->op[i]);
    }
    if (gr_clean(m, g) < 0)
        return -1;
    for (size_t i = 0; i < g->n_op; i++)
        if (!g->op[i].dead && g->op[i].f.type == VL_FMT_OP_ACT)
            into_producer(g, &g->op[i]);
    return gr_clean(m, g);
}
