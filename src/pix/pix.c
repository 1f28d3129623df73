/* See pix.h. Plain C, the definition of right; instruction sets overwrite entries of the table. */
#include "pix/pix.h"

#include "veil.h"

static void wsum_u8_c(uint16_t *dst, const void *const *rows, const uint16_t *w, int32_t n_rows,
                      int32_t n) {
    uint16_t bias = vl_pix_wsum_bias(n_rows);
    for (int32_t i = 0; i < n; i++)
        dst[i] = bias;
    for (int32_t r = 0; r < n_rows; r++) {
        const uint8_t *row = rows[r];
        uint32_t weight = w[r];
        for (int32_t i = 0; i < n; i++)
            dst[i] = (uint16_t)(dst[i] + (row[i] * weight >> 8));
    }
}

static void wsum_u16_c(uint16_t *dst, const void *const *rows, const uint16_t *w, int32_t n_rows,
                       int32_t n) {
    uint16_t bias = vl_pix_wsum_bias(n_rows);
    for (int32_t i = 0; i < n; i++)
        dst[i] = bias;
    for (int32_t r = 0; r < n_rows; r++) {
        const uint16_t *row = rows[r];
        uint32_t weight = w[r];
        for (int32_t i = 0; i < n; i++) {
            uint32_t v = row[i] < 1023 ? row[i] : 1023;
            dst[i] = (uint16_t)(dst[i] + (v * weight >> 10));
        }
    }
}

static void turn_u16_c(uint16_t *dst, const uint16_t *src, ptrdiff_t stride, int32_t n) {
    for (int32_t i = 0; i < n; i++)
        for (int r = 0; r < VL_PIX_ROWS; r++)
            dst[i * VL_PIX_ROWS + r] = src[r * stride + i];
}

static void taps_u16_c(uint16_t *dst, const uint16_t *src, const vl_pix_tap *tap, const uint16_t *w,
                       int32_t n, int32_t step, int32_t base) {
    for (int32_t i = 0; i < n; i++) {
        uint32_t sum[VL_PIX_ROWS];
        for (int r = 0; r < VL_PIX_ROWS; r++)
            sum[r] = vl_pix_taps_bias(tap[i].count);
        for (int32_t t = 0; t < tap[i].count; t++) {
            const uint16_t *s = src + ((tap[i].start + t) * step - base) * VL_PIX_ROWS;
            uint32_t weight = w[tap[i].weight + t];
            for (int r = 0; r < VL_PIX_ROWS; r++)
                sum[r] += s[r] * weight >> 16;
        }
        for (int r = 0; r < VL_PIX_ROWS; r++)
            dst[i * VL_PIX_ROWS + r] = (uint16_t)sum[r];
    }
}

