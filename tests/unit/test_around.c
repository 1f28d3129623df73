/* Paint that comes from around a mask: its colours are those of what is beside it, what is hidden
 * elsewhere never counts, and from frame to frame it drifts instead of jumping. That nothing of the
 * face itself shows through is test_redact.c's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mask_scene.h"

static const veil_format formats[] = {VEIL_FORMAT_I420,  VEIL_FORMAT_NV12, VEIL_FORMAT_YUY2,
                                      VEIL_FORMAT_RGB24, VEIL_FORMAT_BGRA, VEIL_FORMAT_I010,
                                      VEIL_FORMAT_GRAY8};
#define N_FORMATS (sizeof formats / sizeof *formats)

/* Fills the samples of luma columns from..to of all rows from top on. */
static void fill(const picture *p, int32_t from, int32_t to, int32_t top, const int32_t value[3]) {
    const vl_frame_layout *l = vl_frame_layout_of(p->frame.format);
    for (int k = 0; k < l->n_channels; k++)
        for (int32_t y = top >> l->channel[k].y_shift; y < picture_channel_height(&p->frame, k);
             y++)
            for (int32_t x = from >> l->channel[k].x_shift;
                 x < picture_channel_width(&p->frame, k) && x << l->channel[k].x_shift < to; x++)
                picture_set(&p->frame, k, x, y, value[k]);
}

static const int32_t wall[3] = {90, 140, 70}, coat[3] = {180, 60, 200}, face[3] = {250, 10, 10};

/* Whatever is under the mask: before an even wall the wall is painted, to the last sample. */
static void an_even_wall_goes_on(void **state) {
    (void)state;
    static const vl_rect boxes[] = {
        {60, 40, 40, 50}, {-20, 30, 60, 70}, {120, 90, 60, 60}, {70, 60, 6, 8}};
    for (size_t f = 0; f < N_FORMATS; f++)
        for (size_t b = 0; b < sizeof boxes / sizeof *boxes; b++)
            for (int style = VEIL_STYLE_BLUR; style <= VEIL_STYLE_MOSAIC; style++) {
                scene s = {.n = 1, .style = style_of((veil_style)style, VEIL_SHAPE_ELLIPSE)};
                s.box[0] = boxes[b];
                picture p = picture_make(formats[f], 161, 131, false);
                picture_noise(&p, b);
                fill(&p, 0, 161, 0, wall);
                picture all = picture_copy(&p);
                vl_cells grid[MAX_MASKS];
                assert_int_equal(grids_of(&p.frame, &s, grid), 1);
                const vl_frame_layout *l = vl_frame_layout_of(formats[f]);
                for (int k = 0; k < l->n_channels; k++)
                    for (int32_t y = 0; y < picture_channel_height(&p.frame, k); y++)
                        for (int32_t x = 0; x < picture_channel_width(&p.frame, k); x++)
                            if (where_sample(&p.frame, &s, k, x, y) == 0)
                                picture_set(&p.frame, k, x, y, face[k]);
                draw(&p, &s, 0);
                for (int k = 0; k < l->n_channels; k++)
                    for (int32_t y = 0; y < picture_channel_height(&p.frame, k); y++)
                        for (int32_t x = 0; x < picture_channel_width(&p.frame, k); x++)
                            if (where_sample(&p.frame, &s, k, x, y) == 0)
                                assert_int_equal(picture_get(&p.frame, k, x, y),
                                                 picture_get(&all.frame, k, x, y));
                picture_free(&p);
                picture_free(&all);
            }
}

/* Between a dark left and a bright right, and a coat below, paint goes smoothly from the one to the
 * other, never beyond them, and below it is nearer to the coat than above. */
