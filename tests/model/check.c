/* See check.h. */
#include "check.h"

#include "build.h"
#include "engine.h"
#include "plain.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Edges and noise. */
void check_picture(uint8_t *in, float *planes) {
    const int32_t h = CHECK_HEIGHT, w = CHECK_WIDTH;
    uint32_t v = 7;
    for (int32_t i = 0; i < h * w; i++)
        for (int32_t c = 0; c < 3; c++) {
            v = v * 1664525u + 1013904223u;
            int32_t slope = (i % w * 3 + i / w * 5 + c * 40) % 256;
            uint8_t b = (uint8_t)(v >> 31 ? (uint32_t)slope : v >> 24);
            in[4 * i + c] = b;
            planes[c * h * w + i] = (float)b / 255.0f;
        }
}

static void compare(const veil_tensor *t, const plain *want, double tolerance) {
    double top = 1e-6;
    assert_int_equal(want->rank, 4);
    assert_int_equal(want->d[1], t->channels);
    assert_int_equal(want->d[2], t->height);
    assert_int_equal(want->d[3], t->width);
    float pixel[512];
    size_t area = (size_t)t->height * (size_t)t->width;
    for (size_t k = 0; k < area * (size_t)t->channels; k++)
        top = fmax(top, (double)fabsf(want->v[k]));
    for (size_t i = 0; i < area; i++) {
        en_pixel(t, (int32_t)(i / (size_t)t->width), (int32_t)(i % (size_t)t->width), pixel);
        for (size_t c = 0; c < (size_t)t->channels; c++) {
            double e = fabs((double)want->v[c * area + i] - (double)pixel[c]);
            if (!(e <= tolerance * top))
                fail_msg("output %s, channel %zu, cell %zu: %g instead of %g", t->name, c, i,
                         (double)pixel[c], (double)want->v[c * area + i]);
        }
    }
}

size_t check_same(om *o, double tolerance) {
    bd_options options = {.precision = WR_FP32};
    bd_network *net = mb_alloc(o->m, 1, sizeof(*net));
    bd_result result = {0};
    size_t size;
    uint8_t *bytes = om_end(o, &size);
    assert_non_null(net);
    if (bd_import(o->m, net, bytes, size, &options) < 0 ||
        bd_build(o->m, net, &options, &result) < 0)
        fail_msg("%s", o->m->error);
    veil_net *run =
        en_open(o->m, "test", result.model, result.model_size, CHECK_WIDTH, CHECK_HEIGHT, false);
    if (!run)
        fail_msg("%s", o->m->error);
    float *planes = mb_alloc(o->m, 3 * CHECK_HEIGHT * CHECK_WIDTH, sizeof(float));
    assert_non_null(planes);
    check_picture(veil_net_input(run), planes);
    assert_int_equal(en_run(o->m, run), 0);
    for (size_t i = 0; i < o->model->graph->n_output; i++) {
        const char *name = o->model->graph->output[i]->name;
        plain want = plain_run(o->model, planes, name);
        veil_tensor t;
        assert_true(en_output(run, name, &t));
        compare(&t, &want, tolerance);
    }
    veil_net_destroy(run);
    free(result.model);
    return net->graph.n_op;
}

const char *check_maps(om *o, const char *decoder, const float *planes, size_t n,
                       const char *const *name, const char *const *map, const char *key) {
    static uint8_t in[4 * CHECK_HEIGHT * CHECK_WIDTH];
    static float unused[3 * CHECK_HEIGHT * CHECK_WIDTH];
    bd_options options = {.precision = WR_FP32, .decoder = decoder};
    bd_network *net = mb_alloc(o->m, 1, sizeof(*net));
    bd_result result = {0};
    size_t size;
    uint8_t *bytes = om_end(o, &size);
    assert_non_null(net);
    if (bd_import(o->m, net, bytes, size, &options) < 0 ||
        bd_build(o->m, net, &options, &result) < 0)
        fail_msg("%s", o->m->error);
    veil_net *run =
        en_open(o->m, "test", result.model, result.model_size, CHECK_WIDTH, CHECK_HEIGHT, false);
    if (!run)
        fail_msg("%s", o->m->error);
    check_picture(in, unused);
    memcpy(veil_net_input(run), in, sizeof(in));
    assert_int_equal(en_run(o->m, run), 0);
    assert_int_equal(veil_net_outputs(run), n);
    for (size_t k = 0; k < n; k++) {
        veil_tensor t;
        assert_int_equal(veil_net_output(run, k, &t), VEIL_OK);
        assert_string_equal(t.name, name[k]);
        assert_int_equal(t.stride * t.width, CHECK_WIDTH);
        plain want = plain_run(o->model, planes, map[k]);
        compare(&t, &want, 2e-5);
    }
    const char *text = veil_net_meta(run, key);
    text = text ? mb_copy(o->m, text) : NULL;
    assert_string_equal(veil_net_meta(run, "decoder"), decoder);
    veil_net_destroy(run);
    free(result.model);
    return text;
}

const char *check_error(mb *m, const uint8_t *bytes, size_t size, const char *decoder) {
    bd_options options = {.precision = WR_FP32, .decoder = decoder};
    bd_network *net = mb_alloc(m, 1, sizeof(*net));
    bd_result result = {0};
    assert_non_null(net);
    if (bd_import(m, net, bytes, size, &options) == 0 && bd_build(m, net, &options, &result) == 0) {
        free(result.model);
        fail_msg("a bad file was built");
    }
    assert_null(result.model);
    assert_true(m->error[0] != '\0');
    assert_null(strchr(m->error, '\n'));
    return m->error;
}
