/* Depthwise integer convolutions with AVX-512 VNNI: the bytes of four taps are interleaved, so that
 * one dot product does four taps of 16 channels. Narrow tensors are taken several pixels at a time.
 */
#include "nn/x86/avx512vnni.h"

#define MAX_TAPS (VL_FMT_MAX_KERNEL * VL_FMT_MAX_KERNEL + 3)

/* A depthwise convolution as it is run: perhaps with several pixels as one. */
typedef struct {
    const vl_depthwise *d;
    int32_t fours;
    int32_t channels, width; /* of the pixels taken together */
    ptrdiff_t in_pixel, out_pixel, res_pixel;
    int32_t rest; /* channels of a last, narrower pixel of a row */
    int32_t offset[MAX_TAPS];
} job;

static void finish_general(const job *j, const __m512i sum[4], int32_t chunk, uint8_t *out,
                           const uint8_t *residual, int32_t n) {
    const float *mult = j->d->mult + 64 * chunk, *add = j->d->add + 64 * chunk;
    float plain[64];
    for (int q = 0; q < 4; q++) {
        __m512 v = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[q]), _mm512_load_ps(mult + 16 * q),
                                   _mm512_load_ps(add + 16 * q));
        float *to = plain + 4 * q;
        _mm_storeu_ps(to, _mm512_castps512_ps128(v));
        _mm_storeu_ps(to + 16, _mm512_extractf32x4_ps(v, 1));
        _mm_storeu_ps(to + 32, _mm512_extractf32x4_ps(v, 2));
        _mm_storeu_ps(to + 48, _mm512_extractf32x4_ps(v, 3));
    }
    for (int32_t c = 0; c < n && c < 64; c += 16)
        vl_finish_512(&j->d->finish, _mm512_loadu_ps(plain + c), out, residual, 64 * chunk + c,
                      n - c);
}

VL_INLINE __m512i to_int(__m512i sum, const float *mult, const float *add) {
    __m512 v = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_load_ps(mult), _mm512_load_ps(add));
    return _mm512_cvtps_epi32(v);
}

/* Up to 64 channels of one pixel from their sums. */
VL_INLINE void finish(const job *j, const __m512i sum[4], uint8_t *out, const uint8_t *residual,
                      int32_t chunk, int32_t n) {
    const vl_finish *f = &j->d->finish;
    if (!f->quick || residual != NULL) {
        const __m512i spilled[4] = {sum[0], sum[1], sum[2], sum[3]};
        finish_general(j, spilled, chunk, out, residual, n);
        return;
    }
    const float *mult = j->d->mult + 64 * chunk, *add = j->d->add + 64 * chunk;
    __m512i v = to_bytes(to_int(sum[0], mult, add), to_int(sum[1], mult + 16, add + 16),
                         to_int(sum[2], mult + 32, add + 32), to_int(sum[3], mult + 48, add + 48));
    v = _mm512_max_epu8(v, _mm512_set1_epi8((char)(uint8_t)f->low));
    v = _mm512_min_epu8(v, _mm512_set1_epi8((char)(uint8_t)f->high));
    store_64(out + 64 * chunk, v, n);
}

/* Up to 64 channels of one pixel. Inputs past the last channel are read and multiplied by 0. */
VL_INLINE void pixel(const job *j, const uint8_t *in, uint8_t *out, const uint8_t *residual,
                     int32_t chunk, int32_t n) {
    const __m512i *w = (const __m512i *)j->d->weights + (ptrdiff_t)chunk * j->fours * 4;
    __m512i sum[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                      _mm512_setzero_si512()};
    in += 64 * chunk;
    for (int32_t t = 0; t < j->fours; t++, w += 4) {
        const int32_t *offset = j->offset + 4 * t;
        __m512i a = _mm512_loadu_si512(in + offset[0]), b = _mm512_loadu_si512(in + offset[1]);
        __m512i c = _mm512_loadu_si512(in + offset[2]), d = _mm512_loadu_si512(in + offset[3]);
        __m512i ab = _mm512_unpacklo_epi8(a, b), ab2 = _mm512_unpackhi_epi8(a, b);
        __m512i cd = _mm512_unpacklo_epi8(c, d), cd2 = _mm512_unpackhi_epi8(c, d);
        DOT(sum[0], _mm512_unpacklo_epi16(ab, cd), w[0]);
        DOT(sum[1], _mm512_unpackhi_epi16(ab, cd), w[1]);
        DOT(sum[2], _mm512_unpacklo_epi16(ab2, cd2), w[2]);
        DOT(sum[3], _mm512_unpackhi_epi16(ab2, cd2), w[3]);
    }
    finish(j, sum, out, residual, chunk, n);
}

