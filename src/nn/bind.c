/* Gives every step its kernel, its addresses and its share of the work. Padding lies around a
 * tensor as a margin (arena.c), so that kernels never test for edges. */
#include "plan.h"

#include "act.h"
#include "mem.h"
#include "pool.h"

#include <string.h>

/* ---------------------------------------------------------------- steps */

/* First tap of output (0,0), in the margin when the operator pads. */
static const uint8_t *first_tap(const vl_op *op, const vl_view *in) {
    return in->data - op->pad_top * in->row - op->pad_left * in->pixel;
}

/* How a fused ADD goes on from the convolution's own output y: out = y + x. */
static void bind_residual(const vl_net *net, const vl_step *s, vl_finish *f) {
    if (s->residual < 0)
        return;
    const vl_op *add = &net->model->ops[s->fused];
    const vl_value *y = &net->model->values[net->model->ops[s->op].out];
    const vl_view *x = &net->place[s->residual].view, *out = &net->place[s->out].view;
    f->residual = x->data;
    f->res_row = x->row;
    f->res_pixel = x->pixel;
    if (!f->out_u8)
        return;
    vl_view own = {.scale = y->scale, .zero = y->zero};
    vl_addition a = vl_plan_addition(add, &own, x, out);
    f->res_a = a.res_a;
    f->res_b = a.res_b;
    f->res_c = a.res_c;
    f->res_low = a.low;
    f->res_high = a.high;
    float bound = 255.0f * (f->res_a + f->res_b) + fabsf(f->res_c);
    f->quick = f->quick && bound < 1073741824.0f;
}

static float in_units(float v, const vl_view *out) {
    return rintf(vl_act_clamp(v / out->scale + (float)out->zero, 0.0f, 255.0f));
}

vl_addition vl_plan_addition(const vl_op *op, const vl_view *a, const vl_view *b,
                             const vl_view *out) {
    vl_addition r = {.low = 0.0f, .high = 255.0f};
    r.res_a = a->scale / out->scale;
    r.res_b = b->scale / out->scale;
    r.res_c = (float)((double)out->zero - (double)a->zero * (double)r.res_a -
                      (double)b->zero * (double)r.res_b);
    if (op->act == VL_FMT_ACT_RELU)
        r.low = (float)out->zero;
    if (op->act == VL_FMT_ACT_CLIP) {
        r.low = in_units(op->act_a, out);
        r.high = in_units(op->act_b, out);
    }
    return r;
}

/* Where the next step's tables go. */
typedef struct {
    int32_t *offsets;
    vl_chunk *chunks;
    uint8_t *weights; /* of edges */
} tables;

static size_t group_bytes(const vl_packed *p, const vl_packed_chunk *q) {
    return (size_t)q->chunk.blocks * (size_t)p->lanes * 4; /* four int8, or a float */
}

static void bind_chunk(const vl_op *op, const vl_view *in, const vl_packed_chunk *q, tables *t) {
    vl_chunk *k = t->chunks++;
    *k = q->chunk;
    k->offset = t->offsets;
    for (int32_t j = 0; j < q->chunk.n_k; j++) {
        const vl_tap *tap = &q->tap[j];
        *t->offsets++ =
            (int32_t)(tap->ky * op->dilation * in->row + tap->kx * op->dilation * in->pixel +
                      tap->channel * (ptrdiff_t)vl_plan_item(in));
    }
}

/* Narrows a bound convolution to its first or last column, with the weights of taps beside the
 * picture set to 0. */
static void bind_edge(const vl_net *net, const vl_step *s, vl_conv *c, vl_chunk *chunks,
                      tables *t) {
    const vl_op *op = &net->model->ops[s->op];
    const vl_packed *p = &net->packed[s->op];
    int32_t x = s->edge == 1 ? 0 : c->width - 1, left = x * op->sw - op->pad_left;
    c->in += x * c->in_pixel;
    c->out += x * c->out_pixel;
    if (c->finish.residual != NULL)
        c->finish.residual = (const uint8_t *)c->finish.residual + x * c->finish.res_pixel;
    c->width = 1;
    for (int32_t i = 0; i < p->n_chunks; i++) {
        const vl_packed_chunk *q = &p->chunk[i];
        size_t bytes = group_bytes(p, q);
        memcpy(t->weights, q->chunk.weights, bytes * (size_t)q->chunk.n_k);
        chunks[i].weights = t->weights;
        for (int32_t j = 0; j < q->chunk.n_k; j++, t->weights += bytes) {
            int32_t at = left + q->tap[j].kx;
            if (at < 0 || at >= net->width)
                memset(t->weights, 0, bytes);
        }
    }
}

