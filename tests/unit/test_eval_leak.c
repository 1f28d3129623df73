/* test_eval_leak.c - every leak figure on short sequences made by hand. */
#include "leak.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void near_by(double got, double want, double by) {
    if (!(fabs(got - want) <= by)) {
        print_error("got %.12f, want %.12f\n", got, want);
        fail();
    }
}

static ev_leak_rules rules;

static int setup(void **state) {
    ev_leak_rules_init(&rules);
    *state = ev_leak_new(&rules);
    return *state ? 0 : -1;
}

static int teardown(void **state) {
    ev_leak_free(*state);
    return 0;
}

/* One frame of 40 ms with one bystander of a height, hidden by a share. */
static void one(ev_leak_state *s, size_t frame, int id, double height, double hidden) {
    ev_truth_face f = {id, EV_BACKGROUND, {0, 0, height, height}, 0, hidden};
    assert_int_equal(ev_leak_add(s, frame, (double)frame * 0.04, 0.04, &f, 1, NULL, 0, NULL), 0);
}

static void exposed_frames_and_runs(void **state) {
    const double hidden[10] = {1, 0.4, 0, 1, 1, 0.49, 0.5, 1, 0, 1};
    for (size_t i = 0; i < 10; i++)
        one(*state, i, 7, 30, hidden[i]);
    ev_leak_figures f = ev_leak_result(*state);
    assert_int_equal(f.faces, 10);
    assert_int_equal(f.faces_hidden, 6);
    assert_int_equal(f.exposed, 4);
    near_by(f.seconds, 0.4, 1e-9);
    near_by(f.exposed_per_minute, 4 / (0.4 / 60), 1e-6);
    assert_int_equal(f.n_runs, 3);
    assert_int_equal(f.runs[0].first, 1);
    assert_int_equal(f.runs[0].last, 2);
    near_by(f.runs[0].length_ms, 80, 1e-9);
    near_by(f.runs[1].start_s, 0.2, 1e-9);
    near_by(f.longest_leak_ms, 80, 1e-9);
}

static void small_faces_are_told_apart(void **state) {
    one(*state, 0, 1, 23, 0);
    one(*state, 1, 1, 23, 0);
    one(*state, 2, 2, 24, 0);
    one(*state, 3, 2, 24, 1);
    ev_leak_figures f = ev_leak_result(*state);
    assert_int_equal(f.faces, 4);
    assert_int_equal(f.big_faces, 2);
    assert_int_equal(f.big_faces_hidden, 1);
    near_by(f.longest_leak_ms, 80, 1e-9);
    near_by(f.big_longest_leak_ms, 40, 1e-9);
    near_by(f.big_exposed_per_minute, 1 / (0.16 / 60), 1e-6);
}

/* Two people exposed in turn are two leaks; absence and being covered end a leak. */
static void a_leak_ends_when_the_face_is_gone(void **state) {
    one(*state, 0, 1, 30, 0);
    one(*state, 1, 2, 30, 0);
    one(*state, 2, 1, 30, 0);
    ev_truth_face covered = {1, EV_BACKGROUND, {0, 0, 30, 30}, 0.9, 0};
    ev_leak_add(*state, 3, 0.12, 0.04, &covered, 1, NULL, 0, NULL);
    one(*state, 4, 1, 30, 0);
    ev_leak_figures f = ev_leak_result(*state);
    assert_int_equal(f.n_runs, 4);
    assert_int_equal(f.faces, 4); /* the covered one does not count */
    near_by(f.longest_leak_ms, 40, 1e-9);
    near_by(f.seconds, 0.2, 1e-9);
}

/* Variable frame rate: a leak is as long as its frames are shown. */
static void leaks_are_timed_by_the_frames(void **state) {
    ev_truth_face f = {1, EV_BACKGROUND, {5, 6, 30, 30}, 0, 0};
    ev_leak_add(*state, 10, 0.0, 0.100, &f, 1, NULL, 0, NULL);
    f.box.h = 50;
    ev_leak_add(*state, 11, 0.1, 0.300, &f, 1, NULL, 0, NULL);
    ev_leak_figures r = ev_leak_result(*state);
    near_by(r.longest_leak_ms, 400, 1e-9);
    assert_int_equal(r.runs[0].at, 11);
    near_by(r.runs[0].height_px, 50, 0);
}

