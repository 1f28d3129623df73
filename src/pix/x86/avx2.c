/* AVX2 rows of pix.h; the same bytes as plain C. A rest shorter than a vector is done as one more
 * whole vector that ends with the row and overlaps the one before; where that changes memory in
 * place, it is loaded before the first store. Rows shorter than a vector go to plain C. */
#include "pix/pix.h"

#include <immintrin.h>
#include <string.h>

static __m256i load(const void *p) {
    return _mm256_loadu_si256((const __m256i *)p);
}

static void store(void *p, __m256i v) {
    _mm256_storeu_si256((__m256i *)p, v);
}

/* ------------------------------------------------------------------ scaling */

/* 64 bytes of every row, summed; levels enter the multiplication as 8.8 words. */
static void wsum_block_u8(uint16_t *dst, const void *const *rows, const uint16_t *w, int32_t n_rows,
                          int32_t at) {
    const __m256i zero = _mm256_setzero_si256();
    __m256i a0 = _mm256_set1_epi16((short)vl_pix_wsum_bias(n_rows));
    __m256i a1 = a0, a2 = a0, a3 = a0;
    for (int32_t r = 0; r < n_rows; r++) {
        const uint8_t *row = (const uint8_t *)rows[r] + at;
        __m256i weight = _mm256_set1_epi16((short)w[r]);
        __m256i p = load(row), q = load(row + 32);
        a0 = _mm256_add_epi16(a0, _mm256_mulhi_epu16(_mm256_unpacklo_epi8(zero, p), weight));
        a1 = _mm256_add_epi16(a1, _mm256_mulhi_epu16(_mm256_unpackhi_epi8(zero, p), weight));
        a2 = _mm256_add_epi16(a2, _mm256_mulhi_epu16(_mm256_unpacklo_epi8(zero, q), weight));
        a3 = _mm256_add_epi16(a3, _mm256_mulhi_epu16(_mm256_unpackhi_epi8(zero, q), weight));
    }
    store(dst + at, _mm256_permute2x128_si256(a0, a1, 0x20));
    store(dst + at + 16, _mm256_permute2x128_si256(a0, a1, 0x31));
    store(dst + at + 32, _mm256_permute2x128_si256(a2, a3, 0x20));
    store(dst + at + 48, _mm256_permute2x128_si256(a2, a3, 0x31));
}

static void wsum_u8_avx2(uint16_t *dst, const void *const *rows, const uint16_t *w, int32_t n_rows,
                         int32_t n) {
    if (n < 64) {
        vl_pix_plain.wsum_u8(dst, rows, w, n_rows, n);
        return;
    }
    for (int32_t i = 0; i + 64 <= n; i += 64)
        wsum_block_u8(dst, rows, w, n_rows, i);
    if (n % 64 != 0)
        wsum_block_u8(dst, rows, w, n_rows, n - 64);
}

static void wsum_block_u16(uint16_t *dst, const void *const *rows, const uint16_t *w,
                           int32_t n_rows, int32_t at) {
    const __m256i top = _mm256_set1_epi16(1023);
    __m256i a0 = _mm256_set1_epi16((short)vl_pix_wsum_bias(n_rows));
    __m256i a1 = a0;
    for (int32_t r = 0; r < n_rows; r++) {
        const uint16_t *row = (const uint16_t *)rows[r] + at;
        __m256i weight = _mm256_set1_epi16((short)w[r]);
        __m256i p = _mm256_slli_epi16(_mm256_min_epu16(load(row), top), 6);
        __m256i q = _mm256_slli_epi16(_mm256_min_epu16(load(row + 16), top), 6);
        a0 = _mm256_add_epi16(a0, _mm256_mulhi_epu16(p, weight));
        a1 = _mm256_add_epi16(a1, _mm256_mulhi_epu16(q, weight));
    }
    store(dst + at, a0);
    store(dst + at + 16, a1);
}

static void wsum_u16_avx2(uint16_t *dst, const void *const *rows, const uint16_t *w, int32_t n_rows,
                          int32_t n) {
    if (n < 32) {
        vl_pix_plain.wsum_u16(dst, rows, w, n_rows, n);
        return;
    }
    for (int32_t i = 0; i + 32 <= n; i += 32)
        wsum_block_u16(dst, rows, w, n_rows, i);
    if (n % 32 != 0)
        wsum_block_u16(dst, rows, w, n_rows, n - 32);
}

