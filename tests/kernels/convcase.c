/* See convcase.h. */
#include "convcase.h"

#include "mem.h"
#include "nn/act.h"

#include <stdlib.h>

#define CANARY    0xa5
#define GAP       5 /* bytes, or floats, between pixels of the output unless dense_rows */
#define OUT_SCALE 0.05f
#define RES_SCALE 0.07f
#define RES_ZERO  3

static int32_t byte_for(random_source *r, conv_fill fill, int32_t i) {
    switch (fill) {
    case FILL_LOW:
        return 0;
    case FILL_HIGH:
        return 255;
    case FILL_ALTERNATE:
        return i % 2 == 0 ? 0 : 255;
    default:
        return random_int(r, 0, 255);
    }
}

static int32_t weight_for(random_source *r, conv_fill fill, int32_t i) {
    switch (fill) {
    case FILL_LOW:
        return -128;
    case FILL_HIGH:
        return 127;
    case FILL_ALTERNATE:
        return i % 3 == 0 ? -127 : 127;
    default: /* mostly small, as trained weights are */
        return random_int(r, -127, 127) / random_int(r, 1, 4);
    }
}

static bool make_weights(conv_case *c, random_source *r) {
    const conv_shape *s = &c->shape;
    uint32_t n = (uint32_t)(s->out_channels * s->kh * s->kw * (s->in_channels / s->groups));
    void *weights = vl_mem_alloc(n, 4);
    float *bias = vl_mem_alloc((size_t)s->out_channels, 4);
    float *scales = vl_mem_alloc((size_t)s->out_channels, 4);
    c->weights = (vl_blob){s->integer ? VL_FMT_S8 : VL_FMT_F32, n, weights};
    c->bias = (vl_blob){VL_FMT_F32, (uint32_t)s->out_channels, bias};
    c->scales = (vl_blob){VL_FMT_F32, (uint32_t)s->out_channels, scales};
    if (weights == NULL || bias == NULL || scales == NULL)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (s->integer)
            ((int8_t *)weights)[i] = (int8_t)weight_for(r, s->fill, (int32_t)i);
        else
            ((float *)weights)[i] = random_float(r, -1.0f, 1.0f);
    }
    float gain = s->gain > 0.0f ? s->gain : 1.0f;
    for (int32_t o = 0; o < s->out_channels; o++) {
        bias[o] = random_float(r, -4.0f, 4.0f);
        scales[o] = random_float(r, 0.001f, 0.01f) * gain;
    }
    return true;
}

static bool make_memory(conv_case *c, random_source *r) {
    const conv_shape *s = &c->shape;
    int32_t margin = s->pad;
    size_t gap = s->dense_rows ? 0 : GAP;
    c->item_in = s->integer ? 1 : 4;
    c->item_out = s->integer && !s->float_out ? 1 : 4;
    c->in_pixel = ((size_t)s->in_channels + (s->dense_rows ? 0 : 3)) * c->item_in;
    c->in_row = c->in_pixel * (size_t)(s->width + 2 * margin);
    c->input_bytes = c->in_row * (size_t)(s->height + 2 * margin);
    c->out_pixel = ((size_t)s->out_channels + gap) * c->item_out;
    c->out_row = c->out_pixel * ((size_t)c->out_width + (s->dense_rows ? 0 : 1));
    c->output_bytes = c->out_row * (size_t)c->out_height;
    c->input = vl_mem_alloc(c->input_bytes, 1);
    c->output = vl_mem_alloc(c->output_bytes + 128, 1);
    c->residual = vl_mem_alloc(c->output_bytes, 1);
    if (c->input == NULL || c->output == NULL || c->residual == NULL)
        return false;
    for (size_t i = 0; i < c->input_bytes / c->item_in; i++) {
        if (s->integer)
            c->input[i] = (uint8_t)byte_for(r, s->fill, (int32_t)i);
        else
            ((float *)(void *)c->input)[i] = random_float(r, -1.0f, 1.0f);
    }
    for (size_t i = 0; i < c->output_bytes / c->item_out; i++) {
        if (c->item_out == 1)
            c->residual[i] = (uint8_t)random_bits(r);
        else
            ((float *)(void *)c->residual)[i] = random_float(r, -1.0f, 1.0f);
    }
    /* the margin holds real zero; channels between pixels keep their rubbish */
    for (int32_t y = 0; y < s->height + 2 * margin; y++) {
        for (int32_t x = 0; x < s->width + 2 * margin; x++) {
            uint8_t *p = c->input + (size_t)y * c->in_row + (size_t)x * c->in_pixel;
            bool inside =
                y >= margin && y < s->height + margin && x >= margin && x < s->width + margin;
            if (!inside)
                memset(p, s->integer ? s->in_zero : 0, (size_t)s->in_channels * c->item_in);
        }
    }
    return true;
}

