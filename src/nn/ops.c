/* See ops.h; x86/ops_avx2.c compiles this file a second time. A pixel's channels are loaded as
 * floats, worked on and stored in the type wanted. */
#include "ops.h"

#include "act.h"

typedef struct {
    float v[VL_FMT_MAX_CHANNELS];
} pixel;

static uint8_t *at(const vl_view *v, int32_t y, int32_t x) {
    return v->data + y * v->row + x * v->pixel;
}

static void load(const vl_view *v, int32_t y, int32_t x, pixel *p) {
    const uint8_t *q = at(v, y, x);
    if (!v->is_u8) {
        memcpy(p->v, q, (size_t)v->channels * sizeof(float));
        return;
    }
    for (int32_t c = 0; c < v->channels; c++)
        p->v[c] = (float)(q[c] - v->zero) * v->scale;
}

static void store(const vl_view *v, int32_t y, int32_t x, const pixel *p) {
    uint8_t *q = at(v, y, x);
    if (!v->is_u8) {
        memcpy(q, p->v, (size_t)v->channels * sizeof(float));
        return;
    }
    const float inv = 1.0f / v->scale, zero = (float)v->zero;
    for (int32_t c = 0; c < v->channels; c++)
        q[c] = (uint8_t)rintf(vl_act_clamp(fmaf(p->v[c], inv, zero), 0.0f, 255.0f));
}

#ifndef VL_OPS_RUN
#define VL_OPS_RUN vl_ops_run
#define VL_OPS_ALL
#endif

#ifdef VL_OPS_ALL
int vl_ops_same_kind(const vl_view *a, const vl_view *b) {
    if (a->is_u8 != b->is_u8)
        return 0;
    return !a->is_u8 || (!(a->scale < b->scale) && !(a->scale > b->scale) && a->zero == b->zero);
}

#endif

static size_t pixel_bytes(const vl_view *v) {
    return (size_t)v->channels * (v->is_u8 ? 1 : sizeof(float));
}

static void copy_row(const vl_view *in, const vl_view *out, int32_t y) {
    if (!vl_ops_same_kind(in, out)) {
        pixel p;
        for (int32_t x = 0; x < out->width; x++) {
            load(in, y, x, &p);
            store(out, y, x, &p);
        }
    } else if (in->pixel == out->pixel && out->whole) {
        /* The gaps between the pixels, if any, belong to nobody; the last one has none. */
        size_t most = (size_t)(out->width - 1) * (size_t)in->pixel;
        memcpy(at(out, y, 0), at(in, y, 0), most + pixel_bytes(in));
    } else {
        for (int32_t x = 0; x < out->width; x++)
            memcpy(at(out, y, x), at(in, y, x), pixel_bytes(in));
    }
}

static void upsample_nearest(const vl_op *op, const vl_view *in, const vl_view *out, int32_t y) {
    int32_t f = (int32_t)op->p0;
    int same = vl_ops_same_kind(in, out);
    pixel p;
    for (int32_t x = 0; x < in->width; x++) {
        if (!same)
            load(in, y / f, x, &p);
        for (int32_t i = 0; i < f; i++) {
            if (same)
                memcpy(at(out, y, x * f + i), at(in, y / f, x), pixel_bytes(in));
            else
                store(out, y, x * f + i, &p);
        }
    }
}

#ifdef VL_OPS_ALL
/* Output i lies at (i + 0.5) / f - 0.5 of the input. */
int32_t vl_ops_bilinear_at(int32_t i, int32_t f, int32_t n, int32_t *next, float *part) {
    float s = ((float)i + 0.5f) / (float)f - 0.5f;
    s = s > 0.0f ? s : 0.0f;
    int32_t first = (int32_t)s;
    first = first < n - 1 ? first : n - 1;
    *next = first + 1 < n ? first + 1 : first;
    *part = s - (float)first;
    return first;
}

#endif

static void upsample_bilinear(const vl_op *op, const vl_view *in, const vl_view *out, int32_t y) {
    int32_t f = (int32_t)op->p0, y_next, x_next;
    float fy, fx;
    int32_t iy = vl_ops_bilinear_at(y, f, in->height, &y_next, &fy);
    pixel a, b, c, d;
    for (int32_t x = 0; x < out->width; x++) {
        int32_t ix = vl_ops_bilinear_at(x, f, in->width, &x_next, &fx);
        load(in, iy, ix, &a);
        load(in, iy, x_next, &b);
        load(in, y_next, ix, &c);
        load(in, y_next, x_next, &d);
        for (int32_t k = 0; k < in->channels; k++) {
            float top = a.v[k] + (b.v[k] - a.v[k]) * fx;
            float bottom = c.v[k] + (d.v[k] - c.v[k]) * fx;
            a.v[k] = top + (bottom - top) * fy;
        }
        store(out, y, x, &a);
    }
}

static void pool_row(const vl_op *op, const vl_view *in, const vl_view *out, int32_t y) {
    int whole = op->type == VL_FMT_OP_AVGPOOL && op->kh == 0;
    int max = op->type == VL_FMT_OP_MAXPOOL;
    pixel p, q;
    for (int32_t x = 0; x < out->width; x++) {
        int32_t top = whole ? 0 : y * op->sh - op->pad_top,
                left = whole ? 0 : x * op->sw - op->pad_left;
        int32_t bottom = whole ? in->height : top + op->kh,
                right = whole ? in->width : left + op->kw;
        int32_t count = 0;
        for (int32_t k = 0; k < in->channels; k++)
            q.v[k] = max ? -INFINITY : 0.0f;
        for (int32_t iy = top > 0 ? top : 0; iy < bottom && iy < in->height; iy++) {
            for (int32_t ix = left > 0 ? left : 0; ix < right && ix < in->width; ix++) {
                load(in, iy, ix, &p);
                count++;
                for (int32_t k = 0; k < in->channels; k++) {
                    if (!max)
                        q.v[k] += p.v[k];
                    else if (p.v[k] > q.v[k])
                        q.v[k] = p.v[k];
                }
            }
        }
        for (int32_t k = 0; k < in->channels && !max; k++)
            q.v[k] /= (float)(count > 0 ? count : 1);
        store(out, y, x, &q);
    }
}

