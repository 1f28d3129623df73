/* See const_fold.h. Only small constants are worth computing: results are limited in size, so that
 * a hostile file cannot make this expensive. */
#include "const_fold.h"

#include <math.h>
#include <string.h>

#define MAX_RESULT ((size_t)1 << 20) /* elements */

int cf_ints(const og_const *c, int64_t *out, size_t cap) {
    if (!c || c->is_float || c->n > cap)
        return -1;
    for (size_t i = 0; i < c->n; i++)
        out[i] = c->i[i];
    return (int)c->n;
}

static double at(const og_const *c, size_t k) {
    return c->is_float ? (double)c->f[k] : (double)c->i[k];
}

static void put(og_const *c, size_t k, double v) {
    if (c->is_float)
        c->f[k] = (float)v;
    else
        c->i[k] = v > 9e18 ? INT64_MAX : v < -9e18 ? INT64_MIN : v != v ? 0 : (int64_t)v;
}

static void copy_item(og_const *to, size_t k, const og_const *from, size_t j) {
    if (to->is_float)
        to->f[k] = from->f[j];
    else
        to->i[k] = from->i[j];
}

static og_const *same_data(mb *m, const og_const *c, uint32_t rank, const int64_t *dims) {
    og_const *r = og_const_new(m, c->is_float, rank, dims);
    if (!r)
        return NULL;
    if (r->n != c->n) {
        mb_fail(m, "a constant cannot take the shape it is given");
        return NULL;
    }
    for (size_t k = 0; k < c->n; k++)
        copy_item(r, k, c, k);
    return r;
}

/* Element-wise with one side a scalar or both of one shape; other broadcasts are left alone. */
static og_const *binary(mb *m, const og_node *n, const og_const *a, const og_const *b) {
    if (!a || !b || a->is_float != b->is_float || a->n == 0 || b->n == 0)
        return NULL;
    bool same = a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof(a->dims[0])) == 0;
    if (!same && a->n != 1 && b->n != 1)
        return NULL;
    const og_const *shape = a->n == 1 && (b->n > 1 || b->rank > a->rank) ? b : a;
    og_const *r = og_const_new(m, a->is_float, shape->rank, shape->dims);
    if (!r)
        return NULL;
    for (size_t k = 0; k < r->n; k++) {
        double x = at(a, a->n == 1 ? 0 : k), y = at(b, b->n == 1 ? 0 : k), v;
        if (strcmp(n->op, "Add") == 0)
            v = x + y;
        else if (strcmp(n->op, "Sub") == 0)
            v = x - y;
        else if (strcmp(n->op, "Mul") == 0)
            v = x * y;
        else if (strcmp(n->op, "Pow") == 0)
            v = pow(x, y);
        else
            v = y == 0 && !a->is_float ? 0 : x / y;
        put(r, k, v);
    }
    return r;
}

static og_const *unary(mb *m, const og_node *n, const og_const *a) {
    og_const *r = a ? og_const_new(m, a->is_float, a->rank, a->dims) : NULL;
    for (size_t k = 0; r && k < r->n; k++) {
        double x = at(a, k);
        if (strcmp(n->op, "Floor") == 0)
            x = floor(x);
        else if (strcmp(n->op, "Ceil") == 0)
            x = ceil(x);
        else if (strcmp(n->op, "Neg") == 0)
            x = -x;
        else if (strcmp(n->op, "Sqrt") == 0)
            x = sqrt(x);
        else if (strcmp(n->op, "Exp") == 0)
            x = exp(x);
        put(r, k, x);
    }
    return r;
}

static og_const *constant(mb *m, const og_node *n) {
    const Onnx__TensorProto *t = og_tensor(n, "value");
    if (t)
        return og_convert(m, t);
    float f[64];
    int64_t i[64], dims[1];
    size_t count = og_floats(n, "value_floats", f, 64);
    if (count && count <= 64) {
        dims[0] = (int64_t)count;
        og_const *c = og_const_new(m, true, 1, dims);
        if (c)
            memcpy(c->f, f, count * sizeof(f[0]));
        return c;
    }
    count = og_ints(n, "value_ints", i, 64);
    if (count && count <= 64) {
        dims[0] = (int64_t)count;
        og_const *c = og_const_new(m, false, 1, dims);
        if (c)
            memcpy(c->i, i, count * sizeof(i[0]));
        return c;
    }
    float v = og_float(n, "value_float", NAN);
    og_const *c = og_const_new(m, v == v, 0, NULL);
    if (c && v == v)
        c->f[0] = v;
    else if (c)
        c->i[0] = og_int(n, "value_int", 0);
    return c;
}