static void bind_conv(vl_net *net, vl_step *s, tables *t) {
    const vl_op *op = &net->model->ops[s->op];
    const vl_packed *p = &net->packed[s->op];
    const vl_view *in = &net->place[s->in[0]].view, *out = &net->place[s->out].view;
    vl_conv *c = &s->u.conv.args;
    vl_chunk *chunks = t->chunks;
    *c = (vl_conv){.in = first_tap(op, in),
                   .in_row = in->row * op->sh,
                   .in_pixel = in->pixel * op->sw,
                   .out = out->data,
                   .out_row = out->row,
                   .out_pixel = out->pixel,
                   .width = out->width,
                   .channels = out->channels,
                   .chunk = chunks,
                   .n_chunks = p->n_chunks,
                   .finish = p->finish};
    bind_residual(net, s, &c->finish);
    for (int32_t i = 0; i < p->n_chunks; i++)
        bind_chunk(op, in, &p->chunk[i], t);
    if (s->edge != 0)
        bind_edge(net, s, c, chunks, t);
    s->u.conv.run = p->kind == VL_CONV_S8 ? net->dsp.conv_s8 : net->dsp.conv_f32;
    net->kernel[s->op] = p->kind == VL_CONV_S8 ? net->dsp.conv_s8_level : net->dsp.conv_f32_level;
}

static void bind_depthwise(vl_net *net, vl_step *s) {
    const vl_op *op = &net->model->ops[s->op];
    const vl_packed *p = &net->packed[s->op];
    const vl_view *in = &net->place[s->in[0]].view, *out = &net->place[s->out].view;
    const vl_chunk *k = &p->chunk[0].chunk;
    vl_depthwise *d = &s->u.depthwise.args;
    *d = (vl_depthwise){.in = first_tap(op, in),
                        .in_row = in->row * op->sh,
                        .in_pixel = in->pixel * op->sw,
                        .tap_row = in->row * op->dilation,
                        .tap_pixel = in->pixel * op->dilation,
                        .out = out->data,
                        .out_row = out->row,
                        .out_pixel = out->pixel,
                        .width = out->width,
                        .channels = out->channels,
                        .kh = op->kh,
                        .kw = op->kw,
                        .weights = k->weights,
                        .mult = k->mult,
                        .add = k->add,
                        .finish = p->finish};
    bind_residual(net, s, &d->finish);
    bool integer = p->kind == VL_DEPTHWISE_S8;
    s->u.depthwise.run = integer ? net->dsp.depthwise_s8 : net->dsp.depthwise_f32;
    net->kernel[s->op] = integer ? net->dsp.dw_s8_level : net->dsp.dw_f32_level;
}

static void bind_pool(vl_net *net, vl_step *s) {
    const vl_op *op = &net->model->ops[s->op];
    const vl_view *in = &net->place[s->in[0]].view, *out = &net->place[s->out].view;
    s->u.pool.args = (vl_pooling){.in = in->data,
                                  .in_row = in->row,
                                  .in_pixel = in->pixel,
                                  .in_height = in->height,
                                  .in_width = in->width,
                                  .out = out->data,
                                  .out_row = out->row,
                                  .out_pixel = out->pixel,
                                  .width = out->width,
                                  .channels = out->channels,
                                  .kh = op->kh,
                                  .kw = op->kw,
                                  .sh = op->sh,
                                  .sw = op->sw,
                                  .pad_top = op->pad_top,
                                  .pad_left = op->pad_left};
    s->u.pool.run = in->is_u8 ? net->dsp.maxpool_u8 : net->dsp.maxpool_f32;
    net->kernel[s->op] = net->dsp.pool_level;
}

/* A copy of bytes to other units is an addition of nothing. */
static bool is_rescaling(const vl_net *net, const vl_step *s) {
    const vl_view *in = &net->place[s->in[0]].view, *out = &net->place[s->out].view;
    return s->copy && in->is_u8 && out->is_u8 && !vl_ops_same_kind(in, out);
}

static void bind_add(vl_net *net, vl_step *s) {
    static const vl_op none = {.act = VL_FMT_ACT_NONE};
    const vl_view *a = &net->place[s->in[0]].view, *b = &net->place[s->in[1]].view;
    const vl_view *out = &net->place[s->out].view;
    vl_view nothing = *a;
    nothing.scale = 0.0f;
    if (s->copy)
        b = &nothing;
    vl_addition *r = &s->u.add.args;
    *r = vl_plan_addition(s->copy ? &none : &net->model->ops[s->op], a, b, out);
    r->a = a->data;
    r->b = b->data;
    r->a_row = a->row;
    r->a_pixel = a->pixel;
    r->b_row = b->row;
    r->b_pixel = b->pixel;
    r->out = out->data;
    r->out_row = out->row;
    r->out_pixel = out->pixel;
    r->width = out->width;
    r->channels = out->channels;
    s->u.add.run = out->is_u8 ? net->dsp.add_u8 : net->dsp.add_f32;
    net->kernel[s->op] = net->dsp.add_level;
}

