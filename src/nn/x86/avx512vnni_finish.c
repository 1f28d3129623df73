/* The end of convolutions whose sums lie in memory: all of AMX's, and the rarer ones (residuals,
 * activations, floats) of AVX-512 VNNI, so that not every tile function has a copy of it. */
#include "nn/x86/avx512vnni_finish.h"

VL_INLINE void finish_some(const vl_conv *c, const vl_chunk *k, const quick_finish *q,
                           const int32_t *sums, uint8_t *out, const uint8_t *residual,
                           const int pixels, const int blocks, const bool adds, const bool dips) {
    __m512i acc[4][4];
#pragma GCC unroll 4
    for (int i = 0; i < pixels; i++) {
#pragma GCC unroll 4
        for (int b = 0; b < blocks; b++)
            acc[i][b] = _mm512_load_si512(sums + 16 * (i * blocks + b));
    }
    finish_quick(c, k, q, acc, out, residual, pixels, blocks, adds, dips);
}

/* n pixels that follow each other. */
VL_INLINE void finish_all(const vl_conv *c, const vl_chunk *k, const int32_t *sums, uint8_t *out,
                          const uint8_t *residual, int32_t n, const int blocks, const bool adds,
                          const bool dips) {
    const quick_finish q = quick_constants(&c->finish, k, blocks, adds, dips);
    int32_t i = 0;
    for (; i + 4 <= n; i += 4)
        finish_some(c, k, &q, sums + 16 * i * blocks, out + i * c->out_pixel,
                    adds ? residual + i * c->finish.res_pixel : NULL, 4, blocks, adds, dips);
    for (; i < n; i++)
        finish_some(c, k, &q, sums + 16 * i * blocks, out + i * c->out_pixel,
                    adds ? residual + i * c->finish.res_pixel : NULL, 1, blocks, adds, dips);
}

#define FINISH(blocks)                                                                             \
    static void finish_##blocks(const vl_conv *c, const vl_chunk *k, const int32_t *sums,          \
                                uint8_t *out, const uint8_t *residual, int32_t n) {                \
        if (residual == NULL && c->finish.dip == NULL)                                             \
            finish_all(c, k, sums, out, NULL, n, blocks, false, false);                            \
        else if (residual == NULL)                                                                 \
            finish_all(c, k, sums, out, NULL, n, blocks, false, true);                             \
        else if (c->finish.dip == NULL)                                                            \
            finish_all(c, k, sums, out, residual, n, blocks, true, false);                         \
        else                                                                                       \
            finish_all(c, k, sums, out, residual, n, blocks, true, true);                          \
    }
FINISH(1)
FINISH(2)
FINISH(3)
FINISH(4)

void vl_finish_sums_512(const vl_conv *c, const vl_chunk *k, const int32_t *sums, uint8_t *out,
                        const uint8_t *residual, int32_t n) {
    static void (*const quick[4])(const vl_conv *, const vl_chunk *, const int32_t *, uint8_t *,
                                  const uint8_t *,
                                  int32_t) = {finish_1, finish_2, finish_3, finish_4};
    if (c->finish.quick)
        quick[k->blocks - 1](c, k, sums, out, residual, n);
    else
        finish_general(c, k, (const __m512i *)(const void *)sums, out, residual, n, k->blocks);
}
