/* Hidden means gone. Two pictures that differ in hidden areas in any way come out the same there;
 * of weak styles, two that have the same averages. Outside the masks and their soft edges no byte
 * changes, nor does alpha or padding. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mask_scene.h"

/* Exchanges samples at random among those that lie in the same cell of every grid, so that all
 * averages stay. Returns how many samples changed. */
static size_t shuffle(const veil_frame *f, const vl_cells *grid, size_t n_grids, uint64_t seed) {
    const vl_frame_layout *l = vl_frame_layout_of(f->format);
    random_source r = random_from(seed);
    size_t changed = 0;
    for (int k = 0; k < l->n_channels; k++) {
        int32_t w = picture_channel_width(f, k), h = picture_channel_height(f, k);
        int32_t n = w * h;
        uint64_t *cell = calloc((size_t)n, sizeof *cell);
        assert_non_null(cell);
        for (int32_t i = 0; i < n; i++)
            for (size_t g = 0; g < n_grids; g++)
                cell[i] = cell[i] * 65 + cell_of(&grid[g], i % w << l->channel[k].x_shift,
                                                 i / w << l->channel[k].y_shift);
        for (int32_t i = 0; i < n; i++) {
            /* Some tries nearby find a partner in the same cell. */
            for (int tries = 0; cell[i] != 0 && tries < 8; tries++) {
                int32_t x = i % w + random_int(&r, -9, 9), y = i / w + random_int(&r, -9, 9);
                if (x < 0 || x >= w || y < 0 || y >= h || cell[y * w + x] != cell[i])
                    continue;
                int32_t a = picture_get(f, k, i % w, i / w), b = picture_get(f, k, x, y);
                picture_set(f, k, i % w, i / w, b);
                picture_set(f, k, x, y, a);
                changed += a != b;
            }
        }
        free(cell);
    }
    return changed;
}

/* Another picture in all hidden areas. */
static size_t replace_hidden(const veil_frame *f, const vl_cells *grid, size_t n_grids,
                             uint64_t seed) {
    const vl_frame_layout *l = vl_frame_layout_of(f->format);
    random_source r = random_from(seed ^ 77);
    size_t changed = 0;
    for (int k = 0; k < l->n_channels; k++)
        for (int32_t y = 0; y < picture_channel_height(f, k); y++)
            for (int32_t x = 0; x < picture_channel_width(f, k); x++) {
                bool in = false;
                for (size_t g = 0; g < n_grids; g++)
                    in = in || cell_of(&grid[g], x << l->channel[k].x_shift,
                                       y << l->channel[k].y_shift) != 0;
                if (!in)
                    continue;
                int32_t v = random_int(&r, 0, l->bits > 8 ? 1023 : 255);
                changed += v != picture_get(f, k, x, y);
                picture_set(f, k, x, y, v);
            }
    return changed;
}

static bool is_weak(veil_style style) {
    return style == VEIL_STYLE_WEAK_BLUR || style == VEIL_STYLE_WEAK_MOSAIC;
}

/* ------------------------------------------------------------------ the property */

static const veil_style styles[] = {VEIL_STYLE_BLUR,  VEIL_STYLE_MOSAIC,    VEIL_STYLE_SOLID,
                                    VEIL_STYLE_IMAGE, VEIL_STYLE_WEAK_BLUR, VEIL_STYLE_WEAK_MOSAIC};
#define N_STYLES (sizeof styles / sizeof *styles)

/* Returns how many fully hidden samples were compared. */
static size_t check_inside(const picture *a, const picture *b, const scene *s) {
    const vl_frame_layout *l = vl_frame_layout_of(a->frame.format);
    size_t n = 0;
    for (int k = 0; k < l->n_channels; k++)
        for (int32_t y = 0; y < picture_channel_height(&a->frame, k); y++)
            for (int32_t x = 0; x < picture_channel_width(&a->frame, k); x++) {
                if (where_sample(&a->frame, s, k, x, y) != 0)
                    continue;
                n++;
                if (picture_get(&a->frame, k, x, y) != picture_get(&b->frame, k, x, y))
                    fail_msg("%s: channel %d shows of what was hidden at %d,%d", l->name, k, x, y);
            }
    return n;
}

