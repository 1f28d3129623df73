/* test_eval_subject.c - the network against rules of size, on ten faces worked out by hand. */
#include "subject_figures.h"

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

/* interview, side, network, largest */
static const ev_subject_face faces[10] = {
    {1, 0.50, 0.90, 1}, {1, 0.30, 0.80, 0}, {1, 0.20, 0.70, 1}, {1, 0.10, NAN, 0},
    {0, 0.40, 0.75, 1}, {0, 0.25, 0.10, 0}, {0, 0.15, 0.20, 0}, {0, 0.12, NAN, 0},
    {0, 0.06, 0.60, 0}, {0, 0.02, 0.95, 0}, /* the last is too small to count */
};

static void figures_by_hand(void **state) {
    (void)state;
    ev_subject s;
    assert_int_equal(ev_subject_make(&s, faces, 10, 0.05, 1.0), 0);
    assert_int_equal(s.n_interview, 4);
    assert_int_equal(s.n_background, 5);
    assert_int_equal(s.missed_interview, 1);
    assert_int_equal(s.missed_background, 1);
    /* Found: interview 0.9 0.8 0.7, background 0.75 0.1 0.2 0.6. All kept from 0.7: 0.75 is shown.
     */
    near(s.network.at.threshold, 0.7);
    near(s.network.at.hidden, 0.75);
    near(s.network.roc.auc, 11.0 / 12);
    near(s.network.accuracy, 6.0 / 7);
    near(s.accuracy_half, 5.0 / 7); /* 0.6 and 0.75 are wrong */
    /* Height: interview 0.5 0.3 0.2, background 0.4 0.25 0.15 0.06. All kept from 0.2: two shown.
     */
    near(s.height.at.threshold, 0.2);
    near(s.height.at.hidden, 0.5);
    near(s.height.roc.auc, (4 + 3 + 2) / 12.0);
    ev_subject_free(&s);
}

static void each_where_the_other_is_wrong(void **state) {
    (void)state;
    ev_subject s;
    assert_int_equal(ev_subject_make(&s, faces, 10, 0.05, 1.0), 0);
    /* Height shows the faces of 0.40 and 0.25; the network shows only the first of them. */
    assert_int_equal(s.height_wrong, 2);
    assert_int_equal(s.network_right_there, 1);
    assert_int_equal(s.network_wrong, 1);
    assert_int_equal(s.height_right_there, 0);
    /* "Largest" loses the interviewee of 0.30 and shows the bystander of 0.40. */
    assert_int_equal(s.largest_wrong, 2);
    assert_int_equal(s.network_right_there_too, 1);
    near(s.largest_kept, 2.0 / 3);
    near(s.largest_hidden, 3.0 / 4);
    ev_subject_free(&s);
}

/* A face that nobody found is not hidden: a bystander exposed, an interviewee seen. */
static void not_found_is_visible(void **state) {
    (void)state;
    ev_subject s;
    assert_int_equal(ev_subject_make(&s, faces, 10, 0.05, 1.0), 0);
    near(s.network_all.at.kept, 1.0);
    near(s.network_all.at.hidden, 3.0 / 5);
    near(s.height_all.at.threshold, 0.10);
    near(s.height_all.at.hidden, 1.0 / 5);
    ev_subject_free(&s);
}

static void a_class_without_faces_is_refused(void **state) {
    (void)state;
    ev_subject s;
    assert_int_equal(ev_subject_make(&s, faces, 4, 0.05, 0.9), -1);
    ev_subject_free(&s);
    assert_int_equal(ev_subject_make(&s, faces, 10, 0.9, 0.9), -1);
    ev_subject_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_by_hand),
        cmocka_unit_test(each_where_the_other_is_wrong),
        cmocka_unit_test(not_found_is_visible),
        cmocka_unit_test(a_class_without_faces_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
