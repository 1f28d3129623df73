/* What is fixed for a frame once its look-ahead is known. */
#include "timeline.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS 1000000LL

static const veil_frame blank = {.width = 640, .height = 360, .format = VEIL_FORMAT_GRAY8};

static vl_timeline *make(int64_t lookahead_ms, int32_t held) {
    vl_timeline *t;
    assert_int_equal(vl_timeline_create(&t, lookahead_ms * MS, held), VEIL_OK);
    return t;
}

static vl_slot *add(vl_timeline *t, int64_t ms, uint32_t epoch, const vl_track *tracks, size_t n) {
    veil_frame f = blank;
    f.pts_ns = ms * MS;
    vl_slot *s = vl_timeline_add(t, &f);
    assert_non_null(s);
    assert_true(s->covered); /* until told otherwise */
    s->epoch = epoch;
    assert_int_equal(vl_timeline_fill(s, tracks, n), VEIL_OK);
    s->covered = false;
    return s;
}

static vl_track track(uint32_t id, float x, float y, bool detected, bool keep) {
    vl_track k = {.id = id, .box = {x, y, 20, 20}, .detected = detected, .lost = !detected};
    k.cover = k.box;
    k.evidence.keep = keep;
    k.evidence.reason = keep ? VEIL_REASON_CLASS : VEIL_REASON_NEW;
    return k;
}

static const vl_entries *fix(vl_timeline *t) {
    int err;
    const vl_entries *list = vl_timeline_fix(t, &err);
    assert_int_equal(err, VEIL_OK);
    assert_non_null(list);
    for (size_t i = 1; i < list->n; i++)
        assert_true(list->e[i - 1].id < list->e[i].id);
    return list;
}

static bool covers(vl_rect a, float x, float y, float w, float h) {
    return a.x <= x + 0.01f && a.y <= y + 0.01f && a.x + a.w >= x + w - 0.01f &&
           a.y + a.h >= y + h - 0.01f;
}

static void ready_when_complete(void **state) {
    (void)state;
    vl_timeline *t = make(100, 8);
    assert_false(vl_timeline_ready(t, true));
    add(t, 0, 1, NULL, 0);
    assert_false(vl_timeline_ready(t, false));
    assert_true(vl_timeline_ready(t, true));
    add(t, 99, 1, NULL, 0);
    assert_false(vl_timeline_ready(t, false));
    add(t, 100, 1, NULL, 0);
    assert_true(vl_timeline_ready(t, false));
    vl_timeline_pop(t);
    assert_false(vl_timeline_ready(t, false));
    add(t, 5, 2, NULL, 0); /* time went back: what is held will learn nothing more */
    assert_true(vl_timeline_ready(t, false));
    for (int i = 0; !vl_timeline_full(t); i++)
        add(t, 6 + i, 2, NULL, 0);
    assert_true(vl_timeline_ready(t, false));
    assert_null(vl_timeline_add(t, &blank));
    vl_timeline_destroy(t);
}

/* Born in the fourth frame, walking right by 6 px a frame while the camera pans 2 px a frame:
 * carried back to where it was. */
static void births_are_carried_back(void **state) {
    (void)state;
    vl_timeline *t = make(500, 32);
    for (int i = 0; i < 12; i++) {
        vl_track k = track(7, 300 + 6 * (float)i, 100, true, false);
        vl_slot *s = add(t, i * 40, 1, &k, i < 4 ? 0 : 1);
        s->camera.tx = i > 0 ? 2 : 0;
    }
    for (int i = 0; i < 12; i++) {
        const vl_entries *list = fix(t);
        assert_int_equal(list->n, 1);
        const vl_entry *e = &list->e[0];
        assert_int_equal(e->id, 7);
        assert_false(e->keep);
        assert_int_equal(e->detected, i >= 4);
        assert_true(covers(e->cover, 300 + 6 * (float)i, 100, 20, 20));
        assert_true(fabsf(e->box.x - (300 + 6 * (float)i)) < 0.5f);
        assert_true(e->cover.w < 50);
        vl_timeline_pop(t);
    }
    vl_timeline_destroy(t);
}

