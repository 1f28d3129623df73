/* Dense and grouped convolutions backwards. The gradient of the input is itself a convolution of
 * the output's gradient with turned weights; with a stride, one for each position modulo it. All of
 * them run through the engine's float kernel. */
#include "grad_priv.h"

#include "mem.h"
#include "pool.h"

#include <string.h>

static int32_t floor_div(int32_t a, int32_t b) {
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

static int32_t ceil_div(int32_t a, int32_t b) {
    return -floor_div(-a, b);
}

/* Taps of a kernel of k that meet inputs at `at` modulo the stride. */
static int32_t find_taps(int32_t k, int32_t stride, int32_t dilation, int32_t at, int32_t *taps) {
    int32_t n = 0;
    for (int32_t i = 0; i < k; i++) {
        if ((at - i * dilation) % stride == 0)
            taps[n++] = i;
    }
    return n;
}

/* Turned weights (IC, n_y, n_x, OC / groups) of one phase. */
static void turn_weights(const vl_op *op, const vl_grad_phase *p, int32_t in_channels,
                         int32_t out_channels, float *w) {
    int32_t in_group = in_channels / op->groups, out_group = out_channels / op->groups;
    for (int32_t c = 0; c < in_channels; c++) {
        int32_t first = c / in_group * out_group, local = c % in_group;
        for (int32_t t = 0; t < p->n_y * p->n_x; t++) {
            int32_t ky = p->ky[t / p->n_x], kx = p->kx[t % p->n_x];
            for (int32_t o = first; o < first + out_group; o++) {
                size_t at = (size_t)(((o * op->kh + ky) * op->kw + kx) * in_group + local);
                *w++ = ((const float *)op->weights->data)[at];
            }
        }
    }
}

static int make_phase(vl_grad_phase *p, const vl_net *net, const vl_op *op, int32_t in_channels,
                      int32_t out_channels) {
    size_t n = (size_t)(p->n_y * p->n_x) * (size_t)in_channels;
    float *w = vl_mem_alloc(n, (size_t)(out_channels / op->groups) * sizeof *w);
    if (w == NULL)
        return VEIL_E_NOMEM;
    turn_weights(op, p, in_channels, out_channels, w);
    vl_blob blob = {VL_FMT_F32, (uint32_t)n * (uint32_t)(out_channels / op->groups), w};
    vl_value values[2] = {{.channels = out_channels}, {.channels = in_channels}};
    vl_model one = {.values = values, .n_values = 2};
    vl_op turned = {.type = VL_FMT_OP_CONV,
                    .out = 1,
                    .n_in = 1,
                    .kh = p->n_y,
                    .kw = p->n_x,
                    .sh = 1,
                    .sw = 1,
                    .dilation = 1,
                    .groups = op->groups,
                    .weights = &blob};
    int err = vl_pack_conv(&p->packed, &one, &turned, &net->dsp);
    vl_mem_free(w);
    return err;
}

static int turn(vl_grad_turned *t, const vl_net *net, const vl_op *op, int32_t in_channels,
                int32_t out_channels) {
    t->n = op->sh * op->sw;
    t->phase = vl_mem_alloc((size_t)t->n, sizeof *t->phase);
    int err = t->phase == NULL ? VEIL_E_NOMEM : VEIL_OK;
    for (int32_t i = 0; i < t->n && err == VEIL_OK; i++) {
        vl_grad_phase *p = &t->phase[i];
        p->n_y = find_taps(op->kh, op->sh, op->dilation, i / op->sw, p->ky);
        p->n_x = find_taps(op->kw, op->sw, op->dilation, i % op->sw, p->kx);
        if (p->n_y > 0 && p->n_x > 0)
            err = make_phase(p, net, op, in_channels, out_channels);
    }
    if (err != VEIL_OK)
        vl_grad_turned_free(t);
    return err;
}

void vl_grad_turned_free(vl_grad_turned *t) {
    for (int32_t i = 0; t->phase != NULL && i < t->n; i++)
        vl_pack_free(&t->phase[i].packed);
    vl_mem_free(t->phase);
    *t = (vl_grad_turned){0};
}

void vl_grad_scratch_free(vl_grad_scratch *s) {
    vl_mem_free(s->data);
    vl_mem_free(s->offsets);
    vl_mem_free(s->chunks);
    *s = (vl_grad_scratch){0};
}

/* The gradient before the activation, with a margin of zeros wide enough for all taps. */
typedef struct {
    const float *first;   /* of the region's first pixel */
    ptrdiff_t row, pixel; /* floats */
} padded;

static int grow(void **p, size_t *have, size_t n, size_t size) {
    if (*have >= n)
        return VEIL_OK;
    vl_mem_free(*p);
    *p = vl_mem_alloc(n, size);
    *have = *p == NULL ? 0 : n;
    return *p == NULL ? VEIL_E_NOMEM : VEIL_OK;
}

static int fill_padded(padded *out, const vl_op *op, const vl_view *values, const vl_gradient *g,
                       vl_grad_scratch *s) {
    vl_region r = g->region;
    int32_t my = ceil_div((op->kh - 1) * op->dilation, op->sh);
    int32_t mx = ceil_div((op->kw - 1) * op->dilation, op->sw);
    size_t c = (size_t)g->channels, row = (size_t)(r.x1 - r.x0 + 2 * mx) * c, n;
    void *data = s->data;
    if (!vl_mem_mul(row, (size_t)(r.y1 - r.y0 + 2 * my), &n))
        return VEIL_E_NOMEM;
    int err = grow(&data, &s->n_data, n, sizeof *s->data);
    s->data = data;
    if (err != VEIL_OK)
        return err;
    memset(s->data, 0, n * sizeof *s->data);
    float *first = s->data + (size_t)my * row + (size_t)mx * c;
    for (int32_t y = r.y0; y < r.y1; y++) {
        float *to = first + (size_t)(y - r.y0) * row;
        for (int32_t x = r.x0; x < r.x1; x++, to += c) {
            const float *from = vl_grad_at(g, y, x), *v = vl_grad_value(values, y, x);
            if (op->act == VL_FMT_ACT_NONE) {
                memcpy(to, from, c * sizeof *to);
                continue;
            }
            for (size_t k = 0; k < c; k++)
                to[k] = from[k] * vl_grad_slope(op, v[k]);
        }
    }
    *out = (padded){first, (ptrdiff_t)row, (ptrdiff_t)c};
    return VEIL_OK;
}

/* Chunks with the offsets of this phase's taps. */
static int bind_chunks(const vl_grad_phase *p, const vl_op *op, int32_t at_y, int32_t at_x,
                       const padded *in, vl_grad_scratch *s) {
    size_t n_offsets = 0;
    for (int32_t i = 0; i < p->packed.n_chunks; i++)
        n_offsets += (size_t)p->packed.chunk[i].chunk.n_k;
    void *offsets = s->offsets, *chunks = s->chunks;
    int err = grow(&offsets, &s->n_offsets, n_offsets, sizeof *s->offsets);
    if (err == VEIL_OK)
        err = grow(&chunks, &s->n_chunks, (size_t)p->packed.n_chunks, sizeof *s->chunks);
    s->offsets = offsets;
    s->chunks = chunks;
    if (err != VEIL_OK)
        return err;
    int32_t *to = s->offsets;
    for (int32_t i = 0; i < p->packed.n_chunks; i++) {
        const vl_packed_chunk *q = &p->packed.chunk[i];
        s->chunks[i] = q->chunk;
        s->chunks[i].offset = to;
        for (int32_t j = 0; j < q->chunk.n_k; j++) {
            ptrdiff_t dy = (at_y - p->ky[q->tap[j].ky] * op->dilation) / op->sh;
            ptrdiff_t dx = (at_x - p->kx[q->tap[j].kx] * op->dilation) / op->sw;
            ptrdiff_t at = dy * in->row + dx * in->pixel + q->tap[j].channel;
            *to++ = (int32_t)(at * (ptrdiff_t)sizeof(float));
        }
    }
    return VEIL_OK;
}

typedef struct {
    const vl_conv *conv;
    void (*run)(const vl_conv *c, int32_t y0, int32_t y1);
    int32_t rows, tasks;
} job;

static void run_rows(void *ctx, int32_t i) {
    const job *j = ctx;
    int64_t rows = j->rows;
    j->run(j->conv, (int32_t)(rows * i / j->tasks), (int32_t)(rows * (i + 1) / j->tasks));
}

/* Adds one phase into the region `to` of the input's gradient. */
static int run_phase(const vl_grad_turned *t, int32_t phase, const vl_net *net, const vl_op *op,
                     const padded *in, vl_region from, vl_region to, vl_gradient *in_grad,
                     vl_grad_scratch *s) {
    const vl_grad_phase *p = &t->phase[phase];
    int32_t at_y = phase / op->sw, at_x = phase % op->sw; /* (input + padding) modulo stride */
    int32_t j0 = ceil_div(to.y0 + op->pad_top - at_y, op->sh);
    int32_t j1 = ceil_div(to.y1 + op->pad_top - at_y, op->sh);
    int32_t i0 = ceil_div(to.x0 + op->pad_left - at_x, op->sw);
    int32_t i1 = ceil_div(to.x1 + op->pad_left - at_x, op->sw);
    if (p->n_y == 0 || p->n_x == 0 || j0 >= j1 || i0 >= i1)
        return VEIL_OK;
    int err = bind_chunks(p, op, at_y, at_x, in, s);
    if (err != VEIL_OK)
        return err;
    float *out =
        vl_grad_at(in_grad, op->sh * j0 + at_y - op->pad_top, op->sw * i0 + at_x - op->pad_left);
    const ptrdiff_t item = (ptrdiff_t)sizeof(float);
    ptrdiff_t pixel = in_grad->channels * item, row = in_grad->width * pixel;
    const float *first = in->first + (j0 - from.y0) * in->row + (i0 - from.x0) * in->pixel;
    vl_conv c = {.in = (const uint8_t *)(const void *)first,
                 .in_row = in->row * item,
                 .in_pixel = in->pixel * item,
                 .out = (uint8_t *)(void *)out,
                 .out_row = op->sh * row,
                 .out_pixel = op->sw * pixel,
                 .width = i1 - i0,
                 .channels = in_grad->channels,
                 .chunk = s->chunks,
                 .n_chunks = p->packed.n_chunks,
                 .finish = p->packed.finish};
    c.finish.residual = out; /* adds to what is there */
    c.finish.res_row = c.out_row;
    c.finish.res_pixel = c.out_pixel;
    job work = {&c, net->dsp.conv_f32, j1 - j0, 1};
    int32_t threads = vl_pool_threads(net->pool);
    if (threads > 1)
        work.tasks = work.rows < threads * 3 ? work.rows : threads * 3;
    vl_pool_run(net->pool, run_rows, &work, work.tasks);
    return VEIL_OK;
}

int vl_grad_conv(vl_grad_turned *t, const vl_net *net, const vl_op *op, const vl_view *out,
                 const vl_gradient *out_grad, vl_gradient *in_grad, vl_grad_scratch *scratch) {
    int err = VEIL_OK;
    if (t->phase == NULL)
        err = turn(t, net, op, in_grad->channels, out_grad->channels);
    padded in;
    if (err == VEIL_OK)
        err = fill_padded(&in, op, out, out_grad, scratch);
    if (err != VEIL_OK)
        return err;
    vl_region to = vl_grad_cover(in_grad, vl_grad_window(op, out_grad->region));
    for (int32_t i = 0; i < t->n && err == VEIL_OK; i++)
        err = run_phase(t, i, net, op, &in, out_grad->region, to, in_grad, scratch);
    return err;
}
