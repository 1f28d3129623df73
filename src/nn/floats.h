/* The float network of any model: what gradients are taken of. Whole numbers become the real values
 * they stand for (weight = int8 * scale); values between operators are no longer rounded. */
#ifndef VL_NN_FLOATS_H
#define VL_NN_FLOATS_H

#include "model.h"

/* The same operators, values and outputs by the same index, in float32; m must outlive it. An
 * activation that cannot be differentiated from its result becomes an operator of its own behind
 * (values and operators are added at the end of their lists and in between; values keep their
 * index). randomise: so many convolutions, counted from the end, get random weights of the spread
 * they had (to test that explanations depend on the weights); 0 = none. */
int vl_floats_create(vl_model **out, const vl_model *m, int32_t randomise);

#endif
