/* From pixels to faces with a network whose answer is known, and the decoders by themselves. */
#include "detect_priv.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bright.h"

typedef struct {
    vl_model *model;
    vl_net *net;
    vl_detect *detect;
    vl_scale *scale;
} chain;

static int chain_of(chain *c, const char *decoder, float gain, float cells, int32_t w, int32_t h) {
    size_t size;
    uint8_t *bytes = bright_model(decoder, gain, cells, &size);
    memset(c, 0, sizeof *c);
    assert_int_equal(vl_model_parse(&c->model, bytes, size), VEIL_OK);
    free(bytes);
    assert_int_equal(vl_net_create(&c->net, c->model, NULL, 0, 0), VEIL_OK);
    assert_int_equal(vl_net_set_size(c->net, w, h), VEIL_OK);
    assert_int_equal(vl_scale_create(&c->scale), VEIL_OK);
    int err = vl_detect_create(&c->detect, c->model);
    return err != VEIL_OK ? err : vl_detect_check(c->detect, c->net);
}

static int chain_make(chain *c, const char *decoder, float gain, int32_t w, int32_t h) {
    return chain_of(c, decoder, gain, 2, w, h);
}

static void chain_free(chain *c) {
    vl_detect_destroy(c->detect);
    vl_scale_destroy(c->scale);
    vl_net_destroy(c->net);
    vl_model_destroy(c->model);
}

/* RGB picture, black, with bright 8x8-px cells (of net px) at the given places. */
static veil_frame picture(uint8_t *data, int32_t w, int32_t h) {
    memset(data, 0, (size_t)w * (size_t)h * 3);
    return (veil_frame){
        .plane = {data}, .stride = {3 * w}, .width = w, .height = h, .format = VEIL_FORMAT_RGB24};
}

static void square(const veil_frame *f, int32_t x, int32_t y, int32_t side, uint8_t r, uint8_t g) {
    for (int32_t j = y; j < y + side; j++)
        for (int32_t i = x; i < x + side; i++) {
            f->plane[0][j * f->stride[0] + 3 * i] = r;
            f->plane[0][j * f->stride[0] + 3 * i + 1] = g;
        }
}

static void pixels_to_boxes(void **state) {
    (void)state;
    static uint8_t data[256 * 128 * 3];
    chain c;
    assert_int_equal(chain_make(&c, "veil", 40, 128, 64), VEIL_OK);
    veil_frame f = picture(data, 256, 128); /* twice the net's size */
    square(&f, 32, 48, 16, 0, 255);         /* net cell 2,3 */
    square(&f, 192, 16, 16, 255, 230);      /* cell 12,1, red */
    veil_detection d[8];
    size_t n;
    vl_scale_map map;
    assert_int_equal(
        vl_detect_frame(c.detect, c.net, c.scale, NULL, &f, 0.3f, d, 8, &n, &map, NULL), VEIL_OK);
    assert_int_equal(n, 2);
    assert_true(d[0].score > d[1].score);
    assert_true(fabsf(map.scale_x - 2) < 1e-5f);
    /* 16 net px around the cell's centre, times two */
    assert_true(fabsf(d[0].x - 24) < 0.1f && fabsf(d[0].y - 40) < 0.1f);
    assert_true(fabsf(d[0].w - 32) < 0.1f && fabsf(d[0].h - 32) < 0.1f);
    assert_true(fabsf(d[1].x - 184) < 0.1f && fabsf(d[1].y - 8) < 0.1f);
    assert_true(d[0].interview < 0.1f && d[1].interview > 0.9f);
    float score = 1 / (1 + expf(-40 * 0.3f));
    assert_true(fabsf(d[0].score - score) < 1e-4f);
    assert_int_equal(
        vl_detect_frame(c.detect, c.net, c.scale, NULL, &f, 0.3f, d, 1, &n, NULL, NULL), VEIL_OK);
    assert_int_equal(n, 1); /* the best */
    chain_free(&c);
}

