/* Graphs with the tails of public detectors, random weights: the cut must find the raw maps, name
 * them for the decoder, and compute what the ONNX convolutions do from the picture each wants. */
#include "check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CELLS(stride) ((CHECK_HEIGHT / (stride)) * (CHECK_WIDTH / (stride)))

static float planes[3 * CHECK_HEIGHT * CHECK_WIDTH];

/* What the network was trained on, from RGB 0..1. */
static void prepare(float mean, float std, int bgr) {
    static uint8_t bytes[4 * CHECK_HEIGHT * CHECK_WIDTH];
    const size_t area = CHECK_HEIGHT * CHECK_WIDTH;
    static float rgb[3 * CHECK_HEIGHT * CHECK_WIDTH];
    check_picture(bytes, rgb);
    for (size_t k = 0; k < 3 * area; k++) {
        size_t from = bgr ? (2 - k / area) * area + k % area : k;
        planes[k] = (rgb[from] * 255.0f - mean) / std;
    }
}

/* Feature maps b8, b16, b32 of eight channels. */
static void begin(om *o, mb *m) {
    mb_init(m, NULL);
    om_begin(o, m, 12, 3, CHECK_HEIGHT, CHECK_WIDTH);
    om_conv(o, "x", "s", 3, 8, 3, 4, 1);
    om_node(o, "Relu", "s", "sr");
    om_conv(o, "sr", "b8", 8, 8, 3, 2, 1);
    om_conv(o, "b8", "b16", 8, 8, 3, 2, 1);
    om_conv(o, "b16", "b32", 8, 8, 3, 2, 1);
}

/* name with the stride behind it, in a buffer that lives as long as the mb. */
static char *at(om *o, const char *name, int stride) {
    char *p = mb_alloc(o->m, strlen(name) + 8, 1);
    assert_non_null(p);
    sprintf(p, "%s%d", name, stride);
    return p;
}

/* Node with %d in its names replaced by the stride. */
static Onnx__NodeProto *node(om *o, const char *op, const char *in, const char *out, int stride) {
    char text[2][200];
    const char *from[2] = {in, out};
    for (int k = 0; k < 2; k++) {
        size_t n = 0;
        for (const char *p = from[k]; *p; p++)
            n += (size_t)(*p == '%' ? sprintf(text[k] + n, "%d", stride)
                                    : sprintf(text[k] + n, "%c", *p));
        text[k][n] = '\0';
    }
    return om_node(o, op, text[0], text[1]);
}

static void head(om *o, const char *name, int stride, int64_t channels) {
    om_conv(o, at(o, "b", stride), at(o, name, stride), 8, channels, 1, 1, 1);
}

/* channels last, then (1, cells * anchors, per): name% -> name%r. */
static void flatten(om *o, const char *name, int stride, int64_t per) {
    char in[40], mid[40], out[96], shape[40];
    snprintf(in, sizeof(in), "%s%d", name, stride);
    snprintf(mid, sizeof(mid), "%s%dt", name, stride);
    snprintf(shape, sizeof(shape), "%s%dsh", name, stride);
    OM_INTS(o, om_node(o, "Transpose", in, mid), "perm", 0, 2, 3, 1);
    OM_WHOLE(o, shape, 1, -1, per);
    snprintf(out, sizeof(out), "%s %s", mid, shape);
    snprintf(in, sizeof(in), "%s%dr", name, stride);
    om_node(o, "Reshape", out, in);
}

