/* Masks that stay still: never smaller than what must be hidden, and steady under a trembling box.
 */
#include "steady.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "random.h"

static bool holds(vl_rect mask, vl_rect need) {
    const float e = 1e-2f; /* of float sums */
    return mask.x <= need.x + e && mask.y <= need.y + e && mask.x + mask.w >= need.x + need.w - e &&
           mask.y + mask.h >= need.y + need.h - e;
}

static vl_motion pan(float x, float y) {
    vl_motion m = vl_motion_none();
    m.tx = x;
    m.ty = y;
    return m;
}

/* Whatever boxes come, the mask holds them and is not much larger. */
static void holds_every_box(void **state) {
    (void)state;
    vl_steady *s;
    assert_int_equal(vl_steady_create(&s), 0);
    random_source r = random_from(5);
    for (int n = 0; n < 4000; n++) {
        vl_motion m = pan((float)random_int(&r, -90, 90) / 10, (float)random_int(&r, -90, 90) / 10);
        m.a = 1 + (float)random_int(&r, -20, 20) / 1000;
        vl_steady_next(s, &m);
        for (uint32_t id = 1; id < 6; id++) {
            vl_rect need = {(float)random_int(&r, -500, 9000) / 7,
                            (float)random_int(&r, -500, 9000) / 7,
                            (float)random_int(&r, 1, 3000) / 9, (float)random_int(&r, 1, 3000) / 9};
            vl_rect mask = vl_steady_mask(s, id, need);
            assert_true(holds(mask, need));
            assert_true(fmodf(mask.x, 2) == 0 && fmodf(mask.w, 2) == 0);
        }
    }
    vl_steady_destroy(s);
}

/* A box that trembles beside a panning camera: the mask moves as the camera does and stays of one
 * size. */
static void moves_with_the_camera(void **state) {
    (void)state;
    vl_steady *s;
    assert_int_equal(vl_steady_create(&s), 0);
    random_source r = random_from(6);
    vl_rect before = {0, 0, 0, 0};
    int resized = 0, off = 0;
    for (int n = 0; n < 300; n++) {
        vl_motion m = pan(4, -2);
        vl_steady_next(s, &m);
        vl_rect need = {100 + 4.0f * (float)n + (float)random_int(&r, -15, 15) / 10,
                        900 - 2.0f * (float)n + (float)random_int(&r, -15, 15) / 10, 80, 100};
        vl_rect mask = vl_steady_mask(s, 7, need);
        assert_true(holds(mask, need));
        assert_true(mask.w < 80 * 1.3f && mask.h < 100 * 1.3f);
        resized += n > 0 && (mask.w != before.w || mask.h != before.h);
        off += n > 0 && (mask.x != before.x + 4 || mask.y != before.y - 2);
        before = mask;
    }
    assert_int_equal(resized, 0);
    assert_in_range(off, 0, 6);
    vl_steady_destroy(s);
}

/* A mask that became far too large shrinks after a while. */
static void shrinks_at_last(void **state) {
    (void)state;
    vl_steady *s;
    assert_int_equal(vl_steady_create(&s), 0);
    const vl_motion still = vl_motion_none();
    vl_rect large = {100, 100, 300, 300}, small = {200, 200, 60, 60}, mask = large;
    for (int n = 0; n < 40; n++) {
        vl_steady_next(s, &still);
        mask = vl_steady_mask(s, 1, n == 0 ? large : small);
        assert_true(holds(mask, n == 0 ? large : small));
    }
    assert_true(mask.w < 100 && mask.h < 120);
    vl_steady_destroy(s);
}

/* No number, no memory of it, and what was not asked for is forgotten. */
static void forgets_and_bears_nonsense(void **state) {
    (void)state;
    vl_steady *s;
    assert_int_equal(vl_steady_create(&s), 0);
    vl_motion m = pan(NAN, INFINITY);
    vl_rect need = {10, 10, 50, 50}, none = {NAN, 0, 10, 10};
    assert_true(holds(vl_steady_mask(s, 1, (vl_rect){0, 0, 200, 200}), need));
    assert_true(isnan(vl_steady_mask(s, 2, none).x));
    vl_steady_next(s, &m);
    assert_true(holds(vl_steady_mask(s, 1, need), need));
    vl_steady_reset(s);
    m = vl_motion_none();
    vl_steady_next(s, &m);
    vl_rect mask = vl_steady_mask(s, 1, need);
    assert_true(holds(mask, need) && mask.w < 70);
    vl_steady_mask(s, 3, (vl_rect){0, 0, 200, 200});
    vl_steady_next(s, &m);
    vl_steady_next(s, &m); /* a frame without track 3 */
    assert_true(vl_steady_mask(s, 3, need).w < 70);
    vl_steady_destroy(s);
}

static int sizes_seen(float heights[], int n, float h) {
    for (int i = 0; i < n; i++)
        if (heights[i] == h)
            return n;
    heights[n] = h;
    return n + 1;
}

/* The outline says nothing of how wide a face is for its height, and little of its size. */
static void one_proportion_and_few_sizes(void **state) {
    (void)state;
    random_source r = random_from(8);
    float heights[64];
    int n = 0;
    for (int i = 0; i < 20000; i++) {
        float h = expf((float)random_int(&r, 3000, 6900) / 1000); /* 20 to 1000 px */
        float w = h * (float)random_int(&r, 500, 800) / 1000;
        vl_rect need = {(float)random_int(&r, -300, 3000) / 3, (float)random_int(&r, 0, 3000) / 3,
                        w, h};
        vl_rect mask = vl_steady_alone(need);
        assert_true(holds(mask, need));
        assert_true(mask.w >= 0.8f * mask.h && mask.w < 0.8f * mask.h + 2.01f);
        assert_true(mask.h < h * 1.06f * 1.25f + 6);
        n = sizes_seen(heights, n, mask.h);
        vl_rect slim = {need.x, need.y, h * 0.5f, h}, wide = {need.x, need.y, h * 0.79f, h};
        assert_true(vl_steady_alone(slim).h == vl_steady_alone(wide).h || h < 60);
    }
    assert_in_range(n, 10, 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_every_box),
        cmocka_unit_test(moves_with_the_camera),
        cmocka_unit_test(shrinks_at_last),
        cmocka_unit_test(one_proportion_and_few_sizes),
        cmocka_unit_test(forgets_and_bears_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
