/* What values each tensor takes on real pictures: the fp32 network run by the engine itself. */
#ifndef VEIL_MODELBUILD_CALIBRATE_H
#define VEIL_MODELBUILD_CALIBRATE_H

#include "graph.h"

typedef enum { CB_MSE = 0, CB_PERCENTILE, CB_KL, CB_MAX } cb_method;

typedef struct {
    const char *pictures; /* a folder, a picture, or a text file of paths, one a line */
    size_t count;         /* pictures to use; 0 = 64 */
    cb_method method;
    float percentile; /* for CB_PERCENTILE, 0 = 99.99 */
} cb_options;

#define CB_BINS 2048

typedef struct {
    float low, high; /* least and greatest value seen; low <= 0 <= high */
    double *bins;    /* [CB_BINS] counts from low to high */
    double *mean;    /* per channel */
    float *peak;     /* per channel, largest |value| */
} cb_stats;

/* Statistics of every tensor of g, in its order, from pictures at the import size. model: g as an
 * fp32 file. NULL with the error set. */
cb_stats *cb_collect(mb *m, const gr_graph *g, const uint8_t *model, size_t size,
                     const cb_options *o);

/* The range that is worth 256 steps: *low <= 0 <= *high. */
void cb_range(const cb_stats *s, const cb_options *o, float *low, float *high);

#endif
