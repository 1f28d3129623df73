/* The walk over the nodes and the table of operators. The operators themselves: lower_conv.c (with
 * weights or windows), lower_point.c (element by element), lower_shape.c (that move channels). */
#include "lower.h"

#include "const_fold.h"

#include <string.h>

int lw_not_here(lower *l, const char *reason) {
    l->reason = reason;
    return LW_NOT_HERE;
}

const lw_value *lw_in(const lower *l, const og_node *n, uint32_t k) {
    return k < n->n_in && n->in[k] >= 0 ? &l->v[n->in[k]] : NULL;
}

const og_const *lw_const(const lower *l, const og_node *n, uint32_t k) {
    const lw_value *v = lw_in(l, n, k);
    return v && v->kind == LW_CONST ? v->c : NULL;
}

bool lw_is_map(const lower *l, const og_node *n, uint32_t k) {
    const lw_value *v = lw_in(l, n, k);
    return v && v->kind == LW_MAP;
}

int lw_set(lower *l, const og_node *n, uint32_t k, lw_value v) {
    if (k < n->n_out && n->out[k] >= 0)
        l->v[n->out[k]] = v;
    return LW_OK;
}

int lw_set_map(lower *l, const og_node *n, uint32_t k, uint32_t tensor) {
    return lw_set(l, n, k, (lw_value){.kind = LW_MAP, .tensor = tensor});
}

uint32_t lw_op(lower *l, const og_node *n, uint32_t type, uint32_t channels, uint32_t height,
               uint32_t width, uint32_t n_in, const uint32_t *in) {
    const char *name = n->n_out && n->out[0] >= 0 ? l->g->values[n->out[0]].name : n->name;
    uint32_t t = gr_add_tensor(l->m, l->out, name, channels, height, width);
    if (t == GR_NONE)
        return GR_NONE;
    return gr_add_op(l->m, l->out, type, n->name, t, n_in, in);
}

static int lw_identity(lower *l, const og_node *n) {
    const lw_value *v = lw_in(l, n, 0);
    if (!v || v->kind == LW_OPAQUE || v->kind == LW_UNSET)
        return lw_not_here(l, "its input is not a feature map");
    return lw_set(l, n, 0, *v);
}

/* Cast of a feature map between float types changes nothing here; to integers it does. */
static int lw_cast(lower *l, const og_node *n) {
    int64_t to = og_int(n, "to", 0);
    if (to != 1 && to != 10 && to != 11)
        return lw_not_here(l, "a feature map cannot become whole numbers");
    return lw_identity(l, n);
}

static int lw_shape(lower *l, const og_node *n) {
    const lw_value *v = lw_in(l, n, 0);
    int64_t dims[OG_MAX_RANK], rank = 4;
    if (v && v->kind == LW_MAP) {
        const gr_tensor *t = &l->out->t[v->tensor];
        dims[0] = 1;
        dims[1] = t->channels;
        dims[2] = t->height;
        dims[3] = t->width;
    } else if (v && v->kind == LW_CONST) {
        rank = v->c->rank;
        memcpy(dims, v->c->dims, sizeof(dims));
    } else {
        return lw_not_here(l, "the shape of its input is not known here");
    }
    int64_t start = og_int(n, "start", 0), end = og_int(n, "end", rank);
    if (start < -rank || end < -rank)
        return lw_not_here(l, "its range is out of bounds");
    start = start < 0 ? start + rank : start > rank ? rank : start;
    end = end < 0 ? end + rank : end > rank ? rank : end;
    int64_t count = end > start ? end - start : 0;
    og_const *c = og_const_new(l->m, false, 1, &count);
    if (!c)
        return LW_ERROR;
    for (int64_t k = 0; k < count; k++)
        c->i[k] = dims[start + k];
    return lw_set(l, n, 0, (lw_value){.kind = LW_CONST, .c = c});
}

