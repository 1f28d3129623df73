/* NEON rows of pix.h; the same bytes as plain C. Rests shorter than a vector go to plain C, which
 * takes them from the vector loop's end on. */
#include "pix/pix.h"

#include <arm_neon.h>

/* ------------------------------------------------------------------ scaling */

/* (a * w) >> 16 */
static uint16x8_t mul_high(uint16x8_t a, uint16_t w) {
    uint32x4_t lo = vmull_n_u16(vget_low_u16(a), w), hi = vmull_n_u16(vget_high_u16(a), w);
    return vcombine_u16(vshrn_n_u32(lo, 16), vshrn_n_u32(hi, 16));
}

/* Samples at..n by plain C; its kernel cannot start within the rows. */
static void wsum_rest(uint16_t *dst, const void *const *rows, const uint16_t *w, int32_t n_rows,
                      int32_t at, int32_t n, int shift) {
    for (int32_t i = at; i < n; i++) {
        uint32_t sum = vl_pix_wsum_bias(n_rows);
        for (int32_t r = 0; r < n_rows; r++) {
            uint32_t v =
                shift == 8 ? ((const uint8_t *)rows[r])[i] : ((const uint16_t *)rows[r])[i];
            v = shift != 8 && v > 1023 ? 1023 : v;
            sum += v * w[r] >> shift;
        }
        dst[i] = (uint16_t)sum;
    }
}

static void wsum_u8_neon(uint16_t *dst, const void *const *rows, const uint16_t *w, int32_t n_rows,
                         int32_t n) {
    int32_t i = 0;
    for (; i + 32 <= n; i += 32) {
        uint16x8_t a[4];
        for (int k = 0; k < 4; k++)
            a[k] = vdupq_n_u16(vl_pix_wsum_bias(n_rows));
        for (int32_t r = 0; r < n_rows; r++) {
            const uint8_t *row = (const uint8_t *)rows[r] + i;
            uint8x16_t p = vld1q_u8(row), q = vld1q_u8(row + 16);
            a[0] = vaddq_u16(a[0], mul_high(vshll_n_u8(vget_low_u8(p), 8), w[r]));
            a[1] = vaddq_u16(a[1], mul_high(vshll_n_u8(vget_high_u8(p), 8), w[r]));
            a[2] = vaddq_u16(a[2], mul_high(vshll_n_u8(vget_low_u8(q), 8), w[r]));
            a[3] = vaddq_u16(a[3], mul_high(vshll_n_u8(vget_high_u8(q), 8), w[r]));
        }
        for (int k = 0; k < 4; k++)
            vst1q_u16(dst + i + 8 * k, a[k]);
    }
    wsum_rest(dst, rows, w, n_rows, i, n, 8);
}

static void wsum_u16_neon(uint16_t *dst, const void *const *rows, const uint16_t *w, int32_t n_rows,
                          int32_t n) {
    const uint16x8_t top = vdupq_n_u16(1023);
    int32_t i = 0;
    for (; i + 16 <= n; i += 16) {
        uint16x8_t a = vdupq_n_u16(vl_pix_wsum_bias(n_rows)), b = a;
        for (int32_t r = 0; r < n_rows; r++) {
            const uint16_t *row = (const uint16_t *)rows[r] + i;
            uint16x8_t p = vshlq_n_u16(vminq_u16(vld1q_u16(row), top), 6);
            uint16x8_t q = vshlq_n_u16(vminq_u16(vld1q_u16(row + 8), top), 6);
            a = vaddq_u16(a, mul_high(p, w[r]));
            b = vaddq_u16(b, mul_high(q, w[r]));
        }
        vst1q_u16(dst + i, a);
        vst1q_u16(dst + i + 8, b);
    }
    wsum_rest(dst, rows, w, n_rows, i, n, 10);
}

static uint16x8_t low_words(uint32x4_t a, uint32x4_t b) {
    return vreinterpretq_u16_u64(vtrn1q_u64(vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(b)));
}

static uint16x8_t high_words(uint32x4_t a, uint32x4_t b) {
    return vreinterpretq_u16_u64(vtrn2q_u64(vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(b)));
}

