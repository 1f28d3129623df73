/* Pooling and addition at every level against the C twin: the same bytes and floats for odd sizes,
 * windows that cross the edges, extreme values; nothing written beside the outputs. */
#include "cpu.h"
#include "levels.h"
#include "mem.h"
#include "nn/dsp.h"
#include "random.h"
#include "veil.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CANARY 0x5a
#define SPACE  (1 << 17) /* bytes of each tensor */

/* Memory of one case: two inputs, the C twin's output and the level's. */
typedef struct {
    uint8_t *a, *b, *want, *got;
} memory;

static memory make_memory(random_source *r, bool floats, int32_t fill) {
    memory m = {vl_mem_alloc(SPACE, 1), vl_mem_alloc(SPACE, 1), vl_mem_alloc(SPACE, 1),
                vl_mem_alloc(SPACE, 1)};
    assert_true(m.a != NULL && m.b != NULL && m.want != NULL && m.got != NULL);
    for (int32_t i = 0; i < SPACE / 4 && floats; i++) {
        ((float *)(void *)m.a)[i] = random_float(r, -3.0f, 3.0f);
        ((float *)(void *)m.b)[i] = random_float(r, -3.0f, 3.0f);
    }
    for (int32_t i = 0; i < SPACE && !floats; i++) {
        m.a[i] = (uint8_t)(fill == 0 ? random_int(r, 0, 255) : fill == 1 ? 0 : 255);
        m.b[i] = (uint8_t)(fill == 0 ? random_int(r, 0, 255) : fill == 1 ? 255 : 0);
    }
    memset(m.want, CANARY, SPACE);
    return m;
}

static void free_memory(memory *m) {
    vl_mem_free(m->a);
    vl_mem_free(m->b);
    vl_mem_free(m->want);
    vl_mem_free(m->got);
}

/* Bytes of the output that a case may write: [channels * item] of each pixel. */
static void check_canaries(const uint8_t *out, ptrdiff_t row, ptrdiff_t pixel, int32_t height,
                           int32_t width, ptrdiff_t used) {
    for (ptrdiff_t i = 0; i < SPACE; i++) {
        bool inside = i / row < height && i % row / pixel < width && i % row % pixel < used;
        if (!inside && out[i] != CANARY)
            fail_msg("byte %td beside the output was written", i);
    }
}

static void pool_case(random_source *r, bool floats, int32_t fill) {
    const ptrdiff_t item = floats ? 4 : 1;
    memory m = make_memory(r, floats, fill);
    vl_pooling p = {.in = m.a,
                    .in_height = random_int(r, 1, 13),
                    .in_width = random_int(r, 1, 13),
                    .channels = random_int(r, 1, 100),
                    .kh = random_int(r, 1, 5),
                    .kw = random_int(r, 1, 5),
                    .sh = random_int(r, 1, 2),
                    .sw = random_int(r, 1, 2)};
    p.pad_top = random_int(r, 0, p.kh - 1);
    p.pad_left = random_int(r, 0, p.kw - 1);
    int32_t height = (p.in_height + 2 * p.pad_top - p.kh) / p.sh + 1;
    p.width = (p.in_width + 2 * p.pad_left - p.kw) / p.sw + 1;
    if (p.in_height + 2 * p.pad_top >= p.kh && p.in_width + 2 * p.pad_left >= p.kw) {
        /* windows wholly in the padding do not occur: it is narrower than the window */
        p.in_pixel = (p.channels + random_int(r, 0, 3)) * item;
        p.in_row = p.in_pixel * p.in_width;
        p.out_pixel = (p.channels + random_int(r, 1, 5)) * item;
        p.out_row = p.out_pixel * (p.width + 1);
        vl_dsp dsp;
        vl_dsp_init(&dsp, 0);
        p.out = m.want;
        (floats ? dsp.maxpool_f32 : dsp.maxpool_u8)(&p, 0, height);
        check_canaries(m.want, p.out_row, p.out_pixel, height, p.width, p.channels * item);
        for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
            if ((levels[i] & ~vl_cpu_levels(0)) != 0)
                continue;
            vl_dsp_init(&dsp, levels[i]);
            memset(m.got, CANARY, SPACE);
            p.out = m.got;
            (floats ? dsp.maxpool_f32 : dsp.maxpool_u8)(&p, 0, height / 2);
            (floats ? dsp.maxpool_f32 : dsp.maxpool_u8)(&p, height / 2, height);
            assert_memory_equal(m.got, m.want, SPACE);
        }
    }
    free_memory(&m);
}