static void speaker_frames(void **state) {
    ev_truth_face f[2] = {{1, EV_INTERVIEW, {0, 0, 90, 90}, 0, 0.2},
                          {2, EV_BACKGROUND, {200, 0, 30, 30}, 0, 1}};
    ev_leak_add(*state, 0, 0, 0.04, f, 2, NULL, 0, NULL);
    f[0].hidden = 0.7;
    ev_leak_add(*state, 1, 0.04, 0.04, f, 2, NULL, 0, NULL);
    ev_leak_figures r = ev_leak_result(*state);
    assert_int_equal(r.speaker, 2);
    assert_int_equal(r.speaker_hidden, 1);
    assert_int_equal(r.faces, 2);
    assert_int_equal(r.exposed, 0);
}

static void cover_by_tracks(void **state) {
    (void)state;
    ev_truth_face f[1] = {{1, EV_BACKGROUND, {100, 100, 40, 40}, 0, 0}};
    ev_track_box t[2] = {{1, {100, 100, 40, 40}, 1}, {2, {0, 0, 10, 10}, 1}};
    ev_leak_cover(&rules, f, 1, t, 2, 0);
    near_by(f[0].hidden, 1, 1e-9);
    t[0].hide = 0;
    ev_leak_cover(&rules, f, 1, t, 2, 0);
    near_by(f[0].hidden, 0, 1e-9);
    ev_leak_cover(&rules, f, 1, t, 2, 1); /* whole frame covered */
    near_by(f[0].hidden, 1, 1e-9);
    t[0].hide = 1;
    t[0].box.x = 120 + 8; /* box masks grown by 0.2*40 = 8 px on each side: right half covered */
    rules.ellipse = 0;
    ev_leak_cover(&rules, f, 1, t, 2, 0);
    near_by(f[0].hidden, 0.5, 1e-9);
    t[0].box.x = 100; /* the ellipse holds the corners of the unpadded box, and little more */
    ev_truth_face corner = {1, EV_BACKGROUND, {99, 99, 2, 2}, 0, 0};
    rules.ellipse = 1;
    ev_leak_cover(&rules, &corner, 1, t, 1, 0);
    assert_true(corner.hidden > 0.4);
    corner.box.x = corner.box.y = 92; /* a corner of the padded box */
    ev_leak_cover(&rules, &corner, 1, t, 1, 0);
    near_by(corner.hidden, 0, 0);
    t[0].box.w = 4; /* an ellipse of 6.3 px across a circle of 40 */
    rules.ellipse = 1;
    ev_leak_cover(&rules, f, 1, t, 2, 0);
    assert_true(f[0].hidden < 0.2);
}

static void id_switches(void **state) {
    ev_truth_face f[2] = {{1, EV_BACKGROUND, {0, 0, 30, 30}, 0, 1},
                          {2, EV_BACKGROUND, {10, 0, 30, 30}, 0, 1}};
    const long ids[6][2] = {{5, 6}, {5, 6}, {6, 5}, {6, 5}, {6, -1}, {6, 9}};
    for (size_t i = 0; i < 6; i++) {
        ev_track_box t[2] = {{ids[i][0], {0, 0, 30, 30}, 1}, {ids[i][1], {10, 0, 30, 30}, 1}};
        size_t n = ids[i][1] < 0 ? 1 : 2;
        assert_int_equal(ev_leak_add(*state, i, 0.04 * (double)i, 0.04, f, 2, t, n, NULL), 0);
    }
    /* Boxes of the two overlap by IoU 0.5, so a track may stay with its face in the swap of frame
     * 2: the old partner is still in reach, nothing switches. In frame 5 id 9 is new for face 2. */
    ev_leak_figures r = ev_leak_result(*state);
    assert_int_equal(r.id_switches, 1);
}

