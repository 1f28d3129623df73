/* Each operator of a planned network is right given its own inputs: every tensor of a keep_all run
 * is computed again from the tensors before it, in double precision and straight from the model.
 * Also: tensors that share memory save what they should, and steps that are done together need
 * nothing of each other beyond their own rows. */
#include "nets.h"
#include "nn/act.h"
#include "nn/model.h"
#include "nn/nn.h"
#include "nn/plan.h"
#include "pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#define WIDTH  96
#define HEIGHT 64

static double value_at(const veil_tensor *t, int32_t y, int32_t x, int32_t c) {
    if (y < 0 || x < 0 || y >= t->height || x >= t->width)
        return 0.0;
    ptrdiff_t at = y * t->row_stride + x * t->pixel_stride + c;
    if (t->is_u8)
        return (((const uint8_t *)t->data)[at] - t->zero) * (double)t->scale;
    return (double)((const float *)t->data)[at];
}

static double conv_at(const vl_op *op, const veil_tensor *in, int32_t out_channels, int32_t y,
                      int32_t x, int32_t o) {
    int32_t ig = in->channels / op->groups, og = out_channels / op->groups;
    double sum = (double)((const float *)op->bias->data)[o];
    for (int32_t t = 0; t < op->kh * op->kw; t++) {
        for (int32_t i = 0; i < ig; i++) {
            int32_t at = (o * op->kh * op->kw + t) * ig + i;
            double w = op->weights->dtype == VL_FMT_S8
                           ? ((const int8_t *)op->weights->data)[at] *
                                 (double)((const float *)op->scales->data)[o]
                           : (double)((const float *)op->weights->data)[at];
            sum += w * value_at(in, y * op->sh - op->pad_top + t / op->kw,
                                x * op->sw - op->pad_left + t % op->kw, o / og * ig + i);
        }
    }
    return (double)vl_act_apply((float)sum, op->act, op->act_a, op->act_b);
}

static double pool_at(const vl_op *op, const veil_tensor *in, int32_t y, int32_t x, int32_t c) {
    double v = -1e30;
    for (int32_t iy = y - op->pad_top; iy < y - op->pad_top + op->kh; iy++) {
        for (int32_t ix = x - op->pad_left; ix < x - op->pad_left + op->kw; ix++) {
            bool inside = iy >= 0 && ix >= 0 && iy < in->height && ix < in->width;
            if (inside && value_at(in, iy, ix, c) > v)
                v = value_at(in, iy, ix, c);
        }
    }
    return v;
}

static double expected(const vl_op *op, const veil_tensor *in, const veil_tensor *out, int32_t y,
                       int32_t x, int32_t c) {
    switch (op->type) {
    case VL_FMT_OP_CONV:
        return conv_at(op, in, out->channels, y, x, c);
    case VL_FMT_OP_ADD:
        return value_at(&in[0], y, x, c) + value_at(&in[1], y, x, c);
    case VL_FMT_OP_CONCAT:
        return c < in[0].channels ? value_at(&in[0], y, x, c)
                                  : value_at(&in[1], y, x, c - in[0].channels);
    case VL_FMT_OP_SLICE:
        return value_at(in, y, x, c + (int32_t)op->p0);
    case VL_FMT_OP_UPSAMPLE:
        return value_at(in, y / (int32_t)op->p0, x / (int32_t)op->p0, c);
    case VL_FMT_OP_MAXPOOL:
        return pool_at(op, in, y, x, c);
    case VL_FMT_OP_SHUFFLE: {
        int32_t groups = (int32_t)op->p0, n = in->channels / groups;
        return value_at(in, y, x, c % groups * n + c / groups);
    }
    default:
        fail_msg("operator %u is not in this test", op->type);
        return 0.0;
    }
}