/* Two 8x8 transpositions at once: rows 0..7 in the low lanes, 8..15 in the high ones. */
static void turn_u16_avx2(uint16_t *dst, const uint16_t *src, ptrdiff_t stride, int32_t n) {
    for (int32_t i = 0; i < n; i += 8) {
        __m256i v[8], t[8];
        for (int r = 0; r < 8; r++) {
            const uint16_t *lo = src + r * stride + i, *hi = lo + 8 * stride;
            v[r] = _mm256_inserti128_si256(
                _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)lo)),
                _mm_loadu_si128((const __m128i *)(const void *)hi), 1);
        }
        for (int r = 0; r < 4; r++) {
            t[2 * r] = _mm256_unpacklo_epi16(v[2 * r], v[2 * r + 1]);
            t[2 * r + 1] = _mm256_unpackhi_epi16(v[2 * r], v[2 * r + 1]);
        }
        for (int h = 0; h < 2; h++) {
            v[h] = _mm256_unpacklo_epi32(t[h], t[2 + h]);
            v[2 + h] = _mm256_unpackhi_epi32(t[h], t[2 + h]);
            v[4 + h] = _mm256_unpacklo_epi32(t[4 + h], t[6 + h]);
            v[6 + h] = _mm256_unpackhi_epi32(t[4 + h], t[6 + h]);
        }
        /* v[0]: columns 0,1 of rows 0..3, v[2]: columns 2,3, v[1] and v[3]: columns 4..7. */
        static const int from[4] = {0, 2, 1, 3};
        for (int c = 0; c < 4; c++) {
            __m256i a = v[from[c]], b = v[from[c] + 4];
            store(dst + (i + 2 * c) * VL_PIX_ROWS, _mm256_unpacklo_epi64(a, b));
            store(dst + (i + 2 * c + 1) * VL_PIX_ROWS, _mm256_unpackhi_epi64(a, b));
        }
    }
}

static void taps_u16_avx2(uint16_t *dst, const uint16_t *src, const vl_pix_tap *tap,
                          const uint16_t *w, int32_t n, int32_t step, int32_t base) {
    const ptrdiff_t next = (ptrdiff_t)step * VL_PIX_ROWS;
    for (int32_t i = 0; i < n; i++) {
        int32_t count = tap[i].count;
        const uint16_t *s = src + (tap[i].start * step - base) * VL_PIX_ROWS;
        const uint16_t *weight = w + tap[i].weight;
        __m256i sum = _mm256_set1_epi16((short)vl_pix_taps_bias(count));
        for (int32_t t = 0; t < count; t++, s += next)
            sum = _mm256_add_epi16(
                sum, _mm256_mulhi_epu16(load(s), _mm256_set1_epi16((short)weight[t])));
        store(dst + i * VL_PIX_ROWS, sum);
    }
}

/* ------------------------------------------------------------------ colour */

/* Four columns of 16 rows as words 0..255 become four pixels in each row. */
static void put_rgbx(uint8_t *dst, ptrdiff_t stride, const __m256i r[4], const __m256i g[4],
                     const __m256i b[4]) {
    __m256i lo[4], hi[4];
    for (int c = 0; c < 4; c++) {
        __m256i rg = _mm256_or_si256(r[c], _mm256_slli_epi16(g[c], 8));
        lo[c] = _mm256_unpacklo_epi16(rg, b[c]); /* rows 0..3 and 8..11 */
        hi[c] = _mm256_unpackhi_epi16(rg, b[c]); /* rows 4..7 and 12..15 */
    }
    for (int half = 0; half < 2; half++) {
        const __m256i *p = half == 0 ? lo : hi;
        __m256i a0 = _mm256_unpacklo_epi32(p[0], p[1]), a1 = _mm256_unpackhi_epi32(p[0], p[1]);
        __m256i b0 = _mm256_unpacklo_epi32(p[2], p[3]), b1 = _mm256_unpackhi_epi32(p[2], p[3]);
        __m256i row[4] = {_mm256_unpacklo_epi64(a0, b0), _mm256_unpackhi_epi64(a0, b0),
                          _mm256_unpacklo_epi64(a1, b1), _mm256_unpackhi_epi64(a1, b1)};
        for (int k = 0; k < 4; k++) {
            uint8_t *d = dst + (4 * half + k) * stride;
            _mm_storeu_si128((__m128i *)(void *)d, _mm256_castsi256_si128(row[k]));
            _mm_storeu_si128((__m128i *)(void *)(d + 8 * stride),
                             _mm256_extracti128_si256(row[k], 1));
        }
    }
}

