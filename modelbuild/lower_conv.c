/* Operators with weights or windows: Conv, BatchNormalization, pools. Shapes: x (C,H,W) in the file
 * order, weights (OC,IC/g,KH,KW) there and (OC,KH,KW,IC/g) here. */
#include "lower.h"

#include <math.h>
#include <string.h>

/* Limits of the engine's parser beside those in format.h. */
#define MAX_STRIDE 8
#define MAX_PAD    15

static bool in_range(const int64_t *v, size_t n, int64_t low, int64_t high) {
    for (size_t i = 0; i < n; i++)
        if (v[i] < low || v[i] > high)
            return false;
    return true;
}

/* auto_pad SAME_*: as much padding as makes out = ceil(in / stride). */
static void same_pad(int64_t in, int64_t k, int64_t s, bool upper, int64_t *before,
                     int64_t *after) {
    int64_t out = (in + s - 1) / s, total = (out - 1) * s + k - in;
    total = total < 0 ? 0 : total;
    *before = upper ? total / 2 : total - total / 2;
    *after = total - *before;
}

/* extra: zeros a Pad node put around the input (top, left, bottom, right), or NULL. */
int lw_read_window(lower *l, const og_node *n, const gr_tensor *in, const int32_t *extra,
                   lw_window *w) {
    int64_t k[2] = {w->k[0], w->k[1]}, s[2] = {1, 1}, d[2] = {1, 1}, p[4] = {0, 0, 0, 0};
    int64_t size[2] = {in->height, in->width}, kernel[2];
    size_t nk = og_ints(n, "kernel_shape", kernel, 2);
    if (nk == 2 && !k[0])
        memcpy(k, kernel, sizeof(k));
    else if ((nk != 0 && nk != 2) || (nk == 2 && memcmp(k, kernel, sizeof(k)) != 0))
        return lw_not_here(l, "its kernel does not have two dimensions");
    size_t ns = og_ints(n, "strides", s, 2), nd = og_ints(n, "dilations", d, 2),
           np = og_ints(n, "pads", p, 4);
    if ((ns && ns != 2) || (nd && nd != 2) || (np && np != 4))
        return lw_not_here(l, "its window does not have two dimensions");
    if (!in_range(k, 2, 1, VL_FMT_MAX_KERNEL))
        return lw_not_here(l, "its kernel is larger than 15");
    if (!in_range(p, 4, 0, MAX_PAD) || !in_range(d, 2, 1, MAX_STRIDE) ||
        !in_range(s, 2, 1, MAX_STRIDE))
        return lw_not_here(l, "its stride, padding or dilation is out of range");
    int64_t span[2] = {(k[0] - 1) * d[0] + 1, (k[1] - 1) * d[1] + 1};
    bool upper = og_is(n, "auto_pad", "SAME_UPPER", false);
    if (upper || og_is(n, "auto_pad", "SAME_LOWER", false)) {
        same_pad(size[0], span[0], s[0], upper, &p[0], &p[2]);
        same_pad(size[1], span[1], s[1], upper, &p[1], &p[3]);
    } else if (og_is(n, "auto_pad", "VALID", false)) {
        memset(p, 0, sizeof(p));
    }
    for (int i = 0; i < 4 && extra; i++)
        p[i] += extra[i];
    for (int i = 0; i < 2; i++) {
        int64_t room = size[i] + p[i] + p[i + 2] - span[i];
        if (room < 0)
            return lw_not_here(l, "its window is larger than its input at this size");
        int64_t out = room / s[i] + 1;
        /* ceil_mode: one window more when it still starts inside the input or left padding. */
        if (og_int(n, "ceil_mode", 0) && room % s[i] && out * s[i] < size[i] + p[i]) {
            p[i + 2] += s[i] - room % s[i];
            out++;
        }
        w->out[i] = (uint32_t)out;
        w->k[i] = (uint32_t)k[i];
        w->s[i] = (uint32_t)s[i];
        w->d[i] = (uint32_t)d[i];
    }
    for (int i = 0; i < 4; i++) {
        if (p[i] >= span[i % 2])
            return lw_not_here(l, "its padding is wider than its kernel");
        w->pad[i] = (uint32_t)p[i];
    }
    return LW_OK;
}

static void set_window(gr_op *op, const lw_window *w) {
    op->f.kh = w->k[0];
    op->f.kw = w->k[1];
    op->f.sh = w->s[0];
    op->f.sw = w->s[1];
    op->f.dilation = w->d[0];
    op->f.pad_top = w->pad[0];
    op->f.pad_left = w->pad[1];
    op->f.pad_bottom = w->pad[2];
    op->f.pad_right = w->pad[3];
}

