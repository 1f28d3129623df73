/* AVX2 with FMA: integer convolutions without a dot-product instruction, and the small operators
 * that every x86 level shares. The float convolution is in avx2_f32.c.
 *
 * vpmaddubsw adds two products in 16 bits with saturation. It is exact here because the weights are
 * packed so that two neighbours of one sign add up to at most 128 (VL_SPLIT_PAIRS):
 * 255 * 128 < 2^15. */
#include "nn/x86/avx2.h"

#define TILE   5 /* pixels */
#define SPLITS 1
#define DOT(acc, x, w)                                                                             \
    (acc) = _mm256_add_epi32(                                                                      \
        (acc), _mm256_madd_epi16(_mm256_maddubs_epi16((x), (w)), _mm256_set1_epi16(1)))
#include "nn/x86/avx2_conv_s8.h"

static void conv_s8_avx2(const vl_conv *c, int32_t y0, int32_t y1) {
    vl_conv_rows(c, &tiles_s8, y0, y1);
}

/* ---------------------------------------------------------------- depthwise */

static const uint8_t *residual_at(const vl_finish *f, int32_t y, int32_t x) {
    if (f->residual == NULL)
        return NULL;
    return (const uint8_t *)f->residual + y * f->res_row + x * f->res_pixel;
}

#define MAX_PAIRS ((VL_FMT_MAX_KERNEL * VL_FMT_MAX_KERNEL + 1) / 2)

/* Sixteen channels of a depthwise convolution. Two taps at a time: their bytes, widened to 16 bits,
 * alternate, and one instruction multiplies and adds them. Of the two vectors of each, the first
 * has channels 0-3 and 8-11, the second the others. */
typedef struct {
    const vl_depthwise *d;
    int32_t first, n, pairs;
    ptrdiff_t offset[2 * MAX_PAIRS];
    __m256i w[MAX_PAIRS][2];
    __m256 mult[2], add[2];
} sixteen;

VL_INLINE __m256i widened(const int8_t *p) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)p));
}

/* Sixteen floats in that order. */
VL_INLINE void split_floats(const float *p, __m256 out[2]) {
    __m256 a = _mm256_loadu_ps(p), b = _mm256_loadu_ps(p + 8);
    out[0] = _mm256_permute2f128_ps(a, b, 0x20);
    out[1] = _mm256_permute2f128_ps(a, b, 0x31);
}

static sixteen prepare(const vl_depthwise *d, int32_t c) {
    const ptrdiff_t padded = (d->channels + VL_DSP_BLOCK - 1) / VL_DSP_BLOCK * VL_DSP_BLOCK;
    const int32_t taps = d->kh * d->kw;
    sixteen s = {.d = d, .first = c, .n = d->channels - c, .pairs = (taps + 1) / 2};
    for (int32_t p = 0; p < s.pairs; p++) {
        const int8_t *w = (const int8_t *)d->weights + 2 * p * padded + c;
        __m256i a = widened(w), b = _mm256_setzero_si256();
        if (2 * p + 1 < taps)
            b = widened(w + padded);
        s.w[p][0] = _mm256_unpacklo_epi16(a, b);
        s.w[p][1] = _mm256_unpackhi_epi16(a, b);
        for (int32_t t = 2 * p; t < 2 * p + 2; t++) /* no tap: any input, times 0 */
            s.offset[t] =
                t < taps ? t / d->kw * d->tap_row + t % d->kw * d->tap_pixel + c : s.offset[t - 1];
    }
    split_floats(d->mult + c, s.mult);
    split_floats(d->add + c, s.add);
    return s;
}

/* Input bytes past the last channel are read and multiplied by 0. */
VL_INLINE void sixteen_pixel(const sixteen *s, const uint8_t *in, uint8_t *out,
                             const uint8_t *residual) {
    __m256i low = _mm256_setzero_si256(), high = _mm256_setzero_si256();
    for (int32_t p = 0; p < s->pairs; p++) {
        const uint8_t *x = in + s->offset[2 * p], *y = in + s->offset[2 * p + 1];
        __m256i a = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)x));
        __m256i b = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)y));
        low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), s->w[p][0]));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), s->w[p][1]));
    }
    const vl_finish *f = &s->d->finish;
    __m256 v = _mm256_fmadd_ps(_mm256_cvtepi32_ps(low), s->mult[0], s->add[0]);
    __m256 w = _mm256_fmadd_ps(_mm256_cvtepi32_ps(high), s->mult[1], s->add[1]);
    if (!f->quick || residual != NULL) {
        vl_finish_256(f, _mm256_permute2f128_ps(v, w, 0x20), out, residual, s->first, s->n);
        if (s->n > 8)
            vl_finish_256(f, _mm256_permute2f128_ps(v, w, 0x31), out, residual, s->first + 8,
                          s->n - 8);
        return;
    }
    __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(v), _mm256_cvtps_epi32(w));
    if (f->dip != NULL) {
        const vl_dip_256 dip = vl_dip_load_256(f->dip);
        words = vl_dip_words_256(&dip, words);
    }
    __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(words, words), 0x08);
    __m128i q = _mm_max_epu8(_mm256_castsi256_si128(bytes), _mm_set1_epi8((char)(uint8_t)f->low));
    store_16(out + s->first, _mm_min_epu8(q, _mm_set1_epi8((char)(uint8_t)f->high)), s->n);
}