static void check_op(const vl_model *m, const vl_net *net, const vl_op *op) {
    veil_tensor in[2], out;
    for (int32_t i = 0; i < op->n_in; i++)
        assert_int_equal(vl_net_tensor(net, (size_t)op->in[i], &in[i]), VEIL_OK);
    assert_int_equal(vl_net_tensor(net, (size_t)op->out, &out), VEIL_OK);
    assert_int_equal(out.channels, m->values[op->out].channels);
    double step = out.is_u8 ? (double)out.scale : 0.0;
    double low = out.is_u8 ? -out.zero * step : -1e30;
    double high = out.is_u8 ? (255 - out.zero) * step : 1e30;
    /* half a step of rounding; what a dip (nn/dip.h) adds is little at this net's scales */
    bool dip = op->act == VL_FMT_ACT_SILU || op->act == VL_FMT_ACT_HSWISH;
    double allowed = (dip ? 0.61 : 0.51) * step + 2e-5;
    for (int32_t y = 0; y < out.height; y++) {
        for (int32_t x = 0; x < out.width; x++) {
            for (int32_t c = 0; c < out.channels; c++) {
                double want = expected(op, in, &out, y, x, c), got = value_at(&out, y, x, c);
                want = want < low ? low : want > high ? high : want;
                if (!(fabs(got - want) <= allowed))
                    fail_msg("%s (%d,%d,%d): %g, should be %g", op->name, y, x, c, got, want);
            }
        }
    }
}

static void check_kind(net_kind kind, int32_t width, int32_t height) {
    size_t size;
    uint8_t *bytes = net_make(kind, 11, &size);
    assert_non_null(bytes);
    vl_model *m = NULL;
    vl_net *net = NULL;
    assert_int_equal(vl_model_parse(&m, bytes, size), VEIL_OK);
    assert_int_equal(vl_net_create(&net, m, NULL, 0, 1), VEIL_OK);
    assert_int_equal(vl_net_set_size(net, width, height), VEIL_OK);
    random_source r = random_from(5);
    for (int32_t i = 0; i < width * height * 4; i++)
        vl_net_input(net)[i] = (uint8_t)random_bits(&r);
    assert_int_equal(vl_net_run(net), VEIL_OK);
    for (int32_t i = 0; i < m->n_ops; i++)
        check_op(m, net, &m->ops[i]);
    vl_net_destroy(net);
    vl_model_destroy(m);
    free(bytes);
}

static void every_operator_in_floats(void **state) {
    (void)state;
    check_kind(NET_FLOAT, WIDTH, HEIGHT);
}

static void every_operator_in_integers(void **state) {
    (void)state;
    check_kind(NET_INTEGER, WIDTH, HEIGHT);
    check_kind(NET_INTEGER, 32, 32);
    check_kind(NET_INTEGER, 32, 160);
}

static void every_operator_mixed(void **state) {
    (void)state;
    check_kind(NET_MIXED, WIDTH, HEIGHT);
}

/* First layers of other kernels: the input is read in place, with taps beside it on both sides. */
static void first_layers(void **state) {
    (void)state;
    static const uint32_t shapes[][4] = {{6, 2, 16, 2}, {3, 1, 16, 1}, {5, 2, 20, 2},
                                         {7, 4, 40, 3}, {1, 1, 16, 0}, {3, 2, 6, 0}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        uint32_t k = shapes[i][0], n = shapes[i][2];
        emit *e = emit_create();
        assert_non_null(e);
        int8_t w[40 * 49 * 3];
        float zeros[40] = {0}, scales[40];
        random_source r = random_from(i);
        for (size_t j = 0; j < sizeof w; j++)
            w[j] = (int8_t)random_int(&r, -127, 127);
        for (size_t j = 0; j < 40; j++)
            scales[j] = 0.01f;
        emit_op op = {.type = VL_FMT_OP_CONV, .name = "first", .n_in = 1, .kh = k, .kw = k};
        op.sh = op.sw = shapes[i][1];
        op.pad_top = op.pad_left = op.pad_bottom = op.pad_right = shapes[i][3];
        op.out = emit_tensor(e, "out", n, VL_FMT_U8, 0.05f, 100);
        op.weights = emit_blob(e, VL_FMT_S8, w, (size_t)n * k * k * 3);
        op.bias = emit_blob(e, VL_FMT_F32, zeros, n);
        op.scales = emit_blob(e, VL_FMT_F32, scales, n);
        emit_operator(e, &op);
        emit_output(e, "out", op.out, shapes[i][1]);
        uint8_t *bytes;
        size_t size;
        assert_int_equal(emit_finish(e, &bytes, &size), VEIL_OK);
        emit_destroy(e);
        vl_model *m = NULL;
        vl_net *net = NULL;
        assert_int_equal(vl_model_parse(&m, bytes, size), VEIL_OK);
        assert_int_equal(vl_net_create(&net, m, NULL, 0, 1), VEIL_OK);
        assert_int_equal(vl_net_set_size(net, 64, 32), VEIL_OK);
        for (int32_t j = 0; j < 64 * 32 * 4; j++)
            vl_net_input(net)[j] = (uint8_t)random_bits(&r);
        assert_int_equal(vl_net_run(net), VEIL_OK);
        check_op(m, net, &m->ops[0]);
        vl_net_destroy(net);
        vl_model_destroy(m);
        free(bytes);
    }
}

