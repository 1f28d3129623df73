/* A model planned for a size and run: life, execution, and what callers may ask about it. */
#include "plan.h"

#include "cpu.h"
#include "mem.h"
#include "pool.h"

#include <string.h>

#define SIDE_STEP 32   /* px */
#define SIDE_MAX  4096 /* px */

int vl_net_create(vl_net **out, const vl_model *m, vl_pool *pool, uint32_t cpu_off,
                  int32_t keep_all) {
    *out = NULL;
    vl_net *net = vl_mem_alloc(1, sizeof *net);
    if (net == NULL)
        return VEIL_E_NOMEM;
    net->model = m;
    net->pool = pool;
    net->keep_all = keep_all;
    vl_dsp_init(&net->dsp, vl_cpu_levels(cpu_off));
    int err = vl_share_weights(&net->weights, m, &net->dsp);
    if (err != VEIL_OK) {
        vl_net_destroy(net);
        return err;
    }
    net->packed = net->weights->packed;
    *out = net;
    return VEIL_OK;
}

void vl_net_destroy(vl_net *net) {
    if (net == NULL)
        return;
    vl_plan_clear(net);
    vl_share_release(net->weights);
    vl_mem_free(net);
}

int vl_net_set_size(vl_net *net, int32_t width, int32_t height) {
    if (width < SIDE_STEP || height < SIDE_STEP || width > SIDE_MAX || height > SIDE_MAX ||
        width % SIDE_STEP != 0 || height % SIDE_STEP != 0)
        return VEIL_E_SIZE;
    if (net->width == width && net->height == height)
        return VEIL_OK;
    vl_plan_clear(net);
    net->width = width;
    net->height = height;
    int err = vl_plan_steps(net);
    if (err == VEIL_OK)
        err = vl_plan_bind(net);
    if (err != VEIL_OK)
        vl_plan_clear(net);
    return err;
}

uint8_t *vl_net_input(vl_net *net) {
    return net->width == 0 ? NULL : net->place[0].view.data;
}

int32_t vl_net_width(const vl_net *net) {
    return net->width;
}

int32_t vl_net_height(const vl_net *net) {
    return net->height;
}

void vl_net_set_clock(vl_net *net, int64_t (*clock_ns)(void)) {
    net->clock_ns = clock_ns;
}

/* ---------------------------------------------------------------- running */

/* n pixels of the padding value: a zero point, or 0.0f whose bytes are zero. */
static void fill_pixels(uint8_t *p, const vl_place *place, int32_t n) {
    if (n > 0)
        memset(p, place->view.is_u8 ? place->view.zero : 0, (size_t)n * (size_t)place->view.pixel);
}

/* The margin beside rows y0 <= y < y1. Its memory may have held another tensor since the last run.
 */
static void fill_margin(const vl_place *p, int32_t y0, int32_t y1) {
    const vl_view *v = &p->view;
    int32_t across = p->left + v->width + p->right;
    uint8_t *row = v->data - p->left * v->pixel + y0 * v->row;
    for (int32_t y = y0; y < y1; y++, row += v->row) {
        if (y < 0 || y >= v->height) {
            fill_pixels(row, p, across);
        } else {
            fill_pixels(row, p, p->left);
            fill_pixels(row + (p->left + v->width) * v->pixel, p, p->right);
        }
    }
}

static void run_rows(const vl_step *s, int32_t y0, int32_t y1) {
    switch (s->kind) {
    case VL_STEP_CONV:
        s->u.conv.run(&s->u.conv.args, y0, y1);
        return;
    case VL_STEP_DEPTHWISE:
        s->u.depthwise.run(&s->u.depthwise.args, y0, y1);
        return;
    case VL_STEP_POOL:
        s->u.pool.run(&s->u.pool.args, y0, y1);
        return;
    case VL_STEP_ADD:
        s->u.add.run(&s->u.add.args, y0, y1);
        return;
    case VL_STEP_GENERIC:
        s->u.generic.run(s->u.generic.op, s->u.generic.in, &s->u.generic.out, y0, y1);
        return;
    }
}

/* Rows of a step that belong to task i. */
static void run_stripe(const vl_step *s, int32_t i) {
    int64_t base = s->base;
    int32_t y0 = (int32_t)(base * i / s->tasks) * s->times;
    int32_t y1 = (int32_t)(base * (i + 1) / s->tasks) * s->times;
    if (s->margin != NULL)
        fill_margin(s->margin, i == 0 ? -s->margin->top : y0,
                    i + 1 == s->tasks ? y1 + s->margin->bottom : y1);
    if (y0 < y1)
        run_rows(s, y0, y1);
}

