/* The comparison of faces: against values of its Python twin, with lists longer than it
 * judges, and with damaged texts. */
#include "random.h"
#include "relate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Weights and answers: train.relate.Relation(3, 2) with random values, judging the faces below. */
static const char text[] =
    "3 2 -932 -741 -402 -889 -53 -827 511 458 177 729 -92 563 -658 -185 -838 -76 -610 844 653 704 "
    "279 -536 844 -917 -600 -587 -390 187 -712 -724 -449 574 -678 -843 -814 -462 -247 -932 -440 18 "
    "155 -135 -107 -611 481 -226 -642 -226 -131 869 490 -379 -133 830 604 234 -337 782 403 -419 "
    "1678 169 -1749 -1048 -1771 -1959 58 -1695 1260 1058 509 1949 -480 16 650 366 128 884 241 712 "
    "-911 -911 -955 60 897 -923 421 -933 -703 -361 -430 312 -887 1046 154 369 -714 584 -247 -526 "
    "180 440 112 -370 -2757 -242 -981";
static const veil_detection faces[] = {{100, 60, 80, 100, 0.9f, 0.7f},
                                       {400, 90, 60, 70, 0.6f, 0.55f},
                                       {500, 300, 20, 26, 0.3f, 0.2f},
                                       {30, 20, 10, 12, 0.15f, 0.4f}};
static const float answers[] = {0.6340005f, 0.4758847f, 0.1602483f, 0.3350731f};
enum { FACES = 4, MANY = 400 };

static vl_relate *reader(const char *t) {
    vl_relate *r = NULL;
    assert_int_equal(vl_relate_read(&r, t), VEIL_OK);
    assert_non_null(r);
    return r;
}

static void as_in_python(void **state) {
    (void)state;
    vl_relate *r = reader(text);
    veil_detection d[FACES];
    memcpy(d, faces, sizeof d);
    vl_relate_apply(r, 640, 360, d, FACES);
    for (int i = 0; i < FACES; i++) {
        assert_true(fabsf(d[i].interview - answers[i]) < 2e-5f);
        d[i].interview = faces[i].interview;
        assert_memory_equal(&d[i], &faces[i], sizeof d[i]); /* nothing else is touched */
    }
    vl_relate_destroy(r);
}

/* Whatever the comparison says: the network's word is lowered at will, and raised by a logit and a
 * half, but to even odds at most. */
static void raises_little(void **state) {
    (void)state;
    enum { NUMBERS = 20 + 2 + 12 + 2 }; /* of widths 1 and 1 */
    static const float net[4] = {-4, -1, 0, 2}, raised[4] = {-2.5f, 0, 0, 2};
    for (int sign = -1; sign <= 1; sign += 2) {
        char t[8 * NUMBERS] = "1 1";
        for (int i = 1; i < NUMBERS; i++)
            strcat(t, " 0");
        strcat(t, sign > 0 ? " 40960" : " -40960");
        vl_relate *r = reader(t);
        veil_detection d[4];
        for (int i = 0; i < 4; i++)
            d[i] = (veil_detection){(float)(100 * i), 60, 60, 70, 0.9f, 1 / (1 + expf(-net[i]))};
        vl_relate_apply(r, 640, 360, d, 4);
        for (int i = 0; i < 4; i++) {
            float is = logf(d[i].interview / (1 - d[i].interview));
            assert_true(fabsf(is - (sign > 0 ? raised[i] : net[i] - 10)) < 2e-2f);
        }
        vl_relate_destroy(r);
    }
}

static void order_does_not_count(void **state) {
    (void)state;
    vl_relate *r = reader(text);
    veil_detection d[FACES];
    for (int i = 0; i < FACES; i++)
        d[i] = faces[FACES - 1 - i];
    vl_relate_apply(r, 640, 360, d, FACES);
    for (int i = 0; i < FACES; i++)
        assert_true(fabsf(d[i].interview - answers[FACES - 1 - i]) < 2e-5f);
    vl_relate_destroy(r);
}

static void without_weights_nothing_changes(void **state) {
    (void)state;
    veil_detection d[FACES];
    memcpy(d, faces, sizeof d);
    vl_relate_apply(NULL, 640, 360, d, FACES);
    assert_memory_equal(d, faces, sizeof d);
    vl_relate_destroy(NULL);
}

/* In a crowd the smallest are judged by nobody, and never shown for that. */
static void crowds(void **state) {
    (void)state;
    vl_relate *r = reader(text);
    static veil_detection d[MANY];
    random_source rnd = random_from(7);
    for (int i = 0; i < MANY; i++)
        d[i] = (veil_detection){.x = random_float(&rnd, 0, 1000),
                                .y = random_float(&rnd, 0, 700),
                                .w = 10,
                                .h = (float)(4 + (i * 37) % MANY),
                                .score = 0.9f,
                                .interview = 0.99f};
    vl_relate_apply(r, 1280, 720, d, MANY);
    int judged = 0;
    for (int i = 0; i < MANY; i++) {
        assert_true(d[i].interview >= 0 && d[i].interview <= 1);
        bool small = d[i].h < 4 + MANY - 128;
        if (small)
            assert_true(d[i].interview <= 0.15f);
        judged += d[i].interview != 0.15f;
    }
    assert_int_equal(judged, 128);
    vl_relate_destroy(r);
}

static void extremes_stay_numbers(void **state) {
    (void)state;
    vl_relate *r = reader(text);
    veil_detection d[] = {{-1e6f, 1e6f, 1e6f, 1e-3f, 1, 1},
                          {0, 0, 1e-6f, 1e6f, 0, 0},
                          {1e6f, -1e6f, 1e-30f, 1e-30f, 1, 0.5f}};
    vl_relate_apply(r, 16, 8192, d, 3);
    for (int i = 0; i < 3; i++)
        assert_true(d[i].interview >= 0 && d[i].interview <= 1); /* false for NaN */
    vl_relate_destroy(r);
}

static void damaged_texts(void **state) {
    (void)state;
    static char t[sizeof text + 8];
    vl_relate *r = NULL;
    for (size_t cut = 0; cut < sizeof text - 3; cut++) { /* two digits may go */
        snprintf(t, sizeof t, "%.*s", (int)cut, text);
        assert_int_equal(vl_relate_read(&r, t), VEIL_E_MODEL);
        assert_null(r);
    }
    static const char *const wrong[] = {"",        " ",       "0 2",   "3 0",    "65 2",
                                        "3 65",    "-3 2",    "3  2",  "x",      "99999999999 1",
                                        "3 2 1e3", "3 2 1.5", "3 2 -", "3 2 --1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(vl_relate_read(&r, wrong[i]), VEIL_E_MODEL);
    snprintf(t, sizeof t, "%s 1", text);
    assert_int_equal(vl_relate_read(&r, t), VEIL_E_MODEL);
    assert_null(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_in_python),
                                       cmocka_unit_test(order_does_not_count),
                                       cmocka_unit_test(raises_little),
                                       cmocka_unit_test(crowds),
                                       cmocka_unit_test(without_weights_nothing_changes),
                                       cmocka_unit_test(extremes_stay_numbers),
                                       cmocka_unit_test(damaged_texts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