static void depthwise_s8_avx2(const vl_depthwise *d, int32_t y0, int32_t y1) {
    for (int32_t c = 0; c < d->channels; c += 16) {
        const sixteen s = prepare(d, c);
        for (int32_t y = y0; y < y1; y++) {
            for (int32_t x = 0; x < d->width; x++)
                sixteen_pixel(&s, d->in + y * d->in_row + x * d->in_pixel,
                              d->out + y * d->out_row + x * d->out_pixel,
                              residual_at(&d->finish, y, x));
        }
    }
}

static void depthwise_f32_avx2(const vl_depthwise *d, int32_t y0, int32_t y1) {
    const ptrdiff_t padded = (d->channels + VL_DSP_BLOCK - 1) / VL_DSP_BLOCK * VL_DSP_BLOCK;
    for (int32_t y = y0; y < y1; y++) {
        for (int32_t x = 0; x < d->width; x++) {
            const uint8_t *in = d->in + y * d->in_row + x * d->in_pixel;
            uint8_t *out = d->out + y * d->out_row + x * d->out_pixel;
            const uint8_t *residual = residual_at(&d->finish, y, x);
            for (int32_t c = 0; c < d->channels; c += 8) {
                const float *w = (const float *)d->weights + c;
                __m256 v = _mm256_load_ps(d->add + c);
                __m256i m = vl_first_256(d->channels - c);
                for (int32_t ky = 0; ky < d->kh; ky++) {
                    for (int32_t kx = 0; kx < d->kw; kx++, w += padded) {
                        const uint8_t *p = in + ky * d->tap_row + kx * d->tap_pixel + 4 * c;
                        __m256 a = _mm256_maskload_ps((const float *)(const void *)p, m);
                        v = _mm256_fmadd_ps(a, _mm256_load_ps(w), v);
                    }
                }
                vl_finish_256(&d->finish, v, out, residual, c, d->channels - c);
            }
        }
    }
}

/* ---------------------------------------------------------------- pooling */

VL_INLINE __m256i largest_of(const vl_pooling *p, vl_window w, int32_t c) {
    __m256i v = _mm256_setzero_si256();
    for (int32_t iy = w.y0; iy < w.y1; iy++) {
        const uint8_t *in = p->in + iy * p->in_row + w.x0 * p->in_pixel + c;
        for (int32_t ix = w.x0; ix < w.x1; ix++, in += p->in_pixel)
            v = _mm256_max_epu8(v, _mm256_loadu_si256((const __m256i *)(const void *)in));
    }
    return v;
}

VL_INLINE __m128i largest_of_16(const vl_pooling *p, vl_window w, int32_t c) {
    __m128i v = _mm_setzero_si128();
    for (int32_t iy = w.y0; iy < w.y1; iy++) {
        const uint8_t *in = p->in + iy * p->in_row + w.x0 * p->in_pixel + c;
        for (int32_t ix = w.x0; ix < w.x1; ix++, in += p->in_pixel)
            v = _mm_max_epu8(v, _mm_loadu_si128((const __m128i *)(const void *)in));
    }
    return v;
}

static uint8_t largest_of_1(const vl_pooling *p, vl_window w, int32_t c) {
    uint8_t v = 0;
    for (int32_t iy = w.y0; iy < w.y1; iy++) {
        const uint8_t *in = p->in + iy * p->in_row + c;
        for (int32_t ix = w.x0; ix < w.x1; ix++)
            v = in[ix * p->in_pixel] > v ? in[ix * p->in_pixel] : v;
    }
    return v;
}

/* A row of 16 channels halved in both directions: two windows' pixels lie in one register. */
static int32_t halve_row_16(const vl_pooling *p, int32_t y, uint8_t *out) {
    const uint8_t *in = p->in + 2 * y * p->in_row;
    int32_t x = 0;
    for (; x < p->width && 2 * x + 2 <= p->in_width; x++, in += 32) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)in);
        __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(in + p->in_row));
        a = _mm256_max_epu8(a, b);
        __m128i v = _mm_max_epu8(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
        _mm_storeu_si128((__m128i *)(void *)(out + x * p->out_pixel), v);
    }
    return x;
}

static bool halves_16(const vl_pooling *p, int32_t y) {
    return p->channels == 16 && p->in_pixel == 16 && p->kh == 2 && p->kw == 2 && p->sh == 2 &&
           p->sw == 2 && p->pad_top == 0 && p->pad_left == 0 && 2 * y + 2 <= p->in_height;
}

