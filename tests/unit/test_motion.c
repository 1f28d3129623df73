/* Camera movement on drawn pictures with known truth. */
#include "motion.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define W 240
#define H 135

/* A smooth random texture, defined everywhere. */
static float value(uint32_t seed, float x, float y) {
    float sum = 128;
    random_source r = random_from(seed);
    for (int i = 0; i < 24; i++) {
        float fx = random_float(&r, -0.35f, 0.35f), fy = random_float(&r, -0.35f, 0.35f);
        sum += 14 * sinf(fx * x + fy * y + random_float(&r, 0, 6.28f));
    }
    return fminf(fmaxf(sum, 0), 255);
}

/* The scene as a camera sees it that moved by m: pixel p shows the scene at m^-1 (p). */
static void draw(uint8_t *out, uint32_t seed, vl_motion m) {
    vl_motion back = vl_motion_inverse(m);
    for (int y = 0; y < H; y++) {
        for (int x = 0; x < W; x++) {
            float px = (float)x + 0.5f, py = (float)y + 0.5f;
            out[y * W + x] = (uint8_t)value(seed, back.a * px - back.b * py + back.tx,
                                            back.b * px + back.a * py + back.ty);
        }
    }
}

static vl_motion_picture picture(const uint8_t *data) {
    return (vl_motion_picture){data, W, H, W};
}

static float off_at(const vl_motion *a, const vl_motion *b, float x, float y) {
    return hypotf((a->a - b->a) * x - (a->b - b->b) * y + a->tx - b->tx,
                  (a->b - b->b) * x + (a->a - b->a) * y + a->ty - b->ty);
}

static float worst(const vl_motion *a, const vl_motion *b) {
    float e = 0;
    for (int i = 0; i < 4; i++)
        e = fmaxf(e, off_at(a, b, (i & 1) ? W : 0, (i & 2) ? H : 0));
    return e;
}

static vl_motion similarity(float scale, float angle, float tx, float ty) {
    return (vl_motion){.a = scale * cosf(angle), .b = scale * sinf(angle), .tx = tx, .ty = ty};
}

static uint8_t first[W * H], second[W * H];

static void finds_similarity(void **state) {
    (void)state;
    const vl_motion truths[] = {
        similarity(1, 0, 3, -2),         similarity(1, 0, 14.5f, 6.25f),
        similarity(1, 0, -20, 3),        similarity(1.02f, 0, -2.4f, -1),
        similarity(0.985f, 0.01f, 2, 3), similarity(1, -0.015f, 1, 0),
    };
    for (size_t i = 0; i < sizeof truths / sizeof truths[0]; i++) {
        draw(first, 11 + (uint32_t)i, vl_motion_none());
        draw(second, 11 + (uint32_t)i, truths[i]);
        vl_motion_picture p = picture(first), q = picture(second);
        vl_motion m = vl_motion_estimate(&p, &q, NULL, 0);
        if (worst(&m, &truths[i]) > 0.6f || m.sure < 0.6f || m.cut)
            fail_msg("case %zu: off by %.2f px, sure %.2f: %f %f %f %f", i,
                     (double)worst(&m, &truths[i]), (double)m.sure, (double)m.a, (double)m.b,
                     (double)m.tx, (double)m.ty);
    }
}

/* Two fifths of the picture move otherwise: the camera's movement still wins. */
static void ignores_a_crowd(void **state) {
    (void)state;
    vl_motion truth = similarity(1, 0, 4, 1);
    static uint8_t other[W * H];
    draw(first, 5, vl_motion_none());
    draw(second, 5, truth);
    draw(other, 5, similarity(1, 0, -3, 0));
    for (int y = 0; y < H; y++)
        memcpy(second + y * W + W / 3, other + y * W + W / 3, W * 2 / 5);
    vl_motion_picture p = picture(first), q = picture(second);
    vl_motion m = vl_motion_estimate(&p, &q, NULL, 0);
    assert_true(worst(&m, &truth) < 0.6f);
    assert_true(m.sure < 0.8f);
    vl_motion_area skip = {W / 3.0f - 8, 0, W * 2 / 5.0f + 16, H};
    m = vl_motion_estimate(&p, &q, &skip, 1);
    assert_true(worst(&m, &truth) < 0.6f);
    assert_true(m.sure > 0.9f); /* the areas left out do not count */
}

