/* Explanations of a network whose reasons are known: green makes a face, red within two cells of it
 * makes it interview, blue makes it background. Every method must point there, whichever way up. */
#include "emit.h"
#include "nn/format.h"
#include "veil.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define W    96
#define H    64
#define CELL 8 /* px */

enum { RED, GREEN, BLUE };

static uint8_t *net_bytes(const char *decoder, bool trunk, size_t *size) {
    emit *e = emit_create();
    float mean[4 * CELL * CELL * 3] = {0}, same[16] = {0}, head[6 * 5 * 5 * 4] = {0};
    float bias[6] = {0, 0, 0.7f, 0.7f, -4.0f, 0.0f};
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < CELL * CELL; i++)
            mean[(c * CELL * CELL + i) * 3 + c] = 1.0f / (CELL * CELL);
    for (int c = 0; c < 4; c++)
        same[c * 5] = 1.0f;
    for (int t = 0; t < 25; t++) {
        head[(5 * 25 + t) * 4 + RED] = 3.0f;
        head[(5 * 25 + t) * 4 + BLUE] = -3.0f;
    }
    head[(4 * 25 + 12) * 4 + GREEN] = 9.0f;
    emit_meta(e, "decoder", decoder);
    uint32_t colours = emit_tensor(e, "colours", 4, VL_FMT_F32, 0.0f, 0);
    uint32_t body = emit_tensor(e, "body", 4, VL_FMT_F32, 0.0f, 0);
    uint32_t out = emit_tensor(e, "out", 6, VL_FMT_F32, 0.0f, 0);
    emit_op op = {.type = VL_FMT_OP_CONV, .name = "colours", .n_in = 1, .out = colours};
    op.kh = op.kw = op.sh = op.sw = CELL;
    op.act = VL_FMT_ACT_RELU;
    op.weights = emit_blob(e, VL_FMT_F32, mean, sizeof mean / 4);
    emit_operator(e, &op);
    op =
        (emit_op){.type = VL_FMT_OP_CONV, .name = "body", .n_in = 1, .out = body, .kh = 1, .kw = 1};
    op.in[0] = colours;
    op.act = VL_FMT_ACT_SILU;
    op.weights = emit_blob(e, VL_FMT_F32, same, 16);
    emit_operator(e, &op);
    op = (emit_op){.type = VL_FMT_OP_CONV, .name = "head", .n_in = 1, .out = out, .kh = 5, .kw = 5};
    op.in[0] = body;
    op.pad_top = op.pad_left = op.pad_bottom = op.pad_right = 2;
    op.weights = emit_blob(e, VL_FMT_F32, head, sizeof head / 4);
    op.bias = emit_blob(e, VL_FMT_F32, bias, 6);
    emit_operator(e, &op);
    emit_output(e, "out", trunk ? out : colours, CELL);
    uint8_t *bytes = NULL;
    assert_int_equal(emit_finish(e, &bytes, size), VEIL_OK);
    emit_destroy(e);
    return bytes;
}

typedef struct {
    veil_explainer *explainer;
    uint8_t pixels[W * H * 3];
    veil_frame frame;
} scene;

static void paint(scene *s, int cell_x, int cell_y, int channel) {
    for (int y = cell_y * CELL; y < (cell_y + 1) * CELL; y++)
        for (int x = cell_x * CELL; x < (cell_x + 1) * CELL; x++)
            s->pixels[(y * W + x) * 3 + channel] = 255;
}

/* A face at cell (5,4), red at (6,3), blue at (4,5); red that is too far away at (10,1). */
static void open_scene(scene *s, int32_t randomise) {
    size_t size;
    uint8_t *bytes = net_bytes("veil", true, &size);
    veil_explainer_options o;
    memset(s, 0, sizeof *s);
    veil_explainer_options_init(&o, sizeof o);
    o.model = bytes;
    o.model_size = size;
    o.threads = 1;
    o.input_width = W;
    o.input_height = H;
    o.randomise = randomise;
    assert_int_equal(veil_explainer_create(&s->explainer, &o), VEIL_OK);
    free(bytes);
    paint(s, 5, 4, GREEN);
    paint(s, 6, 3, RED);
    paint(s, 4, 5, BLUE);
    paint(s, 10, 1, RED);
    s->frame = (veil_frame){.plane = {s->pixels},
                            .stride = {3 * W},
                            .width = W,
                            .height = H,
                            .format = VEIL_FORMAT_RGB24};
}

/* Cell of the largest value, x + 100 * y, of a map with a place a cell. */
static int peak_of(const float *map, int32_t w, int32_t h) {
    int best = 0;
    for (int i = 0; i < w * h; i++) {
        assert_true(map[i] >= 0.0f && map[i] <= 1.0f + 1e-6f);
        if (map[i] > map[best])
            best = i;
    }
    return best % w + 100 * (best / w);
}