/* Reads nothing past the last channel: in a concatenation another thread may be writing there. */
static void maxpool_u8_avx2(const vl_pooling *p, int32_t y0, int32_t y1) {
    for (int32_t y = y0; y < y1; y++) {
        int32_t done = halves_16(p, y) ? halve_row_16(p, y, p->out + y * p->out_row) : 0;
        for (int32_t x = done; x < p->width; x++) {
            uint8_t *out = p->out + y * p->out_row + x * p->out_pixel;
            vl_window w = vl_window_at(p, y, x);
            int32_t c = 0;
            for (; c + 32 <= p->channels; c += 32)
                _mm256_storeu_si256((__m256i *)(void *)(out + c), largest_of(p, w, c));
            if (c + 16 <= p->channels) {
                _mm_storeu_si128((__m128i *)(void *)(out + c), largest_of_16(p, w, c));
                c += 16;
            }
            if (c < p->channels && p->channels >= 16) { /* some of them again */
                c = p->channels - 16;
                _mm_storeu_si128((__m128i *)(void *)(out + c), largest_of_16(p, w, c));
                c += 16;
            }
            for (; c < p->channels; c++)
                out[c] = largest_of_1(p, w, c);
        }
    }
}

static void maxpool_f32_avx2(const vl_pooling *p, int32_t y0, int32_t y1) {
    for (int32_t y = y0; y < y1; y++) {
        for (int32_t x = 0; x < p->width; x++) {
            uint8_t *out = p->out + y * p->out_row + x * p->out_pixel;
            vl_window w = vl_window_at(p, y, x);
            for (int32_t c = 0; c < p->channels; c += 8) {
                __m256i m = vl_first_256(p->channels - c);
                __m256 v = _mm256_set1_ps(-INFINITY);
                for (int32_t iy = w.y0; iy < w.y1; iy++) {
                    const uint8_t *in = p->in + iy * p->in_row + w.x0 * p->in_pixel + 4 * c;
                    for (int32_t ix = w.x0; ix < w.x1; ix++, in += p->in_pixel)
                        v = _mm256_max_ps(_mm256_maskload_ps((const float *)(const void *)in, m),
                                          v);
                }
                _mm256_maskstore_ps((float *)(void *)(out + 4 * c), m, v);
            }
        }
    }
}

/* ---------------------------------------------------------------- addition */

static void add_u8_avx2(const vl_addition *a, int32_t y0, int32_t y1) {
    const __m256 ra = _mm256_set1_ps(a->res_a), rb = _mm256_set1_ps(a->res_b);
    const __m256 rc = _mm256_set1_ps(a->res_c);
    const __m256 low = _mm256_set1_ps(a->low), high = _mm256_set1_ps(a->high);
    for (int32_t y = y0; y < y1; y++) {
        for (int32_t x = 0; x < a->width; x++) {
            const uint8_t *p = a->a + y * a->a_row + x * a->a_pixel;
            const uint8_t *q = a->b + y * a->b_row + x * a->b_pixel;
            uint8_t *out = a->out + y * a->out_row + x * a->out_pixel;
            for (int32_t c = 0; c < a->channels; c += 8) {
                int32_t n = a->channels - c;
                __m256 v = _mm256_fmadd_ps(_mm256_cvtepi32_ps(vl_load_8(q + c, n)), rb, rc);
                v = _mm256_fmadd_ps(_mm256_cvtepi32_ps(vl_load_8(p + c, n)), ra, v);
                vl_store_8(out + c, _mm256_cvtps_epi32(vl_clamp_256(v, low, high)), n);
            }
        }
    }
}

static void add_f32_avx2(const vl_addition *a, int32_t y0, int32_t y1) {
    for (int32_t y = y0; y < y1; y++) {
        for (int32_t x = 0; x < a->width; x++) {
            const uint8_t *p = a->a + y * a->a_row + x * a->a_pixel;
            const uint8_t *q = a->b + y * a->b_row + x * a->b_pixel;
            uint8_t *out = a->out + y * a->out_row + x * a->out_pixel;
            for (int32_t c = 0; c < a->channels; c += 8) {
                __m256i m = vl_first_256(a->channels - c);
                __m256 v = _mm256_maskload_ps((const float *)(const void *)(p + 4 * c), m);
                __m256 u = _mm256_maskload_ps((const float *)(const void *)(q + 4 * c), m);
                _mm256_maskstore_ps((float *)(void *)(out + 4 * c), m, _mm256_add_ps(v, u));
            }
        }
    }
}

void vl_dsp_init_avx2(vl_dsp *dsp) {
    dsp->conv_s8_level = dsp->dw_s8_level = dsp->dw_f32_level = "avx2";
    dsp->pool_level = dsp->add_level = "avx2";
    dsp->pack_s8 = (vl_packing){
        .lanes = 8, .max_blocks = 2, .whole = 1, .interleaved = 1, .split = VL_SPLIT_PAIRS};
    dsp->conv_s8 = conv_s8_avx2;
    dsp->depthwise_s8 = depthwise_s8_avx2;
    dsp->depthwise_f32 = depthwise_f32_avx2;
    dsp->maxpool_u8 = maxpool_u8_avx2;
    dsp->maxpool_f32 = maxpool_f32_avx2;
    dsp->add_u8 = add_u8_avx2;
    dsp->add_f32 = add_f32_avx2;
    vl_dsp_init_avx2_f32(dsp);
    vl_dsp_init_avx2_ops(dsp);
}