static float *reorder(mb *m, const og_const *w) {
    size_t oc = (size_t)w->dims[0], ic = (size_t)w->dims[1];
    size_t area = (size_t)w->dims[2] * (size_t)w->dims[3];
    float *to = mb_alloc(m, w->n, sizeof(float));
    for (size_t o = 0; to && o < oc; o++)
        for (size_t i = 0; i < ic; i++)
            for (size_t a = 0; a < area; a++)
                to[(o * area + a) * ic + i] = w->f[(o * ic + i) * area + a];
    return to;
}

int lw_conv(lower *l, const og_node *n) {
    const lw_value *x = lw_in(l, n, 0);
    if (!x || (x->kind != LW_MAP && x->kind != LW_PADDED))
        return lw_not_here(l, "its input is not a feature map");
    const og_const *w = lw_const(l, n, 1), *b = lw_const(l, n, 2);
    if (!w || !w->is_float || (lw_in(l, n, 2) && (!b || !b->is_float)))
        return lw_not_here(l, "its weights are not constant numbers");
    if (w->rank != 4 || !w->n)
        return lw_not_here(l, "only two-dimensional convolutions are supported");
    gr_tensor in = l->out->t[x->tensor];
    int64_t groups = og_int(n, "group", 1), oc = w->dims[0];
    if (groups < 1 || groups > in.channels || in.channels % groups || oc % groups ||
        w->dims[1] != in.channels / groups || (b && b->n != (size_t)oc))
        return mb_fail(l->m, "node '%s' (Conv): its weights do not fit its %u input channels",
                       n->name, in.channels);
    if (oc > VL_FMT_MAX_CHANNELS || w->dims[2] > VL_FMT_MAX_KERNEL ||
        w->dims[3] > VL_FMT_MAX_KERNEL)
        return lw_not_here(l, "it is larger than the engine allows");
    lw_window win = {.k = {(uint32_t)w->dims[2], (uint32_t)w->dims[3]}};
    int r = lw_read_window(l, n, &in, x->kind == LW_PADDED ? x->a : NULL, &win);
    if (r != LW_OK)
        return r;
    if (win.d[0] != win.d[1])
        return lw_not_here(l, "its two dilations differ");
    uint32_t i = lw_op(l, n, VL_FMT_OP_CONV, (uint32_t)oc, win.out[0], win.out[1], 1, &x->tensor);
    if (i == GR_NONE)
        return LW_ERROR;
    gr_op *op = &l->out->op[i];
    set_window(op, &win);
    op->f.groups = (uint32_t)groups;
    op->weights = reorder(l->m, w);
    op->n_weights = w->n;
    op->bias = mb_alloc(l->m, (size_t)oc, sizeof(float));
    if (!op->weights || !op->bias)
        return LW_ERROR;
    if (b)
        memcpy(op->bias, b->f, (size_t)oc * sizeof(float));
    return lw_set_map(l, n, 0, op->f.out);
}

/* y = (x - mean) / sqrt(var + eps) * gamma + beta, as factor and offset per channel. */
int lw_batch_norm(lower *l, const og_node *n) {
    const og_const *p[4];
    if (!lw_is_map(l, n, 0))
        return lw_not_here(l, "its input is not a feature map");
    gr_tensor in = l->out->t[lw_in(l, n, 0)->tensor];
    for (uint32_t k = 0; k < 4; k++) {
        p[k] = lw_const(l, n, k + 1);
        if (!p[k] || !p[k]->is_float)
            return lw_not_here(l, "its numbers are not constant");
        if (p[k]->n != in.channels)
            return mb_fail(l->m,
                           "node '%s' (BatchNormalization): input %u does not have %u numbers",
                           n->name, k + 1, in.channels);
    }
    if (og_int(n, "training_mode", 0))
        return lw_not_here(l, "it is in training mode");
    uint32_t i =
        lw_op(l, n, VL_FMT_OP_SCALE, in.channels, in.height, in.width, 1, &lw_in(l, n, 0)->tensor);
    if (i == GR_NONE)
        return LW_ERROR;
    gr_op *op = &l->out->op[i];
    op->scales = mb_alloc(l->m, in.channels, sizeof(float));
    op->bias = mb_alloc(l->m, in.channels, sizeof(float));
    if (!op->scales || !op->bias)
        return LW_ERROR;
    double eps = (double)og_float(n, "epsilon", 1e-5f);
    for (uint32_t c = 0; c < in.channels; c++) {
        double f = (double)p[0]->f[c] / sqrt((double)p[3]->f[c] + eps);
        op->scales[c] = (float)f;
        op->bias[c] = (float)((double)p[1]->f[c] - (double)p[2]->f[c] * f);
        if (!isfinite(op->scales[c]) || !isfinite(op->bias[c]))
            return mb_fail(l->m, "node '%s' (BatchNormalization): channel %u has no finite factor",
                           n->name, c);
    }
    return lw_set_map(l, n, 0, op->f.out);
}

