/* Every convolution kernel against its C twin and, for the C twin, against sums in double precision
 * from the unpacked weights: random and extreme numbers, odd sizes, all activations, types and
 * levels. Integer results must be the same bytes at every level. */
#include "convcase.h"
#include "cpu.h"
#include "levels.h"
#include "nn/format.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double largest_value(const conv_case *c) {
    return c->shape.integer
               ? 0.0
               : (double)(c->shape.kh * c->shape.kw * c->shape.in_channels / c->shape.groups) + 4.0;
}

/* Steps that a byte may be off: half a one for its rounding; a dip adds less than another half;
 * with a residual two roundings meet. */
static double allowed_steps(const conv_case *c) {
    double own = c->dipped ? 0.9 : 0.51;
    return c->shape.residual ? 0.8 * own + 0.51 : own;
}

/* The C twin: a rounding for bytes, a few ulp of the largest partial sum for floats. */
static void check_against_double(const conv_case *c, const char *what) {
    for (int32_t y = 0; y < c->out_height; y++) {
        for (int32_t x = 0; x < c->out_width; x++) {
            for (int32_t o = 0; o < c->shape.out_channels; o++) {
                double want = conv_case_expect(c, y, x, o);
                double got = c->item_out == 1 ? (double)conv_case_byte_at(c, y, x, o)
                                              : (double)conv_case_float_at(c, y, x, o);
                double allowed = c->item_out == 1 ? allowed_steps(c)
                                                  : 2e-6 * (largest_value(c) + fabs(want)) + 1e-4;
                if (!(fabs(got - want) <= allowed))
                    fail_msg("%s: (%d,%d,%d) is %g, should be %g", what, y, x, o, got, want);
            }
        }
    }
}

static void check_against_c(const conv_case *c, const uint8_t *c_output, const char *what,
                            const char *level) {
    if (c->shape.integer) {
        for (size_t i = 0; i < c->output_bytes + 128; i++) {
            if (c->output[i] != c_output[i])
                fail_msg("%s: %s differs from c at byte %zu: %d, %d", what, level, i, c->output[i],
                         c_output[i]);
        }
        return;
    }
    for (int32_t y = 0; y < c->out_height; y++) {
        for (int32_t x = 0; x < c->out_width; x++) {
            for (int32_t o = 0; o < c->shape.out_channels; o++) {
                float got = conv_case_float_at(c, y, x, o), want;
                memcpy(&want,
                       c_output + 64 + (size_t)y * c->out_row + (size_t)x * c->out_pixel +
                           4 * (size_t)o,
                       4);
                if (!(fabs((double)(got - want)) <= 2e-6 * largest_value(c) + 1e-5))
                    fail_msg("%s: %s (%d,%d,%d) is %g, in c %g", what, level, y, x, o, (double)got,
                             (double)want);
            }
        }
    }
}

/* Returns whether an activation's dip was in use. */
static bool check(const conv_shape *s, uint64_t seed) {
    char what[200];
    snprintf(what, sizeof what,
             "%dx%d k%dx%d s%d,%d d%d p%d %d->%d g%d act%u int%d floatout%d res%d dense%d fill%d",
             s->height, s->width, s->kh, s->kw, s->sh, s->sw, s->dilation, s->pad, s->in_channels,
             s->out_channels, s->groups, s->act, s->integer, s->float_out, s->residual,
             s->dense_rows, (int)s->fill);
    conv_case c;
    assert_true(conv_case_make(&c, s, seed));
    uint8_t *c_output = malloc(c.output_bytes + 128);
    assert_non_null(c_output);
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if ((levels[i] & ~vl_cpu_levels(0)) != 0)
            continue;
        vl_dsp dsp;
        const char *level = "";
        vl_dsp_init(&dsp, levels[i]);
        assert_int_equal(conv_case_run(&c, &dsp, &level), VEIL_OK);
        if (!conv_case_canaries_alive(&c))
            fail_msg("%s: %s wrote beside the output", what, level);
        if (i == 0) {
            check_against_double(&c, what);
            memcpy(c_output, c.output, c.output_bytes + 128);
        } else {
            check_against_c(&c, c_output, what, level);
        }
    }
    bool dipped = c.dipped;
    free(c_output);
    conv_case_free(&c);
    return dipped;
}

