/* Passes over pixels for conv.c: batch norm and ReLU both ways, sums, and the rearrangements that
 * the matrix unit wants. */
#include "conv.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Asks the kernel for the tile registers; 0 where it has none. */
int veil_conv_ready(void) {
    return syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* XTILEDATA */) == 0;
}

void *veil_scratch(int slot, size_t bytes) {
    static _Thread_local struct {
        void *p;
        size_t bytes;
    } s[20];
    if (bytes > s[slot].bytes) {
        free(s[slot].p);
        s[slot].bytes = (bytes + bytes / 4 + 4095) / 4096 * 4096;
        s[slot].p = aligned_alloc(4096, s[slot].bytes);
        if (!s[slot].p)
            abort();
        memset(s[slot].p, 0, s[slot].bytes);
    }
    return s[slot].p;
}

static inline __m512 load(const uint16_t *p) {
    __m256i h = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

static inline void store(uint16_t *p, __m512 v) {
    _mm256_storeu_si256((__m256i *)(void *)p, (__m256i)_mm512_cvtneps_pbh(v));
}

static inline void store2(uint16_t *p, __m512 a, __m512 b) {
    _mm512_storeu_si512(p, (__m512i)_mm512_cvtne2ps_pbh(b, a));
}

/* Two pixels of an odd number of 16 channels are handled as one where they lie side by side. */
static int doubled(long ld, long pixels, long channels) {
    return channels % 32 != 0 && ld == channels && pixels % 2 == 0;
}

/* sigmoid(sharp v), to 12 bits: what is stored of it has eight. */
static inline __m512 gate(__m512 v, float sharp) {
    __m512 t = _mm512_mul_ps(v, _mm512_set1_ps(-1.44269504f * sharp)); /* exp(-sharp v) = 2^t */
    t = _mm512_min_ps(_mm512_max_ps(t, _mm512_set1_ps(-100)), _mm512_set1_ps(100));
    __m512 whole = _mm512_roundscale_ps(t, 0);
    __m512 f = _mm512_sub_ps(t, whole), p = _mm512_set1_ps(0.0555041f);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.2402265f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.6931472f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1));
    return _mm512_rcp14_ps(_mm512_add_ps(_mm512_scalef_ps(p, whole), _mm512_set1_ps(1)));
}

static inline __m512 norm(const uint16_t *z, const uint16_t *add, const float *scale,
                          const float *shift, float sharp) {
    __m512 v = _mm512_fmadd_ps(load(z), _mm512_loadu_ps(scale), _mm512_loadu_ps(shift));
    v = sharp > 0 ? _mm512_mul_ps(v, gate(v, sharp)) : _mm512_max_ps(v, _mm512_setzero_ps());
    return add ? _mm512_add_ps(v, load(add)) : v;
}

void veil_norm(const uint16_t *z, const uint16_t *add, long ldadd, uint16_t *y, long ldy,
               long pixels, long channels, const float *scale, const float *shift, float sharp) {
    if (doubled(ldy, pixels, channels) && (!add || ldadd == channels))
        pixels /= 2, channels *= 2, ldy *= 2, ldadd *= 2;
    for (long i = 0; i < pixels; i++, z += channels, y += ldy) {
        const uint16_t *a = add ? add + i * ldadd : NULL;
        long c = 0;
        for (; c + 32 <= channels; c += 32)
            store2(y + c, norm(z + c, a ? a + c : a, scale + c, shift + c, sharp),
                   norm(z + c + 16, a ? a + c + 16 : a, scale + c + 16, shift + c + 16, sharp));
        if (c < channels)
            store(y + c, norm(z + c, a ? a + c : a, scale + c, shift + c, sharp));
    }
}

/* dy times the slope of the activation. */
static inline __m512 open(__m512 z, const uint16_t *dy, const float *scale, const float *shift,
                          float sharp) {
    __m512 v = _mm512_fmadd_ps(z, _mm512_loadu_ps(scale), _mm512_loadu_ps(shift));
    if (sharp > 0) { /* s + sharp v s (1 - s) */
        __m512 s = gate(v, sharp), one = _mm512_set1_ps(1);
        __m512 k = _mm512_mul_ps(_mm512_mul_ps(v, _mm512_set1_ps(sharp)), _mm512_sub_ps(one, s));
        return _mm512_mul_ps(load(dy), _mm512_fmadd_ps(k, s, s));
    }
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_GT_OQ), load(dy));
}

static inline __m512 norm_back(const uint16_t *z, const uint16_t *dy, const float *scale,
                               const float *shift, const float *m, const float *c, float sharp) {
    __m512 v = load(z), g = open(v, dy, scale, shift, sharp);
    v = _mm512_fmadd_ps(v, _mm512_loadu_ps(m), _mm512_loadu_ps(c));
    return _mm512_fmadd_ps(g, _mm512_loadu_ps(scale), v);
}

