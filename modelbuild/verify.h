/* Does a model compute what it should? Two models against each other on pictures, or one against
 * the arrays its training wrote. */
#ifndef VEIL_MODELBUILD_VERIFY_H
#define VEIL_MODELBUILD_VERIFY_H

#include "mb.h"

typedef struct {
    const uint8_t *bytes;
    size_t size;
    const char *what; /* names it in error lines */
} vf_model;

/* a is the reference. Prints signal over noise per output, with `layers` per tensor too; *worst is
 * the least dB of an output. pictures as for calibration; NULL: noise. 0, or -1 with the error
 * set. */
int vf_compare(mb *m, const vf_model *a, const vf_model *b, int32_t width, int32_t height,
               const char *pictures, size_t count, bool layers, FILE *to, double *worst);

/* The .npz holds `image` (H,W,3) u8 and one (1,C,h,w) float array per output, by name. *largest is
 * the greatest absolute difference. */
int vf_parity(mb *m, const vf_model *model, const uint8_t *npz, size_t size, FILE *to,
              double *largest);

#endif