/* No farther back than sense has, except along weak detections. */
static void weak_detections_lead_back(void **state) {
    (void)state;
    for (int with_weak = 0; with_weak < 2; with_weak++) {
        vl_timeline *t = make(1000, 64);
        for (int i = 0; i < 30; i++) {
            float x = 100 + 8 * (float)(i < 20 ? i : 20); /* it stops when it is found */
            vl_track k = track(3, x, 50, true, false);
            vl_slot *s = add(t, i * 40, 1, &k, i < 25 ? 0 : 1);
            veil_detection weak = {x, 50, 20, 20, 0.15f, 0.5f};
            if (with_weak && i < 25)
                assert_int_equal(vl_timeline_add_weak(s, &weak), VEIL_OK);
        }
        for (int i = 0; i < 25; i++) {
            const vl_entries *list = fix(t);
            if (with_weak) {
                assert_int_equal(list->n, 1);
                assert_true(
                    covers(list->e[0].cover, 100 + 8 * (float)(i < 20 ? i : 20), 50, 20, 20));
            } else {
                assert_int_equal(list->n, i < 5 ? 0 : 1); /* 800 ms */
            }
            vl_timeline_pop(t);
        }
        vl_timeline_destroy(t);
    }
}

/* Lost for five frames in which it turned round: the gap is on the straight way between. */
static void gaps_are_interpolated(void **state) {
    (void)state;
    vl_timeline *t = make(400, 32);
    for (int i = 0; i < 10; i++) {
        bool seen = i < 2 || i > 6;
        /* predicted to go on to the right, found again on the left */
        float x = i < 2 ? 200 : seen ? 180 : 200 + 15 * (float)(i - 1);
        vl_track k = track(4, x, 80, seen, false);
        add(t, i * 40, 1, &k, 1);
    }
    for (int i = 0; i < 8; i++) {
        const vl_entries *list = fix(t);
        float want = i < 1 ? 200 : i > 6 ? 180 : 200 - 20 * (float)(i - 1) / 6;
        assert_true(fabsf(list->e[0].box.x - want) < 0.1f);
        assert_true(covers(list->e[0].cover, want, 80, 20, 20));
        vl_timeline_pop(t);
    }
    vl_timeline_destroy(t);
}

/* The mask of a frame also covers where the face is a frame earlier and later. */
static void neighbours_are_united(void **state) {
    (void)state;
    vl_timeline *t = make(200, 32);
    const float x[] = {100, 104, 96, 103, 100};
    for (int i = 0; i < 5; i++) {
        vl_track k = track(1, x[i], 50, true, false);
        add(t, i * 40, 1, &k, 1);
    }
    for (int i = 0; i < 5; i++) {
        vl_rect c = fix(t)->e[0].cover;
        for (int j = i - 1; j <= i + 1; j++)
            if (j >= 0 && j < 5)
                assert_true(covers(c, x[j], 50, 20, 20));
        assert_true(c.w < 30);
        vl_timeline_pop(t);
    }
    vl_timeline_destroy(t);
}

static bool kept(const char *pattern) {
    vl_timeline *t = make(1000, 32);
    for (int i = 0; pattern[i] != 0; i++) {
        vl_track k = track(1, 100, 50, true, pattern[i] == 'K');
        add(t, i * 40, 1, &k, pattern[i] == '.' ? 0 : 1);
    }
    const vl_entries *list = fix(t);
    bool keep = list->n == 1 && list->e[0].keep;
    vl_timeline_destroy(t);
    return keep;
}

static void shown_only_when_nothing_speaks_against(void **state) {
    (void)state;
    assert_true(kept("K"));
    assert_true(kept("hhhKK")); /* proven later: from its first frame */
    assert_true(kept("..hKK")); /* born later */
    assert_true(kept("KKK.."));
    assert_false(kept("h"));
    assert_false(kept("KKKh")); /* found out later */
    assert_false(kept("hKh"));
    assert_false(kept("KhK")); /* both: doubt */
    assert_false(kept("KK.h"));
}

/* What happens after a cut says nothing about before. */
static void epochs_are_apart(void **state) {
    (void)state;
    vl_timeline *t = make(1000, 32);
    vl_track before = track(1, 100, 50, true, false), after = track(2, 300, 50, true, true);
    add(t, 0, 1, &before, 1);
    add(t, 40, 2, &after, 1);
    const vl_entries *list = fix(t);
    assert_int_equal(list->n, 1);
    assert_int_equal(list->e[0].id, 1);
    assert_true(list->e[0].cover.w == 20);
    vl_timeline_pop(t);
    list = fix(t);
    assert_int_equal(list->n, 1);
    assert_int_equal(list->e[0].id, 2);
    assert_true(list->e[0].cover.w == 20); /* not united with the past either */
    vl_timeline_destroy(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ready_when_complete),
        cmocka_unit_test(births_are_carried_back),
        cmocka_unit_test(weak_detections_lead_back),
        cmocka_unit_test(gaps_are_interpolated),
        cmocka_unit_test(neighbours_are_united),
        cmocka_unit_test(shown_only_when_nothing_speaks_against),
        cmocka_unit_test(epochs_are_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