static void check_scene(veil_format format, int32_t w, int32_t h, const scene *s, uint64_t seed,
                        int32_t rotation) {
    picture before = picture_make(format, w, h, seed % 2 != 0);
    picture_noise(&before, seed);
    before.frame.rotation = rotation;
    picture after = picture_copy(&before), other = picture_copy(&before),
            plain = picture_copy(&before);
    vl_cells grid[MAX_MASKS];
    size_t n_grids = grids_of(&before.frame, s, grid);
    size_t changed =
        (is_weak(s->style.style) ? shuffle : replace_hidden)(&other.frame, grid, n_grids, seed);
    draw(&after, s, 0);
    draw(&other, s, 0);
    draw(&plain, s, VEIL_CPU_ALL);
    assert_true(picture_same(&after, &plain)); /* every CPU level alike */
    check_outside(&before, &after, s);
    size_t hidden = check_inside(&after, &other, s);
    assert_true(n_grids == 0 || (hidden > 0 && changed > 0));
    picture_free(&before);
    picture_free(&after);
    picture_free(&other);
    picture_free(&plain);
}

static void hidden_means_gone(void **state) {
    (void)state;
    static const int32_t sizes[][2] = {{121, 95}, {17, 19}, {64, 48}};
    static const vl_rect boxes[] = {
        {40.3f, 20.7f, 31, 42}, /* inside */
        {-12, -9.5f, 40, 50},   /* over a corner */
        {100, 70, 60, 60},      /* over the other */
        {2, 3, 9, 11},          /* small */
        {-30, 30, 400, 12},     /* across */
    };
    uint64_t seed = 0;
    for (int f = VEIL_FORMAT_NONE + 1; f < VEIL_FORMAT_COUNT; f++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            for (size_t style = 0; style < N_STYLES; style++)
                for (int shape = VEIL_SHAPE_ELLIPSE; shape <= VEIL_SHAPE_HEAD; shape++) {
                    scene s = {.n = 1, .style = style_of(styles[style], (veil_shape)shape)};
                    s.box[0] = boxes[seed++ % 5];
                    check_scene((veil_format)f, sizes[i][0], sizes[i][1], &s, seed,
                                (int32_t)(seed % 4) * 90);
                }
}

static void hidden_in_full_size_pictures(void **state) {
    (void)state;
    static const veil_format formats[] = {VEIL_FORMAT_I420, VEIL_FORMAT_NV12, VEIL_FORMAT_BGRA,
                                          VEIL_FORMAT_I010};
    for (int f = 0; f < 8; f++) {
        scene s = {.n = 3,
                   .style = style_of(styles[f % (int)N_STYLES], VEIL_SHAPE_ELLIPSE),
                   .box = {{100.5f, 80.2f, 700, 875}, {1000, 300, 84, 105}, {1860, -20, 84, 105}}};
        check_scene(formats[(f + f / 4) % 4], 1920, 1080, &s, (uint64_t)f, 0);
    }
}

static void strengths_and_edges(void **state) {
    (void)state;
    static const float cells[] = {1, 2.5f, 8, 100, 0, -3, NAN};
    static const float feathers[] = {0, 0.01f, 0.5f, 1};
    for (size_t c = 0; c < sizeof cells / sizeof *cells; c++)
        for (size_t e = 0; e < sizeof feathers / sizeof *feathers; e++)
            for (int shape = 0; shape < 2; shape++) {
                scene s = {.n = 1, .style = style_of(VEIL_STYLE_BLUR, (veil_shape)shape)};
                if ((c + e) % 2 != 0)
                    s.style.style = VEIL_STYLE_WEAK_BLUR;
                s.box[0] = (vl_rect){30, 22.2f, 40, 33};
                s.style.cells = cells[c];
                s.style.feather = feathers[e];
                check_scene(VEIL_FORMAT_NV12, 110, 90, &s, c * 10 + e, 0);
            }
}

/* Neighbours that touch, overlap a little, overlap much, lie in one another, and all at once. */
static void overlapping_masks(void **state) {
    (void)state;
    static const scene scenes[] = {
        {.n = 2, .box = {{20, 20, 30, 40}, {52, 22, 30, 40}}},
        {.n = 2, .box = {{20, 20, 30, 40}, {44, 30, 30, 40}}},
        {.n = 2, .box = {{20, 20, 40, 40}, {30, 25, 40, 40}}},
        {.n = 2, .box = {{10, 10, 80, 80}, {40, 40, 14, 14}}},
        {.n = 5,
         .box = {{20, 20, 30, 30},
                 {45, 20, 30, 30},
                 {70, 20, 30, 30},
                 {33, 44, 30, 30},
                 {60, 47, 20, 30}}},
    };
    static const veil_format formats[] = {VEIL_FORMAT_I420, VEIL_FORMAT_UYVY, VEIL_FORMAT_BGRA,
                                          VEIL_FORMAT_I010};
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++)
        for (int f = 0; f < 4; f++)
            for (size_t style = 0; style < N_STYLES; style++) {
                scene s = scenes[i];
                s.style = style_of(styles[style], (veil_shape)(f % 3));
                check_scene(formats[f], 127, 101, &s, i * 100 + (uint64_t)f * 10 + style, 0);
            }
}

