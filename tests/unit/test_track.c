/* Faces on known paths, with what a detector does to them. */
#include "random.h"
#include "track.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define FRAME_NS 33333333LL

static const vl_track_rules byte_rules = {
    VEIL_TRACKER_BYTETRACK, 0.35f, 0.10f, 0, 800000000LL, 1280, 720};

static veil_detection det(float cx, float cy, float size, float score) {
    return (veil_detection){cx - size / 2, cy - size / 2, size, size, score, 0.5f};
}

static vl_tracker *make(void) {
    vl_tracker *t;
    assert_int_equal(vl_track_create(&t), VEIL_OK);
    return t;
}

static void step(vl_tracker *t, int i, const veil_detection *d, size_t n) {
    static const veil_detection none;
    vl_motion still = vl_motion_none();
    assert_int_equal(vl_track_step(t, &byte_rules, i * FRAME_NS, &still, d != NULL ? d : &none, n),
                     VEIL_OK);
}

static const vl_track *only(vl_tracker *t) {
    size_t n;
    const vl_track *k = vl_track_list(t, &n);
    assert_int_equal(n, 1);
    return k;
}

/* With early_score weak detections start a track that goes as soon as they do, until one is sure.
 */
static void early_tracks_are_hardly_held(void **state) {
    (void)state;
    for (int sure = 0; sure < 2; sure++) {
        vl_tracker *t = make();
        vl_track_rules rules = byte_rules;
        rules.early_score = 0.16f;
        vl_motion still = vl_motion_none();
        int i = 0;
        size_t n;
        for (; i < 6; i++) {
            veil_detection d[2] = {det(100, 100, 40, sure != 0 && i == 3 ? 0.5f : 0.2f),
                                   det(600, 300, 40, 0.12f)};
            assert_int_equal(vl_track_step(t, &rules, i * FRAME_NS, &still, d, 2), VEIL_OK);
            const vl_track *k = vl_track_list(t, &n);
            assert_int_equal(n, 1); /* from its first frame on; the weaker one never */
            assert_true(fabsf(k->box.x - 80) < 2);
        }
        int held = 0;
        for (veil_detection none = {0}; held < 60; i++, held++) {
            assert_int_equal(vl_track_step(t, &rules, i * FRAME_NS, &still, &none, 0), VEIL_OK);
            (void)vl_track_list(t, &n);
            if (n == 0)
                break;
        }
        assert_in_range(held, sure != 0 ? 20 : 1, sure != 0 ? 30 : 3);
        vl_track_destroy(t);
    }
}

/* Tracks that one frame with detection d starts, when the camera moves things by tx, ty px. */
static size_t started(veil_detection d, float tx, float ty) {
    static const veil_detection none;
    vl_tracker *t = make();
    vl_track_rules rules = byte_rules;
    rules.early_score = 0.16f;
    vl_motion pan = vl_motion_none();
    pan.tx = tx;
    pan.ty = ty;
    size_t n;
    assert_int_equal(vl_track_step(t, &rules, 0, &pan, &none, 0), VEIL_OK);
    assert_int_equal(vl_track_step(t, &rules, FRAME_NS, &pan, &d, 1), VEIL_OK);
    (void)vl_track_list(t, &n);
    vl_track_destroy(t);
    return n;
}

/* Where the camera brings in what lies at the picture's edge, the weakest detection hides it. */
static void what_comes_in_is_hidden_at_once(void **state) {
    (void)state;
    const float s = 0.12f;
    const veil_detection left = det(15, 300, 40, s), right = det(1268, 300, 40, s);
    const veil_detection top = det(600, 15, 40, s), bottom = det(600, 708, 40, s);
    assert_int_equal(started(left, 5, 0), 1);
    assert_int_equal(started(right, -5, 0), 1);
    assert_int_equal(started(top, 0, 5), 1);
    assert_int_equal(started(bottom, 0, -5), 1);
    assert_int_equal(started(left, -5, 0), 0); /* going out */
    assert_int_equal(started(right, 5, 0), 0);
    assert_int_equal(started(top, 0, -5), 0);
    assert_int_equal(started(bottom, 0, 5), 0);
    assert_int_equal(started(left, 0, 5), 0); /* along the edge */
    assert_int_equal(started(left, 0.2f, 0), 0);
    assert_int_equal(started(left, 0, 0), 0);
    assert_int_equal(started(det(600, 300, 40, s), 5, 0), 0); /* not at the edge */
    assert_int_equal(started(det(15, 300, 40, 0.09f), 5, 0), 0);
    assert_int_equal(started(det(15, 300, 200, s), 5, 0), 0); /* an arm or a coat */
    assert_int_equal(started((veil_detection){0, 200, 40, 200, s, 0.5f}, 5, 0), 1); /* a sliver */
}