/* Two 8x8 transpositions for each 8 columns. */
static void turn_u16_neon(uint16_t *dst, const uint16_t *src, ptrdiff_t stride, int32_t n) {
    for (int32_t i = 0; i < n; i += 8)
        for (int half = 0; half < VL_PIX_ROWS; half += 8) {
            uint32x4_t t[8];
            for (int r = 0; r < 8; r += 2) {
                uint16x8_t a = vld1q_u16(src + (half + r) * stride + i);
                uint16x8_t b = vld1q_u16(src + (half + r + 1) * stride + i);
                t[r] = vreinterpretq_u32_u16(vtrn1q_u16(a, b)); /* columns 0, 2, 4, 6 */
                t[r + 1] = vreinterpretq_u32_u16(vtrn2q_u16(a, b));
            }
            uint16_t *out = dst + i * VL_PIX_ROWS + half;
            for (int c = 0; c < 2; c++) {
                uint32x4_t a = vtrn1q_u32(t[c], t[2 + c]), b = vtrn1q_u32(t[4 + c], t[6 + c]);
                vst1q_u16(out + c * VL_PIX_ROWS, low_words(a, b));
                vst1q_u16(out + (c + 4) * VL_PIX_ROWS, high_words(a, b));
                a = vtrn2q_u32(t[c], t[2 + c]);
                b = vtrn2q_u32(t[4 + c], t[6 + c]);
                vst1q_u16(out + (c + 2) * VL_PIX_ROWS, low_words(a, b));
                vst1q_u16(out + (c + 6) * VL_PIX_ROWS, high_words(a, b));
            }
        }
}

static void taps_u16_neon(uint16_t *dst, const uint16_t *src, const vl_pix_tap *tap,
                          const uint16_t *w, int32_t n, int32_t step, int32_t base) {
    const ptrdiff_t next = (ptrdiff_t)step * VL_PIX_ROWS;
    for (int32_t i = 0; i < n; i++) {
        const uint16_t *s = src + (tap[i].start * step - base) * VL_PIX_ROWS;
        uint16x8_t a = vdupq_n_u16(vl_pix_taps_bias(tap[i].count)), b = a;
        for (int32_t t = 0; t < tap[i].count; t++, s += next) {
            uint16_t weight = w[tap[i].weight + t];
            a = vaddq_u16(a, mul_high(vld1q_u16(s), weight));
            b = vaddq_u16(b, mul_high(vld1q_u16(s + 8), weight));
        }
        vst1q_u16(dst + i * VL_PIX_ROWS, a);
        vst1q_u16(dst + i * VL_PIX_ROWS + 8, b);
    }
}

/* ------------------------------------------------------------------ averages and drawing */

static void sum_u8_neon(uint16_t *sums, const void *row, int32_t n) {
    const uint8_t *s = row;
    int32_t i = 0;
    for (; i + 16 <= n; i += 16) {
        uint8x16_t v = vld1q_u8(s + i);
        vst1q_u16(sums + i, vaddw_u8(vld1q_u16(sums + i), vget_low_u8(v)));
        vst1q_u16(sums + i + 8, vaddw_u8(vld1q_u16(sums + i + 8), vget_high_u8(v)));
    }
    vl_pix_plain.sum_u8(sums + i, s + i, n - i);
}

static void sum_u16_neon(uint16_t *sums, const void *row, int32_t n) {
    const uint16_t *s = row;
    int32_t i = 0;
    for (; i + 8 <= n; i += 8)
        vst1q_u16(sums + i,
                  vaddq_u16(vld1q_u16(sums + i), vminq_u16(vld1q_u16(s + i), vdupq_n_u16(1023))));
    vl_pix_plain.sum_u16(sums + i, s + i, n - i);
}

/* vqrdmulhq is the rounded product with 15 binary places. */
static int16x8_t mix3(const int16_t *a, const int16_t *b, const int16_t *c, const int16_t w[3]) {
    int16x8_t sum = vqrdmulhq_n_s16(vld1q_s16(a), w[0]);
    sum = vaddq_s16(sum, vqrdmulhq_n_s16(vld1q_s16(b), w[1]));
    return vaddq_s16(sum, vqrdmulhq_n_s16(vld1q_s16(c), w[2]));
}

static void mix3_s16_neon(int16_t *dst, const int16_t *a, const int16_t *b, const int16_t *c,
                          const int16_t w[3], int32_t n) {
    int32_t i = 0;
    for (; i + 8 <= n; i += 8)
        vst1q_s16(dst + i, mix3(a + i, b + i, c + i, w));
    vl_pix_plain.mix3_s16(dst + i, a + i, b + i, c + i, w, n - i);
}

static void mix3_u8_neon(void *dst, const int16_t *a, const int16_t *b, const int16_t *c,
                         const int16_t w[3], int32_t n) {
    uint8_t *d = dst;
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint16x8_t sum = vreinterpretq_u16_s16(mix3(a + i, b + i, c + i, w));
        vst1_u8(d + i, vrshrn_n_u16(sum, 7));
    }
    vl_pix_plain.mix3_u8(d + i, a + i, b + i, c + i, w, n - i);
}