void veil_norm_back(const uint16_t *z, const uint16_t *dy, long lddy, uint16_t *dz, long pixels,
                    long channels, const float *scale, const float *shift, const float *m,
                    const float *c, float sharp) {
    if (doubled(lddy, pixels, channels))
        pixels /= 2, channels *= 2, lddy *= 2;
    for (long i = 0; i < pixels; i++, z += channels, dy += lddy, dz += channels) {
        long k = 0;
        for (; k + 32 <= channels; k += 32)
            store2(dz + k, norm_back(z + k, dy + k, scale + k, shift + k, m + k, c + k, sharp),
                   norm_back(z + k + 16, dy + k + 16, scale + k + 16, shift + k + 16, m + k + 16,
                             c + k + 16, sharp));
        if (k < channels)
            store(dz + k, norm_back(z + k, dy + k, scale + k, shift + k, m + k, c + k, sharp));
    }
}

/* Adds g and g * z of 16 channels of some pixels to two rows of sums. */
static inline void add_open(const uint16_t *z, long ldz, const uint16_t *dy, long lddy, long pixels,
                            const float *scale, const float *shift, float sharp, float *sums,
                            float *products) {
    __m512 s = _mm512_loadu_ps(sums), q = _mm512_loadu_ps(products);
    for (long i = 0; i < pixels; i++) {
        __m512 v = load(z + i * ldz), g = open(v, dy + i * lddy, scale, shift, sharp);
        s = _mm512_add_ps(s, g), q = _mm512_fmadd_ps(g, v, q);
    }
    _mm512_storeu_ps(sums, s), _mm512_storeu_ps(products, q);
}

void veil_norm_sums(const uint16_t *z, const uint16_t *dy, long lddy, long pixels, long channels,
                    const float *scale, const float *shift, float sharp, double *total) {
    long own = channels;
    if (doubled(lddy, pixels, channels))
        pixels /= 2, channels *= 2, lddy *= 2;
    float *sums = veil_scratch(17, (size_t)(2 * channels) * sizeof *sums);
    memset(sums, 0, (size_t)(2 * channels) * sizeof *sums);
    memset(total, 0, (size_t)(2 * own) * sizeof *total);
    for (long i = 0; i < pixels; i += 8) {
        long rows = pixels - i < 8 ? pixels - i : 8;
        for (long c = 0; c < channels; c += 16)
            if (rows == 8)
                add_open(z + i * channels + c, channels, dy + i * lddy + c, lddy, 8, scale + c,
                         shift + c, sharp, sums + c, sums + channels + c);
            else
                add_open(z + i * channels + c, channels, dy + i * lddy + c, lddy, rows, scale + c,
                         shift + c, sharp, sums + c, sums + channels + c);
        if (i % 512 && i + 8 < pixels)
            continue;
        for (long c = 0; c < channels; c++) {
            total[c % own] += (double)sums[c];
            total[own + c % own] += (double)sums[channels + c];
        }
        memset(sums, 0, (size_t)(2 * channels) * sizeof *sums);
    }
}

/* ---- rearrangements ------------------------------------------------------------------------ */

static const uint16_t PAIR[32]
    __attribute__((aligned(64))) = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                    8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};

/* 16 channels of two pixels, side by side. */
static inline __m512i pair(const uint16_t *a, const uint16_t *b, __m512i order) {
    __m512i v = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(const void *)a));
    v = _mm512_inserti64x4(v, _mm256_loadu_si256((const __m256i *)(const void *)b), 1);
    return _mm512_permutexvar_epi16(order, v);
}

void veil_pairs(const uint16_t *x, long ld, long pixels, long pairs, uint16_t *to) {
    __m512i order = _mm512_load_si512(PAIR);
    long k = 0;
    for (; k < pairs && 2 * k + 2 <= pixels; k++)
        _mm512_store_si512(to + 32 * k, pair(x + 2 * k * ld, x + (2 * k + 1) * ld, order));
    for (; k < pairs; k++) {
        uint16_t two[32] = {0};
        if (2 * k < pixels)
            memcpy(two, x + 2 * k * ld, 32);
        _mm512_store_si512(to + 32 * k, pair(two, two + 16, order));
    }
}

