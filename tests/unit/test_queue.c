/* queue.c: bounds, order, time-outs and ends. */
#include "queue.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int freed;
static char items[64];

static void free_item(void *item) {
    assert_in_range((uintptr_t)item, (uintptr_t)items, (uintptr_t)items + sizeof items);
    freed++;
}

static void test_bound_and_order(void **state) {
    atomic_int stop = 0;
    void *out;
    (void)state;
    queue *q = queue_create(3, free_item, &stop);
    for (int i = 0; i < 3; i++)
        assert_true(queue_try_put(q, &items[i]));
    assert_false(queue_try_put(q, &items[3]));
    assert_true(queue_put_now(q, &items[3])); /* without the bound */
    assert_int_equal(queue_count(q), 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(queue_get_within(q, &out, 0), 1);
        assert_ptr_equal(out, &items[i]);
    }
    assert_int_equal(queue_get_within(q, &out, 1000000), 0);
    queue_destroy(q);
}

static void test_end(void **state) {
    atomic_int stop = 0;
    void *out;
    (void)state;
    freed = 0;
    queue *q = queue_create(3, free_item, &stop);
    assert_true(queue_put(q, &items[0]));
    assert_true(queue_put(q, &items[1]));
    queue_end(q);
    assert_true(queue_get(q, &out)); /* what is there still comes */
    assert_int_equal(queue_get_within(q, &out, 0), 1);
    assert_int_equal(queue_get_within(q, &out, 0), -1);
    assert_false(queue_get(q, &out));
    queue_destroy(q);
    assert_int_equal(freed, 0);
}

static void test_stop_frees_the_rest(void **state) {
    atomic_int stop = 0;
    void *out;
    (void)state;
    freed = 0;
    queue *q = queue_create(2, free_item, &stop);
    assert_true(queue_put(q, &items[0]));
    assert_true(queue_put(q, &items[1]));
    atomic_store(&stop, 1);
    assert_false(queue_put(q, &items[2])); /* full, and does not wait */
    assert_false(queue_try_put(q, &items[2]));
    assert_false(queue_get(q, &out));
    assert_int_equal(queue_get_within(q, &out, 1000000000), -1);
    queue_destroy(q);
    assert_int_equal(freed, 2);
}

static void *put_many(void *opaque) {
    for (int i = 0; i < 1000; i++) {
        if (!queue_put(opaque, &items[i % 64]))
            return NULL;
    }
    queue_end(opaque);
    return opaque;
}

static void test_two_threads(void **state) {
    atomic_int stop = 0;
    pthread_t t;
    void *out, *done = NULL;
    int n = 0;
    (void)state;
    queue *q = queue_create(2, free_item, &stop);
    assert_int_equal(pthread_create(&t, NULL, put_many, q), 0);
    while (queue_get(q, &out)) {
        assert_ptr_equal(out, &items[n % 64]);
        n++;
    }
    pthread_join(t, &done);
    assert_ptr_equal(done, q);
    assert_int_equal(n, 1000);
    queue_destroy(q);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bound_and_order),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_stop_frees_the_rest),
        cmocka_unit_test(test_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
