/* Every ONNX operator that modelbuild knows, in a small graph, through the engine in fp32 against
 * the plain evaluation; and that what should be fused or folded away is gone. */
#include "check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define TOLERANCE 2e-5

/* A test's graph: input x (1,3,32,64), and a convolution to eight channels c (values around zero).
 */
static void begin(om *o, mb *m) {
    mb_init(m, NULL);
    om_begin(o, m, 13, 3, CHECK_HEIGHT, CHECK_WIDTH);
    om_conv(o, "x", "c", 3, 8, 3, 1, 1);
}

/* Ends the graph at y; n_ops: operators the model should have. */
static void end(om *o, mb *m, size_t n_ops) {
    om_output(o, "y");
    size_t n = check_same(o, TOLERANCE);
    assert_int_equal(n, n_ops);
    mb_done(m);
}

static void test_conv(void **state) {
    (void)state;
    static const struct {
        int64_t k, stride, groups, out;
    } cases[] = {{1, 1, 1, 16}, {3, 1, 1, 5},  {3, 2, 1, 24}, {5, 1, 8, 8}, {3, 2, 8, 8},
                 {7, 2, 1, 9},  {3, 1, 4, 12}, {6, 2, 1, 16}, {1, 2, 1, 7}, {5, 2, 8, 8}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mb m;
        om o;
        begin(&o, &m);
        om_conv(&o, "c", "y", 8, cases[i].out, cases[i].k, cases[i].stride, cases[i].groups);
        end(&o, &m, 2);
    }
}

static void test_conv_attributes(void **state) {
    (void)state;
    static const char *const pads[] = {"SAME_UPPER", "SAME_LOWER", "VALID"};
    for (size_t i = 0; i < 5; i++) {
        mb m;
        om o;
        begin(&o, &m);
        OM_RANDOM(&o, "w", -0.2f, 0.3f, 6, 8, 3, 5);
        Onnx__NodeProto *n = om_node(&o, "Conv", "c w", "y");
        if (i < 3) {
            om_text(&o, n, "auto_pad", pads[i]);
            OM_INTS(&o, n, "strides", 2, 2);
        } else if (i == 3) {
            OM_INTS(&o, n, "pads", 0, 1, 2, 3);
        } else {
            OM_INTS(&o, n, "dilations", 2, 2);
            OM_INTS(&o, n, "pads", 2, 4, 2, 4);
        }
        end(&o, &m, 2);
    }
}

static void test_batch_norm(void **state) {
    (void)state;
    for (int before = 0; before < 2; before++) {
        mb m;
        om o;
        begin(&o, &m);
        if (before) /* a second reader keeps it from being folded back */
            om_node(&o, "Sigmoid", "c", "s");
        OM_RANDOM(&o, "g", 0.5f, 2, 8);
        OM_RANDOM(&o, "b", -1, 1, 8);
        OM_RANDOM(&o, "mean", -1, 1, 8);
        OM_RANDOM(&o, "var", 0.1f, 2, 8);
        om_node(&o, "BatchNormalization", "c g b mean var", before ? "n" : "y");
        if (before) {
            om_conv(&o, "n", "k", 8, 8, 3, 1, 1); /* padded: the offset may not be folded forward */
            om_node(&o, "Add", "k s", "y");
        }
        end(&o, &m, before ? 5 : 1);
    }
}

static void test_activations(void **state) {
    (void)state;
    static const char *const ops[] = {"Relu", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish"};
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        for (int alone = 0; alone < 2; alone++) {
            mb m;
            om o;
            begin(&o, &m);
            o.model->opset_import[0]->version = 14;
            Onnx__NodeProto *n = om_node(&o, ops[i], "c", alone ? "a" : "y");
            if (i == 1)
                om_float(&o, n, "alpha", 0.1f);
            if (i == 3)
                om_float(&o, n, "alpha", 0.3f);
            if (alone) /* c is read twice, so the activation stays an operator */
                om_node(&o, "Add", "a c", "y");
            end(&o, &m, alone ? 3 : 1);
        }
}

static void test_clip_and_prelu(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        mb m;
        om o;
        begin(&o, &m);
        om_scalar(&o, "low", i == 0 ? 0 : -0.25f);
        om_scalar(&o, "high", 0.5f);
        if (i < 2) {
            om_node(&o, "Clip", i ? "c low high" : "c low -", "y");
        } else {
            OM_RANDOM(&o, "slope", 0.1f, i == 2 ? 0.1f : 0.6f, 8, 1, 1);
            om_node(&o, "PRelu", "c slope", "y");
        }
        end(&o, &m, i == 3 ? 2 : 1);
    }
}

