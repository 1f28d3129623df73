/* See qdq.h. Every tensor t of the graph appears as a float value "t" that has just been through
 * Quantize and Dequantize; an operator's own float result is "t/f". Opset 14: HardSwish, and
 * DequantizeLinear per channel. */
#include "qdq.h"

#include "onnx_write.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define OPSET 14

typedef struct {
    ow w;
    mb *m;
    const gr_graph *g;
    bool symmetric;
} qdq;

static const char *name_of(const qdq *q, uint32_t t) {
    return t ? q->g->t[t].name : "images/q";
}

static const char *with(const qdq *q, const char *name, const char *tail) {
    return mb_text(q->m, "%.200s%s", name, tail);
}

static void shape_of(const qdq *q, uint32_t t, int64_t dims[4]) {
    const gr_tensor *x = &q->g->t[t];
    dims[0] = 1;
    dims[1] = x->channels;
    dims[2] = x->height;
    dims[3] = x->width;
}

/* Step of an activation as this file stores it. */
static float step_of(const qdq *q, uint32_t t) {
    const gr_tensor *x = &q->g->t[t];
    if (!q->symmetric)
        return x->scale;
    uint32_t most = x->zero > 255 - x->zero ? x->zero : 255 - x->zero;
    return x->scale * (float)most / 127.0f;
}

static void one(qdq *q, const char *name, int type, const void *value) {
    ow_tensor(&q->w, name, type, 0, NULL, value);
}

/* from -> Quantize -> Dequantize -> to, with the tensor's scale. */
static void round_trip(qdq *q, uint32_t t, const char *from, const char *to) {
    const char *scale = with(q, to, "/scale"), *zero = with(q, to, "/zero"),
               *mid = with(q, to, "/u8"), *name = with(q, to, "/quantize");
    const char *back = with(q, to, "/dequantize");
    if (!scale || !zero || !mid || !name || !back)
        return;
    float step = step_of(q, t);
    uint8_t z = q->symmetric ? 0 : (uint8_t)q->g->t[t].zero;
    one(q, scale, OW_FLOAT, &step);
    one(q, zero, q->symmetric ? OW_INT8 : OW_UINT8, &z);
    ow_node(&q->w, "QuantizeLinear", name, mid, (const char *const[4]){from, scale, zero});
    ow_node(&q->w, "DequantizeLinear", back, to, (const char *const[4]){mid, scale, zero});
}

/* (OC,KH,KW,I) -> (OC,I,KH,KW), items of 1 or 4 bytes. */
static void *file_order(mb *m, const gr_op *op, uint32_t oc, const void *from, size_t item) {
    size_t area = (size_t)op->f.kh * op->f.kw, ic = op->n_weights / oc / area;
    uint8_t *to = mb_alloc(m, op->n_weights, item);
    for (size_t o = 0; to && o < oc; o++)
        for (size_t a = 0; a < area; a++)
            for (size_t i = 0; i < ic; i++)
                memcpy(to + ((o * ic + i) * area + a) * item,
                       (const uint8_t *)from + ((o * area + a) * ic + i) * item, item);
    return to;
}

/* s8 weights and s32 bias (steps of input times weight), each behind a DequantizeLinear. */
static void quantised_weights(qdq *q, const gr_op *op, const char *weights, const char *bias) {
    uint32_t oc = q->g->t[op->f.out].channels;
    int64_t area[2] = {op->f.kh, op->f.kw}, n = oc;
    int64_t dims[4] = {oc, (int64_t)op->n_weights / oc / area[0] / area[1], area[0], area[1]};
    const char *s = with(q, weights, "/scale"), *z = with(q, weights, "/zero"),
               *data = with(q, weights, "/s8"), *bs = with(q, bias, "/scale"),
               *bz = with(q, bias, "/zero"), *bdata = with(q, bias, "/s32");
    int8_t *stored = file_order(q->m, op, oc, op->q, 1), *zeros = mb_alloc(q->m, oc, 1);
    float *steps = mb_alloc(q->m, oc, sizeof(float));
    int32_t *whole = mb_alloc(q->m, oc, sizeof(int32_t)),
            *whole_zeros = mb_alloc(q->m, oc, sizeof(int32_t));
    if (q->m->error[0])
        return;
    for (uint32_t o = 0; o < oc; o++) {
        steps[o] = step_of(q, op->f.in[0]) * op->q_scales[o];
        double b = rint((double)op->bias[o] / (double)steps[o]);
        whole[o] = (int32_t)fmax(-2147483647.0, fmin(2147483647.0, b));
    }
    ow_tensor(&q->w, s, OW_FLOAT, 1, &n, op->q_scales);
    ow_tensor(&q->w, z, OW_INT8, 1, &n, zeros);
    ow_tensor(&q->w, data, OW_INT8, 4, dims, stored);
    ow_tensor(&q->w, bs, OW_FLOAT, 1, &n, steps);
    ow_tensor(&q->w, bz, OW_INT32, 1, &n, whole_zeros);
    ow_tensor(&q->w, bdata, OW_INT32, 1, &n, whole);
    Onnx__NodeProto *node =
        ow_node(&q->w, "DequantizeLinear", weights, weights, (const char *const[4]){data, s, z});
    ow_int(&q->w, node, "axis", 0);
    node = ow_node(&q->w, "DequantizeLinear", bias, bias, (const char *const[4]){bdata, bs, bz});
    ow_int(&q->w, node, "axis", 0);
}

