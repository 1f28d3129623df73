/* See plain.h. */
#include "plain.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_VALUES 1024

static struct {
    const char *name;
    plain t;
} values[MAX_VALUES];
static size_t n_values;

static void stop(const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    fputs("plain: ", stderr);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

static size_t count(const plain *t) {
    size_t n = 1;
    for (size_t i = 0; i < t->rank; i++)
        n *= (size_t)t->d[i];
    return n;
}

static plain make(size_t rank, const long *d) {
    plain t = {.rank = rank};
    memcpy(t.d, d, rank * sizeof(*d));
    t.v = calloc(count(&t) + 1, sizeof(float));
    if (!t.v)
        stop("out of memory");
    return t;
}

static plain make4(long n, long c, long h, long w) {
    return make(4, (long[]){n, c, h, w});
}

static void set(const char *name, plain t) {
    if (n_values == MAX_VALUES)
        stop("too many values");
    values[n_values].name = name;
    values[n_values++].t = t;
}

static plain get(const char *name) {
    for (size_t i = n_values; i-- > 0;)
        if (strcmp(values[i].name, name) == 0)
            return values[i].t;
    stop("no value '%s'", name);
    return (plain){0};
}

static int known(const char *name) {
    for (size_t i = 0; i < n_values; i++)
        if (strcmp(values[i].name, name) == 0)
            return 1;
    return 0;
}

typedef const Onnx__NodeProto node;

static const Onnx__AttributeProto *attr(node *n, const char *name) {
    for (size_t i = 0; i < n->n_attribute; i++)
        if (strcmp(n->attribute[i]->name, name) == 0)
            return n->attribute[i];
    return NULL;
}

static long geti(node *n, const char *name, long absent) {
    const Onnx__AttributeProto *a = attr(n, name);
    return a ? (long)a->i : absent;
}

static float getf(node *n, const char *name, float absent) {
    const Onnx__AttributeProto *a = attr(n, name);
    return a ? a->f : absent;
}

static long list(node *n, const char *name, size_t k, long absent) {
    const Onnx__AttributeProto *a = attr(n, name);
    return a && k < a->n_ints ? (long)a->ints[k] : absent;
}

static int is(node *n, const char *name, const char *text) {
    const Onnx__AttributeProto *a = attr(n, name);
    return a && a->s.len == strlen(text) && memcmp(a->s.data, text, a->s.len) == 0;
}

static int has(node *n, size_t k) {
    return k < n->n_input && n->input[k][0];
}

static float *at(const plain *t, long c, long y, long x) {
    return &t->v[(c * t->d[2] + y) * t->d[3] + x];
}

typedef struct {
    long k[2], s[2], d[2], p[4], out[2];
} window;

static window window_of(node *n, const plain *x, long kh, long kw) {
    window w;
    long size[2] = {x->d[2], x->d[3]};
    for (size_t i = 0; i < 2; i++) {
        w.k[i] = list(n, "kernel_shape", i, i ? kw : kh);
        w.s[i] = list(n, "strides", i, 1);
        w.d[i] = list(n, "dilations", i, 1);
        w.p[i] = list(n, "pads", i, 0);
        w.p[i + 2] = list(n, "pads", i + 2, 0);
        long span = (w.k[i] - 1) * w.d[i] + 1;
        if (attr(n, "auto_pad")) {
            long total = ((size[i] + w.s[i] - 1) / w.s[i] - 1) * w.s[i] + span - size[i];
            total = total < 0 || is(n, "auto_pad", "VALID") ? 0 : total;
            w.p[i] = is(n, "auto_pad", "SAME_UPPER") ? total / 2 : total - total / 2;
            w.p[i + 2] = total - w.p[i];
        }
        double room = (double)(size[i] + w.p[i] + w.p[i + 2] - span) / (double)w.s[i];
        w.out[i] = (long)(geti(n, "ceil_mode", 0) ? ceil(room) : floor(room)) + 1;
    }
    return w;
}

static plain conv(node *n) {
    plain x = get(n->input[0]), w = get(n->input[1]);
    window q = window_of(n, &x, w.d[2], w.d[3]);
    long groups = geti(n, "group", 1), oc = w.d[0], ic = w.d[1];
    plain r = make4(1, oc, q.out[0], q.out[1]);
    for (long o = 0; o < oc; o++)
        for (long y = 0; y < q.out[0]; y++)
            for (long c = 0; c < q.out[1]; c++) {
                double sum = has(n, 2) ? (double)get(n->input[2]).v[o] : 0;
                for (long i = 0; i < ic; i++)
                    for (long a = 0; a < q.k[0]; a++)
                        for (long b = 0; b < q.k[1]; b++) {
                            long iy = y * q.s[0] - q.p[0] + a * q.d[0];
                            long ix = c * q.s[1] - q.p[1] + b * q.d[1];
                            if (iy < 0 || ix < 0 || iy >= x.d[2] || ix >= x.d[3])
                                continue;
                            sum += (double)*at(&x, o / (oc / groups) * ic + i, iy, ix) *
                                   (double)w.v[((o * ic + i) * q.k[0] + a) * q.k[1] + b];
                        }
                *at(&r, o, y, c) = (float)sum;
            }
    return r;
}

static plain pool(node *n) {
    plain x = get(n->input[0]);
    window q = window_of(n, &x, 1, 1);
    int max = strcmp(n->op_type, "MaxPool") == 0;
    plain r = make4(1, x.d[1], q.out[0], q.out[1]);
    for (long c = 0; c < x.d[1]; c++)
        for (long y = 0; y < q.out[0]; y++)
            for (long z = 0; z < q.out[1]; z++) {
                double sum = 0, top = -INFINITY;
                long inside = 0;
                for (long a = 0; a < q.k[0]; a++)
                    for (long b = 0; b < q.k[1]; b++) {
                        long iy = y * q.s[0] - q.p[0] + a, ix = z * q.s[1] - q.p[1] + b;
                        if (iy < 0 || ix < 0 || iy >= x.d[2] || ix >= x.d[3])
                            continue;
                        inside++;
                        sum += (double)*at(&x, c, iy, ix);
                        top = fmax(top, (double)*at(&x, c, iy, ix));
                    }
                long by = geti(n, "count_include_pad", 0) ? q.k[0] * q.k[1] : inside;
                *at(&r, c, y, z) = (float)(max ? top : sum / (double)by);
            }
    return r;
}

static plain global_pool(node *n) {
    plain x = get(n->input[0]), r = make4(1, x.d[1], 1, 1);
    long area = x.d[2] * x.d[3];
    for (long c = 0; c < x.d[1]; c++) {
        double sum = 0;
        for (long k = 0; k < area; k++)
            sum += (double)x.v[c * area + k];
        r.v[c] = (float)(sum / (double)area);
    }
    return r;
}

static float point(node *n, float v, float low, float high) {
    const char *op = n->op_type;
    if (strcmp(op, "Relu") == 0)
        return v > 0 ? v : 0;
    if (strcmp(op, "LeakyRelu") == 0)
        return v > 0 ? v : v * getf(n, "alpha", 0.01f);
    if (strcmp(op, "Clip") == 0)
        return v < low ? low : v > high ? high : v;
    if (strcmp(op, "Sigmoid") == 0)
        return 1 / (1 + expf(-v));
    if (strcmp(op, "HardSigmoid") == 0)
        return fmaxf(0, fminf(1, v * getf(n, "alpha", 0.2f) + getf(n, "beta", 0.5f)));
    if (strcmp(op, "HardSwish") == 0)
        return v * fmaxf(0, fminf(1, v / 6 + 0.5f));
    if (strcmp(op, "Neg") == 0)
        return -v;
    return v; /* Identity, Dropout, Cast */
}

static plain pointwise(node *n) {
    plain x = get(n->input[0]), r = make(x.rank, x.d);
    float low = has(n, 1) ? get(n->input[1]).v[0] : -INFINITY;
    float high = has(n, 2) ? get(n->input[2]).v[0] : INFINITY;
    for (size_t k = 0; k < count(&x); k++)
        r.v[k] = point(n, x.v[k], low, high);
    return r;
}

/* Index into t, broadcast to the shape (rank, d), of the element number k there. */
static size_t broadcast(const plain *t, size_t rank, const long *d, size_t k) {
    size_t index = 0, step = 1;
    for (size_t i = rank; i-- > 0;) {
        size_t place = k % (size_t)d[i], from = rank - t->rank;
        k /= (size_t)d[i];
        if (i < from)
            continue;
        size_t size = (size_t)t->d[i - from];
        index += (size == 1 ? 0 : place) * step;
        step *= size;
    }
    return index;
}

static plain binary(node *n) {
    plain a = get(n->input[0]), b = get(n->input[1]);
    size_t rank = a.rank > b.rank ? a.rank : b.rank;
    long d[6];
    for (size_t i = 0; i < rank; i++) {
        long p = i + a.rank >= rank ? a.d[i + a.rank - rank] : 1;
        long q = i + b.rank >= rank ? b.d[i + b.rank - rank] : 1;
        d[i] = p > q ? p : q;
    }
    plain r = make(rank, d);
    for (size_t k = 0; k < count(&r); k++) {
        float p = a.v[broadcast(&a, rank, d, k)], q = b.v[broadcast(&b, rank, d, k)];
        switch (n->op_type[0]) {
        case 'A':
        case 'S':
            r.v[k] = strcmp(n->op_type, "Sub") == 0 ? p - q : p + q;
            break;
        case 'M':
            r.v[k] = p * q;
            break;
        case 'P': /* PRelu */
            r.v[k] = p > 0 ? p : p * q;
            break;
        default:
            r.v[k] = p / q;
        }
    }
    return r;
}

static plain batch_norm(node *n) {
    plain x = get(n->input[0]), r = make(4, x.d);
    plain g = get(n->input[1]), b = get(n->input[2]), m = get(n->input[3]), v = get(n->input[4]);
    for (size_t k = 0; k < count(&x); k++) {
        size_t c = k / (size_t)(x.d[2] * x.d[3]);
        r.v[k] = (x.v[k] - m.v[c]) / sqrtf(v.v[c] + getf(n, "epsilon", 1e-5f)) * g.v[c] + b.v[c];
    }
    return r;
}

static plain resize(node *n) {
    plain x = get(n->input[0]);
    long f = has(n, 2) ? (long)get(n->input[2]).v[2] : (long)get(n->input[3]).v[2] / x.d[2];
    plain r = make4(1, x.d[1], x.d[2] * f, x.d[3] * f);
    int linear = is(n, "mode", "linear");
    for (long c = 0; c < r.d[1]; c++)
        for (long y = 0; y < r.d[2]; y++)
            for (long z = 0; z < r.d[3]; z++) {
                double sy = ((double)y + 0.5) / (double)f - 0.5;
                double sx = ((double)z + 0.5) / (double)f - 0.5;
                long y0 = (long)floor(sy), x0 = (long)floor(sx);
                double fy = sy - (double)y0, fx = sx - (double)x0, sum = 0;
                for (long k = 0; linear && k < 4; k++) {
                    long iy = y0 + k / 2, ix = x0 + k % 2;
                    iy = iy < 0 ? 0 : iy >= x.d[2] ? x.d[2] - 1 : iy;
                    ix = ix < 0 ? 0 : ix >= x.d[3] ? x.d[3] - 1 : ix;
                    sum +=
                        (double)*at(&x, c, iy, ix) * (k / 2 ? fy : 1 - fy) * (k % 2 ? fx : 1 - fx);
                }
                *at(&r, c, y, z) = linear ? (float)sum : *at(&x, c, y / f, z / f);
            }
    return r;
}

/* Copies the part of `from` that starts at start[] with steps into `to` at offset[]. */
static plain cut(const plain *x, size_t axis, long start, long step, long size) {
    long d[6];
    memcpy(d, x->d, sizeof(d));
    d[axis] = size;
    plain r = make(x->rank, d);
    long inner = 1, outer = 1;
    for (size_t i = 0; i < axis; i++)
        outer *= d[i];
    for (size_t i = axis + 1; i < x->rank; i++)
        inner *= d[i];
    for (long o = 0; o < outer; o++)
        for (long k = 0; k < size; k++)
            memcpy(&r.v[(o * size + k) * inner], &x->v[(o * x->d[axis] + start + k * step) * inner],
                   (size_t)inner * sizeof(float));
    return r;
}

static plain concat(node *n) {
    long axis = geti(n, "axis", 0), total = 0, inner = 1, outer = 1, at_row = 0;
    plain first = get(n->input[0]);
    axis = axis < 0 ? axis + (long)first.rank : axis;
    for (size_t k = 0; k < n->n_input; k++)
        total += get(n->input[k]).d[axis];
    long d[6];
    memcpy(d, first.d, sizeof(d));
    d[axis] = total;
    plain r = make(first.rank, d);
    for (long i = 0; i < axis; i++)
        outer *= d[i];
    for (size_t i = (size_t)axis + 1; i < first.rank; i++)
        inner *= d[i];
    for (size_t k = 0; k < n->n_input; k++) {
        plain x = get(n->input[k]);
        for (long o = 0; o < outer; o++)
            memcpy(&r.v[(o * total + at_row) * inner], &x.v[o * x.d[axis] * inner],
                   (size_t)(x.d[axis] * inner) * sizeof(float));
        at_row += x.d[axis];
    }
    return r;
}

static plain slice(node *n) {
    plain x = get(n->input[0]);
    long start = (long)get(n->input[1]).v[0], axis = has(n, 3) ? (long)get(n->input[3]).v[0] : 0;
    long step = has(n, 4) ? (long)get(n->input[4]).v[0] : 1;
    double end = (double)get(n->input[2]).v[0];
    axis = axis < 0 ? axis + (long)x.rank : axis;
    end = end > (double)x.d[axis] ? (double)x.d[axis] : end < 0 ? end + (double)x.d[axis] : end;
    return cut(&x, (size_t)axis, start, step, ((long)end - start + step - 1) / step);
}

static plain reshape(node *n) {
    plain x = get(n->input[0]), s = get(n->input[1]);
    long d[6], known = 1, open = -1;
    for (long i = 0; i < s.d[0]; i++) {
        d[i] = s.v[i] == 0 ? x.d[i] : (long)s.v[i];
        if (d[i] < 0)
            open = i;
        else
            known *= d[i];
    }
    if (open >= 0)
        d[open] = (long)count(&x) / known;
    plain r = make((size_t)s.d[0], d);
    memcpy(r.v, x.v, count(&x) * sizeof(float));
    return r;
}

static plain transpose(node *n) {
    plain x = get(n->input[0]);
    long d[6], place[6];
    for (size_t i = 0; i < x.rank; i++)
        d[i] = x.d[list(n, "perm", i, 0)];
    plain r = make(x.rank, d);
    for (size_t k = 0; k < count(&r); k++) {
        size_t rest = k, index = 0;
        for (size_t i = x.rank; i-- > 0;) {
            place[list(n, "perm", i, 0)] = (long)(rest % (size_t)d[i]);
            rest /= (size_t)d[i];
        }
        for (size_t i = 0; i < x.rank; i++)
            index = index * (size_t)x.d[i] + (size_t)place[i];
        r.v[k] = x.v[index];
    }
    return r;
}

static plain pad(node *n) {
    plain x = get(n->input[0]), p = get(n->input[1]);
    long top = (long)p.v[2], left = (long)p.v[3];
    plain r = make4(1, x.d[1], x.d[2] + top + (long)p.v[6], x.d[3] + left + (long)p.v[7]);
    for (long c = 0; c < x.d[1]; c++)
        for (long y = 0; y < x.d[2]; y++)
            for (long z = 0; z < x.d[3]; z++)
                *at(&r, c, y + top, z + left) = *at(&x, c, y, z);
    return r;
}

/* Scale and zero are scalars, or one per slice along the axis. */
static plain quantise(node *n) {
    plain x = get(n->input[0]), s = get(n->input[1]), z = get(n->input[2]), r = make(x.rank, x.d);
    size_t inner = 1;
    for (size_t i = (size_t)geti(n, "axis", 1) + 1; i < x.rank; i++)
        inner *= (size_t)x.d[i];
    int back = n->op_type[0] == 'D';
    for (size_t k = 0; k < count(&x); k++) {
        size_t c = count(&s) == 1 ? 0 : k / inner % count(&s);
        if (back) {
            r.v[k] = (x.v[k] - z.v[c]) * s.v[c];
            continue;
        }
        float low = z.is_s8 ? -128 : 0;
        r.v[k] = fmaxf(low, fminf(low + 255, rintf(x.v[k] / s.v[c]) + z.v[c]));
    }
    return r;
}

static void split(node *n) {
    plain x = get(n->input[0]);
    size_t axis = (size_t)geti(n, "axis", 0);
    long start = 0;
    for (size_t k = 0; k < n->n_output; k++) {
        long size = has(n, 1) ? (long)get(n->input[1]).v[k] : x.d[axis] / (long)n->n_output;
        set(n->output[k], cut(&x, axis, start, 1, size));
        start += size;
    }
}

/* Nodes that are not known, or read what those would give, are left out. */
static void run_node(node *n) {
    for (size_t k = 0; k < n->n_input; k++)
        if (has(n, k) && !known(n->input[k]))
            return;
    static const struct {
        const char *op;
        plain (*run)(node *);
    } ops[] = {{"Conv", conv},
               {"MaxPool", pool},
               {"AveragePool", pool},
               {"GlobalAveragePool", global_pool},
               {"ReduceMean", global_pool},
               {"BatchNormalization", batch_norm},
               {"Resize", resize},
               {"Concat", concat},
               {"Slice", slice},
               {"Reshape", reshape},
               {"Transpose", transpose},
               {"Pad", pad},
               {"Add", binary},
               {"Sub", binary},
               {"Mul", binary},
               {"Div", binary},
               {"Sum", binary},
               {"PRelu", binary},
               {"Relu", pointwise},
               {"LeakyRelu", pointwise},
               {"Clip", pointwise},
               {"Sigmoid", pointwise},
               {"HardSigmoid", pointwise},
               {"HardSwish", pointwise},
               {"Neg", pointwise},
               {"Identity", pointwise},
               {"Dropout", pointwise},
               {"Cast", pointwise},
               {"QuantizeLinear", quantise},
               {"DequantizeLinear", quantise}};
    if (strcmp(n->op_type, "Split") == 0) {
        split(n);
        return;
    }
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        if (strcmp(n->op_type, ops[i].op) == 0) {
            set(n->output[0], ops[i].run(n));
            return;
        }
}

static float raw_item(const Onnx__TensorProto *t, size_t k) {
    const uint8_t *p = t->raw_data.data;
    float f;
    int32_t word;
    int64_t whole;
    switch (t->data_type) {
    case 1:
        memcpy(&f, p + 4 * k, 4);
        return f;
    case 2:
        return p[k];
    case 3:
        return (int8_t)p[k];
    case 6:
        memcpy(&word, p + 4 * k, 4);
        return (float)word;
    default:
        memcpy(&whole, p + 8 * k, 8);
        return (float)whole;
    }
}

static void load(const Onnx__TensorProto *t) {
    long d[6] = {0};
    for (size_t i = 0; i < t->n_dims; i++)
        d[i] = (long)t->dims[i];
    plain r = make(t->n_dims, d);
    for (size_t k = 0; k < count(&r); k++)
        r.v[k] = t->has_raw_data ? raw_item(t, k) : t->float_data[k];
    r.is_s8 = t->data_type == 3;
    set(t->name, r);
}

plain plain_run(const Onnx__ModelProto *model, const float *picture, const char *name) {
    const Onnx__GraphProto *g = model->graph;
    n_values = 0;
    for (size_t i = 0; i < g->n_initializer; i++)
        load(g->initializer[i]);
    const Onnx__ShapeProto *s = g->input[0]->type->tensor_type->shape;
    plain x = make4(1, 3, (long)s->dim[2]->dim_value, (long)s->dim[3]->dim_value);
    memcpy(x.v, picture, count(&x) * sizeof(float));
    set(g->input[0]->name, x);
    /* Nodes may come in any order: again and again, until nothing new comes out. */
    for (size_t before = 0; before != n_values && !known(name);) {
        before = n_values;
        for (size_t i = 0; i < g->n_node && !known(name); i++)
            if (!known(g->node[i]->output[0]))
                run_node(g->node[i]);
    }
    return get(name);
}