static conv_shape random_shape(random_source *r, bool integer, bool depthwise) {
    static const uint32_t acts[] = {VL_FMT_ACT_NONE,   VL_FMT_ACT_RELU,    VL_FMT_ACT_LEAKY,
                                    VL_FMT_ACT_CLIP,   VL_FMT_ACT_SILU,    VL_FMT_ACT_SIGMOID,
                                    VL_FMT_ACT_HSWISH, VL_FMT_ACT_HSIGMOID};
    conv_shape s = {.integer = integer};
    s.in_channels = random_int(r, 1, depthwise ? 150 : 40);
    s.out_channels = depthwise ? s.in_channels : random_int(r, 1, 150);
    s.groups = depthwise ? s.in_channels : 1;
    s.kh = random_int(r, 1, 5);
    s.kw = random_int(r, 1, 5);
    s.sh = random_int(r, 1, 2);
    s.sw = random_int(r, 1, 3);
    s.dilation = random_int(r, 1, 4) == 1 ? 2 : 1;
    s.pad = random_int(r, 0, 2);
    s.height = random_int(r, 10, 14);
    s.width = random_int(r, 10, 31);
    s.act = acts[random_int(r, 0, 7)];
    if (s.act == VL_FMT_ACT_HSIGMOID)
        s.act = VL_FMT_ACT_NONE; /* its parameters do not fit the case's */
    s.float_out = random_int(r, 0, 3) == 0;
    s.residual = random_int(r, 0, 2) == 0;
    s.dense_rows = random_int(r, 0, 1) == 0;
    s.in_zero = random_int(r, 0, 2) == 0 ? 0 : random_int(r, 0, 255);
    s.out_zero = random_int(r, 0, 2) == 0 ? 0 : random_int(r, 0, 255);
    return s;
}

static void integer_random(void **state) {
    (void)state;
    random_source r = random_from(1);
    for (uint64_t i = 0; i < 150; i++) {
        conv_shape s = random_shape(&r, true, false);
        check(&s, i);
    }
}

static void integer_depthwise(void **state) {
    (void)state;
    random_source r = random_from(2);
    for (uint64_t i = 0; i < 100; i++) {
        conv_shape s = random_shape(&r, true, true);
        check(&s, i);
    }
}

static void float_random(void **state) {
    (void)state;
    random_source r = random_from(3);
    for (uint64_t i = 0; i < 80; i++) {
        conv_shape s = random_shape(&r, false, false);
        check(&s, i);
    }
}

static void float_depthwise(void **state) {
    (void)state;
    random_source r = random_from(4);
    for (uint64_t i = 0; i < 60; i++) {
        conv_shape s = random_shape(&r, false, true);
        check(&s, i);
    }
}

static void grouped(void **state) {
    (void)state;
    random_source r = random_from(5);
    for (uint64_t i = 0; i < 20; i++) {
        conv_shape s = random_shape(&r, i % 2 == 0, false);
        s.groups = random_int(&r, 2, 4);
        s.in_channels = s.groups * random_int(&r, 1, 6);
        s.out_channels = s.groups * random_int(&r, 1, 9);
        check(&s, i);
    }
}

static void integer_extremes(void **state) {
    (void)state;
    static const conv_fill fills[] = {FILL_LOW, FILL_HIGH, FILL_ALTERNATE};
    for (int32_t zero = 0; zero <= 255; zero += 255) {
        for (size_t f = 0; f < 3; f++) {
            for (int32_t depthwise = 0; depthwise <= 1; depthwise++) {
                conv_shape s = {.in_channels = 64,
                                .out_channels = 64,
                                .groups = depthwise ? 64 : 1,
                                .kh = 3,
                                .kw = 3,
                                .sh = 1,
                                .sw = 1,
                                .dilation = 1,
                                .pad = 1,
                                .height = 7,
                                .width = 13,
                                .integer = true,
                                .dense_rows = f == 1,
                                .in_zero = zero,
                                .out_zero = zero,
                                .fill = fills[f]};
                check(&s, f);
            }
        }
    }
}

/* Every tile width and number of channel vectors: widths 1..13, channels around the vector sizes.
 */
static void every_tile(void **state) {
    (void)state;
    static const int32_t channels[] = {1,  7,  8,  9,  15, 16, 17, 31, 32,
                                       33, 48, 49, 63, 64, 65, 80, 96, 192};
    for (size_t o = 0; o < sizeof channels / sizeof channels[0]; o++) {
        for (int32_t width = 1; width <= 13; width++) {
            conv_shape s = {.in_channels = 12,
                            .out_channels = channels[o],
                            .groups = 1,
                            .kh = 1,
                            .kw = 1,
                            .sh = 1,
                            .sw = 1,
                            .dilation = 1,
                            .height = 2,
                            .width = width,
                            .integer = width % 4 != 3,
                            .act = VL_FMT_ACT_RELU,
                            .in_zero = 3,
                            .out_zero = 7};
            check(&s, (uint64_t)width);
        }
    }
}

/* Depthwise 3x3 of both strides: pixels taken together, pairs of rows, the ends of rows. */
static void depthwise_3x3(void **state) {
    (void)state;
    static const int32_t channels[] = {1, 4, 8, 10, 16, 24, 32, 40, 64, 72, 128};
    static const uint32_t acts[] = {VL_FMT_ACT_RELU, VL_FMT_ACT_NONE, VL_FMT_ACT_SILU};
    for (size_t k = 0; k < sizeof channels / sizeof channels[0]; k++) {
        for (int32_t width = 3; width <= 19; width++) {
            conv_shape s = {.in_channels = channels[k],
                            .out_channels = channels[k],
                            .groups = channels[k],
                            .kh = 3,
                            .kw = 3,
                            .sh = 1 + width % 2,
                            .dilation = 1,
                            .pad = 1,
                            .height = 5 + width % 3,
                            .width = width,
                            .integer = true,
                            .dense_rows = width % 5 != 0,
                            .act = acts[width % 7 % 3],
                            .residual = width % 7 == 4,
                            .float_out = width % 7 == 5,
                            .in_zero = 3,
                            .out_zero = 7};
            for (s.sw = 1; s.sw <= 2; s.sw++)
                check(&s, (uint64_t)width);
            s.sw = s.sh;
            check(&s, (uint64_t)width);
        }
    }
}