/* Two masks on one face are one grid: two shifted grids would give away more. */
static void masks_on_one_face_share_averages(void **state) {
    (void)state;
    veil_frame f = {.width = 640, .height = 480, .format = VEIL_FORMAT_GRAY8};
    scene s = {.n = 3, .style = style_of(VEIL_STYLE_BLUR, VEIL_SHAPE_ELLIPSE)};
    s.box[0] = (vl_rect){100, 100, 60, 80};
    s.box[1] = (vl_rect){106, 103, 60, 80};
    s.box[2] = (vl_rect){300, 100, 60, 80};
    vl_cells grid[MAX_MASKS];
    assert_int_equal(grids_of(&f, &s, grid), 2);
    s.box[2] = (vl_rect){130, 104, 60, 80}; /* joins the others through the second */
    assert_int_equal(grids_of(&f, &s, grid), 1);
}

/* ------------------------------------------------------------------ beside faces that stay clear
 */

/* How far a luma pixel is out of the ellipse in a box, 1 on its edge. */
static double ellipse_at(vl_rect b, int32_t x, int32_t y) {
    return hypot((x + 0.5 - b.x - b.w / 2.0) / (b.w / 2.0),
                 (y + 0.5 - b.y - b.h / 2.0) / (b.h / 2.0));
}

static bool box_has(vl_rect b, int32_t x, int32_t y) {
    float left = (float)x, top = (float)y;
    return left + 1 > b.x && left < b.x + b.w && top + 1 > b.y && top < b.y + b.h;
}

static vl_rect grown(vl_rect r, float part) {
    return (vl_rect){r.x - r.w * part, r.y - r.h * part, r.w * (1 + 2 * part),
                     r.h * (1 + 2 * part)};
}

static void draw_beside(const picture *p, const scene *s, vl_rect clear, vl_rect core,
                        uint32_t cpu_off) {
    vl_redact *r = NULL;
    vl_redact_aside aside = {.clear = &clear, .n_clear = 1, .core = &core, .n_core = 1};
    assert_int_equal(vl_redact_create(&r), VEIL_OK);
    vl_redact_set_cpu(r, cpu_off);
    assert_int_equal(vl_redact_draw_beside(r, &p->frame, s->box, s->n, &s->style, &aside), VEIL_OK);
    vl_redact_destroy(r);
}

/* A mask reaches over a kept face: that face is as it was, the hidden face's own box is hidden as
 * without the kept one, and so is everything outside the kept face. */
