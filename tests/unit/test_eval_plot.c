/* test_eval_plot.c - do lines, dots and letters land where the axes say? */
#include "plot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const ev_plot_axes axes = {"title", "x", "y", 0, 1, 0, 1, 5, 5};

static uint32_t at(const ev_plot *p, int x, int y) {
    int w, h;
    const uint8_t *rgb = ev_plot_pixels(p, &w, &h);
    assert_true(x >= 0 && y >= 0 && x < w && y < h);
    const uint8_t *q = rgb + 3 * (y * w + x);
    return (uint32_t)q[0] << 16 | (uint32_t)q[1] << 8 | q[2];
}

/* How many pixels have exactly this colour in a part of the plot. */
static int count(const ev_plot *p, int x0, int y0, int x1, int y1, uint32_t colour) {
    int n = 0;
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++)
            n += at(p, x, y) == colour;
    return n;
}

/* Of 600x500 px the axes take 84..576 across and 52..428 down. */
static void a_diagonal_lies_on_the_diagonal(void **state) {
    (void)state;
    ev_plot *p = ev_plot_new(600, 500, &axes);
    assert_non_null(p);
    const double x[2] = {0, 1}, y[2] = {0, 1};
    ev_plot_line(p, x, y, 2, 0xff0000, NULL);
    assert_int_equal(at(p, 330, 240), 0xff0000); /* (0.5, 0.5) */
    assert_int_equal(at(p, 207, 334), 0xff0000); /* (0.25, 0.25) */
    assert_int_equal(count(p, 100, 60, 200, 300, 0xff0000), 0);
    assert_int_equal(count(p, 400, 300, 570, 420, 0xff0000), 0);
    ev_plot_free(p);
}

static void dots_legend_and_clamping(void **state) {
    (void)state;
    ev_plot *p = ev_plot_new(600, 500, &axes);
    ev_plot_dot(p, 0.5, 0.75, 0x0000ff, "dot");
    assert_int_equal(at(p, 330, 146), 0x0000ff);
    int legend = count(p, 84, 380, 200, 428, 0x0000ff);
    assert_true(legend > 20);
    ev_plot_dot(p, 7, -3, 0x00ff00, NULL); /* moved to the corner, adds nothing to the legend */
    assert_int_equal(at(p, 576, 428), 0x00ff00);
    assert_int_equal(count(p, 84, 340, 200, 420, 0x00ff00), 0);
    ev_plot_free(p);
}

static void bars_fill_their_rectangle(void **state) {
    (void)state;
    ev_plot *p = ev_plot_new(600, 500, &axes);
    ev_plot_bar(p, 0.75, 0.5, 0.25, 0, 0xff8800, NULL); /* corners in any order */
    assert_int_equal(at(p, 330, 300), 0xff8800);
    assert_int_equal(at(p, 210, 242), 0xff8800);
    assert_int_equal(count(p, 209, 242, 450, 426, 0xff8800), (450 - 209) * (426 - 242));
    assert_int_equal(count(p, 84, 52, 206, 428, 0xff8800), 0);
    assert_int_equal(count(p, 456, 52, 576, 428, 0xff8800), 0);
    assert_int_equal(count(p, 84, 52, 576, 239, 0xff8800), 0);
    ev_plot_free(p);
}

static void letters(void **state) {
    (void)state;
    uint8_t rgb[3 * 14 * 8];
    memset(rgb, 255, sizeof rgb);
    ev_plot_text(rgb, 14, 8, 1, 0, 1, 0, "LI");
    const char *want[7] = {".X.....", ".X.....", ".X.....", ".X.....",
                           ".X.....", ".X.....", ".XXXXX."};
    /* The stem of the I stands in the middle of its five columns, at 9. */
    for (int y = 0; y < 7; y++)
        for (int x = 0; x < 7; x++)
            assert_int_equal(rgb[3 * (y * 14 + x)] == 0, want[y][x] == 'X');
    for (int y = 0; y < 7; y++)
        assert_int_equal(rgb[3 * (y * 14 + 9)], 0);
    ev_plot_text(rgb, 14, 8, 12, 6, 3, 0, "clipped at the edge\n"); /* must not write outside */
}

static void senseless_axes_are_refused(void **state) {
    (void)state;
    ev_plot_axes bad = axes;
    bad.x1 = bad.x0;
    assert_null(ev_plot_new(600, 500, &bad));
    bad = axes;
    bad.y_ticks = 0;
    assert_null(ev_plot_new(600, 500, &bad));
    assert_null(ev_plot_new(10, 500, &axes));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_diagonal_lies_on_the_diagonal),
        cmocka_unit_test(dots_legend_and_clamping),
        cmocka_unit_test(bars_fill_their_rectangle),
        cmocka_unit_test(letters),
        cmocka_unit_test(senseless_axes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