/* x * sigmoid(x), and the hard swish as older exporters write it. */
static void test_gates(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        mb m;
        om o;
        begin(&o, &m);
        om_scalar(&o, "three", 3);
        om_scalar(&o, "zero", 0);
        om_scalar(&o, "six", 6);
        if (i == 0) {
            om_node(&o, "Sigmoid", "c", "s");
            om_node(&o, "Mul", "s c", "y");
        } else if (i == 1) {
            om_float(&o, om_node(&o, "HardSigmoid", "c", "s"), "alpha", 1.0f / 6);
            om_node(&o, "Mul", "c s", "y");
        } else {
            om_node(&o, "Add", "c three", "t");
            om_node(&o, "Clip", "t zero six", "u");
            om_node(&o, i == 2 ? "Mul" : "Div", i == 2 ? "c u" : "u six", "v");
            om_node(&o, i == 2 ? "Div" : "Mul", i == 2 ? "v six" : "c v", "y");
        }
        end(&o, &m, 1);
    }
}

static void test_pools(void **state) {
    (void)state;
    for (int i = 0; i < 8; i++) {
        mb m;
        om o;
        begin(&o, &m);
        Onnx__NodeProto *n = om_node(&o,
                                     i == 7  ? "GlobalAveragePool"
                                     : i < 4 ? "MaxPool"
                                             : "AveragePool",
                                     "c", i == 7 ? "g" : "y");
        int64_t k = i == 1 ? 5 : i == 3 || i == 6 ? 3 : 2;
        OM_INTS(&o, n, "kernel_shape", k, k);
        if (i != 1)
            OM_INTS(&o, n, "strides", 2, 2);
        if (i == 1)
            OM_INTS(&o, n, "pads", 2, 2, 2, 2);
        if (i == 2 || i == 5)
            om_text(&o, n, "auto_pad", "SAME_UPPER");
        if (i == 3)
            om_int(&o, n, "ceil_mode", 1);
        if (i == 6) {
            OM_INTS(&o, n, "pads", 1, 1, 1, 1);
            om_int(&o, n, "count_include_pad", 1);
        }
        if (i == 7) /* squeeze and excite */
            om_node(&o, "Mul", "c g", "y");
        end(&o, &m, i == 7 ? 3 : 2);
    }
}

static void test_resize(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        mb m;
        om o;
        begin(&o, &m);
        float *s = om_floats(&o, "scales", 1, (int64_t[]){4});
        s[0] = s[1] = 1;
        s[2] = s[3] = i == 1 ? 4 : 2;
        OM_WHOLE(&o, "sizes", 1, 8, 2 * CHECK_HEIGHT, 2 * CHECK_WIDTH);
        Onnx__NodeProto *n = om_node(&o, "Resize", i == 2 ? "c - - sizes" : "c - scales", "y");
        om_text(&o, n, "mode", i == 3 ? "linear" : "nearest");
        if (i < 2) {
            om_text(&o, n, "coordinate_transformation_mode", "asymmetric");
            om_text(&o, n, "nearest_mode", "floor");
        } else {
            om_text(&o, n, "coordinate_transformation_mode",
                    i == 2 ? "half_pixel" : "pytorch_half_pixel");
        }
        end(&o, &m, 2);
    }
}

static void test_arithmetic(void **state) {
    (void)state;
    /* The operators, and how many are left: constants go into the convolution. */
    static const struct {
        const char *op, *in;
        size_t n_ops;
    } cases[] = {{"Add", "c v", 1}, {"Add", "s c", 1}, {"Sub", "c v", 1}, {"Sub", "v c", 1},
                 {"Mul", "c v", 1}, {"Mul", "s c", 1}, {"Div", "c v", 1}, {"Neg", "c", 1},
                 {"Add", "c d", 3}, {"Sub", "c d", 3}, {"Mul", "c d", 3}, {"Sum", "c d", 3}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mb m;
        om o;
        begin(&o, &m);
        om_conv(&o, "x", "d", 3, 8, 1, 1, 1);
        OM_RANDOM(&o, "v", 0.5f, 2, 1, 8, 1, 1);
        om_scalar(&o, "s", 1.5f);
        om_node(&o, cases[i].op, cases[i].in, "y");
        end(&o, &m, cases[i].n_ops);
    }
}

/* A factor before a convolution goes into it, an offset only when nothing is padded. */
static void test_scale_before_conv(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        mb m;
        om o;
        mb_init(&m, NULL);
        om_begin(&o, &m, 13, 3, CHECK_HEIGHT, CHECK_WIDTH);
        OM_RANDOM(&o, "v", 0.5f, 2, 1, 3, 1, 1);
        om_node(&o, i == 0 ? "Mul" : "Add", "x v", "n");
        om_conv(&o, "n", "y", 3, 8, i == 1 ? 1 : 3, 1, 1);
        end(&o, &m, i == 2 ? 2 : 1);
    }
}