static const uint32_t dips[] = {VL_FMT_ACT_SILU, VL_FMT_ACT_HSWISH};

/* SiLU and hard swish in all tiles, with and without a residual, coarse and fine outputs, sums of
 * every part of the dip and far beyond it. */
static void dips_in_every_tile(void **state) {
    (void)state;
    static const int32_t channels[] = {1, 8, 15, 16, 17, 32, 33, 48, 63, 64, 80, 112};
    static const float scales[] = {0.02f, 0.05f, 0.3f};
    for (size_t o = 0; o < sizeof channels / sizeof channels[0]; o++) {
        for (int32_t width = 1; width <= 40; width += width < 13 ? 1 : 9) {
            conv_shape s = {.in_channels = width % 2 == 0 ? 12 : 16,
                            .out_channels = channels[o],
                            .groups = 1,
                            .kh = 1,
                            .kw = 1,
                            .sh = 1,
                            .sw = 1,
                            .dilation = 1,
                            .height = 3,
                            .width = width,
                            .integer = true,
                            .dense_rows = width % 3 == 0,
                            .act = dips[width / 2 % 2],
                            .residual = width % 5 < 2,
                            .large = width % 7 < 2,
                            .in_zero = 100,
                            .out_zero = (int32_t)o % 3 * 5,
                            .out_scale = scales[width % 3],
                            .gain = width % 4 == 0 ? 20.0f : 2.0f};
            assert_true(check(&s, (uint64_t)width));
        }
    }
}

static void dips_in_depthwise(void **state) {
    (void)state;
    static const int32_t channels[] = {1, 8, 16, 24, 32, 64, 72};
    for (size_t k = 0; k < sizeof channels / sizeof channels[0]; k++) {
        for (int32_t width = 5; width <= 18; width++) {
            conv_shape s = {.in_channels = channels[k],
                            .out_channels = channels[k],
                            .groups = channels[k],
                            .kh = width % 3 == 0 ? 5 : 3,
                            .kw = 3,
                            .sh = 1,
                            .sw = 1 + width % 2,
                            .dilation = 1,
                            .pad = 1,
                            .height = 6,
                            .width = width,
                            .integer = true,
                            .dense_rows = width % 5 != 0,
                            .act = dips[width % 2],
                            .residual = width % 4 == 0,
                            .large = width % 8 == 0,
                            .in_zero = 128,
                            .out_zero = width,
                            .gain = 4.0f};
            assert_true(check(&s, (uint64_t)width));
        }
    }
}

/* Where no dip suits: outputs too fine for its parts, sums beyond 32 bits of its units. And where
 * it must be cut: no room below 0, or none above it. */
static void dips_at_their_bounds(void **state) {
    (void)state;
    static const struct {
        float scale, gain;
        int32_t zero;
        bool dipped;
    } cases[] = {{0.001f, 1.0f, 30, false}, {0.05f, 1e8f, 7, false},  {0.05f, 1.0f, 0, true},
                 {0.05f, 1e3f, 0, true},    {0.05f, 1.0f, 255, true}, {0.05f, 1e3f, 255, true},
                 {30.0f, 100.0f, 3, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int32_t k = 0; k < 8; k++) {
            conv_shape s = {.in_channels = 24,
                            .out_channels = 24,
                            .groups = (k & 1) != 0 ? 24 : 1,
                            .kh = 3,
                            .kw = 3,
                            .sh = 1,
                            .sw = 1,
                            .dilation = 1,
                            .height = 6,
                            .width = 21,
                            .integer = true,
                            .act = dips[k >> 1 & 1],
                            .residual = (k & 4) != 0,
                            .in_zero = 120,
                            .out_zero = cases[i].zero,
                            .out_scale = cases[i].scale,
                            .gain = cases[i].gain};
            assert_int_equal(check(&s, (uint64_t)k), cases[i].dipped);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integer_random),
        cmocka_unit_test(integer_depthwise),
        cmocka_unit_test(integer_extremes),
        cmocka_unit_test(every_tile),
        cmocka_unit_test(float_random),
        cmocka_unit_test(float_depthwise),
        cmocka_unit_test(grouped),
        cmocka_unit_test(depthwise_3x3),
        cmocka_unit_test(dips_in_every_tile),
        cmocka_unit_test(dips_in_depthwise),
        cmocka_unit_test(dips_at_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