static void test_yolov5(void **state) {
    (void)state;
    mb m;
    om o;
    begin(&o, &m);
    prepare(0, 255, 0);
    om_scalar(&o, "two", 2);
    OM_WHOLE(&o, "flat", 1, -1, 6);
    for (int s = 8; s <= 32; s *= 2) {
        head(&o, "h", s, 18);
        OM_WHOLE(&o, at(&o, "shape", s), 1, 3, 6, CHECK_HEIGHT / s, CHECK_WIDTH / s);
        OM_RANDOM(&o, at(&o, "grid", s), 0, 9, 1, 3, CHECK_HEIGHT / s, CHECK_WIDTH / s, 2);
        OM_RANDOM(&o, at(&o, "anchors", s), 9, 99, 1, 3, 1, 1, 2);
        om_scalar(&o, at(&o, "stride", s), (float)s);
        node(&o, "Reshape", "h% shape%", "r%", s);
        OM_INTS(&o, node(&o, "Transpose", "r%", "t%", s), "perm", 0, 1, 3, 4, 2);
        node(&o, "Sigmoid", "t%", "g%", s);
        Onnx__NodeProto *n = node(&o, "Split", "g%", "xy% wh% conf%", s);
        om_int(&o, n, "axis", 4);
        OM_INTS(&o, n, "split", 2, 2, 2);
        node(&o, "Mul", "xy% two", "xya%", s);
        node(&o, "Add", "xya% grid%", "xyb%", s);
        node(&o, "Mul", "xyb% stride%", "xyc%", s);
        node(&o, "Mul", "wh% two", "wha%", s);
        node(&o, "Pow", "wha% two", "whb%", s);
        node(&o, "Mul", "whb% anchors%", "whc%", s);
        om_int(&o, node(&o, "Concat", "xyc% whc% conf%", "k%", s), "axis", 4);
        node(&o, "Reshape", "k% flat", "f%", s);
    }
    om_int(&o, om_node(&o, "Concat", "f8 f16 f32", "output"), "axis", 1);
    om_output(&o, "output");
    const char *anchors = check_maps(&o, "yolov5", planes, 3, (const char *[]){"p8", "p16", "p32"},
                                     (const char *[]){"h8", "h16", "h32"}, "anchors");
    assert_string_equal(anchors, "10,13,16,30,33,23;30,61,62,45,59,119;116,90,156,198,373,326");
    mb_done(&m);
}

static void test_yolov8(void **state) {
    (void)state;
    mb m;
    om o;
    begin(&o, &m);
    prepare(0, 255, 0);
    const int64_t cells = CELLS(8) + CELLS(16) + CELLS(32);
    for (int s = 8; s <= 32; s *= 2) {
        head(&o, "d", s, 64);
        head(&o, "c", s, 1);
        OM_WHOLE(&o, at(&o, "shape", s), 1, 65, -1);
        om_int(&o, node(&o, "Concat", "d% c%", "k%", s), "axis", 1);
        node(&o, "Reshape", "k% shape%", "r%", s);
    }
    om_int(&o, om_node(&o, "Concat", "r8 r16 r32", "all"), "axis", 2);
    Onnx__NodeProto *n = om_node(&o, "Split", "all", "box cls");
    om_int(&o, n, "axis", 1);
    OM_INTS(&o, n, "split", 64, 1);
    OM_WHOLE(&o, "four", 1, 4, 16, cells);
    OM_WHOLE(&o, "three", 1, 4, cells);
    om_node(&o, "Reshape", "box four", "bins");
    OM_INTS(&o, om_node(&o, "Transpose", "bins", "turned"), "perm", 0, 2, 1, 3);
    om_int(&o, om_node(&o, "Softmax", "turned", "soft"), "axis", 1);
    OM_RANDOM(&o, "arange", 0, 15, 1, 16, 1, 1);
    om_node(&o, "Conv", "soft arange", "mean");
    om_node(&o, "Reshape", "mean three", "sides");
    OM_RANDOM(&o, "centres", 0, 9, 1, 4, cells);
    om_node(&o, "Add", "sides centres", "corners");
    om_node(&o, "Sigmoid", "cls", "p");
    om_int(&o, om_node(&o, "Concat", "corners p", "output0"), "axis", 1);
    om_output(&o, "output0");
    check_maps(&o, "yolov8", planes, 6,
               (const char *[]){"box8", "cls8", "box16", "cls16", "box32", "cls32"},
               (const char *[]){"d8", "c8", "d16", "c16", "d32", "c32"}, "name");
    mb_done(&m);
}

