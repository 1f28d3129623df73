/* See floats.h. The result is an ordinary vl_model: the planner and all kernels work on it. */
#include "floats.h"

#include "mem.h"
#include "pack.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Can act'(x) be told from act(x)? */
static bool slope_from_result(const vl_op *op) {
    if (op->act == VL_FMT_ACT_LEAKY)
        return op->act_a >= 0.0f;
    return op->act != VL_FMT_ACT_SILU && op->act != VL_FMT_ACT_HSWISH;
}

static bool is_split(const vl_op *op) {
    return op->type != VL_FMT_OP_ACT && !slope_from_result(op);
}

/* Weights of all convolutions lie behind each other, aligned; returns the bytes of one. */
static bool weight_bytes(const vl_op *op, size_t *bytes) {
    if (op->type != VL_FMT_OP_CONV) {
        *bytes = 0;
        return true;
    }
    if (!vl_mem_mul(op->weights->n, sizeof(float), bytes))
        return false;
    *bytes = (*bytes + VL_MEM_ALIGN - 1) / VL_MEM_ALIGN * VL_MEM_ALIGN;
    return true;
}

static uint64_t next_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1du;
}

/* About normal, by the sum of twelve uniform numbers. */
static float random_normal(uint64_t *state) {
    float sum = -6.0f;
    for (int i = 0; i < 12; i++)
        sum += (float)(next_random(state) >> 40) * 0x1p-24f;
    return sum;
}

static void randomise_weights(float *w, uint32_t n, uint64_t seed) {
    double sum = 0.0, squares = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        sum += (double)w[i];
        squares += (double)w[i] * (double)w[i];
    }
    double mean = sum / n, spread = sqrt(fmax(squares / n - mean * mean, 0.0));
    uint64_t state = seed * 0x9e3779b97f4a7c15u + 0x123456789abcdefu;
    for (uint32_t i = 0; i < n; i++)
        w[i] = (float)spread * random_normal(&state);
}

static void convert_weights(const vl_op *op, int32_t out_channels, float *w) {
    uint32_t per_out = op->weights->n / (uint32_t)out_channels;
    for (uint32_t i = 0; i < op->weights->n; i++) {
        float scale = op->scales == NULL ? 1.0f : ((const float *)op->scales->data)[i / per_out];
        w[i] = vl_pack_stored(op->weights, i) * scale;
    }
}

static void convert_values(vl_model *f, const vl_model *m) {
    for (int32_t i = 0; i < m->n_values; i++) {
        f->values[i] = m->values[i];
        if (i > 0) {
            f->values[i].is_u8 = 0;
            f->values[i].scale = 1.0f;
            f->values[i].zero = 0;
        }
    }
}

/* Splits off the activation of the operator just written. */
static void split_activation(vl_model *f) {
    vl_op *op = &f->ops[f->n_ops - 1], *act = &f->ops[f->n_ops++];
    *act = (vl_op){.type = VL_FMT_OP_ACT,
                   .name = op->name,
                   .out = op->out,
                   .n_in = 1,
                   .in = {f->n_values},
                   .act = op->act,
                   .act_a = op->act_a,
                   .act_b = op->act_b,
                   .sh = 1,
                   .sw = 1,
                   .dilation = 1,
                   .groups = 1};
    f->values[f->n_values] = f->values[op->out];
    op->out = f->n_values++;
    op->act = VL_FMT_ACT_NONE;
}

static void convert_ops(vl_model *f, const vl_model *m, int32_t first_random) {
    unsigned char *to = f->bytes;
    int32_t n_convs = 0;
    for (int32_t i = 0; i < m->n_ops; i++) {
        vl_op *op = &f->ops[f->n_ops++];
        *op = m->ops[i];
        if (op->type == VL_FMT_OP_CONV) {
            float *w = (float *)(void *)to;
            size_t bytes;
            (void)weight_bytes(&m->ops[i], &bytes);
            convert_weights(&m->ops[i], m->values[op->out].channels, w);
            if (n_convs >= first_random)
                randomise_weights(w, op->weights->n, (uint64_t)n_convs + 1);
            vl_blob *blob = &f->blobs[f->n_blobs++];
            *blob = (vl_blob){.dtype = VL_FMT_F32, .n = op->weights->n, .data = w};
            op->weights = blob;
            op->scales = NULL;
            to += bytes;
            n_convs++;
        }
        if (is_split(op))
            split_activation(f);
    }
}

int vl_floats_create(vl_model **out, const vl_model *m, int32_t randomise) {
    *out = NULL;
    size_t total = VL_MEM_ALIGN, bytes;
    int32_t n_convs = 0, n_split = 0;
    for (int32_t i = 0; i < m->n_ops; i++) {
        if (!weight_bytes(&m->ops[i], &bytes) || total + bytes < total)
            return VEIL_E_NOMEM;
        total += bytes;
        n_convs += m->ops[i].type == VL_FMT_OP_CONV;
        n_split += is_split(&m->ops[i]);
    }
    vl_model *f = vl_mem_alloc(1, sizeof *f);
    if (f == NULL)
        return VEIL_E_NOMEM;
    f->bytes = vl_mem_alloc(total, 1);
    f->meta = vl_mem_alloc((size_t)m->n_meta + 1, sizeof *f->meta);
    f->blobs = vl_mem_alloc((size_t)n_convs + 1, sizeof *f->blobs);
    f->values = vl_mem_alloc((size_t)(m->n_values + n_split), sizeof *f->values);
    f->ops = vl_mem_alloc((size_t)(m->n_ops + n_split), sizeof *f->ops);
    f->outs = vl_mem_alloc((size_t)m->n_outs, sizeof *f->outs);
    if (f->bytes == NULL || f->meta == NULL || f->blobs == NULL || f->values == NULL ||
        f->ops == NULL || f->outs == NULL) {
        vl_model_destroy(f);
        return VEIL_E_NOMEM;
    }
    memcpy(f->meta, m->meta, (size_t)m->n_meta * sizeof *f->meta);
    memcpy(f->outs, m->outs, (size_t)m->n_outs * sizeof *f->outs);
    f->n_meta = m->n_meta;
    f->n_outs = m->n_outs;
    f->n_values = m->n_values;
    convert_values(f, m);
    convert_ops(f, m, n_convs - randomise);
    *out = f;
    return VEIL_OK;
}
