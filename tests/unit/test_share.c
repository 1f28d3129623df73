/* Models and packed weights are kept once a process: a second net adds only its arena, gives the
 * same results, may be destroyed in any order, from any thread, and whenever memory fails. */
#include "mem.h"
#include "net.h"
#include "nets.h"
#include "nn/nn.h"
#include "nn/plan.h"

#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define WIDTH  64
#define HEIGHT 32

typedef struct {
    vl_model *model;
    vl_net *net;
} user;

static int make(user *u, const uint8_t *bytes, size_t size, uint32_t cpu_off) {
    *u = (user){0};
    int err = vl_model_parse(&u->model, bytes, size);
    if (err == VEIL_OK)
        err = vl_net_create(&u->net, u->model, NULL, cpu_off, 0);
    if (err == VEIL_OK)
        err = vl_net_set_size(u->net, WIDTH, HEIGHT);
    return err;
}

static void drop(user *u) {
    vl_net_destroy(u->net);
    vl_model_destroy(u->model);
    *u = (user){0};
}

/* A number that stands for everything both outputs hold after a run; 0: the run failed. No
 * assertions: threads call it. */
static uint64_t digest(vl_net *net) {
    uint8_t *in = vl_net_input(net);
    for (int32_t i = 0; i < WIDTH * HEIGHT * 4; i++)
        in[i] = (uint8_t)(i * 7 + i / 61);
    uint64_t h = 14695981039346656037u;
    if (vl_net_run(net) != VEIL_OK)
        return 0;
    for (size_t k = 0; k < vl_net_outputs(net); k++) {
        veil_tensor t;
        if (vl_net_output(net, k, &t) != VEIL_OK)
            return 0;
        for (int32_t y = 0; y < t.height; y++) {
            for (int32_t x = 0; x < t.width; x++) {
                const float *p = (const float *)t.data + y * t.row_stride + x * t.pixel_stride;
                for (int32_t c = 0; c < t.channels; c++) {
                    uint32_t bits;
                    memcpy(&bits, p + c, sizeof bits);
                    h = (h ^ bits) * 1099511628211u;
                }
            }
        }
    }
    return h;
}

static uint8_t *file(net_kind kind, uint64_t seed, size_t *size) {
    uint8_t *bytes = net_make(kind, seed, size);
    assert_non_null(bytes);
    return bytes;
}

static int allocations;

static int count_allocation(void) {
    allocations++;
    return 0;
}

/* How many allocations it takes. */
static int count_make(user *u, const uint8_t *bytes, size_t size) {
    allocations = 0;
    vl_mem_fail = count_allocation;
    int err = make(u, bytes, size, 0);
    vl_mem_fail = NULL;
    assert_int_equal(err, VEIL_OK);
    return allocations;
}

static int count_plan(vl_net *net) {
    assert_int_equal(vl_net_set_size(net, 2 * WIDTH, HEIGHT), VEIL_OK);
    allocations = 0;
    vl_mem_fail = count_allocation;
    int err = vl_net_set_size(net, WIDTH, HEIGHT);
    vl_mem_fail = NULL;
    assert_int_equal(err, VEIL_OK);
    return allocations;
}

static void second_adds_only_its_arena(void **state) {
    (void)state;
    for (net_kind kind = NET_FLOAT; kind <= NET_MIXED; kind++) {
        size_t size, arena, weights, other_arena, other_weights;
        uint8_t *bytes = file(kind, 7, &size);
        user a, b;
        int first = count_make(&a, bytes, size), second = count_make(&b, bytes, size);
        assert_int_equal(second, 1 + count_plan(b.net)); /* the net itself, and its plan */
        assert_true(first > second);
        assert_ptr_equal(a.model, b.model);
        assert_ptr_equal(a.net->packed, b.net->packed);
        assert_ptr_not_equal(a.net->arena, b.net->arena);
        assert_int_equal(vl_net_memory(a.net, &arena, &weights), VEIL_OK);
        assert_int_equal(vl_net_memory(b.net, &other_arena, &other_weights), VEIL_OK);
        assert_int_equal(arena, other_arena);
        assert_int_equal(weights, other_weights);
        assert_true(weights > 0);
        uint64_t h = digest(a.net);
        assert_true(h != 0);
        assert_int_equal(digest(b.net), h);
        assert_int_equal(digest(a.net), h);
        drop(&a);
        assert_int_equal(digest(b.net), h); /* the first may go first */
        assert_int_equal(count_make(&a, bytes, size), second);
        drop(&b);
        assert_int_equal(digest(a.net), h);
        drop(&a);
        assert_int_equal(count_make(&a, bytes, size), first); /* nothing was kept */
        drop(&a);
        free(bytes);
    }
}