static void rotated_pictures(void **state) {
    (void)state;
    static uint8_t data[128 * 64 * 3];
    for (int32_t rotation = 0; rotation < 360; rotation += 90) {
        chain c;
        bool across = rotation % 180 == 0;
        assert_int_equal(chain_make(&c, NULL, 40, across ? 128 : 64, across ? 64 : 128), VEIL_OK);
        veil_frame f = picture(data, 128, 64);
        f.rotation = rotation;
        square(&f, 24, 40, 8, 0, 255);
        veil_detection d[4];
        size_t n;
        assert_int_equal(
            vl_detect_frame(c.detect, c.net, c.scale, NULL, &f, 0.3f, d, 4, &n, NULL, NULL),
            VEIL_OK);
        assert_int_equal(n, 1);
        vl_detect_to_stored(&f, d, n);
        assert_true(fabsf(d[0].x - 20) < 0.1f && fabsf(d[0].y - 36) < 0.1f);
        chain_free(&c);
    }
}

/* Neighbouring cells see one face: the better box stays, the class is the weighted mean. */
static void overlaps_are_one_face(void **state) {
    (void)state;
    static uint8_t data[128 * 64 * 3];
    for (int i = 0; i < 2; i++) {
        chain c; /* boxes of 32 px, 8 px apart, overlap by 0.6; boxes of 16 px by 0.33 */
        assert_int_equal(chain_of(&c, "veil", 10, i == 0 ? 4 : 2, 128, 64), VEIL_OK);
        veil_frame f = picture(data, 128, 64);
        square(&f, 40, 24, 8, 0, 255);   /* cell 5,3: not red */
        square(&f, 48, 24, 8, 255, 220); /* cell 6,3: red, less sure */
        veil_detection d[4];
        size_t n;
        assert_int_equal(
            vl_detect_frame(c.detect, c.net, c.scale, NULL, &f, 0.3f, d, 4, &n, NULL, NULL),
            VEIL_OK);
        assert_int_equal(n, i == 0 ? 1 : 2);
        float sure = 1 / (1 + expf(-10 * 0.3f)), less = 1 / (1 + expf(-10 * (220 / 255.0f - 0.7f)));
        float low = 1 / (1 + expf(3.0f)), high = 1 / (1 + expf(3.0f - 20));
        assert_true(fabsf(d[0].score - sure) < 1e-3f);
        if (i == 0) {
            assert_true(fabsf(d[0].x - 28) < 0.1f);
            float mean = (sure * low + less * high) / (sure + less);
            assert_true(fabsf(d[0].interview - mean) < 1e-3f);
        } else {
            assert_true(fabsf(d[0].interview - low) < 1e-3f);
            assert_true(fabsf(d[1].interview - high) < 1e-3f);
        }
        chain_free(&c);
    }
}

static void numbers_that_are_none_are_errors(void **state) {
    (void)state;
    static uint8_t data[128 * 64 * 3];
    const float gains[] = {3e38f, -3e38f, 1e12f};
    for (int i = 0; i < 3; i++) {
        chain c;
        assert_int_equal(chain_make(&c, "veil", gains[i], 128, 64), VEIL_OK);
        veil_frame f = picture(data, 128, 64);
        square(&f, 0, 0, 64, 200, 200);
        veil_detection d[4];
        size_t n = 99;
        assert_int_equal(
            vl_detect_frame(c.detect, c.net, c.scale, NULL, &f, 0.3f, d, 4, &n, NULL, NULL),
            VEIL_E_INTERNAL);
        assert_int_equal(n, 0);
        chain_free(&c);
    }
}

static int fails_at(void *user, const char *stage) {
    return strcmp(stage, user) == 0;
}

