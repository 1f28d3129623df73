/* The writer's bytes are what docs/model-format.md says, field by field. */
#include "emit.h"
#include "mutate.h"
#include "nn/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void layout_is_as_documented(void **state) {
    (void)state;
    emit *e = emit_create();
    assert_non_null(e);
    static const float numbers[] = {1.0f, 2.0f, 3.0f};
    static const int8_t bytes3[] = {1, -2, 3};
    assert_int_equal(emit_meta(e, "key", "value"), 0);
    assert_int_equal(emit_tensor(e, "t", 5, VL_FMT_U8, 0.5f, 7), 1); /* 0 is the input */
    assert_int_equal(emit_blob(e, VL_FMT_F32, numbers, 3), 1);
    assert_int_equal(emit_blob(e, VL_FMT_S8, bytes3, 3), 2);
    emit_op op = {.type = VL_FMT_OP_SLICE, .name = "s", .out = 1, .n_in = 1, .act_b = 2.0f};
    op.weights = 2;
    op.pad_right = 88;
    op.dilation = 96;
    op.p1 = 116;
    assert_int_equal(emit_operator(e, &op), 0);
    assert_int_equal(emit_output(e, "o", 1, 16), 0);
    uint8_t *f;
    size_t size;
    assert_int_equal(emit_finish(e, &f, &size), 0);
    emit_destroy(e);
    assert_memory_equal(f, "VEIL", 4);
    assert_int_equal(mutate_load(f + 4), 1);
    assert_int_equal(mutate_load(f + 8), size);
    static const uint32_t counts[][2] = {{24, 1}, {32, 2}, {40, 2}, {48, 1}, {56, 1}};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(mutate_load(f + counts[i][0]), counts[i][1]);
    static const uint32_t offsets[] = {16, 28, 36, 44, 52, 60, 64};
    uint32_t before = 127;
    for (size_t i = 0; i < 7; i++) {
        uint32_t at = mutate_load(f + offsets[i]);
        assert_int_equal(at % 64, 0);
        assert_true(at > before && at < size);
        before = at;
    }
    const char *strings = (const char *)f + mutate_load(f + 16);
    const uint8_t *meta = f + mutate_load(f + 28), *blobs = f + mutate_load(f + 36);
    const uint8_t *tensors = f + mutate_load(f + 44), *ops = f + mutate_load(f + 52);
    const uint8_t *outputs = f + mutate_load(f + 60), *data = f + mutate_load(f + 64);
    assert_string_equal(strings, "");
    assert_string_equal(strings + mutate_load(meta), "key");
    assert_string_equal(strings + mutate_load(meta + 4), "value");
    assert_string_equal(strings + mutate_load(tensors + 32), "t");
    assert_int_equal(mutate_load(tensors + 4), 3);
    assert_int_equal(mutate_load(tensors + 36), 5);
    assert_int_equal(mutate_load(tensors + 44), 0x3f000000); /* 0.5f */
    assert_int_equal(mutate_load(tensors + 48), 7);
    assert_int_equal(mutate_load(blobs), VL_FMT_F32);
    assert_int_equal(mutate_load(blobs + 12), 12);
    assert_int_equal(mutate_load(blobs + 16), VL_FMT_S8);
    assert_int_equal(mutate_load(blobs + 24), 64); /* the second blob's place */
    assert_memory_equal(data, numbers, sizeof numbers);
    assert_memory_equal(data + 64, bytes3, 3);
    assert_int_equal(mutate_load(ops), VL_FMT_OP_SLICE);
    assert_string_equal(strings + mutate_load(ops + 4), "s");
    assert_int_equal(mutate_load(ops + 8), 1);
    assert_int_equal(mutate_load(ops + 12), 1);
    assert_int_equal(mutate_load(ops + 56), 0x40000000); /* 2.0f */
    assert_int_equal(mutate_load(ops + 88), 88);
    assert_int_equal(mutate_load(ops + 96), 96);
    assert_int_equal(mutate_load(ops + 100), 2);
    assert_int_equal(mutate_load(ops + 116), 116);
    assert_string_equal(strings + mutate_load(outputs), "o");
    assert_int_equal(mutate_load(outputs + 4), 1);
    assert_int_equal(mutate_load(outputs + 8), 16);
    uint32_t crc = mutate_load(f + 12);
    mutate_seal(f, size);
    assert_int_equal(mutate_load(f + 12), crc);
    free(f);
}

static void too_large_is_reported(void **state) {
    (void)state;
    emit *e = emit_create();
    assert_non_null(e);
    static uint8_t big[1 << 20];
    for (int i = 0; i < 70; i++)
        emit_blob(e, VL_FMT_U8, big, sizeof big);
    uint8_t *f;
    size_t size;
    assert_int_equal(emit_finish(e, &f, &size), VEIL_E_NOMEM);
    assert_null(f);
    emit_destroy(e);
    emit_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_is_as_documented),
        cmocka_unit_test(too_large_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