static size_t heap(void) {
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

/* In bytes, with the built-in model. */
static void second_adds_few_bytes(void **state) {
    (void)state;
    vl_model *model, *same;
    if (vl_net_parse_model(&model, NULL, 0) != VEIL_OK)
        skip();
    vl_net *a, *b;
    size_t arena, weights, before = heap();
    assert_int_equal(vl_net_create(&a, model, NULL, 0, 0), VEIL_OK);
    assert_int_equal(vl_net_set_size(a, 320, 192), VEIL_OK);
    size_t one = heap();
    assert_int_equal(vl_net_parse_model(&same, NULL, 0), VEIL_OK);
    assert_int_equal(vl_net_create(&b, same, NULL, 0, 0), VEIL_OK);
    assert_int_equal(vl_net_set_size(b, 320, 192), VEIL_OK);
    size_t two = heap();
    assert_int_equal(vl_net_memory(b, &arena, &weights), VEIL_OK);
    assert_true(weights > 500000);
    if (one != before) { /* sanitizers have an allocator of their own, which does not tell */
        assert_in_range(one - before, arena + weights, arena + 2 * weights);
        assert_in_range(two - one, arena, arena + weights / 2); /* tables of the plan */
    }
    vl_net_destroy(a);
    vl_net_destroy(b);
    vl_model_destroy(same);
    vl_model_destroy(model);
}

static void different_ones_stay_apart(void **state) {
    (void)state;
    size_t size, same_size;
    uint8_t *bytes = file(NET_INTEGER, 7, &size), *other = file(NET_INTEGER, 8, &same_size);
    assert_int_equal(size, same_size);
    user a, b, plain;
    assert_int_equal(make(&a, bytes, size, 0), VEIL_OK);
    assert_int_equal(make(&b, other, size, 0), VEIL_OK);
    assert_int_equal(make(&plain, bytes, size, VEIL_CPU_ALL), VEIL_OK);
    assert_ptr_not_equal(a.model, b.model);
    assert_ptr_not_equal(a.net->packed, b.net->packed);
    assert_ptr_equal(a.model, plain.model);
    if (veil_cpu_levels() != 0) /* plain C has another order of weights */
        assert_ptr_not_equal(a.net->packed, plain.net->packed);
    uint64_t h = digest(a.net);
    assert_true(h != 0 && digest(b.net) != 0);
    assert_int_not_equal(digest(b.net), h);
    assert_int_equal(digest(plain.net), h);
    memset(bytes, 0, size); /* the caller's bytes are the caller's */
    drop(&plain);
    assert_int_equal(digest(a.net), h);
    drop(&a);
    drop(&b);
    free(bytes);
    free(other);
}

/* A file that differs from a model in use in one byte is judged anew. */
static void damage_is_seen_beside_a_whole_one(void **state) {
    (void)state;
    size_t size;
    uint8_t *bytes = file(NET_INTEGER, 7, &size);
    user a, b;
    assert_int_equal(make(&a, bytes, size, 0), VEIL_OK);
    for (size_t at = 0; at < size; at += size / 50 + 1) {
        bytes[at] ^= 0x10;
        assert_int_equal(make(&b, bytes, size, 0), VEIL_E_MODEL);
        assert_null(b.model);
        bytes[at] ^= 0x10;
    }
    assert_int_equal(make(&b, bytes, size - 1, 0), VEIL_E_MODEL);
    drop(&a);
    free(bytes);
}

static int fail_after;

static int fail_nth(void) {
    return fail_after-- <= 0;
}

static int attempt(user *u, const uint8_t *bytes, size_t size, uint32_t off, int n) {
    fail_after = n;
    vl_mem_fail = fail_nth;
    int err = make(u, bytes, size, off);
    vl_mem_fail = NULL;
    return err;
}

/* Each allocation of a second net fails once, with the same packing and with another. */
static void memory_may_fail(void **state) {
    (void)state;
    size_t size;
    uint8_t *bytes = file(NET_MIXED, 7, &size);
    user a = {0}, b = {0};
    int fresh = count_make(&a, bytes, size);
    drop(&a);
    for (int alone = 0; alone <= 1; alone++) {
        for (int other_packing = 0; other_packing <= 1; other_packing++) {
            uint64_t h = 0;
            if (!alone) {
                assert_int_equal(make(&a, bytes, size, 0), VEIL_OK);
                h = digest(a.net);
            }
            int err = VEIL_E_NOMEM, n;
            for (n = 0; err != VEIL_OK && n < 1000; n++) {
                err = attempt(&b, bytes, size, other_packing ? VEIL_CPU_ALL : 0, n);
                assert_true(err == VEIL_OK || err == VEIL_E_NOMEM);
                drop(&b);
            }
            assert_int_equal(err, VEIL_OK);
            assert_true(n > 8);
            if (!alone) {
                assert_int_equal(digest(a.net), h);
                drop(&a);
            }
            assert_int_equal(count_make(&a, bytes, size), fresh);
            drop(&a);
        }
    }
    free(bytes);
}

#define THREADS 4
#define ROUNDS  40

typedef struct {
    const uint8_t *bytes[2];
    size_t size;
    uint64_t want[2];
    uint64_t seed;
    int wrong;
} worker;

/* Makes, runs and drops nets of two models in an order of its own. */
static void *work(void *arg) {
    worker *w = arg;
    random_source r = random_from(w->seed);
    user held[3] = {{0}, {0}, {0}};
    int which[3] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        int i = (int)(random_bits(&r) % 3);
        if (held[i].net == NULL) {
            which[i] = (int)(random_bits(&r) % 2);
            w->wrong += make(&held[i], w->bytes[which[i]], w->size, 0) != VEIL_OK;
        } else {
            w->wrong += digest(held[i].net) != w->want[which[i]];
            drop(&held[i]);
        }
    }
    for (int i = 0; i < 3; i++)
        drop(&held[i]);
    return NULL;
}

static void threads_come_and_go(void **state) {
    (void)state;
    size_t size;
    uint8_t *bytes[2] = {file(NET_INTEGER, 7, &size), file(NET_INTEGER, 8, &size)};
    worker w = {.bytes = {bytes[0], bytes[1]}, .size = size}, all[THREADS];
    for (int i = 0; i < 2; i++) {
        user u;
        assert_int_equal(make(&u, bytes[i], size, 0), VEIL_OK);
        w.want[i] = digest(u.net);
        drop(&u);
    }
    pthread_t id[THREADS];
    for (int i = 0; i < THREADS; i++) {
        all[i] = w;
        all[i].seed = (uint64_t)(100 + i);
        assert_int_equal(pthread_create(&id[i], NULL, work, &all[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(id[i], NULL);
        assert_int_equal(all[i].wrong, 0);
    }
    free(bytes[0]);
    free(bytes[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(second_adds_only_its_arena),
        cmocka_unit_test(second_adds_few_bytes),
        cmocka_unit_test(different_ones_stay_apart),
        cmocka_unit_test(damage_is_seen_beside_a_whole_one),
        cmocka_unit_test(memory_may_fail),
        cmocka_unit_test(threads_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
