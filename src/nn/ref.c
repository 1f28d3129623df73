/* The table's kernels in plain C: the definition of right, and what runs on a processor without any
 * vector unit known here. Written to be read, not to be fast. */
#include "act.h"
#include "dsp.h"

void vl_finish_c(const vl_finish *f, float v, const void *x, void *out) {
    v = f->dip != NULL ? (float)vl_dip_apply(f->dip, v)
                       : vl_act_apply(v, f->act, f->act_a, f->act_b);
    if (!f->out_u8) {
        float r;
        if (x != NULL) {
            memcpy(&r, x, sizeof r);
            v += r;
        }
        memcpy(out, &v, sizeof v);
        return;
    }
    v = rintf(vl_act_clamp(fmaf(v, f->inv_scale, f->zero), f->low, f->high));
    if (x != NULL) {
        float r = (float)*(const uint8_t *)x;
        v = fmaf(v, f->res_a, fmaf(r, f->res_b, f->res_c));
        v = rintf(vl_act_clamp(v, f->res_low, f->res_high));
    }
    *(uint8_t *)out = (uint8_t)v;
}

static const uint8_t *residual_at(const vl_finish *f, int32_t y, int32_t x) {
    if (f->residual == NULL)
        return NULL;
    return (const uint8_t *)f->residual + y * f->res_row + x * f->res_pixel;
}

static void conv_pixel_s8(const vl_conv *c, const vl_chunk *k, const uint8_t *in, uint8_t *out,
                          const uint8_t *residual) {
    size_t item = c->finish.out_u8 ? 1 : 4;
    for (int32_t o = 0; o < k->n; o++) {
        const int8_t *w = (const int8_t *)k->weights + 4 * (size_t)o;
        int32_t sum = 0;
        for (int32_t g = 0; g < k->n_k; g++) {
            const uint8_t *p = in + k->offset[g];
            for (int32_t i = 0; i < 4; i++)
                sum += p[i] * w[i];
            w += 4 * VL_DSP_BLOCK;
        }
        float v = fmaf((float)sum, k->mult[o], k->add[o]);
        size_t at = (size_t)(k->first + o) * item;
        vl_finish_c(&c->finish, v, residual == NULL ? NULL : residual + at, out + at);
    }
}

static void conv_pixel_f32(const vl_conv *c, const vl_chunk *k, const uint8_t *in, uint8_t *out,
                           const uint8_t *residual) {
    for (int32_t o = 0; o < k->n; o++) {
        const float *w = (const float *)k->weights + o;
        float sum = 0.0f;
        for (int32_t i = 0; i < k->n_k; i++) {
            float x;
            memcpy(&x, in + k->offset[i], sizeof x);
            sum += x * *w;
            w += VL_DSP_BLOCK;
        }
        size_t at = (size_t)(k->first + o) * sizeof(float);
        vl_finish_c(&c->finish, sum + k->add[o], residual == NULL ? NULL : residual + at, out + at);
    }
}

static void conv_rows(const vl_conv *c, int32_t y0, int32_t y1,
                      void (*pixel)(const vl_conv *, const vl_chunk *, const uint8_t *, uint8_t *,
                                    const uint8_t *)) {
    for (int32_t i = 0; i < c->n_chunks; i++) {
        for (int32_t y = y0; y < y1; y++) {
            const uint8_t *in = c->in + y * c->in_row;
            uint8_t *out = c->out + y * c->out_row;
            for (int32_t x = 0; x < c->width; x++)
                pixel(c, &c->chunk[i], in + x * c->in_pixel, out + x * c->out_pixel,
                      residual_at(&c->finish, y, x));
        }
    }
}

static void conv_s8_c(const vl_conv *c, int32_t y0, int32_t y1) {
    conv_rows(c, y0, y1, conv_pixel_s8);
}

static void conv_f32_c(const vl_conv *c, int32_t y0, int32_t y1) {
    conv_rows(c, y0, y1, conv_pixel_f32);
}

static int32_t padded(int32_t channels) {
    return (channels + VL_DSP_BLOCK - 1) / VL_DSP_BLOCK * VL_DSP_BLOCK;
}

static void depthwise_s8_c(const vl_depthwise *d, int32_t y0, int32_t y1) {
    const int8_t *w = d->weights;
    size_t item = d->finish.out_u8 ? 1 : 4;
    for (int32_t y = y0; y < y1; y++) {
        for (int32_t x = 0; x < d->width; x++) {
            const uint8_t *in = d->in + y * d->in_row + x * d->in_pixel;
            uint8_t *out = d->out + y * d->out_row + x * d->out_pixel;
            const uint8_t *residual = residual_at(&d->finish, y, x);
            for (int32_t c = 0; c < d->channels; c++) {
                int32_t sum = 0;
                for (int32_t t = 0; t < d->kh * d->kw; t++)
                    sum += in[t / d->kw * d->tap_row + t % d->kw * d->tap_pixel + c] *
                           w[t * padded(d->channels) + c];
                float v = fmaf((float)sum, d->mult[c], d->add[c]);
                size_t at = (size_t)c * item;
                vl_finish_c(&d->finish, v, residual == NULL ? NULL : residual + at, out + at);
            }
        }
    }
}

