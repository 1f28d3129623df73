/* The filter against its closed forms. */
#include "kalman.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NEAR(a, b, tol)                                                                            \
    do {                                                                                           \
        if (!(fabs((double)(a) - (double)(b)) <= (double)(tol)))                                   \
            fail_msg("%s is %g, not %g", #a, (double)(a), (double)(b));                            \
    } while (0)

/* Without process noise and with a vague start, the filter is the least-squares line. */
static void is_least_squares(void **state) {
    (void)state;
    const float z[] = {3.0f, 4.1f, 4.9f, 6.2f, 6.8f, 8.1f};
    enum { N = 6 };
    vl_axis a;
    vl_axis_start(&a, z[0], 1e-9f, 1e6f); /* the first point counts like the others, below */
    a.pxx = 0.25f;
    double st = 0, sz = 0, stt = 0, stz = 0;
    for (int i = 0; i < N; i++) {
        double t = 0.04 * i;
        st += t;
        sz += (double)z[i];
        stt += t * t;
        stz += t * (double)z[i];
        if (i > 0) {
            vl_axis_predict(&a, 0.04f, 0);
            vl_axis_update(&a, z[i], 0.25f);
        }
    }
    double slope = (N * stz - st * sz) / (N * stt - st * st);
    double end = (sz - slope * st) / N + slope * 0.04 * (N - 1);
    NEAR(a.v, slope, 0.01 * slope);
    NEAR(a.x, end, 0.01);
}

/* Predicting in two steps is the same as in one. */
static void prediction_composes(void **state) {
    (void)state;
    vl_axis a = {.x = 5, .v = -3, .pxx = 2, .pxv = 0.5f, .pvv = 4}, b = a;
    vl_axis_predict(&a, 0.5f, 3);
    vl_axis_predict(&b, 0.2f, 3);
    vl_axis_predict(&b, 0.3f, 3);
    NEAR(a.x, 3.5, 1e-5);
    NEAR(b.x, a.x, 1e-5);
    NEAR(b.pxx, a.pxx, 1e-4);
    NEAR(b.pxv, a.pxv, 1e-4);
    NEAR(b.pvv, a.pvv, 1e-4);
}

static void update_shrinks_doubt(void **state) {
    (void)state;
    vl_axis a = {.x = 0, .v = 0, .pxx = 4, .pxv = 2, .pvv = 3};
    vl_axis_update(&a, 10, 4);
    NEAR(a.x, 5, 1e-5);   /* half way: as sure as the measurement */
    NEAR(a.v, 2.5, 1e-5); /* through the covariance */
    NEAR(a.pxx, 2, 1e-5);
    NEAR(a.pxv, 1, 1e-5);
    NEAR(a.pvv, 2.5, 1e-5);
}

/* The same movement seen at 10 and at 50 frames a second gives the same velocity. */
static void any_frame_rate(void **state) {
    (void)state;
    float v[2];
    const int rate[2] = {10, 50};
    for (int k = 0; k < 2; k++) {
        vl_kalman f;
        for (int i = 0; i <= rate[k] * 2; i++) {
            float t = (float)i / (float)rate[k];
            vl_rect box = {100 + 60 * t, 50, 40, 50};
            if (i == 0) {
                vl_kalman_start(&f, box);
                continue;
            }
            vl_kalman_predict(&f, 1 / (float)rate[k]);
            vl_kalman_update(&f, box, 1);
        }
        v[k] = f.cx.v;
        vl_rect now = vl_kalman_box(&f);
        NEAR(now.x, 220, 0.5);
        NEAR(now.w, 40, 0.1);
        NEAR(now.h, 50, 0.1);
    }
    NEAR(v[0], 60, 1.5);
    NEAR(v[1], 60, 1.5);
}

static void follows_camera(void **state) {
    (void)state;
    vl_kalman f;
    vl_kalman_start(&f, (vl_rect){90, 40, 20, 20}); /* centre 100, 50 */
    f.cx.v = 8;
    vl_motion m = {.a = 0, .b = 2, .tx = 1, .ty = -1}; /* a quarter turn, twice as large */
    vl_kalman_camera(&f, &m);
    vl_rect b = vl_kalman_box(&f);
    NEAR(b.x + b.w / 2, -100 + 1, 1e-3);
    NEAR(b.y + b.h / 2, 200 - 1, 1e-3);
    NEAR(b.w, 40, 1e-3);
    NEAR(f.cx.v, 0, 1e-4);
    NEAR(f.cy.v, 16, 1e-4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_least_squares),     cmocka_unit_test(prediction_composes),
        cmocka_unit_test(update_shrinks_doubt), cmocka_unit_test(any_frame_rate),
        cmocka_unit_test(follows_camera),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
