/* Further looks: their classes are mixed in where both looks saw the same face, it comes as often
 * as it should, and models that ask for none, or for nonsense, are told apart. */
#include "mem.h"
#include "veil_priv.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bright.h"

enum { WIDTH = 192, HEIGHT = 96 };

typedef struct {
    vl_model *model;
    vl_net *net;
    vl_detect *detect;
    vl_scale *scale;
    vl_again *again;
} chain;

/* The network looks at 96x64 px, where a cell is 16 px of the picture; again at 64x32, 24 px. */
static void chain_make(chain *c, const char *again) {
    size_t size;
    uint8_t *bytes = bright_model_again("veil", 40, 2, again, &size);
    assert_int_equal(vl_model_parse(&c->model, bytes, size), VEIL_OK);
    free(bytes);
    assert_int_equal(vl_net_create(&c->net, c->model, NULL, 0, 0), VEIL_OK);
    assert_int_equal(vl_net_set_size(c->net, 96, 64), VEIL_OK);
    assert_int_equal(vl_scale_create(&c->scale), VEIL_OK);
    assert_int_equal(vl_detect_create(&c->detect, c->model), VEIL_OK);
    assert_int_equal(vl_again_create(&c->again, c->model, NULL, 0), VEIL_OK);
}

static void chain_free(chain *c) {
    vl_again_destroy(c->again);
    vl_detect_destroy(c->detect);
    vl_scale_destroy(c->scale);
    vl_net_destroy(c->net);
    vl_model_destroy(c->model);
}

static void fill(uint8_t *data, int32_t x, int32_t y, int32_t side, uint8_t red) {
    for (int32_t j = y; j < y + side; j++)
        for (int32_t i = x; i < x + side; i++) {
            data[3 * (j * WIDTH + i)] = red;
            data[3 * (j * WIDTH + i) + 1] = 255;
        }
}

/* One face: the network's cell 2,2 lies on its red middle, cell 1,1 of the further look on all of
 * it, of which four ninths are red. */
static veil_frame picture(uint8_t *data) {
    memset(data, 0, WIDTH * HEIGHT * 3);
    fill(data, 24, 24, 24, 0);
    fill(data, 32, 32, 16, 64);
    return (veil_frame){.plane = {data},
                        .stride = {3 * WIDTH},
                        .width = WIDTH,
                        .height = HEIGHT,
                        .format = VEIL_FORMAT_RGB24};
}

static float log_odds_of(chain *c, const veil_frame *f) {
    veil_detection d[4];
    size_t n;
    assert_int_equal(
        vl_detect_frame(c->detect, c->net, c->scale, NULL, f, 0.3f, d, 4, &n, NULL, NULL), VEIL_OK);
    assert_int_equal(n, 1);
    assert_true(fabsf(d[0].x - 24) < 0.1f && fabsf(d[0].w - 32) < 0.1f); /* boxes stay */
    return logf(d[0].interview / (1 - d[0].interview));
}

static void classes_are_mixed(void **state) {
    (void)state;
    static uint8_t data[WIDTH * HEIGHT * 3];
    veil_frame f = picture(data);
    chain c;
    chain_make(&c, "64");
    assert_non_null(c.again);
    float near = 20 * 64 / 255.0f - 3, far = 20 * 64 / 255.0f * 4 / 9 - 3;
    assert_true(fabsf(log_odds_of(&c, &f) - near) < 0.05f);
    assert_int_equal(vl_again_look(c.again, c.detect, c.net, &f), VEIL_OK);
    assert_true(fabsf(log_odds_of(&c, &f) - (near + far) / 2) < 0.05f);

    veil_frame dark = f; /* another scene: nobody is there */
    uint8_t *black = calloc(WIDTH * HEIGHT, 3);
    assert_non_null(black);
    dark.plane[0] = black;
    assert_int_equal(vl_again_look(c.again, c.detect, c.net, &dark), VEIL_OK);
    assert_true(fabsf(log_odds_of(&c, &f) - near) < 0.05f);

    assert_int_equal(vl_again_look(c.again, c.detect, c.net, &f), VEIL_OK);
    vl_detect_forget_far(c.detect);
    assert_true(fabsf(log_odds_of(&c, &f) - near) < 0.05f);
    free(black);
    chain_free(&c);
}

/* Somebody else's class is nobody's: boxes that overlap by less than four tenths stay apart, and of
 * several the nearest counts. */
static void only_the_same_face(void **state) {
    (void)state;
    static uint8_t data[WIDTH * HEIGHT * 3];
    veil_frame f = picture(data);
    chain c;
    chain_make(&c, NULL);
    assert_null(c.again);
    assert_int_equal(vl_again_look(NULL, c.detect, c.net, &f), VEIL_OK);
    float near = log_odds_of(&c, &f);
    const veil_detection aside = {24 + 14.5f, 24, 32, 32, 0.9f, 0.5f}, /* by 0.38 */
        by = {24 + 13, 24, 32, 32, 0.9f, 0.5f},                        /* by 0.42 */
        on = {24, 24, 32, 32, 0.9f, 0};
    vl_detect_add_far(c.detect, &aside, 1);
    assert_true(fabsf(log_odds_of(&c, &f) - near) < 1e-4f);
    vl_detect_forget_far(c.detect);
    vl_detect_add_far(c.detect, &by, 1);
    assert_true(fabsf(log_odds_of(&c, &f) - near / 2) < 1e-3f);
    for (int first = 0; first < 2; first++) {
        veil_detection both[2] = {first ? by : on, first ? on : by};
        vl_detect_forget_far(c.detect);
        vl_detect_add_far(c.detect, both, 2);
        /* however sure of nothing, it counts as one in a thousand */
        assert_true(fabsf(log_odds_of(&c, &f) - (near - logf(999)) / 2) < 1e-2f);
    }
    static veil_detection many[VL_DETECT_FAR_MAX + 9];
    for (size_t i = 0; i < VL_DETECT_FAR_MAX + 9; i++)
        many[i] = i < VL_DETECT_FAR_MAX ? aside : on;
    vl_detect_forget_far(c.detect);
    vl_detect_add_far(c.detect, many, VL_DETECT_FAR_MAX + 9);
    assert_true(fabsf(log_odds_of(&c, &f) - near) < 1e-4f);
    /* looks that did not see it say nothing, and what is too much is left out */
    vl_detect_add_far(c.detect, NULL, 0);
    vl_detect_add_far(c.detect, &by, 1);
    assert_true(fabsf(log_odds_of(&c, &f) - near / 2) < 1e-3f);
    for (int i = 0; i < 9; i++)
        vl_detect_add_far(c.detect, &by, 1);
    assert_true(fabsf(log_odds_of(&c, &f) - near / 3) < 1e-3f);
    chain_free(&c);
}

