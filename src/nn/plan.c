/* Decides what is run: shapes for the input size, which ADD becomes part of a convolution, which
 * tensors are written straight into a concatenation, and where types must be converted. Fusion
 * never changes a result. Memory is arena.c's, the order of steps chain.c's. */
#include "plan.h"

#include "mem.h"

static int32_t add_place(vl_net *net, vl_view view, int32_t parent, int32_t offset) {
    vl_place *p = &net->place[net->n_places];
    *p = (vl_place){.view = view, .parent = parent, .offset = offset, .first = -1, .last = -1};
    p->pixel_channels = view.channels;
    return net->n_places++;
}

int32_t vl_plan_root(const vl_net *net, int32_t i, int32_t *channel) {
    int32_t offset = 0;
    for (; net->place[i].parent >= 0; i = net->place[i].parent)
        offset += net->place[i].offset;
    *channel = offset;
    return i;
}

/* ---------------------------------------------------------------- shapes */

static bool window_shape(const vl_op *op, const vl_view *in, vl_view *out) {
    int32_t h = in->height + op->pad_top + op->pad_bottom - ((op->kh - 1) * op->dilation + 1);
    int32_t w = in->width + op->pad_left + op->pad_right - ((op->kw - 1) * op->dilation + 1);
    out->height = h / op->sh + 1;
    out->width = w / op->sw + 1;
    return h >= 0 && w >= 0;
}

static bool same_size(const vl_view *a, const vl_view *b) {
    return a->height == b->height && a->width == b->width;
}

/* Height and width of an operator's output; false when its inputs do not fit together. */
static bool infer(const vl_net *net, const vl_op *op, vl_view *out) {
    const vl_view *in = &net->place[op->in[0]].view;
    out->height = in->height;
    out->width = in->width;
    switch (op->type) {
    case VL_FMT_OP_CONV:
    case VL_FMT_OP_MAXPOOL:
        return window_shape(op, in, out);
    case VL_FMT_OP_AVGPOOL:
        if (op->kh > 0)
            return window_shape(op, in, out);
        out->height = out->width = 1;
        return true;
    case VL_FMT_OP_UPSAMPLE:
        out->height = in->height * (int32_t)op->p0;
        out->width = in->width * (int32_t)op->p0;
        return out->height <= 65536 && out->width <= 65536;
    case VL_FMT_OP_FOCUS:
        out->height = in->height / 2;
        out->width = in->width / 2;
        return in->height % 2 == 0 && in->width % 2 == 0;
    case VL_FMT_OP_MUL: {
        const vl_view *b = &net->place[op->in[1]].view;
        return same_size(in, b) || (b->height == 1 && b->width == 1);
    }
    case VL_FMT_OP_ADD:
    case VL_FMT_OP_CONCAT:
        for (int32_t i = 1; i < op->n_in; i++) {
            if (!same_size(in, &net->place[op->in[i]].view))
                return false;
        }
        return true;
    default:
        return true;
    }
}

static int infer_all(vl_net *net) {
    const vl_model *m = net->model;
    for (int32_t i = 0; i < m->n_values; i++) {
        const vl_value *v = &m->values[i];
        vl_view view = {.channels = v->channels, .is_u8 = v->is_u8, .scale = v->scale};
        view.zero = v->zero;
        add_place(net, view, -1, 0);
    }
    net->place[0].view.height = net->height;
    net->place[0].view.width = net->width;
    net->place[0].pixel_channels = 4;
    for (int32_t i = 0; i < m->n_ops; i++) {
        if (!infer(net, &m->ops[i], &net->place[m->ops[i].out].view))
            return VEIL_E_SIZE;
    }
    return VEIL_OK;
}

/* ---------------------------------------------------------------- fusion */

/* What is known of a tensor of the model. */
typedef struct {
    int32_t producer;  /* operator, -1 for the input */
    int32_t consumers; /* operators and outputs that read it */
    int32_t fused_add; /* of a convolution's output: the ADD it becomes part of, or -1 */
} value_use;

static void count_uses(const vl_net *net, value_use *use) {
    const vl_model *m = net->model;
    for (int32_t i = 0; i < m->n_values; i++)
        use[i] = (value_use){-1, 0, -1};
    for (int32_t i = 0; i < m->n_ops; i++) {
        use[m->ops[i].out].producer = i;
        for (int32_t k = 0; k < m->ops[i].n_in; k++)
            use[m->ops[i].in[k]].consumers++;
    }
    for (int32_t i = 0; i < m->n_outs; i++)
        use[m->outs[i].value].consumers++;
}

static bool clamp_only(uint32_t act) {
    return act == VL_FMT_ACT_NONE || act == VL_FMT_ACT_RELU || act == VL_FMT_ACT_CLIP;
}

/* An ADD of bytes that fma, clamp and rounding can express, or of floats without activation. */
static bool add_is_plain(const vl_net *net, const vl_op *op) {
    const vl_view *a = &net->place[op->in[0]].view, *b = &net->place[op->in[1]].view;
    const vl_view *out = &net->place[op->out].view;
    if (a->is_u8 != b->is_u8 || a->is_u8 != out->is_u8)
        return false;
    return out->is_u8 ? clamp_only(op->act) : op->act == VL_FMT_ACT_NONE;
}