static og_const *constant_of_shape(mb *m, const og_node *n, const og_const *shape) {
    int64_t dims[OG_MAX_RANK];
    int rank = cf_ints(shape, dims, OG_MAX_RANK);
    if (rank < 0)
        return NULL;
    size_t count = 1;
    for (int k = 0; k < rank; k++)
        if (dims[k] < 0 || !mb_mul(count, (size_t)dims[k], &count) || count > MAX_RESULT)
            return NULL;
    const Onnx__TensorProto *t = og_tensor(n, "value");
    og_const *v = t ? og_convert(m, t) : NULL;
    if (t && (!v || v->n != 1))
        return NULL;
    og_const *r = og_const_new(m, v ? v->is_float : true, (uint32_t)rank, dims);
    for (size_t k = 0; r && v && k < r->n; k++)
        copy_item(r, k, v, 0);
    return r;
}

static og_const *gather(mb *m, const og_node *n, const og_const *a, const og_const *index) {
    if (!a || !index || index->is_float || a->rank != 1 || index->rank > 1 ||
        og_int(n, "axis", 0) != 0)
        return NULL;
    og_const *r = og_const_new(m, a->is_float, index->rank, index->dims);
    for (size_t k = 0; r && k < index->n; k++) {
        int64_t j = index->i[k] < 0 ? index->i[k] + (int64_t)a->n : index->i[k];
        if (j < 0 || j >= (int64_t)a->n)
            return NULL;
        copy_item(r, k, a, (size_t)j);
    }
    return r;
}

/* Axes come as an attribute up to opset 12 and as an input from 13 on. */
static int axes_of(const og_node *n, const og_const *given, int64_t *axes) {
    if (given)
        return cf_ints(given, axes, OG_MAX_RANK);
    size_t count = og_ints(n, "axes", axes, OG_MAX_RANK);
    return count > OG_MAX_RANK ? -1 : (int)count;
}

static og_const *unsqueeze(mb *m, const og_node *n, const og_const *a, const og_const *given) {
    int64_t axes[OG_MAX_RANK], dims[OG_MAX_RANK];
    int count = axes_of(n, given, axes);
    if (!a || count < 1 || a->rank + (uint32_t)count > OG_MAX_RANK)
        return NULL;
    uint32_t rank = a->rank + (uint32_t)count, from = 0;
    bool added[OG_MAX_RANK] = {false};
    for (int k = 0; k < count; k++) {
        int64_t x = axes[k] < 0 ? axes[k] + rank : axes[k];
        if (x < 0 || x >= rank || added[x])
            return NULL;
        added[x] = true;
    }
    for (uint32_t k = 0; k < rank; k++)
        dims[k] = added[k] ? 1 : a->dims[from++];
    return same_data(m, a, rank, dims);
}

static og_const *squeeze(mb *m, const og_node *n, const og_const *a, const og_const *given) {
    int64_t axes[OG_MAX_RANK], dims[OG_MAX_RANK];
    int count = axes_of(n, given, axes);
    if (!a || count < 0)
        return NULL;
    uint32_t rank = 0;
    for (uint32_t k = 0; k < a->rank; k++) {
        bool drop = count == 0 && a->dims[k] == 1;
        for (int j = 0; j < count; j++)
            drop = drop || axes[j] == k || (axes[j] < 0 && axes[j] + a->rank == k);
        if (drop && a->dims[k] != 1)
            return NULL;
        if (!drop)
            dims[rank++] = a->dims[k];
    }
    return same_data(m, a, rank, dims);
}

static og_const *concat(mb *m, const og_node *n, og_const *const *in) {
    int64_t count = 0, axis = og_int(n, "axis", 0);
    for (uint32_t k = 0; k < n->n_in; k++) {
        if (!in[k] || in[k]->rank != 1 || in[k]->is_float != in[0]->is_float)
            return NULL;
        count += (int64_t)in[k]->n;
    }
    if (n->n_in == 0 || count > (int64_t)MAX_RESULT || (axis != 0 && axis != -1))
        return NULL;
    og_const *r = og_const_new(m, in[0]->is_float, 1, &count);
    size_t at_item = 0;
    for (uint32_t k = 0; r && k < n->n_in; k++)
        for (size_t j = 0; j < in[k]->n; j++)
            copy_item(r, at_item++, in[k], j);
    return r;
}

static int64_t clamp(int64_t v, int64_t low, int64_t high) {
    return v < low ? low : v > high ? high : v;
}