static void id_switches_apart(void **state) {
    ev_truth_face f[2] = {{1, EV_BACKGROUND, {0, 0, 30, 30}, 0, 1},
                          {2, EV_INTERVIEW, {100, 0, 30, 30}, 0, 0}};
    const long ids[3][2] = {{5, 6}, {6, 5}, {6, 7}};
    for (size_t i = 0; i < 3; i++) {
        ev_track_box t[2] = {{ids[i][0], {1, 0, 30, 30}, 1}, {ids[i][1], {101, 0, 30, 30}, 0}};
        ev_leak_add(*state, i, 0.04 * (double)i, 0.04, f, 2, t, 2, NULL);
    }
    assert_int_equal(ev_leak_result(*state).id_switches, 3);
}

static void flicker(void **state) {
    static ev_mask m; /* 320x180 cells */
    ev_track_box t = {1, {0, 0, 100, 100}, 1};
    rules.ellipse = 0;
    rules.padding = 0;
    const double x[5] = {0, 0, 50, 500, 500};
    for (size_t i = 0; i < 5; i++) {
        t.box.x = x[i];
        ev_leak_draw(&rules, &m, &t, i == 4 ? 0 : 1, 0, 640, 360);
        ev_leak_add(*state, i, 0.04 * (double)i, 0.04, NULL, 0, NULL, 0, &m);
    }
    /* Again nothing: a pair without any mask says nothing. */
    ev_leak_add(*state, 5, 0.2, 0.04, NULL, 0, NULL, 0, &m);
    /* A frame that does not follow directly is not compared. */
    ev_leak_draw(&rules, &m, &t, 1, 0, 640, 360);
    ev_leak_add(*state, 9, 0.36, 0.04, NULL, 0, NULL, 0, &m);
    ev_leak_figures r = ev_leak_result(*state);
    assert_int_equal(r.mask_pairs, 4);
    near_by(r.mask_iou_mean, (1 + 1.0 / 3 + 0 + 0) / 4, 1e-9);
    near_by(r.mask_iou_min, 0, 1e-9);
}

static void drawing_covers_what_it_says(void **state) {
    (void)state;
    static ev_mask m;
    ev_track_box t[2] = {{1, {-20, 10, 40, 20}, 1}, {2, {200, 100, 50, 50}, 0}};
    rules.ellipse = 0;
    rules.padding = 0;
    ev_leak_draw(&rules, &m, t, 2, 0, 640, 360);
    int n = 0;
    for (int r = 0; r < EV_MASK_ROWS; r++)
        for (int c = 0; c < EV_MASK_COLS; c++)
            n += m.cell[r][c];
    assert_int_equal(n, 10 * 10); /* 2-px cells: 20x20 px inside the picture; a kept face: none */
    assert_true(m.cell[5][0] && m.cell[14][9] && !m.cell[4][0] && !m.cell[15][0] && !m.cell[5][10]);
    ev_leak_draw(&rules, &m, t, 2, 1, 640, 360);
    assert_true(m.cell[0][0] && m.cell[EV_MASK_ROWS - 1][EV_MASK_COLS - 1]);
}

static void nothing_given(void **state) {
    ev_leak_figures r = ev_leak_result(*state);
    assert_int_equal(r.n_frames, 0);
    near_by(r.exposed_per_minute, 0, 0);
    near_by(r.mask_iou_mean, 1, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(exposed_frames_and_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(small_faces_are_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(a_leak_ends_when_the_face_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(leaks_are_timed_by_the_frames, setup, teardown),
        cmocka_unit_test_setup_teardown(speaker_frames, setup, teardown),
        cmocka_unit_test_setup_teardown(cover_by_tracks, setup, teardown),
        cmocka_unit_test_setup_teardown(id_switches, setup, teardown),
        cmocka_unit_test_setup_teardown(id_switches_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(flicker, setup, teardown),
        cmocka_unit_test_setup_teardown(drawing_covers_what_it_says, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_given, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
