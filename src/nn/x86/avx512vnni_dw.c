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
    int32_t together;
    int32_t rest; /* channels of a last, narrower pixel of a row */
    int32_t offset[MAX_TAPS];
} job;

VL_INLINE __m512 to_float(__m512i sum, const float *mult, const float *add) {
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_load_ps(mult), _mm512_load_ps(add));
}

VL_INLINE __m512i to_int(__m512i sum, const float *mult, const float *add) {
    return _mm512_cvtps_epi32(to_float(sum, mult, add));
}

static void finish_general(const job *j, const __m512i sum[4], int32_t chunk, uint8_t *out,
                           const uint8_t *residual, int32_t n) {
    const vl_finish *f = &j->d->finish;
    const float *mult = j->d->mult + 64 * chunk, *add = j->d->add + 64 * chunk;
    if (f->quick && residual == NULL) { /* not a mere clamp: a dip */
        const vl_dip_512 dip = vl_dip_load_512(f->dip);
        __m512i v = to_bytes_dipped(
            &dip, to_int(sum[0], mult, add), to_int(sum[1], mult + 16, add + 16),
            to_int(sum[2], mult + 32, add + 32), to_int(sum[3], mult + 48, add + 48));
        store_64(out + 64 * chunk, v, n);
        return;
    }
    __m512 v[4];
    for (int q = 0; q < 4; q++)
        v[q] = to_float(sum[q], mult + 16 * q, add + 16 * q);
    vl_plain_order_4(v);
    for (int32_t c = 0; c < n && c < 64; c += 16)
        vl_finish_512(f, v[c / 16], out, residual, 64 * chunk + c, n - c);
}

VL_INLINE void finish_quick(const job *j, const __m512i sum[4], uint8_t *out, int32_t chunk,
                            int32_t n) {
    const vl_finish *f = &j->d->finish;
    const float *mult = j->d->mult + 64 * chunk, *add = j->d->add + 64 * chunk;
    __m512i v = to_bytes(to_int(sum[0], mult, add), to_int(sum[1], mult + 16, add + 16),
                         to_int(sum[2], mult + 32, add + 32), to_int(sum[3], mult + 48, add + 48));
    v = _mm512_max_epu8(v, _mm512_set1_epi8((char)(uint8_t)f->low));
    v = _mm512_min_epu8(v, _mm512_set1_epi8((char)(uint8_t)f->high));
    store_64(out + 64 * chunk, v, n);
}

static bool is_quick(const vl_depthwise *d) {
    return vl_finish_clamps(&d->finish) && d->finish.residual == NULL;
}

/* Up to 64 channels of one pixel from their sums. */
VL_INLINE void finish(const job *j, const __m512i sum[4], uint8_t *out, const uint8_t *residual,
                      int32_t chunk, int32_t n) {
    if (is_quick(j->d)) {
        finish_quick(j, sum, out, chunk, n);
    } else {
        const __m512i spilled[4] = {sum[0], sum[1], sum[2], sum[3]};
        finish_general(j, spilled, chunk, out, residual, n);
    }
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

/* ---------------------------------------------------------------- 3x3 */

/* The bytes of four rows, interleaved. */
VL_INLINE void interleave(const __m512i row[4], __m512i v[4]) {
    __m512i ab = _mm512_unpacklo_epi8(row[0], row[1]), ab2 = _mm512_unpackhi_epi8(row[0], row[1]);
    __m512i cd = _mm512_unpacklo_epi8(row[2], row[3]), cd2 = _mm512_unpackhi_epi8(row[2], row[3]);
    v[0] = _mm512_unpacklo_epi16(ab, cd);
    v[1] = _mm512_unpackhi_epi16(ab, cd);
    v[2] = _mm512_unpacklo_epi16(ab2, cd2);
    v[3] = _mm512_unpackhi_epi16(ab2, cd2);
}

/* 64 bytes of three or four rows. */
VL_INLINE void load_column(const job *j, const uint8_t *p, const int rows, __m512i v[4]) {
    __m512i row[4];
    row[3] = _mm512_setzero_si512();
#pragma GCC unroll 4
    for (int r = 0; r < rows + 2; r++)
        row[r] = _mm512_loadu_si512(p + r * j->d->tap_row);
    interleave(row, v);
}

/* 128 bytes of three rows: the even pixels and the odd ones, of 16 or 32 bytes each. */
VL_INLINE void load_pairs(const job *j, const uint8_t *p, const int pixel, __m512i even[4],
                          __m512i odd[4]) {
    __m512i e[4], o[4];
    e[3] = o[3] = _mm512_setzero_si512();
#pragma GCC unroll 3
    for (int r = 0; r < 3; r++) {
        __m512i a = _mm512_loadu_si512(p + r * j->d->tap_row);
        __m512i b = _mm512_loadu_si512(p + r * j->d->tap_row + 64);
        e[r] = pixel == 16 ? _mm512_shuffle_i64x2(a, b, 0x88) : _mm512_shuffle_i64x2(a, b, 0x44);
        o[r] = pixel == 16 ? _mm512_shuffle_i64x2(a, b, 0xdd) : _mm512_shuffle_i64x2(a, b, 0xee);
    }
    interleave(e, even);
    interleave(o, odd);
}

/* The columns of three taps at one place, interleaved, and what the next place shares with it. */
typedef struct {
    __m512i a[4], b[4], c[4], next[4], next_odd[4];
} columns;

VL_INLINE void copy_4(__m512i to[4], const __m512i from[4]) {
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++)
        to[q] = from[q];
}