static veil_explain_options ask(veil_class target, veil_method method, float *map) {
    return (veil_explain_options){.struct_size = sizeof(veil_explain_options),
                                  .target = target,
                                  .method = method,
                                  .patch = CELL,
                                  .map = map,
                                  .map_width = W / CELL,
                                  .map_height = H / CELL};
}

static void points_at_the_reason(void **state) {
    (void)state;
    static const veil_method methods[] = {VEIL_METHOD_AUTO, VEIL_METHOD_HIRESCAM,
                                          VEIL_METHOD_GRADCAM, VEIL_METHOD_GRADCAMPP,
                                          VEIL_METHOD_OCCLUSION};
    scene s;
    float map[(W / CELL) * (H / CELL)];
    open_scene(&s, 0);
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        bool local = methods[i] != VEIL_METHOD_GRADCAM && methods[i] != VEIL_METHOD_GRADCAMPP;
        veil_explanation x;
        veil_explain_options o = ask(VEIL_CLASS_INTERVIEW, methods[i], map);
        assert_int_equal(veil_explain(s.explainer, &s.frame, &o, &x), VEIL_OK);
        assert_int_equal(x.cell_x, 5);
        assert_int_equal(x.cell_y, 4);
        assert_true(x.score > 0.9f && fabsf(x.interview - 0.5f) < 0.01f);
        assert_true(fabsf(x.x + x.w / 2 - 5.5f * CELL) < 0.01f);
        assert_true(x.peak > 0.0f);
        assert_string_equal(x.layer, methods[i] == VEIL_METHOD_OCCLUSION ? "" : "body");
        if (local) { /* Grad-CAM cannot know which red it was */
            int peak = peak_of(map, W / CELL, H / CELL);
            if (methods[i] == VEIL_METHOD_OCCLUSION) /* masks lie half a cell apart */
                assert_true(peak == 306 || peak == 305 || peak == 206 || peak == 205);
            else
                assert_int_equal(peak, 306);
        }
        assert_true(map[3 * (W / CELL) + 6] > 0.4f);
        assert_true(map[5 * (W / CELL) + 4] < 0.1f);
        assert_true(local == (map[1 * (W / CELL) + 10] < 0.1f));
        o.target = VEIL_CLASS_BACKGROUND;
        assert_int_equal(veil_explain(s.explainer, NULL, &o, &x), VEIL_OK);
        assert_true(map[5 * (W / CELL) + 4] > 0.4f);
        assert_true(map[3 * (W / CELL) + 6] < 0.1f);
        o.target = VEIL_CLASS_FACE;
        assert_int_equal(veil_explain(s.explainer, NULL, &o, &x), VEIL_OK);
        assert_true(map[4 * (W / CELL) + 5] > 0.4f);
        assert_true(fabsf(x.logit - (9.0f / (1.0f + expf(-1.0f)) - 4.0f)) < 0.01f);
    }
    veil_explain_options o = ask(VEIL_CLASS_INTERVIEW, VEIL_METHOD_EIGENCAM, map);
    veil_explanation x;
    assert_int_equal(veil_explain(s.explainer, NULL, &o, &x), VEIL_OK);
    assert_int_equal(peak_of(map, W / CELL, H / CELL) == 306 || map[1 * 12 + 10] > 0.99f, 1);
    veil_explainer_destroy(s.explainer);
}

/* The same scene stored turned: boxes and maps are those of the frame as given. */
static void turned_frames(void **state) {
    (void)state;
    scene s;
    static uint8_t turned[W * H * 3];
    float map[(W / CELL) * (H / CELL)];
    open_scene(&s, 0);
    for (int y = 0; y < H; y++) /* turning it by 90 degrees clockwise makes it upright */
        for (int x = 0; x < W; x++)
            memcpy(&turned[((W - 1 - x) * H + y) * 3], &s.pixels[(y * W + x) * 3], 3);
    s.frame.plane[0] = turned;
    s.frame.width = H;
    s.frame.height = W;
    s.frame.stride[0] = 3 * H;
    s.frame.rotation = 90;
    veil_explain_options o = ask(VEIL_CLASS_INTERVIEW, VEIL_METHOD_AUTO, map);
    o.map_width = H / CELL;
    o.map_height = W / CELL;
    veil_explanation x;
    assert_int_equal(veil_explain(s.explainer, &s.frame, &o, &x), VEIL_OK);
    assert_int_equal(peak_of(map, H / CELL, W / CELL), 3 + 100 * (W / CELL - 1 - 6));
    assert_true(fabsf(x.x + x.w / 2 - 4.5f * CELL) < 0.01f);
    assert_true(fabsf(x.y + x.h / 2 - (W - 5.5f * CELL)) < 0.01f);
    veil_explainer_destroy(s.explainer);
}

