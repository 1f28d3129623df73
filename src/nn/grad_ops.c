/* Every operator but the dense convolution backwards, in plain C, channel by channel. */
#include "grad_priv.h"

#include "act.h"

static float sigmoid(float x) {
    return vl_act_apply(x, VL_FMT_ACT_SIGMOID, 0.0f, 0.0f);
}

float vl_grad_slope(const vl_op *op, float y) {
    switch (op->act) {
    case VL_FMT_ACT_RELU:
        return y > 0.0f ? 1.0f : 0.0f;
    case VL_FMT_ACT_LEAKY:
        return y > 0.0f ? 1.0f : op->act_a;
    case VL_FMT_ACT_CLIP:
        return y > op->act_a && y < op->act_b ? 1.0f : 0.0f;
    case VL_FMT_ACT_SIGMOID:
        return y * (1.0f - y);
    case VL_FMT_ACT_HSIGMOID:
        return y > 0.0f && y < 1.0f ? op->act_a : 0.0f;
    default:
        return 1.0f;
    }
}

/* act'(x) of channel c from x, for an activation alone. */
static float slope_at(const vl_op *op, float x, int32_t c) {
    float s = sigmoid(x);
    switch (op->act) {
    case VL_FMT_ACT_SILU:
        return s + x * s * (1.0f - s);
    case VL_FMT_ACT_HSWISH:
        return x <= -3.0f ? 0.0f : x >= 3.0f ? 1.0f : (2.0f * x + 3.0f) / 6.0f;
    case VL_FMT_ACT_LEAKY:
        return x > 0.0f ? 1.0f : op->act_a;
    case VL_FMT_ACT_PRELU:
        return x > 0.0f ? 1.0f : ((const float *)op->scales->data)[c];
    default:
        return vl_grad_slope(op, vl_act_apply(x, op->act, op->act_a, op->act_b));
    }
}

vl_region vl_grad_window(const vl_op *op, vl_region r) {
    int32_t h = (op->kh - 1) * op->dilation + 1, w = (op->kw - 1) * op->dilation + 1;
    return (vl_region){r.y0 * op->sh - op->pad_top, (r.y1 - 1) * op->sh - op->pad_top + h,
                       r.x0 * op->sw - op->pad_left, (r.x1 - 1) * op->sw - op->pad_left + w};
}

bool vl_grad_is_depthwise(const vl_op *op, int32_t in_channels, int32_t out_channels) {
    return op->groups > 1 && op->groups == in_channels && op->groups == out_channels;
}

/* What one operator's row function gets. */
typedef struct {
    const vl_op *op;
    const vl_view *in, *out;
    const vl_gradient *from;
    vl_gradient *const *to;
} pass;

/* ---------------------------------------------------------------- windows */

static void depthwise(const pass *p) {
    const vl_op *op = p->op;
    vl_gradient *to = p->to[0];
    const float *weights = op->weights->data; /* [C][KH][KW] */
    int32_t taps = op->kh * op->kw;
    vl_region r = p->from->region;
    vl_grad_cover(to, vl_grad_window(op, r));
    for (int32_t y = r.y0; y < r.y1; y++) {
        for (int32_t x = r.x0; x < r.x1; x++) {
            const float *g = vl_grad_at(p->from, y, x), *v = vl_grad_value(p->out, y, x);
            for (int32_t t = 0; t < taps; t++) {
                int32_t iy = y * op->sh - op->pad_top + t / op->kw * op->dilation;
                int32_t ix = x * op->sw - op->pad_left + t % op->kw * op->dilation;
                if (iy < 0 || ix < 0 || iy >= to->height || ix >= to->width)
                    continue;
                float *d = vl_grad_at(to, iy, ix);
                for (int32_t c = 0; c < to->channels; c++)
                    d[c] += g[c] * vl_grad_slope(op, v[c]) * weights[c * taps + t];
            }
        }
    }
}

/* A window of a pooling operator, cut at the edges. */
static vl_region pool_window(const vl_op *op, const vl_gradient *in, int32_t y, int32_t x) {
    if (op->kh == 0)
        return (vl_region){0, in->height, 0, in->width};
    vl_window w = vl_window_cut(y * op->sh - op->pad_top, x * op->sw - op->pad_left, op->kh, op->kw,
                                in->height, in->width);
    return (vl_region){w.y0, w.y1, w.x0, w.x1};
}

