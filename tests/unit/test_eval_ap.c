/* test_eval_ap.c - the WIDER protocol and recall by height on cases worked out by hand. */
#include "ap.h"
#include "recall.h"

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

static const ev_box two_faces[2] = {{10, 10, 20, 20}, {100, 50, 30, 40}};
static const unsigned char both[2] = {1, 1};

static void perfect_boxes_give_one(void **state) {
    (void)state;
    ev_ap ap = {0};
    ev_found found[2] = {{{10, 10, 20, 20}, 1.0}, {{100, 50, 30, 40}, 0.3}};
    assert_int_equal(ev_ap_add(&ap, found, 2, two_faces, both, 2), 0);
    near(ev_ap_finish(&ap), 1.0);
    near(ap.recall[0], 0.5);   /* threshold 0.999: only the first */
    near(ap.recall[698], 0.5); /* 0.301 */
    near(ap.recall[700], 1.0); /* 0.299 */
    near(ap.recall[999], 1.0);
}

/* Found 0.9, wrong 0.8, found 0.7 of two faces: precision 1 up to recall 1/2, then 2/3. */
static void a_false_positive_between(void **state) {
    (void)state;
    ev_ap ap = {0};
    ev_found found[3] = {
        {{10, 10, 20, 20}, 0.9}, {{300, 300, 20, 20}, 0.8}, {{100, 50, 30, 40}, 0.7}};
    ev_ap_add(&ap, found, 3, two_faces, both, 2);
    near(ev_ap_finish(&ap), 0.5 * 1 + 0.5 * 2 / 3);
}

static void a_missed_face_and_an_empty_picture_cost_recall(void **state) {
    (void)state;
    ev_ap ap = {0};
    ev_found found[1] = {{{10, 10, 20, 20}, 0.9}};
    ev_ap_add(&ap, found, 1, two_faces, both, 2);
    ev_ap_add(&ap, NULL, 0, two_faces, both, 2);
    near(ev_ap_finish(&ap), 0.25);
    assert_int_equal(ap.n_wanted, 4);
}

static void a_box_on_an_ignored_face_counts_neither_way(void **state) {
    (void)state;
    const unsigned char second[2] = {0, 1};
    ev_ap ap = {0};
    ev_found found[2] = {{{10, 10, 20, 20}, 0.9}, {{100, 50, 30, 40}, 0.8}};
    ev_ap_add(&ap, found, 2, two_faces, second, 2);
    near(ev_ap_finish(&ap), 1.0);
    near(ap.proposed[150], 0.0); /* at 0.849 the ignored one is there, not counted */
    near(ap.proposed[999], 1.0);
}

static void a_second_box_on_a_face_is_wrong(void **state) {
    (void)state;
    const unsigned char first[2] = {1, 0};
    ev_ap ap = {0};
    ev_found found[2] = {{{10, 10, 20, 20}, 0.9}, {{11, 10, 20, 20}, 0.8}};
    ev_ap_add(&ap, found, 2, two_faces, first, 2);
    near(ev_ap_finish(&ap), 1.0); /* the mistake comes after full recall: no area lost */
    near(ap.precision[999], 0.5);
    /* But before the last face is found it costs. */
    ev_ap more = {0};
    ev_found three[3] = {
        {{10, 10, 20, 20}, 0.9}, {{11, 10, 20, 20}, 0.8}, {{100, 50, 30, 40}, 0.7}};
    ev_ap_add(&more, three, 3, two_faces, both, 2);
    near(ev_ap_finish(&more), 0.5 + 0.5 * 2 / 3);
}

/* The toolbox counts pixels, so sides are one longer: 10 x 5 of 10 x 10 px here. */
static void overlap_is_counted_in_whole_pixels(void **state) {
    (void)state;
    ev_box a = {0, 0, 9, 9}, b = {0, 0, 9, 4};
    near(ev_box_iou_wider(a, b), 50.0 / 100.0);
    near(ev_box_iou(a, b), 36.0 / 81.0);
    ev_ap ap = {0};
    const unsigned char yes[1] = {1};
    ev_found found[1] = {{b, 1.0}};
    ev_ap_add(&ap, found, 1, &a, yes, 1);
    near(ev_ap_finish(&ap), 1.0); /* exactly 0.5 is a hit */
    ev_ap less = {0};
    found[0].box.h = 3.9;
    ev_ap_add(&less, found, 1, &a, yes, 1);
    near(ev_ap_finish(&less), 0.0);
}

static void each_box_goes_to_the_face_it_overlaps_most(void **state) {
    (void)state;
    /* Two faces overlap; the box lies on the ignored one a little better: not a hit. */
    const ev_box faces[2] = {{0, 0, 20, 20}, {2, 0, 20, 20}};
    const unsigned char wanted[2] = {1, 0};
    ev_ap ap = {0};
    ev_found found[1] = {{{1.6, 0, 20, 20}, 1.0}};
    ev_ap_add(&ap, found, 1, faces, wanted, 2);
    near(ev_ap_finish(&ap), 0.0);
    near(ap.proposed[999], 0.0);
}

static void scores_are_stretched_and_order_kept(void **state) {
    (void)state;
    ev_found f[4] = {
        {{1, 0, 1, 1}, 0.2}, {{2, 0, 1, 1}, 0.6}, {{3, 0, 1, 1}, 0.6}, {{4, 0, 1, 1}, 0.7}};
    assert_int_equal(ev_ap_sort(f, 4), 0);
    near(f[0].box.x, 4);
    near(f[1].box.x, 2); /* equals stay in their order */
    near(f[2].box.x, 3);
    ev_ap_normalise(f, 4);
    near(f[0].score, 1.0);
    near(f[1].score, 0.8);
    near(f[3].score, 0.0);
    ev_found one = {{0, 0, 1, 1}, 0.4};
    ev_ap_normalise(&one, 1);
    near(one.score, 1.0);
}

