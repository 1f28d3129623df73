/* See dip.h. Only operations whose results are the same on every machine make the table. */
#include "dip.h"

#include "act.h"

#define FACTOR_LEAST 256   /* 255 steps fit 16 bits */
#define FACTOR_MOST  4096  /* a step has 8 units: rounding to those adds little to its own */
#define REST         0.125 /* steps that the dip may be cut off at */
#define GAP          0.5   /* steps between the dip and the chord of a part, at most */

typedef struct {
    uint32_t act;
    double scale, unit;
} curve;

/* The dip at |v| = a, in output steps. */
static double depth(const curve *c, double a) {
    return -(double)vl_act_apply((float)-a, c->act, 0.0f, 0.0f) / c->scale;
}

static double unit_of(int32_t factor, double scale) {
    return factor * scale / 32768.0;
}

/* Part i's line has the slope of its chord and the mean that Simpson's rule gives the dip. The last
 * one ends at 0. Returns the gap between dip and chord. */
static double fit(const curve *c, int32_t i, int32_t zero, vl_dip *d) {
    const int32_t width = 1 << VL_DIP_SHIFT;
    const double left = i * width * c->unit, right = left + width * c->unit;
    const double at_left = depth(c, left), middle = depth(c, (left + right) / 2.0);
    const double at_right = i + 1 < VL_DIP_PARTS ? depth(c, right) : 0.0;
    const double steps = 32768.0 / d->factor; /* units of a step */
    const double slope = (at_right - at_left) * steps / width;
    const double mean = (at_left + 4.0 * middle + at_right) / 6.0 * steps;
    d->slope[i] = (int16_t)rint(-slope * 32768.0);
    d->base[i] = (int16_t)rint(zero * steps - mean + slope * (i + 0.5) * width);
    return fabs(middle - (at_left + at_right) / 2.0);
}

double vl_dip_make(vl_dip *d, uint32_t act, float scale, int32_t zero) {
    if (act != VL_FMT_ACT_SILU && act != VL_FMT_ACT_HSWISH)
        return 0.0;
    curve c = {.act = act, .scale = (double)scale};
    int32_t factor = FACTOR_LEAST;
    while (factor <= FACTOR_MOST && depth(&c, unit_of(factor, c.scale) * (VL_DIP_LIMIT + 1)) > REST)
        factor++;
    if (factor > FACTOR_MOST)
        return 0.0;
    d->factor = (int16_t)factor;
    c.unit = unit_of(factor, c.scale);
    double gap = 0.0;
    for (int32_t i = 0; i < VL_DIP_PARTS; i++)
        gap = fmax(gap, fit(&c, i, zero, d));
    return gap <= GAP ? c.unit : 0.0;
}
