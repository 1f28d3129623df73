/* The parser of model files accepts what the writer wrote and refuses everything else: each byte
 * changed, each length, each rule of the format broken by itself. Under the sanitizers this also
 * proves that nothing it accepts runs out of bounds. */
#include "mutate.h"
#include "nets.h"
#include "nn/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void accepts_the_writer(void **state) {
    (void)state;
    for (net_kind kind = NET_FLOAT; kind <= NET_MIXED; kind++) {
        size_t size;
        uint8_t *bytes = net_make(kind, 1, &size);
        assert_non_null(bytes);
        assert_int_equal(mutate_try(bytes, size), VEIL_OK);
        vl_model *m = NULL;
        assert_int_equal(vl_model_parse(&m, bytes, size), VEIL_OK);
        memset(bytes, 0, size); /* it keeps a copy */
        assert_string_equal(vl_model_meta(m, "name"), "test");
        assert_null(vl_model_meta(m, "absent"));
        assert_string_equal(vl_model_meta_key(m, 0), "name");
        assert_null(vl_model_meta_key(m, 1));
        vl_model_destroy(m);
        free(bytes);
    }
}

static void refuses_damage_without_seal(void **state) {
    (void)state;
    size_t size;
    uint8_t *bytes = net_make(NET_INTEGER, 1, &size);
    for (size_t i = 0; i < size; i += 1 + i / 200) {
        bytes[i] ^= 0x10;
        assert_int_equal(mutate_try(bytes, size), VEIL_E_MODEL);
        bytes[i] ^= 0x10;
    }
    for (size_t n = 0; n < size; n += 1 + n / 100)
        assert_int_equal(mutate_try(bytes, n), VEIL_E_MODEL);
    assert_int_equal(mutate_try(NULL, 0), VEIL_E_MODEL);
    free(bytes);
}

/* Sealed damage: any verdict is fine, as long as nothing breaks; most of it must be refused. */
static void survives_sealed_damage(void **state) {
    (void)state;
    size_t size;
    uint8_t *bytes = net_make(NET_MIXED, 1, &size);
    uint8_t *copy = malloc(size);
    assert_non_null(copy);
    size_t data = mutate_load(bytes + 64), refused = 0, tried = 0;
    static const uint32_t values[] = {0, 0xff, 0x80000000, ~0u};
    for (size_t at = 16; at + 4 <= data; at += at < 128 ? 4 : 12) { /* every field in turn */
        memcpy(copy, bytes, size);
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            mutate_store(copy + at, values[v]);
            mutate_seal(copy, size);
            tried++;
            refused += mutate_try(copy, size) != VEIL_OK;
        }
    }
    random_source r = random_from(3);
    for (int i = 0; i < 400; i++) {
        memcpy(copy, bytes, size);
        for (int k = random_int(&r, 1, 6); k > 0; k--)
            copy[random_int(&r, 16, (int32_t)data - 1)] = (uint8_t)random_bits(&r);
        mutate_seal(copy, size);
        mutate_try(copy, size);
    }
    for (size_t n = 128; n < size; n += 997) {
        memcpy(copy, bytes, n);
        mutate_seal(copy, n);
        assert_int_not_equal(mutate_try(copy, n), VEIL_OK);
    }
    assert_true(refused > tried / 4);
    free(copy);
    free(bytes);
}

/* A smallest valid model that rules can be broken in. */
typedef struct {
    emit_op op;
    uint32_t out_channels, out_dtype, out_zero, in_tensor;
    float out_scale, weight, scale, bias;
    uint32_t weights_dtype, n_weights, n_bias, n_outputs, output_tensor, output_stride;
    const char *text;
} recipe;

static int verdict(const recipe *r) {
    emit *e = emit_create();
    assert_non_null(e);
    emit_meta(e, "text", r->text);
    emit_op op = r->op;
    op.out = emit_tensor(e, "out", r->out_channels, r->out_dtype, r->out_scale, r->out_zero);
    float w[64];
    int8_t q[64];
    float bias[64], scales[64];
    for (int i = 0; i < 64; i++) {
        w[i] = r->weight;
        q[i] = 7;
        bias[i] = r->bias;
        scales[i] = r->scale;
    }
    op.in[0] = r->in_tensor;
    op.weights = r->weights_dtype == VL_FMT_S8 ? emit_blob(e, VL_FMT_S8, q, r->n_weights)
                                               : emit_blob(e, r->weights_dtype, w, r->n_weights);
    op.bias = emit_blob(e, VL_FMT_F32, bias, r->n_bias);
    op.scales = r->weights_dtype == VL_FMT_S8 ? emit_blob(e, VL_FMT_F32, scales, r->n_bias) : 0;
    emit_operator(e, &op);
    for (uint32_t i = 0; i < r->n_outputs; i++)
        emit_output(e, "out", r->output_tensor, r->output_stride);
    uint8_t *bytes;
    size_t size;
    assert_int_equal(emit_finish(e, &bytes, &size), VEIL_OK);
    emit_destroy(e);
    int err = mutate_try(bytes, size);
    free(bytes);
    return err;
}

