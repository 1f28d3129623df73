/* Decoders of other families against their formulas: one bright cell of the picture is a face, the
 * rest of each map is constant. */
#include "detect_priv.h"
#include "emit.h"
#include "nn/format.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIDE    8
#define IN      3
#define PER     (SIDE * SIDE * IN)
#define MAPS    3
#define CHANNEL 80
#define CELL_X  5
#define CELL_Y  2
#define DARK    (-20.0f)

typedef struct {
    const char *name;
    uint32_t channels;
    float bias[CHANNEL];
    bool bright[CHANNEL]; /* these are bias + 20 - 20 in the bright cell, bias - 20 elsewhere */
} map;

typedef struct {
    vl_model *model;
    vl_net *net;
    vl_detect *detect;
} chain;

static void add_map(emit *e, const map *m) {
    float *w = calloc(m->channels * PER, sizeof *w), bias[CHANNEL];
    assert_non_null(w);
    for (uint32_t c = 0; c < m->channels; c++) {
        bias[c] = m->bias[c] + (m->bright[c] ? DARK : 0);
        for (uint32_t i = 0; i < SIDE * SIDE && m->bright[c]; i++)
            w[c * PER + i * IN] = -DARK / (SIDE * SIDE);
    }
    emit_op op = {.type = VL_FMT_OP_CONV,
                  .name = m->name,
                  .n_in = 1,
                  .kh = SIDE,
                  .kw = SIDE,
                  .sh = SIDE,
                  .sw = SIDE,
                  .groups = 1,
                  .dilation = 1};
    op.out = emit_tensor(e, m->name, m->channels, VL_FMT_F32, 0, 0);
    op.weights = emit_blob(e, VL_FMT_F32, w, m->channels * PER);
    op.bias = emit_blob(e, VL_FMT_F32, bias, m->channels);
    emit_operator(e, &op);
    emit_output(e, m->name, op.out, SIDE);
    free(w);
}

static int make(chain *c, const char *decoder, const char *anchors, const char *class_index,
                const map *maps, size_t n) {
    emit *e = emit_create();
    assert_non_null(e);
    emit_meta(e, "decoder", decoder);
    if (anchors != NULL)
        emit_meta(e, "anchors", anchors);
    if (class_index != NULL)
        emit_meta(e, "interview_class", class_index);
    for (size_t i = 0; i < n; i++)
        add_map(e, &maps[i]);
    uint8_t *bytes = NULL;
    size_t size;
    assert_int_equal(emit_finish(e, &bytes, &size), 0);
    emit_destroy(e);
    memset(c, 0, sizeof *c);
    assert_int_equal(vl_model_parse(&c->model, bytes, size), VEIL_OK);
    free(bytes);
    assert_int_equal(vl_net_create(&c->net, c->model, NULL, 0, 0), VEIL_OK);
    assert_int_equal(vl_net_set_size(c->net, 96, 64), VEIL_OK);
    int err = vl_detect_create(&c->detect, c->model);
    return err != VEIL_OK ? err : vl_detect_check(c->detect, c->net);
}

static void drop(chain *c) {
    vl_detect_destroy(c->detect);
    vl_net_destroy(c->net);
    vl_model_destroy(c->model);
}

/* Runs on a picture that is black but for one red cell. */
static int run(chain *c, veil_detection *d, size_t cap, size_t *n) {
    uint8_t *in = vl_net_input(c->net);
    memset(in, 0, 96 * 64 * 4);
    for (int y = CELL_Y * SIDE; y < (CELL_Y + 1) * SIDE; y++)
        for (int x = CELL_X * SIDE; x < (CELL_X + 1) * SIDE; x++)
            in[(y * 96 + x) * 4] = 255;
    assert_int_equal(vl_net_run(c->net), VEIL_OK);
    return vl_detect_decode(c->detect, c->net, 0.3f, d, cap, n);
}

static float sig(float x) {
    return 1 / (1 + expf(-x));
}

static void expect_one(chain *c, float cx, float cy, float w, float h, float score,
                       float interview) {
    veil_detection d[8];
    size_t n;
    assert_int_equal(run(c, d, 8, &n), VEIL_OK);
    assert_int_equal(n, 1);
    const float got[] = {d[0].x + d[0].w / 2, d[0].y + d[0].h / 2, d[0].w, d[0].h,
                         d[0].score,          d[0].interview};
    const float want[] = {cx, cy, w, h, score, interview};
    for (int i = 0; i < 6; i++)
        if (!(fabsf(got[i] - want[i]) < 2e-3f * fmaxf(1, fabsf(want[i]))))
            fail_msg("value %d is %f, not %f", i, (double)got[i], (double)want[i]);
}

