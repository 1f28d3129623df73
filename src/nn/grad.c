/* See grad.h: which operators lie between, memory of gradients, the order. */
#include "grad.h"

#include "grad_priv.h"
#include "mem.h"

#include <string.h>

struct vl_grad {
    const vl_net *net;
    vl_gradient *of;        /* per value; data is made when first needed */
    vl_grad_turned *turned; /* per operator */
    bool *wanted;           /* per value: depends on the value asked for */
    vl_grad_scratch scratch;
    float *input; /* the network's input as floats, when an operator needs its values */
};

int vl_grad_create(vl_grad **out, const vl_net *net) {
    *out = NULL;
    const vl_model *m = net->model;
    if (net->width == 0 || !net->keep_all)
        return VEIL_E_STATE;
    for (int32_t i = 1; i < m->n_values; i++) {
        if (net->place[i].view.is_u8)
            return VEIL_E_UNSUPPORTED;
    }
    vl_grad *g = vl_mem_alloc(1, sizeof *g);
    if (g == NULL)
        return VEIL_E_NOMEM;
    g->net = net;
    g->of = vl_mem_alloc((size_t)m->n_values, sizeof *g->of);
    g->turned = vl_mem_alloc((size_t)m->n_ops, sizeof *g->turned);
    g->wanted = vl_mem_alloc((size_t)m->n_values, sizeof *g->wanted);
    if (g->of == NULL || g->turned == NULL || g->wanted == NULL) {
        vl_grad_destroy(g);
        return VEIL_E_NOMEM;
    }
    for (int32_t i = 0; i < m->n_values; i++) {
        const vl_view *v = &net->place[i].view;
        g->of[i] = (vl_gradient){.height = v->height, .width = v->width, .channels = v->channels};
    }
    *out = g;
    return VEIL_OK;
}

void vl_grad_destroy(vl_grad *g) {
    if (g == NULL)
        return;
    for (int32_t i = 0; g->of != NULL && i < g->net->model->n_values; i++)
        vl_mem_free(g->of[i].data);
    for (int32_t i = 0; g->turned != NULL && i < g->net->model->n_ops; i++)
        vl_grad_turned_free(&g->turned[i]);
    vl_grad_scratch_free(&g->scratch);
    vl_mem_free(g->input);
    vl_mem_free(g->of);
    vl_mem_free(g->turned);
    vl_mem_free(g->wanted);
    vl_mem_free(g);
}

static int need_memory(vl_gradient *g) {
    size_t n;
    if (g->data != NULL)
        return VEIL_OK;
    if (!vl_mem_mul((size_t)g->height * (size_t)g->width, (size_t)g->channels, &n))
        return VEIL_E_NOMEM;
    g->data = vl_mem_alloc(n, sizeof *g->data);
    return g->data == NULL ? VEIL_E_NOMEM : VEIL_OK;
}

vl_region vl_grad_cover(vl_gradient *g, vl_region r) {
    r.y0 = r.y0 > 0 ? r.y0 : 0;
    r.x0 = r.x0 > 0 ? r.x0 : 0;
    r.y1 = r.y1 < g->height ? r.y1 : g->height;
    r.x1 = r.x1 < g->width ? r.x1 : g->width;
    if (vl_region_empty(r))
        return (vl_region){0};
    if (vl_region_empty(g->region)) {
        g->region = r;
        return r;
    }
    g->region.y0 = r.y0 < g->region.y0 ? r.y0 : g->region.y0;
    g->region.x0 = r.x0 < g->region.x0 ? r.x0 : g->region.x0;
    g->region.y1 = r.y1 > g->region.y1 ? r.y1 : g->region.y1;
    g->region.x1 = r.x1 > g->region.x1 ? r.x1 : g->region.x1;
    return r;
}

void vl_grad_clear(vl_grad *g) {
    for (int32_t i = 0; i < g->net->model->n_values; i++) {
        vl_gradient *v = &g->of[i];
        size_t row = (size_t)(v->region.x1 - v->region.x0) * (size_t)v->channels;
        for (int32_t y = v->region.y0; y < v->region.y1; y++)
            memset(vl_grad_at(v, y, v->region.x0), 0, row * sizeof *v->data);
        v->region = (vl_region){0};
    }
}