static void no_larger_than_the_first(void **state) {
    (void)state;
    static uint8_t data[WIDTH * HEIGHT * 3];
    veil_frame f = picture(data);
    chain c;
    chain_make(&c, "96");
    assert_non_null(c.again);
    float near = log_odds_of(&c, &f);
    const veil_detection on = {24, 24, 32, 32, 0.9f, 0.5f};
    vl_detect_add_far(c.detect, &on, 1);
    assert_int_equal(vl_again_look(c.again, c.detect, c.net, &f), VEIL_OK); /* forgets it */
    assert_true(fabsf(log_odds_of(&c, &f) - near) < 1e-4f);
    chain_free(&c);
}

/* Two further looks, both of 64 px: each counts. */
static void several_looks(void **state) {
    (void)state;
    static uint8_t data[WIDTH * HEIGHT * 3];
    veil_frame f = picture(data);
    chain c;
    chain_make(&c, "64,96,64");
    float near = 20 * 64 / 255.0f - 3, far = 20 * 64 / 255.0f * 4 / 9 - 3;
    for (int i = 0; i < 2; i++) { /* twice is not more than once */
        assert_int_equal(vl_again_look(c.again, c.detect, c.net, &f), VEIL_OK);
        assert_true(fabsf(log_odds_of(&c, &f) - (near + 2 * far) / 3) < 0.05f);
    }
    chain_free(&c);
}

static void damaged_texts(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "0",
                                      "-64",
                                      "+64",
                                      " 64",
                                      "64 ",
                                      "64px",
                                      "65",
                                      "32",
                                      "1056",
                                      "99999999999999999999",
                                      ",64",
                                      "64,",
                                      "64,,96",
                                      "64;96",
                                      "64, 96",
                                      "64,65",
                                      "64,64,64,64,64"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t size;
        uint8_t *bytes = bright_model_again("veil", 40, 2, bad[i], &size);
        veil_options o;
        veil_options_init(&o, sizeof o);
        o.model = bytes;
        o.model_size = size;
        veil *v = (veil *)&o;
        assert_int_equal(veil_create(&v, &o), VEIL_E_MODEL);
        assert_null(v);
        veil_net *n = (veil_net *)&o;
        assert_int_equal(veil_net_create(&n, bytes, size, NULL), VEIL_E_MODEL);
        assert_null(n);
        free(bytes);
    }
}

/* A veil looks again on every fourth frame, and after a reset; a single picture always. */
static void every_fourth_frame(void **state) {
    (void)state;
    static uint8_t data[WIDTH * HEIGHT * 3];
    size_t size;
    uint8_t *bytes = bright_model_again("veil", 40, 2, "64", &size);
    veil_options o;
    veil_options_init(&o, sizeof o);
    o.model = bytes;
    o.model_size = size;
    o.input_width = 96;
    o.input_height = 64;
    veil *v;
    assert_int_equal(veil_create(&v, &o), VEIL_OK);
    float near = 20 * 64 / 255.0f - 3, far = 20 * 64 / 255.0f * 4 / 9 - 3;
    for (int i = 0; i < 10; i++) {
        veil_frame f = picture(data);
        f.pts_ns = i * 33333333LL;
        assert_int_equal(veil_process(v, &f, NULL), VEIL_OK);
        assert_int_equal(v->since_again, i % VL_AGAIN_EVERY);
        assert_int_equal(v->n_dets, 1);
        float p = v->dets[0].interview;
        assert_true(fabsf(logf(p / (1 - p)) - (near + far) / 2) < 0.05f);
    }
    assert_int_equal(veil_reset(v), VEIL_OK);
    assert_int_equal(v->since_again, -1);
    veil_destroy(v);

    veil_net *n;
    assert_int_equal(veil_net_create(&n, bytes, size, NULL), VEIL_OK);
    assert_int_equal(veil_net_set_size(n, 96, 64), VEIL_OK);
    for (int i = 0; i < 3; i++) {
        veil_frame f = picture(data);
        veil_detection d[4];
        size_t count;
        assert_int_equal(veil_net_detect(n, &f, 0.3f, d, 4, &count), VEIL_OK);
        assert_int_equal(count, 1);
        assert_true(fabsf(logf(d[0].interview / (1 - d[0].interview)) - (near + far) / 2) < 0.05f);
    }
    veil_net_destroy(n);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(classes_are_mixed),
                                       cmocka_unit_test(only_the_same_face),
                                       cmocka_unit_test(no_larger_than_the_first),
                                       cmocka_unit_test(several_looks),
                                       cmocka_unit_test(damaged_texts),
                                       cmocka_unit_test(every_fourth_frame)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
