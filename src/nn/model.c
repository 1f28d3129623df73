/* Reads a veil model file (format.h) and trusts nothing in it: every offset, count, index, number
 * and agreement between operators is checked before anything uses it. Sizes of pictures are
 * plan.c's. */
#include "model.h"

#include "mem.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define MAX_META    256u
#define MAX_OUTPUTS 64u
#define MAX_BLOBS   (3u * VL_FMT_MAX_OPS)
#define MAX_STRIDE  8
#define MAX_PRODUCT (255u * 128u) /* largest |activation * weight| */

static uint32_t load32(const unsigned char *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static float load_float(const unsigned char *p) {
    uint32_t bits = load32(p);
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* CRC-32 with the polynomial of zlib, four bits at a time. */
static uint32_t crc32_of(const unsigned char *p, size_t n) {
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                       0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                       0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return ~crc;
}

/* Where the sections lie, from the header. */
typedef struct {
    const unsigned char *strings, *meta, *blobs, *values, *ops, *outs, *data;
    uint32_t strings_size, n_meta, n_blobs, n_values, n_ops, n_outs, data_size;
} layout;

/* The next section: must start at a multiple of 64, not before *end, and fit; moves *end. */
static bool section_fits(uint32_t offset, uint32_t count, uint32_t item, size_t size, size_t *end) {
    if (offset % 64 != 0 || offset < *end || offset > size)
        return false;
    if (count > (size - offset) / item)
        return false;
    *end = offset + (size_t)count * item;
    return true;
}

static bool read_header(const unsigned char *b, size_t size, layout *l) {
    if (size < VL_FMT_HEADER_SIZE || size > VL_FMT_MAX_FILE || memcmp(b, VL_FMT_MAGIC, 4) != 0)
        return false;
    if (load32(b + 4) != VL_FMT_VERSION || load32(b + 8) != size)
        return false;
    if (load32(b + 12) != crc32_of(b + 16, size - 16))
        return false;
    for (size_t i = 72; i < VL_FMT_HEADER_SIZE; i++) {
        if (b[i] != 0)
            return false;
    }
    size_t end = VL_FMT_HEADER_SIZE;
    l->strings_size = load32(b + 20);
    l->n_meta = load32(b + 24);
    l->n_blobs = load32(b + 32);
    l->n_values = load32(b + 40);
    l->n_ops = load32(b + 48);
    l->n_outs = load32(b + 56);
    l->data_size = load32(b + 68);
    const struct {
        uint32_t offset, count, item;
        const unsigned char **start;
    } order[] = {{load32(b + 16), l->strings_size, 1, &l->strings},
                 {load32(b + 28), l->n_meta, 8, &l->meta},
                 {load32(b + 36), l->n_blobs, VL_FMT_BLOB_SIZE, &l->blobs},
                 {load32(b + 44), l->n_values, VL_FMT_TENSOR_SIZE, &l->values},
                 {load32(b + 52), l->n_ops, VL_FMT_OP_SIZE, &l->ops},
                 {load32(b + 60), l->n_outs, VL_FMT_OUTPUT_SIZE, &l->outs},
                 {load32(b + 64), l->data_size, 1, &l->data}};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        if (!section_fits(order[i].offset, order[i].count, order[i].item, size, &end))
            return false;
        *order[i].start = b + order[i].offset;
    }
    return l->n_meta <= MAX_META && l->n_blobs <= MAX_BLOBS && l->n_ops >= 1 &&
           l->n_ops <= VL_FMT_MAX_OPS && l->n_values >= 2 && l->n_values <= VL_FMT_MAX_OPS + 1 &&
           l->n_outs >= 1 && l->n_outs <= MAX_OUTPUTS;
}

/* Printable UTF-8 (tab and newline allowed), first and last byte NUL. Overlong forms and surrogates
 * are not told apart: nothing here depends on them. */
static bool strings_valid(const unsigned char *s, uint32_t n) {
    if (n == 0 || s[0] != 0 || s[n - 1] != 0)
        return false;
    int follow = 0;
    for (uint32_t i = 0; i < n; i++) {
        unsigned char c = s[i];
        if (follow > 0) {
            if ((c & 0xc0) != 0x80)
                return false;
            follow--;
        } else if (c >= 0x80) {
            follow = c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : c < 0xf5 ? 3 : -1;
            if (follow < 0 || c < 0xc2)
                return false;
        } else if (c == 0x7f || (c < 0x20 && c != 0 && c != '\t' && c != '\n')) {
            return false;
        }
    }
    return true;
}

/* Text at a string offset; *ok is cleared when the offset is outside. */
static const char *text_at(const layout *l, uint32_t offset, bool *ok) {
    if (offset >= l->strings_size) {
        *ok = false;
        return "";
    }
    return (const char *)l->strings + offset;
}

static bool all_finite(uint32_t dtype, const unsigned char *p, uint32_t n) {
    if (dtype == VL_FMT_F32) {
        for (uint32_t i = 0; i < n; i++) {
            if ((load32(p + 4 * (size_t)i) & 0x7f800000u) == 0x7f800000u)
                return false;
        }
    } else if (dtype == VL_FMT_F16) {
        for (uint32_t i = 0; i < n; i++) {
            if ((p[2 * (size_t)i + 1] & 0x7c) == 0x7c)
                return false;
        }
    }
    return true;
}

static bool read_blobs(vl_model *m, const layout *l) {
    for (uint32_t i = 0; i < l->n_blobs; i++) {
        const unsigned char *p = l->blobs + (size_t)i * VL_FMT_BLOB_SIZE;
        static const uint32_t item[] = {0, 4, 2, 1, 4, 1}; /* by VL_FMT_F32 .. VL_FMT_U8 */
        uint32_t dtype = load32(p), n = load32(p + 4), offset = load32(p + 8),
                 size = load32(p + 12);
        if (dtype < VL_FMT_F32 || dtype > VL_FMT_U8 || n == 0 || n > VL_FMT_MAX_FILE)
            return false;
        if (size != n * item[dtype] || offset % 64 != 0 || offset > l->data_size ||
            size > l->data_size - offset)
            return false;
        if (!all_finite(dtype, l->data + offset, n))
            return false;
        m->blobs[i] = (vl_blob){.dtype = dtype, .n = n, .data = l->data + offset};
    }
    return true;
}

static bool read_values(vl_model *m, const layout *l) {
    bool ok = true;
    for (uint32_t i = 0; i < l->n_values; i++) {
        const unsigned char *p = l->values + (size_t)i * VL_FMT_TENSOR_SIZE;
        uint32_t channels = load32(p + 4), dtype = load32(p + 8), zero = load32(p + 16);
        float scale = load_float(p + 12);
        if (channels < 1 || channels > VL_FMT_MAX_CHANNELS ||
            (dtype != VL_FMT_F32 && dtype != VL_FMT_U8))
            return false;
        if (dtype == VL_FMT_U8 && !(scale >= 1e-12f && scale <= 1e12f && zero <= 255))
            return false;
        m->values[i] = (vl_value){.name = text_at(l, load32(p), &ok),
                                  .channels = (int32_t)channels,
                                  .is_u8 = dtype == VL_FMT_U8,
                                  .scale = dtype == VL_FMT_U8 ? scale : 1.0f,
                                  .zero = dtype == VL_FMT_U8 ? (int32_t)zero : 0};
    }
    const vl_value *in = &m->values[0];
    return ok && in->channels == 3 && in->is_u8 && in->zero == 0 &&
           fabsf(in->scale * 255.0f - 1.0f) < 1e-4f;
}

/* A field between low and high; 0 stands for `absent`. */
static bool read_int(const unsigned char *p, int32_t low, int32_t high, int32_t absent,
                     int32_t *out) {
    uint32_t v = load32(p);
    if (v == 0)
        v = (uint32_t)absent;
    *out = (int32_t)v;
    return v <= (uint32_t)high && *out >= low;
}

static bool read_blob_ref(const vl_model *m, const unsigned char *p, const vl_blob **out) {
    uint32_t ref = load32(p);
    *out = ref == 0 || ref > (uint32_t)m->n_blobs ? NULL : &m->blobs[ref - 1];
    return ref <= (uint32_t)m->n_blobs;
}

static bool read_op_fields(const vl_model *m, const layout *l, const unsigned char *p, vl_op *op) {
    bool ok = true;
    op->type = load32(p);
    op->name = text_at(l, load32(p + 4), &ok);
    uint32_t out = load32(p + 8), n_in = load32(p + 12);
    if (!ok || op->type < VL_FMT_OP_CONV || op->type > VL_FMT_OP_FOCUS ||
        out >= (uint32_t)m->n_values || n_in < 1 || n_in > VL_FMT_MAX_INPUTS)
        return false;
    op->out = (int32_t)out;
    op->n_in = (int32_t)n_in;
    for (uint32_t i = 0; i < n_in; i++) {
        uint32_t in = load32(p + 16 + 4 * (size_t)i);
        if (in >= (uint32_t)m->n_values)
            return false;
        op->in[i] = (int32_t)in;
    }
    op->act = load32(p + 48);
    op->act_a = load_float(p + 52);
    op->act_b = load_float(p + 56);
    op->p0 = load32(p + 112);
    op->p1 = load32(p + 116);
    const int32_t k = VL_FMT_MAX_KERNEL, c = VL_FMT_MAX_CHANNELS;
    return op->act <= VL_FMT_ACT_PRELU && isfinite(op->act_a) && isfinite(op->act_b) &&
           read_int(p + 60, 0, k, 0, &op->kh) && read_int(p + 64, 0, k, 0, &op->kw) &&
           read_int(p + 68, 1, MAX_STRIDE, 1, &op->sh) &&
           read_int(p + 72, 1, MAX_STRIDE, 1, &op->sw) && read_int(p + 76, 0, k, 0, &op->pad_top) &&
           read_int(p + 80, 0, k, 0, &op->pad_left) && read_int(p + 84, 0, k, 0, &op->pad_bottom) &&
           read_int(p + 88, 0, k, 0, &op->pad_right) && read_int(p + 92, 1, c, 1, &op->groups) &&
           read_int(p + 96, 1, MAX_STRIDE, 1, &op->dilation) &&
           read_blob_ref(m, p + 100, &op->weights) && read_blob_ref(m, p + 104, &op->bias) &&
           read_blob_ref(m, p + 108, &op->scales);
}

static bool is_floats(const vl_blob *b, int32_t n) {
    return b != NULL && b->dtype == VL_FMT_F32 && b->n == (uint32_t)n;
}

static bool conv_valid(const vl_op *op, const vl_value *in, const vl_value *out) {
    if (op->kh < 1 || op->kw < 1 || op->weights == NULL || in->channels % op->groups != 0 ||
        out->channels % op->groups != 0)
        return false;
    uint32_t per_out = (uint32_t)(op->kh * op->kw) * (uint32_t)(in->channels / op->groups);
    if (op->weights->n / (uint32_t)out->channels != per_out ||
        op->weights->n % (uint32_t)out->channels != 0)
        return false;
    if (op->bias != NULL && !is_floats(op->bias, out->channels))
        return false;
    if (op->weights->dtype == VL_FMT_F32 || op->weights->dtype == VL_FMT_F16)
        return op->scales == NULL;
    if (op->weights->dtype != VL_FMT_S8 || !in->is_u8 || !is_floats(op->scales, out->channels))
        return false;
    return per_out <= INT32_MAX / MAX_PRODUCT; /* the 32-bit sums cannot overflow */
}

static bool pads_valid(const vl_op *op) {
    int32_t h = (op->kh - 1) * op->dilation + 1, w = (op->kw - 1) * op->dilation + 1;
    return op->pad_top < h && op->pad_bottom < h && op->pad_left < w && op->pad_right < w;
}

static bool takes_activation(uint32_t type) {
    return type == VL_FMT_OP_CONV || type == VL_FMT_OP_ADD || type == VL_FMT_OP_ACT ||
           type == VL_FMT_OP_MUL || type == VL_FMT_OP_SCALE;
}

/* Channels, parameters and number of inputs of one operator. */
static bool op_valid(const vl_model *m, const vl_op *op) {
    const vl_value *in = &m->values[op->in[0]], *out = &m->values[op->out];
    bool same = in->channels == out->channels, one = op->n_in == 1;
    if (op->act == VL_FMT_ACT_PRELU &&
        (op->type != VL_FMT_OP_ACT || !is_floats(op->scales, out->channels)))
        return false;
    if (op->act != VL_FMT_ACT_NONE && !takes_activation(op->type))
        return false;
    switch (op->type) {
    case VL_FMT_OP_CONV:
        return one && pads_valid(op) && conv_valid(op, in, out);
    case VL_FMT_OP_MAXPOOL:
        return one && same && op->kh >= 1 && op->kw >= 1 && op->dilation == 1 && pads_valid(op);
    case VL_FMT_OP_AVGPOOL:
        if (op->kh == 0)
            return one && same;
        return one && same && op->kw >= 1 && op->dilation == 1 && pads_valid(op);
    case VL_FMT_OP_UPSAMPLE:
        return one && same && (op->p0 == 2 || op->p0 == 4 || op->p0 == 8) && op->p1 <= 1;
    case VL_FMT_OP_ADD:
    case VL_FMT_OP_MUL:
        return op->n_in == 2 && same && m->values[op->in[1]].channels == out->channels;
    case VL_FMT_OP_CONCAT: {
        int32_t sum = 0;
        for (int32_t i = 0; i < op->n_in; i++)
            sum += m->values[op->in[i]].channels;
        return sum == out->channels;
    }
    case VL_FMT_OP_ACT:
        return one && same;
    case VL_FMT_OP_SLICE:
        return one && op->p0 < (uint32_t)in->channels &&
               out->channels <= in->channels - (int32_t)op->p0;
    case VL_FMT_OP_SHUFFLE:
        return one && same && op->p0 >= 1 && op->p0 <= (uint32_t)in->channels &&
               in->channels % (int32_t)op->p0 == 0;
    case VL_FMT_OP_SCALE:
        return one && same && is_floats(op->scales, out->channels) &&
               is_floats(op->bias, out->channels);
    case VL_FMT_OP_FOCUS:
        return one && out->channels == 4 * in->channels;
    default:
        return false;
    }
}

static bool read_ops(vl_model *m, const layout *l) {
    bool made[VL_FMT_MAX_OPS + 1] = {true}; /* the input exists */
    bool ok = true;
    for (uint32_t i = 0; i < l->n_ops; i++) {
        vl_op *op = &m->ops[i];
        if (!read_op_fields(m, l, l->ops + (size_t)i * VL_FMT_OP_SIZE, op))
            return false;
        for (int32_t k = 0; k < op->n_in; k++)
            ok = ok && made[op->in[k]];
        if (!ok || made[op->out] || !op_valid(m, op))
            return false;
        made[op->out] = true;
    }
    for (uint32_t i = 0; i < l->n_outs; i++) {
        const unsigned char *p = l->outs + (size_t)i * VL_FMT_OUTPUT_SIZE;
        uint32_t value = load32(p + 4), stride = load32(p + 8);
        if (value == 0 || value >= l->n_values || !made[value] || stride < 1 || stride > 4096)
            return false;
        m->outs[i] = (vl_out){text_at(l, load32(p), &ok), (int32_t)value, (int32_t)stride};
    }
    return ok;
}

static bool read_meta(vl_model *m, const layout *l) {
    bool ok = true;
    for (uint32_t i = 0; i < l->n_meta; i++) {
        const unsigned char *p = l->meta + (size_t)i * 8;
        m->meta[i] = (vl_meta){text_at(l, load32(p), &ok), text_at(l, load32(p + 4), &ok)};
    }
    return ok;
}

static int fill(vl_model *m, const layout *l) {
    m->n_meta = (int32_t)l->n_meta;
    m->n_blobs = (int32_t)l->n_blobs;
    m->n_values = (int32_t)l->n_values;
    m->n_ops = (int32_t)l->n_ops;
    m->n_outs = (int32_t)l->n_outs;
    m->meta = vl_mem_alloc(l->n_meta + 1, sizeof *m->meta);
    m->blobs = vl_mem_alloc(l->n_blobs + 1, sizeof *m->blobs);
    m->values = vl_mem_alloc(l->n_values, sizeof *m->values);
    m->ops = vl_mem_alloc(l->n_ops, sizeof *m->ops);
    m->outs = vl_mem_alloc(l->n_outs, sizeof *m->outs);
    if (m->meta == NULL || m->blobs == NULL || m->values == NULL || m->ops == NULL ||
        m->outs == NULL)
        return VEIL_E_NOMEM;
    if (!strings_valid(l->strings, l->strings_size) || !read_meta(m, l) || !read_blobs(m, l) ||
        !read_values(m, l) || !read_ops(m, l))
        return VEIL_E_MODEL;
    return VEIL_OK;
}

int vl_model_read(vl_model **out, const void *bytes, size_t size) {
    *out = NULL;
    layout l;
    if (bytes == NULL || size < VL_FMT_HEADER_SIZE || size > VL_FMT_MAX_FILE)
        return VEIL_E_MODEL;
    vl_model *m = vl_mem_alloc(1, sizeof *m);
    if (m == NULL)
        return VEIL_E_NOMEM;
    int err = VEIL_E_NOMEM;
    m->bytes = vl_mem_alloc(size, 1);
    if (m->bytes != NULL) {
        memcpy(m->bytes, bytes, size);
        m->size = size;
        err = read_header(m->bytes, size, &l) ? fill(m, &l) : VEIL_E_MODEL;
    }
    if (err != VEIL_OK) {
        vl_model_free(m);
        return err;
    }
    *out = m;
    return VEIL_OK;
}

void vl_model_free(vl_model *m) {
    if (m == NULL)
        return;
    vl_mem_free(m->outs);
    vl_mem_free(m->ops);
    vl_mem_free(m->values);
    vl_mem_free(m->blobs);
    vl_mem_free(m->meta);
    vl_mem_free(m->bytes);
    vl_mem_free(m);
}

const char *vl_model_meta(const vl_model *m, const char *key) {
    for (int32_t i = 0; i < m->n_meta; i++) {
        if (strcmp(m->meta[i].key, key) == 0)
            return m->meta[i].value;
    }
    return NULL;
}

const char *vl_model_meta_key(const vl_model *m, size_t i) {
    return i < (size_t)m->n_meta ? m->meta[i].key : NULL;
}
