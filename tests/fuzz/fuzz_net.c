/* The model parser, the plan and a run: any bytes. Size and checksum are put right first, so that
 * what lies behind them is reached. */
#include "emit.h"
#include "fuzz.h"
#include "nn/format.h"
#include "veil.h"

#include <stdlib.h>
#include <string.h>

const unsigned fuzz_rounds = 4000;

static void store(uint8_t *p, uint32_t v) {
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t crc(const uint8_t *p, size_t n) {
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++)
            c = (c >> 1) ^ (0xedb88320u & (0u - (c & 1u)));
    }
    return ~c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *file = malloc(size > 0 ? size : 1);
    if (!file)
        return 0;
    memcpy(file, data, size);
    if (size >= VL_FMT_HEADER_SIZE) {
        memcpy(file, VL_FMT_MAGIC, 4);
        store(file + 4, VL_FMT_VERSION);
        store(file + 8, (uint32_t)size);
        store(file + 12, crc(file + 16, size - 16));
    }
    veil_net_options o = {.struct_size = sizeof o, .threads = 1};
    veil_net *net = NULL;
    if (veil_net_create(&net, file, size, &o) == VEIL_OK &&
        veil_net_set_size(net, 64, 32) == VEIL_OK) {
        memset(veil_net_input(net), 0x5a, (size_t)64 * 32 * 4);
        if (veil_net_run(net) == VEIL_OK) {
            for (size_t i = 0; i < veil_net_outputs(net); i++) {
                veil_tensor t;
                if (veil_net_output(net, i, &t) != VEIL_OK)
                    abort();
            }
        }
        for (size_t i = 0; i < veil_net_layers(net); i++) {
            veil_layer l;
            if (veil_net_layer(net, i, &l) != VEIL_OK)
                abort();
        }
    }
    veil_net_destroy(net);
    free(file);
    return 0;
}

/* A small network with most kinds of operators, float and integer. */
uint8_t *fuzz_seed(size_t *size) {
    static float weights[8 * 8 * 9], bias[8], scales[8];
    static int8_t weights_s8[8 * 8];
    for (size_t i = 0; i < sizeof weights / sizeof weights[0]; i++)
        weights[i] = (float)((int)(i * 37 % 19) - 9) * 0.02f;
    for (size_t i = 0; i < sizeof weights_s8; i++)
        weights_s8[i] = (int8_t)((int)(i * 53 % 31) - 15);
    for (size_t i = 0; i < 8; i++)
        scales[i] = 0.01f;
    emit *e = emit_create();
    if (!e)
        return NULL;
    emit_meta(e, "name", "fuzz");
    uint32_t w1 = emit_blob(e, VL_FMT_F32, weights, 8 * 3 * 9);
    uint32_t w2 = emit_blob(e, VL_FMT_F32, weights, 8 * 9);
    uint32_t w3 = emit_blob(e, VL_FMT_S8, weights_s8, 8 * 8);
    uint32_t b = emit_blob(e, VL_FMT_F32, bias, 8);
    uint32_t s = emit_blob(e, VL_FMT_F32, scales, 8);
    uint32_t t1 = emit_tensor(e, "t1", 8, VL_FMT_F32, 0, 0);
    uint32_t t2 = emit_tensor(e, "t2", 8, VL_FMT_U8, 0.05f, 10);
    uint32_t t3 = emit_tensor(e, "t3", 8, VL_FMT_U8, 0.05f, 10);
    uint32_t t4 = emit_tensor(e, "t4", 8, VL_FMT_F32, 0, 0);
    uint32_t t5 = emit_tensor(e, "t5", 8, VL_FMT_F32, 0, 0);
    uint32_t t6 = emit_tensor(e, "t6", 16, VL_FMT_F32, 0, 0);
    emit_operator(e, &(emit_op){.type = VL_FMT_OP_CONV,
                                .out = t1,
                                .n_in = 1,
                                .name = "conv",
                                .act = VL_FMT_ACT_SILU,
                                .kh = 3,
                                .kw = 3,
                                .sh = 2,
                                .sw = 2,
                                .pad_top = 1,
                                .pad_left = 1,
                                .pad_bottom = 1,
                                .pad_right = 1,
                                .groups = 1,
                                .dilation = 1,
                                .weights = w1,
                                .bias = b});
    emit_operator(e, &(emit_op){.type = VL_FMT_OP_CONV,
                                .out = t2,
                                .n_in = 1,
                                .in = {t1},
                                .name = "depth",
                                .act = VL_FMT_ACT_RELU,
                                .kh = 3,
                                .kw = 3,
                                .sh = 1,
                                .sw = 1,
                                .pad_top = 1,
                                .pad_left = 1,
                                .pad_bottom = 1,
                                .pad_right = 1,
                                .groups = 8,
                                .dilation = 1,
                                .weights = w2,
                                .bias = b});
    emit_operator(e, &(emit_op){.type = VL_FMT_OP_CONV,
                                .out = t3,
                                .n_in = 1,
                                .in = {t2},
                                .name = "int8",
                                .act = VL_FMT_ACT_RELU,
                                .kh = 1,
                                .kw = 1,
                                .sh = 1,
                                .sw = 1,
                                .groups = 1,
                                .dilation = 1,
                                .weights = w3,
                                .bias = b,
                                .scales = s});
    emit_operator(e, &(emit_op){.type = VL_FMT_OP_MAXPOOL,
                                .out = t4,
                                .n_in = 1,
                                .in = {t3},
                                .name = "pool",
                                .kh = 2,
                                .kw = 2,
                                .sh = 2,
                                .sw = 2});
    emit_operator(
        e,
        &(emit_op){
            .type = VL_FMT_OP_UPSAMPLE, .out = t5, .n_in = 1, .in = {t4}, .name = "up", .p0 = 2});
    emit_operator(
        e,
        &(emit_op){.type = VL_FMT_OP_CONCAT, .out = t6, .n_in = 2, .in = {t1, t5}, .name = "cat"});
    emit_output(e, "out", t6, 2);
    uint8_t *bytes = NULL;
    if (emit_finish(e, &bytes, size) != VEIL_OK)
        bytes = NULL;
    emit_destroy(e);
    veil_net *net = NULL; /* a start that is refused would reach nothing */
    if (veil_net_create(&net, bytes, *size, NULL) != VEIL_OK ||
        veil_net_set_size(net, 64, 32) != VEIL_OK || veil_net_run(net) != VEIL_OK)
        abort();
    veil_net_destroy(net);
    return bytes;
}