static void mix3_u16_neon(void *dst, const int16_t *a, const int16_t *b, const int16_t *c,
                          const int16_t w[3], int32_t n) {
    uint16_t *d = dst;
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint16x8_t sum = vreinterpretq_u16_s16(mix3(a + i, b + i, c + i, w));
        vst1q_u16(d + i, vrshrq_n_u16(sum, 5));
    }
    vl_pix_plain.mix3_u16(d + i, a + i, b + i, c + i, w, n - i);
}

static uint8x8_t blend8(uint8x8_t d, uint8x8_t p, uint8x8_t alpha) {
    uint16x8_t a = vmovl_u8(alpha);
    a = vsraq_n_u16(a, a, 7);
    uint16x8_t rest = vsubq_u16(vdupq_n_u16(256), a);
    uint16x8_t sum = vmulq_u16(vmovl_u8(d), rest);
    sum = vmlaq_u16(sum, vmovl_u8(p), a);
    return vrshrn_n_u16(sum, 8);
}

static void blend_u8_neon(void *dst, const void *paint, const uint8_t *alpha, int32_t n) {
    uint8_t *d = dst;
    const uint8_t *p = paint;
    int32_t i = 0;
    for (; i + 16 <= n; i += 16) {
        uint8x16_t dd = vld1q_u8(d + i), pp = vld1q_u8(p + i), aa = vld1q_u8(alpha + i);
        uint8x8_t lo = blend8(vget_low_u8(dd), vget_low_u8(pp), vget_low_u8(aa));
        uint8x8_t hi = blend8(vget_high_u8(dd), vget_high_u8(pp), vget_high_u8(aa));
        vst1q_u8(d + i, vcombine_u8(lo, hi));
    }
    vl_pix_plain.blend_u8(d + i, p + i, alpha + i, n - i);
}

static uint16x4_t blend4(uint16x4_t d, uint16x4_t p, uint16x4_t a) {
    uint32x4_t sum = vmull_u16(d, vsub_u16(vdup_n_u16(256), a));
    return vrshrn_n_u32(vmlal_u16(sum, p, a), 8);
}

static void blend_u16_neon(void *dst, const void *paint, const uint8_t *alpha, int32_t n) {
    uint16_t *d = dst;
    const uint16_t *p = paint;
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint16x8_t old = vld1q_u16(d + i), pp = vld1q_u16(p + i);
        uint16x8_t a = vmovl_u8(vld1_u8(alpha + i)), dd = vminq_u16(old, vdupq_n_u16(1023));
        uint16x8_t keep = vceqq_u16(a, vdupq_n_u16(0));
        a = vsraq_n_u16(a, a, 7);
        uint16x8_t mixed =
            vcombine_u16(blend4(vget_low_u16(dd), vget_low_u16(pp), vget_low_u16(a)),
                         blend4(vget_high_u16(dd), vget_high_u16(pp), vget_high_u16(a)));
        vst1q_u16(d + i, vbslq_u16(keep, old, mixed));
    }
    vl_pix_plain.blend_u16(d + i, p + i, alpha + i, n - i);
}

static void alpha_half_neon(uint8_t *dst, const uint8_t *a, const uint8_t *b, int32_t n) {
    int32_t i = 0;
    for (; i + 16 <= n; i += 16) {
        uint8x16_t p = vmaxq_u8(vld1q_u8(a + 2 * i), vld1q_u8(b + 2 * i));
        uint8x16_t q = vmaxq_u8(vld1q_u8(a + 2 * i + 16), vld1q_u8(b + 2 * i + 16));
        vst1q_u8(dst + i, vpmaxq_u8(p, q));
    }
    vl_pix_plain.alpha_half(dst + i, a + 2 * i, b + 2 * i, n - i);
}

void vl_pix_init_neon(vl_pix *pix) {
    pix->level = "neon";
    pix->wsum_u8 = wsum_u8_neon;
    pix->wsum_u16 = wsum_u16_neon;
    pix->turn_u16 = turn_u16_neon;
    pix->taps_u16 = taps_u16_neon;
    pix->sum_u8 = sum_u8_neon;
    pix->sum_u16 = sum_u16_neon;
    pix->mix3_s16 = mix3_s16_neon;
    pix->mix3_u8 = mix3_u8_neon;
    pix->mix3_u16 = mix3_u16_neon;
    pix->blend_u8 = blend_u8_neon;
    pix->blend_u16 = blend_u16_neon;
    pix->alpha_half = alpha_half_neon;
}
