/* Every pixel kernel against plain C: random and extreme inputs, all short lengths, guard bytes
 * behind whatever is written. Reading past the caller's rows is left to the sanitizers: those rows
 * are allocated to their exact length. */
#include "cpu.h"
#include "mem.h"
#include "pix/pix.h"
#include "veil.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "random.h"

#define LONGEST     170
#define GUARD_BYTES 64

/* One block per CPU level that this machine has. */
static vl_pix levels[4];
static size_t n_levels;

static int find_levels(void **state) {
    (void)state;
    static const uint32_t masks[] = {VEIL_CPU_AVX2, VEIL_CPU_NEON, VEIL_CPU_ALL};
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++)
        if ((vl_cpu_levels(0) & masks[i]) != 0)
            vl_pix_init(&levels[n_levels++], vl_cpu_levels(0) & masks[i]);
    for (size_t i = 0; i < n_levels; i++)
        print_message("against plain C: %s\n", levels[i].level);
    return 0;
}

/* Random bytes: uniform, or mostly the extremes. Exactly n bytes, so that reading past is seen. */
static void *noise(random_source *r, size_t n, size_t size) {
    uint8_t *p = malloc(n * size > 0 ? n * size : 1);
    assert_non_null(p);
    uint32_t kind = random_bits(r) % 4;
    for (size_t i = 0; i < n * size; i++)
        p[i] = kind == 0   ? 255
               : kind == 1 ? (uint8_t)(random_bits(r) % 2 * 255)
                           : (uint8_t)random_bits(r);
    return p;
}

static uint16_t *words(random_source *r, size_t n, uint16_t top) {
    uint16_t *p = noise(r, n, sizeof *p);
    for (size_t i = 0; i < n; i++)
        if (p[i] > top)
            p[i] = (uint16_t)(p[i] % (top + 1));
    return p;
}

/* Two equal outputs with guards, for the plain kernel and the one tested. */
typedef struct {
    uint8_t *want, *got;
    size_t bytes;
} outputs;

static outputs outputs_make(random_source *r, size_t bytes) {
    outputs o = {malloc(bytes + GUARD_BYTES), malloc(bytes + GUARD_BYTES), bytes + GUARD_BYTES};
    assert_true(o.want != NULL && o.got != NULL);
    for (size_t i = 0; i < o.bytes; i++)
        o.want[i] = o.got[i] = (uint8_t)random_bits(r);
    return o;
}

static void outputs_check(outputs *o, const char *kernel, const char *level, int32_t n) {
    for (size_t i = 0; i < o->bytes; i++)
        if (o->want[i] != o->got[i])
            fail_msg("%s %s, n %d: byte %zu is %d, not %d", kernel, level, n, i, o->got[i],
                     o->want[i]);
    free(o->want);
    free(o->got);
}

typedef void one_fn(const vl_pix *pix, int32_t n, random_source *r, uint64_t seed);

/* Calls fn for every level, length and some seeds. */
static void each(one_fn *fn) {
    for (size_t v = 0; v < n_levels; v++)
        for (int32_t n = 1; n <= LONGEST; n++)
            for (uint64_t seed = 0; seed < 6; seed++) {
                random_source r = random_from(seed * 1000 + (uint64_t)n);
                fn(&levels[v], n, &r, seed);
            }
}

static void one_weighted_sums(const vl_pix *pix, int32_t n, random_source *r, uint64_t seed) {
    int wide = seed % 2 != 0;
    int32_t n_rows = random_int(r, 1, 70);
    const void *rows[70];
    uint16_t w[70];
    int32_t rest = 65536;
    for (int32_t i = 0; i < n_rows; i++) {
        rows[i] = noise(r, (size_t)n, wide != 0 ? 2 : 1);
        w[i] = (uint16_t)(rest > 65535 ? random_int(r, 0, 65535) : random_int(r, 0, rest));
        rest -= w[i];
    }
    outputs o = outputs_make(r, (size_t)n * 2);
    (wide != 0 ? vl_pix_plain.wsum_u16 : vl_pix_plain.wsum_u8)((uint16_t *)(void *)o.want, rows, w,
                                                               n_rows, n);
    (wide != 0 ? pix->wsum_u16 : pix->wsum_u8)((uint16_t *)(void *)o.got, rows, w, n_rows, n);
    outputs_check(&o, "wsum", pix->level, n);
    for (int32_t i = 0; i < n_rows; i++) {
        union {
            const void *constant;
            void *p;
        } row = {rows[i]};
        free(row.p);
    }
}

static void weighted_sums(void **state) {
    (void)state;
    each(one_weighted_sums);
}

static void one_turning(const vl_pix *pix, int32_t n, random_source *r, uint64_t seed) {
    (void)seed;
    int32_t whole = (n + 7) & ~7, stride = whole + random_int(r, 0, 9);
    uint16_t *src = noise(r, (size_t)stride * VL_PIX_ROWS, 2);
    outputs o = outputs_make(r, (size_t)whole * VL_PIX_ROWS * 2);
    vl_pix_plain.turn_u16((uint16_t *)(void *)o.want, src, stride, whole);
    pix->turn_u16((uint16_t *)(void *)o.got, src, stride, whole);
    uint16_t *turned = (uint16_t *)(void *)o.got;
    assert_int_equal(turned[(whole - 1) * VL_PIX_ROWS + 5], src[5 * stride + whole - 1]);
    outputs_check(&o, "turn", pix->level, n);
    free(src);
}

