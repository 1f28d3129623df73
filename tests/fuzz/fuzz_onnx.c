/* `veil model build` on any bytes, for no decoder and for one that the size picks: always one error
 * line, or a model that the engine's parser accepts. */
#include "build.h"
#include "cut.h"
#include "fuzz.h"
#include "onnx_make.h"
#include "veil.h"

#include <stdlib.h>
#include <string.h>

const unsigned fuzz_rounds = 2500;

static int good;

static void check_model(const bd_result *r) {
    veil_net_options o = {.struct_size = sizeof(o), .threads = 1};
    veil_net *net = NULL;
    if (veil_net_create(&net, r->model, r->model_size, &o) != VEIL_OK)
        abort(); /* built what the engine does not take */
    veil_net_destroy(net);
    good++;
}

static void import(const uint8_t *data, size_t size, const char *decoder) {
    mb m;
    mb_init(&m, NULL);
    m.limit = (size_t)64 << 20; /* keeps a round fast */
    bd_options o = {.width = 64, .height = 32, .precision = WR_FP32, .decoder = decoder};
    bd_network *net = mb_alloc(&m, 1, sizeof(*net));
    bd_result r = {0};
    if (net && bd_import(&m, net, data, size, &o) == 0 && bd_build(&m, net, &o, &r) == 0)
        check_model(&r);
    else if (!m.error[0] || strchr(m.error, '\n'))
        abort(); /* a refusal says why, in one line */
    free(r.model);
    mb_done(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    import(data, size, "none");
    import(data, size, ct_decoder(size % 7));
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
