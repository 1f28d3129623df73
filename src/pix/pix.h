/* Pixel kernels: scaling, colour, averaging, blending of rows. Integer arithmetic (alpha_row:
 * single floats in a fixed order), so that every level gives the same bytes as plain C.
 *
 * "Turned" buffers are (N, 16) words: 16 picture rows side by side for each of N columns, so that
 * a horizontal filter of any ratio is a sum of whole vectors. Words of scaled pictures hold levels
 * 0..255 with 8 binary places. Rows of the caller's picture are never read or written past n;
 * turned buffers and rows of ours come from vl_mem_alloc. */
#ifndef VL_PIX_H
#define VL_PIX_H

#include <stddef.h>
#include <stdint.h>

#define VL_PIX_ROWS 16 /* rows of a turned buffer */

/* Sources of one target sample: count of them from start on, weights from weight on. */
typedef struct {
    int32_t start, count, weight;
} vl_pix_tap;

/* YUV to RGB: y_gain/4 in 16 binary places, y_off in 1/64 levels with the rounding taken off, the
 * others /4 in 15 binary places. */
typedef struct {
    uint16_t y_gain;
    int16_t y_off, rv, gu, gv, bu;
} vl_pix_colour;

typedef struct {
    const char *level;

    /* dst[i] = bias + sum over rows of (row[i] as 8.8 level) * w >> 16; bias makes up for the
     * truncation. The weights' sum is at most 65536. */
    void (*wsum_u8)(uint16_t *dst, const void *const *rows, const uint16_t *w, int32_t n_rows,
                    int32_t n);
    /* The same for 10-bit samples; more than 1023 counts as 1023. */
    void (*wsum_u16)(uint16_t *dst, const void *const *rows, const uint16_t *w, int32_t n_rows,
                     int32_t n);
    /* Turns 16 rows of n words (n a multiple of 8, stride in words) into (n, 16). */
    void (*turn_u16)(uint16_t *dst, const uint16_t *src, ptrdiff_t stride, int32_t n);
    /* dst (n, 16): each column the weighted sum of src columns (start + t) * step - base. */
    void (*taps_u16)(uint16_t *dst, const uint16_t *src, const vl_pix_tap *tap, const uint16_t *w,
                     int32_t n, int32_t step, int32_t base);
    /* Turned (n, 16) to n_rows rows of n pixels R,G,B,0; stride in bytes. */
    void (*yuv_rgbx)(uint8_t *dst, ptrdiff_t stride, int32_t n_rows, int32_t n, const uint16_t *y,
                     const uint16_t *u, const uint16_t *v, const vl_pix_colour *c);
    void (*rgb_rgbx)(uint8_t *dst, ptrdiff_t stride, int32_t n_rows, int32_t n, const uint16_t *r,
                     const uint16_t *g, const uint16_t *b);

    /* sums[i] += row[i]; the caller empties sums before they can overflow. */
    void (*sum_u8)(uint16_t *sums, const void *row, int32_t n);
    /* sums[i] += min(row[i], 1023) */
    void (*sum_u16)(uint16_t *sums, const void *row, int32_t n);
    /* Three rows mixed: (a*w0 >> 15) + (b*w1 >> 15) + (c*w2 >> 15), each rounded. Works with rows
     * as weights too. Inputs and the result are 0..32767. */
    void (*mix3_s16)(int16_t *dst, const int16_t *a, const int16_t *b, const int16_t *c,
                     const int16_t w[3], int32_t n);
    /* The same rounded to samples: levels with 7 (u8) or 5 (u16) binary places. */
    void (*mix3_u8)(void *dst, const int16_t *a, const int16_t *b, const int16_t *c,
                    const int16_t w[3], int32_t n);
    void (*mix3_u16)(void *dst, const int16_t *a, const int16_t *b, const int16_t *c,
                     const int16_t w[3], int32_t n);
    /* dst moved towards paint by alpha 0..255: 0 leaves the sample, 255 gives paint exactly. */
    void (*blend_u8)(void *dst, const void *paint, const uint8_t *alpha, int32_t n);
    /* Samples of 10 bits; more than 1023 counts as 1023 where alpha is not 0. */
    void (*blend_u16)(void *dst, const void *paint, const uint8_t *alpha, int32_t n);
    /* alpha[i] = max(alpha[i], soft edge at (d2[i] + add) * inv): 255 up to 0, falling as
     * smoothstep, 0 from 1 on. */
    void (*alpha_row)(uint8_t *alpha, const float *d2, float add, float inv, int32_t n);
    /* dst[i] = max of a[2i], a[2i+1], b[2i], b[2i+1] */
    void (*alpha_half)(uint8_t *dst, const uint8_t *a, const uint8_t *b, int32_t n);
} vl_pix;

/* Fills the table for these VEIL_CPU_* levels. */
void vl_pix_init(vl_pix *pix, uint32_t cpu_levels);

/* Plain C, the definition of right. */
extern const vl_pix vl_pix_plain;

/* Each overwrites what it does better. */
#if defined(__x86_64__)
void vl_pix_init_avx2(vl_pix *pix);
#elif defined(__aarch64__)
void vl_pix_init_neon(vl_pix *pix);
#endif

/* Part of the contract of the sums: what is added for n truncated terms. At most 32 and 16, so that
 * a full 10-bit white stays under 65536. */
static inline uint16_t vl_pix_wsum_bias(int32_t n) {
    return (uint16_t)(n / 2 < 32 ? n / 2 : 32);
}
static inline uint16_t vl_pix_taps_bias(int32_t n) {
    return (uint16_t)(n / 2 < 16 ? n / 2 : 16);
}

#endif