VL_INLINE void first_columns(const job *j, columns *k, const uint8_t *in, const int rows,
                             const int stride, const int pixel) {
    if (pixel < 64 && stride == 2)
        load_pairs(j, in, pixel, k->a, k->b);
    else
        load_column(j, in, rows, k->a);
    if (pixel == 64 && stride == 1)
        load_column(j, in + j->d->tap_pixel, rows, k->b);
}

VL_INLINE void load_columns(const job *j, columns *k, const uint8_t *in, const int rows,
                            const int stride, const int pixel) {
    if (pixel == 64) {
        if (stride == 2)
            load_column(j, in + j->d->tap_pixel, rows, k->b);
        load_column(j, in + 2 * j->d->tap_pixel, rows, k->c);
        return;
    }
    if (stride == 2)
        load_pairs(j, in + 128, pixel, k->next, k->next_odd);
    else
        load_column(j, in + 64, rows, k->next);
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++) {
        __m512i one = pixel == 16 ? _mm512_alignr_epi32(k->next[q], k->a[q], 4)
                                  : _mm512_alignr_epi32(k->next[q], k->a[q], 8);
        __m512i two = pixel == 16 ? _mm512_alignr_epi32(k->next[q], k->a[q], 8) : k->next[q];
        if (stride == 1)
            k->b[q] = one;
        k->c[q] = stride == 1 ? two : one;
    }
}

VL_INLINE void next_columns(columns *k, const int stride, const int pixel) {
    if (pixel < 64) {
        copy_4(k->a, k->next);
        if (stride == 2)
            copy_4(k->b, k->next_odd);
    } else if (stride == 2) {
        copy_4(k->a, k->c);
    } else {
        copy_4(k->a, k->b);
        copy_4(k->b, k->c);
    }
}

/* One or two rows of a 3x3 convolution, a pixel of up to 64 channels at a time, or as many narrow
 * ones as fill 64 bytes (pixel: 16 or 32 bytes; 64: one pixel). What is loaded and interleaved
 * serves every output that needs it: columns are kept, narrow pixels are shifted out of two
 * neighbouring registers, and a second row uses the same bytes with the weights moved down by one.
 */
VL_INLINE void rows_3x3(const job *j, const uint8_t *in, uint8_t *out, const uint8_t *residual,
                        int32_t chunk, const int rows, const int stride, const int pixel,
                        const bool quick) {
    const vl_depthwise *d = j->d;
    __m512i w[2][12];
    columns k;
    for (int i = 0; i < 12; i++) {
        w[0][i] = ((const __m512i *)d->weights)[chunk * 12 + i];
        w[1][i] = _mm512_slli_epi32(w[0][i], 8);
    }
    in += 64 * chunk;
    first_columns(j, &k, in, rows, stride, pixel);
    for (int32_t x = 0; x < j->width; x++) {
        load_columns(j, &k, in, rows, stride, pixel);
        int32_t n = j->rest > 0 && x == j->width - 1 ? j->rest : j->channels - 64 * chunk;
#pragma GCC unroll 2
        for (int r = 0; r < rows; r++) {
            __m512i sum[4];
#pragma GCC unroll 4
            for (int q = 0; q < 4; q++) {
                sum[q] = _mm512_setzero_si512();
                DOT(sum[q], k.a[q], w[r][q]);
                DOT(sum[q], k.b[q], w[r][4 + q]);
                DOT(sum[q], k.c[q], w[r][8 + q]);
            }
            if (quick) {
                finish_quick(j, sum, out + r * d->out_row, chunk, n);
            } else {
                const __m512i spilled[4] = {sum[0], sum[1], sum[2], sum[3]};
                finish_general(j, spilled, chunk, out, residual, n);
            }
        }
        next_columns(&k, stride, pixel);
        in += j->in_pixel;
        out += j->out_pixel;
        if (!quick && residual != NULL)
            residual += j->res_pixel;
    }
}

typedef void rows_fn(const job *j, const uint8_t *in, uint8_t *out, const uint8_t *residual,
                     int32_t chunk);

