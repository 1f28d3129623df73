/* Calibration and int8: small networks built with --precision int8 must stay near their fp32
 * result, share scales where values only move, and say in QDQ ONNX what the engine computes. */
#include "build.h"
#include "check.h"
#include "engine.h"
#include "plain.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char picture_path[] = "/tmp/veil-test-XXXXXX.ppm";
static uint8_t input[4 * CHECK_HEIGHT * CHECK_WIDTH];
static float planes[3 * CHECK_HEIGHT * CHECK_WIDTH];

static int write_picture(void **state) {
    (void)state;
    int fd = mkstemps(picture_path, 4);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "wb");
    if (!f)
        return -1;
    check_picture(input, planes);
    fprintf(f, "P6\n%d %d\n255\n", CHECK_WIDTH, CHECK_HEIGHT);
    for (size_t i = 0; i < CHECK_HEIGHT * CHECK_WIDTH; i++)
        fwrite(input + 4 * i, 1, 3, f);
    return fclose(f);
}

static int remove_picture(void **state) {
    (void)state;
    return unlink(picture_path);
}

/* A backbone with residual, pool, upsample and concat; y and z are its outputs. */
static void branches(om *o) {
    om_conv(o, "x", "c", 3, 16, 3, 2, 1);
    om_node(o, "Relu", "c", "cr");
    om_conv(o, "cr", "d", 16, 16, 3, 1, 1);
    om_node(o, "Relu", "d", "dr");
    om_node(o, "Add", "cr dr", "e");
    Onnx__NodeProto *n = om_node(o, "MaxPool", "e", "p");
    OM_INTS(o, n, "kernel_shape", 2, 2);
    OM_INTS(o, n, "strides", 2, 2);
    om_conv(o, "p", "q", 16, 32, 1, 1, 1);
    om_node(o, "Relu", "q", "qr");
    float *s = om_floats(o, "scales", 1, (int64_t[]){4});
    s[0] = s[1] = 1;
    s[2] = s[3] = 2;
    n = om_node(o, "Resize", "qr - scales", "u");
    om_text(o, n, "coordinate_transformation_mode", "asymmetric");
    om_text(o, n, "nearest_mode", "floor");
    om_int(o, om_node(o, "Concat", "u e", "k"), "axis", 1);
    om_conv(o, "k", "y", 48, 6, 3, 1, 1);
    om_conv(o, "qr", "z", 32, 6, 1, 1, 1);
    om_output(o, "y");
    om_output(o, "z");
}

/* Depthwise convolutions with activations that go below zero, and a channel gate. */
static void gates(om *o) {
    om_conv(o, "x", "c", 3, 16, 6, 2, 1);
    om_node(o, "HardSwish", "c", "ch");
    om_conv(o, "ch", "d", 16, 16, 5, 1, 16);
    om_node(o, "Sigmoid", "d", "ds");
    om_node(o, "Mul", "d ds", "dm");
    om_node(o, "GlobalAveragePool", "dm", "g");
    om_conv(o, "g", "h", 16, 16, 1, 1, 1);
    om_node(o, "HardSigmoid", "h", "hs");
    om_node(o, "Mul", "dm hs", "m");
    om_conv(o, "m", "l", 16, 24, 1, 1, 1);
    om_float(o, om_node(o, "LeakyRelu", "l", "lr"), "alpha", 0.2f);
    om_conv(o, "lr", "y", 24, 6, 3, 1, 1);
    om_output(o, "y");
}

/* Values that only move: shuffle, slices, focus. */
static void moves(om *o) {
    OM_WHOLE(o, "0", 0);
    OM_WHOLE(o, "1", 1);
    OM_WHOLE(o, "2", 2);
    OM_WHOLE(o, "3", 3);
    OM_WHOLE(o, "all", INT64_MAX);
    om_node(o, "Slice", "x 0 all 2 2", "ev");
    om_node(o, "Slice", "x 1 all 2 2", "od");
    om_node(o, "Slice", "ev 0 all 3 2", "ee");
    om_node(o, "Slice", "od 0 all 3 2", "oe");
    om_node(o, "Slice", "ev 1 all 3 2", "eo");
    om_node(o, "Slice", "od 1 all 3 2", "oo");
    om_int(o, om_node(o, "Concat", "ee oe eo oo", "f"), "axis", 1);
    om_conv(o, "f", "c", 12, 16, 3, 1, 1);
    OM_RANDOM(o, "slope", 0.05f, 0.4f, 16, 1, 1);
    om_node(o, "PRelu", "c slope", "cp");
    OM_WHOLE(o, "apart", 1, 2, 8, CHECK_HEIGHT / 2, CHECK_WIDTH / 2);
    OM_WHOLE(o, "join", 1, 16, CHECK_HEIGHT / 2, CHECK_WIDTH / 2);
    om_node(o, "Reshape", "cp apart", "r");
    OM_INTS(o, om_node(o, "Transpose", "r", "t"), "perm", 0, 2, 1, 3, 4);
    om_node(o, "Reshape", "t join", "s");
    om_int(o, om_node(o, "Split", "s", "a b"), "axis", 1);
    om_conv(o, "a", "ac", 8, 8, 3, 1, 1);
    om_int(o, om_node(o, "Concat", "b ac", "k"), "axis", 1);
    om_conv(o, "k", "y", 16, 6, 1, 1, 1);
    om_output(o, "y");
}

