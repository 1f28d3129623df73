/* Gradients of every operator, stride, padding and activation against finite differences, at every
 * level of float kernels; of a whole small detector; and the float twin of an integer network. */
#include "mem.h"
#include "nets.h"
#include "nn/floats.h"
#include "nn/grad.h"
#include "nn/nn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SIDE    32
#define SAMPLES 30
#define CLOSE   1e-3 /* of the largest gradient */

/* A float net with all it stands on. */
typedef struct {
    vl_model *source, *model;
    vl_net *net;
    vl_grad *grad;
} stack;

static stack open_stack(const uint8_t *bytes, size_t size, uint32_t cpu_off, int32_t width) {
    stack s = {0};
    assert_int_equal(vl_model_parse(&s.source, bytes, size), VEIL_OK);
    assert_int_equal(vl_floats_create(&s.model, s.source, 0), VEIL_OK);
    assert_int_equal(vl_net_create(&s.net, s.model, NULL, cpu_off, 1), VEIL_OK);
    assert_int_equal(vl_net_set_size(s.net, width, SIDE), VEIL_OK);
    assert_int_equal(vl_grad_create(&s.grad, s.net), VEIL_OK);
    return s;
}

static void close_stack(stack *s) {
    vl_grad_destroy(s->grad);
    vl_net_destroy(s->net);
    vl_model_destroy(s->model);
    vl_model_destroy(s->source);
}

/* The function under test: all numbers of all outputs, each times a fixed random one. */
static float factor(random_source *r) {
    return random_float(r, -1.0f, 1.0f);
}

static double weighted_sum(const vl_net *net) {
    random_source r = random_from(11);
    double sum = 0.0;
    for (size_t i = 0; i < vl_net_outputs(net); i++) {
        veil_tensor t;
        assert_int_equal(vl_net_output(net, i, &t), VEIL_OK);
        for (int32_t y = 0; y < t.height; y++) {
            for (int32_t x = 0; x < t.width; x++) {
                const float *p = (const float *)t.data + y * t.row_stride + x * t.pixel_stride;
                for (int32_t c = 0; c < t.channels; c++)
                    sum += (double)p[c] * (double)factor(&r);
            }
        }
    }
    return sum;
}

static void seed_all(const stack *s) {
    random_source r = random_from(11);
    vl_grad_clear(s->grad);
    for (size_t i = 0; i < vl_net_outputs(s->net); i++) {
        veil_tensor t;
        assert_int_equal(vl_net_output(s->net, i, &t), VEIL_OK);
        for (int32_t y = 0; y < t.height; y++)
            for (int32_t x = 0; x < t.width; x++)
                for (int32_t c = 0; c < t.channels; c++)
                    assert_int_equal(
                        vl_grad_seed(s->grad, s->model->outs[i].value, y, x, c, factor(&r)),
                        VEIL_OK);
    }
}

static double run_with(vl_net *net, uint8_t *byte, int32_t value) {
    uint8_t was = *byte;
    *byte = (uint8_t)value;
    assert_int_equal(vl_net_run(net), VEIL_OK);
    *byte = was;
    return weighted_sum(net);
}

/* Compares at SAMPLES places of the input, corners first. Places where the function has a kink
 * within the step (the slopes to both sides differ) prove nothing and are counted. */
