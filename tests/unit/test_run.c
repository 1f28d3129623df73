/* The engine as a whole: the same integers whatever the level, the threads and the fusion; nothing
 * allocated while running; nothing left over from an earlier run or size; errors instead of crashes
 * when memory fails or calls come in the wrong order. */
#include "cpu.h"
#include "mem.h"
#include "nets.h"
#include "nn/nn.h"
#include "pool.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define WIDTH  96
#define HEIGHT 64

/* A net with all it stands on. */
typedef struct {
    vl_model *model;
    vl_pool *pool;
    vl_net *net;
} stack;

static stack make(net_kind kind, uint32_t cpu_off, int32_t threads, int32_t keep_all) {
    stack s = {0};
    size_t size;
    uint8_t *bytes = net_make(kind, 7, &size);
    assert_non_null(bytes);
    assert_int_equal(vl_model_parse(&s.model, bytes, size), VEIL_OK);
    free(bytes);
    assert_int_equal(vl_pool_create(&s.pool, threads), VEIL_OK);
    assert_int_equal(vl_net_create(&s.net, s.model, s.pool, cpu_off, keep_all), VEIL_OK);
    return s;
}

static void drop(stack *s) {
    vl_net_destroy(s->net);
    vl_pool_destroy(s->pool);
    vl_model_destroy(s->model);
}

static void fill_input(vl_net *net, uint64_t seed) {
    random_source r = random_from(seed);
    uint8_t *in = vl_net_input(net);
    for (int32_t i = 0; i < vl_net_width(net) * vl_net_height(net) * 4; i++)
        in[i] = (uint8_t)random_bits(&r);
}

/* Output i packed without strides; the caller frees it. */
static float *copy_output(const vl_net *net, size_t i, size_t *n) {
    veil_tensor t;
    assert_int_equal(vl_net_output(net, i, &t), VEIL_OK);
    assert_int_equal(t.is_u8, 0);
    *n = (size_t)t.height * (size_t)t.width * (size_t)t.channels;
    float *copy = malloc(*n * sizeof *copy), *to = copy;
    assert_non_null(copy);
    for (int32_t y = 0; y < t.height; y++) {
        for (int32_t x = 0; x < t.width; x++, to += t.channels)
            memcpy(to, (const float *)t.data + y * t.row_stride + x * t.pixel_stride,
                   (size_t)t.channels * sizeof *to);
    }
    return copy;
}

typedef struct {
    float *values[2];
    size_t n[2];
} results;

static results run(stack *s, int32_t width, int32_t height) {
    assert_int_equal(vl_net_set_size(s->net, width, height), VEIL_OK);
    fill_input(s->net, 3);
    assert_int_equal(vl_net_run(s->net), VEIL_OK);
    assert_int_equal(vl_net_outputs(s->net), 2);
    results r;
    for (size_t i = 0; i < 2; i++)
        r.values[i] = copy_output(s->net, i, &r.n[i]);
    return r;
}

static void free_results(results *r) {
    free(r->values[0]);
    free(r->values[1]);
}

static void check_equal(const results *a, const results *b, float allowed) {
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(a->n[i], b->n[i]);
        float largest = 0.0f;
        for (size_t k = 0; k < a->n[i]; k++) {
            if (!(fabsf(a->values[i][k] - b->values[i][k]) <= allowed))
                fail_msg("output %zu, value %zu: %g and %g", i, k, (double)a->values[i][k],
                         (double)b->values[i][k]);
            largest = fabsf(a->values[i][k]) > largest ? fabsf(a->values[i][k]) : largest;
        }
        assert_true(largest > 0.01f); /* a net that gives nothing would prove nothing */
    }
}

static const uint32_t offs[] = {
    VEIL_CPU_ALL,        ~VEIL_CPU_AVX2, ~(VEIL_CPU_AVX2 | VEIL_CPU_AVXVNNI),
    VEIL_CPU_AVX512VNNI, ~VEIL_CPU_NEON, 0};

static void same_everywhere(net_kind kind, float allowed) {
    stack plain = make(kind, VEIL_CPU_ALL, 1, 1);
    results want = run(&plain, WIDTH, HEIGHT);
    for (size_t i = 0; i < sizeof offs / sizeof offs[0]; i++) {
        bool seen = false; /* with another mask: this processor lacks what they differ in */
        for (size_t k = 0; k < i; k++)
            seen = seen || vl_cpu_levels(offs[k]) == vl_cpu_levels(offs[i]);
        if (seen)
            continue;
        for (int32_t threads = 1; threads <= 4; threads++) {
            for (int32_t keep_all = 0; keep_all <= 1; keep_all++) {
                stack s = make(kind, offs[i], threads, keep_all);
                results got = run(&s, WIDTH, HEIGHT);
                check_equal(&want, &got, allowed);
                free_results(&got);
                drop(&s);
            }
        }
    }
    free_results(&want);
    drop(&plain);
}

static void integers_same_everywhere(void **state) {
    (void)state;
    same_everywhere(NET_INTEGER, 0.0f);
}

static void floats_nearly_same_everywhere(void **state) {
    (void)state;
    same_everywhere(NET_FLOAT, 2e-5f);
}

/* A float convolution between bytes may round the other way: one step, 0.03, carried on. */
static void mixed_nearly_same_everywhere(void **state) {
    (void)state;
    same_everywhere(NET_MIXED, 0.09f);
}