static void window(qdq *q, Onnx__NodeProto *n, const gr_op *op, bool dilation) {
    ow_ints(&q->w, n, "kernel_shape", 2, (int64_t[]){op->f.kh, op->f.kw});
    ow_ints(&q->w, n, "strides", 2, (int64_t[]){op->f.sh, op->f.sw});
    ow_ints(&q->w, n, "pads", 4,
            (int64_t[]){op->f.pad_top, op->f.pad_left, op->f.pad_bottom, op->f.pad_right});
    if (dilation)
        ow_ints(&q->w, n, "dilations", 2, (int64_t[]){op->f.dilation, op->f.dilation});
}

static void put_conv(qdq *q, const gr_op *op, const char *out) {
    uint32_t oc = q->g->t[op->f.out].channels;
    const char *weights = with(q, name_of(q, op->f.out), "/weights"),
               *bias = with(q, name_of(q, op->f.out), "/bias");
    if (!weights || !bias)
        return;
    if (op->q) {
        quantised_weights(q, op, weights, bias);
    } else {
        int64_t area[2] = {op->f.kh, op->f.kw}, n = oc;
        int64_t dims[4] = {oc, (int64_t)op->n_weights / oc / area[0] / area[1], area[0], area[1]};
        float *stored = file_order(q->m, op, oc, op->weights, sizeof(float));
        float *b = op->bias ? op->bias : mb_alloc(q->m, oc, sizeof(float));
        if (!stored || !b)
            return;
        ow_tensor(&q->w, weights, OW_FLOAT, 4, dims, stored);
        ow_tensor(&q->w, bias, OW_FLOAT, 1, &n, b);
    }
    Onnx__NodeProto *node = ow_node(&q->w, "Conv", op->f.name, out,
                                    (const char *const[4]){name_of(q, op->f.in[0]), weights, bias});
    window(q, node, op, true);
    ow_int(&q->w, node, "group", op->f.groups);
}

static void put_resize(qdq *q, const gr_op *op, const char *in, const char *out) {
    float scales[4] = {1, 1, (float)op->f.p0, (float)op->f.p0};
    const char *s = with(q, name_of(q, op->f.out), "/scales");
    int64_t n = 4;
    if (!s)
        return;
    ow_tensor(&q->w, s, OW_FLOAT, 1, &n, scales);
    Onnx__NodeProto *node =
        ow_node(&q->w, "Resize", op->f.name, out, (const char *const[4]){in, "", s});
    ow_text(&q->w, node, "mode", op->f.p1 ? "linear" : "nearest");
    ow_text(&q->w, node, "coordinate_transformation_mode", op->f.p1 ? "half_pixel" : "asymmetric");
    if (!op->f.p1)
        ow_text(&q->w, node, "nearest_mode", "floor");
}

static const char *whole_tensor(qdq *q, const char *name, size_t count, const int64_t *v) {
    int64_t n = (int64_t)count;
    if (name)
        ow_tensor(&q->w, name, OW_INT64, 1, &n, v);
    return name ? name : "";
}

/* in[start:end:step] along one axis. */
static void put_slice(qdq *q, const char *in, const char *out, int64_t start, int64_t end,
                      int64_t axis, int64_t step) {
    int64_t numbers[4] = {start, end, axis, step};
    static const char *const tails[4] = {"/start", "/end", "/axis", "/step"};
    const char *list[5] = {in};
    for (int k = 0; k < 4; k++)
        list[k + 1] = whole_tensor(q, with(q, out, tails[k]), 1, &numbers[k]);
    if (!q->m->error[0])
        ow_node_many(&q->w, "Slice", out, out, list, 5);
}

