/* Formats and frame checks: what is accepted, what is refused with which error, rotation of boxes,
 * colours in each matrix and range. */
#include "frame.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "picture.h"

static void layouts_are_consistent(void **state) {
    (void)state;
    for (int f = VEIL_FORMAT_NONE + 1; f < VEIL_FORMAT_COUNT; f++) {
        const vl_frame_layout *l = vl_frame_layout_of((veil_format)f);
        assert_non_null(l);
        int in_plane[3] = {0};
        for (int k = 0; k < l->n_channels; k++) {
            const vl_frame_channel *c = &l->channel[k];
            const vl_frame_plane *p = &l->plane[c->plane];
            assert_true(c->plane < l->n_planes);
            assert_int_equal(c->y_shift, p->y_shift);
            in_plane[c->plane]++;
            /* The last sample of the widest and of an odd row lies inside the row. */
            for (int32_t w = 16; w <= 17; w++) {
                int32_t n = (w + (1 << c->x_shift) - 1) >> c->x_shift;
                assert_true(c->offset + (n - 1) * c->step < vl_frame_row_samples(l, c->plane, w));
            }
            for (int j = 0; j < k; j++) /* no two channels share a sample */
                assert_true(l->channel[j].plane != c->plane || l->channel[j].offset != c->offset);
        }
        for (int p = 0; p < l->n_planes; p++)
            assert_int_equal(in_plane[p], l->plane[p].n_channels);
    }
    assert_null(vl_frame_layout_of(VEIL_FORMAT_NONE));
    assert_null(vl_frame_layout_of(VEIL_FORMAT_COUNT));
    assert_null(vl_frame_layout_of((veil_format)-1));
}

static void row_sizes_round_up(void **state) {
    (void)state;
    static const struct {
        veil_format format;
        int plane;
        int32_t samples, rows; /* of 17 x 19 px */
    } want[] = {
        {VEIL_FORMAT_I420, 0, 17, 19}, {VEIL_FORMAT_I420, 2, 9, 10},
        {VEIL_FORMAT_NV12, 1, 18, 10}, {VEIL_FORMAT_I422, 1, 9, 19},
        {VEIL_FORMAT_I444, 2, 17, 19}, {VEIL_FORMAT_YUY2, 0, 36, 19},
        {VEIL_FORMAT_UYVY, 0, 36, 19}, {VEIL_FORMAT_RGB24, 0, 51, 19},
        {VEIL_FORMAT_BGRA, 0, 68, 19}, {VEIL_FORMAT_I010, 0, 17, 19},
        {VEIL_FORMAT_I010, 1, 9, 10},  {VEIL_FORMAT_GRAY8, 0, 17, 19},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const vl_frame_layout *l = vl_frame_layout_of(want[i].format);
        assert_int_equal(vl_frame_row_samples(l, want[i].plane, 17), want[i].samples);
        assert_int_equal(vl_frame_rows(l, want[i].plane, 19), want[i].rows);
    }
}

static void good_frames_pass(void **state) {
    (void)state;
    for (int f = VEIL_FORMAT_NONE + 1; f < VEIL_FORMAT_COUNT; f++)
        for (int flipped = 0; flipped < 2; flipped++) {
            picture p = picture_make((veil_format)f, 17, 19, flipped != 0);
            assert_int_equal(vl_frame_check(&p.frame), VEIL_OK);
            for (int i = 0; i < 3 && p.memory[i] != NULL; i++) { /* rows that touch each other */
                veil_frame tight = p.frame;
                int32_t row = picture_row_bytes(&p, i);
                tight.stride[i] = flipped != 0 ? -row : row;
                assert_int_equal(vl_frame_check(&tight), VEIL_OK);
                tight.stride[i] = flipped != 0 ? 1 - row : row - 1;
                assert_int_equal(vl_frame_check(&tight), VEIL_E_ARG);
                tight.stride[i] = 0;
                assert_int_equal(vl_frame_check(&tight), VEIL_E_ARG);
                tight = p.frame;
                tight.plane[i] = NULL;
                assert_int_equal(vl_frame_check(&tight), VEIL_E_ARG);
            }
            picture_free(&p);
        }
}

