/* Who may be seen: evidence over time, at any frame rate; unknown is hidden. */
#include "subject.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define MS 1000000LL

static const vl_subject_rules automatic = {VEIL_KEEP_AUTO, 0.7f, NULL, 0, 1280, 720};

static vl_track face(uint32_t id, float h) {
    return (vl_track){.id = id, .box = {600, 300, h * 0.8f, h}, .hits = 1};
}

/* One frame in which every track is detected with p. */
static void see(vl_subject *s, const vl_subject_rules *r, int64_t pts_ns, vl_track *t, size_t n,
                const float *p) {
    for (size_t i = 0; i < n; i++) {
        t[i].gap_ns = t[i].hits > 1 ? pts_ns - t[i].seen_ns : 0;
        t[i].seen_ns = pts_ns;
        t[i].detected = true;
        t[i].score = 0.9f;
        t[i].interview = p[i];
        t[i].hits++;
    }
    vl_subject_step(s, r, pts_ns, t, n);
}

/* Time until a face with this P(interview) is shown, -1: never within 10 s. */
static int64_t shown_under(const vl_subject_rules *r, float p, int fps, float h) {
    vl_subject s = {0};
    vl_track t = face(1, h);
    for (int i = 0; i < 10 * fps; i++) {
        int64_t pts_ns = (int64_t)i * 1000 * MS / fps;
        see(&s, r, pts_ns, &t, 1, &p);
        if (t.evidence.keep)
            return pts_ns;
    }
    return -1;
}

static int64_t shown_after(float p, int fps, float h) {
    return shown_under(&automatic, p, fps, h);
}

static void same_time_at_any_rate(void **state) {
    (void)state;
    int64_t at25 = shown_after(0.95f, 25, 200), at60 = shown_after(0.95f, 60, 200);
    int64_t at240 = shown_after(0.95f, 240, 200);
    assert_in_range(at25, 120 * MS, 260 * MS);
    assert_true(llabs(at60 - at25) <= 45 * MS);
    assert_true(llabs(at240 - at60) <= 25 * MS);
    assert_in_range(shown_after(0.95f, 5, 200), 300 * MS, 1500 * MS); /* several looks even so */
    assert_true(shown_after(0.8f, 30, 200) > at25); /* weaker evidence takes longer */
}

static void unknown_is_hidden(void **state) {
    (void)state;
    assert_true(shown_after(0.5f, 30, 200) < 0);
    assert_true(shown_after(0.45f, 30, 200) < 0);
    assert_true(shown_after(0.60f, 30, 200) < 0); /* not in the long run either */
    assert_true(shown_after(0.74f, 30, 200) < 0); /* a leaning is no evidence */
    assert_true(shown_after(0.0f, 30, 200) < 0);
    vl_track never = face(1, 200); /* not one vote */
    vl_subject s = {0};
    vl_subject_step(&s, &automatic, 0, &never, 1);
    assert_false(never.evidence.keep);
    assert_int_equal(never.evidence.reason, VEIL_REASON_LOST);
    assert_true(vl_subject_probability(&never.evidence) < 0.2f);
}

/* However much is asked for, a face that the network is sure of gets there. */
static void the_highest_certainty_is_within_reach(void **state) {
    (void)state;
    vl_subject_rules strict = automatic;
    strict.keep_score = 0.999f;
    assert_in_range(shown_under(&strict, 0.97f, 30, 300), 0, 1966 * MS);
    assert_true(shown_under(&strict, 0.80f, 30, 300) > 1966 * MS); /* a leaning, not so soon */
}

/* Any single frame may say anything: a bystander stays hidden. */
static void single_frames_do_not_uncover(void **state) {
    (void)state;
    for (int wrong_every = 4; wrong_every < 12; wrong_every++) {
        for (int fps = 5; fps <= 60; fps *= 2) {
            vl_subject s = {0};
            vl_track t = face(1, 200);
            for (int i = 0; i < 20 * fps; i++) {
                float p = i % wrong_every == 0 ? 0.999f : 0.05f;
                see(&s, &automatic, (int64_t)i * 1000 * MS / fps, &t, 1, &p);
                assert_false(t.evidence.keep);
            }
        }
    }
}

/* ... and a speaker is not hidden by one, but is by a quarter of a second of them. */
static void hysteresis(void **state) {
    (void)state;
    vl_subject s = {0};
    vl_track t = face(1, 200);
    int i = 0, gone = 0;
    for (; i < 60; i++) {
        float p = i == 40 ? 0.02f : 0.95f;
        see(&s, &automatic, i * 33 * MS, &t, 1, &p);
        if (i > 10)
            assert_true(t.evidence.keep);
    }
    for (; t.evidence.keep; i++, gone++) {
        float p = 0.05f;
        see(&s, &automatic, i * 33 * MS, &t, 1, &p);
    }
    assert_in_range(gone, 4, 9);
    for (int k = 0; k < 200; k++, i++) { /* between the limits nothing changes */
        float p = 0.5f;
        see(&s, &automatic, i * 33 * MS, &t, 1, &p);
        assert_false(t.evidence.keep);
    }
}

/* After a gap in which the person may have changed, everything has to be earned again. */
static void long_gap_distrusts(void **state) {
    (void)state;
    for (int gap_ms = 100; gap_ms <= 700; gap_ms += 600) {
        vl_subject s = {0};
        vl_track t = face(1, 200);
        float p = 0.95f;
        for (int i = 0; i < 60; i++)
            see(&s, &automatic, i * 33 * MS, &t, 1, &p);
        assert_true(t.evidence.keep);
        see(&s, &automatic, 60 * 33 * MS + gap_ms * MS, &t, 1, &p);
        assert_int_equal(t.evidence.keep, gap_ms == 100);
    }
}

