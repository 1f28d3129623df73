/* `veil model build` on any bytes: reading, lowering and all float passes. */
#include "build.h"
#include "fuzz.h"
#include "onnx_make.h"

#include <stdlib.h>
#include <string.h>

const unsigned fuzz_rounds = 2500;

static int good;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mb m;
    mb_init(&m, NULL);
    bd_network net;
    memset(&net, 0, sizeof net);
    bd_options o;
    memset(&o, 0, sizeof o);
    o.width = 64;
    o.height = 32;
    o.precision = WR_FP32;
    if (bd_import(&m, &net, data, size, &o) == 0) {
        bd_result r = {0};
        if (bd_build(&m, &net, &o, &r) == 0) {
            good++;
            free(r.model);
            free(r.qdq);
        }
    } else if (m.error[0] == '\0') {
        abort(); /* a refusal says why */
    }
    mb_done(&m);
    return 0;
}

uint8_t *fuzz_seed(size_t *size) {
    mb m;
    mb_init(&m, NULL);
    om o;
    om_begin(&o, &m, 12, 3, 32, 64);
    om_conv(&o, "x", "a", 3, 8, 3, 2, 1);
    om_node(&o, "Sigmoid", "a", "b");
    om_node(&o, "Mul", "a b", "c");
    om_conv(&o, "c", "d", 8, 8, 3, 1, 8);
    om_node(&o, "Relu", "d", "e");
    Onnx__NodeProto *cat = om_node(&o, "Concat", "c e", "f");
    om_int(&o, cat, "axis", 1);
    om_conv(&o, "f", "g", 16, 6, 1, 1, 1);
    om_output(&o, "g");
    uint8_t *bytes = om_end(&o, size), *copy = malloc(*size);
    if (copy)
        memcpy(copy, bytes, *size);
    mb_done(&m);
    int before = good; /* a start that is refused would reach nothing */
    if (copy && LLVMFuzzerTestOneInput(copy, *size) == 0 && good == before)
        abort();
    return copy;
}
