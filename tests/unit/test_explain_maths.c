/* Ranks, correlations and fits of the explanation report, and the heat map's colours. */
#include "explain_set.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void near(double a, double b) {
    if (!(fabs(a - b) < 1e-9))
        fail_msg("%g is not %g", a, b);
}

static void ranks(void **state) {
    (void)state;
    const double x[] = {3, 1, 3, 7, 3, -2}, want[] = {4, 2, 4, 6, 4, 1};
    double *r = set_ranks(x, 6);
    assert_non_null(r);
    for (int i = 0; i < 6; i++)
        near(r[i], want[i]);
    free(r);
}

static void correlations(void **state) {
    (void)state;
    const double x[] = {1, 2, 3, 4}, cubes[] = {1, 8, 27, 64}, down[] = {4, 3, 2, 1};
    const double other[] = {1, 3, 2, 4}, flat[] = {5, 5, 5, 5};
    near(set_spearman(x, cubes, 4), 1);
    near(set_spearman(x, down, 4), -1);
    near(set_spearman(x, other, 4), 0.8);
    assert_true(set_pearson(x, cubes, 4) < 0.96 && set_pearson(x, cubes, 4) > 0.94);
    assert_true(isnan(set_pearson(x, flat, 4)));
}

static void fits(void **state) {
    (void)state;
    double x[20], y[10], noise[10];
    for (int i = 0; i < 10; i++) {
        x[2 * i] = i;
        x[2 * i + 1] = (i * 7) % 10;
        y[i] = 3 * x[2 * i] - 2 * x[2 * i + 1] + 5;
        noise[i] = i % 2 ? 1 : -1;
    }
    near(set_fit(x, 2, y, 10), 1);
    double half = set_fit(x, 2, noise, 10);
    assert_true(half > 0 && half < 0.9);
    assert_true(isnan(set_fit(x, 2, y, 3))); /* too few */
    for (int i = 0; i < 10; i++)
        x[2 * i + 1] = 2 * x[2 * i];
    assert_true(isnan(set_fit(x, 2, y, 10))); /* columns that say the same */
}

static void colours(void **state) {
    (void)state;
    uint8_t low[3], high[3], p[6] = {200, 10, 10, 200, 10, 10};
    heat_colour(HEAT_VIRIDIS, 0.0f, low);
    heat_colour(HEAT_VIRIDIS, 1.0f, high);
    assert_in_range(low[0], 66, 74); /* 68, 1, 84 and 253, 231, 37 in matplotlib's table */
    assert_in_range(low[2], 80, 88);
    assert_in_range(high[0], 248, 255);
    assert_in_range(high[1], 227, 235);
    heat_colour(HEAT_TURBO, 0.9f, high);
    assert_true(high[0] > 150 && high[1] < 80 && high[2] < 40);
    heat_blend(HEAT_TURBO, (const float[]){0.0f, 0.9f}, p, 2, 1, 6);
    assert_true(p[0] < 130);               /* dimmed */
    assert_true(abs(p[3] - high[0]) < 60); /* nearly the colour */
    heat_colour(HEAT_TURBO, NAN, low);     /* a value that is no number is none */
    heat_colour(HEAT_TURBO, 0.0f, high);
    assert_memory_equal(low, high, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(ranks), cmocka_unit_test(correlations),
                                       cmocka_unit_test(fits), cmocka_unit_test(colours)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