int vl_grad_seed(vl_grad *g, int32_t value, int32_t y, int32_t x, int32_t channel, float amount) {
    if (value < 0 || value >= g->net->model->n_values)
        return VEIL_E_ARG;
    vl_gradient *v = &g->of[value];
    if (y < 0 || x < 0 || channel < 0 || y >= v->height || x >= v->width || channel >= v->channels)
        return VEIL_E_ARG;
    int err = need_memory(v);
    if (err != VEIL_OK)
        return err;
    vl_grad_cover(v, (vl_region){y, y + 1, x, x + 1});
    vl_grad_at(v, y, x)[channel] += amount;
    return VEIL_OK;
}

/* Values that depend on `value`. */
static void find_wanted(vl_grad *g, int32_t value) {
    const vl_model *m = g->net->model;
    memset(g->wanted, 0, (size_t)m->n_values * sizeof *g->wanted);
    g->wanted[value] = true;
    for (int32_t i = 0; i < m->n_ops; i++) {
        for (int32_t k = 0; k < m->ops[i].n_in; k++)
            g->wanted[m->ops[i].out] = g->wanted[m->ops[i].out] || g->wanted[m->ops[i].in[k]];
    }
}

/* Only the input is bytes. */
static int float_view(vl_grad *g, vl_view *v) {
    size_t pixels = (size_t)v->height * (size_t)v->width, n = (size_t)v->channels;
    if (g->input == NULL && (g->input = vl_mem_alloc(pixels, n * sizeof *g->input)) == NULL)
        return VEIL_E_NOMEM;
    vl_view to = *v;
    to.is_u8 = 0;
    to.data = (uint8_t *)(void *)g->input;
    to.pixel = (ptrdiff_t)(n * sizeof *g->input);
    to.row = to.pixel * v->width;
    vl_ops_run(NULL, v, &to, 0, v->height);
    *v = to;
    return VEIL_OK;
}

static int back_through(vl_grad *g, int32_t i) {
    const vl_op *op = &g->net->model->ops[i];
    const vl_gradient *out_grad = &g->of[op->out];
    vl_gradient *in_grad[VL_FMT_MAX_INPUTS] = {0};
    vl_view in[VL_FMT_MAX_INPUTS];
    bool any = false;
    for (int32_t k = 0; k < op->n_in; k++) {
        in[k] = g->net->place[op->in[k]].view;
        if (!g->wanted[op->in[k]])
            continue;
        int err = need_memory(&g->of[op->in[k]]);
        if (err != VEIL_OK)
            return err;
        in_grad[k] = &g->of[op->in[k]];
        any = true;
    }
    const vl_view *out = &g->net->place[op->out].view;
    if (!any || vl_region_empty(out_grad->region))
        return VEIL_OK;
    if (op->type == VL_FMT_OP_CONV && !vl_grad_is_depthwise(op, in[0].channels, out->channels))
        return vl_grad_conv(&g->turned[i], g->net, op, out, out_grad, in_grad[0], &g->scratch);
    for (int32_t k = 0; k < op->n_in; k++) {
        int err = in[k].is_u8 ? float_view(g, &in[k]) : VEIL_OK;
        if (err != VEIL_OK)
            return err;
    }
    vl_grad_op(op, in, out, out_grad, in_grad);
    return VEIL_OK;
}

int vl_grad_run(vl_grad *g, int32_t value, vl_gradient *out) {
    const vl_model *m = g->net->model;
    if (value < 0 || value >= m->n_values)
        return VEIL_E_ARG;
    find_wanted(g, value);
    for (int32_t i = m->n_ops - 1; i >= 0; i--) {
        if (m->ops[i].out == value)
            break; /* operators before it cannot add to it */
        int err = back_through(g, i);
        if (err != VEIL_OK)
            return err;
    }
    *out = g->of[value];
    return VEIL_OK;
}