typedef struct {
    mb m;
    om o;
    bd_network *net;
    bd_result fp32, int8;
} built;

static void build(built *b, void (*make)(om *), bool symmetric, cb_method method) {
    size_t size;
    bd_options o = {.precision = WR_FP32};
    mb_init(&b->m, NULL);
    om_begin(&b->o, &b->m, 14, 3, CHECK_HEIGHT, CHECK_WIDTH);
    make(&b->o);
    uint8_t *bytes = om_end(&b->o, &size);
    b->net = mb_alloc(&b->m, 1, sizeof(*b->net));
    assert_non_null(b->net);
    assert_int_equal(bd_import(&b->m, b->net, bytes, size, &o), 0);
    assert_int_equal(bd_build(&b->m, b->net, &o, &b->fp32), 0);
    o.precision = WR_INT8;
    o.qdq = true;
    o.qdq_symmetric = symmetric;
    o.calibrate = (cb_options){.pictures = picture_path, .method = method};
    if (bd_build(&b->m, b->net, &o, &b->int8) < 0)
        fail_msg("%s", b->m.error);
}

static void drop(built *b) {
    free(b->fp32.model);
    free(b->int8.model);
    free(b->int8.qdq);
    mb_done(&b->m);
}

static veil_net *run(built *b, const bd_result *r) {
    veil_net *net =
        en_open(&b->m, "test", r->model, r->model_size, CHECK_WIDTH, CHECK_HEIGHT, false);
    if (!net)
        fail_msg("%s", b->m.error);
    memcpy(veil_net_input(net), input, sizeof(input));
    assert_int_equal(en_run(&b->m, net), 0);
    return net;
}

/* Signal over noise between the engine's int8 output and the QDQ file's. */
static double against_qdq(built *b, const Onnx__ModelProto *qdq, const veil_tensor *t) {
    plain want = plain_run(qdq, planes, t->name);
    double signal = 0, noise = 1e-30;
    float pixel[64];
    size_t area = (size_t)t->height * (size_t)t->width;
    (void)b;
    assert_int_equal(want.d[1], t->channels);
    for (size_t i = 0; i < area; i++) {
        en_pixel(t, (int32_t)(i / (size_t)t->width), (int32_t)(i % (size_t)t->width), pixel);
        for (size_t c = 0; c < (size_t)t->channels; c++) {
            double w = (double)want.v[c * area + i], e = w - (double)pixel[c];
            signal += w * w;
            noise += e * e;
        }
    }
    return 10 * log10(signal / noise);
}

static void test_networks(void **state) {
    (void)state;
    static void (*const networks[])(om *) = {branches, gates, moves};
    for (size_t i = 0; i < 3; i++) {
        built b = {0};
        build(&b, networks[i], false, CB_MSE);
        veil_net *a = run(&b, &b.fp32), *q = run(&b, &b.int8);
        Onnx__ModelProto *qdq = onnx__model_proto__unpack(NULL, b.int8.qdq_size, b.int8.qdq);
        assert_non_null(qdq);
        veil_tensor s, t;
        for (size_t k = 0; veil_net_output(a, k, &s) == VEIL_OK; k++) {
            en_difference d = {0};
            assert_true(en_output(q, s.name, &t));
            assert_int_equal(en_compare(&b.m, &s, &t, &d), 0);
            if (en_decibel(&d) < 28)
                fail_msg("network %zu: output %s has only %.1f dB", i, s.name, en_decibel(&d));
            double same = against_qdq(&b, qdq, &t);
            if (same < 45)
                fail_msg("network %zu: output %s and its QDQ twin agree to %.1f dB only", i, s.name,
                         same);
        }
        onnx__model_proto__free_unpacked(qdq, NULL);
        veil_net_destroy(a);
        veil_net_destroy(q);
        assert_true(b.int8.model_size < b.fp32.model_size);
        drop(&b);
    }
}

