/* What is painted over hidden areas: averages, colours, soft edges, images; odd boxes, covering,
 * memory. That nothing else shows through is test_redact.c's. */
#include "mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mask_scene.h"

/* ------------------------------------------------------------------ what is painted */

static double average(const picture *p, int k, const vl_cells *g, int32_t i, int32_t j) {
    const vl_frame_channel *c = &vl_frame_layout_of(p->frame.format)->channel[k];
    int32_t round_x = (1 << c->x_shift) - 1, round_y = (1 << c->y_shift) - 1, n = 0;
    double sum = 0;
    for (int32_t y = g->y[j] >> c->y_shift; y < (g->y[j + 1] + round_y) >> c->y_shift; y++)
        for (int32_t x = g->x[i] >> c->x_shift; x < (g->x[i + 1] + round_x) >> c->x_shift; x++) {
            sum += picture_get(&p->frame, k, x, y);
            n++;
        }
    return sum / n;
}

static double spline_weight(double t) {
    t = fabs(t);
    return t < 0.5 ? 0.75 - t * t : t < 1.5 ? (1.5 - t) * (1.5 - t) / 2 : 0;
}

/* The value that a style should paint: the cell's average, or the spline through the averages. */
static double painted(const picture *p, int k, const vl_cells *g, veil_style style, int32_t x,
                      int32_t y) {
    const vl_frame_channel *c = &vl_frame_layout_of(p->frame.format)->channel[k];
    uint64_t cell = cell_of(g, x << c->x_shift, y << c->y_shift) - 1;
    int32_t i = (int32_t)cell % VL_CELLS_MAX, j = (int32_t)cell / VL_CELLS_MAX;
    if (style == VEIL_STYLE_WEAK_MOSAIC)
        return average(p, k, g, i, j);
    int32_t ex = (1 << c->x_shift) - 1, ey = (1 << c->y_shift) - 1;
    double x0 = g->x[i] >> c->x_shift, x1 = (g->x[i + 1] + ex) >> c->x_shift;
    double y0 = g->y[j] >> c->y_shift, y1 = (g->y[j + 1] + ey) >> c->y_shift;
    double u = (x + 0.5 - x0) / (x1 - x0) - 0.5, v = (y + 0.5 - y0) / (y1 - y0) - 0.5, sum = 0;
    for (int32_t dj = -1; dj <= 1; dj++)
        for (int32_t di = -1; di <= 1; di++) {
            int32_t ci = i + di, cj = j + dj;
            ci = ci < 0 ? 0 : ci >= g->nx ? g->nx - 1 : ci;
            cj = cj < 0 ? 0 : cj >= g->ny ? g->ny - 1 : cj;
            sum += spline_weight(u - di) * spline_weight(v - dj) * average(p, k, g, ci, cj);
        }
    return sum;
}

/* Only of the weak styles; of the others see test_around.c. */
static void weak_paint_is_made_of_averages(void **state) {
    (void)state;
    static const veil_format formats[] = {VEIL_FORMAT_I420,  VEIL_FORMAT_NV12, VEIL_FORMAT_YUY2,
                                          VEIL_FORMAT_RGB24, VEIL_FORMAT_BGRA, VEIL_FORMAT_I010};
    for (int f = 0; f < 6; f++)
        for (int style = VEIL_STYLE_WEAK_BLUR; style <= VEIL_STYLE_WEAK_MOSAIC; style++) {
            scene s = {.n = 1, .style = style_of((veil_style)style, VEIL_SHAPE_BOX)};
            s.box[0] = (vl_rect){11, 8, 50, 40};
            s.style.cells = 7;
            picture before = picture_make(formats[f], 77, 63, false);
            picture_noise(&before, (uint64_t)f);
            picture after = picture_copy(&before);
            draw(&after, &s, 0);
            vl_cells grid[MAX_MASKS];
            assert_int_equal(grids_of(&before.frame, &s, grid), 1);
            assert_int_equal(grid[0].nx, 7);
            for (int k = 0; k < 3; k++)
                for (int32_t y = 0; y < picture_channel_height(&after.frame, k); y += 3)
                    for (int32_t x = 0; x < picture_channel_width(&after.frame, k); x++) {
                        if (where_sample(&after.frame, &s, k, x, y) != 0)
                            continue;
                        double want = painted(&before, k, grid, (veil_style)style, x, y);
                        double got = picture_get(&after.frame, k, x, y);
                        assert_true(fabs(got - want) <= 0.55);
                    }
            picture_free(&before);
            picture_free(&after);
        }
}

