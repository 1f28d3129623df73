/* Settings: zero is safe, nonsense is refused. */
#include "settings.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int take(const veil_settings *s) {
    vl_settings out;
    return vl_settings_take(&out, s);
}

static void zero_is_the_default(void **state) {
    (void)state;
    veil_settings zero, defaults;
    vl_settings a, b;
    memset(&zero, 0, sizeof zero);
    zero.struct_size = sizeof zero;
    veil_settings_init(&defaults, sizeof defaults);
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    assert_int_equal(vl_settings_take(&a, &zero), VEIL_OK);
    assert_int_equal(vl_settings_take(&b, &defaults), VEIL_OK);
    assert_memory_equal(&a.s, &b.s, sizeof a.s);
    assert_int_equal(a.s.keep, VEIL_KEEP_AUTO);
    assert_int_equal(a.s.style, VEIL_STYLE_BLUR);
    assert_int_equal(a.s.detect_every, 1);
    assert_true(a.s.min_score > 0 && a.s.low_score > 0 && a.s.low_score < a.s.min_score);
    assert_true(a.s.keep_score > 0.5f);
    assert_true(a.s.padding > 0 && a.s.hold_ns > 0 && a.s.cells >= 1);
}

/* A weak style has to be asked for twice. */
static void weak_styles_need_force(void **state) {
    (void)state;
    for (int style = VEIL_STYLE_WEAK_BLUR; style <= VEIL_STYLE_WEAK_MOSAIC; style++) {
        veil_settings s;
        veil_settings_init(&s, sizeof s);
        s.style = (veil_style)style;
        assert_int_equal(veil_style_is_weak(s.style), 1);
        assert_int_equal(take(&s), VEIL_E_WEAK);
        s.force_weak = -7;
        assert_int_equal(take(&s), VEIL_E_WEAK);
        s.force_weak = 1;
        assert_int_equal(take(&s), VEIL_OK);
    }
    for (int style = VEIL_STYLE_BLUR; style <= VEIL_STYLE_NONE; style++)
        assert_int_equal(veil_style_is_weak((veil_style)style), 0);
    veil_settings s;
    veil_settings_init(&s, sizeof s);
    s.style = (veil_style)(VEIL_STYLE_WEAK_MOSAIC + 1);
    s.force_weak = 1;
    assert_int_equal(take(&s), VEIL_E_ARG);
}

static void refuses_nonsense(void **state) {
    (void)state;
    veil_settings ok, s;
    veil_settings_init(&ok, sizeof ok);
    assert_int_equal(take(&ok), VEIL_OK);
    assert_int_equal(take(NULL), VEIL_E_ARG);
#define REFUSED(field, value)                                                                      \
    do {                                                                                           \
        s = ok;                                                                                    \
        s.field = (value);                                                                         \
        assert_int_equal(take(&s), VEIL_E_ARG);                                                    \
    } while (0)
    REFUSED(struct_size, sizeof s - 1);
    REFUSED(min_score, 1.5f);
    REFUSED(min_score, NAN);
    REFUSED(low_score, -0.1f);
    REFUSED(keep_score, NAN);
    REFUSED(keep, (veil_keep)9);
    REFUSED(style, (veil_style)-1);
    REFUSED(style, VEIL_STYLE_IMAGE); /* without an image */
    REFUSED(shape, (veil_shape)3);
    REFUSED(tracker, (veil_tracker)3);
    REFUSED(padding, INFINITY);
    REFUSED(feather, NAN);
    REFUSED(cells, 9.0f);
    REFUSED(cells, NAN);
    REFUSED(detect_every, -1);
    REFUSED(hold_ns, -1);
    REFUSED(n_zones, 65);
    REFUSED(n_zones, 1); /* but no zones */
    veil_zone zone = {0, 0, NAN, 1, VEIL_HIDE};
    s = ok;
    s.zones = &zone;
    s.n_zones = 1;
    assert_int_equal(take(&s), VEIL_E_ARG);
    zone.w = 0.5f;
    assert_int_equal(take(&s), VEIL_OK);
    zone.decision = (veil_decision)5;
    assert_int_equal(take(&s), VEIL_E_ARG);
#undef REFUSED
}

static void failure_changes_nothing(void **state) {
    (void)state;
    veil_settings s;
    vl_settings out, before;
    veil_settings_init(&s, sizeof s);
    memset(&out, 0, sizeof out);
    assert_int_equal(vl_settings_take(&out, &s), VEIL_OK);
    before = out;
    s.keep = VEIL_KEEP_NONE;
    s.cells = -3;
    assert_int_equal(vl_settings_take(&out, &s), VEIL_E_ARG);
    assert_memory_equal(&out, &before, sizeof out);
}

/* A caller built against a later header: fine as long as it uses nothing that we do not know. */
static void later_versions(void **state) {
    (void)state;
    struct {
        veil_settings s;
        uint64_t more[2];
    } later;
    memset(&later, 0, sizeof later);
    veil_settings_init(&later.s, sizeof later);
    assert_int_equal(later.s.struct_size, sizeof later);
    assert_int_equal(take(&later.s), VEIL_OK);
    later.more[1] = 1;
    assert_int_equal(take(&later.s), VEIL_E_ARG);
}

static void negative_is_none(void **state) {
    (void)state;
    veil_settings s;
    vl_settings out;
    veil_settings_init(&s, sizeof s);
    s.padding = -0.5f;
    s.feather = -1;
    s.low_score = 0.9f; /* above min_score: lowered to it */
    assert_int_equal(vl_settings_take(&out, &s), VEIL_OK);
    assert_true(out.s.padding < 0 && out.s.feather < 0);
    assert_true(out.s.low_score <= out.s.min_score);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_is_the_default), cmocka_unit_test(weak_styles_need_force),
        cmocka_unit_test(refuses_nonsense),    cmocka_unit_test(failure_changes_nothing),
        cmocka_unit_test(later_versions),      cmocka_unit_test(negative_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
