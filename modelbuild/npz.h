/* Arrays from NumPy's .npz: what training writes so that an engine can check itself. Reads float32
 * and uint8 arrays, stored or deflated. */
#ifndef VEIL_MODELBUILD_NPZ_H
#define VEIL_MODELBUILD_NPZ_H

#include "mb.h"

typedef struct {
    const char *name; /* without .npy */
    bool is_u8;
    uint32_t rank;
    size_t dims[8], n;
    const float *f;
    const uint8_t *u8;
} npz_array;

/* 0, or -1 with the error set. Results live in the mb. */
int npz_read(mb *m, const uint8_t *bytes, size_t size, npz_array **arrays, size_t *n);

#endif