bool conv_case_make(conv_case *c, const conv_shape *shape, uint64_t seed) {
    const conv_shape *s = shape;
    float out_scale = s->out_scale > 0.0f ? s->out_scale : OUT_SCALE;
    random_source r = random_from(seed);
    memset(c, 0, sizeof *c);
    c->shape = *shape;
    c->out_height = (s->height + 2 * s->pad - (s->kh - 1) * s->dilation - 1) / s->sh + 1;
    c->out_width = (s->width + 2 * s->pad - (s->kw - 1) * s->dilation - 1) / s->sw + 1;
    if (!make_weights(c, &r) || !make_memory(c, &r)) {
        conv_case_free(c);
        return false;
    }
    c->values[0] = (vl_value){.name = "in",
                              .channels = s->in_channels,
                              .is_u8 = s->integer,
                              .scale = s->integer ? 0.02f : 1.0f,
                              .zero = s->integer ? s->in_zero : 0};
    c->values[1] = (vl_value){.name = "out",
                              .channels = s->out_channels,
                              .is_u8 = c->item_out == 1,
                              .scale = c->item_out == 1 ? out_scale : 1.0f,
                              .zero = c->item_out == 1 ? s->out_zero : 0};
    c->op = (vl_op){.type = VL_FMT_OP_CONV,
                    .name = "conv",
                    .out = 1,
                    .n_in = 1,
                    .act = s->act,
                    .act_a = s->act == VL_FMT_ACT_LEAKY ? 0.1f : 0.0f,
                    .act_b = 6.0f,
                    .kh = s->kh,
                    .kw = s->kw,
                    .sh = s->sh,
                    .sw = s->sw,
                    .dilation = s->dilation,
                    .groups = s->groups,
                    .weights = &c->weights,
                    .bias = &c->bias,
                    .scales = s->integer ? &c->scales : NULL};
    c->model = (vl_model){.values = c->values, .ops = &c->op, .n_values = 2, .n_ops = 1};
    return true;
}

static void free_const(const void *p) {
    union {
        const void *from;
        void *to;
    } u = {p};
    vl_mem_free(u.to);
}

void conv_case_free(conv_case *c) {
    free_const(c->weights.data);
    free_const(c->bias.data);
    free_const(c->scales.data);
    vl_mem_free(c->input);
    vl_mem_free(c->output);
    vl_mem_free(c->residual);
    memset(c, 0, sizeof *c);
}

static vl_finish finish_for(const conv_case *c, const vl_packed *p) {
    vl_finish f = p->finish;
    if (c->shape.residual) {
        f.residual = c->residual;
        f.res_row = (ptrdiff_t)c->out_row;
        f.res_pixel = (ptrdiff_t)c->out_pixel;
        f.res_a = 0.8f;
        f.res_b = RES_SCALE / c->values[1].scale;
        f.res_c = -RES_ZERO * f.res_b;
        f.res_low = 0.0f;
        f.res_high = 250.0f;
        f.quick = f.quick && !c->shape.large;
    }
    return f;
}

static void run_dense(conv_case *c, const vl_dsp *dsp, const vl_packed *p, vl_chunk *chunks,
                      int32_t *offsets) {
    const conv_shape *s = &c->shape;
    vl_conv a = {.in = c->input,
                 .in_row = (ptrdiff_t)c->in_row * s->sh,
                 .in_pixel = (ptrdiff_t)c->in_pixel * s->sw,
                 .out = c->output + 64,
                 .out_row = (ptrdiff_t)c->out_row,
                 .out_pixel = (ptrdiff_t)c->out_pixel,
                 .width = c->out_width,
                 .channels = s->out_channels,
                 .chunk = chunks,
                 .n_chunks = p->n_chunks,
                 .finish = finish_for(c, p)};
    for (int32_t i = 0; i < p->n_chunks; i++) {
        chunks[i] = p->chunk[i].chunk;
        chunks[i].offset = offsets;
        for (int32_t j = 0; j < chunks[i].n_k; j++) {
            const vl_tap *t = &p->chunk[i].tap[j];
            *offsets++ = (int32_t)((size_t)(t->ky * s->dilation) * c->in_row +
                                   (size_t)(t->kx * s->dilation) * c->in_pixel +
                                   (size_t)t->channel * c->item_in);
        }
    }
    void (*run)(const vl_conv *, int32_t, int32_t) = s->integer ? dsp->conv_s8 : dsp->conv_f32;
    run(&a, 0, c->out_height / 2);
    run(&a, c->out_height / 2, c->out_height);
}

static void run_depthwise(conv_case *c, const vl_dsp *dsp, const vl_packed *p) {
    const conv_shape *s = &c->shape;
    const vl_chunk *k = &p->chunk[0].chunk;
    vl_depthwise a = {.in = c->input,
                      .in_row = (ptrdiff_t)c->in_row * s->sh,
                      .in_pixel = (ptrdiff_t)c->in_pixel * s->sw,
                      .tap_row = (ptrdiff_t)c->in_row * s->dilation,
                      .tap_pixel = (ptrdiff_t)c->in_pixel * s->dilation,
                      .out = c->output + 64,
                      .out_row = (ptrdiff_t)c->out_row,
                      .out_pixel = (ptrdiff_t)c->out_pixel,
                      .width = c->out_width,
                      .channels = s->out_channels,
                      .kh = s->kh,
                      .kw = s->kw,
                      .weights = k->weights,
                      .mult = k->mult,
                      .add = k->add,
                      .finish = finish_for(c, p)};
    void (*run)(const vl_depthwise *, int32_t, int32_t) =
        s->integer ? dsp->depthwise_s8 : dsp->depthwise_f32;
    run(&a, 0, c->out_height / 2);
    run(&a, c->out_height / 2, c->out_height);
}