static void colours_are_carried_inwards(void **state) {
    (void)state;
    static const int32_t dark[3] = {40, 128, 128}, bright[3] = {200, 128, 128};
    scene s = {.n = 1, .style = style_of(VEIL_STYLE_BLUR, VEIL_SHAPE_BOX)};
    s.box[0] = (vl_rect){100, 60, 100, 120};
    s.style.feather = 0;
    picture p = picture_make(VEIL_FORMAT_GRAY8, 300, 240, false);
    fill(&p, 0, 150, 0, dark);
    fill(&p, 150, 300, 0, bright);
    draw(&p, &s, 0);
    for (int32_t y = 62; y < 178; y++) {
        for (int32_t x = 101; x < 199; x++) {
            int32_t v = picture_get(&p.frame, 0, x, y), before = picture_get(&p.frame, 0, x - 1, y);
            assert_true(v >= before && v - before < 8);
            assert_in_range(v, 40, 200);
        }
        assert_true(picture_get(&p.frame, 0, 102, y) < 80);
        assert_true(picture_get(&p.frame, 0, 197, y) > 160);
    }
    fill(&p, 0, 300, 0, dark);
    fill(&p, 0, 300, 181, bright);
    draw(&p, &s, 0);
    assert_true(picture_get(&p.frame, 0, 150, 64) < 70);
    assert_true(picture_get(&p.frame, 0, 150, 176) > 120);
    picture_free(&p);
}

/* A face hidden close by gives no colour to the paint, though it touches the ring. */
static void other_hidden_places_do_not_count(void **state) {
    (void)state;
    scene s = {.n = 3, .style = style_of(VEIL_STYLE_BLUR, VEIL_SHAPE_BOX)};
    s.style.feather = 0;
    s.box[0] = (vl_rect){60, 60, 40, 50};
    s.box[1] = (vl_rect){104, 50, 40, 60};
    s.box[2] = (vl_rect){20, 64, 38, 40};
    for (size_t f = 0; f < N_FORMATS; f++) {
        picture p = picture_make(formats[f], 200, 180, false);
        const vl_frame_layout *l = vl_frame_layout_of(formats[f]);
        fill(&p, 0, 200, 0, wall);
        for (int k = 0; k < l->n_channels; k++)
            for (int32_t y = 0; y < picture_channel_height(&p.frame, k); y++)
                for (int32_t x = 0; x < picture_channel_width(&p.frame, k); x++)
                    if (where_sample(&p.frame, &s, k, x, y) == 0)
                        picture_set(&p.frame, k, x, y, face[k]);
        draw(&p, &s, 0);
        for (int k = 0; k < l->n_channels; k++)
            for (int32_t y = 0; y < picture_channel_height(&p.frame, k); y++)
                for (int32_t x = 0; x < picture_channel_width(&p.frame, k); x++)
                    assert_int_equal(picture_get(&p.frame, k, x, y), wall[k]);
        picture_free(&p);
    }
}

/* Nothing free nearby: rings farther out count; nothing free at all: grey. */
static void in_the_midst_of_hidden_faces(void **state) {
    (void)state;
    scene s = {.n = 5, .style = style_of(VEIL_STYLE_BLUR, VEIL_SHAPE_BOX)};
    s.style.feather = 0;
    s.box[0] = (vl_rect){180, 180, 40, 40};
    s.box[1] = (vl_rect){120, 120, 60, 160};
    s.box[2] = (vl_rect){220, 120, 60, 160};
    s.box[3] = (vl_rect){180, 120, 40, 60};
    s.box[4] = (vl_rect){180, 220, 40, 60};
    picture p = picture_make(VEIL_FORMAT_I420, 400, 400, false);
    fill(&p, 0, 400, 0, coat);
    for (int32_t y = 120; y < 280; y++)
        for (int32_t x = 120; x < 280; x++)
            picture_set(&p.frame, 0, x, y, face[0]);
    draw(&p, &s, 0);
    for (int32_t y = 130; y < 270; y++)
        for (int32_t x = 130; x < 270; x++)
            assert_int_equal(picture_get(&p.frame, 0, x, y), coat[0]);
    s.n = 1;
    s.box[0] = (vl_rect){-10, -10, 500, 500};
    draw(&p, &s, 0);
    for (int32_t y = 0; y < 400; y++)
        for (int32_t x = 0; x < 400; x++)
            assert_in_range(picture_get(&p.frame, 0, x, y), 90, 130);
    picture_free(&p);
}

