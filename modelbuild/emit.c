/* See emit.h. Six growing byte strings, one per section of the file; emit_finish lays them out and
 * puts the header and the checksum before them. It checks no network: the parser does. */
#include "emit.h"

#include "../src/nn/format.h"
#include "veil.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SECTION_ALIGN 64u /* bytes; format.h */

typedef struct {
    uint8_t *bytes;
    size_t size, cap;
} section;

struct emit {
    section strings, meta, blobs, tensors, ops, outputs, data;
    uint32_t n_meta, n_blobs, n_tensors, n_ops, n_outputs;
    bool failed;
};

static void store32(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

static uint32_t float_bits(float f) {
    uint32_t v;
    memcpy(&v, &f, sizeof v);
    return v;
}

/* Grows s by n zero bytes; returns their address, or NULL with e->failed set. */
static uint8_t *grow(emit *e, section *s, size_t n) {
    if (e->failed || n > VL_FMT_MAX_FILE || s->size + n > VL_FMT_MAX_FILE) {
        e->failed = true;
        return NULL;
    }
    if (s->size + n > s->cap) {
        size_t cap = s->cap < 1024 ? 1024 : s->cap;
        while (cap < s->size + n)
            cap *= 2;
        uint8_t *bytes = realloc(s->bytes, cap);
        if (bytes == NULL) {
            e->failed = true;
            return NULL;
        }
        s->bytes = bytes;
        s->cap = cap;
    }
    uint8_t *p = s->bytes + s->size;
    memset(p, 0, n);
    s->size += n;
    return p;
}

/* Offset of a copy of text in the strings; NULL and "" share offset 0. */
static uint32_t add_string(emit *e, const char *text) {
    if (text == NULL || text[0] == '\0')
        return 0;
    size_t n = strlen(text) + 1;
    uint32_t offset = (uint32_t)e->strings.size;
    uint8_t *p = grow(e, &e->strings, n);
    if (p == NULL)
        return 0;
    memcpy(p, text, n);
    return offset;
}

emit *emit_create(void) {
    emit *e = calloc(1, sizeof *e);
    if (e == NULL)
        return NULL;
    grow(e, &e->strings, 1); /* offset 0 is the empty string */
    emit_tensor(e, "input", 3, VL_FMT_U8, 1.0f / 255.0f, 0);
    if (e->failed) {
        emit_destroy(e);
        return NULL;
    }
    return e;
}

void emit_destroy(emit *e) {
    if (e == NULL)
        return;
    section *all[] = {&e->strings, &e->meta,    &e->blobs, &e->tensors,
                      &e->ops,     &e->outputs, &e->data};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]->bytes);
    free(e);
}

int emit_meta(emit *e, const char *key, const char *value) {
    uint32_t k = add_string(e, key), v = add_string(e, value);
    uint8_t *p = grow(e, &e->meta, 8);
    if (p == NULL)
        return VEIL_E_NOMEM;
    store32(p, k);
    store32(p + 4, v);
    e->n_meta++;
    return VEIL_OK;
}

uint32_t emit_tensor(emit *e, const char *name, uint32_t channels, uint32_t dtype, float scale,
                     uint32_t zero) {
    uint32_t text = add_string(e, name);
    uint8_t *p = grow(e, &e->tensors, VL_FMT_TENSOR_SIZE);
    if (p == NULL)
        return 0;
    store32(p, text);
    store32(p + 4, channels);
    store32(p + 8, dtype);
    store32(p + 12, float_bits(scale));
    store32(p + 16, zero);
    return e->n_tensors++;
}

static size_t element_size(uint32_t dtype) {
    switch (dtype) {
    case VL_FMT_F32:
    case VL_FMT_S32:
        return 4;
    case VL_FMT_F16:
        return 2;
    default:
        return 1;
    }
}

/* The bytes are copied as they are: the writer runs on little-endian machines, as all machines of
 * the engine are. */