static void put_shuffle(qdq *q, const gr_op *op, const char *in, const char *out) {
    int64_t d[4], apart[5], groups = op->f.p0;
    shape_of(q, op->f.out, d);
    memcpy(apart, (int64_t[]){1, groups, d[1] / groups, d[2], d[3]}, sizeof(apart));
    const char *a = with(q, out, "/apart"), *t = with(q, out, "/turned");
    const char *sa = whole_tensor(q, with(q, out, "/shape5"), 5, apart);
    const char *sb = whole_tensor(q, with(q, out, "/shape4"), 4, d);
    if (q->m->error[0])
        return;
    ow_node(&q->w, "Reshape", a, a, (const char *const[4]){in, sa});
    Onnx__NodeProto *n = ow_node(&q->w, "Transpose", t, t, (const char *const[4]){a});
    ow_ints(&q->w, n, "perm", 5, (int64_t[]){0, 2, 1, 3, 4});
    ow_node(&q->w, "Reshape", op->f.name, out, (const char *const[4]){t, sb});
}

static void put_focus(qdq *q, const gr_op *op, const char *in, const char *out) {
    static const char *const part[4] = {"/00", "/10", "/01", "/11"};
    const char *half[4], *quarter[4];
    for (int k = 0; k < 4; k++) {
        half[k] = with(q, with(q, out, part[k]), "h");
        quarter[k] = with(q, out, part[k]);
        if (q->m->error[0])
            return;
        put_slice(q, in, half[k], k % 2, INT64_MAX, 2, 2);
        put_slice(q, half[k], quarter[k], k / 2, INT64_MAX, 3, 2);
    }
    if (!q->m->error[0])
        ow_int(&q->w, ow_node_many(&q->w, "Concat", op->f.name, out, quarter, 4), "axis", 1);
}

static void put_scale(qdq *q, const gr_op *op, const char *in, const char *out) {
    int64_t dims[4] = {1, q->g->t[op->f.out].channels, 1, 1};
    const char *s = with(q, out, "/factor"), *b = with(q, out, "/offset"),
               *mid = with(q, out, "/scaled");
    if (!s || !b || !mid)
        return;
    ow_tensor(&q->w, s, OW_FLOAT, 4, dims, op->scales);
    ow_tensor(&q->w, b, OW_FLOAT, 4, dims, op->bias);
    ow_node(&q->w, "Mul", mid, mid, (const char *const[4]){in, s});
    ow_node(&q->w, "Add", op->f.name, out, (const char *const[4]){mid, b});
}

static void put_act(qdq *q, const gr_op *op, const char *in, const char *out) {
    const char *name = with(q, out, "/act"), *gate = with(q, out, "/gate");
    const char *a = with(q, out, "/a"), *b = with(q, out, "/b");
    int64_t dims[4] = {1, q->g->t[op->f.out].channels, 1, 1};
    if (!name || !gate || !a || !b)
        return;
    Onnx__NodeProto *n;
    switch (op->f.act) {
    case VL_FMT_ACT_LEAKY:
        n = ow_node(&q->w, "LeakyRelu", name, out, (const char *const[4]){in});
        ow_float(&q->w, n, "alpha", op->f.act_a);
        break;
    case VL_FMT_ACT_CLIP:
        one(q, a, OW_FLOAT, &op->f.act_a);
        one(q, b, OW_FLOAT, &op->f.act_b);
        ow_node(&q->w, "Clip", name, out, (const char *const[4]){in, a, b});
        break;
    case VL_FMT_ACT_SILU:
        ow_node(&q->w, "Sigmoid", gate, gate, (const char *const[4]){in});
        ow_node(&q->w, "Mul", name, out, (const char *const[4]){in, gate});
        break;
    case VL_FMT_ACT_HSIGMOID:
        n = ow_node(&q->w, "HardSigmoid", name, out, (const char *const[4]){in});
        ow_float(&q->w, n, "alpha", op->f.act_a);
        ow_float(&q->w, n, "beta", op->f.act_b);
        break;
    case VL_FMT_ACT_PRELU:
        ow_tensor(&q->w, a, OW_FLOAT, 4, dims, op->scales);
        ow_node(&q->w, "PRelu", name, out, (const char *const[4]){in, a});
        break;
    default:
        ow_node(&q->w,
                op->f.act == VL_FMT_ACT_RELU      ? "Relu"
                : op->f.act == VL_FMT_ACT_SIGMOID ? "Sigmoid"
                                                  : "HardSwish",
                name, out, (const char *const[4]){in});
    }
}