static void shared_memory_is_smaller(void **state) {
    (void)state;
    size_t size, shared, apart, weights;
    uint8_t *bytes = net_make(NET_INTEGER, 11, &size);
    vl_model *m = NULL;
    assert_int_equal(vl_model_parse(&m, bytes, size), VEIL_OK);
    for (int32_t keep_all = 0; keep_all <= 1; keep_all++) {
        vl_net *net = NULL;
        assert_int_equal(vl_net_create(&net, m, NULL, 0, keep_all), VEIL_OK);
        assert_int_equal(vl_net_set_size(net, WIDTH, HEIGHT), VEIL_OK);
        assert_int_equal(vl_net_memory(net, keep_all ? &apart : &shared, &weights), VEIL_OK);
        vl_net_destroy(net);
    }
    assert_true(shared < apart);
    /* never less than the input and the largest layer with its own input */
    assert_true(shared >= WIDTH * HEIGHT * 4 + WIDTH * HEIGHT / 4 * 16);
    vl_model_destroy(m);
    free(bytes);
}

/* ---------------------------------------------------------------- groups */

/* Input rows that rows *y0 to *y1 of the output need, from what the operator is. */
static void needed_rows(const vl_net *net, const vl_step *s, int32_t in, bool residual, int32_t *y0,
                        int32_t *y1) {
    const vl_op *op = &net->model->ops[s->op];
    const vl_view *from = &net->place[in].view;
    if (residual || s->copy)
        return;
    if (op->type == VL_FMT_OP_UPSAMPLE) {
        int32_t f = (int32_t)op->p0, more = op->p1 != 0; /* bilinear: the neighbours as well */
        *y0 = *y0 / f - more;
        *y1 = (*y1 - 1) / f + 1 + more;
    } else if (op->type == VL_FMT_OP_CONV || op->type == VL_FMT_OP_MAXPOOL ||
               (op->type == VL_FMT_OP_AVGPOOL && op->kh > 0)) {
        *y0 = *y0 * op->sh - op->pad_top;
        *y1 = (*y1 - 1) * op->sh - op->pad_top + (op->kh - 1) * op->dilation + 1;
        if (op->type == VL_FMT_OP_CONV && from->channels % 4 != 0)
            *y1 += 1; /* four bytes at a time, so the next row's first ones */
    } else if (op->type == VL_FMT_OP_FOCUS) {
        *y0 *= 2;
        *y1 *= 2;
    } else if (op->type == VL_FMT_OP_AVGPOOL || from->height == 1) {
        *y0 = 0;
        *y1 = from->height;
    }
    *y0 = *y0 > 0 ? *y0 : 0;
    *y1 = *y1 < from->height ? *y1 : from->height;
}

static void stripe(const vl_step *s, int32_t i, int32_t n, int32_t *y0, int32_t *y1) {
    *y0 = (int32_t)((int64_t)s->base * i / n) * s->times;
    *y1 = (int32_t)((int64_t)s->base * (i + 1) / n) * s->times;
}