/* The wall gets lighter at once: the paint follows in small steps; after a change of scene at
 * once. */
static void paint_drifts(void **state) {
    (void)state;
    static const int32_t light[3] = {190, 100, 170};
    scene s = {.n = 1, .style = style_of(VEIL_STYLE_BLUR, VEIL_SHAPE_ELLIPSE)};
    s.box[0] = (vl_rect){60, 40, 40, 50};
    s.style.settle = true;
    vl_redact *r = NULL;
    assert_int_equal(vl_redact_create(&r), VEIL_OK);
    picture p = picture_make(VEIL_FORMAT_I420, 160, 130, false);
    fill(&p, 0, 160, 0, wall);
    assert_int_equal(vl_redact_draw(r, &p.frame, s.box, 1, &s.style), VEIL_OK);
    int32_t before = wall[0], frames = 0;
    assert_int_equal(picture_get(&p.frame, 0, 80, 65), before);
    for (; frames < 60; frames++) {
        fill(&p, 0, 160, 0, light);
        s.box[0].x += 1; /* the mask moves, its colours go with it */
        assert_int_equal(vl_redact_draw(r, &p.frame, s.box, 1, &s.style), VEIL_OK);
        int32_t v = picture_get(&p.frame, 0, 80, 65);
        assert_true(v >= before && v - before <= 18);
        before = v;
        if (v >= light[0] - 5)
            break;
    }
    assert_in_range(frames, 6, 40);
    fill(&p, 0, 160, 0, wall);
    vl_redact_forget(r);
    assert_int_equal(vl_redact_draw(r, &p.frame, s.box, 1, &s.style), VEIL_OK);
    assert_int_equal(picture_get(&p.frame, 0, 80, 65), wall[0]);
    vl_redact_destroy(r);
    picture_free(&p);
}

/* A zone is a box whatever the shape of faces, is hidden whole beside a kept face, and what is in
 * it does not colour the faces beside it. */
static void zones_are_boxes(void **state) {
    (void)state;
    scene s = {.n = 2, .style = style_of(VEIL_STYLE_BLUR, VEIL_SHAPE_ELLIPSE)};
    s.box[0] = (vl_rect){20, 40, 40, 50};
    s.box[1] = (vl_rect){90, 30, 60, 60};
    const vl_rect kept = {120, 20, 50, 60};
    picture p = picture_make(VEIL_FORMAT_I420, 200, 130, false);
    fill(&p, 0, 200, 0, wall);
    for (int32_t y = 30; y < 90; y++)
        for (int32_t x = 90; x < 150; x++)
            picture_set(&p.frame, 0, x, y, face[0]);
    vl_redact *r = NULL;
    assert_int_equal(vl_redact_create(&r), VEIL_OK);
    vl_redact_aside aside = {
        .clear = &kept, .n_clear = 1, .core = s.box, .n_core = 2, .n_zones = 1};
    assert_int_equal(vl_redact_draw_beside(r, &p.frame, s.box, 2, &s.style, &aside), VEIL_OK);
    for (int32_t y = 0; y < 130; y++)
        for (int32_t x = 0; x < 200; x++)
            assert_int_equal(picture_get(&p.frame, 0, x, y), wall[0]);
    aside.n_zones = 3;
    assert_int_equal(vl_redact_draw_beside(r, &p.frame, s.box, 2, &s.style, &aside), VEIL_E_ARG);
    vl_redact_destroy(r);
    picture_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_even_wall_goes_on),
        cmocka_unit_test(colours_are_carried_inwards),
        cmocka_unit_test(other_hidden_places_do_not_count),
        cmocka_unit_test(in_the_midst_of_hidden_faces),
        cmocka_unit_test(paint_drifts),
        cmocka_unit_test(zones_are_boxes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