/* The same where fewer than 16 rows or 4 columns are wanted. */
static void put_rgbx_part(uint8_t *dst, ptrdiff_t stride, int32_t n_rows, int32_t n,
                          const __m256i r[4], const __m256i g[4], const __m256i b[4]) {
    uint8_t whole[VL_PIX_ROWS][16];
    put_rgbx(whole[0], 16, r, g, b);
    for (int32_t k = 0; k < n_rows; k++)
        memcpy(dst + k * stride, whole[k], (size_t)n * 4);
}

static __m256i clip(__m256i v) {
    v = _mm256_max_epi16(v, _mm256_setzero_si256());
    return _mm256_min_epi16(v, _mm256_set1_epi16(255));
}

static void yuv_rgbx_avx2(uint8_t *dst, ptrdiff_t stride, int32_t n_rows, int32_t n,
                          const uint16_t *y, const uint16_t *u, const uint16_t *v,
                          const vl_pix_colour *c) {
    const __m256i flip = _mm256_set1_epi16((short)0x8000);
    const __m256i y_gain = _mm256_set1_epi16((short)c->y_gain), y_off = _mm256_set1_epi16(c->y_off);
    const __m256i rv = _mm256_set1_epi16(c->rv), bu = _mm256_set1_epi16(c->bu);
    const __m256i gu = _mm256_set1_epi16(c->gu), gv = _mm256_set1_epi16(c->gv);
    for (int32_t i = 0; i < n; i += 4) {
        int32_t left = n - i < 4 ? n - i : 4;
        __m256i r[4], g[4], b[4];
        for (int32_t k = 0; k < 4; k++) {
            ptrdiff_t at = (ptrdiff_t)(i + (k < left ? k : 0)) * VL_PIX_ROWS;
            __m256i y6 = _mm256_sub_epi16(_mm256_mulhi_epu16(load(y + at), y_gain), y_off);
            __m256i u8 = _mm256_xor_si256(load(u + at), flip);
            __m256i v8 = _mm256_xor_si256(load(v + at), flip);
            __m256i green = _mm256_sub_epi16(y6, _mm256_mulhrs_epi16(u8, gu));
            green = _mm256_sub_epi16(green, _mm256_mulhrs_epi16(v8, gv));
            /* Saturation at 511 is past white already. */
            __m256i red = _mm256_adds_epi16(y6, _mm256_mulhrs_epi16(v8, rv));
            __m256i blue = _mm256_adds_epi16(y6, _mm256_mulhrs_epi16(u8, bu));
            r[k] = clip(_mm256_srai_epi16(red, 6));
            g[k] = clip(_mm256_srai_epi16(green, 6));
            b[k] = clip(_mm256_srai_epi16(blue, 6));
        }
        if (left == 4 && n_rows == VL_PIX_ROWS)
            put_rgbx(dst + 4 * (ptrdiff_t)i, stride, r, g, b);
        else
            put_rgbx_part(dst + 4 * (ptrdiff_t)i, stride, n_rows, left, r, g, b);
    }
}

/* (v + 128) >> 8, at most 255 */
static __m256i level_of(__m256i v) {
    return _mm256_srli_epi16(_mm256_adds_epu16(v, _mm256_set1_epi16(128)), 8);
}