/* Two faces walk through each other: each keeps its id, because their velocities differ. */
static void crossing_keeps_ids(void **state) {
    (void)state;
    vl_tracker *t = make();
    for (int i = 0; i <= 60; i++) {
        float x = (float)i * 4;
        veil_detection d[2] = {det(100 + x, 100, 40, 0.9f), det(340 - x, 108, 40, 0.8f)};
        step(t, i, d, 2);
        size_t n;
        const vl_track *k = vl_track_list(t, &n);
        assert_int_equal(n, 2);
        assert_int_equal(k[0].id, 1);
        assert_int_equal(k[1].id, 2);
        assert_true(fabsf(k[0].box.x - d[0].x) < 1);
        assert_true(fabsf(k[1].box.x - d[1].x) < 1);
        if (i == 30) /* side by side, either could be the other */
            assert_true(k[0].unsure && k[1].unsure);
        if (i < 18 || i > 45)
            assert_false(k[0].unsure || k[1].unsure);
    }
    vl_track_destroy(t);
}

static void weak_continues_but_does_not_start(void **state) {
    (void)state;
    vl_tracker *t = make();
    veil_detection weak = det(100, 100, 40, 0.2f), sure = det(100, 100, 40, 0.6f);
    step(t, 0, &weak, 1);
    size_t n;
    (void)vl_track_list(t, &n);
    assert_int_equal(n, 0);
    assert_false(vl_track_used(t, 0));
    step(t, 1, &sure, 1);
    assert_true(vl_track_used(t, 0));
    for (int i = 2; i < 40; i++)
        step(t, i, &weak, 1);
    const vl_track *k = only(t);
    assert_int_equal(k->id, 1);
    assert_int_equal(k->lost, 0);
    assert_int_equal(k->hits, 39);
    vl_track_destroy(t);
}

/* Frames until nothing is left of a track of this size that begins at score first, then is weak. */
static int life_on_weak(float size, float first) {
    vl_tracker *t = make();
    size_t n = 1;
    int i = 0;
    for (; n > 0 && i < 200; i++) {
        veil_detection d = det(600, 300, size, i == 0 ? first : 0.2f);
        step(t, i, &d, 1);
        (void)vl_track_list(t, &n);
    }
    vl_track_destroy(t);
    return i;
}

/* Something large of which the network never was sure ends 250 ms after the last detection that
 * could have started it, and 250 ms of hold; a small one, or one that was proven, goes on. */
static void large_must_be_proven(void **state) {
    (void)state;
    assert_in_range(life_on_weak(200, 0.45f), 14, 18);
    assert_int_equal(life_on_weak(200, 0.65f), 200);
    assert_int_equal(life_on_weak(100, 0.36f), 200);
}

/* Tracks after 30 frames in which a face of this score at cx is found in every step-th. */
static size_t tracks_after(float cx, float size, float score, int every) {
    static const veil_detection none;
    vl_tracker *t = make();
    size_t n;
    for (int i = 0; i < 30; i++) {
        veil_detection d[2] = {det(300, 300, 80, 0.9f), det(cx, 300, size, score)};
        step(t, i, i % every == 0 ? d : i > 0 ? &d[0] : &none, i % every == 0 ? 2 : 1);
    }
    (void)vl_track_list(t, &n);
    vl_track_destroy(t);
    return n;
}

/* A face cut by the picture's edge is never found surely: weak detections there start a track when
 * they go on, elsewhere never. */
