/* ONNX files that must be refused with one clear line: truncated, cyclic, inconsistent, hostile, or
 * with operators the engine does not have. */
#include "check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void begin(om *o, mb *m) {
    mb_init(m, NULL);
    om_begin(o, m, 13, 3, CHECK_HEIGHT, CHECK_WIDTH);
    om_conv(o, "x", "c", 3, 8, 3, 1, 1);
}

/* The error must contain each of the texts. */
static void expect(om *o, mb *m, const char *decoder, const char *a, const char *b) {
    size_t size;
    uint8_t *bytes = om_end(o, &size);
    const char *error = check_error(m, bytes, size, decoder);
    if (!strstr(error, a) || !strstr(error, b))
        fail_msg("the error is '%s', without '%s' or '%s'", error, a, b);
    mb_done(m);
}

static void test_not_onnx(void **state) {
    (void)state;
    static const char *const files[] = {"", "hello, I am a text file\n", "\x7f\x45LF\x02\x01\x01"};
    for (size_t i = 0; i < 3; i++) {
        mb m;
        mb_init(&m, NULL);
        const char *e = check_error(&m, (const uint8_t *)files[i], strlen(files[i]), NULL);
        assert_non_null(strstr(e, "not an ONNX file"));
        mb_done(&m);
    }
}

/* Every length of a good file but the whole one: an error or, never, a crash. Some cuts fall
 * between fields, where what is left is a file of its own; then something else must be missing. */
static void test_truncated(void **state) {
    (void)state;
    mb m;
    om o;
    begin(&o, &m);
    om_node(&o, "Relu", "c", "y");
    om_output(&o, "y");
    size_t size;
    uint8_t *bytes = om_end(&o, &size);
    for (size_t n = 0; n < size; n++) {
        uint8_t *part = malloc(n + 1); /* its own block, so that a sanitizer sees reads beyond */
        assert_non_null(part);
        memcpy(part, bytes, n);
        mb k;
        mb_init(&k, NULL);
        check_error(&k, part, n, NULL);
        mb_done(&k);
        free(part);
    }
    mb_done(&m);
}

static void test_cycle(void **state) {
    (void)state;
    mb m;
    om o;
    begin(&o, &m);
    om_node(&o, "Add", "c z", "y");
    om_node(&o, "Relu", "y", "z");
    om_output(&o, "z");
    expect(&o, &m, NULL, "cycle", "node_y");
}

static void test_missing_and_double(void **state) {
    (void)state;
    mb m;
    om o;
    begin(&o, &m);
    om_node(&o, "Add", "c nobody", "y");
    om_output(&o, "y");
    expect(&o, &m, NULL, "'nobody'", "node_y");
    begin(&o, &m);
    om_output(&o, "nobody");
    expect(&o, &m, NULL, "'nobody'", "nowhere");
    begin(&o, &m);
    om_node(&o, "Relu", "c", "c");
    om_output(&o, "c");
    expect(&o, &m, NULL, "two producers", "'c'");
    begin(&o, &m);
    om_conv(&o, "missing", "y", 8, 8, 1, 1, 1);
    om_output(&o, "y");
    expect(&o, &m, NULL, "'missing'", "Conv");
}

static void test_unknown_operator(void **state) {
    (void)state;
    mb m;
    om o;
    begin(&o, &m);
    om_node(&o, "Softplus", "c", "s");
    om_conv(&o, "s", "y", 8, 8, 1, 1, 1);
    om_output(&o, "y");
    expect(&o, &m, NULL, "node_s", "Softplus");
    /* Hidden behind operators that a tail may have. */
    begin(&o, &m);
    om_node(&o, "Softmax", "c", "s");
    om_node(&o, "Exp", "s", "e");
    om_conv(&o, "e", "y", 8, 8, 3, 1, 1);
    om_output(&o, "y");
    expect(&o, &m, NULL, "node_s", "Softmax");
    begin(&o, &m);
    om_node(&o, "Relu", "c", "y")->domain = strcpy(mb_alloc(&m, 16, 1), "com.example");
    om_output(&o, "y");
    expect(&o, &m, NULL, "com.example", "node_y");
    /* Control characters in a name must not reach the terminal. */
    begin(&o, &m);
    om_node(&o, "Softplus", "c", "s")->name = strcpy(mb_alloc(&m, 16, 1), "a\x1b[2J\nb");
    om_output(&o, "s");
    expect(&o, &m, NULL, "a?[2J?b", "Softplus");
}