static void fuse_adds(vl_net *net, value_use *use) {
    const vl_model *m = net->model;
    for (int32_t i = 0; i < m->n_ops; i++) {
        const vl_op *op = &m->ops[i];
        if (op->type != VL_FMT_OP_ADD || !add_is_plain(net, op))
            continue;
        int32_t a = op->in[0], b = op->in[1];
        int32_t conv = use[a].producer > use[b].producer ? a : b; /* the other exists before it */
        int32_t at = use[conv].producer;
        if (a == b || at < 0 || m->ops[at].type != VL_FMT_OP_CONV || use[conv].consumers != 1)
            continue;
        bool integer = m->ops[at].weights->dtype == VL_FMT_S8;
        if (!integer && net->place[conv].view.is_u8)
            continue; /* float sums that are converted afterwards */
        use[conv].fused_add = i;
    }
}

/* Concatenations whose inputs need no conversion are written in place by the inputs' producers. */
static void place_concats(vl_net *net, const value_use *use) {
    const vl_model *m = net->model;
    for (int32_t i = m->n_ops - 1; i >= 0; i--) {
        const vl_op *op = &m->ops[i];
        int32_t offset = 0;
        for (int32_t k = 0; op->type == VL_FMT_OP_CONCAT && k < op->n_in; k++) {
            vl_place *p = &net->place[op->in[k]];
            if (op->in[k] != 0 && p->parent < 0 && use[op->in[k]].fused_add < 0 &&
                vl_ops_same_kind(&p->view, &net->place[op->out].view)) {
                p->parent = op->out;
                p->offset = offset;
            }
            offset += p->view.channels;
        }
    }
    for (int32_t i = 0; i < m->n_ops; i++) {
        const vl_op *op = &m->ops[i];
        vl_place *p = &net->place[op->out];
        if (op->type == VL_FMT_OP_SLICE && p->parent < 0 &&
            vl_ops_same_kind(&p->view, &net->place[op->in[0]].view)) {
            p->parent = op->in[0];
            p->offset = (int32_t)op->p0;
        }
    }
}

/* ---------------------------------------------------------------- steps */

static vl_step *add_step(vl_net *net, vl_step_kind kind, int32_t op, int32_t in, int32_t out) {
    vl_step *s = &net->step[net->n_steps++];
    *s = (vl_step){.kind = kind, .op = op, .in = {in}, .n_in = 1, .out = out};
    s->residual = s->fused = -1;
    s->edge = 0;
    return s;
}

static void add_copy(vl_net *net, int32_t op, int32_t in, int32_t out) {
    add_step(net, VL_STEP_GENERIC, op, in, out)->copy = true;
}

/* A tensor of the same size as i in its own memory, as floats or as i is. */
static int32_t add_temporary(vl_net *net, int32_t i, bool floats) {
    vl_view view = net->place[i].view;
    if (floats) {
        view.is_u8 = 0;
        view.scale = 1.0f;
        view.zero = 0;
    }
    int32_t t = add_place(net, view, -1, 0);
    if (!floats)
        net->place[t].pixel_channels = net->place[i].pixel_channels;
    return t;
}

static int32_t most(int32_t a, int32_t b) {
    return a > b ? a : b;
}

static void need_margin(vl_net *net, int32_t i, const vl_op *op) {
    int32_t channel;
    vl_place *p = &net->place[vl_plan_root(net, i, &channel)];
    p->top = most(p->top, op->pad_top);
    p->left = most(p->left, op->pad_left);
    p->bottom = most(p->bottom, op->pad_bottom);
    p->right = most(p->right, op->pad_right);
}

/* The input's rows follow each other without a margin, as callers fill them. An integer convolution
 * may still read it directly when taps beside the picture concern the first and last column only:
 * these are done again with the weights of such taps set to 0 (the input's zero point is 0). */
static bool reads_input_directly(const vl_net *net, const vl_op *op, vl_conv_kind kind) {
    const vl_view *out = &net->place[op->out].view;
    return op->in[0] == 0 && kind == VL_CONV_S8 && op->dilation == 1 && op->pad_left <= op->sw &&
           op->pad_right <= op->sw && out->width >= 2;
}

static void add_edges(vl_net *net, const vl_step *whole, const vl_op *op) {
    vl_place *p = &net->place[0];
    int32_t last = (net->place[op->out].view.width - 1) * op->sw - op->pad_left + op->kw;
    const vl_step copy = *whole;
    /* One row more than the padding: taps beside a row lie in the row above or below. */
    p->top = most(p->top, op->pad_top + 1);
    p->bottom = most(p->bottom, op->pad_bottom + 1);
    for (int32_t edge = 1; edge <= 2; edge++) {
        if (edge == 1 ? op->pad_left > 0 : last > net->width) {
            net->step[net->n_steps] = copy;
            net->step[net->n_steps++].edge = edge;
        }
    }
}

