/* Float graph -> u8 activations and s8 weights. */
#ifndef VEIL_MODELBUILD_QUANTISE_H
#define VEIL_MODELBUILD_QUANTISE_H

#include "calibrate.h"

/* Sets scale and zero of every tensor and s8 weights of every convolution that the engine can run
 * as int8; graph outputs stay float. Corrects biases for the rounding of the weights. 0, or -1
 * with the error set. */
int qz_quantise(mb *m, gr_graph *g, const cb_stats *stats, const cb_options *o);

#endif