static void faults_reach_every_stage(void **state) {
    (void)state;
    static uint8_t data[128 * 64 * 3];
    char stages[3][8] = {"scale", "infer", "decode"};
    chain c;
    assert_int_equal(chain_make(&c, "veil", 40, 128, 64), VEIL_OK);
    veil_frame f = picture(data, 128, 64);
    square(&f, 0, 0, 64, 200, 255);
    for (int i = 0; i < 3; i++) {
        vl_fault fault = {fails_at, stages[i]};
        veil_detection d[4];
        size_t n = 99;
        assert_int_equal(
            vl_detect_frame(c.detect, c.net, c.scale, NULL, &f, 0.3f, d, 4, &n, NULL, &fault),
            VEIL_E_INTERNAL);
        assert_int_equal(n, 0);
    }
    chain_free(&c);
}

static void unknown_decoders_are_refused(void **state) {
    (void)state;
    chain c;
    assert_int_equal(chain_make(&c, "tarot", 40, 128, 64), VEIL_E_MODEL);
    assert_null(c.detect);
    chain_free(&c);
    vl_detect_destroy(NULL);
}

static void keeps_the_best_candidates(void **state) {
    (void)state;
    static vl_candidate memory[VL_DETECT_MAX];
    vl_candidates list = {.c = memory};
    random_source r = random_from(1);
    static float all[3 * VL_DETECT_MAX];
    for (int i = 0; i < 3 * VL_DETECT_MAX; i++) {
        all[i] = random_float(&r, -5, 5);
        vl_candidate k = {10, 10, 5, 5, all[i], 0.5f};
        assert_true(vl_candidates_push(&list, &k));
    }
    assert_int_equal(list.n, VL_DETECT_MAX);
    float worst_kept = 10;
    for (size_t i = 0; i < list.n; i++)
        worst_kept = fminf(worst_kept, list.c[i].score);
    int better = 0;
    for (int i = 0; i < 3 * VL_DETECT_MAX; i++)
        better += all[i] > worst_kept;
    assert_int_equal(better, VL_DETECT_MAX - 1);
    const vl_candidate bad[] = {
        {NAN, 0, 1, 1, 0, 0.5f},      {0, INFINITY, 1, 1, 0, 0.5f}, {0, 0, 0, 1, 0, 0.5f},
        {0, 0, 1, -1, 0, 0.5f},       {0, 0, 1, NAN, 0, 0.5f},      {0, 0, 1, 1, NAN, 0.5f},
        {0, 0, 1, 1, INFINITY, 0.5f}, {0, 0, 1, 1, 0, NAN},         {0, 0, 1, 1, 0, 1.5f}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(vl_candidates_push(&list, &bad[i]));
}

static void input_sizes(void **state) {
    (void)state;
    const int32_t cases[][4] = {
        {1280, 720, 640, 384},   {1920, 1080, 640, 384},  {1080, 1920, 384, 640},
        {640, 480, 640, 480},    {320, 240, 640, 480},    {200, 100, 416, 224},
        {3840, 2160, 1280, 736}, {2560, 1440, 864, 512},  {16, 16, 320, 320},
        {8192, 16, 2752, 32},    {7680, 4320, 2560, 1440}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int32_t w, h;
        vl_detect_input_size(cases[i][0], cases[i][1], &w, &h);
        assert_int_equal(w, cases[i][2]);
        assert_int_equal(h, cases[i][3]);
        float px = 24.0f * fminf((float)w / (float)cases[i][0], (float)h / (float)cases[i][1]);
        assert_true(px >= 7.9f); /* a face of 24 px is still 8 */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_to_boxes),
        cmocka_unit_test(rotated_pictures),
        cmocka_unit_test(overlaps_are_one_face),
        cmocka_unit_test(numbers_that_are_none_are_errors),
        cmocka_unit_test(faults_reach_every_stage),
        cmocka_unit_test(unknown_decoders_are_refused),
        cmocka_unit_test(keeps_the_best_candidates),
        cmocka_unit_test(input_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