/* s8 activations with zero 0 lose one bit where values have one sign, no more. */
static void test_symmetric(void **state) {
    (void)state;
    built b = {0};
    build(&b, branches, true, CB_MSE);
    veil_net *a = run(&b, &b.fp32);
    Onnx__ModelProto *qdq = onnx__model_proto__unpack(NULL, b.int8.qdq_size, b.int8.qdq);
    assert_non_null(qdq);
    veil_tensor t;
    assert_int_equal(veil_net_output(a, 0, &t), VEIL_OK);
    assert_true(against_qdq(&b, qdq, &t) > 24);
    for (size_t i = 0; i < qdq->graph->n_initializer; i++)
        assert_int_not_equal(qdq->graph->initializer[i]->data_type, 2);
    onnx__model_proto__free_unpacked(qdq, NULL);
    veil_net_destroy(a);
    drop(&b);
}

static void test_scales(void **state) {
    (void)state;
    built b = {0};
    build(&b, branches, false, CB_MSE);
    const gr_graph *g = &b.net->graph;
    size_t n_moved = 0, n_relu = 0;
    for (size_t i = 0; i < g->n_op; i++) {
        const emit_op *f = &g->op[i].f;
        const gr_tensor *out = &g->t[f->out];
        if (f->type == VL_FMT_OP_MAXPOOL || f->type == VL_FMT_OP_UPSAMPLE) {
            assert_true(g->t[f->in[0]].scale == out->scale && g->t[f->in[0]].zero == out->zero);
            n_moved++;
        }
        if (f->act == VL_FMT_ACT_RELU) {
            assert_int_equal(out->zero, 0);
            n_relu++;
        }
        if (f->type == VL_FMT_OP_CONV) {
            assert_non_null(g->op[i].q);
            for (size_t k = 0; k < g->op[i].n_weights; k++)
                assert_in_range(g->op[i].q[k] + 127, 0, 254); /* never -128 */
        }
    }
    assert_int_equal(n_moved, 2);
    assert_int_equal(n_relu, 3);
    for (size_t i = 0; i < g->n_out; i++)
        assert_false(g->t[g->out[i].tensor].u8);
    drop(&b);
}

/* Every way to choose a range gives a usable one. */
static void test_methods(void **state) {
    (void)state;
    for (int method = CB_MSE; method <= CB_MAX; method++) {
        built b = {0};
        build(&b, branches, false, (cb_method)method);
        veil_net *a = run(&b, &b.fp32), *q = run(&b, &b.int8);
        en_difference d = {0};
        veil_tensor s, t;
        assert_int_equal(veil_net_output(a, 0, &s), VEIL_OK);
        assert_int_equal(veil_net_output(q, 0, &t), VEIL_OK);
        assert_int_equal(en_compare(&b.m, &s, &t, &d), 0);
        if (en_decibel(&d) < 24)
            fail_msg("method %d: %.1f dB", method, en_decibel(&d));
        veil_net_destroy(a);
        veil_net_destroy(q);
        drop(&b);
    }
}

static void test_no_pictures(void **state) {
    (void)state;
    char empty[] = "/tmp/veil-test-XXXXXX.txt"; /* a list of no pictures */
    int fd = mkstemps(empty, 4);
    assert_true(fd >= 0);
    close(fd);
    const char *const from[] = {NULL, "/nonexistent/folder", empty};
    static const char *const expected[] = {"--calibrate", "/nonexistent/folder", "no pictures"};
    for (size_t i = 0; i < 3; i++) {
        mb m;
        om o;
        size_t size;
        bd_options options = {.precision = WR_INT8, .calibrate = {.pictures = from[i]}};
        bd_result result;
        mb_init(&m, NULL);
        om_begin(&o, &m, 14, 3, CHECK_HEIGHT, CHECK_WIDTH);
        branches(&o);
        uint8_t *bytes = om_end(&o, &size);
        bd_network *net = mb_alloc(&m, 1, sizeof(*net));
        assert_non_null(net);
        assert_int_equal(bd_import(&m, net, bytes, size, &options), 0);
        assert_int_equal(bd_build(&m, net, &options, &result), -1);
        if (!strstr(m.error, expected[i]))
            fail_msg("'%s' instead of '%s'", m.error, expected[i]);
        assert_null(result.model);
        mb_done(&m);
    }
    unlink(empty);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_networks), cmocka_unit_test(test_symmetric),
        cmocka_unit_test(test_scales), cmocka_unit_test(test_methods),
        cmocka_unit_test(test_no_pictures)};
    return cmocka_run_group_tests(tests, write_picture, remove_picture);
}