int conv_case_run(conv_case *c, const vl_dsp *dsp, const char **level) {
    vl_packed p = {.kind = VL_CONV_S8};
    int err = vl_pack_conv(&p, &c->model, &c->op, dsp);
    if (err == VEIL_OK) {
        memset(c->output, CANARY, c->output_bytes + 128);
        c->dipped = p.finish.dip != NULL;
        bool dense = p.kind == VL_CONV_S8 || p.kind == VL_CONV_F32;
        size_t n = 1;
        for (int32_t i = 0; i < p.n_chunks; i++)
            n += (size_t)p.chunk[i].chunk.n_k;
        vl_chunk *chunks = vl_mem_alloc((size_t)p.n_chunks, sizeof *chunks);
        int32_t *offsets = vl_mem_alloc(n, sizeof *offsets);
        if (chunks == NULL || offsets == NULL)
            err = VEIL_E_NOMEM;
        else if (dense)
            run_dense(c, dsp, &p, chunks, offsets);
        else
            run_depthwise(c, dsp, &p);
        *level = dense ? (c->shape.integer ? dsp->conv_s8_level : dsp->conv_f32_level)
                       : (c->shape.integer ? dsp->dw_s8_level : dsp->dw_f32_level);
        vl_mem_free(chunks);
        vl_mem_free(offsets);
    }
    vl_pack_free(&p);
    return err;
}

static double input_at(const conv_case *c, int32_t y, int32_t x, int32_t channel) {
    const uint8_t *p = c->input + (size_t)y * c->in_row + (size_t)x * c->in_pixel;
    if (c->shape.integer)
        return ((double)p[channel] - c->shape.in_zero) * (double)c->values[0].scale;
    return (double)((const float *)(const void *)p)[channel];
}

double conv_case_expect(const conv_case *c, int32_t y, int32_t x, int32_t o) {
    const conv_shape *s = &c->shape;
    int32_t in_group = s->in_channels / s->groups, out_group = s->out_channels / s->groups;
    double sum = (double)((const float *)c->bias.data)[o];
    for (int32_t t = 0; t < s->kh * s->kw; t++) {
        for (int32_t i = 0; i < in_group; i++) {
            size_t at = (size_t)((o * s->kh * s->kw + t) * in_group + i);
            double w = s->integer ? ((const int8_t *)c->weights.data)[at] *
                                        (double)((const float *)c->scales.data)[o]
                                  : (double)((const float *)c->weights.data)[at];
            sum += w * input_at(c, y * s->sh + t / s->kw * s->dilation,
                                x * s->sw + t % s->kw * s->dilation, o / out_group * in_group + i);
        }
    }
    sum = (double)vl_act_apply((float)sum, c->op.act, c->op.act_a, c->op.act_b);
    size_t at = (size_t)y * c->out_row + (size_t)x * c->out_pixel;
    if (c->item_out == 4) {
        if (s->residual)
            sum += (double)((const float *)(const void *)(c->residual + at))[o];
        return sum;
    }
    double scale = (double)c->values[1].scale, q = sum / scale + s->out_zero;
    q = q < 0 ? 0 : q > 255 ? 255 : q;
    if (!s->residual)
        return q;
    q = 0.8 * q + (c->residual[at + (size_t)o] - RES_ZERO) * (double)RES_SCALE / scale;
    return q < 0 ? 0 : q > 250 ? 250 : q;
}

float conv_case_float_at(const conv_case *c, int32_t y, int32_t x, int32_t o) {
    const uint8_t *p = c->output + 64 + (size_t)y * c->out_row + (size_t)x * c->out_pixel;
    return ((const float *)(const void *)p)[o];
}

int32_t conv_case_byte_at(const conv_case *c, int32_t y, int32_t x, int32_t o) {
    return c->output[64 + (size_t)y * c->out_row + (size_t)x * c->out_pixel + (size_t)o];
}

bool conv_case_canaries_alive(const conv_case *c) {
    size_t used = (size_t)c->shape.out_channels * c->item_out;
    for (size_t i = 0; i < c->output_bytes + 128; i++) {
        size_t at = i - 64, x = at % c->out_row / c->out_pixel;
        bool inside = i >= 64 && at < c->output_bytes && x < (size_t)c->out_width &&
                      at % c->out_row % c->out_pixel < used;
        if (!inside && c->output[i] != CANARY)
            return false;
    }
    return true;
}
