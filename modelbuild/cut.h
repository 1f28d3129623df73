/* Where the network ends: the graph's outputs, or, before a detector's decoding tail, the last
 * feature maps it reads; with a name, a stride and a role for the decoder in src/decode.c. */
#ifndef VEIL_MODELBUILD_CUT_H
#define VEIL_MODELBUILD_CUT_H

#include "lower.h"

/* Adds the outputs to l->out. decoder NULL: none. 0, or -1 with the error set. */
int ct_cut(mb *m, lower *l, const char *decoder);

/* Known names, NULL past the end. */
const char *ct_decoder(size_t i);

#endif