static void rgb_rgbx_avx2(uint8_t *dst, ptrdiff_t stride, int32_t n_rows, int32_t n,
                          const uint16_t *r, const uint16_t *g, const uint16_t *b) {
    for (int32_t i = 0; i < n; i += 4) {
        int32_t left = n - i < 4 ? n - i : 4;
        __m256i rr[4], gg[4], bb[4];
        for (int32_t k = 0; k < 4; k++) {
            ptrdiff_t at = (ptrdiff_t)(i + (k < left ? k : 0)) * VL_PIX_ROWS;
            rr[k] = level_of(load(r + at));
            gg[k] = level_of(load(g + at));
            bb[k] = level_of(load(b + at));
        }
        if (left == 4 && n_rows == VL_PIX_ROWS)
            put_rgbx(dst + 4 * (ptrdiff_t)i, stride, rr, gg, bb);
        else
            put_rgbx_part(dst + 4 * (ptrdiff_t)i, stride, n_rows, left, rr, gg, bb);
    }
}

/* ------------------------------------------------------------------ averages */

static __m256i widen(const uint8_t *p) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)p));
}

static void sum_u8_avx2(uint16_t *sums, const void *row, int32_t n) {
    const uint8_t *s = row;
    if (n < 16) {
        vl_pix_plain.sum_u8(sums, row, n);
        return;
    }
    __m256i last = _mm256_add_epi16(load(sums + n - 16), widen(s + n - 16));
    for (int32_t i = 0; i + 16 <= n; i += 16)
        store(sums + i, _mm256_add_epi16(load(sums + i), widen(s + i)));
    store(sums + n - 16, last);
}

static void sum_u16_avx2(uint16_t *sums, const void *row, int32_t n) {
    const uint16_t *s = row;
    const __m256i top = _mm256_set1_epi16(1023);
    if (n < 16) {
        vl_pix_plain.sum_u16(sums, row, n);
        return;
    }
    __m256i last = _mm256_add_epi16(load(sums + n - 16), _mm256_min_epu16(load(s + n - 16), top));
    for (int32_t i = 0; i + 16 <= n; i += 16)
        store(sums + i, _mm256_add_epi16(load(sums + i), _mm256_min_epu16(load(s + i), top)));
    store(sums + n - 16, last);
}

/* ------------------------------------------------------------------ drawing */

static __m256i mix3(const int16_t *a, const int16_t *b, const int16_t *c, const __m256i w[3]) {
    __m256i sum = _mm256_mulhrs_epi16(load(a), w[0]);
    sum = _mm256_add_epi16(sum, _mm256_mulhrs_epi16(load(b), w[1]));
    return _mm256_add_epi16(sum, _mm256_mulhrs_epi16(load(c), w[2]));
}

static void mix3_s16_avx2(int16_t *dst, const int16_t *a, const int16_t *b, const int16_t *c,
                          const int16_t w[3], int32_t n) {
    const __m256i ww[3] = {_mm256_set1_epi16(w[0]), _mm256_set1_epi16(w[1]),
                           _mm256_set1_epi16(w[2])};
    if (n < 16) {
        vl_pix_plain.mix3_s16(dst, a, b, c, w, n);
        return;
    }
    for (int32_t i = 0; i < n; i += 16) {
        int32_t at = i + 16 <= n ? i : n - 16;
        store(dst + at, mix3(a + at, b + at, c + at, ww));
    }
}

static void mix3_u8_avx2(void *dst, const int16_t *a, const int16_t *b, const int16_t *c,
                         const int16_t w[3], int32_t n) {
    const __m256i ww[3] = {_mm256_set1_epi16(w[0]), _mm256_set1_epi16(w[1]),
                           _mm256_set1_epi16(w[2])};
    const __m256i half = _mm256_set1_epi16(64);
    uint8_t *d = dst;
    if (n < 32) {
        vl_pix_plain.mix3_u8(dst, a, b, c, w, n);
        return;
    }
    for (int32_t i = 0; i < n; i += 32) {
        int32_t at = i + 32 <= n ? i : n - 32;
        __m256i lo = mix3(a + at, b + at, c + at, ww);
        __m256i hi = mix3(a + at + 16, b + at + 16, c + at + 16, ww);
        lo = _mm256_srli_epi16(_mm256_add_epi16(lo, half), 7);
        hi = _mm256_srli_epi16(_mm256_add_epi16(hi, half), 7);
        store(d + at, _mm256_permute4x64_epi64(_mm256_packus_epi16(lo, hi), 0xd8));
    }
}