/* An average that counts its zero padding is a depthwise convolution with equal weights. */
static int average_as_conv(lower *l, const og_node *n, const gr_tensor *in, const lw_window *w) {
    uint32_t i =
        lw_op(l, n, VL_FMT_OP_CONV, in->channels, w->out[0], w->out[1], 1, &lw_in(l, n, 0)->tensor);
    if (i == GR_NONE)
        return LW_ERROR;
    gr_op *op = &l->out->op[i];
    set_window(op, w);
    op->f.groups = in->channels;
    op->n_weights = (size_t)in->channels * w->k[0] * w->k[1];
    op->weights = mb_alloc(l->m, op->n_weights, sizeof(float));
    op->bias = mb_alloc(l->m, in->channels, sizeof(float));
    if (!op->weights || !op->bias)
        return LW_ERROR;
    for (size_t k = 0; k < op->n_weights; k++)
        op->weights[k] = 1.0f / (float)(w->k[0] * w->k[1]);
    return lw_set_map(l, n, 0, op->f.out);
}

int lw_pool(lower *l, const og_node *n) {
    const lw_value *x = lw_in(l, n, 0);
    bool max = strcmp(n->op, "MaxPool") == 0, count_pad = og_int(n, "count_include_pad", 0) != 0;
    if (!x || x->kind != LW_MAP)
        return lw_not_here(l, "its input is not a feature map");
    if (n->n_out > 1 && n->out[1] >= 0)
        return lw_not_here(l, "its second output is not supported");
    gr_tensor in = l->out->t[x->tensor];
    lw_window win = {0};
    int r = lw_read_window(l, n, &in, NULL, &win);
    if (r != LW_OK)
        return r;
    if (win.d[0] != 1 || win.d[1] != 1)
        return lw_not_here(l, "a pool with dilation is not supported");
    bool padded = win.pad[0] || win.pad[1] || win.pad[2] || win.pad[3];
    if (!max && count_pad && padded && og_int(n, "ceil_mode", 0))
        return lw_not_here(l, "ceil_mode together with count_include_pad is not supported");
    if (!max && count_pad && padded)
        return average_as_conv(l, n, &in, &win);
    uint32_t i = lw_op(l, n, max ? VL_FMT_OP_MAXPOOL : VL_FMT_OP_AVGPOOL, in.channels, win.out[0],
                       win.out[1], 1, &x->tensor);
    if (i == GR_NONE)
        return LW_ERROR;
    set_window(&l->out->op[i], &win);
    return lw_set_map(l, n, 0, l->out->op[i].f.out);
}

/* GlobalAveragePool, and ReduceMean when it means the same. */
int lw_global_pool(lower *l, const og_node *n) {
    int64_t axes[OG_MAX_RANK];
    if (!lw_is_map(l, n, 0))
        return lw_not_here(l, "its input is not a feature map");
    if (strcmp(n->op, "ReduceMean") == 0) {
        bool both = og_ints(n, "axes", axes, 2) == 2 && og_int(n, "keepdims", 1) == 1 &&
                    ((axes[0] == 2 && axes[1] == 3) || (axes[0] == -2 && axes[1] == -1) ||
                     (axes[0] == -1 && axes[1] == -2));
        if (!both)
            return lw_not_here(l, "a mean over other axes than the whole picture is not supported");
    }
    uint32_t from = lw_in(l, n, 0)->tensor;
    uint32_t i = lw_op(l, n, VL_FMT_OP_AVGPOOL, l->out->t[from].channels, 1, 1, 1, &from);
    if (i == GR_NONE)
        return LW_ERROR;
    l->out->op[i].f.kh = l->out->op[i].f.kw = 0;
    return lw_set_map(l, n, 0, l->out->op[i].f.out);
}