static void weak_at_the_edge_starts_late(void **state) {
    (void)state;
    assert_int_equal(tracks_after(1265, 40, 0.25f, 1), 2);
    assert_int_equal(tracks_after(10, 40, 0.25f, 2), 2);
    assert_int_equal(tracks_after(10, 40, 0.25f, 9), 1);  /* now and then */
    assert_int_equal(tracks_after(10, 40, 0.15f, 1), 1);  /* too weak */
    assert_int_equal(tracks_after(10, 160, 0.25f, 1), 1); /* a coat */
    assert_int_equal(tracks_after(640, 40, 0.25f, 1), 1); /* not at the edge */
    assert_int_equal(tracks_after(310, 40, 0.25f, 1), 1); /* part of a face */
    vl_tracker *t = make();
    for (int i = 0; i < 13; i++) { /* 400 ms of 0.25 are enough, not less */
        veil_detection d = det(640, 10, 40, 0.25f);
        size_t n;
        step(t, i, &d, 1);
        (void)vl_track_list(t, &n);
        assert_int_equal(n, i < 12 ? 0 : 1);
    }
    vl_track_destroy(t);
}

/* Lost for so long that it could be anywhere, a track does not take a face far away: that is
 * another, and the mask stays where the lost one was. */
static void lost_stays_where_it_was(void **state) {
    (void)state;
    vl_tracker *t = make();
    size_t n;
    for (int i = 0; i < 44; i++) {
        veil_detection d = det(i < 20 ? 300 + 4 * (float)i : 600, 300, 60, 0.9f);
        step(t, i, &d, i < 20 || i > 40 ? 1 : 0);
    }
    const vl_track *k = vl_track_list(t, &n);
    assert_int_equal(n, 2);
    assert_true(k[0].id == 1 && !k[0].detected && k[0].box.x < 460);
    assert_true(k[1].id == 2 && k[1].detected);
    vl_track_destroy(t);
}

/* Lost faces are held for hold_ns, their cover grows and contains where the face went on to. */
static void holds_and_grows(void **state) {
    (void)state;
    vl_tracker *t = make();
    for (int i = 0; i < 20; i++) {
        veil_detection d = det(100 + 3 * (float)i, 100, 40, 0.9f);
        step(t, i, &d, 1);
    }
    float before = 0;
    for (int i = 20; i < 43; i++) { /* 24 frames are 800 ms */
        step(t, i, NULL, 0);
        const vl_track *k = only(t);
        assert_int_equal(k->lost, i - 19);
        assert_false(k->detected);
        assert_true(k->cover.w >= before);
        before = k->cover.w;
        if (i < 30) { /* the face went on walking for a third of a second */
            vl_rect face = {100 + 3 * (float)i - 20, 80, 40, 40};
            vl_rect both = vl_track_hull(face, vl_track_grown(k->cover, 0.2f));
            assert_true(both.w <= k->cover.w * 1.4f + 0.01f);
        }
    }
    assert_true(before > 60);
    step(t, 44, NULL, 0);
    size_t n;
    (void)vl_track_list(t, &n);
    assert_int_equal(n, 0);
    veil_detection d = det(160, 100, 40, 0.9f);
    step(t, 45, &d, 1);
    assert_int_equal(only(t)->id, 2); /* ids are not used again */
    vl_track_reset(t);
    step(t, 46, &d, 1);
    assert_int_equal(only(t)->id, 3);
    vl_track_destroy(t);
}

/* Frames for which a face is held that was lost at cx, cy beside a large one at 200, 200. */
static int held_beside(float cx, float cy, bool keep, bool small_kept) {
    vl_tracker *t = make();
    int i = 0, held = 0;
    for (; i < 300; i++) {
        veil_detection d[2] = {det(200, 200, 120, 0.9f), det(cx, cy, 40, 0.8f)};
        step(t, i, d, i < 30 ? 2 : 1);
        size_t n;
        vl_track *k = vl_track_list(t, &n);
        k[0].evidence.keep = keep;
        if (n > 1)
            k[1].evidence.keep = small_kept;
        held += i >= 30 && n > 1;
        assert_true(n < 2 || k[1].cover.w <= 40 * 1.75f); /* it does not grow without end */
    }
    vl_track_destroy(t);
    return held;
}