#define ROWS_3X3(rows, stride, pixel)                                                              \
    static void rows_##rows##_##stride##_##pixel(const job *j, const uint8_t *in, uint8_t *out,    \
                                                 const uint8_t *residual, int32_t chunk) {         \
        rows_3x3(j, in, out, residual, chunk, rows, stride, pixel, true);                          \
    }
#define GENERAL_3X3(stride, pixel)                                                                 \
    static void general_##stride##_##pixel(const job *j, const uint8_t *in, uint8_t *out,          \
                                           const uint8_t *residual, int32_t chunk) {               \
        rows_3x3(j, in, out, residual, chunk, 1, stride, pixel, false);                            \
    }
ROWS_3X3(1, 1, 16)
ROWS_3X3(1, 1, 32)
ROWS_3X3(1, 1, 64)
ROWS_3X3(2, 1, 16)
ROWS_3X3(2, 1, 32)
ROWS_3X3(2, 1, 64)
ROWS_3X3(1, 2, 16)
ROWS_3X3(1, 2, 32)
ROWS_3X3(1, 2, 64)
GENERAL_3X3(1, 16)
GENERAL_3X3(1, 32)
GENERAL_3X3(1, 64)
GENERAL_3X3(2, 16)
GENERAL_3X3(2, 32)
GENERAL_3X3(2, 64)

/* NULL: not a 3x3 convolution that these do. */
static rows_fn *rows_function(const job *j, int32_t rows) {
    static rows_fn *const general[2][3] = {{general_1_16, general_1_32, general_1_64},
                                           {general_2_16, general_2_32, general_2_64}};
    static rows_fn *const all[3][3] = {{rows_1_1_16, rows_1_1_32, rows_1_1_64},
                                       {rows_2_1_16, rows_2_1_32, rows_2_1_64},
                                       {rows_1_2_16, rows_1_2_32, rows_1_2_64}};
    const vl_depthwise *d = j->d;
    int32_t stride = d->in_pixel == d->tap_pixel ? 1 : d->in_pixel == 2 * d->tap_pixel ? 2 : 0;
    if (d->kh != 3 || d->kw != 3 || stride == 0 || (rows == 2 && stride == 2))
        return NULL;
    int32_t size = j->together == 1 ? 2 : j->together == 2 ? 1 : j->together == 4 ? 0 : -1;
    if (size < 0 || (rows == 2 && !is_quick(d)))
        return NULL;
    return is_quick(d) ? all[stride == 2 ? 2 : rows - 1][size] : general[stride - 1][size];
}

/* ---------------------------------------------------------------- any size */

static void row(const job *j, const uint8_t *in, uint8_t *out, const uint8_t *residual) {
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

/* Takes as many pixels together as fill 64 channels, when nothing lies between them. */
static void take_together(job *j) {
    const vl_depthwise *d = j->d;
    const vl_finish *f = &d->finish;
    const ptrdiff_t item = f->out_u8 ? 1 : 4;
    int32_t together = 64 % d->channels == 0 ? 64 / d->channels : 1;
    bool two = d->in_pixel == 2 * d->channels && d->tap_pixel == d->channels && d->kh == 3 &&
               d->kw == 3 && (together == 2 || together == 4);
    bool close = (d->in_pixel == d->channels || two) && d->out_pixel == d->channels * item &&
                 (f->residual == NULL || f->res_pixel == d->channels * item);
    j->together = 1;
    if (together == 1 || !close)
        return;
    j->together = together;
    j->channels = 64;
    j->width = (d->width + together - 1) / together;
    j->rest = d->width % together * d->channels;
    j->in_pixel *= together;
    j->out_pixel *= together;
    j->res_pixel *= together;
}

static void depthwise_s8_avx512vnni(const vl_depthwise *d, int32_t y0, int32_t y1) {
    const vl_finish *f = &d->finish;
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
    take_together(&j);
    rows_fn *one = rows_function(&j, 1), *two = rows_function(&j, 2);
    for (int32_t y = y0; y < y1;) {
        const uint8_t *in = d->in + y * d->in_row;
        uint8_t *out = d->out + y * d->out_row;
        const uint8_t *residual =
            f->residual == NULL ? NULL : (const uint8_t *)f->residual + y * f->res_row;
        bool pair = two != NULL && y + 1 < y1 && d->in_row == d->tap_row;
        rows_fn *fn = pair ? two : one;
        if (fn == NULL)
            row(&j, in, out, residual);
        for (int32_t chunk = 0; fn != NULL && 64 * chunk < j.channels; chunk++)
            fn(&j, in, out, residual, chunk);
        y += pair ? 2 : 1;
    }
}

void vl_dsp_init_avx512vnni_dw(vl_dsp *dsp) {
    dsp->dw_s8_level = "avx512vnni";
    dsp->depthwise_four = 1;
    dsp->depthwise_s8 = depthwise_s8_avx512vnni;
}