static const struct {
    const char *op;
    int (*lower)(lower *l, const og_node *n);
} table[] = {
    {"Conv", lw_conv},
    {"BatchNormalization", lw_batch_norm},
    {"MaxPool", lw_pool},
    {"AveragePool", lw_pool},
    {"GlobalAveragePool", lw_global_pool},
    {"ReduceMean", lw_global_pool},
    {"Relu", lw_act},
    {"LeakyRelu", lw_act},
    {"Clip", lw_act},
    {"Sigmoid", lw_act},
    {"HardSigmoid", lw_act},
    {"HardSwish", lw_act},
    {"PRelu", lw_prelu},
    {"Add", lw_arith},
    {"Sub", lw_arith},
    {"Mul", lw_arith},
    {"Div", lw_arith},
    {"Neg", lw_arith},
    {"Sum", lw_sum},
    {"Resize", lw_resize},
    {"Upsample", lw_resize},
    {"Concat", lw_concat},
    {"Slice", lw_slice},
    {"Split", lw_split},
    {"Pad", lw_pad},
    {"Reshape", lw_reshape},
    {"Transpose", lw_transpose},
    {"Shape", lw_shape},
    {"Cast", lw_cast},
    {"Identity", lw_identity},
    {"Dropout", lw_identity},
};

/* Constant inputs are converted when first read, so that weights nobody reads cost nothing. */
static int load_constants(lower *l, const og_node *n, og_const **in, bool *all) {
    *all = true;
    for (uint32_t k = 0; k < n->n_in; k++) {
        in[k] = NULL;
        if (n->in[k] < 0)
            continue;
        lw_value *v = &l->v[n->in[k]];
        if (v->kind == LW_UNSET && l->g->values[n->in[k]].initializer) {
            v->c = og_convert(l->m, l->g->values[n->in[k]].initializer);
            if (!v->c)
                return LW_ERROR;
            v->kind = LW_CONST;
        }
        in[k] = v->c;
        *all = *all && v->kind == LW_CONST;
    }
    return LW_OK;
}

static int lower_node(lower *l, const og_node *n) {
    og_const *few[8], **in = few;
    bool all;
    if (n->n_in > 8 && !(in = mb_alloc(l->m, n->n_in, sizeof(*in))))
        return LW_ERROR;
    if (load_constants(l, n, in, &all) < 0)
        return LW_ERROR;
    if (all && strcmp(n->op, "Shape") != 0) {
        og_const *c = cf_eval(l->m, n, in);
        if (c)
            return lw_set(l, n, 0, (lw_value){.kind = LW_CONST, .c = c});
        if (l->m->error[0])
            return LW_ERROR;
        return lw_not_here(l, "this computation on constants is not supported");
    }
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strcmp(n->op, table[i].op) == 0)
            return table[i].lower(l, n);
    return lw_not_here(l, "the operator is not supported");
}

int lw_lower(mb *m, lower *l, const og_graph *g, gr_graph *out, int32_t width, int32_t height) {
    *out = (gr_graph){0};
    *l = (lower){.m = m, .g = g, .out = out};
    l->v = mb_alloc(m, g->n_values, sizeof(*l->v));
    l->why = mb_alloc(m, g->n_nodes, sizeof(*l->why));
    if (!l->v || !l->why)
        return -1;
    uint32_t picture = gr_add_tensor(m, out, "input", 3, (uint32_t)height, (uint32_t)width);
    if (picture == GR_NONE)
        return -1;
    l->v[g->input] = (lw_value){.kind = LW_MAP, .tensor = picture};
    for (size_t i = 0; i < g->n_nodes; i++) {
        const og_node *n = &g->nodes[i];
        l->reason = NULL;
        int r = lower_node(l, n);
        if (r < 0)
            return m->error[0] ? -1 : mb_fail(m, "node '%s' (%s) is damaged", n->name, n->op);
        if (r == LW_OK)
            continue;
        l->why[i] = l->reason;
        for (uint32_t k = 0; k < n->n_out; k++)
            if (n->out[k] >= 0)
                l->v[n->out[k]] = (lw_value){.kind = LW_OPAQUE};
    }
    return 0;
}