static void yolov5(void **state) {
    (void)state;
    map m = {.name = "p8", .channels = 2 * 7};
    const float second[7] = {0.4f, -0.3f, 0.2f, -0.5f, 2, 1.5f, -1};
    for (int i = 0; i < 7; i++) {
        m.bias[i] = i == 4 ? DARK : 0; /* the first anchor is never a face */
        m.bias[7 + i] = second[i];
    }
    m.bright[11] = true;
    chain c;
    assert_int_equal(make(&c, "yolov5", "10,13,30,20.5", "0", &m, 1), VEIL_OK);
    float w = 2 * sig(0.2f), h = 2 * sig(-0.5f), p = sig(1.5f), q = sig(-1);
    expect_one(&c, (2 * sig(0.4f) - 0.5f + CELL_X) * 8, (2 * sig(-0.3f) - 0.5f + CELL_Y) * 8,
               w * w * 30, h * h * 20.5f, sig(2) * p, p / (p + q));
    drop(&c);
    assert_int_equal(make(&c, "yolov5", NULL, NULL, &m, 1), VEIL_E_MODEL); /* no anchors */
    drop(&c);
    assert_int_equal(make(&c, "yolov5", "1,2,3,4,5,6", NULL, &m, 1),
                     VEIL_E_MODEL); /* three of 14 */
    drop(&c);
    assert_int_equal(make(&c, "yolov5", "10,x", NULL, &m, 1), VEIL_E_MODEL);
    drop(&c);
}

static void yolov5_face(void **state) {
    (void)state;
    map m = {.name = "p8", .channels = 16};
    m.bias[4] = 3;
    m.bias[15] = 1;
    m.bright[4] = true;
    chain c;
    assert_int_equal(make(&c, "yolov5-face", "12,16", NULL, &m, 1), VEIL_OK);
    expect_one(&c, (CELL_X + 0.5f) * 8, (CELL_Y + 0.5f) * 8, 12, 16, sig(3) * sig(1), 0);
    drop(&c);
}

static void yolov8(void **state) {
    (void)state;
    map m[2] = {{.name = "box8", .channels = 64}, {.name = "cls8", .channels = 2}};
    m[0].bias[1] = 40;      /* left: one cell */
    m[0].bias[16 + 2] = 40; /* top: two */
    m[0].bias[32 + 3] = 40; /* right: three */
    m[0].bias[48 + 4] = 40; /* bottom: between four and five */
    m[0].bias[48 + 5] = 40;
    m[1].bias[0] = -1;
    m[1].bias[1] = 2;
    m[1].bright[0] = m[1].bright[1] = true;
    chain c;
    assert_int_equal(make(&c, "yolov8", NULL, "1", m, 2), VEIL_OK);
    expect_one(&c, (CELL_X + 0.5f + 1) * 8, (CELL_Y + 0.5f + 1.25f) * 8, 32, 52, sig(2),
               sig(2) / (sig(2) + sig(-1)));
    drop(&c);
    m[1].name = "score8";
    assert_int_equal(make(&c, "yolov8", NULL, NULL, m, 2), VEIL_E_MODEL); /* a map is missing */
    drop(&c);
}

static void scrfd(void **state) {
    (void)state;
    map m[2] = {{.name = "score8", .channels = 2}, {.name = "box8", .channels = 8}};
    m[0].bias[0] = DARK;
    m[0].bias[1] = 1.5f;
    m[0].bright[1] = true;
    for (int i = 0; i < 4; i++)
        m[1].bias[4 + i] = 1 + (float)i * 0.5f;
    chain c;
    assert_int_equal(make(&c, "scrfd", NULL, NULL, m, 2), VEIL_OK);
    expect_one(&c, (CELL_X + 0.5f) * 8, (CELL_Y + 0.5f) * 8, 24, 32, sig(1.5f), 0);
    drop(&c);
}

static void yunet(void **state) {
    (void)state;
    map m[3] = {{.name = "cls8", .channels = 1},
                {.name = "obj8", .channels = 1},
                {.name = "box8", .channels = 4, .bias = {0.3f, 0.6f, 0.5f, 1}}};
    m[0].bias[0] = 2;
    m[0].bright[0] = true;
    m[1].bias[0] = 0.5f;
    chain c;
    assert_int_equal(make(&c, "yunet", NULL, NULL, m, 3), VEIL_OK);
    expect_one(&c, (CELL_X + 0.3f) * 8, (CELL_Y + 0.6f) * 8, 8 * expf(0.5f), 8 * expf(1),
               sqrtf(sig(2) * sig(0.5f)), 0);
    drop(&c);
}

