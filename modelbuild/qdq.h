/* The quantised network as ONNX with QuantizeLinear and DequantizeLinear around every operator, for
 * other runtimes (docs/other-runtimes.md). Input: float 1x3xHxW, RGB 0..1; outputs as the model's.
 */
#ifndef VEIL_MODELBUILD_QDQ_H
#define VEIL_MODELBUILD_QDQ_H

#include "write.h"

/* symmetric: s8 activations with zero 0, the only kind TensorRT takes; else u8 as in the model.
 * *bytes is malloc'ed and the caller's. 0, or -1 with the error set. */
int qd_write(mb *m, const gr_graph *g, bool symmetric, const wr_meta *meta, size_t n_meta,
             uint8_t **bytes, size_t *size);

#endif