static void solid_is_the_colour(void **state) {
    (void)state;
    for (int f = VEIL_FORMAT_NONE + 1; f < VEIL_FORMAT_COUNT; f++)
        for (int range = VEIL_RANGE_LIMITED; range <= VEIL_RANGE_FULL; range++) {
            static const uint32_t colours[] = {0xffffff, 0, 0xff0000, 0x123456};
            for (int c = 0; c < 4; c++) {
                scene s = {.n = 1, .style = style_of(VEIL_STYLE_SOLID, VEIL_SHAPE_ELLIPSE)};
                s.box[0] = (vl_rect){10, 10, 30, 20};
                s.style.fill_rgb = colours[c];
                picture p = picture_make((veil_format)f, 64, 48, false);
                picture_noise(&p, 5);
                p.frame.range = (veil_range)range;
                uint16_t native[3];
                vl_frame_native_rgb(&p.frame, colours[c], native);
                draw(&p, &s, 0);
                for (int k = 0; k < vl_frame_layout_of(p.frame.format)->n_channels; k++)
                    for (int32_t y = 0; y < picture_channel_height(&p.frame, k); y++)
                        for (int32_t x = 0; x < picture_channel_width(&p.frame, k); x++)
                            if (where_sample(&p.frame, &s, k, x, y) == 0)
                                assert_int_equal(picture_get(&p.frame, k, x, y), native[k]);
                picture_free(&p);
            }
        }
}

/* White over black: falls steadily from 255 to 0 outwards, on every ray. */
static void soft_edges_fall_outwards(void **state) {
    (void)state;
    for (int shape = 0; shape < 3; shape++) {
        scene s = {.n = 1, .style = style_of(VEIL_STYLE_SOLID, (veil_shape)shape)};
        s.box[0] = (vl_rect){200, 150, 100, 140};
        s.style.fill_rgb = 0xffffff;
        picture p = picture_make(VEIL_FORMAT_GRAY8, 512, 512, false);
        p.frame.range = VEIL_RANGE_FULL;
        for (int32_t y = 0; y < 512; y++)
            memset(p.frame.plane[0] + y * p.frame.stride[0], 0, 512);
        draw(&p, &s, 0);
        for (int ray = 0; ray < 32; ray++) {
            double a = ray * 0.19635, last = 255, soft = 0;
            for (double d = 0; d < 160; d += 0.5) {
                int32_t v = picture_get(&p.frame, 0, (int32_t)(250 + d * cos(a)),
                                        (int32_t)(220 + d * sin(a)));
                assert_true(v <= last);
                last = v;
                soft += v > 0 && v < 255 ? 0.5 : 0;
            }
            assert_int_equal(last, 0);
            assert_true(soft >= 8 && soft <= 40);
        }
        picture_free(&p);
    }
}