static void bind_generic(vl_net *net, vl_step *s) {
    s->u.generic.op = s->copy ? NULL : &net->model->ops[s->op];
    for (int32_t k = 0; k < s->n_in; k++)
        s->u.generic.in[k] = net->place[s->in[k]].view;
    s->u.generic.out = net->place[s->out].view;
    s->u.generic.run = net->dsp.ops_run;
    if (!s->copy)
        net->kernel[s->op] = net->dsp.ops_level;
    else if (net->kernel[s->op] == NULL)
        net->kernel[s->op] = "copy";
}

/* Groups of many rows are handed to the threads in two parts each, so that a thread that is held up
 * by other programs leaves the rest to the others; but every part reads all of the weights and its
 * neighbours' rows, and the smallest groups are not worth a wake-up. */
static void cut_group(vl_net *net, vl_step *first) {
    int32_t threads = vl_pool_threads(net->pool), rows = 1;
    int64_t work = 0, weights = 0;
    for (int32_t i = 0; i < first->members; i++) {
        const vl_view *out = &net->place[first[i].out].view;
        work += (int64_t)out->height * out->width * out->channels;
        weights += (int64_t)net->packed[first[i].op].bytes;
        rows = first[i].base > rows ? first[i].base : rows;
    }
    int32_t parts = rows >= 24 * threads && work > 2 * weights ? 2 : 1;
    int32_t tasks = threads == 1 || work < 4096 ? 1 : threads * parts;
    for (int32_t i = 0; i < first->members; i++)
        first[i].tasks = tasks < rows ? tasks : rows;
}

static int alloc_tables(vl_net *net) {
    const vl_model *m = net->model;
    size_t n_chunks = 1, n_offsets = 1, edge_bytes = 1;
    for (int32_t i = 0; i < net->n_steps; i++) {
        const vl_packed *p = &net->packed[net->step[i].op];
        for (int32_t k = 0; net->step[i].kind == VL_STEP_CONV && k < p->n_chunks; k++) {
            size_t n_k = (size_t)p->chunk[k].chunk.n_k;
            n_offsets += n_k;
            n_chunks++;
            if (net->step[i].edge != 0)
                edge_bytes += n_k * group_bytes(p, &p->chunk[k]);
        }
    }
    net->offsets = vl_mem_alloc(n_offsets, sizeof *net->offsets);
    net->chunks = vl_mem_alloc(n_chunks, sizeof *net->chunks);
    net->edge_weights = vl_mem_alloc(edge_bytes, 1);
    net->kernel = vl_mem_alloc((size_t)m->n_ops, sizeof *net->kernel);
    net->time_ns = vl_mem_alloc((size_t)m->n_ops, sizeof *net->time_ns);
    bool ok = net->offsets != NULL && net->chunks != NULL && net->edge_weights != NULL &&
              net->kernel != NULL && net->time_ns != NULL;
    return ok ? VEIL_OK : VEIL_E_NOMEM;
}

int vl_plan_bind(vl_net *net) {
    int err = alloc_tables(net);
    if (err != VEIL_OK)
        return err;
    err = vl_plan_chain(net);
    if (err != VEIL_OK)
        return err;
    err = vl_plan_arena(net);
    if (err != VEIL_OK)
        return err;
    tables t = {net->offsets, net->chunks, net->edge_weights};
    for (int32_t i = 0; i < net->n_steps; i++) {
        vl_step *s = &net->step[i];
        if (is_rescaling(net, s))
            s->kind = VL_STEP_ADD;
        if (s->group == i)
            cut_group(net, s);
        if (s->kind == VL_STEP_CONV)
            bind_conv(net, s, &t);
        else if (s->kind == VL_STEP_DEPTHWISE)
            bind_depthwise(net, s);
        else if (s->kind == VL_STEP_POOL)
            bind_pool(net, s);
        else if (s->kind == VL_STEP_ADD)
            bind_add(net, s);
        else
            bind_generic(net, s);
        if (s->fused >= 0)
            net->kernel[s->fused] = "fused";
    }
    return VEIL_OK;
}

void vl_plan_clear(vl_net *net) {
    vl_mem_free(net->arena);
    vl_mem_free(net->time_ns);
    vl_mem_free(net->kernel);
    vl_mem_free(net->edge_weights);
    vl_mem_free(net->chunks);
    vl_mem_free(net->offsets);
    vl_mem_free(net->out_place);
    vl_mem_free(net->step);
    vl_mem_free(net->place);
    net->arena = NULL;
    net->time_ns = NULL;
    net->kernel = NULL;
    net->edge_weights = NULL;
    net->chunks = NULL;
    net->offsets = NULL;
    net->out_place = NULL;
    net->step = NULL;
    net->place = NULL;
    net->n_places = net->n_steps = 0;
    net->width = net->height = 0;
    net->arena_bytes = 0;
}