/* 16 channels of 32 pixels. */
static void transpose(const uint16_t *x, long ld, uint16_t *to) {
    __m512i order = _mm512_load_si512(PAIR), r[16], t[16];
    for (int i = 0; i < 16; i++)
        r[i] = pair(x + 2 * i * ld, x + (2 * i + 1) * ld, order);
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) { /* r[i + j], lane l: channel 4 l + j of pairs i..i+3 */
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int j = 0; j < 4; j++) {
        __m512i a = _mm512_shuffle_i32x4(r[j], r[4 + j], 0x88);
        __m512i b = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0x88);
        __m512i c = _mm512_shuffle_i32x4(r[j], r[4 + j], 0xdd);
        __m512i d = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0xdd);
        _mm512_store_si512(to + 32 * j, _mm512_shuffle_i32x4(a, b, 0x88));
        _mm512_store_si512(to + 32 * (4 + j), _mm512_shuffle_i32x4(c, d, 0x88));
        _mm512_store_si512(to + 32 * (8 + j), _mm512_shuffle_i32x4(a, b, 0xdd));
        _mm512_store_si512(to + 32 * (12 + j), _mm512_shuffle_i32x4(c, d, 0xdd));
    }
}

void veil_transposed(const uint16_t *x, long channels, long pixels, uint16_t *to) {
    long p = 0;
    for (; p + 32 <= pixels; p += 32)
        for (long c = 0; c < channels; c += 16, to += 512)
            transpose(x + p * channels + c, channels, to);
    if (p == pixels)
        return;
    uint16_t last[32 * 16];
    for (long c = 0; c < channels; c += 16, to += 512) {
        memset(last, 0, sizeof last);
        for (long i = 0; p + i < pixels; i++)
            memcpy(last + 16 * i, x + (p + i) * channels + c, 32);
        transpose(last, 16, to);
    }
}

/* ---- the stem ------------------------------------------------------------------------------ */

int veil_stem_weight(const VeilConv *v, long a, long b, long lane) {
    long ky = 2 * a + lane / 6, kx = 2 * b + lane % 6 / 3;
    return lane < 12 && ky < 3 && kx < 3 ? (int)(ky * v->wy + kx * v->wx + lane % 3 * v->wi) : -1;
}

/* One row of pixels into lanes 0-5 or 6-11 of the padded row; pixel x stands at column x + 1. */
static void stem_row(const VeilConv *v, long p, uint16_t *to) {
    const float *f = (const float *)(const void *)v->x + p * 3;
    const uint8_t *u = (const uint8_t *)v->x + p * 3;
    static uint16_t table[256]; /* the same whoever fills it */
    if (!table[255])
        for (int i = 0; i < 256; i++) {
            uint16_t h[16];
            store(h, _mm512_set1_ps((float)i / 255));
            table[i] = h[0];
        }
    uint16_t *row = veil_scratch(18, (size_t)(3 * v->w + 64) * 2);
    long all = 3 * v->w, i = 0;
    row[0] = row[1] = row[2] = 0;
    if (v->stem == 2)
        for (; i < all; i++)
            row[3 + i] = table[u[i]];
    else
        for (; i < all; i += 16) {
            __mmask16 m = (__mmask16)(all - i >= 16 ? 0xffff : (1 << (all - i)) - 1);
            store(row + 3 + i, _mm512_maskz_loadu_ps(m, f + i));
        }
    memset(row + 3 + all, 0, 32);
    for (i = 0; i <= v->wo; i++)
        memcpy(to + 16 * i, row + 6 * i, 12);
}

void veil_stem_rows(const VeilConv *v, long picture, long pictures, long y0, long rows, long pitch,
                    uint16_t *to) {
    long end = pictures * (rows + 1) * pitch + pitch + 2 * SLACK;
    memset(to, 0, (size_t)(end * 16) * 2);
    for (long j = 0; j < pictures; j++)
        for (long r = 0; r <= rows; r++)
            for (long d = 0; d < 2; d++) {
                long y = 2 * (y0 + r) + d - 1;
                if (y >= 0 && y < v->h)
                    stem_row(v, ((picture + j) * v->h + y) * v->w,
                             to + (j * (rows + 1) + r) * pitch * 16 + 6 * d);
            }
}

/* ---- the neck ------------------------------------------------------------------------------ */

void veil_up_beside(const uint16_t *a, const uint16_t *b, uint16_t *out, long n, long h, long w,
                    long ca, long cb) {
    for (long y = 0; y < n * 2 * h; y++)
        for (long x = 0; x < 2 * w; x++, out += ca + cb, b += cb) {
            memcpy(out, a + (y / 2 * w + x / 2) * ca, (size_t)ca * 2);
            memcpy(out + ca, b, (size_t)cb * 2);
        }
}

void veil_up_back(const uint16_t *d, long ld, uint16_t *da, long n, long h, long w, long ca) {
    for (long y = 0; y < n * h; y++)
        for (long x = 0; x < w; x++, da += ca) {
            const uint16_t *p = d + (2 * y * 2 * w + 2 * x) * ld, *q = p + 2 * w * ld;
            for (long c = 0; c < ca; c += 16) {
                __m512 s = _mm512_add_ps(load(p + c), load(p + ld + c));
                __m512 t = _mm512_add_ps(load(q + c), load(q + ld + c));
                store(da + c, _mm512_add_ps(s, t));
            }
        }
}