/* Whoever is lost behind a face that stays visible is waited for, but not for ever. */
static void waits_behind_a_kept_face(void **state) {
    (void)state;
    assert_in_range(held_beside(190, 190, false, false), 23, 25); /* 800 ms */
    assert_in_range(held_beside(300, 190, true, false), 23, 25);  /* not behind it */
    assert_in_range(held_beside(190, 190, true, true), 23, 25);   /* shown himself */
    assert_in_range(held_beside(190, 190, true, false), 82, 87);  /* 2 s more */
    assert_in_range(held_beside(190, 100, true, false), 82, 87);  /* behind his hair */
    assert_in_range(held_beside(190, 70, true, false), 23, 25);   /* above it */
    assert_in_range(held_beside(190, 290, true, false), 23, 25);  /* below his chin */
}

/* Frames on which the network did not run neither end a track nor start one. */
static void frames_between(void **state) {
    (void)state;
    vl_tracker *t = make();
    vl_motion still = vl_motion_none();
    for (int i = 0; i < 60; i++) {
        veil_detection d = det(100 + 5 * (float)i, 100, 40, 0.9f);
        int err =
            vl_track_step(t, &byte_rules, i * FRAME_NS, &still, i % 4 == 0 ? &d : NULL, i % 4 == 0);
        assert_int_equal(err, VEIL_OK);
        const vl_track *k = only(t);
        assert_int_equal(k->id, 1);
        assert_int_equal(k->lost, i % 4);
        if (i > 12)
            assert_true(fabsf(k->box.x - d.x) < 6);
    }
    vl_track_destroy(t);
}

/* The camera pans by more than a face a frame: with its movement the faces stay who they are,
 * without it (plain SORT) they do not. */
static void camera_is_compensated(void **state) {
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        vl_tracker *t = make();
        vl_track_rules rules = byte_rules;
        rules.kind = kind == 0 ? VEIL_TRACKER_BYTETRACK : VEIL_TRACKER_SORT;
        for (int i = 0; i < 20; i++) {
            float shake = (i % 2 == 0) ? 0.0f : 60.0f;
            vl_motion m = vl_motion_none();
            m.tx = i == 0 ? 0 : (i % 2 == 0) ? -60.0f : 60.0f;
            veil_detection d[2] = {det(200 + shake, 100, 30, 0.9f),
                                   det(260 + shake, 100, 30, 0.9f)};
            assert_int_equal(vl_track_step(t, &rules, i * FRAME_NS, &m, d, 2), VEIL_OK);
        }
        size_t n;
        const vl_track *k = vl_track_list(t, &n);
        if (kind == 0) {
            assert_int_equal(n, 2);
            assert_int_equal(k[0].id, 1);
            assert_int_equal(k[1].id, 2);
            assert_true(fabsf(k[0].box.x - 245) < 1);
        } else {
            assert_true(n > 2 || k[0].id != 1 || fabsf(k[0].box.x - 245) > 1);
        }
        vl_track_destroy(t);
    }
}

/* A face that is suddenly elsewhere is another face: a new track, which the timeline can carry
 * back, while the old place stays covered. */
static void jump_is_a_birth(void **state) {
    (void)state;
    vl_tracker *t = make();
    for (int i = 0; i < 20; i++) {
        veil_detection d = det(i < 15 ? 100 : 180, 100, 40, 0.9f);
        step(t, i, &d, 1);
        size_t n;
        const vl_track *k = vl_track_list(t, &n);
        assert_int_equal(n, i < 15 ? 1 : 2);
        if (i >= 15)
            assert_true(k[0].id == 1 && !k[0].detected && k[1].id == 2 && k[1].detected);
    }
    vl_track_destroy(t);
}