static void put_pool(qdq *q, const gr_op *op, const char *in, const char *out) {
    const char *type = op->f.type == VL_FMT_OP_MAXPOOL ? "MaxPool"
                       : op->f.kh                      ? "AveragePool"
                                                       : "GlobalAveragePool";
    Onnx__NodeProto *n = ow_node(&q->w, type, op->f.name, out, (const char *const[4]){in});
    if (op->f.kh)
        window(q, n, op, false);
}

/* The operator without its activation, from the quantised inputs to the float value `out`. */
static void put_bare(qdq *q, const gr_op *op, const char *out) {
    const char *in = name_of(q, op->f.in[0]);
    const char *all[VL_FMT_MAX_INPUTS];
    int64_t channels = q->g->t[op->f.out].channels;
    for (uint32_t k = 0; k < op->f.n_in; k++)
        all[k] = name_of(q, op->f.in[k]);
    switch (op->f.type) {
    case VL_FMT_OP_CONV:
        put_conv(q, op, out);
        break;
    case VL_FMT_OP_UPSAMPLE:
        put_resize(q, op, in, out);
        break;
    case VL_FMT_OP_CONCAT:
        ow_int(&q->w, ow_node_many(&q->w, "Concat", op->f.name, out, all, op->f.n_in), "axis", 1);
        break;
    case VL_FMT_OP_ADD:
    case VL_FMT_OP_MUL:
        ow_node_many(&q->w, op->f.type == VL_FMT_OP_ADD ? "Add" : "Mul", op->f.name, out, all, 2);
        break;
    case VL_FMT_OP_SLICE:
        put_slice(q, in, out, op->f.p0, op->f.p0 + channels, 1, 1);
        break;
    case VL_FMT_OP_SHUFFLE:
        put_shuffle(q, op, in, out);
        break;
    case VL_FMT_OP_FOCUS:
        put_focus(q, op, in, out);
        break;
    case VL_FMT_OP_SCALE:
        put_scale(q, op, in, out);
        break;
    default:
        put_pool(q, op, in, out);
    }
}

static void put_op(qdq *q, const gr_op *op) {
    const gr_tensor *t = &q->g->t[op->f.out];
    const char *last = t->u8 ? with(q, t->name, "/f") : t->name;
    const char *bare = op->f.act ? with(q, t->name, "/bare") : last;
    if (!last || !bare)
        return;
    if (op->f.type == VL_FMT_OP_ACT)
        bare = name_of(q, op->f.in[0]);
    else
        put_bare(q, op, bare);
    if (op->f.act)
        put_act(q, op, bare, last);
    if (t->u8)
        round_trip(q, op->f.out, last, t->name);
}

int qd_write(mb *m, const gr_graph *g, bool symmetric, const wr_meta *meta, size_t n_meta,
             uint8_t **bytes, size_t *size) {
    qdq q = {.m = m, .g = g, .symmetric = symmetric};
    int64_t dims[4];
    *bytes = NULL;
    if (ow_begin(&q.w, m, OPSET) < 0)
        return -1;
    shape_of(&q, 0, dims);
    ow_value(&q.w, true, "images", dims);
    round_trip(&q, 0, "images", "images/q");
    for (size_t i = 0; i < g->n_op && !m->error[0]; i++)
        put_op(&q, &g->op[i]);
    for (size_t i = 0; i < g->n_out && !m->error[0]; i++) {
        shape_of(&q, g->out[i].tensor, dims);
        const char *name = g->t[g->out[i].tensor].name;
        if (strcmp(name, g->out[i].name) != 0)
            ow_node(&q.w, "Identity", g->out[i].name, g->out[i].name, (const char *const[4]){name});
        ow_value(&q.w, false, g->out[i].name, dims);
    }
    for (size_t i = 0; i < n_meta && !m->error[0]; i++) {
        const char *key = mb_text(m, "veil.%s", meta[i].key);
        if (key)
            ow_meta(&q.w, key, meta[i].value);
    }
    return ow_end(&q.w, bytes, size);
}
