/* ONNX attributes and stored tensors -> plain C values, every length checked. */
#include "onnx_read.h"

#include <math.h>
#include <string.h>

/* TensorProto.data_type */
enum {
    T_FLOAT = 1,
    T_UINT8 = 2,
    T_INT8 = 3,
    T_UINT16 = 4,
    T_INT16 = 5,
    T_INT32 = 6,
    T_INT64 = 7,
    T_BOOL = 9,
    T_HALF = 10,
    T_DOUBLE = 11
};

static const Onnx__AttributeProto *find(const og_node *n, const char *name) {
    for (size_t i = 0; i < n->proto->n_attribute; i++) {
        const Onnx__AttributeProto *a = n->proto->attribute[i];
        if (a->name && strcmp(a->name, name) == 0)
            return a;
    }
    return NULL;
}

int64_t og_int(const og_node *n, const char *name, int64_t absent) {
    const Onnx__AttributeProto *a = find(n, name);
    return a && a->has_i ? a->i : absent;
}

float og_float(const og_node *n, const char *name, float absent) {
    const Onnx__AttributeProto *a = find(n, name);
    return a && a->has_f ? a->f : absent;
}

size_t og_ints(const og_node *n, const char *name, int64_t *out, size_t cap) {
    const Onnx__AttributeProto *a = find(n, name);
    if (!a)
        return 0;
    for (size_t i = 0; i < a->n_ints && i < cap; i++)
        out[i] = a->ints[i];
    return a->n_ints;
}

size_t og_floats(const og_node *n, const char *name, float *out, size_t cap) {
    const Onnx__AttributeProto *a = find(n, name);
    if (!a)
        return 0;
    for (size_t i = 0; i < a->n_floats && i < cap; i++)
        out[i] = a->floats[i];
    return a->n_floats;
}

bool og_is(const og_node *n, const char *name, const char *text, bool absent) {
    const Onnx__AttributeProto *a = find(n, name);
    if (!a || !a->has_s)
        return absent;
    return a->s.len == strlen(text) && memcmp(a->s.data, text, a->s.len) == 0;
}

const Onnx__TensorProto *og_tensor(const og_node *n, const char *name) {
    const Onnx__AttributeProto *a = find(n, name);
    return a ? a->t : NULL;
}

float og_half(uint16_t h) {
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    float v;
    if (exponent == 31)
        v = mantissa ? NAN : INFINITY;
    else if (exponent)
        v = ldexpf((float)(mantissa + 1024), exponent - 25);
    else
        v = ldexpf((float)mantissa, -24);
    return h & 0x8000 ? -v : v;
}

og_const *og_const_new(mb *m, bool is_float, uint32_t rank, const int64_t *dims) {
    og_const *c = mb_alloc(m, 1, sizeof(*c));
    if (!c)
        return NULL;
    c->is_float = is_float;
    c->rank = rank;
    c->n = 1;
    for (uint32_t i = 0; i < rank; i++) {
        c->dims[i] = dims[i];
        if (dims[i] < 0 || (uint64_t)dims[i] > MB_MEMORY_LIMIT ||
            !mb_mul(c->n, (size_t)dims[i], &c->n)) {
            mb_fail(m, "a tensor has an impossible size");
            return NULL;
        }
    }
    if (is_float)
        c->f = mb_alloc(m, c->n, sizeof(float));
    else
        c->i = mb_alloc(m, c->n, sizeof(int64_t));
    return c->f || c->i ? c : NULL;
}

static size_t type_size(int type) {
    switch (type) {
    case T_UINT8:
    case T_INT8:
    case T_BOOL:
        return 1;
    case T_UINT16:
    case T_INT16:
    case T_HALF:
        return 2;
    case T_FLOAT:
    case T_INT32:
        return 4;
    case T_INT64:
    case T_DOUBLE:
        return 8;
    default:
        return 0;
    }
}