static void chooses_the_face(void **state) {
    (void)state;
    scene s;
    float map[(W / CELL) * (H / CELL)];
    open_scene(&s, 0);
    paint(&s, 1, 1, GREEN);
    veil_explain_options o = ask(VEIL_CLASS_INTERVIEW, VEIL_METHOD_AUTO, map);
    veil_explanation x, first;
    o.x = o.y = CELL;
    o.w = o.h = 2 * CELL;
    assert_int_equal(veil_explain(s.explainer, &s.frame, &o, &x), VEIL_OK);
    assert_int_equal(x.cell_x, 1);
    assert_true(x.peak < 1e-6f); /* nothing speaks for it, and nothing is made up */
    for (int i = 0; i < (W / CELL) * (H / CELL); i++)
        assert_true(map[i] < 1e-6f);
    first = x;
    o.x = 8 * CELL;
    assert_int_equal(veil_explain(s.explainer, NULL, &o, &x), VEIL_E_NOT_FOUND);
    o.cell = &first;
    assert_int_equal(veil_explain(s.explainer, NULL, &o, &x), VEIL_OK);
    assert_int_equal(x.cell_x, 1);
    veil_explainer_destroy(s.explainer);
}

/* Random weights, from the end: the map of the same cell is another one. */
static void depends_on_the_weights(void **state) {
    (void)state;
    scene s, r;
    float map[(W / CELL) * (H / CELL)], other[(W / CELL) * (H / CELL)];
    open_scene(&s, 0);
    veil_explain_options o = ask(VEIL_CLASS_INTERVIEW, VEIL_METHOD_AUTO, map);
    veil_explanation x, y;
    assert_int_equal(veil_explain(s.explainer, &s.frame, &o, &x), VEIL_OK);
    open_scene(&r, 2);
    o.map = other;
    o.cell = &x;
    assert_int_equal(veil_explain(r.explainer, &r.frame, &o, &y), VEIL_OK);
    float difference = 0.0f;
    for (int i = 0; i < (W / CELL) * (H / CELL); i++)
        difference = fmaxf(difference, fabsf(map[i] - other[i]));
    assert_true(difference > 0.2f);
    veil_explainer_destroy(s.explainer);
    veil_explainer_destroy(r.explainer);
}

static void refuses_nonsense(void **state) {
    (void)state;
    scene s;
    float map[4];
    veil_explanation x;
    veil_explainer *e;
    size_t size;
    open_scene(&s, 0);
    assert_int_equal(veil_explain(s.explainer, NULL, NULL, &x), VEIL_E_STATE);
    assert_int_equal(veil_explain(s.explainer, &s.frame, NULL, NULL), VEIL_E_ARG);
    veil_explain_options good = ask(VEIL_CLASS_FACE, VEIL_METHOD_AUTO, NULL), o = good;
    o.layer = "no such layer";
    assert_int_equal(veil_explain(s.explainer, &s.frame, &o, &x), VEIL_E_NOT_FOUND);
    o = good;
    o.method = (veil_method)77;
    assert_int_equal(veil_explain(s.explainer, &s.frame, &o, &x), VEIL_E_ARG);
    o = good;
    o.map = map;
    o.map_width = 0;
    assert_int_equal(veil_explain(s.explainer, &s.frame, &o, &x), VEIL_E_ARG);
    o = good;
    o.w = NAN;
    assert_int_equal(veil_explain(s.explainer, &s.frame, &o, &x), VEIL_E_ARG);
    o = good;
    x = (veil_explanation){.output = 1};
    o.cell = &x;
    assert_int_equal(veil_explain(s.explainer, &s.frame, &o, &x), VEIL_E_NOT_FOUND);
    assert_int_equal(veil_explain(s.explainer, &s.frame, &good, &x), VEIL_OK); /* still alive */
    veil_explainer_destroy(s.explainer);
    veil_explainer_options eo = {.struct_size = sizeof eo};
    uint8_t *bytes = net_bytes("yolov8", true, &size);
    eo.model = bytes;
    eo.model_size = size;
    assert_int_equal(veil_explainer_create(&e, &eo), VEIL_E_UNSUPPORTED);
    assert_null(e);
    free(bytes);
    eo.model = "x";
    eo.model_size = 1;
    assert_int_equal(veil_explainer_create(&e, &eo), VEIL_E_MODEL);
    bytes = net_bytes("veil", false, &size); /* the output has four channels */
    eo.model = bytes;
    eo.model_size = size;
    assert_int_equal(veil_explainer_create(&e, &eo), VEIL_OK);
    assert_int_equal(veil_explain(e, &s.frame, NULL, &x), VEIL_E_UNSUPPORTED);
    assert_int_equal(veil_explain(e, &s.frame, NULL, &x), VEIL_E_UNSUPPORTED);
    veil_explainer_destroy(e);
    free(bytes);
    veil_explainer_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_at_the_reason), cmocka_unit_test(turned_frames),
        cmocka_unit_test(chooses_the_face), cmocka_unit_test(depends_on_the_weights),
        cmocka_unit_test(refuses_nonsense)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