static void bad_frames_are_refused(void **state) {
    (void)state;
    picture p = picture_make(VEIL_FORMAT_I420, 64, 48, false);
    assert_int_equal(vl_frame_check(NULL), VEIL_E_ARG);
#define REFUSED(field, value, error)                                                               \
    do {                                                                                           \
        veil_frame f = p.frame;                                                                    \
        f.field = (value);                                                                         \
        assert_int_equal(vl_frame_check(&f), error);                                               \
    } while (0)
    REFUSED(format, VEIL_FORMAT_NONE, VEIL_E_FORMAT);
    REFUSED(format, VEIL_FORMAT_COUNT, VEIL_E_FORMAT);
    REFUSED(format, (veil_format)-7, VEIL_E_FORMAT);
    REFUSED(width, VEIL_SIZE_MIN - 1, VEIL_E_SIZE);
    REFUSED(width, VEIL_SIZE_MAX + 1, VEIL_E_SIZE);
    REFUSED(height, -48, VEIL_E_SIZE);
    REFUSED(height, INT32_MIN, VEIL_E_SIZE);
    REFUSED(rotation, 45, VEIL_E_ARG);
    REFUSED(rotation, -90, VEIL_E_ARG);
    REFUSED(rotation, 360, VEIL_E_ARG);
    REFUSED(matrix, (veil_matrix)9, VEIL_E_ARG);
    REFUSED(range, (veil_range)-1, VEIL_E_ARG);
    REFUSED(stride[1], PTRDIFF_MIN + 1, VEIL_OK); /* long enough, whatever it points at */
    picture_free(&p);
    p = picture_make(VEIL_FORMAT_I010, 64, 48, false);
    REFUSED(plane[1], p.frame.plane[1] + 1, VEIL_E_ARG);
    REFUSED(stride[0], p.frame.stride[0] + 1, VEIL_E_ARG);
#undef REFUSED
    picture_free(&p);
}

/* Boxes turned by hand on paper. */
static void rotation_maps_boxes(void **state) {
    (void)state;
    veil_frame f = {.width = 100, .height = 40, .format = VEIL_FORMAT_GRAY8};
    const vl_rect stored = {10, 4, 20, 6};
    const vl_rect want[4] = {{10, 4, 20, 6}, {30, 10, 6, 20}, {70, 30, 20, 6}, {4, 70, 6, 20}};
    for (int i = 0; i < 4; i++) {
        f.rotation = i * 90;
        vl_rect u = vl_frame_to_upright(&f, stored);
        assert_memory_equal(&u, &want[i], sizeof u);
        vl_rect back = vl_frame_from_upright(&f, u);
        assert_memory_equal(&back, &stored, sizeof back);
        assert_int_equal(vl_frame_upright_width(&f), i % 2 == 0 ? 100 : 40);
        assert_int_equal(vl_frame_upright_height(&f), i % 2 == 0 ? 40 : 100);
    }
}

static void colour_is(veil_frame f, uint32_t rgb, int a, int b, int c) {
    uint16_t native[3];
    vl_frame_native_rgb(&f, rgb, native);
    assert_int_equal(native[0], a);
    assert_int_equal(native[1], b);
    assert_int_equal(native[2], c);
}

/* Published values of BT.601, BT.709 and BT.2020. */
static void colours_are_native(void **state) {
    (void)state;
    veil_frame f = {.width = 640, .height = 480, .format = VEIL_FORMAT_I420};
    colour_is(f, 0xff0000, 81, 90, 240);
    colour_is(f, 0xffffff, 235, 128, 128);
    colour_is(f, 0x000000, 16, 128, 128);
    f.height = 720; /* BT.709 from here on */
    colour_is(f, 0xff0000, 63, 102, 240);
    f.matrix = VEIL_MATRIX_BT601;
    colour_is(f, 0x0000ff, 41, 240, 110);
    f.range = VEIL_RANGE_FULL;
    colour_is(f, 0xff0000, 76, 85, 255);
    colour_is(f, 0xffffff, 255, 128, 128);
    f.format = VEIL_FORMAT_I010;
    colour_is(f, 0xffffff, 1023, 512, 512);
    f.range = VEIL_RANGE_LIMITED;
    f.matrix = VEIL_MATRIX_BT2020;
    colour_is(f, 0xffffff, 940, 512, 512);
    colour_is(f, 0xff0000, 294, 387, 960);
    f.format = VEIL_FORMAT_BGRA;
    colour_is(f, 0x123456, 0x12, 0x34, 0x56); /* R, G, B in the order of channels */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts_are_consistent), cmocka_unit_test(row_sizes_round_up),
        cmocka_unit_test(good_frames_pass),       cmocka_unit_test(bad_frames_are_refused),
        cmocka_unit_test(rotation_maps_boxes),    cmocka_unit_test(colours_are_native),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
