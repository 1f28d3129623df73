/* SiLU and hard swish in whole numbers against the activations themselves, for every 16-bit sum. */
#include "nn/act.h"
#include "nn/dip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint32_t acts[] = {VL_FMT_ACT_SILU, VL_FMT_ACT_HSWISH};

static int32_t to_byte(double q) {
    return (int32_t)rint(q < 0.0 ? 0.0 : q > 255.0 ? 255.0 : q);
}

/* Returns the mean square of the error in steps, where the output is within a byte. */
static double check(const vl_dip *d, double unit, uint32_t act, float scale, int32_t zero) {
    double sum = 0.0;
    int32_t n = 0;
    for (int32_t q = INT16_MIN; q <= INT16_MAX; q++) {
        double real = (double)vl_act_apply((float)(q * unit), act, 0.0f, 0.0f);
        double want = real / (double)scale + zero;
        int32_t got = to_byte(vl_dip_apply(d, (float)q));
        if (abs(got - to_byte(want)) > 1)
            fail_msg("act %u, scale %g, zero %d: %d gives %d, not %g", act, (double)scale, zero, q,
                     got, want);
        if (want > 0.0 && want < 255.0) {
            sum += (got - want) * (got - want);
            n++;
        }
    }
    return sum / n;
}

static void within_one_step(void **state) {
    (void)state;
    static const float scales[] = {0.0103f, 0.013f, 0.02f, 0.03f, 0.047f, 0.1f,
                                   0.2f,    0.37f,  1.0f,  4.0f,  35.0f};
    static const int32_t zeros[] = {0, 1, 9, 28, 128, 254, 255};
    for (size_t a = 0; a < sizeof acts / sizeof acts[0]; a++) {
        for (size_t s = 0; s < sizeof scales / sizeof scales[0]; s++) {
            for (size_t z = 0; z < sizeof zeros / sizeof zeros[0]; z++) {
                vl_dip d;
                double unit = vl_dip_make(&d, acts[a], scales[s], zeros[z]);
                assert_true(unit > 0.0);
                double square = check(&d, unit, acts[a], scales[s], zeros[z]);
                /* of usual outputs nearly that of rounding alone, 1 / 12 */
                if (scales[s] > 0.015f && scales[s] < 0.5f && zeros[z] < 200)
                    assert_true(square < 1.06 / 12.0);
            }
        }
    }
}

static void far_out(void **state) {
    (void)state;
    for (size_t a = 0; a < sizeof acts / sizeof acts[0]; a++) {
        for (int32_t zero = 0; zero <= 255; zero += 15) {
            vl_dip d;
            assert_true(vl_dip_make(&d, acts[a], 0.04f, zero) > 0.0);
            for (float v = 4e4f; v < 2e9f; v *= 7.0f) {
                assert_int_equal(vl_dip_apply(&d, -v), zero);
                assert_true(vl_dip_apply(&d, v) >= 255);
            }
        }
    }
}

static void refuses_what_it_cannot(void **state) {
    (void)state;
    vl_dip d;
    for (uint32_t act = VL_FMT_ACT_NONE; act <= VL_FMT_ACT_PRELU; act++) {
        bool has = act == VL_FMT_ACT_SILU || act == VL_FMT_ACT_HSWISH;
        assert_int_equal(vl_dip_make(&d, act, 0.04f, 7) > 0.0, has);
        assert_false(vl_dip_make(&d, act, 0.002f, 140) > 0.0);
        assert_false(vl_dip_make(&d, act, 1e-12f, 0) > 0.0);
    }
    assert_true(vl_dip_make(&d, VL_FMT_ACT_SILU, 1e12f, 255) > 0.0);
    assert_int_equal(vl_dip_apply(&d, -1.0f), 255);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(within_one_step),
        cmocka_unit_test(far_out),
        cmocka_unit_test(refuses_what_it_cannot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