static void depthwise_f32_c(const vl_depthwise *d, int32_t y0, int32_t y1) {
    const float *w = d->weights;
    for (int32_t y = y0; y < y1; y++) {
        for (int32_t x = 0; x < d->width; x++) {
            const uint8_t *in = d->in + y * d->in_row + x * d->in_pixel;
            uint8_t *out = d->out + y * d->out_row + x * d->out_pixel;
            const uint8_t *residual = residual_at(&d->finish, y, x);
            for (int32_t c = 0; c < d->channels; c++) {
                size_t at = (size_t)c * sizeof(float);
                float sum = 0.0f;
                for (int32_t t = 0; t < d->kh * d->kw; t++) {
                    float v;
                    memcpy(&v,
                           in + t / d->kw * d->tap_row + t % d->kw * d->tap_pixel + (ptrdiff_t)at,
                           sizeof v);
                    sum += v * w[t * padded(d->channels) + c];
                }
                vl_finish_c(&d->finish, sum + d->add[c], residual == NULL ? NULL : residual + at,
                            out + at);
            }
        }
    }
}

static void maxpool_u8_c(const vl_pooling *p, int32_t y0, int32_t y1) {
    for (int32_t y = y0; y < y1; y++) {
        for (int32_t x = 0; x < p->width; x++) {
            uint8_t *out = p->out + y * p->out_row + x * p->out_pixel;
            vl_window w = vl_window_at(p, y, x);
            memset(out, 0, (size_t)p->channels);
            for (int32_t iy = w.y0; iy < w.y1; iy++) {
                for (int32_t ix = w.x0; ix < w.x1; ix++) {
                    const uint8_t *in = p->in + iy * p->in_row + ix * p->in_pixel;
                    for (int32_t c = 0; c < p->channels; c++)
                        out[c] = in[c] > out[c] ? in[c] : out[c];
                }
            }
        }
    }
}

static void maxpool_f32_c(const vl_pooling *p, int32_t y0, int32_t y1) {
    for (int32_t y = y0; y < y1; y++) {
        for (int32_t x = 0; x < p->width; x++) {
            float *out = (float *)(void *)(p->out + y * p->out_row + x * p->out_pixel);
            vl_window w = vl_window_at(p, y, x);
            for (int32_t c = 0; c < p->channels; c++)
                out[c] = -INFINITY;
            for (int32_t iy = w.y0; iy < w.y1; iy++) {
                for (int32_t ix = w.x0; ix < w.x1; ix++) {
                    const float *in =
                        (const float *)(const void *)(p->in + iy * p->in_row + ix * p->in_pixel);
                    for (int32_t c = 0; c < p->channels; c++)
                        out[c] = in[c] > out[c] ? in[c] : out[c];
                }
            }
        }
    }
}

static void add_u8_c(const vl_addition *a, int32_t y0, int32_t y1) {
    for (int32_t y = y0; y < y1; y++) {
        for (int32_t x = 0; x < a->width; x++) {
            const uint8_t *p = a->a + y * a->a_row + x * a->a_pixel;
            const uint8_t *q = a->b + y * a->b_row + x * a->b_pixel;
            uint8_t *out = a->out + y * a->out_row + x * a->out_pixel;
            for (int32_t c = 0; c < a->channels; c++) {
                float v = fmaf((float)p[c], a->res_a, fmaf((float)q[c], a->res_b, a->res_c));
                out[c] = (uint8_t)rintf(vl_act_clamp(v, a->low, a->high));
            }
        }
    }
}

static void add_f32_c(const vl_addition *a, int32_t y0, int32_t y1) {
    for (int32_t y = y0; y < y1; y++) {
        for (int32_t x = 0; x < a->width; x++) {
            const float *p = (const float *)(const void *)(a->a + y * a->a_row + x * a->a_pixel);
            const float *q = (const float *)(const void *)(a->b + y * a->b_row + x * a->b_pixel);
            float *out = (float *)(void *)(a->out + y * a->out_row + x * a->out_pixel);
            for (int32_t c = 0; c < a->channels; c++)
                out[c] = p[c] + q[c];
        }
    }
}

void vl_dsp_init_c(vl_dsp *dsp) {
    const vl_packing plain = {.lanes = VL_DSP_BLOCK, .max_blocks = 1};
    *dsp = (vl_dsp){.conv_s8_level = "c",
                    .conv_f32_level = "c",
                    .dw_s8_level = "c",
                    .dw_f32_level = "c",
                    .pool_level = "c",
                    .add_level = "c",
                    .ops_level = "c",
                    .ops_run = vl_ops_run,
                    .pack_s8 = plain,
                    .pack_f32 = plain,
                    .conv_s8 = conv_s8_c,
                    .conv_f32 = conv_f32_c,
                    .depthwise_s8 = depthwise_s8_c,
                    .depthwise_f32 = depthwise_f32_c,
                    .maxpool_u8 = maxpool_u8_c,
                    .maxpool_f32 = maxpool_f32_c,
                    .add_u8 = add_u8_c,
                    .add_f32 = add_f32_c};
}