uint32_t emit_blob(emit *e, uint32_t dtype, const void *data, size_t n_elements) {
    if (n_elements > VL_FMT_MAX_FILE) {
        e->failed = true;
        return 0;
    }
    size_t bytes = n_elements * element_size(dtype);
    size_t padded = (bytes + SECTION_ALIGN - 1) / SECTION_ALIGN * SECTION_ALIGN;
    uint32_t offset = (uint32_t)e->data.size;
    uint8_t *to = grow(e, &e->data, padded);
    uint8_t *p = grow(e, &e->blobs, VL_FMT_BLOB_SIZE);
    if (to == NULL || p == NULL)
        return 0;
    if (bytes != 0)
        memcpy(to, data, bytes);
    store32(p, dtype);
    store32(p + 4, (uint32_t)n_elements);
    store32(p + 8, offset);
    store32(p + 12, (uint32_t)bytes);
    return ++e->n_blobs;
}

int emit_operator(emit *e, const emit_op *op) {
    uint32_t name = add_string(e, op->name);
    uint8_t *p = grow(e, &e->ops, VL_FMT_OP_SIZE);
    if (p == NULL)
        return VEIL_E_NOMEM;
    const uint32_t head[] = {op->type, name, op->out, op->n_in};
    for (size_t i = 0; i < 4; i++)
        store32(p + 4 * i, head[i]);
    for (size_t i = 0; i < VL_FMT_MAX_INPUTS; i++)
        store32(p + 16 + 4 * i, op->in[i]);
    const uint32_t tail[] = {op->act,
                             float_bits(op->act_a),
                             float_bits(op->act_b),
                             op->kh,
                             op->kw,
                             op->sh,
                             op->sw,
                             op->pad_top,
                             op->pad_left,
                             op->pad_bottom,
                             op->pad_right,
                             op->groups,
                             op->dilation,
                             op->weights,
                             op->bias,
                             op->scales,
                             op->p0,
                             op->p1};
    for (size_t i = 0; i < sizeof tail / sizeof tail[0]; i++)
        store32(p + 48 + 4 * i, tail[i]);
    e->n_ops++;
    return VEIL_OK;
}

int emit_output(emit *e, const char *name, uint32_t tensor, uint32_t stride) {
    uint32_t text = add_string(e, name);
    uint8_t *p = grow(e, &e->outputs, VL_FMT_OUTPUT_SIZE);
    if (p == NULL)
        return VEIL_E_NOMEM;
    store32(p, text);
    store32(p + 4, tensor);
    store32(p + 8, stride);
    e->n_outputs++;
    return VEIL_OK;
}

/* CRC-32 with the polynomial of zlib, bit by bit: models are written rarely. */
static uint32_t crc32_of(const uint8_t *p, size_t n) {
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

static size_t align_up(size_t n) {
    return (n + SECTION_ALIGN - 1) / SECTION_ALIGN * SECTION_ALIGN;
}

int emit_finish(emit *e, uint8_t **bytes, size_t *size) {
    *bytes = NULL;
    *size = 0;
    if (e->failed)
        return VEIL_E_NOMEM;
    const section *order[] = {&e->strings, &e->meta,    &e->blobs, &e->tensors,
                              &e->ops,     &e->outputs, &e->data};
    size_t offset[7], end = VL_FMT_HEADER_SIZE;
    for (size_t i = 0; i < 7; i++) {
        offset[i] = align_up(end);
        end = offset[i] + order[i]->size;
    }
    if (end > VL_FMT_MAX_FILE)
        return VEIL_E_NOMEM;
    uint8_t *file = calloc(1, end);
    if (file == NULL)
        return VEIL_E_NOMEM;
    for (size_t i = 0; i < 7; i++) {
        if (order[i]->size != 0)
            memcpy(file + offset[i], order[i]->bytes, order[i]->size);
    }
    memcpy(file, VL_FMT_MAGIC, 4);
    const size_t fields[] = {offset[0],    e->strings.size, e->n_meta, offset[1],   e->n_blobs,
                             offset[2],    e->n_tensors,    offset[3], e->n_ops,    offset[4],
                             e->n_outputs, offset[5],       offset[6], e->data.size};
    store32(file + 4, VL_FMT_VERSION);
    store32(file + 8, (uint32_t)end);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        store32(file + 16 + 4 * i, (uint32_t)fields[i]);
    store32(file + 12, crc32_of(file + 16, end - 16));
    *bytes = file;
    *size = end;
    return VEIL_OK;
}