static void turning(void **state) {
    (void)state;
    each(one_turning);
}

static void one_taps(const vl_pix *pix, int32_t n, random_source *r, uint64_t seed) {
    (void)seed;
    int32_t step = random_int(r, 1, 4), base = random_int(r, 0, 3), most = 12;
    int32_t columns = (n + most) * step;
    uint16_t *src = words(r, (size_t)columns * VL_PIX_ROWS, 65504);
    uint16_t *w = calloc((size_t)(n * most), sizeof *w);
    vl_pix_tap *tap = calloc((size_t)n, sizeof *tap);
    assert_true(w != NULL && tap != NULL);
    for (int32_t i = 0; i < n; i++) {
        tap[i] = (vl_pix_tap){i + 3, random_int(r, 1, most - 3), i * most};
        int32_t rest = 65536;
        for (int32_t t = 0; t < tap[i].count; t++) {
            w[i * most + t] = (uint16_t)random_int(r, 0, rest > 65535 ? 65535 : rest);
            rest -= w[i * most + t];
        }
    }
    outputs o = outputs_make(r, (size_t)n * VL_PIX_ROWS * 2);
    vl_pix_plain.taps_u16((uint16_t *)(void *)o.want, src, tap, w, n, step, base);
    pix->taps_u16((uint16_t *)(void *)o.got, src, tap, w, n, step, base);
    outputs_check(&o, "taps", pix->level, n);
    free(src);
    free(w);
    free(tap);
}

static void taps(void **state) {
    (void)state;
    each(one_taps);
}

static void one_colours(const vl_pix *pix, int32_t n, random_source *r, uint64_t seed) {
    /* BT.601 full, BT.709 limited, BT.2020 limited */
    static const vl_pix_colour matrix[] = {{16384, -32, 11485, 2819, 5850, 14516},
                                           {19077, 1160, 14686, 1747, 4366, 17305},
                                           {19077, 1160, 13751, 1535, 5328, 17545}};
    int32_t n_rows = random_int(r, 1, VL_PIX_ROWS);
    ptrdiff_t stride = (ptrdiff_t)n * 4 + random_int(r, 0, 20);
    uint16_t *c[3];
    for (int k = 0; k < 3; k++)
        c[k] = noise(r, (size_t)n * VL_PIX_ROWS, 2);
    outputs o = outputs_make(r, (size_t)stride * VL_PIX_ROWS);
    vl_pix_plain.yuv_rgbx(o.want, stride, n_rows, n, c[0], c[1], c[2], &matrix[seed % 3]);
    pix->yuv_rgbx(o.got, stride, n_rows, n, c[0], c[1], c[2], &matrix[seed % 3]);
    outputs_check(&o, "yuv_rgbx", pix->level, n);
    o = outputs_make(r, (size_t)stride * VL_PIX_ROWS);
    vl_pix_plain.rgb_rgbx(o.want, stride, n_rows, n, c[0], c[1], c[2]);
    pix->rgb_rgbx(o.got, stride, n_rows, n, c[0], c[1], c[2]);
    outputs_check(&o, "rgb_rgbx", pix->level, n);
    for (int k = 0; k < 3; k++)
        free(c[k]);
}

static void colours(void **state) {
    (void)state;
    each(one_colours);
}

static void one_sums(const vl_pix *pix, int32_t n, random_source *r, uint64_t seed) {
    (void)seed;
    uint8_t *row = noise(r, (size_t)n, 1);
    outputs o = outputs_make(r, (size_t)n * 2);
    vl_pix_plain.sum_u8((uint16_t *)(void *)o.want, row, n);
    pix->sum_u8((uint16_t *)(void *)o.got, row, n);
    outputs_check(&o, "sum_u8", pix->level, n);
    free(row);
    row = noise(r, (size_t)n, 2);
    o = outputs_make(r, (size_t)n * 2);
    vl_pix_plain.sum_u16((uint16_t *)(void *)o.want, row, n);
    pix->sum_u16((uint16_t *)(void *)o.got, row, n);
    outputs_check(&o, "sum_u16", pix->level, n);
    free(row);
}

static void sums(void **state) {
    (void)state;
    each(one_sums);
}

