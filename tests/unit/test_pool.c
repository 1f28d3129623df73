/* The pool runs every index exactly once, whatever the number of threads and items, and returns
 * only when all are done. */
#include "pool.h"
#include "veil.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MAX_ITEMS 1000

typedef struct {
    _Atomic int32_t runs[MAX_ITEMS];
    _Atomic int32_t total;
} counts;

static void count(void *ctx, int32_t i) {
    counts *c = ctx;
    atomic_fetch_add(&c->runs[i], 1);
    atomic_fetch_add(&c->total, 1);
}

static void each_index_once(void **state) {
    (void)state;
    static counts c;
    for (int32_t threads = 1; threads <= 5; threads++) {
        vl_pool *pool = NULL;
        assert_int_equal(vl_pool_create(&pool, threads), VEIL_OK);
        assert_int_equal(vl_pool_threads(pool), threads);
        for (int32_t round = 0; round < 400; round++) {
            int32_t n = round < 20 ? round : (round * 37) % MAX_ITEMS;
            for (int32_t i = 0; i < MAX_ITEMS; i++)
                atomic_store(&c.runs[i], 0);
            atomic_store(&c.total, 0);
            vl_pool_run(pool, count, &c, n);
            assert_int_equal(atomic_load(&c.total), n);
            for (int32_t i = 0; i < MAX_ITEMS; i++)
                assert_int_equal(atomic_load(&c.runs[i]), i < n ? 1 : 0);
        }
        vl_pool_destroy(pool);
    }
}

/* Work done by an item must be visible to the caller afterwards without further means. */
typedef struct {
    int32_t values[64];
} plain;

static void store_plain(void *ctx, int32_t i) {
    plain *p = ctx;
    p->values[i] += i + 1;
}

static void results_are_visible(void **state) {
    (void)state;
    vl_pool *pool = NULL;
    assert_int_equal(vl_pool_create(&pool, 4), VEIL_OK);
    plain p = {{0}};
    for (int32_t round = 1; round <= 3000; round++) {
        vl_pool_run(pool, store_plain, &p, 64);
        for (int32_t i = 0; i < 64; i++)
            assert_int_equal(p.values[i], round * (i + 1));
    }
    vl_pool_destroy(pool);
}

static void null_pool_runs_in_the_caller(void **state) {
    (void)state;
    plain p = {{0}};
    assert_int_equal(vl_pool_threads(NULL), 1);
    vl_pool_run(NULL, store_plain, &p, 3);
    assert_int_equal(p.values[0], 1);
    assert_int_equal(p.values[2], 3);
    assert_int_equal(p.values[3], 0);
    vl_pool_run(NULL, store_plain, &p, 0);
    assert_int_equal(p.values[0], 1);
    vl_pool_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_index_once),
        cmocka_unit_test(results_are_visible),
        cmocka_unit_test(null_pool_runs_in_the_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