/* What task i of n reads of its group's own work was written by task i before. */
static void check_step(const vl_net *net, const vl_step *s, int32_t n) {
    const vl_step *first = &net->step[s->group];
    int32_t channel;
    for (int32_t k = 0; k < s->n_in + (s->residual >= 0); k++) {
        int32_t place = k < s->n_in ? s->in[k] : s->residual;
        for (const vl_step *w = first; w < first + first->members; w++) {
            if (vl_plan_root(net, w->out, &channel) != vl_plan_root(net, place, &channel))
                continue;
            assert_true(w < s); /* in order */
            for (int32_t i = 0; i < n; i++) {
                int32_t y0, y1, have0, have1;
                stripe(s, i, n, &y0, &y1);
                stripe(w, i, n, &have0, &have1);
                if (y0 == y1)
                    continue;
                needed_rows(net, s, place, k == s->n_in, &y0, &y1);
                assert_true(y0 >= have0 && y1 <= have1);
            }
        }
    }
}

/* All rows once; nothing needed before it is written; no two tensors of one time in one place. */
static void check_groups(const vl_net *net) {
    int32_t groups = 0, channel;
    for (int32_t i = 0; i < net->n_steps; i++) {
        const vl_step *s = &net->step[i];
        groups += s->group == i;
        assert_true(s->group <= i && i < s->group + net->step[s->group].members);
        assert_int_equal(s->base * s->times, net->place[s->out].view.height);
        assert_int_equal(s->tasks, net->step[s->group].tasks);
        for (int32_t n = 1; n <= 9; n++)
            check_step(net, s, n);
        for (int32_t k = 0; k < s->n_in; k++) {
            int32_t root = vl_plan_root(net, s->in[k], &channel);
            assert_true(root == 0 || net->place[root].first <= s->group);
            for (int32_t j = s->group + net->step[s->group].members; j < net->n_steps; j++)
                assert_int_not_equal(net->step[j].out, s->in[k]);
        }
    }
    assert_true(groups < net->n_steps);
    for (int32_t i = 0; i < net->n_places; i++) {
        for (int32_t j = 0; j < i; j++) {
            const vl_place *p = &net->place[i], *q = &net->place[j];
            if (p->bytes > 0 && q->bytes > 0 && p->first >= 0 && q->first >= 0 &&
                p->first <= q->last && q->first <= p->last)
                assert_true(p->offset_bytes + p->bytes <= q->offset_bytes ||
                            q->offset_bytes + q->bytes <= p->offset_bytes);
        }
        if (net->place[i].bytes > 0 && net->place[i].first >= 0)
            assert_true(net->place[i].offset_bytes + net->place[i].bytes <= net->arena_bytes);
    }
}

static void groups_need_no_waiting(void **state) {
    (void)state;
    for (net_kind kind = NET_FLOAT; kind <= NET_MIXED; kind++) {
        for (int32_t threads = 1; threads <= 3; threads++) {
            size_t size;
            uint8_t *bytes = net_make(kind, 11, &size);
            vl_model *m = NULL;
            vl_net *net = NULL;
            vl_pool *pool = NULL;
            assert_int_equal(vl_model_parse(&m, bytes, size), VEIL_OK);
            assert_int_equal(vl_pool_create(&pool, threads), VEIL_OK);
            assert_int_equal(vl_net_create(&net, m, pool, 0, 0), VEIL_OK);
            static const int32_t sizes[][2] = {{WIDTH, HEIGHT}, {32, 32}, {160, 416}};
            for (size_t i = 0; i < 3; i++) {
                assert_int_equal(vl_net_set_size(net, sizes[i][0], sizes[i][1]), VEIL_OK);
                check_groups(net);
            }
            vl_net_destroy(net);
            vl_pool_destroy(pool);
            vl_model_destroy(m);
            free(bytes);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operator_in_floats), cmocka_unit_test(every_operator_in_integers),
        cmocka_unit_test(every_operator_mixed),     cmocka_unit_test(first_layers),
        cmocka_unit_test(shared_memory_is_smaller), cmocka_unit_test(groups_need_no_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