static uint64_t little_endian(const uint8_t *p, size_t n) {
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

/* One element from its bits, as the file's type means them. */
static void put(og_const *c, size_t k, int type, uint64_t bits) {
    double d;
    float f;
    uint32_t word = (uint32_t)bits;
    switch (type) {
    case T_FLOAT:
        memcpy(&f, &word, sizeof(f));
        c->f[k] = f;
        break;
    case T_DOUBLE:
        memcpy(&d, &bits, sizeof(d));
        c->f[k] = (float)d;
        break;
    case T_HALF:
        c->f[k] = og_half((uint16_t)bits);
        break;
    case T_INT8:
        c->i[k] = (int8_t)bits;
        break;
    case T_INT16:
        c->i[k] = (int16_t)bits;
        break;
    case T_INT32:
        c->i[k] = (int32_t)bits;
        break;
    case T_INT64:
        c->i[k] = (int64_t)bits;
        break;
    default:
        c->i[k] = (int64_t)bits;
        break;
    }
}

/* Number of elements in the typed list that this type uses. */
static size_t typed_count(const Onnx__TensorProto *t, int type) {
    switch (type) {
    case T_FLOAT:
        return t->n_float_data;
    case T_DOUBLE:
        return t->n_double_data;
    case T_INT64:
        return t->n_int64_data;
    default:
        return t->n_int32_data;
    }
}

static void put_typed(og_const *c, const Onnx__TensorProto *t, int type) {
    for (size_t k = 0; k < c->n; k++) {
        if (type == T_FLOAT)
            c->f[k] = t->float_data[k];
        else if (type == T_DOUBLE)
            c->f[k] = (float)t->double_data[k];
        else if (type == T_INT64)
            c->i[k] = t->int64_data[k];
        else if (type == T_HALF)
            c->f[k] = og_half((uint16_t)t->int32_data[k]);
        else
            c->i[k] = t->int32_data[k];
    }
}

og_const *og_convert(mb *m, const Onnx__TensorProto *t) {
    const char *name = t->name && t->name[0] ? t->name : "(no name)";
    int type = t->has_data_type ? t->data_type : 0;
    size_t size = type_size(type);
    if ((t->has_data_location && t->data_location != 0) || t->n_external_data) {
        mb_fail(m, "tensor '%s' is stored in another file; save the model with its weights inside",
                name);
        return NULL;
    }
    if (!size) {
        mb_fail(m, "tensor '%s' has element type %d, which is not supported", name, type);
        return NULL;
    }
    if (t->n_dims > OG_MAX_RANK) {
        mb_fail(m, "tensor '%s' has %zu dimensions, at most %d are supported", name, t->n_dims,
                OG_MAX_RANK);
        return NULL;
    }
    size_t n = 1, bytes = 0;
    bool possible = true;
    for (size_t i = 0; i < t->n_dims; i++)
        possible = possible && t->dims[i] >= 0 && (uint64_t)t->dims[i] <= MB_MEMORY_LIMIT &&
                   mb_mul(n, (size_t)t->dims[i], &n);
    possible = possible && mb_mul(n, size, &bytes);
    size_t have = t->has_raw_data ? t->raw_data.len : typed_count(t, type);
    if (!possible || have != (t->has_raw_data ? bytes : n)) {
        mb_fail(m, "tensor '%s': its data does not have the size that its dimensions say", name);
        return NULL;
    }
    bool is_float = type == T_FLOAT || type == T_HALF || type == T_DOUBLE;
    og_const *c = og_const_new(m, is_float, (uint32_t)t->n_dims, t->dims);
    if (!c)
        return NULL;
    if (t->has_raw_data)
        for (size_t k = 0; k < n; k++)
            put(c, k, type, little_endian(t->raw_data.data + k * size, size));
    else
        put_typed(c, t, type);
    for (size_t k = 0; is_float && k < n; k++)
        if (isnan(c->f[k])) {
            mb_fail(m, "tensor '%s' contains NaN", name);
            return NULL;
        }
    return c;
}