static void mix3_u16_avx2(void *dst, const int16_t *a, const int16_t *b, const int16_t *c,
                          const int16_t w[3], int32_t n) {
    const __m256i ww[3] = {_mm256_set1_epi16(w[0]), _mm256_set1_epi16(w[1]),
                           _mm256_set1_epi16(w[2])};
    const __m256i half = _mm256_set1_epi16(16);
    uint16_t *d = dst;
    if (n < 16) {
        vl_pix_plain.mix3_u16(dst, a, b, c, w, n);
        return;
    }
    for (int32_t i = 0; i < n; i += 16) {
        int32_t at = i + 16 <= n ? i : n - 16;
        __m256i sum = _mm256_add_epi16(mix3(a + at, b + at, c + at, ww), half);
        store(d + at, _mm256_srli_epi16(sum, 5));
    }
}

/* (d * (256 - a) + p * a + 128) >> 8 for words; a from alpha 0..255 to 0..256 */
static __m256i blend_words(__m256i d, __m256i p, __m256i alpha) {
    __m256i a = _mm256_add_epi16(alpha, _mm256_srli_epi16(alpha, 7));
    __m256i rest = _mm256_sub_epi16(_mm256_set1_epi16(256), a);
    __m256i sum = _mm256_add_epi16(_mm256_mullo_epi16(d, rest), _mm256_mullo_epi16(p, a));
    return _mm256_srli_epi16(_mm256_add_epi16(sum, _mm256_set1_epi16(128)), 8);
}

static __m256i blend32_u8(const uint8_t *d, const uint8_t *p, const uint8_t *alpha) {
    const __m256i zero = _mm256_setzero_si256();
    __m256i dd = load(d), pp = load(p), aa = load(alpha);
    __m256i lo = blend_words(_mm256_unpacklo_epi8(dd, zero), _mm256_unpacklo_epi8(pp, zero),
                             _mm256_unpacklo_epi8(aa, zero));
    __m256i hi = blend_words(_mm256_unpackhi_epi8(dd, zero), _mm256_unpackhi_epi8(pp, zero),
                             _mm256_unpackhi_epi8(aa, zero));
    return _mm256_packus_epi16(lo, hi);
}

static void blend_u8_avx2(void *dst, const void *paint, const uint8_t *alpha, int32_t n) {
    uint8_t *d = dst;
    const uint8_t *p = paint;
    if (n < 32) {
        vl_pix_plain.blend_u8(dst, paint, alpha, n);
        return;
    }
    __m256i last = blend32_u8(d + n - 32, p + n - 32, alpha + n - 32);
    for (int32_t i = 0; i + 32 <= n; i += 32)
        store(d + i, blend32_u8(d + i, p + i, alpha + i));
    store(d + n - 32, last);
}

static __m256i blend16_u16(const uint16_t *d, const uint16_t *p, const uint8_t *alpha) {
    const __m256i half = _mm256_set1_epi32(128);
    __m256i old = load(d), pp = load(p), a = widen(alpha);
    __m256i dd = _mm256_min_epu16(old, _mm256_set1_epi16(1023));
    __m256i keep = _mm256_cmpeq_epi16(a, _mm256_setzero_si256());
    a = _mm256_add_epi16(a, _mm256_srli_epi16(a, 7));
    __m256i rest = _mm256_sub_epi16(_mm256_set1_epi16(256), a);
    __m256i lo = _mm256_madd_epi16(_mm256_unpacklo_epi16(dd, pp), _mm256_unpacklo_epi16(rest, a));
    __m256i hi = _mm256_madd_epi16(_mm256_unpackhi_epi16(dd, pp), _mm256_unpackhi_epi16(rest, a));
    lo = _mm256_srli_epi32(_mm256_add_epi32(lo, half), 8);
    hi = _mm256_srli_epi32(_mm256_add_epi32(hi, half), 8);
    return _mm256_blendv_epi8(_mm256_packus_epi32(lo, hi), old, keep);
}