static void test_channels(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        mb m;
        om o;
        begin(&o, &m);
        if (i < 2) {
            OM_WHOLE(&o, "parts", 3, 5);
            om_int(&o, om_node(&o, "Split", i ? "c parts" : "c", "a b"), "axis", 1);
            om_int(&o, om_node(&o, "Concat", "b a c", "y"), "axis", 1);
        } else if (i == 2) {
            OM_WHOLE(&o, "start", 2);
            OM_WHOLE(&o, "end", -1);
            OM_WHOLE(&o, "axis", 1);
            om_node(&o, "Slice", "c start end axis", "y");
        } else { /* more inputs than one operator of the engine takes */
            om_int(&o, om_node(&o, "Concat", "c c c c c c c c c c", "y"), "axis", 1);
        }
        end(&o, &m, i == 2 ? 2 : i == 3 ? 3 : 4);
    }
}

static void test_shuffle(void **state) {
    (void)state;
    mb m;
    om o;
    begin(&o, &m);
    OM_WHOLE(&o, "split", 1, 2, 4, CHECK_HEIGHT, CHECK_WIDTH);
    OM_WHOLE(&o, "join", 1, -1, CHECK_HEIGHT, CHECK_WIDTH);
    om_node(&o, "Reshape", "c split", "r");
    OM_INTS(&o, om_node(&o, "Transpose", "r", "t"), "perm", 0, 2, 1, 3, 4);
    om_node(&o, "Reshape", "t join", "y");
    end(&o, &m, 2);
}

static void test_focus(void **state) {
    (void)state;
    mb m;
    om o;
    mb_init(&m, NULL);
    om_begin(&o, &m, 11, 3, CHECK_HEIGHT, CHECK_WIDTH);
    OM_WHOLE(&o, "0", 0);
    OM_WHOLE(&o, "1", 1);
    OM_WHOLE(&o, "2", 2);
    OM_WHOLE(&o, "3", 3);
    OM_WHOLE(&o, "all", INT64_MAX);
    om_node(&o, "Slice", "x 0 all 2 2", "e");
    om_node(&o, "Slice", "x 1 all 2 2", "o");
    om_node(&o, "Slice", "e 0 all 3 2", "ee");
    om_node(&o, "Slice", "o 0 all 3 2", "oe");
    om_node(&o, "Slice", "e 1 all 3 2", "eo");
    om_node(&o, "Slice", "o 1 all 3 2", "oo");
    om_int(&o, om_node(&o, "Concat", "ee oe eo oo", "f"), "axis", 1);
    om_conv(&o, "f", "y", 12, 8, 3, 1, 1);
    end(&o, &m, 2);
}

static void test_pad_and_no_ops(void **state) {
    (void)state;
    mb m;
    om o;
    begin(&o, &m);
    OM_WHOLE(&o, "pads", 0, 0, 1, 2, 0, 0, 2, 1);
    om_node(&o, "Pad", "c pads", "p");
    OM_RANDOM(&o, "w", -0.3f, 0.3f, 4, 8, 5, 5);
    om_node(&o, "Conv", "p w", "k");
    om_node(&o, "Identity", "k", "i");
    om_node(&o, "Dropout", "i", "d");
    om_int(&o, om_node(&o, "Cast", "d", "y"), "to", 1);
    end(&o, &m, 2);
}

/* Nodes in the wrong order, as the format forbids but files do. */
static void test_order(void **state) {
    (void)state;
    mb m;
    om o;
    begin(&o, &m);
    om_node(&o, "Relu", "c", "r");
    om_conv(&o, "r", "d", 8, 8, 3, 1, 1);
    om_node(&o, "Sigmoid", "d", "s");
    om_node(&o, "Mul", "d s", "t");
    om_node(&o, "Add", "t r", "y");
    Onnx__GraphProto *g = o.model->graph;
    for (size_t i = 0; i < g->n_node / 2; i++) {
        Onnx__NodeProto *swap = g->node[i];
        g->node[i] = g->node[g->n_node - 1 - i];
        g->node[g->n_node - 1 - i] = swap;
    }
    end(&o, &m, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),           cmocka_unit_test(test_conv_attributes),
        cmocka_unit_test(test_batch_norm),     cmocka_unit_test(test_activations),
        cmocka_unit_test(test_clip_and_prelu), cmocka_unit_test(test_gates),
        cmocka_unit_test(test_pools),          cmocka_unit_test(test_resize),
        cmocka_unit_test(test_arithmetic),     cmocka_unit_test(test_scale_before_conv),
        cmocka_unit_test(test_channels),       cmocka_unit_test(test_shuffle),
        cmocka_unit_test(test_focus),          cmocka_unit_test(test_pad_and_no_ops),
        cmocka_unit_test(test_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
