/* See write.h. The layout of the file is emit.c's. */
#include "write.h"

#include "veil.h"

#include <math.h>
#include <string.h>

uint16_t wr_half(float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof(bits));
    uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude >= 0x47800000u) /* 65536 and above, infinity */
        return (uint16_t)(sign | 0x7bffu);
    if (magnitude < 0x33000000u) /* below half of the smallest subnormal */
        return (uint16_t)sign;
    uint32_t exponent = magnitude >> 23, mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    /* Bits to drop: 13, more for subnormal results. */
    uint32_t drop = exponent > 112 ? 13 : 126 - exponent;
    uint32_t half = exponent > 112 ? (exponent - 113) << 10 : 0;
    uint32_t kept = mantissa >> drop, rest = mantissa & ((1u << drop) - 1), tie = 1u << (drop - 1);
    kept += rest > tie || (rest == tie && (kept & 1));
    half += kept; /* the hidden bit adds one to the exponent of normal numbers */
    return (uint16_t)(sign | (half > 0x7bffu ? 0x7bffu : half));
}

static uint32_t put_half(mb *m, emit *e, const float *v, size_t n) {
    uint16_t *h = mb_alloc(m, n, sizeof(*h));
    for (size_t k = 0; h && k < n; k++)
        h[k] = wr_half(v[k]);
    return h ? emit_blob(e, VL_FMT_F16, h, n) : 0;
}

/* The engine refuses files with numbers that are not finite; better said here, by name. */
static int check_finite(mb *m, const gr_op *op, const float *v, size_t n) {
    for (size_t k = 0; v && k < n; k++)
        if (!isfinite(v[k]))
            return mb_fail(m, "node '%s' has a weight that is not a finite number", op->f.name);
    return 0;
}

static int check_op(mb *m, const gr_graph *g, const gr_op *op) {
    uint32_t channels = g->t[op->f.out].channels;
    return check_finite(m, op, op->weights, op->n_weights) < 0 ||
                   check_finite(m, op, op->bias, channels) < 0 ||
                   check_finite(m, op, op->scales, channels) < 0
               ? -1
               : 0;
}

static int put_op(mb *m, emit *e, const gr_graph *g, const gr_op *op, wr_precision precision) {
    emit_op f = op->f;
    uint32_t channels = g->t[f.out].channels;
    if (op->q) {
        f.weights = emit_blob(e, VL_FMT_S8, op->q, op->n_weights);
        f.scales = emit_blob(e, VL_FMT_F32, op->q_scales, channels);
    } else if (op->weights) {
        f.weights = precision == WR_FP32 ? emit_blob(e, VL_FMT_F32, op->weights, op->n_weights)
                                         : put_half(m, e, op->weights, op->n_weights);
    }
    if (op->bias)
        f.bias = emit_blob(e, VL_FMT_F32, op->bias, channels);
    if (op->scales)
        f.scales = emit_blob(e, VL_FMT_F32, op->scales, channels);
    return emit_operator(e, &f);
}

int wr_write(mb *m, const gr_graph *g, wr_precision precision, const wr_meta *meta, size_t n_meta,
             uint8_t **bytes, size_t *size) {
    *bytes = NULL;
    for (size_t i = 0; i < g->n_op; i++)
        if (check_op(m, g, &g->op[i]) < 0)
            return -1;
    emit *e = emit_create();
    int err = e ? VEIL_OK : VEIL_E_NOMEM;
    for (size_t i = 0; e && i < n_meta && err == VEIL_OK; i++)
        err = emit_meta(e, meta[i].key, meta[i].value);
    for (size_t i = 1; e && i < g->n_t; i++) {
        const gr_tensor *t = &g->t[i];
        emit_tensor(e, t->name, t->channels, t->u8 ? VL_FMT_U8 : VL_FMT_F32, t->u8 ? t->scale : 0,
                    t->u8 ? t->zero : 0);
    }
    for (size_t i = 0; e && i < g->n_op && err == VEIL_OK; i++)
        err = put_op(m, e, g, &g->op[i], precision);
    for (size_t i = 0; e && i < g->n_out && err == VEIL_OK; i++)
        err = emit_output(e, g->out[i].name, g->out[i].tensor, g->out[i].stride);
    if (err == VEIL_OK)
        err = emit_finish(e, bytes, size);
    emit_destroy(e);
    if (err != VEIL_OK)
        return mb_fail(m, "the model does not fit into a file of %u MiB, or out of memory",
                       VL_FMT_MAX_FILE >> 20);
    return 0;
}