/* Thresholds are 0.999, 0.998, ... 0: a box of score s enters at the first that is <= s. */
static void thresholds_step_by_a_thousandth(void **state) {
    (void)state;
    ev_ap ap = {0};
    ev_found found[1] = {{{10, 10, 20, 20}, 0.5004}};
    ev_ap_add(&ap, found, 1, two_faces, both, 2);
    near(ap.true_found[498], 0); /* 0.501 */
    near(ap.true_found[499], 1); /* 0.500 */
}

static ev_recall recall_case(void) {
    ev_recall r = {.min_height = 8};
    const ev_face faces[4] = {{{0, 0, 10, 10}, 0},
                              {{50, 0, 30, 30}, 0},
                              {{100, 0, 5, 5}, 0},    /* too small */
                              {{200, 0, 50, 50}, 1}}; /* invalid */
    ev_found found[7] = {
        {{50, 0, 30, 30}, 0.95}, {{300, 0, 20, 20}, 0.9}, /* wrong */
        {{51, 0, 30, 30}, 0.85},                          /* wrong: second on the same face */
        {{0, 0, 10, 10}, 0.8},   {{100, 0, 5, 5}, 0.7},   /* on a small one: does not count */
        {{210, 0, 20, 20}, 0.6}, /* inside an invalid one: does not count */
        {{400, 0, 6, 6}, 0.5}};  /* too small: does not count */
    assert_int_equal(ev_recall_add(&r, found, 7, faces, 4), 0);
    ev_face other = {{0, 0, 40, 12}, 0};
    assert_int_equal(ev_recall_add(&r, NULL, 0, &other, 1), 0);
    return r;
}

static void recall_by_height_and_false_positives(void **state) {
    (void)state;
    ev_recall r = recall_case();
    ev_recall_point p = ev_recall_at(&r, 0.4, 0, INFINITY); /* none allowed in two pictures */
    near(p.threshold, 0.95);
    assert_int_equal(p.n_found, 1);
    assert_int_equal(p.n_faces, 3);
    p = ev_recall_at(&r, 0.5, 0, INFINITY); /* one allowed */
    near(p.threshold, 0.9);
    near(p.false_per_picture, 0.5);
    assert_int_equal(p.n_found, 1);
    p = ev_recall_at(&r, 1.0, 8, 12); /* both wrong ones allowed: everything is used */
    near(p.threshold, 0.8);
    near(p.false_per_picture, 1.0);
    assert_int_equal(p.n_found, 1);
    assert_int_equal(p.n_faces, 1);
    p = ev_recall_at(&r, 1.0, 12, 16);
    assert_int_equal(p.n_found, 0);
    assert_int_equal(p.n_faces, 1);
    ev_recall_free(&r);
}

/* A found face with the same score as the false positive that goes too far is not to be had. */
static void equals_cannot_be_parted(void **state) {
    (void)state;
    ev_recall r = {.min_height = 8};
    ev_face face = {{0, 0, 10, 10}, 0};
    ev_found found[3] = {{{0, 0, 10, 10}, 0.5}, {{50, 0, 10, 10}, 0.5}, {{90, 0, 10, 10}, 0.5}};
    ev_recall_add(&r, found, 3, &face, 1);
    ev_recall_point p = ev_recall_at(&r, 1.0, 0, INFINITY);
    assert_int_equal(p.n_found, 0);
    near(p.threshold, 1.0);
    assert_int_equal(ev_recall_at(&r, 2.0, 0, INFINITY).n_found, 1);
    ev_recall_free(&r);
}

static void missed_faces_are_marked(void **state) {
    (void)state;
    const ev_recall r = {.min_height = 8};
    const ev_face faces[4] = {{{0, 0, 10, 10}, 0},
                              {{50, 0, 30, 30}, 0},
                              {{100, 0, 5, 5}, 0},    /* too small */
                              {{200, 0, 50, 50}, 1}}; /* invalid */
    const ev_found found[3] = {
        {{50, 0, 30, 30}, 0.9}, {{51, 0, 30, 30}, 0.8}, {{0, 0, 10, 10}, 0.3}};
    unsigned char missed[4];
    assert_int_equal(ev_recall_missed(&r, found, 3, faces, 4, 0.5, missed), 0);
    assert_true(missed[0] && !missed[1] && !missed[2] && !missed[3]);
    assert_int_equal(ev_recall_missed(&r, found, 3, faces, 4, 0.3, missed), 0);
    assert_true(!missed[0] && !missed[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(perfect_boxes_give_one),
        cmocka_unit_test(a_false_positive_between),
        cmocka_unit_test(a_missed_face_and_an_empty_picture_cost_recall),
        cmocka_unit_test(a_box_on_an_ignored_face_counts_neither_way),
        cmocka_unit_test(a_second_box_on_a_face_is_wrong),
        cmocka_unit_test(overlap_is_counted_in_whole_pixels),
        cmocka_unit_test(each_box_goes_to_the_face_it_overlaps_most),
        cmocka_unit_test(scores_are_stretched_and_order_kept),
        cmocka_unit_test(thresholds_step_by_a_thousandth),
        cmocka_unit_test(recall_by_height_and_false_positives),
        cmocka_unit_test(equals_cannot_be_parted),
        cmocka_unit_test(missed_faces_are_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