static void lower_conv(vl_net *net, const value_use *use, int32_t i) {
    const vl_op *op = &net->model->ops[i];
    vl_conv_kind packed = net->packed[i].kind;
    bool integer = packed == VL_CONV_S8 || packed == VL_DEPTHWISE_S8;
    bool dense = packed == VL_CONV_S8 || packed == VL_CONV_F32;
    bool padded = op->pad_top + op->pad_left + op->pad_bottom + op->pad_right > 0;
    int32_t in = op->in[0], out = op->out, residual = -1, add = use[out].fused_add;
    if (add >= 0) {
        const vl_op *sum = &net->model->ops[add];
        residual = sum->in[0] == out ? sum->in[1] : sum->in[0];
        out = sum->out;
    }
    bool direct = reads_input_directly(net, op, packed);
    if ((!integer && net->place[in].view.is_u8) || (in == 0 && padded && !direct)) {
        int32_t t = add_temporary(net, in, !integer);
        add_copy(net, i, in, t);
        in = t;
    }
    if (in != 0)
        need_margin(net, in, op);
    int32_t to = !integer && net->place[out].view.is_u8 ? add_temporary(net, out, true) : out;
    vl_step *s = add_step(net, dense ? VL_STEP_CONV : VL_STEP_DEPTHWISE, i, in, to);
    s->residual = residual;
    s->fused = add;
    if (in == 0 && padded)
        add_edges(net, s, op);
    if (to != out)
        add_copy(net, i, to, out);
}

static void lower_concat(vl_net *net, int32_t i) {
    const vl_op *op = &net->model->ops[i];
    int32_t offset = 0;
    for (int32_t k = 0; k < op->n_in; k++) {
        const vl_place *p = &net->place[op->in[k]];
        vl_view part = net->place[op->out].view;
        part.channels = p->view.channels;
        if (p->parent != op->out || p->offset != offset)
            add_copy(net, i, op->in[k], add_place(net, part, op->out, offset));
        offset += part.channels;
    }
}

static void lower_slice(vl_net *net, int32_t i) {
    const vl_op *op = &net->model->ops[i];
    const vl_place *out = &net->place[op->out];
    if (out->parent == op->in[0])
        return;
    vl_view part = net->place[op->in[0]].view;
    part.channels = out->view.channels;
    add_copy(net, i, add_place(net, part, op->in[0], (int32_t)op->p0), op->out);
}

static void lower(vl_net *net, const value_use *use, int32_t i) {
    const vl_op *op = &net->model->ops[i];
    switch (op->type) {
    case VL_FMT_OP_CONV:
        lower_conv(net, use, i);
        return;
    case VL_FMT_OP_CONCAT:
        lower_concat(net, i);
        return;
    case VL_FMT_OP_SLICE:
        lower_slice(net, i);
        return;
    case VL_FMT_OP_ADD:
        if (use[op->in[0]].fused_add == i || use[op->in[1]].fused_add == i)
            return;
        break;
    default:
        break;
    }
    vl_step *s = add_step(net, VL_STEP_GENERIC, i, op->in[0], op->out);
    if (op->n_in > 1) {
        s->in[1] = op->in[1];
        s->n_in = 2;
    }
    if (op->type == VL_FMT_OP_ADD && add_is_plain(net, op))
        s->kind = VL_STEP_ADD;
    if (op->type == VL_FMT_OP_MAXPOOL &&
        vl_ops_same_kind(&net->place[op->in[0]].view, &net->place[op->out].view))
        s->kind = VL_STEP_POOL;
}

int vl_plan_steps(vl_net *net) {
    const vl_model *m = net->model;
    /* At most two temporaries and five steps a convolution, one of each an input of the others. */
    net->max_places = m->n_values + m->n_ops * (int32_t)VL_FMT_MAX_INPUTS + m->n_outs;
    net->max_steps = m->n_ops * (int32_t)VL_FMT_MAX_INPUTS + m->n_outs;
    net->place = vl_mem_alloc((size_t)net->max_places, sizeof *net->place);
    net->step = vl_mem_alloc((size_t)net->max_steps, sizeof *net->step);
    net->out_place = vl_mem_alloc((size_t)m->n_outs, sizeof *net->out_place);
    value_use *use = vl_mem_alloc((size_t)m->n_values, sizeof *use);
    int err = VEIL_E_NOMEM;
    if (net->place == NULL || net->step == NULL || net->out_place == NULL || use == NULL)
        goto done;
    err = infer_all(net);
    if (err != VEIL_OK)
        goto done;
    count_uses(net, use);
    if (!net->keep_all)
        fuse_adds(net, use);
    place_concats(net, use);
    for (int32_t i = 0; i < m->n_ops; i++)
        lower(net, use, i);
    for (int32_t i = 0; i < m->n_outs; i++) {
        int32_t v = m->outs[i].value;
        net->out_place[i] = v;
        if (net->place[v].view.is_u8) {
            net->out_place[i] = add_temporary(net, v, true);
            add_copy(net, use[v].producer, v, net->out_place[i]);
        }
    }
done:
    vl_mem_free(use);
    return err;
}