static void test_dimensions(void **state) {
    (void)state;
    mb m;
    om o;
    static const int64_t huge[][4] = {
        {INT64_MAX, INT64_MAX, 2, 2}, {-1, 3, 3, 3}, {1 << 30, 1 << 30, 1, 1}, {8, 3, 3, 3}};
    for (size_t i = 0; i < 4; i++) {
        mb_init(&m, NULL);
        om_begin(&o, &m, 13, 3, CHECK_HEIGHT, CHECK_WIDTH);
        int64_t one[1] = {1};
        om_floats(&o, "w", 1, one);
        Onnx__TensorProto *t = o.model->graph->initializer[0];
        t->n_dims = 4;
        t->dims = mb_alloc(&m, 4, sizeof(int64_t));
        memcpy(t->dims, huge[i], sizeof(huge[i]));
        om_node(&o, "Conv", "x w", "y");
        om_output(&o, "y");
        expect(&o, &m, NULL, "'w'", "does not have the size");
    }
    mb_init(&m, NULL);
    om_begin(&o, &m, 13, 3, 100, 64);
    om_conv(&o, "x", "y", 3, 8, 3, 1, 1);
    om_output(&o, "y");
    expect(&o, &m, NULL, "64x100", "multiples of 32");
    mb_init(&m, NULL);
    om_begin(&o, &m, 13, 4, 64, 64);
    om_conv(&o, "x", "y", 4, 8, 3, 1, 1);
    om_output(&o, "y");
    expect(&o, &m, NULL, "4 channels", "'x'");
    begin(&o, &m); /* weights for nine channels on a map of eight */
    om_conv(&o, "c", "y", 9, 8, 3, 1, 1);
    om_output(&o, "y");
    expect(&o, &m, NULL, "node_y", "8 input channels");
}

static void test_weights(void **state) {
    (void)state;
    mb m;
    om o;
    begin(&o, &m);
    o.model->graph->initializer[0]->has_data_location = 1;
    o.model->graph->initializer[0]->data_location = 1;
    om_output(&o, "c");
    expect(&o, &m, NULL, "another file", "'c_w'");
    begin(&o, &m);
    o.model->graph->initializer[0]->data_type = 14;
    om_output(&o, "c");
    expect(&o, &m, NULL, "element type 14", "'c_w'");
    begin(&o, &m);
    o.model->graph->initializer[0]->n_float_data--;
    om_output(&o, "c");
    expect(&o, &m, NULL, "does not have the size", "'c_w'");
    begin(&o, &m);
    o.model->graph->initializer[0]->float_data[5] = 0.0f / (float)strlen("");
    om_output(&o, "c");
    expect(&o, &m, NULL, "NaN", "'c_w'");
    begin(&o, &m);
    o.model->graph->initializer[0]->float_data[5] = 1.0f / (float)strlen("");
    om_output(&o, "c");
    expect(&o, &m, NULL, "finite", "node_c");
}

static void test_versions(void **state) {
    (void)state;
    static const int64_t opsets[] = {8, 18, -1};
    for (size_t i = 0; i < 3; i++) {
        mb m;
        om o;
        begin(&o, &m);
        o.model->opset_import[0]->version = opsets[i];
        om_output(&o, "c");
        expect(&o, &m, NULL, "opset", "9 to 17");
    }
}

static void test_outputs(void **state) {
    (void)state;
    mb m;
    om o;
    begin(&o, &m);
    om_output(&o, "c");
    expect(&o, &m, "veil", "8 channels", "wants 6");
    begin(&o, &m);
    om_output(&o, "c");
    expect(&o, &m, "nonsense", "nonsense", "not known");
    begin(&o, &m);
    om_node(&o, "Softmax", "c", "y");
    om_output(&o, "y");
    expect(&o, &m, NULL, "--decoder", "decoded");
    begin(&o, &m);
    om_output(&o, "x");
    expect(&o, &m, NULL, "picture itself", "'x'");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_not_onnx),
                                       cmocka_unit_test(test_truncated),
                                       cmocka_unit_test(test_cycle),
                                       cmocka_unit_test(test_missing_and_double),
                                       cmocka_unit_test(test_unknown_operator),
                                       cmocka_unit_test(test_dimensions),
                                       cmocka_unit_test(test_weights),
                                       cmocka_unit_test(test_versions),
                                       cmocka_unit_test(test_outputs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