static void no_tracker_is_each_frame_alone(void **state) {
    (void)state;
    vl_tracker *t = make();
    vl_track_rules rules = byte_rules;
    rules.kind = VEIL_TRACKER_NONE;
    vl_motion still = vl_motion_none();
    for (int i = 0; i < 5; i++) {
        veil_detection d[2] = {det(100, 100, 40, 0.9f), det(200, 100, 40, 0.2f)};
        assert_int_equal(vl_track_step(t, &rules, i * FRAME_NS, &still, d, 2), VEIL_OK);
        assert_int_equal(only(t)->id, i + 1);
    }
    vl_track_destroy(t);
}

/* A stadium: every face keeps its id, and no frame is quadratic enough to be felt. */
static void thousand_faces(void **state) {
    (void)state;
    enum { N = 1000 };
    static veil_detection d[N];
    vl_tracker *t = make();
    random_source r = random_from(5);
    for (int i = 0; i < 10; i++) {
        for (int k = 0; k < N; k++) {
            float cx = 30 + 45 * (float)(k % 40), cy = 30 + 40 * (float)(k / 40);
            d[k] = det(cx + (float)i * 2 + random_float(&r, -1, 1), cy + random_float(&r, -1, 1),
                       24, random_float(&r, i == 0 ? 0.4f : 0.12f, 0.9f));
        }
        step(t, i, d, N);
    }
    size_t n;
    const vl_track *k = vl_track_list(t, &n);
    assert_int_equal(n, N);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(k[i].id, i + 1);
        assert_int_equal(k[i].hits, 10);
        assert_true(fabsf(k[i].box.x + 12 - (30 + 45 * (float)(i % 40)) - 18) < 1.5f);
    }
    vl_track_destroy(t);
}

/* More faces than can be followed are an error, never a silent loss. */
static void too_many_is_an_error(void **state) {
    (void)state;
    static veil_detection d[VL_TRACK_DET_MAX + 1];
    vl_tracker *t = make();
    vl_motion still = vl_motion_none();
    assert_int_equal(vl_track_step(t, &byte_rules, 0, &still, d, VL_TRACK_DET_MAX + 1),
                     VEIL_E_SIZE);
    int err = VEIL_OK;
    for (int i = 0; i < 3 && err == VEIL_OK; i++) { /* none of them matches one before */
        for (int k = 0; k < VL_TRACK_DET_MAX; k++)
            d[k] = det((float)(k % 64) * 100 + 33 * (float)i, (float)(k / 64) * 100, 8, 0.9f);
        err = vl_track_step(t, &byte_rules, i * FRAME_NS, &still, d, VL_TRACK_DET_MAX);
    }
    assert_int_equal(err, VEIL_E_SIZE);
    vl_track_destroy(t);
    vl_track_destroy(NULL);
}

static void geometry(void **state) {
    (void)state;
    vl_rect a = {0, 0, 10, 10}, b = {5, 5, 10, 10}, far = {50, 50, 1, 1};
    assert_true(fabsf(vl_frame_overlap(a, b) - 25.0f / 175) < 1e-6f);
    assert_true(vl_frame_overlap(a, far) == 0);
    vl_rect h = vl_track_hull(a, b);
    assert_true(h.x == 0 && h.y == 0 && h.w == 15 && h.h == 15);
    vl_rect g = vl_track_grown(a, 0.5f);
    assert_true(g.x == -5 && g.w == 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crossing_keeps_ids),
        cmocka_unit_test(weak_continues_but_does_not_start),
        cmocka_unit_test(early_tracks_are_hardly_held),
        cmocka_unit_test(what_comes_in_is_hidden_at_once),
        cmocka_unit_test(large_must_be_proven),
        cmocka_unit_test(weak_at_the_edge_starts_late),
        cmocka_unit_test(lost_stays_where_it_was),
        cmocka_unit_test(holds_and_grows),
        cmocka_unit_test(waits_behind_a_kept_face),
        cmocka_unit_test(frames_between),
        cmocka_unit_test(camera_is_compensated),
        cmocka_unit_test(jump_is_a_birth),
        cmocka_unit_test(no_tracker_is_each_frame_alone),
        cmocka_unit_test(thousand_faces),
        cmocka_unit_test(too_many_is_an_error),
        cmocka_unit_test(geometry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