static void check_beside(veil_format format, veil_style style, vl_rect clear, vl_rect core) {
    scene s = {.n = 2, .style = style_of(style, VEIL_SHAPE_ELLIPSE)};
    s.box[0] = grown(core, 0.6f);
    s.box[1] = (vl_rect){100, 60, 30, 30};
    picture before = picture_make(format, 141, 111, false);
    picture_noise(&before, 7);
    picture beside = picture_copy(&before), plain = picture_copy(&before),
            slow = picture_copy(&before);
    draw(&plain, &s, 0);
    draw_beside(&beside, &s, clear, core, 0);
    draw_beside(&slow, &s, clear, core, VEIL_CPU_ALL);
    assert_true(picture_same(&beside, &slow));
    size_t n_clear = 0, n_core = 0, n_rest = 0;
    const vl_frame_layout *l = vl_frame_layout_of(format);
    for (int k = 0; k < l->n_channels; k++)
        for (int32_t y = 0; y < picture_channel_height(&before.frame, k); y++)
            for (int32_t x = 0; x < picture_channel_width(&before.frame, k); x++) {
                const vl_frame_channel *c = &l->channel[k];
                bool in_core = false, inside = true, outside = true;
                for (int32_t ly = y << c->y_shift; ly < (y + 1) << c->y_shift; ly++)
                    for (int32_t lx = x << c->x_shift; lx < (x + 1) << c->x_shift; lx++) {
                        in_core = in_core || box_has(core, lx, ly);
                        inside = inside && ellipse_at(clear, lx, ly) < 0.88 &&
                                 !box_has(grown(core, 0.08f), lx, ly);
                        outside = outside && ellipse_at(clear, lx, ly) > 1.02;
                    }
                int32_t v = picture_get(&beside.frame, k, x, y);
                int32_t was = picture_get(&before.frame, k, x, y);
                if (in_core || outside)
                    assert_int_equal(v, picture_get(&plain.frame, k, x, y));
                else if (inside)
                    assert_int_equal(v, was);
                n_core += in_core && v != was;
                n_rest += outside && v != was;
                n_clear += inside && picture_get(&plain.frame, k, x, y) != was;
            }
    assert_true(n_core > 20 && n_rest > 20 && n_clear > 20);
    picture_free(&before);
    picture_free(&beside);
    picture_free(&plain);
    picture_free(&slow);
}

static void kept_faces_stay_clear(void **state) {
    (void)state;
    static const vl_rect clear = {20, 20, 60, 75};
    static const vl_rect cores[] = {{70, 40, 24, 30}, {74, 10.5f, 24, 30}, {60, 70, 24.2f, 30}};
    for (int f = VEIL_FORMAT_NONE + 1; f < VEIL_FORMAT_COUNT; f++)
        for (int style = VEIL_STYLE_BLUR; style <= VEIL_STYLE_SOLID; style++)
            for (size_t i = 0; i < 3; i++)
                check_beside((veil_format)f, (veil_style)style, clear, cores[i]);
}

/* A face that stays clear but is nowhere is not spared; a hidden one that is nowhere hides all. */
static void places_that_are_none(void **state) {
    (void)state;
    scene s = {.n = 1, .style = style_of(VEIL_STYLE_SOLID, VEIL_SHAPE_BOX)};
    s.box[0] = (vl_rect){10, 10, 80, 80};
    static const vl_rect good = {20, 20, 40, 40}, core = {70, 70, 10, 10};
    const vl_rect bad[] = {
        {NAN, 20, 40, 40}, {20, 20, INFINITY, 40}, {20, 20, -40, -40}, {0, 0, 0, 0}};
    picture before = picture_make(VEIL_FORMAT_I420, 100, 100, false);
    picture_noise(&before, 3);
    picture plain = picture_copy(&before);
    draw(&plain, &s, 0);
    for (size_t i = 0; i < 4; i++) {
        picture p = picture_copy(&before);
        draw_beside(&p, &s, bad[i], core, 0);
        assert_true(picture_same(&p, &plain));
        picture_free(&p);
    }
    for (size_t i = 0; i < 2; i++) {
        picture p = picture_copy(&before);
        draw_beside(&p, &s, good, bad[i], 0);
        assert_true(picture_same(&p, &plain));
        picture_free(&p);
    }
    picture_free(&before);
    picture_free(&plain);
}