/* The first of the largest gets all, as in PyTorch. */
static void max_pool(const pass *p) {
    vl_gradient *to = p->to[0];
    vl_region r = p->from->region;
    vl_grad_cover(to, vl_grad_window(p->op, r));
    for (int32_t y = r.y0; y < r.y1; y++) {
        for (int32_t x = r.x0; x < r.x1; x++) {
            const float *g = vl_grad_at(p->from, y, x), *most = vl_grad_value(p->out, y, x);
            vl_region w = pool_window(p->op, to, y, x);
            for (int32_t c = 0; c < to->channels; c++) {
                bool found = false;
                for (int32_t iy = w.y0; iy < w.y1 && !found; iy++) {
                    for (int32_t ix = w.x0; ix < w.x1 && !found; ix++) {
                        found = vl_grad_value(p->in, iy, ix)[c] >= most[c];
                        if (found)
                            vl_grad_at(to, iy, ix)[c] += g[c];
                    }
                }
            }
        }
    }
}

static void average_pool(const pass *p) {
    vl_gradient *to = p->to[0];
    vl_region r = p->from->region;
    vl_region all = {0, to->height, 0, to->width};
    vl_grad_cover(to, p->op->kh == 0 ? all : vl_grad_window(p->op, r));
    for (int32_t y = r.y0; y < r.y1; y++) {
        for (int32_t x = r.x0; x < r.x1; x++) {
            const float *g = vl_grad_at(p->from, y, x);
            vl_region w = pool_window(p->op, to, y, x);
            int32_t count = (w.y1 - w.y0) * (w.x1 - w.x0);
            float part = 1.0f / (float)(count > 0 ? count : 1);
            for (int32_t iy = w.y0; iy < w.y1; iy++) {
                for (int32_t ix = w.x0; ix < w.x1; ix++) {
                    float *d = vl_grad_at(to, iy, ix);
                    for (int32_t c = 0; c < to->channels; c++)
                        d[c] += g[c] * part;
                }
            }
        }
    }
}

/* ---------------------------------------------------------------- enlarging */

static void add_scaled(float *to, const float *g, float by, int32_t n) {
    for (int32_t c = 0; c < n; c++)
        to[c] += g[c] * by;
}

static void upsample(const pass *p) {
    vl_gradient *to = p->to[0];
    vl_region r = p->from->region;
    int32_t f = (int32_t)p->op->p0, n = to->channels;
    int32_t more = p->op->p1 == 0 ? 0 : 1;
    vl_grad_cover(to, (vl_region){r.y0 / f - more, (r.y1 - 1) / f + 1 + more, r.x0 / f - more,
                                  (r.x1 - 1) / f + 1 + more});
    for (int32_t y = r.y0; y < r.y1; y++) {
        int32_t y_next;
        float fy;
        int32_t iy = vl_ops_bilinear_at(y, f, to->height, &y_next, &fy);
        for (int32_t x = r.x0; x < r.x1; x++) {
            const float *g = vl_grad_at(p->from, y, x);
            if (p->op->p1 == 0) {
                add_scaled(vl_grad_at(to, y / f, x / f), g, 1.0f, n);
                continue;
            }
            int32_t x_next;
            float fx;
            int32_t ix = vl_ops_bilinear_at(x, f, to->width, &x_next, &fx);
            add_scaled(vl_grad_at(to, iy, ix), g, (1.0f - fy) * (1.0f - fx), n);
            add_scaled(vl_grad_at(to, iy, x_next), g, (1.0f - fy) * fx, n);
            add_scaled(vl_grad_at(to, y_next, ix), g, fy * (1.0f - fx), n);
            add_scaled(vl_grad_at(to, y_next, x_next), g, fy * fx, n);
        }
    }
}

/* ---------------------------------------------------------------- pixel by pixel */

static void multiply_at(const pass *p, int32_t y, int32_t x, const float *g) {
    bool one = p->in[1].height == 1 && p->in[1].width == 1;
    int32_t by = one ? 0 : y, bx = one ? 0 : x;
    const float *a = vl_grad_value(&p->in[0], y, x), *b = vl_grad_value(&p->in[1], by, bx);
    const float *v = vl_grad_value(p->out, y, x);
    for (int32_t c = 0; c < p->from->channels; c++) {
        float d = g[c] * vl_grad_slope(p->op, v[c]);
        if (p->to[0] != NULL)
            vl_grad_at(p->to[0], y, x)[c] += d * b[c];
        if (p->to[1] != NULL)
            vl_grad_at(p->to[1], by, bx)[c] += d * a[c];
    }
}

