/* Activations on one float: the definition that every vector kernel repeats operation by operation
 * (fused multiply-adds included), so that integer results agree to the last bit at all levels. */
#ifndef VL_NN_ACT_H
#define VL_NN_ACT_H

#include "format.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* e^x = 2^n * e^r with |r| <= ln(2)/2; Cephes' polynomial, about 1 ulp. x is cut at +-87. */
#define VL_EXP_CUT   87.0f
#define VL_EXP_LOG2E 1.44269504f
#define VL_EXP_LN2HI (-0.693359375f)
#define VL_EXP_LN2LO 2.12194440e-4f
#define VL_EXP_P0    1.9875691500e-4f
#define VL_EXP_P1    1.3981999507e-3f
#define VL_EXP_P2    8.3334519073e-3f
#define VL_EXP_P3    4.1665795894e-2f
#define VL_EXP_P4    1.6666665459e-1f
#define VL_EXP_P5    5.0000001201e-1f

static inline float vl_act_exp(float x) {
    x = x > -VL_EXP_CUT ? x : -VL_EXP_CUT;
    x = x < VL_EXP_CUT ? x : VL_EXP_CUT;
    float n = rintf(x * VL_EXP_LOG2E);
    float r = fmaf(n, VL_EXP_LN2LO, fmaf(n, VL_EXP_LN2HI, x));
    float p = fmaf(VL_EXP_P0, r, VL_EXP_P1);
    p = fmaf(p, r, VL_EXP_P2);
    p = fmaf(p, r, VL_EXP_P3);
    p = fmaf(p, r, VL_EXP_P4);
    p = fmaf(p, r, VL_EXP_P5);
    p = fmaf(p, r * r, r) + 1.0f;
    int32_t power = ((int32_t)n + 127) << 23;
    float two_n;
    memcpy(&two_n, &power, sizeof two_n);
    return p * two_n;
}

/* low when v is not a number */
static inline float vl_act_clamp(float v, float low, float high) {
    v = v > low ? v : low;
    return v < high ? v : high;
}

static inline float vl_act_apply(float v, uint32_t act, float a, float b) {
    switch (act) {
    case VL_FMT_ACT_RELU:
        return v > 0.0f ? v : 0.0f;
    case VL_FMT_ACT_LEAKY:
        return v > 0.0f ? v : v * a;
    case VL_FMT_ACT_CLIP:
        return vl_act_clamp(v, a, b);
    case VL_FMT_ACT_SILU:
        return v / (1.0f + vl_act_exp(-v));
    case VL_FMT_ACT_SIGMOID:
        return 1.0f / (1.0f + vl_act_exp(-v));
    case VL_FMT_ACT_HSWISH:
        return v * vl_act_clamp(fmaf(v, 1.0f / 6.0f, 0.5f), 0.0f, 1.0f);
    case VL_FMT_ACT_HSIGMOID:
        return vl_act_clamp(fmaf(v, a, b), 0.0f, 1.0f);
    default:
        return v;
    }
}

#endif