static void grids_are_coarse(void **state) {
    (void)state;
    for (int32_t w = 1; w < 200; w += 3)
        for (int32_t h = 1; h < 200; h += 7)
            for (float cells = -1; cells < 12; cells += 1.7f) {
                vl_cells c = {0};
                const vl_mask_area area = {2, 4, 2 + w, 4 + h};
                vl_cells_grid(&c, area, area, cells);
                assert_in_range(c.nx, 1, VL_CELLS_MAX);
                assert_in_range(c.ny, 1, VL_CELLS_MAX);
                assert_true((float)c.nx <= fmaxf(cells, 1) && (float)c.ny <= fmaxf(cells, 1));
                assert_int_equal(c.x[0], 2);
                assert_int_equal(c.x[c.nx], 2 + w);
                assert_int_equal(c.y[c.ny], 4 + h);
                for (int32_t i = 0; i < c.nx; i++) {
                    assert_true(c.x[i + 1] - c.x[i] >= (w < 4 ? w : 4));
                    assert_int_equal(c.x[i] % 2, 0);
                }
                for (int32_t i = 0; i < c.ny; i++)
                    assert_true(c.y[i + 1] - c.y[i] >= (h < 4 ? h : 4));
            }
}

/* A grid that is cut by the frame's edge keeps its cells where they are; none is too narrow, and
 * there are never more than of the whole. */
static void cut_grids_stay(void **state) {
    (void)state;
    const vl_mask_area whole = {-40, 10, 80, 130};
    vl_cells all, c;
    vl_cells_grid(&all, whole, whole, 6);
    for (int32_t cut = -40; cut < 76; cut += 2) {
        vl_mask_area area = whole;
        area.x0 = cut;
        vl_cells_grid(&c, whole, area, 6);
        assert_in_range(c.nx, 1, all.nx);
        assert_int_equal(c.first_x + c.nx, all.nx);
        assert_int_equal(c.x[0], cut);
        assert_int_equal(c.x[c.nx], 80);
        for (int32_t i = 1; i < c.nx; i++) {
            assert_int_equal(c.x[i], all.x[c.first_x + i]);
            assert_true(c.x[i] - c.x[i - 1] >= 4);
        }
    }
}

/* Small changes of the picture do not change the paint, large ones do; what stays is what was
 * painted before, and never depends on more than averages. */
static void averages_settle(void **state) {
    (void)state;
    vl_redact *r = NULL;
    assert_int_equal(vl_redact_create(&r), VEIL_OK);
    vl_redact_style style = style_of(VEIL_STYLE_WEAK_BLUR, VEIL_SHAPE_BOX);
    style.settle = true;
    static const vl_rect box = {20, 20, 60, 60};
    uint8_t first[100], now[100];
    for (int step = 0; step < 3; step++) {
        picture p = picture_make(VEIL_FORMAT_I420, 100, 100, false);
        for (int32_t y = 0; y < 100; y++)
            for (int32_t x = 0; x < 100; x++)
                picture_set(&p.frame, 0, x, y, x + (step == 1) * (1 + x % 3) + (step == 2) * 30);
        assert_int_equal(vl_redact_draw(r, &p.frame, &box, 1, &style), VEIL_OK);
        for (int32_t x = 0; x < 100; x++)
            (step == 0 ? first : now)[x] = (uint8_t)picture_get(&p.frame, 0, x, 50);
        if (step == 1)
            assert_memory_equal(first + 21, now + 21, 58);
        for (int32_t x = 21; step == 2 && x < 79; x++)
            assert_in_range(now[x], first[x] + 29, first[x] + 31);
        picture_free(&p);
    }
    vl_redact_destroy(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hidden_means_gone),
        cmocka_unit_test(hidden_in_full_size_pictures),
        cmocka_unit_test(strengths_and_edges),
        cmocka_unit_test(overlapping_masks),
        cmocka_unit_test(masks_on_one_face_share_averages),
        cmocka_unit_test(kept_faces_stay_clear),
        cmocka_unit_test(places_that_are_none),
        cmocka_unit_test(grids_are_coarse),
        cmocka_unit_test(cut_grids_stay),
        cmocka_unit_test(averages_settle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
