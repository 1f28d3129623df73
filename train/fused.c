/* Batch norm and ReLU of training in one pass each way, for bfloat16 maps with channels last.
 * PyTorch on a CPU takes four passes with narrower vectors, which is half of a training step on
 * thin networks. Compiled by fused.py at first use; not part of the program or the library. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
#define TILE  256 /* rows whose sums are kept in float; beyond that they are added in double */

typedef float vf __attribute__((vector_size(4 * LANES)));
typedef int32_t vi __attribute__((vector_size(4 * LANES)));
typedef uint32_t vu __attribute__((vector_size(4 * LANES)));
typedef uint16_t vh __attribute__((vector_size(2 * LANES)));

static inline vf load(const uint16_t *p) {
    vh h;
    memcpy(&h, p, sizeof h);
    vu u = __builtin_convertvector(h, vu) << 16;
    return (vf)u;
}

static inline void store(uint16_t *p, vf v) { /* rounded to nearest even */
    vu u = (vu)v;
    u += 0x7fff + ((u >> 16) & 1);
    vh h = __builtin_convertvector(u >> 16, vh);
    memcpy(p, &h, sizeof h);
}

static inline vf loadf(const float *p) {
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void add_to(double *sum, vf v) {
    for (int k = 0; k < LANES; k++)
        sum[k] += (double)v[k];
}

/* sums[c] and squares[c] over all rows; channels is a multiple of 16. */
void veil_bn_sums(const uint16_t *x, size_t rows, size_t channels, double *sums, double *squares) {
    memset(sums, 0, channels * sizeof *sums);
    memset(squares, 0, channels * sizeof *squares);
    for (size_t r0 = 0; r0 < rows; r0 += TILE) {
        size_t r1 = r0 + TILE < rows ? r0 + TILE : rows;
        for (size_t c = 0; c < channels; c += LANES) {
            vf s0 = {0}, q0 = {0}, s1 = {0}, q1 = {0};
            size_t r = r0;
            for (; r + 2 <= r1; r += 2) {
                vf a = load(x + r * channels + c), b = load(x + (r + 1) * channels + c);
                s0 += a, q0 += a * a, s1 += b, q1 += b * b;
            }
            if (r < r1) {
                vf a = load(x + r * channels + c);
                s0 += a, q0 += a * a;
            }
            add_to(sums + c, s0 + s1);
            add_to(squares + c, q0 + q1);
        }
    }
}

/* y = max(0, x * scale + shift), and + add when that is not NULL. */
void veil_bn_relu(const uint16_t *x, const uint16_t *add, uint16_t *y, size_t rows, size_t channels,
                  const float *scale, const float *shift) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0, i = r * channels; c < channels; c += LANES, i += LANES) {
            vf v = load(x + i) * loadf(scale + c) + loadf(shift + c);
            v = (vf)((vi)v & (v > 0));
            store(y + i, add ? v + load(add + i) : v);
        }
}

/* Sums over rows of g = dy where the ReLU was open, and of g * x. */
void veil_bn_relu_sums(const uint16_t *x, const uint16_t *dy, size_t rows, size_t channels,
                       const float *scale, const float *shift, double *sums, double *products) {
    memset(sums, 0, channels * sizeof *sums);
    memset(products, 0, channels * sizeof *products);
    for (size_t r0 = 0; r0 < rows; r0 += TILE) {
        size_t r1 = r0 + TILE < rows ? r0 + TILE : rows;
        for (size_t c = 0; c < channels; c += LANES) {
            vf s = {0}, q = {0}, a = loadf(scale + c), b = loadf(shift + c);
            for (size_t r = r0; r < r1; r++) {
                vf v = load(x + r * channels + c), g = load(dy + r * channels + c);
                g = (vf)((vi)g & (v * a + b > 0));
                s += g, q += g * v;
            }
            add_to(sums + c, s);
            add_to(products + c, q);
        }
    }
}

/* dx = g * scale + x * m + n, the gradient of batch norm with its means folded into m and n. */
void veil_bn_relu_back(const uint16_t *x, const uint16_t *dy, uint16_t *dx, size_t rows,
                       size_t channels, const float *scale, const float *shift, const float *m,
                       const float *n) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0, i = r * channels; c < channels; c += LANES, i += LANES) {
            vf v = load(x + i), g = load(dy + i), a = loadf(scale + c);
            g = (vf)((vi)g & (v * a + loadf(shift + c) > 0));
            store(dx + i, g * a + v * loadf(m + c) + loadf(n + c));
        }
}