static void add_case(random_source *r, bool floats, int32_t fill) {
    const ptrdiff_t item = floats ? 4 : 1;
    const int32_t height = random_int(r, 1, 9);
    memory m = make_memory(r, floats, fill);
    vl_addition a = {.a = m.a,
                     .b = m.b,
                     .width = random_int(r, 1, 13),
                     .channels = random_int(r, 1, 100),
                     .res_a = random_float(r, 0.1f, 2.0f),
                     .res_b = random_float(r, 0.1f, 2.0f),
                     .res_c = random_float(r, -100.0f, 100.0f),
                     .low = (float)random_int(r, 0, 40),
                     .high = (float)random_int(r, 200, 255)};
    a.a_pixel = (a.channels + random_int(r, 0, 3)) * item;
    a.b_pixel = (a.channels + random_int(r, 0, 3)) * item;
    a.out_pixel = (a.channels + random_int(r, 1, 5)) * item;
    a.a_row = a.a_pixel * a.width;
    a.b_row = a.b_pixel * (a.width + 2);
    a.out_row = a.out_pixel * (a.width + 1);
    vl_dsp dsp;
    vl_dsp_init(&dsp, 0);
    a.out = m.want;
    (floats ? dsp.add_f32 : dsp.add_u8)(&a, 0, height);
    check_canaries(m.want, a.out_row, a.out_pixel, height, a.width, a.channels * item);
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if ((levels[i] & ~vl_cpu_levels(0)) != 0)
            continue;
        vl_dsp_init(&dsp, levels[i]);
        memset(m.got, CANARY, SPACE);
        a.out = m.got;
        (floats ? dsp.add_f32 : dsp.add_u8)(&a, 0, height / 2);
        (floats ? dsp.add_f32 : dsp.add_u8)(&a, height / 2, height);
        assert_memory_equal(m.got, m.want, SPACE);
    }
    free_memory(&m);
}

static void pooling(void **state) {
    (void)state;
    random_source r = random_from(1);
    for (int32_t i = 0; i < 200; i++)
        pool_case(&r, i % 2 == 0, i % 3);
}

static void addition(void **state) {
    (void)state;
    random_source r = random_from(2);
    for (int32_t i = 0; i < 200; i++)
        add_case(&r, i % 2 == 0, i % 3);
}

/* The C twin itself, by hand. */
static void c_twin(void **state) {
    (void)state;
    vl_dsp dsp;
    vl_dsp_init(&dsp, 0);
    uint8_t in[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, out[9];
    vl_pooling p = {in, 3, 1, 3, 3, out, 3, 1, 3, 1, 3, 3, 1, 1, 1, 1};
    dsp.maxpool_u8(&p, 0, 3);
    static const uint8_t largest[] = {5, 6, 6, 8, 9, 9, 8, 9, 9};
    assert_memory_equal(out, largest, 9);
    uint8_t x[4] = {0, 10, 100, 255}, y[4] = {0, 20, 200, 255};
    vl_addition a = {x, y, 4, 1, 4, 1, out, 4, 1, 4, 1, 0.5f, 1.0f, -3.0f, 5.0f, 250.0f};
    dsp.add_u8(&a, 0, 1);
    static const uint8_t sums[] = {5, 22, 247, 250}; /* -3, 22, 247, 379.5 clamped */
    assert_memory_equal(out, sums, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c_twin),
        cmocka_unit_test(pooling),
        cmocka_unit_test(addition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