static uint8_t clip_u8(int32_t v) {
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* a * b with 15 binary places, rounded, as vpmulhrsw */
static int32_t mulhrs(int32_t a, int32_t b) {
    return (a * b + (1 << 14)) >> 15;
}

static void yuv_rgbx_c(uint8_t *dst, ptrdiff_t stride, int32_t n_rows, int32_t n, const uint16_t *y,
                       const uint16_t *u, const uint16_t *v, const vl_pix_colour *c) {
    for (int32_t r = 0; r < n_rows; r++) {
        uint8_t *out = dst + r * stride;
        for (int32_t i = 0; i < n; i++) {
            int32_t k = i * VL_PIX_ROWS + r;
            int32_t y6 = (int32_t)((uint32_t)y[k] * c->y_gain >> 16) - c->y_off;
            int32_t u8 = u[k] - 32768, v8 = v[k] - 32768; /* 8 binary places */
            out[4 * i] = clip_u8((y6 + mulhrs(v8, c->rv)) >> 6);
            out[4 * i + 1] = clip_u8((y6 - mulhrs(u8, c->gu) - mulhrs(v8, c->gv)) >> 6);
            out[4 * i + 2] = clip_u8((y6 + mulhrs(u8, c->bu)) >> 6);
            out[4 * i + 3] = 0;
        }
    }
}

static void rgb_rgbx_c(uint8_t *dst, ptrdiff_t stride, int32_t n_rows, int32_t n, const uint16_t *r,
                       const uint16_t *g, const uint16_t *b) {
    for (int32_t row = 0; row < n_rows; row++) {
        uint8_t *out = dst + row * stride;
        for (int32_t i = 0; i < n; i++) {
            int32_t k = i * VL_PIX_ROWS + row;
            out[4 * i] = clip_u8((r[k] + 128) >> 8);
            out[4 * i + 1] = clip_u8((g[k] + 128) >> 8);
            out[4 * i + 2] = clip_u8((b[k] + 128) >> 8);
            out[4 * i + 3] = 0;
        }
    }
}

static void sum_u8_c(uint16_t *sums, const void *row, int32_t n) {
    const uint8_t *s = row;
    for (int32_t i = 0; i < n; i++)
        sums[i] = (uint16_t)(sums[i] + s[i]);
}

static void sum_u16_c(uint16_t *sums, const void *row, int32_t n) {
    const uint16_t *s = row;
    for (int32_t i = 0; i < n; i++)
        sums[i] = (uint16_t)(sums[i] + (s[i] < 1023 ? s[i] : 1023));
}

static int32_t mix3(int16_t a, int16_t b, int16_t c, const int16_t w[3]) {
    return mulhrs(a, w[0]) + mulhrs(b, w[1]) + mulhrs(c, w[2]);
}

static void mix3_s16_c(int16_t *dst, const int16_t *a, const int16_t *b, const int16_t *c,
                       const int16_t w[3], int32_t n) {
    for (int32_t i = 0; i < n; i++)
        dst[i] = (int16_t)mix3(a[i], b[i], c[i], w);
}

static void mix3_u8_c(void *dst, const int16_t *a, const int16_t *b, const int16_t *c,
                      const int16_t w[3], int32_t n) {
    uint8_t *d = dst;
    for (int32_t i = 0; i < n; i++)
        d[i] = (uint8_t)((mix3(a[i], b[i], c[i], w) + 64) >> 7);
}

static void mix3_u16_c(void *dst, const int16_t *a, const int16_t *b, const int16_t *c,
                       const int16_t w[3], int32_t n) {
    uint16_t *d = dst;
    for (int32_t i = 0; i < n; i++)
        d[i] = (uint16_t)((mix3(a[i], b[i], c[i], w) + 16) >> 5);
}

static void blend_u8_c(void *dst, const void *paint, const uint8_t *alpha, int32_t n) {
    uint8_t *d = dst;
    const uint8_t *p = paint;
    for (int32_t i = 0; i < n; i++) {
        int32_t a = alpha[i] + (alpha[i] >> 7); /* 0..256 */
        d[i] = (uint8_t)((d[i] * (256 - a) + p[i] * a + 128) >> 8);
    }
}

static void blend_u16_c(void *dst, const void *paint, const uint8_t *alpha, int32_t n) {
    uint16_t *d = dst;
    const uint16_t *p = paint;
    for (int32_t i = 0; i < n; i++) {
        int32_t a = alpha[i] + (alpha[i] >> 7);
        int32_t v = d[i] < 1023 ? d[i] : 1023;
        if (a != 0)
            d[i] = (uint16_t)((v * (256 - a) + p[i] * a + 128) >> 8);
    }
}

static void alpha_row_c(uint8_t *alpha, const float *d2, float add, float inv, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        float t = (d2[i] + add) * inv;
        t = t > 0.0f ? t : 0.0f;
        t = t < 1.0f ? t : 1.0f;
        float fall = t * t * (3.0f - 2.0f * t);
        uint8_t a = (uint8_t)(255.5f - 255.0f * fall);
        alpha[i] = a > alpha[i] ? a : alpha[i];
    }
}

static void alpha_half_c(uint8_t *dst, const uint8_t *a, const uint8_t *b, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        uint8_t x = a[2 * i] > a[2 * i + 1] ? a[2 * i] : a[2 * i + 1];
        uint8_t y = b[2 * i] > b[2 * i + 1] ? b[2 * i] : b[2 * i + 1];
        dst[i] = x > y ? x : y;
    }
}

const vl_pix vl_pix_plain = {
    .level = "c",
    .wsum_u8 = wsum_u8_c,
    .wsum_u16 = wsum_u16_c,
    .turn_u16 = turn_u16_c,
    .taps_u16 = taps_u16_c,
    .yuv_rgbx = yuv_rgbx_c,
    .rgb_rgbx = rgb_rgbx_c,
    .sum_u8 = sum_u8_c,
    .sum_u16 = sum_u16_c,
    .mix3_s16 = mix3_s16_c,
    .mix3_u8 = mix3_u8_c,
    .mix3_u16 = mix3_u16_c,
    .blend_u8 = blend_u8_c,
    .blend_u16 = blend_u16_c,
    .alpha_row = alpha_row_c,
    .alpha_half = alpha_half_c,
};

void vl_pix_init(vl_pix *pix, uint32_t cpu_levels) {
    *pix = vl_pix_plain;
#if defined(__x86_64__)
    if ((cpu_levels & VEIL_CPU_AVX2) != 0)
        vl_pix_init_avx2(pix);
#elif defined(__aarch64__)
    if ((cpu_levels & VEIL_CPU_NEON) != 0)
        vl_pix_init_neon(pix);
#else
    (void)cpu_levels;
#endif
}
