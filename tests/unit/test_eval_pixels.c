/* test_eval_pixels.c - is hiding seen in the pixels, and only hiding? A random texture stands for a
 * face; it is averaged, mosaicked, filled, shifted in brightness, disturbed by noise. */
#include "pixels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { W = 160, H = 120 };
static uint8_t a[W * H], b[W * H];
static const ev_luma la = {a, W, W, H}, lb = {b, W, W, H};
static const ev_box face = {40, 30, 48, 60};
static uint32_t seed;

static int random_level(int range) {
    seed = seed * 1664525u + 1013904223u;
    return (int)(seed >> 16) % range;
}

/* Coarse and fine texture, as a face has: blocks of 6 px plus grain. */
static int setup(void **state) {
    (void)state;
    seed = 7;
    static int block[H / 6 + 1][W / 6 + 1];
    for (int y = 0; y <= H / 6; y++)
        for (int x = 0; x <= W / 6; x++)
            block[y][x] = random_level(120);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            a[y * W + x] = (uint8_t)(60 + block[y / 6][x / 6] + random_level(30));
    memcpy(b, a, sizeof b);
    return 0;
}

/* Replaces a box of b by means of cells across it. */
static void mosaic(int x0, int y0, int w, int h, int cells) {
    for (int r = 0; r < cells; r++)
        for (int c = 0; c < cells; c++) {
            int xa = x0 + c * w / cells, xb = x0 + (c + 1) * w / cells, sum = 0;
            int ya = y0 + r * h / cells, yb = y0 + (r + 1) * h / cells;
            for (int y = ya; y < yb; y++)
                for (int x = xa; x < xb; x++)
                    sum += a[y * W + x];
            for (int y = ya; y < yb; y++)
                for (int x = xa; x < xb; x++)
                    b[y * W + x] = (uint8_t)(sum / ((xb - xa) * (yb - ya)));
        }
}

static double hidden(ev_box box) {
    ev_truth_face f = {1, EV_BACKGROUND, box, 0, -1};
    double noise = ev_pixels_noise(la, lb, &f, 1);
    ev_pixels_hidden(la, lb, noise, &f, 1);
    return f.hidden;
}

static void untouched_is_exposed(void **state) {
    (void)state;
    assert_true(hidden(face) == 0);
}

static void mosaic_and_fill_hide(void **state) {
    (void)state;
    mosaic(40, 30, 48, 60, 5);
    assert_true(hidden(face) > 0.9);
    for (int y = 30; y < 90; y++)
        memset(b + y * W + 40, 16, 48);
    assert_true(hidden(face) > 0.95);
}

static void brightness_and_noise_do_not_hide(void **state) {
    (void)state;
    for (int i = 0; i < W * H; i++)
        b[i] = (uint8_t)(a[i] + 20);
    assert_true(hidden(face) == 0);
    for (int i = 0; i < W * H; i++)
        b[i] = (uint8_t)(a[i] + random_level(13) - 6);
    assert_true(hidden(face) < 0.1);
}

static void half_hidden_is_half(void **state) {
    (void)state;
    for (int y = 30; y < 90; y++)
        memset(b + y * W + 40, 16, 24);
    double h = hidden(face);
    assert_true(h > 0.4 && h < 0.6);
}

static void another_place_does_not_count(void **state) {
    (void)state;
    for (int y = 30; y < 90; y++)
        memset(b + y * W + 100, 16, 48);
    assert_true(hidden(face) == 0);
}

static void flat_faces_are_judged_by_change(void **state) {
    (void)state;
    memset(a, 100, sizeof a);
    memcpy(b, a, sizeof b);
    assert_true(hidden(face) == 0);
    for (int y = 30; y < 90; y++)
        memset(b + y * W + 40, 16, 48);
    assert_true(hidden(face) == 1);
}

static void edges_and_tiny_faces(void **state) {
    (void)state;
    ev_box out = {W + 5, 0, 20, 20}, cut = {-10, -10, 30, 30}, tiny = {70, 50, 5, 6};
    assert_true(hidden(out) == 1); /* not in the picture: nobody sees it */
    assert_true(hidden(cut) == 0);
    assert_true(hidden(tiny) == 0);
    memset(b, 16, sizeof b);
    assert_true(hidden(cut) > 0.9);
    assert_true(hidden(tiny) > 0.9);
}

static void noise_is_measured_away_from_faces(void **state) {
    (void)state;
    ev_truth_face f = {1, EV_BACKGROUND, face, 0, 0};
    for (int y = 30; y < 90; y++)
        memset(b + y * W + 40, 16, 48);
    assert_true(ev_pixels_noise(la, lb, &f, 1) == 3);
    for (int i = 0; i < W * H; i++)
        b[i] = (uint8_t)(a[i] + (i & 1 ? 4 : -4));
    assert_true(ev_pixels_noise(la, lb, &f, 1) == 8);
    memset(b, 16, sizeof b);
    assert_true(ev_pixels_noise(la, lb, &f, 1) == 12);
}

static void the_grid_shows_the_change(void **state) {
    (void)state;
    static ev_mask m;
    for (int y = 30; y < 60; y++)
        memset(b + y * W + 40, 16, 40);
    ev_pixels_draw(la, lb, 3, &m);
    int n = 0;
    for (int r = 0; r < EV_MASK_ROWS; r++)
        for (int c = 0; c < EV_MASK_COLS; c++)
            n += m.cell[r][c];
    /* 40x30 px of 160x120 are 80x45 cells of 320x180. */
    assert_in_range(n, 80 * 45 * 95 / 100, 80 * 45 * 105 / 100);
    assert_true(m.cell[60][100] && !m.cell[10][10]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(untouched_is_exposed, setup),
        cmocka_unit_test_setup(mosaic_and_fill_hide, setup),
        cmocka_unit_test_setup(brightness_and_noise_do_not_hide, setup),
        cmocka_unit_test_setup(half_hidden_is_half, setup),
        cmocka_unit_test_setup(another_place_does_not_count, setup),
        cmocka_unit_test_setup(flat_faces_are_judged_by_change, setup),
        cmocka_unit_test_setup(edges_and_tiny_faces, setup),
        cmocka_unit_test_setup(noise_is_measured_away_from_faces, setup),
        cmocka_unit_test_setup(the_grid_shows_the_change, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