static void blend_u16_avx2(void *dst, const void *paint, const uint8_t *alpha, int32_t n) {
    uint16_t *d = dst;
    const uint16_t *p = paint;
    if (n < 16) {
        vl_pix_plain.blend_u16(dst, paint, alpha, n);
        return;
    }
    __m256i last = blend16_u16(d + n - 16, p + n - 16, alpha + n - 16);
    for (int32_t i = 0; i + 16 <= n; i += 16)
        store(d + i, blend16_u16(d + i, p + i, alpha + i));
    store(d + n - 16, last);
}

/* No fused multiply-add: plain C rounds after each operation. */
static void alpha_row_avx2(uint8_t *alpha, const float *d2, float add, float inv, int32_t n) {
    const __m256 one = _mm256_set1_ps(1), zero = _mm256_setzero_ps();
    if (n < 8) {
        vl_pix_plain.alpha_row(alpha, d2, add, inv, n);
        return;
    }
    for (int32_t i = 0; i < n; i += 8) {
        int32_t at = i + 8 <= n ? i : n - 8;
        __m256 t = _mm256_add_ps(_mm256_loadu_ps(d2 + at), _mm256_set1_ps(add));
        t = _mm256_mul_ps(t, _mm256_set1_ps(inv));
        t = _mm256_min_ps(_mm256_max_ps(t, zero), one); /* not a number: 0, hidden */
        __m256 fall = _mm256_sub_ps(_mm256_set1_ps(3), _mm256_mul_ps(_mm256_set1_ps(2), t));
        fall = _mm256_mul_ps(_mm256_mul_ps(t, t), fall);
        fall = _mm256_sub_ps(_mm256_set1_ps(255.5f), _mm256_mul_ps(_mm256_set1_ps(255), fall));
        __m256i level = _mm256_cvttps_epi32(fall);
        __m128i words =
            _mm_packs_epi32(_mm256_castsi256_si128(level), _mm256_extracti128_si256(level, 1));
        __m128i a = _mm_packus_epi16(words, words);
        __m128i old = _mm_loadl_epi64((const __m128i *)(const void *)(alpha + at));
        _mm_storel_epi64((__m128i *)(void *)(alpha + at), _mm_max_epu8(a, old));
    }
}

static void alpha_half_avx2(uint8_t *dst, const uint8_t *a, const uint8_t *b, int32_t n) {
    const __m256i low = _mm256_set1_epi16(255);
    if (n < 32) {
        vl_pix_plain.alpha_half(dst, a, b, n);
        return;
    }
    for (int32_t i = 0; i < n; i += 32) {
        int32_t at = i + 32 <= n ? i : n - 32;
        __m256i p = _mm256_max_epu8(load(a + 2 * at), load(b + 2 * at));
        __m256i q = _mm256_max_epu8(load(a + 2 * at + 32), load(b + 2 * at + 32));
        p = _mm256_and_si256(_mm256_max_epu8(p, _mm256_srli_epi16(p, 8)), low);
        q = _mm256_and_si256(_mm256_max_epu8(q, _mm256_srli_epi16(q, 8)), low);
        store(dst + at, _mm256_permute4x64_epi64(_mm256_packus_epi16(p, q), 0xd8));
    }
}

void vl_pix_init_avx2(vl_pix *pix) {
    pix->level = "avx2";
    pix->wsum_u8 = wsum_u8_avx2;
    pix->wsum_u16 = wsum_u16_avx2;
    pix->turn_u16 = turn_u16_avx2;
    pix->taps_u16 = taps_u16_avx2;
    pix->yuv_rgbx = yuv_rgbx_avx2;
    pix->rgb_rgbx = rgb_rgbx_avx2;
    pix->sum_u8 = sum_u8_avx2;
    pix->sum_u16 = sum_u16_avx2;
    pix->mix3_s16 = mix3_s16_avx2;
    pix->mix3_u8 = mix3_u8_avx2;
    pix->mix3_u16 = mix3_u16_avx2;
    pix->blend_u8 = blend_u8_avx2;
    pix->blend_u16 = blend_u16_avx2;
    pix->alpha_row = alpha_row_avx2;
    pix->alpha_half = alpha_half_avx2;
}