/* A match that might be another person, and looks like background: hidden in that very frame. */
static void unsure_match_distrusts(void **state) {
    (void)state;
    vl_subject s = {0};
    vl_track t = face(1, 200);
    float p = 0.95f, low = 0.3f;
    for (int i = 0; i < 60; i++)
        see(&s, &automatic, i * 33 * MS, &t, 1, &p);
    assert_true(t.evidence.keep);
    t.unsure = true;
    see(&s, &automatic, 60 * 33 * MS, &t, 1, &p); /* still like the speaker: stays */
    assert_true(t.evidence.keep);
    see(&s, &automatic, 61 * 33 * MS, &t, 1, &low);
    assert_false(t.evidence.keep);
}

/* Beside a large interview face a small one needs more; alone it does not. */
static void company_counts(void **state) {
    (void)state;
    vl_subject s = {0};
    vl_track t[2] = {face(1, 300), face(2, 60)};
    float p[2] = {0.95f, 0.77f};
    bool small_shown = false;
    for (int i = 0; i < 150; i++) {
        see(&s, &automatic, i * 33 * MS, t, 2, p);
        small_shown |= t[1].evidence.keep;
    }
    assert_true(t[0].evidence.keep);
    assert_false(small_shown);
    assert_true(shown_after(0.77f, 30, 60) > 0);
    vl_subject two = {0};
    vl_track u[2] = {face(1, 200), face(2, 180)}; /* interviewer and interviewee */
    float q[2] = {0.95f, 0.9f};
    for (int i = 0; i < 60; i++)
        see(&two, &automatic, i * 33 * MS, u, 2, q);
    assert_true(u[0].evidence.keep && u[1].evidence.keep);
}

static void order_of_rules(void **state) {
    (void)state;
    veil_zone zones[] = {{0.4f, 0.3f, 0.3f, 0.5f, VEIL_KEEP}, {0, 0, 0, 0, VEIL_AUTO}};
    vl_subject_rules r = automatic;
    vl_subject s = {0};
    vl_track t = face(1, 100);
    float p = 0.05f;
    int i = 0;
#define SEE() see(&s, &r, 33 * MS * i++, &t, 1, &p)
    r.zones = zones;
    r.n_zones = 2;
    SEE();
    assert_true(t.evidence.keep && t.evidence.reason == VEIL_REASON_ZONE);
    vl_subject_user(&t.evidence, VEIL_HIDE); /* the user's word on a face beats a keep zone */
    SEE();
    assert_true(!t.evidence.keep && t.evidence.reason == VEIL_REASON_USER);
    vl_subject_user(&t.evidence, VEIL_KEEP);
    zones[1] = (veil_zone){0, 0, 1, 1, VEIL_HIDE}; /* a hide zone beats everything */
    SEE();
    assert_true(!t.evidence.keep && t.evidence.reason == VEIL_REASON_ZONE);
    r.n_zones = 0;
    SEE();
    assert_true(t.evidence.keep && t.evidence.reason == VEIL_REASON_USER);
    r.keep = VEIL_KEEP_NONE;
    SEE();
    assert_false(t.evidence.keep);
    r.keep = VEIL_KEEP_CHOSEN;
    SEE();
    assert_true(t.evidence.keep);
    i +=
        30; /* a second without being seen: perhaps another person, the user's KEEP is not theirs */
    SEE();
    assert_false(t.evidence.keep);
    p = 0.97f;
    for (int k = 0; k < 20; k++) /* proven by the class, the user's word counts again */
        SEE();
    assert_true(t.evidence.keep && t.evidence.reason == VEIL_REASON_USER);
    vl_subject_user(&t.evidence, VEIL_AUTO);
    SEE();
    assert_false(t.evidence.keep);
#undef SEE
}

static void largest_with_patience(void **state) {
    (void)state;
    vl_subject_rules r = automatic;
    r.keep = VEIL_KEEP_LARGEST;
    vl_subject s = {0};
    vl_track t[2] = {face(1, 100), face(2, 80)};
    float p[2] = {0, 0};
    for (int i = 0; i < 100; i++) {
        if (i == 40)
            t[1].box.h = t[1].box.w = 95; /* a little larger: not enough */
        if (i == 60)
            t[1].box.h = t[1].box.w = 160;
        see(&s, &r, i * 33 * MS, t, 2, p);
        assert_false(t[0].evidence.keep && t[1].evidence.keep);
        if (i < 9)
            assert_false(t[0].evidence.keep);
        if (i > 11 && i < 74)
            assert_true(t[0].evidence.keep);
        if (i > 78)
            assert_true(t[1].evidence.keep);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_time_at_any_rate),
        cmocka_unit_test(unknown_is_hidden),
        cmocka_unit_test(the_highest_certainty_is_within_reach),
        cmocka_unit_test(single_frames_do_not_uncover),
        cmocka_unit_test(hysteresis),
        cmocka_unit_test(long_gap_distrusts),
        cmocka_unit_test(unsure_match_distrusts),
        cmocka_unit_test(company_counts),
        cmocka_unit_test(order_of_rules),
        cmocka_unit_test(largest_with_patience),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
