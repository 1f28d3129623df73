/* Network graph -> bytes of a veil model. */
#ifndef VEIL_MODELBUILD_WRITE_H
#define VEIL_MODELBUILD_WRITE_H

#include "graph.h"

typedef enum { WR_FP32 = 0, WR_FP16, WR_INT8 } wr_precision;

typedef struct {
    const char *key, *value;
} wr_meta;

/* With WR_INT8 the graph must have been quantised; layers without s8 weights are then written as
 * fp16. *bytes is malloc'ed and the caller's. 0, or -1 with the error set. */
int wr_write(mb *m, const gr_graph *g, wr_precision precision, const wr_meta *meta, size_t n_meta,
             uint8_t **bytes, size_t *size);

uint16_t wr_half(float v); /* round to nearest even; beyond the range: the largest number */

#endif
