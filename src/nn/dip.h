/* SiLU and hard swish into bytes, in whole numbers. Both are ReLU less an even dip around 0:
 *   act(v) = max(v, 0) - c(|v|)      with c(a) = -act(-a), at most 0.28 and 0.38, and 0 far out.
 * A convolution's sums become 16-bit numbers of units that are much finer than the output's steps;
 * c is a straight line on each of 32 parts; one product leads to the output's steps. So no
 * exponential and no division is left, and every level does it in the same few instructions. */
#ifndef VL_NN_DIP_H
#define VL_NN_DIP_H

#include <math.h>
#include <stdint.h>

#define VL_DIP_PARTS 32
#define VL_DIP_SHIFT 8                                    /* a part has 2^8 units */
#define VL_DIP_LIMIT ((VL_DIP_PARTS << VL_DIP_SHIFT) - 1) /* beyond, the dip is as there */

/* For a whole number q, clamped to 16 bits:
 *   a = min(|q|, LIMIT), i = a >> SHIFT
 *   x = max(q, 0) + base[i] + round(a * slope[i])        clamped to 16 bits
 *   y = round(x * factor)
 * where a product is of fixed point, (a * b + 2^14) >> 15. y is not clamped; base has the output's
 * zero in it. No sum but the last can leave 16 bits. */
typedef struct {
    int16_t base[VL_DIP_PARTS], slope[VL_DIP_PARTS];
    int16_t factor;
} vl_dip;

/* For an activation into bytes of this scale and zero. Returns the unit, the real value of q = 1;
 * 0 where act has no dip or the scale is so fine that the parts would be coarse beside it. */
double vl_dip_make(vl_dip *d, uint32_t act, float scale, int32_t zero);

static inline int32_t vl_dip_product(int32_t a, int32_t b) {
    return (a * b + (1 << 14)) >> 15;
}

static inline int32_t vl_dip_apply(const vl_dip *d, float v) {
    v = v > INT16_MIN ? v : INT16_MIN;
    int32_t q = (int32_t)rintf(v < INT16_MAX ? v : INT16_MAX);
    int32_t a = q < 0 ? -q : q;
    a = a < VL_DIP_LIMIT ? a : VL_DIP_LIMIT;
    int32_t x = (q > 0 ? q : 0) + d->base[a >> VL_DIP_SHIFT] +
                vl_dip_product(a, d->slope[a >> VL_DIP_SHIFT]);
    return vl_dip_product(x < INT16_MAX ? x : INT16_MAX, d->factor);
}

#endif