static void nothing_left_over(void **state) {
    (void)state;
    for (net_kind kind = NET_FLOAT; kind <= NET_MIXED; kind++) {
        stack s = make(kind, 0, 2, 0);
        results first = run(&s, WIDTH, HEIGHT);
        results again = run(&s, WIDTH, HEIGHT);
        results other = run(&s, 160, 32);
        assert_int_not_equal(other.n[0], first.n[0]);
        results back = run(&s, WIDTH, HEIGHT);
        check_equal(&first, &again, 0.0f);
        check_equal(&first, &back, 0.0f);
        free_results(&first);
        free_results(&again);
        free_results(&other);
        free_results(&back);
        drop(&s);
    }
}

static int allocations;

static int count_allocation(void) {
    allocations++;
    return 0;
}

static void running_allocates_nothing(void **state) {
    (void)state;
    for (net_kind kind = NET_FLOAT; kind <= NET_MIXED; kind++) {
        stack s = make(kind, 0, 2, 0);
        assert_int_equal(vl_net_set_size(s.net, WIDTH, HEIGHT), VEIL_OK);
        assert_int_equal(vl_net_run(s.net), VEIL_OK);
        allocations = 0;
        vl_mem_fail = count_allocation;
        struct mallinfo2 before = mallinfo2();
        for (int i = 0; i < 100; i++)
            assert_int_equal(vl_net_run(s.net), VEIL_OK);
        struct mallinfo2 after = mallinfo2();
        vl_mem_fail = NULL;
        assert_int_equal(allocations, 0);
        assert_int_equal(after.uordblks, before.uordblks);
        assert_int_equal(after.hblkhd, before.hblkhd);
        drop(&s);
    }
}

static int fail_after;

static int fail_nth(void) {
    return fail_after-- <= 0;
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    size_t size;
    uint8_t *bytes = net_make(NET_MIXED, 7, &size);
    assert_non_null(bytes);
    int err = VEIL_E_NOMEM, n;
    for (n = 0; err != VEIL_OK && n < 10000; n++) {
        vl_model *model = NULL;
        vl_net *net = NULL;
        fail_after = n;
        vl_mem_fail = fail_nth;
        err = vl_model_parse(&model, bytes, size);
        if (err == VEIL_OK)
            err = vl_net_create(&net, model, NULL, 0, 0);
        if (err == VEIL_OK)
            err = vl_net_set_size(net, WIDTH, HEIGHT);
        vl_mem_fail = NULL;
        assert_true(err == VEIL_OK || err == VEIL_E_NOMEM);
        if (net != NULL && err != VEIL_OK) {
            assert_null(vl_net_input(net));
            assert_int_equal(vl_net_run(net), VEIL_E_STATE);
            assert_int_equal(vl_net_set_size(net, WIDTH, HEIGHT), VEIL_OK); /* recovers */
            assert_int_equal(vl_net_run(net), VEIL_OK);
        }
        vl_net_destroy(net);
        vl_model_destroy(model);
    }
    assert_int_equal(err, VEIL_OK);
    assert_true(n > 20);
    free(bytes);
}

static void wrong_calls_are_errors(void **state) {
    (void)state;
    stack s = make(NET_INTEGER, 0, 1, 0);
    veil_tensor t;
    veil_layer l;
    size_t arena, weights;
    assert_null(vl_net_input(s.net));
    assert_int_equal(vl_net_run(s.net), VEIL_E_STATE);
    assert_int_equal(vl_net_output(s.net, 0, &t), VEIL_E_STATE);
    assert_int_equal(vl_net_layer(s.net, 0, &l), VEIL_E_STATE);
    assert_int_equal(vl_net_memory(s.net, &arena, &weights), VEIL_E_STATE);
    static const int32_t bad[][2] = {{0, 32}, {32, 0}, {31, 32}, {33, 32}, {4128, 32}, {-32, 32}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(vl_net_set_size(s.net, bad[i][0], bad[i][1]), VEIL_E_SIZE);
    assert_int_equal(vl_net_set_size(s.net, 64, 32), VEIL_OK);
    assert_int_equal(vl_net_tensor(s.net, 1, &t), VEIL_E_STATE); /* needs keep_all */
    assert_int_equal(vl_net_output(s.net, 2, &t), VEIL_E_NOT_FOUND);
    assert_int_equal(vl_net_layer(s.net, vl_net_layers(s.net), &l), VEIL_E_NOT_FOUND);
    assert_int_equal(vl_net_layer(s.net, 0, &l), VEIL_OK);
    assert_int_equal(l.macs, 32 * 16 * 16 * 27);
    assert_int_equal(vl_net_memory(s.net, &arena, &weights), VEIL_OK);
    assert_true(arena > 0 && weights > 0);
    drop(&s);
}

static int64_t ticks;

static int64_t tick(void) {
    return ticks += 10;
}

static void profile_counts_every_layer(void **state) {
    (void)state;
    stack s = make(NET_INTEGER, 0, 1, 0);
    vl_net_set_clock(s.net, tick);
    assert_int_equal(vl_net_set_size(s.net, 64, 32), VEIL_OK);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(vl_net_run(s.net), VEIL_OK);
        int64_t sum = 0;
        veil_layer l;
        for (size_t i = 0; vl_net_layer(s.net, i, &l) == VEIL_OK; i++) {
            sum += l.time_ns;
            if (l.macs > 0)
                assert_true(l.time_ns > 0 && l.time_ns % 10 == 0);
        }
        assert_true(sum >= 10 * 9 && sum < 10 * 60);
    }
    drop(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_same_everywhere),
        cmocka_unit_test(floats_nearly_same_everywhere),
        cmocka_unit_test(mixed_nearly_same_everywhere),
        cmocka_unit_test(nothing_left_over),
        cmocka_unit_test(running_allocates_nothing),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(wrong_calls_are_errors),
        cmocka_unit_test(profile_counts_every_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