static void ultraface(void **state) {
    (void)state;
    map m[2] = {{.name = "score8", .channels = 4}, {.name = "box8", .channels = 8}};
    m[0].bias[0] = 30; /* the first anchor is background */
    m[0].bias[3] = 2;
    m[0].bright[3] = true;
    m[1].bias[4] = 1;
    m[1].bias[5] = -2;
    m[1].bias[6] = 0.5f;
    m[1].bias[7] = 1;
    chain c;
    assert_int_equal(make(&c, "ultraface", "10,10,20,24", NULL, m, 2), VEIL_OK);
    expect_one(&c, (CELL_X + 0.5f) * 8 + 2, (CELL_Y + 0.5f) * 8 - 4.8f, 20 * expf(0.1f),
               24 * expf(0.2f), sig(2), 0);
    drop(&c);
}

/* In every family: a score that is no number is an error, not an empty picture. */
static void no_number_is_an_error(void **state) {
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY, 1e20f, -1e20f};
    static const struct {
        const char *decoder, *anchors, *names[3];
        uint32_t channels[3], which, channel;
    } cases[] = {
        {"veil", NULL, {"p8"}, {6}, 0, 4},
        {"yolov5", "10,13", {"p8"}, {6}, 0, 4},
        {"yolov5-face", "10,13", {"p8"}, {16}, 0, 4},
        {"yolov8", NULL, {"box8", "cls8"}, {64, 1}, 1, 0},
        {"scrfd", NULL, {"score8", "box8"}, {1, 4}, 0, 0},
        {"yunet", NULL, {"cls8", "obj8", "box8"}, {1, 1, 4}, 0, 0},
        {"yunet", NULL, {"cls8", "obj8", "box8"}, {1, 1, 4}, 1, 0},
        {"ultraface", "10,13", {"score8", "box8"}, {2, 4}, 0, 1},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        for (size_t b = 0; b < sizeof bad / sizeof bad[0]; b++) {
            map m[MAPS] = {{0}};
            size_t n = 0;
            for (; n < MAPS && cases[k].names[n] != NULL; n++) {
                m[n].name = cases[k].names[n];
                m[n].channels = cases[k].channels[n];
            }
            chain c;
            assert_int_equal(make(&c, cases[k].decoder, cases[k].anchors, NULL, m, n), VEIL_OK);
            assert_int_equal(vl_net_run(c.net), VEIL_OK);
            veil_tensor t;
            assert_int_equal(vl_net_output(c.net, cases[k].which, &t), VEIL_OK);
            /* The parser lets no such weight through: written into the finished map. */
            union {
                const void *in;
                float *out;
            } data = {.in = t.data};
            ptrdiff_t at = 3 * t.row_stride + 4 * t.pixel_stride + (ptrdiff_t)cases[k].channel;
            data.out[at] = bad[b];
            veil_detection d[4];
            size_t found;
            int err = vl_detect_decode(c.detect, c.net, 0.6f, d, 4, &found);
            if (err != VEIL_E_INTERNAL || found != 0)
                fail_msg("%s, value %zu: %d", cases[k].decoder, b, err);
            drop(&c);
        }
    }
}

static void anchors_text(void **state) {
    (void)state;
    vl_decode_params p = {.n_levels = 0};
    assert_true(vl_decode_anchors_read(&p, "10,13,16,30.25;5,6"));
    assert_int_equal(p.n_levels, 2);
    assert_int_equal(p.n_anchors[0], 2);
    assert_int_equal(p.n_anchors[1], 1);
    assert_true(fabsf(p.anchor[0][1][1] - 30.25f) < 1e-4f && p.anchor[1][0][0] == 5);
    const char *const bad[] = {"",
                               "10",
                               "10,",
                               "10,13,",
                               "10,13;;5,6",
                               ";",
                               "-1,2",
                               "1e5,2",
                               "nan,2",
                               "0,2",
                               "1234567,2",
                               "10,13 ",
                               "1,2;1,2;1,2;1,2;1,2;1,2;1,2;1,2;1,2",
                               "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (vl_decode_anchors_read(&p, bad[i]))
            fail_msg("'%s' was taken", bad[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yolov5),
        cmocka_unit_test(yolov5_face),
        cmocka_unit_test(yolov8),
        cmocka_unit_test(scrfd),
        cmocka_unit_test(yunet),
        cmocka_unit_test(ultraface),
        cmocka_unit_test(no_number_is_an_error),
        cmocka_unit_test(anchors_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