static og_const *slice(mb *m, const og_node *n, og_const *const *in) {
    int64_t start, end, axis = 0, step = 1;
    if (n->n_in < 3 || !in[0] || in[0]->rank != 1 || cf_ints(in[1], &start, 1) != 1 ||
        cf_ints(in[2], &end, 1) != 1)
        return NULL;
    if ((n->n_in > 3 && in[3] && cf_ints(in[3], &axis, 1) != 1) ||
        (n->n_in > 4 && in[4] && cf_ints(in[4], &step, 1) != 1))
        return NULL;
    int64_t size = (int64_t)in[0]->n;
    if ((axis != 0 && axis != -1) || step < 1)
        return NULL;
    start = clamp(start < 0 ? clamp(start, -size, 0) + size : start, 0, size);
    end = clamp(end < 0 ? clamp(end, -size - 1, 0) + size : end, 0, size);
    int64_t count = 0;
    for (int64_t k = start; k<end; k += step> size ? size : step)
        count++;
    og_const *r = og_const_new(m, in[0]->is_float, 1, &count);
    for (int64_t k = 0; r && k < count; k++)
        copy_item(r, (size_t)k, in[0], (size_t)(start + k * step));
    return r;
}

static og_const *cast(mb *m, const og_node *n, const og_const *a) {
    int64_t to = og_int(n, "to", 1);
    bool is_float = to == 1 || to == 10 || to == 11;
    og_const *r = a ? og_const_new(m, is_float, a->rank, a->dims) : NULL;
    for (size_t k = 0; r && k < r->n; k++) {
        if (!r->is_float && !a->is_float)
            r->i[k] = a->i[k];
        else
            put(r, k, at(a, k));
    }
    return r;
}

static og_const *reshape(mb *m, const og_const *a, const og_const *shape) {
    int64_t dims[OG_MAX_RANK];
    int rank = cf_ints(shape, dims, OG_MAX_RANK), open = -1;
    if (!a || rank < 0)
        return NULL;
    size_t known = 1;
    for (int k = 0; k < rank; k++) {
        if (dims[k] == 0 && (uint32_t)k < a->rank)
            dims[k] = a->dims[k];
        if (dims[k] == -1 && open < 0)
            open = k;
        else if (dims[k] < 0 || !mb_mul(known, (size_t)dims[k], &known))
            return NULL;
    }
    if (open >= 0 && known)
        dims[open] = (int64_t)(a->n / known);
    else if (open >= 0)
        return NULL;
    return same_data(m, a, (uint32_t)rank, dims);
}

og_const *cf_eval(mb *m, const og_node *n, og_const *const *in) {
    static const char *const binaries[] = {"Add", "Sub", "Mul", "Div", "Pow"};
    static const char *const unaries[] = {"Floor", "Ceil", "Neg", "Sqrt", "Exp"};
    const char *op = n->op;
    if (strcmp(op, "Constant") == 0)
        return constant(m, n);
    if (n->n_in < 1)
        return NULL;
    if (strcmp(op, "Identity") == 0)
        return in[0];
    for (uint32_t k = 0; k < n->n_in; k++)
        if (in[k] && in[k]->n > MAX_RESULT && strcmp(op, "Cast") != 0 && strcmp(op, "Reshape") != 0)
            return NULL;
    for (size_t k = 0; k < sizeof(binaries) / sizeof(binaries[0]); k++)
        if (strcmp(op, binaries[k]) == 0)
            return n->n_in == 2 ? binary(m, n, in[0], in[1]) : NULL;
    for (size_t k = 0; k < sizeof(unaries) / sizeof(unaries[0]); k++)
        if (strcmp(op, unaries[k]) == 0)
            return unary(m, n, in[0]);
    if (strcmp(op, "ConstantOfShape") == 0)
        return constant_of_shape(m, n, in[0]);
    if (strcmp(op, "Gather") == 0)
        return n->n_in == 2 ? gather(m, n, in[0], in[1]) : NULL;
    if (strcmp(op, "Unsqueeze") == 0)
        return unsqueeze(m, n, in[0], n->n_in > 1 ? in[1] : NULL);
    if (strcmp(op, "Squeeze") == 0)
        return squeeze(m, n, in[0], n->n_in > 1 ? in[1] : NULL);
    if (strcmp(op, "Concat") == 0)
        return concat(m, n, in);
    if (strcmp(op, "Slice") == 0)
        return slice(m, n, in);
    if (strcmp(op, "Cast") == 0)
        return cast(m, n, in[0]);
    if (strcmp(op, "Reshape") == 0)
        return n->n_in == 2 ? reshape(m, in[0], in[1]) : NULL;
    return NULL;
}
