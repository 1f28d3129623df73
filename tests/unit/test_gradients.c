/* The reverse pass against PyTorch's gradients of the same exported network (train/gradients.py).
 * usage: test_gradients MODEL.veil REFERENCE.bin */
#include "nn/floats.h"
#include "nn/grad.h"
#include "nn/nn.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WIDTH   64
#define HEIGHT  32
#define N_SEEDS 4

static const char *model_path, *reference_path;

/* A file of at most `cap` bytes. */
static size_t read_file(const char *path, uint8_t *to, size_t cap) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(to, 1, cap, f);
    fclose(f);
    return n;
}

static void same_as_pytorch(void **state) {
    (void)state;
    enum { PIXELS = WIDTH * HEIGHT * 3, FLOATS = N_SEEDS * 5 + PIXELS };
    static uint8_t model_bytes[1 << 20], bytes[PIXELS + FLOATS * 4 + 1];
    static float numbers[FLOATS];
    size_t model_size = read_file(model_path, model_bytes, sizeof model_bytes);
    assert_int_equal(read_file(reference_path, bytes, sizeof bytes), PIXELS + FLOATS * 4);
    memcpy(numbers, bytes + PIXELS, sizeof numbers); /* little-endian, as all our machines */
    const float *seeds = numbers, *want = numbers + (ptrdiff_t)N_SEEDS * 5;
    vl_model *model, *twin;
    vl_net *net;
    vl_grad *grad;
    vl_gradient g;
    assert_int_equal(vl_model_parse(&model, model_bytes, model_size), VEIL_OK);
    assert_int_equal(vl_floats_create(&twin, model, 0), VEIL_OK);
    assert_int_equal(vl_net_create(&net, twin, NULL, 0, 1), VEIL_OK);
    assert_int_equal(vl_net_set_size(net, WIDTH, HEIGHT), VEIL_OK);
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        memcpy(vl_net_input(net) + (ptrdiff_t)i * 4, bytes + (ptrdiff_t)i * 3, 3);
    assert_int_equal(vl_net_run(net), VEIL_OK);
    assert_int_equal(vl_grad_create(&grad, net), VEIL_OK);
    for (int i = 0; i < N_SEEDS; i++, seeds += 5)
        assert_int_equal(vl_grad_seed(grad, twin->outs[(int)seeds[0]].value, (int32_t)seeds[1],
                                      (int32_t)seeds[2], (int32_t)seeds[3], seeds[4]),
                         VEIL_OK);
    assert_int_equal(vl_grad_run(grad, 0, &g), VEIL_OK);
    float largest = 0.0f, off = 0.0f;
    for (int i = 0; i < PIXELS; i++) {
        largest = fmaxf(largest, fabsf(want[i]));
        off = fmaxf(off, fabsf(want[i] - g.data[i]));
    }
    assert_true(largest > 0.001f);
    if (!(off < 1e-3f * largest))
        fail_msg("differs by %g of the largest gradient", (double)(off / largest));
    print_message("largest difference: %.2g of the largest gradient\n", (double)(off / largest));
    vl_grad_destroy(grad);
    vl_net_destroy(net);
    vl_model_destroy(twin);
    vl_model_destroy(model);
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    model_path = argv[1];
    reference_path = argv[2];
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_as_pytorch)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