static void compare(stack *s, double close, int32_t step) {
    int32_t width = vl_net_width(s->net), height = vl_net_height(s->net), kinks = 0;
    uint8_t *in = vl_net_input(s->net);
    random_source r = random_from(5);
    for (int32_t i = 0; i < width * height * 4; i++)
        in[i] = (uint8_t)random_int(&r, step, 255 - step);
    assert_int_equal(vl_net_run(s->net), VEIL_OK);
    double here = weighted_sum(s->net), largest = 0.0;
    seed_all(s);
    vl_gradient g;
    assert_int_equal(vl_grad_run(s->grad, 0, &g), VEIL_OK);
    assert_non_null(g.data);
    for (int32_t i = 0; i < width * height * 3; i++)
        largest = fmax(largest, fabs((double)g.data[i]));
    assert_true(largest > 1e-4);
    for (int32_t i = 0; i < SAMPLES; i++) {
        int32_t y = i < 4 ? i / 2 * (height - 1) : random_int(&r, 0, height - 1);
        int32_t x = i < 4 ? i % 2 * (width - 1) : random_int(&r, 0, width - 1);
        int32_t c = i % 3;
        uint8_t *byte = &in[(y * width + x) * 4 + c];
        double up = run_with(s->net, byte, *byte + step);
        double down = run_with(s->net, byte, *byte - step), h = step / 255.0;
        double found = (double)g.data[(y * width + x) * 3 + c];
        double right = (up - here) / h, left = (here - down) / h;
        if (fabs(right - left) > close * largest) {
            kinks++;
            continue;
        }
        if (fabs(found - (up - down) / (2 * h)) > close * largest)
            fail_msg("row %d column %d channel %d: gradient %g, differences say %g (largest %g)", y,
                     x, c, found, (up - down) / (2 * h), largest);
    }
    assert_true(kinks < SAMPLES / 4);
}

/* What stands between a first convolution (3 to 8 channels, no activation) and the output. */
typedef struct {
    emit_op op;
    uint32_t out_channels;
} trial;

static const uint32_t offs[] = {0, VEIL_CPU_ALL};

static void blobs_of(net_maker *m, trial *t) {
    float w[8], b[8];
    for (int i = 0; i < 8; i++) {
        w[i] = random_float(&m->r, 0.2f, 1.5f);
        b[i] = random_float(&m->r, -0.5f, 0.5f);
    }
    if (t->op.type == VL_FMT_OP_SCALE || t->op.act == VL_FMT_ACT_PRELU)
        t->op.scales = emit_blob(m->e, VL_FMT_F32, w, 8);
    if (t->op.type == VL_FMT_OP_SCALE)
        t->op.bias = emit_blob(m->e, VL_FMT_F32, b, 8);
    if (t->op.type == VL_FMT_OP_CONV) {
        size_t n = (size_t)t->op.kh * t->op.kw * t->out_channels * (8 / t->op.groups);
        float *weights = calloc(n, sizeof *weights);
        for (size_t i = 0; i < n; i++)
            weights[i] = random_float(&m->r, -0.4f, 0.4f);
        t->op.weights = emit_blob(m->e, VL_FMT_F32, weights, n);
        free(weights);
    }
}

static void check(trial t) {
    for (size_t i = 0; i < (t.op.type == VL_FMT_OP_CONV ? 2 : 1); i++) {
        trial u = t;
        net_maker m = {emit_create(), random_from(3), NET_FLOAT};
        assert_non_null(m.e);
        uint32_t a = net_tensor(&m, "a", 8), b = net_tensor(&m, "b", 8);
        uint32_t out = net_tensor(&m, "out", t.out_channels), whole = 0;
        /* An average of everything hardly changes with one pixel: it gets a smaller picture and
         * larger steps. */
        uint32_t k = u.op.type == VL_FMT_OP_AVGPOOL && u.op.kh == 0 ? 9 : 1,
                 stride = k == 9 ? 8 : 1;
        net_conv(&m, "a", 0, 3, a, 8, k, stride, 1, VL_FMT_ACT_NONE, 0);
        net_conv(&m, "b", 0, 3, b, 8, k + 2, stride, 1, VL_FMT_ACT_NONE, 0);
        blobs_of(&m, &u);
        if (u.op.in[1] == 99) { /* the second input is one value a channel */
            whole = net_tensor(&m, "whole", 8);
            net_op(&m, VL_FMT_OP_AVGPOOL, b, 0, whole, 0);
        }
        u.op.name = "trial";
        u.op.in[0] = a;
        u.op.in[1] = whole != 0 ? whole : b;
        u.op.n_in = u.op.n_in == 0 ? 1 : u.op.n_in;
        u.op.out = out;
        emit_operator(m.e, &u.op);
        emit_output(m.e, "out", out, 8);
        uint8_t *bytes = NULL;
        size_t size;
        assert_int_equal(emit_finish(m.e, &bytes, &size), VEIL_OK);
        emit_destroy(m.e);
        stack s = open_stack(bytes, size, offs[i], 2 * SIDE);
        compare(&s, CLOSE, k == 9 ? 60 : 1);
        close_stack(&s);
        free(bytes);
    }
}