/* The image is seen where it is opaque, and what lies under it is hidden where it is clear. */
static void images_lie_on_hidden_faces(void **state) {
    (void)state;
    static const uint8_t clear[4] = {255, 255, 255, 0}, green[4] = {0, 255, 0, 255};
    static const uint8_t thin[4] = {0, 255, 0, 128};
    for (int f = VEIL_FORMAT_NONE + 1; f < VEIL_FORMAT_COUNT; f++) {
        picture noise = picture_make((veil_format)f, 90, 70, false);
        picture_noise(&noise, 3);
        picture blurred = picture_copy(&noise), with_clear = picture_copy(&noise),
                with_green = picture_copy(&noise), missing = picture_copy(&noise),
                with_thin = picture_copy(&noise);
        scene s = {.n = 1, .style = style_of(VEIL_STYLE_BLUR, VEIL_SHAPE_ELLIPSE)};
        s.box[0] = (vl_rect){20, 10, 35, 45};
        draw(&blurred, &s, 0);
        s.style.style = VEIL_STYLE_IMAGE;
        s.style.image = clear;
        s.style.image_width = s.style.image_height = 1;
        s.style.image_stride = 4;
        draw(&with_clear, &s, 0);
        assert_true(picture_same(&blurred, &with_clear));
        s.style.image = green;
        draw(&with_green, &s, 0);
        s.style.image = thin;
        draw(&with_thin, &s, 0);
        uint16_t native[3];
        vl_frame_native_rgb(&noise.frame, 0x00ff00, native);
        for (int k = 0; k < vl_frame_layout_of(noise.frame.format)->n_channels; k++)
            for (int32_t y = 0; y < picture_channel_height(&noise.frame, k); y++)
                for (int32_t x = 0; x < picture_channel_width(&noise.frame, k); x++)
                    if (where_sample(&noise.frame, &s, k, x, y) == 0) {
                        int32_t under = picture_get(&blurred.frame, k, x, y);
                        double half = (native[k] * 128 + under * 127) / 255.0;
                        assert_true(abs(picture_get(&with_green.frame, k, x, y) - native[k]) <= 1);
                        assert_true(fabs(picture_get(&with_thin.frame, k, x, y) - half) <=
                                    (vl_frame_layout_of(noise.frame.format)->bits > 8 ? 5 : 1.6));
                    }
        check_outside(&noise, &with_green, &s);
        s.style.image = NULL; /* blurs */
        draw(&missing, &s, 0);
        assert_true(picture_same(&blurred, &missing));
        picture_free(&noise);
        picture_free(&blurred);
        picture_free(&with_clear);
        picture_free(&with_green);
        picture_free(&missing);
        picture_free(&with_thin);
    }
}

/* ------------------------------------------------------------------ odd boxes */

static bool all_equal(const picture *p, int k, int32_t v) {
    for (int32_t y = 0; y < picture_channel_height(&p->frame, k); y++)
        for (int32_t x = 0; x < picture_channel_width(&p->frame, k); x++)
            if (picture_get(&p->frame, k, x, y) != v)
                return false;
    return true;
}

static void boxes_that_are_no_numbers_cover(void **state) {
    (void)state;
    const vl_rect bad[] = {{NAN, 1, 5, 5},       {1, 1, NAN, 5},      {1, 1, 5, INFINITY},
                           {-INFINITY, 1, 5, 5}, {INFINITY, 1, 5, 5}, {1, NAN, 5, 5}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        scene s = {.n = 2, .style = style_of(VEIL_STYLE_BLUR, VEIL_SHAPE_ELLIPSE)};
        s.box[0] = (vl_rect){3, 3, 10, 10};
        s.box[1] = bad[i];
        picture p = picture_make(VEIL_FORMAT_I420, 63, 47, false);
        picture_noise(&p, i);
        draw(&p, &s, 0);
        assert_true(all_equal(&p, 0, picture_get(&p.frame, 0, 0, 0)));
        assert_true(all_equal(&p, 1, 128) && all_equal(&p, 2, 128));
        assert_int_equal(picture_broken_guards(&p), 0);
        picture_free(&p);
    }
}