static void test_scrfd(void **state) {
    (void)state;
    mb m;
    om o;
    begin(&o, &m);
    prepare(127.5f, 128, 0);
    for (int s = 8; s <= 32; s *= 2) {
        head(&o, "a", s, 2);
        head(&o, "d", s, 8);
        head(&o, "k", s, 20);
        om_scalar(&o, at(&o, "factor", s), 0.5f + (float)s / 20);
        node(&o, "Mul", "d% factor%", "e%", s);
        flatten(&o, "a", s, 1);
        flatten(&o, "e", s, 4);
        flatten(&o, "k", s, 10);
        node(&o, "Sigmoid", "a%r", "score_%", s);
    }
    for (int s = 8; s <= 32; s *= 2)
        om_output(&o, at(&o, "score_", s));
    static const char *const rest[] = {"e8r", "e16r", "e32r", "k8r", "k16r", "k32r"};
    for (size_t i = 0; i < 6; i++)
        om_output(&o, rest[i]);
    check_maps(&o, "scrfd", planes, 9,
               (const char *[]){"box8", "kps8", "score8", "box16", "kps16", "score16", "box32",
                                "kps32", "score32"},
               (const char *[]){"e8", "k8", "a8", "e16", "k16", "a16", "e32", "k32", "a32"},
               "name");
    mb_done(&m);
}

static void test_yunet(void **state) {
    (void)state;
    mb m;
    om o;
    begin(&o, &m);
    prepare(0, 1, 1);
    static const char *const parts[] = {"cls_", "obj_", "bbox_", "kps_"};
    static const int64_t channels[] = {1, 1, 4, 10};
    for (size_t k = 0; k < 4; k++)
        for (int s = 8; s <= 32; s *= 2) {
            head(&o, parts[k], s, channels[k]);
            flatten(&o, parts[k], s, channels[k]);
            char in[40], out[40];
            snprintf(in, sizeof(in), "%s%dr", parts[k], s);
            snprintf(out, sizeof(out), "%s%do", parts[k], s);
            om_node(&o, k < 2 ? "Sigmoid" : "Identity", in, out);
            om_output(&o, out);
        }
    check_maps(&o, "yunet", planes, 12,
               (const char *[]){"box8", "cls8", "kps8", "obj8", "box16", "cls16", "kps16", "obj16",
                                "box32", "cls32", "kps32", "obj32"},
               (const char *[]){"bbox_8", "cls_8", "kps_8", "obj_8", "bbox_16", "cls_16", "kps_16",
                                "obj_16", "bbox_32", "cls_32", "kps_32", "obj_32"},
               "name");
    mb_done(&m);
}

static void test_ultraface(void **state) {
    (void)state;
    mb m;
    om o;
    begin(&o, &m);
    prepare(127, 128, 0);
    for (int s = 8; s <= 32; s *= 2) {
        head(&o, "c", s, s == 16 ? 4 : 6);
        head(&o, "d", s, s == 16 ? 8 : 12);
        flatten(&o, "c", s, 2);
        flatten(&o, "d", s, 4);
    }
    om_int(&o, om_node(&o, "Concat", "c8r c16r c32r", "c"), "axis", 1);
    om_int(&o, om_node(&o, "Concat", "d8r d16r d32r", "d"), "axis", 1);
    om_int(&o, om_node(&o, "Softmax", "c", "scores"), "axis", 2);
    om_node(&o, "Exp", "d", "boxes");
    om_output(&o, "scores");
    om_output(&o, "boxes");
    check_maps(&o, "ultraface", planes, 6,
               (const char *[]){"box8", "score8", "box16", "score16", "box32", "score32"},
               (const char *[]){"d8", "c8", "d16", "c16", "d32", "c32"}, "anchors");
    mb_done(&m);
}

/* The sigmoid before the tail is the decoder's; the wrong decoder is refused. */
static void test_sigmoid_and_wrong(void **state) {
    (void)state;
    mb m;
    om o;
    begin(&o, &m);
    prepare(0, 255, 0);
    for (int s = 8; s <= 32; s *= 2) {
        head(&o, "h", s, 18);
        node(&o, "Sigmoid", "h%", "p%", s);
        om_output(&o, at(&o, "p", s));
    }
    check_maps(&o, "yolov5-face", planes, 3, (const char *[]){"p8", "p16", "p32"},
               (const char *[]){"h8", "h16", "h32"}, "name");
    size_t size;
    uint8_t *bytes = om_end(&o, &size);
    m.error[0] = '\0';
    const char *error = check_error(&m, bytes, size, "yolov8");
    assert_non_null(strstr(error, "yolov8"));
    mb_done(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yolov5),    cmocka_unit_test(test_yolov8),
        cmocka_unit_test(test_scrfd),     cmocka_unit_test(test_yunet),
        cmocka_unit_test(test_ultraface), cmocka_unit_test(test_sigmoid_and_wrong)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