/* The bytes of three rows at one column, interleaved with a zero, 64 channels. */
VL_INLINE void load_column(const uint8_t *p, ptrdiff_t tap_row, __m512i v[4]) {
    const __m512i zero = _mm512_setzero_si512();
    __m512i a = _mm512_loadu_si512(p), b = _mm512_loadu_si512(p + tap_row);
    __m512i c = _mm512_loadu_si512(p + 2 * tap_row);
    __m512i ab = _mm512_unpacklo_epi8(a, b), ab2 = _mm512_unpackhi_epi8(a, b);
    __m512i c0 = _mm512_unpacklo_epi8(c, zero), c2 = _mm512_unpackhi_epi8(c, zero);
    v[0] = _mm512_unpacklo_epi16(ab, c0);
    v[1] = _mm512_unpackhi_epi16(ab, c0);
    v[2] = _mm512_unpacklo_epi16(ab2, c2);
    v[3] = _mm512_unpackhi_epi16(ab2, c2);
}

/* Up to 64 channels of a row of a 3x3 convolution of stride 1: each column is loaded once and
 * serves three outputs. `now` lacks its last column, `next` its last two. */
static void sliding_row(const job *j, const uint8_t *in, uint8_t *out, const uint8_t *residual,
                        int32_t chunk, int32_t n) {
    const __m512i *weights = (const __m512i *)j->d->weights + (ptrdiff_t)chunk * 12;
    __m512i w[3][4], v[4], now[4], next[4];
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++) {
        w[0][q] = weights[q];
        w[1][q] = weights[4 + q];
        w[2][q] = weights[8 + q];
        now[q] = next[q] = _mm512_setzero_si512();
    }
    in += 64 * chunk;
    load_column(in, j->d->tap_row, v);
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++)
        DOT(now[q], v[q], w[0][q]);
    load_column(in + j->in_pixel, j->d->tap_row, v);
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++) {
        DOT(now[q], v[q], w[1][q]);
        DOT(next[q], v[q], w[0][q]);
    }
    in += 2 * j->in_pixel;
    for (int32_t x = 0; x < j->width; x++) {
        __m512i sum[4];
        load_column(in, j->d->tap_row, v);
#pragma GCC unroll 4
        for (int q = 0; q < 4; q++) {
            sum[q] = now[q];
            DOT(sum[q], v[q], w[2][q]);
            now[q] = next[q];
            DOT(now[q], v[q], w[1][q]);
            next[q] = _mm512_setzero_si512();
            DOT(next[q], v[q], w[0][q]);
        }
        finish(j, sum, out, residual, chunk, n);
        in += j->in_pixel;
        out += j->out_pixel;
        if (residual != NULL)
            residual += j->res_pixel;
    }
}

static void row(const job *j, const uint8_t *in, uint8_t *out, const uint8_t *residual) {
    const vl_depthwise *d = j->d;
    if (d->kh == 3 && d->kw == 3 && j->in_pixel == d->tap_pixel) {
        for (int32_t chunk = 0; 64 * chunk < j->channels; chunk++)
            sliding_row(j, in, out, residual, chunk, j->channels - 64 * chunk);
        return;
    }
    for (int32_t x = 0; x < j->width; x++) {
        int32_t channels = j->rest > 0 && x == j->width - 1 ? j->rest : j->channels;
        for (int32_t chunk = 0; 64 * chunk < channels; chunk++)
            pixel(j, in, out, residual, chunk, channels - 64 * chunk);
        in += j->in_pixel;
        out += j->out_pixel;
        if (residual != NULL)
            residual += j->res_pixel;
    }
}

static void depthwise_s8_avx512vnni(const vl_depthwise *d, int32_t y0, int32_t y1) {
    const vl_finish *f = &d->finish;
    const ptrdiff_t item = f->out_u8 ? 1 : 4;
    const int32_t taps = d->kh * d->kw;
    job j = {.d = d,
             .fours = d->kh == 3 ? d->kw : (taps + 3) / 4,
             .channels = d->channels,
             .width = d->width,
             .in_pixel = d->in_pixel,
             .out_pixel = d->out_pixel,
             .res_pixel = f->res_pixel};
    for (int32_t t = 0; t < 4 * j.fours; t++) { /* those without a tap have no weight */
        int32_t ky = d->kh == 3 ? t % 4 : t / d->kw, kx = d->kh == 3 ? t / 4 : t % d->kw;
        if (ky < d->kh)
            j.offset[t] = (int32_t)(ky * d->tap_row + kx * d->tap_pixel);
    }
    int32_t together = 64 % d->channels == 0 ? 64 / d->channels : 1;
    bool close = d->in_pixel == d->channels && d->out_pixel == d->channels * item &&
                 (f->residual == NULL || f->res_pixel == d->channels * item);
    if (together > 1 && close) {
        j.channels = 64;
        j.width = (d->width + together - 1) / together;
        j.rest = d->width % together * d->channels;
        j.in_pixel *= together;
        j.out_pixel *= together;
        j.res_pixel *= together;
    }
    for (int32_t y = y0; y < y1; y++)
        row(&j, d->in + y * d->in_row, d->out + y * d->out_row,
            f->residual == NULL ? NULL : (const uint8_t *)f->residual + y * f->res_row);
}

void vl_dsp_init_avx512vnni_dw(vl_dsp *dsp) {
    dsp->dw_s8_level = "avx512vnni";
    dsp->depthwise_four = 1;
    dsp->depthwise_s8 = depthwise_s8_avx512vnni;
}
