/* Small networks for the engine's tests, written with emit.h: the shapes of a detector (first
 * layer, residuals, concatenations, pooling pyramid, upsampling, heads) with random weights. */
#ifndef VEIL_TESTS_NETS_H
#define VEIL_TESTS_NETS_H

#include "emit.h"
#include "nn/format.h"
#include "random.h"
#include "veil.h"

#include <math.h>
#include <stdlib.h>

typedef enum { NET_FLOAT, NET_INTEGER, NET_MIXED } net_kind;

typedef struct {
    emit *e;
    random_source r;
    net_kind kind;
} net_maker;

static inline uint32_t net_tensor(net_maker *m, const char *name, uint32_t channels) {
    if (m->kind == NET_FLOAT)
        return emit_tensor(m->e, name, channels, VL_FMT_F32, 0.0f, 0);
    return emit_tensor(m->e, name, channels, VL_FMT_U8, 0.03f, 5);
}

/* A padded square convolution; integer weights when `integer`. Returns its output. */
static inline uint32_t net_conv(net_maker *m, const char *name, uint32_t in, uint32_t in_channels,
                                uint32_t out, uint32_t out_channels, uint32_t k, uint32_t stride,
                                uint32_t groups, uint32_t act, int integer) {
    size_t n = (size_t)out_channels * k * k * (in_channels / groups);
    float spread = 1.5f / sqrtf((float)(k * k * in_channels / groups));
    float *w = calloc(n, sizeof *w), *b = calloc(out_channels, sizeof *b);
    int8_t *q = calloc(n, 1);
    float *s = calloc(out_channels, sizeof *s);
    emit_op op = {.type = VL_FMT_OP_CONV,
                  .name = name,
                  .in = {in},
                  .n_in = 1,
                  .out = out,
                  .act = act,
                  .kh = k,
                  .kw = k,
                  .sh = stride,
                  .sw = stride,
                  .groups = groups};
    op.pad_top = op.pad_left = op.pad_bottom = op.pad_right = k / 2;
    for (size_t i = 0; i < n; i++) {
        w[i] = random_float(&m->r, -spread, spread);
        q[i] = (int8_t)random_int(&m->r, -127, 127);
    }
    for (uint32_t o = 0; o < out_channels; o++) {
        b[o] = random_float(&m->r, -0.5f, 0.5f);
        s[o] = spread / 127.0f;
    }
    op.weights = integer ? emit_blob(m->e, VL_FMT_S8, q, n) : emit_blob(m->e, VL_FMT_F32, w, n);
    op.bias = emit_blob(m->e, VL_FMT_F32, b, out_channels);
    op.scales = integer ? emit_blob(m->e, VL_FMT_F32, s, out_channels) : 0;
    emit_operator(m->e, &op);
    free(w);
    free(b);
    free(q);
    free(s);
    return out;
}

/* One operator with up to two inputs and no parameters but p0. */
static inline uint32_t net_op(net_maker *m, uint32_t type, uint32_t a, uint32_t b, uint32_t out,
                              uint32_t p0) {
    emit_op op = {.type = type, .name = "op", .in = {a, b}, .n_in = b != 0 ? 2 : 1, .out = out};
    op.p0 = p0;
    if (type == VL_FMT_OP_MAXPOOL) {
        op.kh = op.kw = 5;
        op.sh = op.sw = 1;
        op.pad_top = op.pad_left = op.pad_bottom = op.pad_right = 2;
    }
    emit_operator(m->e, &op);
    return out;
}

/* A detector in small. NET_MIXED has a float convolution and an activation without an integer
 * kernel in the middle of an integer network. The file is malloc'ed; NULL: out of memory. */
static inline uint8_t *net_make(net_kind kind, uint64_t seed, size_t *size) {
    net_maker m = {emit_create(), random_from(seed), kind};
    if (m.e == NULL)
        return NULL;
    int s8 = kind != NET_FLOAT;
    const uint32_t relu = VL_FMT_ACT_RELU;
    emit_meta(m.e, "name", "test");
    uint32_t stem = net_tensor(&m, "stem", 16), c2 = net_tensor(&m, "c2", 32);
    uint32_t a = net_tensor(&m, "a", 16), t = net_tensor(&m, "t", 16), u = net_tensor(&m, "u", 16);
    uint32_t sum = net_tensor(&m, "sum", 16), b = net_tensor(&m, "b", 16);
    uint32_t cat = net_tensor(&m, "cat", 32), dw = net_tensor(&m, "dw", 32);
    uint32_t down = net_tensor(&m, "down", 24), pool = net_tensor(&m, "pool", 24);
    uint32_t pool2 = net_tensor(&m, "pool2", 24), pyramid = net_tensor(&m, "pyramid", 48);
    uint32_t up = net_tensor(&m, "up", 48), all = net_tensor(&m, "all", 80);
    uint32_t part = net_tensor(&m, "part", 20), both = net_tensor(&m, "both", 24);
    uint32_t silu = net_tensor(&m, "silu", 70);
    uint32_t head = emit_tensor(m.e, "head", 6, VL_FMT_F32, 0.0f, 0);
    net_conv(&m, "stem", 0, 3, stem, 16, 3, 2, 1, relu, s8);
    net_conv(&m, "c2", stem, 16, c2, 32, 3, 2, 1, relu, s8);
    net_conv(&m, "a", c2, 32, a, 16, 1, 1, 1, relu, s8);
    net_conv(&m, "t", a, 16, t, 16, 1, 1, 1, relu, s8);
    net_conv(&m, "u", t, 16, u, 16, 3, 1, 1, relu, s8 && kind != NET_MIXED);
    net_op(&m, VL_FMT_OP_ADD, a, u, sum, 0);
    net_conv(&m, "b", c2, 32, b, 16, 1, 1, 1, VL_FMT_ACT_NONE, s8);
    net_op(&m, VL_FMT_OP_CONCAT, sum, b, cat, 0);
    net_conv(&m, "dw", cat, 32, dw, 32, 3, 1, 32, relu, s8);
    net_conv(&m, "down", dw, 32, down, 24, 3, 2, 1, relu, s8);
    net_op(&m, VL_FMT_OP_MAXPOOL, down, 0, pool, 0);
    net_op(&m, VL_FMT_OP_MAXPOOL, pool, 0, pool2, 0);
    net_op(&m, VL_FMT_OP_ADD, pool, pool2, both, 0);
    net_op(&m, VL_FMT_OP_CONCAT, both, down, pyramid, 0);
    net_op(&m, VL_FMT_OP_UPSAMPLE, pyramid, 0, up, 2);
    net_op(&m, VL_FMT_OP_CONCAT, up, cat, all, 0);
    net_op(&m, VL_FMT_OP_SLICE, all, 0, part, 40);
    net_conv(&m, "silu", all, 80, silu, 70, 3, 1, 1, VL_FMT_ACT_SILU, s8);
    net_conv(&m, "head", silu, 70, head, 6, 1, 1, 1, VL_FMT_ACT_NONE, s8);
    uint32_t last = part;
    if (kind == NET_MIXED) {
        last = emit_tensor(m.e, "shuffled", 20, VL_FMT_F32, 0.0f, 0);
        net_op(&m, VL_FMT_OP_SHUFFLE, part, 0, last, 4);
    }
    emit_output(m.e, "head", head, 4);
    emit_output(m.e, "part", last, 4);
    uint8_t *bytes = NULL;
    emit_finish(m.e, &bytes, size);
    emit_destroy(m.e);
    return bytes;
}

#endif
