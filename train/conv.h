/* What conv.c (convolutions as matrix products) and convrows.c (passes over pixels) share. */
#ifndef VEIL_TRAIN_CONV_H
#define VEIL_TRAIN_CONV_H

#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SLACK 96 /* pixels behind a padded map that may be read */

/* One layer, the same as in conv.py. Maps are [n][height][width][channels] of bfloat16; ld... is
 * the distance of two pixels; z and y are ho x wo. w... are the distances of a weight's axes. */
typedef struct {
    const uint16_t *x;
    const float *weight, *gamma, *beta;
    float *mean_out, *var_out; /* NULL: no running statistics */
    const uint16_t *add;       /* or NULL */
    uint16_t *z, *y;
    float *params; /* scale and shift twice over, mean, 1/deviation: 6 co */
    const uint16_t *dy;
    uint16_t *dx;         /* or NULL */
    const uint16_t *plus; /* what dx gets added, or NULL */
    float *dw, *dgamma, *dbeta;
    int64_t n, h, w, ci, co, k, s, ho, wo, ldx, ldy, ldadd, lddy, lddx, ldplus, wo_, wi, wy, wx;
    int64_t stem; /* x has three channels: 1 of float, 2 of bytes */
    float momentum, eps;
    float sharp; /* the activation is v sigmoid(sharp v), SiLU with 1; 0: ReLU */
} VeilConv;

int veil_conv_ready(void);
/* out = a at twice the size (nearest), beside it b; and the gradient of a: sums of 2x2 pixels. */
void veil_up_beside(const uint16_t *a, const uint16_t *b, uint16_t *out, long n, long h, long w,
                    long ca, long cb);
void veil_up_back(const uint16_t *d, long ld, uint16_t *da, long n, long h, long w, long ca);
void veil_conv_forward(const VeilConv *v);
void veil_conv_backward(const VeilConv *v);

/* Memory of this thread that stays until a later call wants more; never given back. */
void *veil_scratch(int slot, size_t bytes);

/* y = act(z * scale + shift) (+ add); z is dense. Parameters lie twice behind each other. */
void veil_norm(const uint16_t *z, const uint16_t *add, long ldadd, uint16_t *y, long ldy,
               long pixels, long channels, const float *scale, const float *shift, float sharp);
/* dz = g * scale + z * m + c with g = dy times the activation's slope; z and dz are dense. */
void veil_norm_back(const uint16_t *z, const uint16_t *dy, long lddy, uint16_t *dz, long pixels,
                    long channels, const float *scale, const float *shift, const float *m,
                    const float *c, float sharp);
/* Sums of g over the pixels, then of g * z. */
void veil_norm_sums(const uint16_t *z, const uint16_t *dy, long lddy, long pixels, long channels,
                    const float *scale, const float *shift, float sharp, double *total);

/* [pixels][channels] -> [pixels/32][channels/16][16][32], zeros behind the last pixel. */
void veil_transposed(const uint16_t *x, long channels, long pixels, uint16_t *to);
/* 16 channels of pixels 2k and 2k+1 (zeros from `pixels` on) -> [pairs][16][2]. */
void veil_pairs(const uint16_t *x, long ld, long pixels, long pairs, uint16_t *to);

/* 2x2 pixels of three channels become one of 16 (four are zero), padded. */
void veil_stem_rows(const VeilConv *v, long picture, long pictures, long y0, long rows, long pitch,
                    uint16_t *to);
/* Where the weight of channel `lane` of the pixel (a, b) lies; -1: none. */
int veil_stem_weight(const VeilConv *v, long a, long b, long lane);

#endif