static recipe good(void) {
    recipe r = {.op = {.type = VL_FMT_OP_CONV, .name = "c", .n_in = 1, .kh = 1, .kw = 1},
                .out_channels = 4,
                .out_dtype = VL_FMT_F32,
                .out_scale = 0.1f,
                .weight = 0.5f,
                .scale = 0.01f,
                .bias = 1.0f,
                .weights_dtype = VL_FMT_S8,
                .n_weights = 12,
                .n_bias = 4,
                .n_outputs = 1,
                .output_tensor = 1,
                .output_stride = 8,
                .text = "ok"};
    return r;
}

#define REFUSED(change)                                                                            \
    do {                                                                                           \
        recipe r = good();                                                                         \
        change;                                                                                    \
        if (verdict(&r) != VEIL_E_MODEL)                                                           \
            fail_msg("accepted: %s", #change);                                                     \
    } while (0)

static void refuses_broken_rules(void **state) {
    (void)state;
    recipe fine = good();
    assert_int_equal(verdict(&fine), VEIL_OK);
    fine.out_dtype = VL_FMT_U8;
    assert_int_equal(verdict(&fine), VEIL_OK);
    REFUSED(r.op.type = 0);
    REFUSED(r.op.type = 13);
    REFUSED(r.op.n_in = 0);
    REFUSED(r.op.n_in = 2);
    REFUSED(r.op.n_in = 9);
    REFUSED(r.in_tensor = 1); /* its own output */
    REFUSED(r.in_tensor = 2);
    REFUSED(r.op.kh = 0);
    REFUSED(r.op.kh = 16);
    REFUSED(r.op.kw = 2); /* more weights than there are */
    REFUSED(r.op.sh = 9);
    REFUSED(r.op.groups = 2); /* does not divide 3 */
    REFUSED(r.op.groups = ~0u);
    REFUSED(r.op.dilation = 9);
    REFUSED(r.op.pad_left = 1); /* padding as wide as the kernel */
    REFUSED(r.op.act = 9);
    REFUSED(r.op.act = VL_FMT_ACT_PRELU);
    REFUSED(r.op.act_a = INFINITY);
    REFUSED(r.op.act_b = NAN);
    REFUSED(r.n_weights = 11);
    REFUSED(r.n_weights = 13);
    REFUSED(r.n_bias = 3);
    REFUSED(r.bias = NAN);
    REFUSED(r.scale = INFINITY);
    REFUSED(r.scale = 1e35f); /* sums beyond any float */
    REFUSED(r.weights_dtype = VL_FMT_S32);
    REFUSED((r.weights_dtype = VL_FMT_F32, r.weight = NAN));
    REFUSED(r.out_channels = 0);
    REFUSED(r.out_channels = 5);
    REFUSED(r.out_channels = 4097);
    REFUSED(r.out_dtype = VL_FMT_S8);
    REFUSED((r.out_dtype = VL_FMT_U8, r.out_scale = 0.0f));
    REFUSED((r.out_dtype = VL_FMT_U8, r.out_scale = -1.0f));
    REFUSED((r.out_dtype = VL_FMT_U8, r.out_scale = NAN));
    REFUSED((r.out_dtype = VL_FMT_U8, r.out_zero = 256));
    REFUSED(r.n_outputs = 0);
    REFUSED(r.n_outputs = 65);
    REFUSED(r.output_tensor = 0);
    REFUSED(r.output_tensor = 2);
    REFUSED(r.output_stride = 0);
    REFUSED(r.text = "bell \a");
    REFUSED(r.text = "not UTF-8 \xc3(");
    REFUSED(r.text = "cut \xe2\x82");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_the_writer),
        cmocka_unit_test(refuses_damage_without_seal),
        cmocka_unit_test(survives_sealed_damage),
        cmocka_unit_test(refuses_broken_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