static void concat_at(const pass *p, int32_t y, int32_t x, const float *g) {
    for (int32_t k = 0; k < p->op->n_in; k++) {
        if (p->to[k] != NULL)
            add_scaled(vl_grad_at(p->to[k], y, x), g, 1.0f, p->in[k].channels);
        g += p->in[k].channels;
    }
}

static void add_at(const pass *p, int32_t y, int32_t x, const float *g) {
    const float *v = vl_grad_value(p->out, y, x);
    for (int32_t k = 0; k < 2; k++) {
        for (int32_t c = 0; p->to[k] != NULL && c < p->from->channels; c++)
            vl_grad_at(p->to[k], y, x)[c] += g[c] * vl_grad_slope(p->op, v[c]);
    }
}

static void focus_at(const pass *p, int32_t y, int32_t x, const float *g) {
    int32_t n = p->to[0]->channels;
    for (int32_t part = 0; part < 4; part++, g += n)
        add_scaled(vl_grad_at(p->to[0], 2 * y + part % 2, 2 * x + part / 2), g, 1.0f, n);
}

/* SLICE, SHUFFLE, SCALE, ACT: one input, the same pixel. */
static void same_pixel_at(const pass *p, int32_t y, int32_t x, const float *g) {
    const vl_op *op = p->op;
    float *to = vl_grad_at(p->to[0], y, x);
    const float *in = vl_grad_value(p->in, y, x), *v = vl_grad_value(p->out, y, x);
    int32_t n = p->from->channels, groups = (int32_t)op->p0;
    for (int32_t c = 0; c < n; c++) {
        switch (op->type) {
        case VL_FMT_OP_SLICE:
            to[(int32_t)op->p0 + c] += g[c];
            break;
        case VL_FMT_OP_SHUFFLE:
            to[c] += g[c % (n / groups) * groups + c / (n / groups)];
            break;
        case VL_FMT_OP_SCALE:
            to[c] += g[c] * vl_grad_slope(op, v[c]) * ((const float *)op->scales->data)[c];
            break;
        default:
            to[c] += g[c] * slope_at(op, in[c], c);
            break;
        }
    }
}

static void each_pixel(const pass *p, void (*at)(const pass *, int32_t, int32_t, const float *)) {
    vl_region r = p->from->region;
    for (int32_t k = 0; k < p->op->n_in; k++) {
        vl_region to = r;
        if (p->op->type == VL_FMT_OP_FOCUS)
            to = (vl_region){2 * r.y0, 2 * r.y1, 2 * r.x0, 2 * r.x1};
        if (p->in[k].height == 1 && p->in[k].width == 1)
            to = (vl_region){0, 1, 0, 1};
        if (p->to[k] != NULL)
            vl_grad_cover(p->to[k], to);
    }
    for (int32_t y = r.y0; y < r.y1; y++) {
        for (int32_t x = r.x0; x < r.x1; x++)
            at(p, y, x, vl_grad_at(p->from, y, x));
    }
}

void vl_grad_op(const vl_op *op, const vl_view *in, const vl_view *out, const vl_gradient *out_grad,
                vl_gradient *const *in_grad) {
    const pass p = {op, in, out, out_grad, in_grad};
    switch (op->type) {
    case VL_FMT_OP_CONV:
        depthwise(&p);
        return;
    case VL_FMT_OP_MAXPOOL:
        max_pool(&p);
        return;
    case VL_FMT_OP_AVGPOOL:
        average_pool(&p);
        return;
    case VL_FMT_OP_UPSAMPLE:
        upsample(&p);
        return;
    case VL_FMT_OP_MUL:
        each_pixel(&p, multiply_at);
        return;
    case VL_FMT_OP_ADD:
        each_pixel(&p, add_at);
        return;
    case VL_FMT_OP_CONCAT:
        each_pixel(&p, concat_at);
        return;
    case VL_FMT_OP_FOCUS:
        each_pixel(&p, focus_at);
        return;
    default:
        each_pixel(&p, same_pixel_at);
        return;
    }
}