static void one_mixing(const vl_pix *pix, int32_t n, random_source *r, uint64_t seed) {
    (void)seed;
    int16_t w[3];
    w[0] = (int16_t)random_int(r, 0, 32767);
    w[1] = (int16_t)random_int(r, 0, 32767 - w[0]);
    w[2] = (int16_t)(32767 - w[0] - w[1]);
    for (int kind = 0; kind < 3; kind++) {
        int16_t *row[3];
        for (int k = 0; k < 3; k++)
            row[k] = (int16_t *)(void *)words(r, (size_t)n, kind == 2 ? 32736 : 32640);
        outputs o = outputs_make(r, (size_t)n * 2);
        if (kind == 0) {
            vl_pix_plain.mix3_s16((int16_t *)(void *)o.want, row[0], row[1], row[2], w, n);
            pix->mix3_s16((int16_t *)(void *)o.got, row[0], row[1], row[2], w, n);
        } else {
            (kind == 1 ? vl_pix_plain.mix3_u8 : vl_pix_plain.mix3_u16)(o.want, row[0], row[1],
                                                                       row[2], w, n);
            (kind == 1 ? pix->mix3_u8 : pix->mix3_u16)(o.got, row[0], row[1], row[2], w, n);
        }
        outputs_check(&o, "mix3", pix->level, n);
        for (int k = 0; k < 3; k++)
            free(row[k]);
    }
}

static void mixing(void **state) {
    (void)state;
    each(one_mixing);
}

static void one_blending(const vl_pix *pix, int32_t n, random_source *r, uint64_t seed) {
    (void)seed;
    uint8_t *alpha = noise(r, (size_t)n, 1), *paint = noise(r, (size_t)n, 1);
    for (int32_t i = 0; i < n; i += 3)
        alpha[i] = 0;
    outputs o = outputs_make(r, (size_t)n), before = outputs_make(r, (size_t)n);
    memcpy(before.got, o.got, o.bytes);
    vl_pix_plain.blend_u8(o.want, paint, alpha, n);
    pix->blend_u8(o.got, paint, alpha, n);
    for (int32_t i = 0; i < n; i++) /* the two promises of pix.h */
        assert_true((alpha[i] != 0 || o.got[i] == before.got[i]) &&
                    (alpha[i] != 255 || o.got[i] == paint[i]));
    outputs_check(&o, "blend_u8", pix->level, n);
    free(paint);
    uint16_t *paint16 = words(r, (size_t)n, 1023);
    o = outputs_make(r, (size_t)n * 2);
    vl_pix_plain.blend_u16(o.want, paint16, alpha, n);
    pix->blend_u16(o.got, paint16, alpha, n);
    for (int32_t i = 0; i < n; i++)
        assert_true(alpha[i] != 255 || ((uint16_t *)(void *)o.got)[i] == paint16[i]);
    outputs_check(&o, "blend_u16", pix->level, n);
    free(paint16);
    free(alpha);
    free(before.want);
    free(before.got);
}

static void blending(void **state) {
    (void)state;
    each(one_blending);
}

static void one_alphas(const vl_pix *pix, int32_t n, random_source *r, uint64_t seed) {
    float *d2 = malloc((size_t)n * sizeof *d2);
    assert_non_null(d2);
    for (int32_t i = 0; i < n; i++)
        d2[i] = random_float(r, 0, 2);
    float add = random_float(r, -1, 1), inv = seed == 0 ? 1e4f : random_float(r, 0.3f, 5);
    outputs o = outputs_make(r, (size_t)n);
    vl_pix_plain.alpha_row(o.want, d2, add, inv, n);
    pix->alpha_row(o.got, d2, add, inv, n);
    outputs_check(&o, "alpha_row", pix->level, n);
    free(d2);
    uint8_t *a = noise(r, (size_t)n * 2, 1), *b = noise(r, (size_t)n * 2, 1);
    o = outputs_make(r, (size_t)n);
    vl_pix_plain.alpha_half(o.want, a, b, n);
    pix->alpha_half(o.got, a, b, n);
    outputs_check(&o, "alpha_half", pix->level, n);
    free(a);
    free(b);
}

static void alphas(void **state) {
    (void)state;
    each(one_alphas);
}

/* The soft edge has the ends it promises, for not-a-number too. */
static void soft_edge_ends(void **state) {
    (void)state;
    const float d2[16] = {-1, 0, -0.0f, 1, 1.5f, 1e30f, 0.5f, 0.999999f};
    for (size_t v = 0; v <= n_levels; v++) {
        const vl_pix *pix = v < n_levels ? &levels[v] : &vl_pix_plain;
        uint8_t alpha[16] = {0};
        pix->alpha_row(alpha, d2, 0, 1, 16);
        assert_int_equal(alpha[0], 255);
        assert_int_equal(alpha[1], 255);
        assert_int_equal(alpha[3], 0);
        assert_int_equal(alpha[4], 0);
        assert_int_equal(alpha[5], 0);
        assert_in_range(alpha[6], 127, 128);
        uint8_t none[16] = {0};
        pix->alpha_row(none, d2, NAN, 1, 16);
        for (int i = 0; i < 16; i++)
            assert_int_equal(none[i], 255);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weighted_sums),  cmocka_unit_test(turning),
        cmocka_unit_test(taps),           cmocka_unit_test(colours),
        cmocka_unit_test(sums),           cmocka_unit_test(mixing),
        cmocka_unit_test(blending),       cmocka_unit_test(alphas),
        cmocka_unit_test(soft_edge_ends),
    };
    return cmocka_run_group_tests(tests, find_levels, NULL);
}