static void run_group(void *ctx, int32_t i) {
    const vl_step *s = ctx;
    for (int32_t k = 0; k < s->members; k++)
        run_stripe(s + k, i);
}

static void run_alone(void *ctx, int32_t i) {
    run_stripe(ctx, i);
}

/* Each step by itself, so that its time can be told. */
static void run_profiled(vl_net *net) {
    memset(net->time_ns, 0, (size_t)net->model->n_ops * sizeof *net->time_ns);
    int64_t before = net->clock_ns();
    for (int32_t i = 0; i < net->n_steps; i++) {
        vl_step *s = &net->step[i];
        vl_pool_run(net->pool, run_alone, s, s->tasks);
        int64_t now = net->clock_ns();
        net->time_ns[s->op] += now - before;
        before = now;
    }
}

int vl_net_run(vl_net *net) {
    if (net->width == 0)
        return VEIL_E_STATE;
    if (net->clock_ns != NULL) {
        run_profiled(net);
        return VEIL_OK;
    }
    for (int32_t i = 0; i < net->n_steps; i += net->step[i].members)
        vl_pool_run(net->pool, run_group, &net->step[i], net->step[i].tasks);
    return VEIL_OK;
}

/* ---------------------------------------------------------------- asking */

static void describe(const vl_view *v, const char *name, veil_tensor *out) {
    *out = (veil_tensor){.data = v->data,
                         .height = v->height,
                         .width = v->width,
                         .channels = v->channels,
                         .row_stride = v->row / (v->is_u8 ? 1 : (ptrdiff_t)sizeof(float)),
                         .pixel_stride = v->pixel / (v->is_u8 ? 1 : (ptrdiff_t)sizeof(float)),
                         .is_u8 = v->is_u8,
                         .scale = v->scale,
                         .zero = v->zero,
                         .name = name};
}

size_t vl_net_outputs(const vl_net *net) {
    return (size_t)net->model->n_outs;
}

int vl_net_output(const vl_net *net, size_t i, veil_tensor *out) {
    if (net->width == 0)
        return VEIL_E_STATE;
    if (i >= (size_t)net->model->n_outs)
        return VEIL_E_NOT_FOUND;
    const vl_out *o = &net->model->outs[i];
    describe(&net->place[net->out_place[i]].view, o->name, out);
    out->stride = o->stride;
    return VEIL_OK;
}

static const char *op_name(const vl_op *op) {
    static const char *const names[] = {"",       "conv",  "maxpool", "upsample", "add",
                                        "concat", "act",   "slice",   "shuffle",  "avgpool",
                                        "mul",    "scale", "focus"};
    if (op->type != VL_FMT_OP_CONV)
        return names[op->type];
    if (op->groups > 1)
        return op->kh == 3 && op->kw == 3 ? "depthwise3x3" : "depthwise";
    if (op->kh == 1 && op->kw == 1)
        return "conv1x1";
    return op->kh == 3 && op->kw == 3 ? "conv3x3" : "conv";
}

size_t vl_net_layers(const vl_net *net) {
    return (size_t)net->model->n_ops;
}

int vl_net_layer(const vl_net *net, size_t i, veil_layer *out) {
    if (net->width == 0)
        return VEIL_E_STATE;
    if (i >= (size_t)net->model->n_ops)
        return VEIL_E_NOT_FOUND;
    const vl_op *op = &net->model->ops[i];
    const vl_view *in = &net->place[op->in[0]].view, *to = &net->place[op->out].view;
    *out = (veil_layer){.name = op->name,
                        .op = op_name(op),
                        .kernel = net->kernel[i] == NULL ? "view" : net->kernel[i],
                        .out_height = to->height,
                        .out_width = to->width,
                        .in_channels = in->channels,
                        .out_channels = to->channels,
                        .time_ns = net->time_ns[i],
                        .output = op->out};
    if (op->type == VL_FMT_OP_CONV)
        out->macs = (int64_t)to->height * to->width * to->channels * op->kh * op->kw *
                    (in->channels / op->groups);
    return VEIL_OK;
}

int vl_net_tensor(const vl_net *net, size_t i, veil_tensor *out) {
    if (net->width == 0 || !net->keep_all)
        return VEIL_E_STATE;
    if (i >= (size_t)net->model->n_values || net->place[i].view.data == NULL)
        return VEIL_E_NOT_FOUND;
    describe(&net->place[i].view, net->model->values[i].name, out);
    return VEIL_OK;
}

int vl_net_memory(const vl_net *net, size_t *arena, size_t *weights) {
    *arena = net->arena_bytes;
    *weights = net->weights->bytes;
    return net->width == 0 ? VEIL_E_STATE : VEIL_OK;
}