static void odd_boxes(void **state) {
    (void)state;
    static const struct {
        vl_rect box;
        int change; /* 0 nothing, 1 something, 2 everything */
    } cases[] = {
        {{-500, 10, 50, 50}, 0},
        {{10, 900, 50, 50}, 0},
        {{1e30f, 1e30f, 1e30f, 1e30f}, 0},
        {{30, 20, 0, 0}, 1},
        {{30, 20, 1e-30f, 5}, 1},
        {{60, 40, -40, -30}, 1},
        {{62, 46, 3, 3}, 1},
        {{-1e30f, -1e9f, 2e30f, 2e9f}, 2},
        {{-200, -200, 500, 500}, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int shape = 0; shape < 2; shape++) {
            scene s = {.n = 1, .style = style_of(VEIL_STYLE_SOLID, (veil_shape)shape)};
            s.box[0] = cases[i].box;
            picture p = picture_make(VEIL_FORMAT_I420, 63, 47, false);
            picture_noise(&p, i);
            picture before = picture_copy(&p);
            uint16_t native[3];
            vl_frame_native_rgb(&p.frame, s.style.fill_rgb, native);
            draw(&p, &s, 0);
            assert_int_equal(picture_same(&p, &before), cases[i].change == 0);
            for (int k = 0; k < 3; k++)
                assert_int_equal(all_equal(&p, k, native[k]), cases[i].change == 2);
            assert_int_equal(picture_broken_guards(&p), 0);
            picture_free(&before);
            picture_free(&p);
        }
}

static void heads_grow_upwards(void **state) {
    (void)state;
    for (int32_t rotation = 0; rotation < 360; rotation += 90) {
        scene s = {.n = 1, .style = style_of(VEIL_STYLE_SOLID, VEIL_SHAPE_HEAD)};
        s.style.feather = 0;
        picture p = picture_make(VEIL_FORMAT_GRAY8, 200, 200, false);
        for (int32_t y = 0; y < 200; y++)
            memset(p.frame.plane[0] + y * p.frame.stride[0], 255, 200);
        p.frame.rotation = rotation;
        vl_rect upright = {80, 80, 40, 50};
        s.box[0] = vl_frame_from_upright(&p.frame, upright);
        s.style.fill_rgb = 0;
        draw(&p, &s, 0);
        vl_rect hair = vl_frame_from_upright(&p.frame, (vl_rect){100, 66, 1, 1});
        vl_rect chest = vl_frame_from_upright(&p.frame, (vl_rect){100, 144, 1, 1});
        assert_int_not_equal(picture_get(&p.frame, 0, (int32_t)hair.x, (int32_t)hair.y), 255);
        assert_int_equal(picture_get(&p.frame, 0, (int32_t)chest.x, (int32_t)chest.y), 255);
        picture_free(&p);
    }
}

static void cover_hides_everything(void **state) {
    (void)state;
    for (int f = VEIL_FORMAT_NONE + 1; f < VEIL_FORMAT_COUNT; f++)
        for (int range = 0; range <= VEIL_RANGE_FULL; range++) {
            picture p = picture_make((veil_format)f, 37, 23, f % 2 != 0);
            const vl_frame_layout *l = vl_frame_layout_of(p.frame.format);
            picture_noise(&p, (uint64_t)f);
            p.frame.range = (veil_range)range;
            picture before = picture_copy(&p);
            vl_redact_cover(&p.frame);
            for (int k = 0; k < l->n_channels; k++) {
                int32_t v = picture_get(&p.frame, k, 0, 0);
                assert_true(all_equal(&p, k, v));
                int32_t unit = l->bits > 8 ? 4 : 1; /* dark, and legal in the range */
                if (k == 0 || l->rgb)
                    assert_in_range(v, 20 * unit, 50 * unit);
                else
                    assert_int_equal(v, 128 * unit);
            }
            if (l->plane[0].step == 4 && l->rgb)
                for (int32_t x = 0; x < 37; x++)
                    assert_int_equal(p.frame.plane[0][x * 4 + 3], before.frame.plane[0][x * 4 + 3]);
            assert_int_equal(picture_broken_guards(&p), 0);
            picture_free(&p);
            picture_free(&before);
        }
}

static void nothing_to_do_changes_nothing(void **state) {
    (void)state;
    picture p = picture_make(VEIL_FORMAT_NV12, 64, 48, false);
    picture_noise(&p, 1);
    picture before = picture_copy(&p);
    scene s = {.n = 0, .style = style_of(VEIL_STYLE_BLUR, VEIL_SHAPE_ELLIPSE)};
    draw(&p, &s, 0);
    s.n = 1;
    s.box[0] = (vl_rect){10, 10, 20, 20};
    s.style.style = VEIL_STYLE_NONE;
    draw(&p, &s, 0);
    assert_true(picture_same(&p, &before));
    s.style.style = (veil_style)77; /* unknown: hides */
    draw(&p, &s, 0);
    assert_false(picture_same(&p, &before));
    vl_redact *r = NULL;
    assert_int_equal(vl_redact_create(&r), VEIL_OK);
    assert_int_equal(vl_redact_draw(r, &p.frame, NULL, 1, &s.style), VEIL_E_ARG);
    assert_int_equal(vl_redact_draw(r, &p.frame, s.box, 1, NULL), VEIL_E_ARG);
    p.frame.stride[0] = 3;
    assert_int_equal(vl_redact_draw(r, &p.frame, s.box, 1, &s.style), VEIL_E_ARG);
    vl_redact_destroy(r);
    vl_redact_destroy(NULL);
    picture_free(&p);
    picture_free(&before);
}

/* One object, changing formats and sizes, gives what a fresh one gives. */
static void an_object_is_used_again(void **state) {
    (void)state;
    vl_redact *r = NULL;
    assert_int_equal(vl_redact_create(&r), VEIL_OK);
    random_source rnd = random_from(9);
    for (int i = 0; i < 120; i++) {
        veil_format f = (veil_format)random_int(&rnd, 1, VEIL_FORMAT_COUNT - 1);
        picture p = picture_make(f, random_int(&rnd, 16, 150), random_int(&rnd, 16, 150), false);
        picture_noise(&p, (uint64_t)i);
        picture q = picture_copy(&p);
        scene s = {.n = (size_t)random_int(&rnd, 1, MAX_MASKS),
                   .style = style_of((veil_style)(i % 7), (veil_shape)(i % 3))};
        for (size_t k = 0; k < s.n; k++)
            s.box[k] = (vl_rect){random_float(&rnd, -30, 150), random_float(&rnd, -30, 150),
                                 random_float(&rnd, 0, 90), random_float(&rnd, 0, 90)};
        assert_int_equal(vl_redact_draw(r, &p.frame, s.box, s.n, &s.style), VEIL_OK);
        draw(&q, &s, VEIL_CPU_ALL);
        assert_true(picture_same(&p, &q));
        picture_free(&p);
        picture_free(&q);
    }
    vl_redact_destroy(r);
}

/* ------------------------------------------------------------------ memory */

static int allocations, fail_at;

static int count_allocation(void) {
    allocations++;
    return allocations == fail_at;
}

static void memory_may_fail(void **state) {
    (void)state;
    picture p = picture_make(VEIL_FORMAT_I420, 64, 48, false);
    picture_noise(&p, 1);
    scene s = {.n = 2, .style = style_of(VEIL_STYLE_IMAGE, VEIL_SHAPE_ELLIPSE)};
    s.box[0] = (vl_rect){10, 10, 20, 20};
    s.box[1] = (vl_rect){40, 10, 10, 20};
    vl_mem_fail = count_allocation;
    bool failed = true;
    for (fail_at = 1; failed; fail_at++) {
        vl_redact *r = NULL;
        allocations = 0;
        int err = vl_redact_create(&r);
        if (err == VEIL_OK)
            err = vl_redact_draw(r, &p.frame, s.box, s.n, &s.style);
        failed = allocations >= fail_at;
        assert_int_equal(err, failed ? VEIL_E_NOMEM : VEIL_OK);
        if (r != NULL)
            assert_int_equal(vl_redact_draw(r, &p.frame, s.box, s.n, &s.style), VEIL_OK);
        if (r != NULL && !failed) {
            allocations = 0;
            for (int i = 0; i < 5; i++)
                assert_int_equal(vl_redact_draw(r, &p.frame, s.box, s.n, &s.style), VEIL_OK);
            assert_int_equal(allocations, 0);
        }
        vl_redact_destroy(r);
    }
    assert_true(fail_at > 10);
    vl_mem_fail = NULL;
    picture_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weak_paint_is_made_of_averages),
        cmocka_unit_test(solid_is_the_colour),
        cmocka_unit_test(soft_edges_fall_outwards),
        cmocka_unit_test(images_lie_on_hidden_faces),
        cmocka_unit_test(boxes_that_are_no_numbers_cover),
        cmocka_unit_test(odd_boxes),
        cmocka_unit_test(heads_grow_upwards),
        cmocka_unit_test(cover_hides_everything),
        cmocka_unit_test(nothing_to_do_changes_nothing),
        cmocka_unit_test(an_object_is_used_again),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
