/* test_eval_roc.c - ROC, area and operating points on cases worked out by hand. */
#include "roc.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void near(double got, double want) {
    if (!(fabs(got - want) < 1e-9)) {
        print_error("got %.12f, want %.12f\n", got, want);
        fail();
    }
}

static void parted_classes(void **state) {
    (void)state;
    const ev_judged f[5] = {{0.1, 0}, {0.9, 1}, {0.2, 0}, {0.8, 1}, {0.7, 1}};
    ev_roc roc;
    assert_int_equal(ev_roc_make(&roc, f, 5), 0);
    near(roc.auc, 1.0);
    ev_roc_point p = ev_roc_keeping(&roc, 0.93);
    near(p.threshold, 0.7);
    near(p.kept, 1.0);
    near(p.hidden, 1.0);
    near(ev_roc_accuracy(f, 5, 0.7), 1.0);
    near(ev_roc_accuracy(f, 5, 0.75), 0.8);
    ev_roc_free(&roc);
}

/* Pairs (interview, background) in order: 0.9>0.5, 0.9>0.3, 0.4<0.5, 0.4>0.3: 3 of 4. */
static void area_counts_pairs(void **state) {
    (void)state;
    const ev_judged f[4] = {{0.9, 1}, {0.5, 0}, {0.4, 1}, {0.3, 0}};
    ev_roc roc;
    assert_int_equal(ev_roc_make(&roc, f, 4), 0);
    near(roc.auc, 0.75);
    near(ev_roc_keeping(&roc, 0.5).hidden, 1.0);
    near(ev_roc_keeping(&roc, 0.93).hidden, 0.5);
    near(ev_roc_keeping(&roc, 0.93).threshold, 0.4);
    near(ev_roc_keeping(&roc, 1.0).hidden, 0.5);
    ev_roc_free(&roc);
}

static void equals_count_half(void **state) {
    (void)state;
    const ev_judged f[4] = {{0.5, 1}, {0.5, 0}, {0.5, 1}, {0.5, 0}};
    ev_roc roc;
    assert_int_equal(ev_roc_make(&roc, f, 4), 0);
    near(roc.auc, 0.5);
    assert_int_equal(roc.n, 2);
    near(ev_roc_keeping(&roc, 0.01).hidden, 0.0);
    ev_roc_free(&roc);
}

/* A face the detector did not find is never called interview. */
static void not_a_number_is_lowest(void **state) {
    (void)state;
    const ev_judged f[3] = {{NAN, 0}, {0.5, 1}, {NAN, 1}};
    ev_roc roc;
    assert_int_equal(ev_roc_make(&roc, f, 3), 0);
    near(roc.auc, 0.75);
    near(ev_roc_accuracy(f, 3, 0.0), 2.0 / 3);
    ev_roc_free(&roc);
}

static void one_class_alone_is_refused(void **state) {
    (void)state;
    const ev_judged f[2] = {{0.1, 0}, {0.2, 0}};
    ev_roc roc;
    assert_int_equal(ev_roc_make(&roc, f, 2), -1);
    assert_null(roc.points);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parted_classes),
        cmocka_unit_test(area_counts_pairs),
        cmocka_unit_test(equals_count_half),
        cmocka_unit_test(not_a_number_is_lowest),
        cmocka_unit_test(one_class_alone_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