/* Averages of bytes to bytes: whole numbers are added, and one fma scales them. */
static void average_row_u8(const vl_op *op, const vl_view *in, const vl_view *out, int32_t y) {
    uint16_t sum[VL_FMT_MAX_CHANNELS];
    const int32_t n = in->channels, top = y * op->sh - op->pad_top;
    const float ratio = in->scale / out->scale;
    const float shift = (float)out->zero - (float)in->zero * ratio;
    for (int32_t x = 0; x < out->width; x++) {
        int32_t left = x * op->sw - op->pad_left, count = 0;
        memset(sum, 0, (size_t)n * sizeof *sum);
        for (int32_t iy = top > 0 ? top : 0; iy < top + op->kh && iy < in->height; iy++) {
            for (int32_t ix = left > 0 ? left : 0; ix < left + op->kw && ix < in->width; ix++) {
                const uint8_t *q = at(in, iy, ix);
                for (int32_t k = 0; k < n; k++)
                    sum[k] = (uint16_t)(sum[k] + q[k]);
                count++;
            }
        }
        const float scale = ratio / (float)(count > 0 ? count : 1);
        uint8_t *q = at(out, y, x);
        for (int32_t k = 0; k < n; k++)
            q[k] = (uint8_t)rintf(vl_act_clamp(fmaf(sum[k], scale, shift), 0.0f, 255.0f));
    }
}

static void two_inputs_row(const vl_op *op, const vl_view *in, const vl_view *out, int32_t y) {
    pixel p, q;
    int one = in[1].height == 1 && in[1].width == 1; /* MUL by a value per channel */
    for (int32_t x = 0; x < out->width; x++) {
        load(&in[0], y, x, &p);
        load(&in[1], one ? 0 : y, one ? 0 : x, &q);
        for (int32_t k = 0; k < out->channels; k++) {
            float v = op->type == VL_FMT_OP_ADD ? p.v[k] + q.v[k] : p.v[k] * q.v[k];
            p.v[k] = vl_act_apply(v, op->act, op->act_a, op->act_b);
        }
        store(out, y, x, &p);
    }
}

static void scale_act_row(const vl_op *op, const vl_view *in, const vl_view *out, int32_t y) {
    const float *scales = op->scales == NULL ? NULL : op->scales->data;
    const float *bias = op->bias == NULL ? NULL : op->bias->data;
    pixel p;
    for (int32_t x = 0; x < out->width; x++) {
        load(in, y, x, &p);
        for (int32_t k = 0; k < out->channels; k++) {
            float v = p.v[k];
            if (op->type == VL_FMT_OP_SCALE)
                v = v * scales[k] + bias[k];
            if (op->act == VL_FMT_ACT_PRELU)
                v = v > 0.0f ? v : v * scales[k];
            p.v[k] = vl_act_apply(v, op->act, op->act_a, op->act_b);
        }
        store(out, y, x, &p);
    }
}

/* ShuffleNet: channel g * n + i becomes i * groups + g, n = channels / groups. */
static void shuffle_row(const vl_op *op, const vl_view *in, const vl_view *out, int32_t y) {
    int32_t groups = (int32_t)op->p0, n = in->channels / groups;
    pixel p, q;
    for (int32_t x = 0; x < out->width; x++) {
        load(in, y, x, &p);
        for (int32_t k = 0; k < in->channels; k++)
            q.v[k % n * groups + k / n] = p.v[k];
        store(out, y, x, &q);
    }
}

static void focus_row(const vl_view *in, const vl_view *out, int32_t y) {
    pixel p, q;
    for (int32_t x = 0; x < out->width; x++) {
        for (int32_t part = 0; part < 4; part++) {
            load(in, 2 * y + part % 2, 2 * x + part / 2, &p);
            memcpy(q.v + part * in->channels, p.v, (size_t)in->channels * sizeof(float));
        }
        store(out, y, x, &q);
    }
}

void VL_OPS_RUN(const vl_op *op, const vl_view *in, const vl_view *out, int32_t y0, int32_t y1) {
    for (int32_t y = y0; y < y1; y++) {
        if (op == NULL)
            copy_row(in, out, y);
        else if (op->type == VL_FMT_OP_UPSAMPLE && op->p1 == 0)
            upsample_nearest(op, in, out, y);
        else if (op->type == VL_FMT_OP_UPSAMPLE)
            upsample_bilinear(op, in, out, y);
        else if (op->type == VL_FMT_OP_AVGPOOL && in->is_u8 && out->is_u8 && op->kh > 0 &&
                 op->kh * op->kw < 256)
            average_row_u8(op, in, out, y);
        else if (op->type == VL_FMT_OP_MAXPOOL || op->type == VL_FMT_OP_AVGPOOL)
            pool_row(op, in, out, y);
        else if (op->type == VL_FMT_OP_ADD || op->type == VL_FMT_OP_MUL)
            two_inputs_row(op, in, out, y);
        else if (op->type == VL_FMT_OP_SHUFFLE)
            shuffle_row(op, in, out, y);
        else if (op->type == VL_FMT_OP_FOCUS)
            focus_row(in, out, y);
        else
            scale_act_row(op, in, out, y);
    }
}