static void still_is_exactly_still(void **state) {
    (void)state;
    random_source r = random_from(3);
    draw(first, 8, vl_motion_none());
    for (int i = 0; i < W * H; i++) /* sensor noise */
        second[i] = (uint8_t)fminf(fmaxf((float)first[i] + random_float(&r, -3, 3), 0), 255);
    vl_motion_picture p = picture(first), q = picture(second);
    vl_motion m = vl_motion_estimate(&p, &q, NULL, 0);
    assert_true(m.a == 1 && m.b == 0 && m.tx == 0 && m.ty == 0);
    assert_true(m.sure > 0.9f);
}

static void sees_cuts(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 20; i++) {
        draw(first, 100 + i, vl_motion_none());
        draw(second, 200 + i, vl_motion_none());
        vl_motion_picture p = picture(first), q = picture(second);
        assert_true(vl_motion_estimate(&p, &q, NULL, 0).cut);
    }
}

/* Movement, noise, a flash and a dimming light are no cuts. */
static void no_false_cuts(void **state) {
    (void)state;
    random_source r = random_from(4);
    for (uint32_t i = 0; i < 20; i++) {
        draw(first, 300 + i, vl_motion_none());
        draw(second, 300 + i,
             similarity(1, 0, random_float(&r, -15, 15), random_float(&r, -10, 10)));
        int gain = 80 + (int)(i * 3); /* percent */
        for (int k = 0; k < W * H; k++) {
            int v = second[k] * gain / 100 + random_int(&r, -4, 4);
            second[k] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
        }
        vl_motion_picture p = picture(first), q = picture(second);
        assert_false(vl_motion_estimate(&p, &q, NULL, 0).cut);
    }
}

static void flat_and_small_are_unknown(void **state) {
    (void)state;
    memset(first, 90, sizeof first);
    memset(second, 92, sizeof second);
    vl_motion_picture p = picture(first), q = picture(second);
    vl_motion m = vl_motion_estimate(&p, &q, NULL, 0);
    assert_true(m.sure == 0 && m.a == 1 && m.tx == 0 && !m.cut);
    p.width = q.width = 20;
    assert_true(vl_motion_estimate(&p, &q, NULL, 0).sure == 0);
    for (int32_t w = 32; w < 60; w += 5) { /* every size is safe (run under ASan) */
        p.width = q.width = w;
        p.height = q.height = 32 + w / 7;
        p.stride = q.stride = w;
        draw(first, 1, vl_motion_none());
        (void)vl_motion_estimate(&p, &q, NULL, 0);
    }
}

static void composes(void **state) {
    (void)state;
    vl_motion a = similarity(1.1f, 0.2f, 5, -3), b = similarity(0.9f, -0.1f, 2, 8);
    vl_motion ab = vl_motion_then(a, b), id = vl_motion_then(ab, vl_motion_inverse(ab));
    float x = 30, y = 40;
    float ax = a.a * x - a.b * y + a.tx, ay = a.b * x + a.a * y + a.ty;
    float bx = b.a * ax - b.b * ay + b.tx, by = b.b * ax + b.a * ay + b.ty;
    assert_true(fabsf(ab.a * x - ab.b * y + ab.tx - bx) < 1e-3f);
    assert_true(fabsf(ab.b * x + ab.a * y + ab.ty - by) < 1e-3f);
    vl_motion none = vl_motion_none();
    assert_true(worst(&id, &none) < 1e-3f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_similarity),
        cmocka_unit_test(ignores_a_crowd),
        cmocka_unit_test(still_is_exactly_still),
        cmocka_unit_test(sees_cuts),
        cmocka_unit_test(no_false_cuts),
        cmocka_unit_test(flat_and_small_are_unknown),
        cmocka_unit_test(composes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