static emit_op window(uint32_t type, uint32_t k, uint32_t stride, uint32_t pad) {
    return (emit_op){.type = type,
                     .kh = k,
                     .kw = k,
                     .sh = stride,
                     .sw = stride,
                     .pad_top = pad,
                     .pad_left = pad,
                     .pad_bottom = pad,
                     .pad_right = pad,
                     .groups = 1,
                     .dilation = 1};
}

static void convolutions(void **state) {
    (void)state;
    static const uint32_t shapes[][3] = {{1, 1, 0}, {3, 1, 1}, {3, 2, 1}, {6, 2, 2},
                                         {5, 3, 2}, {1, 2, 0}, {2, 4, 0}, {7, 1, 3}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        check((trial){window(VL_FMT_OP_CONV, shapes[i][0], shapes[i][1], shapes[i][2]), 20});
}

static void unusual_convolutions(void **state) {
    (void)state;
    trial t = {window(VL_FMT_OP_CONV, 3, 2, 2), 5};
    t.op.dilation = 2;
    check(t);
    t.op.sw = 1;
    t.op.pad_left = 0;
    t.op.kw = 4;
    check(t);
    t = (trial){window(VL_FMT_OP_CONV, 3, 2, 1), 12}; /* groups of 2 channels */
    t.op.groups = 4;
    check(t);
    for (uint32_t stride = 1; stride <= 2; stride++) {
        t = (trial){window(VL_FMT_OP_CONV, 3, stride, 1), 8};
        t.op.groups = 8;
        t.op.act = VL_FMT_ACT_RELU;
        check(t);
    }
}

static void activations(void **state) {
    (void)state;
    for (uint32_t act = VL_FMT_ACT_NONE; act <= VL_FMT_ACT_PRELU; act++) {
        float a = act == VL_FMT_ACT_LEAKY ? 0.1f : act == VL_FMT_ACT_CLIP ? -0.3f : 0.2f;
        float b = act == VL_FMT_ACT_CLIP ? 0.6f : 0.5f;
        check((trial){{.type = VL_FMT_OP_ACT, .act = act, .act_a = a, .act_b = b}, 8});
        if (act == VL_FMT_ACT_PRELU)
            continue;
        trial t = {window(VL_FMT_OP_CONV, 3, 1, 1), 9};
        t.op.act = act;
        t.op.act_a = act == VL_FMT_ACT_LEAKY ? -0.2f : a; /* cannot be told from the result */
        t.op.act_b = b;
        check(t);
        check((trial){{.type = VL_FMT_OP_ADD, .n_in = 2, .act = act, .act_a = a, .act_b = b}, 8});
    }
}

static void pooling_and_enlarging(void **state) {
    (void)state;
    static const uint32_t shapes[][3] = {{5, 1, 2}, {2, 2, 0}, {3, 2, 1}};
    for (size_t i = 0; i < 3; i++) {
        check((trial){window(VL_FMT_OP_MAXPOOL, shapes[i][0], shapes[i][1], shapes[i][2]), 8});
        check((trial){window(VL_FMT_OP_AVGPOOL, shapes[i][0], shapes[i][1], shapes[i][2]), 8});
    }
    check((trial){{.type = VL_FMT_OP_AVGPOOL}, 8});
    for (uint32_t f = 2; f <= 8; f *= 2) {
        check((trial){{.type = VL_FMT_OP_UPSAMPLE, .p0 = f, .p1 = 0}, 8});
        check((trial){{.type = VL_FMT_OP_UPSAMPLE, .p0 = f, .p1 = 1}, 8});
    }
}

static void the_rest(void **state) {
    (void)state;
    check((trial){{.type = VL_FMT_OP_ADD, .n_in = 2}, 8});
    check((trial){{.type = VL_FMT_OP_CONCAT, .n_in = 2}, 16});
    check((trial){{.type = VL_FMT_OP_MUL, .n_in = 2, .act = VL_FMT_ACT_RELU}, 8});
    check((trial){{.type = VL_FMT_OP_MUL, .n_in = 2, .in = {0, 99}}, 8});
    check((trial){{.type = VL_FMT_OP_SLICE, .p0 = 3}, 4});
    check((trial){{.type = VL_FMT_OP_SHUFFLE, .p0 = 4}, 8});
    check((trial){{.type = VL_FMT_OP_SCALE, .act = VL_FMT_ACT_SIGMOID}, 8});
    check((trial){{.type = VL_FMT_OP_FOCUS}, 32});
}

/* A detector in small: many paths that meet again. Kinks of the many ReLU are nearer here. */
static void whole_network(void **state) {
    (void)state;
    for (net_kind kind = NET_FLOAT; kind <= NET_INTEGER; kind++) {
        size_t size;
        uint8_t *bytes = net_make(kind, 7, &size);
        assert_non_null(bytes);
        stack s = open_stack(bytes, size, 0, SIDE);
        compare(&s, 2e-3, 1);
        close_stack(&s);
        free(bytes);
    }
}

/* Values of an integer net, rounded after each layer, stay near those of its twin. */
static void twin_of_an_integer_network(void **state) {
    (void)state;
    net_maker m = {emit_create(), random_from(9), NET_INTEGER};
    uint32_t a = net_tensor(&m, "a", 16), b = net_tensor(&m, "b", 16);
    uint32_t head = emit_tensor(m.e, "head", 6, VL_FMT_F32, 0.0f, 0);
    net_conv(&m, "a", 0, 3, a, 16, 3, 2, 1, VL_FMT_ACT_RELU, 1);
    net_conv(&m, "b", a, 16, b, 16, 3, 2, 1, VL_FMT_ACT_RELU, 1);
    net_conv(&m, "head", b, 16, head, 6, 1, 1, 1, VL_FMT_ACT_NONE, 1);
    emit_output(m.e, "head", head, 4);
    size_t size;
    uint8_t *bytes = NULL;
    emit_finish(m.e, &bytes, &size);
    emit_destroy(m.e);
    stack s = open_stack(bytes, size, 0, SIDE);
    vl_net *integer;
    assert_int_equal(vl_net_create(&integer, s.source, NULL, 0, 0), VEIL_OK);
    assert_int_equal(vl_net_set_size(integer, SIDE, SIDE), VEIL_OK);
    random_source r = random_from(2);
    for (int32_t i = 0; i < SIDE * SIDE * 4; i++)
        vl_net_input(s.net)[i] = vl_net_input(integer)[i] = (uint8_t)random_bits(&r);
    assert_int_equal(vl_net_run(s.net), VEIL_OK);
    assert_int_equal(vl_net_run(integer), VEIL_OK);
    veil_tensor p, q;
    assert_int_equal(vl_net_output(s.net, 0, &p), VEIL_OK);
    assert_int_equal(vl_net_output(integer, 0, &q), VEIL_OK);
    double off = 0.0, all = 0.0;
    for (int32_t y = 0; y < p.height; y++) {
        for (int32_t x = 0; x < p.width; x++) {
            for (int32_t c = 0; c < p.channels; c++) {
                double u =
                    (double)((const float *)p.data)[y * p.row_stride + x * p.pixel_stride + c];
                double v =
                    (double)((const float *)q.data)[y * q.row_stride + x * q.pixel_stride + c];
                off += (u - v) * (u - v);
                all += u * u;
            }
        }
    }
    assert_true(all > 1.0);
    assert_true(off < 0.002 * all);
    vl_net_destroy(integer);
    close_stack(&s);
    free(bytes);
}

/* One seed reaches only what its cell sees, and nothing is left of it after clearing. */
static void only_what_the_cell_sees(void **state) {
    (void)state;
    net_maker m = {emit_create(), random_from(3), NET_FLOAT};
    uint32_t a = net_tensor(&m, "a", 8), b = net_tensor(&m, "b", 4);
    net_conv(&m, "a", 0, 3, a, 8, 3, 2, 1, VL_FMT_ACT_NONE, 0);
    net_conv(&m, "b", a, 8, b, 4, 3, 2, 1, VL_FMT_ACT_NONE, 0);
    emit_output(m.e, "b", b, 4);
    uint8_t *bytes = NULL;
    size_t size;
    emit_finish(m.e, &bytes, &size);
    emit_destroy(m.e);
    stack s = open_stack(bytes, size, 0, 64);
    assert_int_equal(vl_net_run(s.net), VEIL_OK);
    for (int32_t x = 3; x < 15; x += 5) {
        vl_gradient g;
        vl_grad_clear(s.grad);
        assert_int_equal(vl_grad_seed(s.grad, (int32_t)b, 4, x, 2, 1.0f), VEIL_OK);
        assert_int_equal(vl_grad_run(s.grad, 0, &g), VEIL_OK);
        for (int32_t i = 0; i < 64 * SIDE * 3; i++) { /* rows 4 * y - 3 .. 4 * y + 3 */
            int32_t py = i / 3 / 64, px = i / 3 % 64;
            bool sees = py >= 13 && py <= 19 && px >= 4 * x - 3 && px <= 4 * x + 3;
            assert_true(sees == (fabsf(g.data[i]) > 0.0f));
        }
    }
    assert_int_equal(vl_grad_seed(s.grad, (int32_t)b, 8, 0, 0, 1.0f), VEIL_E_ARG);
    assert_int_equal(vl_grad_seed(s.grad, 99, 0, 0, 0, 1.0f), VEIL_E_ARG);
    close_stack(&s);
    free(bytes);
}

static int allocations_left;

static int fail_when_spent(void) {
    return allocations_left-- <= 0;
}

static void memory_fails(void **state) {
    (void)state;
    size_t size;
    uint8_t *bytes = net_make(NET_FLOAT, 7, &size);
    stack s = open_stack(bytes, size, 0, SIDE);
    assert_int_equal(vl_net_run(s.net), VEIL_OK);
    vl_mem_fail = fail_when_spent;
    int err = VEIL_E_NOMEM, tries = 0;
    for (; err == VEIL_E_NOMEM; tries++) {
        vl_grad *g;
        vl_gradient out;
        allocations_left = tries;
        err = vl_grad_create(&g, s.net);
        if (err == VEIL_OK)
            err = vl_grad_seed(g, s.model->outs[0].value, 0, 0, 0, 1.0f);
        if (err == VEIL_OK)
            err = vl_grad_run(g, 0, &out);
        vl_grad_destroy(g);
    }
    vl_mem_fail = NULL;
    assert_int_equal(err, VEIL_OK);
    assert_true(tries > 10);
    close_stack(&s);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(convolutions),
                                       cmocka_unit_test(unusual_convolutions),
                                       cmocka_unit_test(activations),
                                       cmocka_unit_test(pooling_and_enlarging),
                                       cmocka_unit_test(the_rest),
                                       cmocka_unit_test(whole_network),
                                       cmocka_unit_test(twin_of_an_integer_network),
                                       cmocka_unit_test(only_what_the_cell_sees),
                                       cmocka_unit_test(memory_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
