/* Operators whose inputs are all constant, computed at import: the shape arithmetic that exporters
 * write around Resize and Reshape. */
#ifndef VEIL_MODELBUILD_CONST_FOLD_H
#define VEIL_MODELBUILD_CONST_FOLD_H

#include "onnx_read.h"

/* in[i] NULL: left out. Returns the result, or NULL: without an error set the operator is not one
 * that is computed here. */
og_const *cf_eval(mb *m, const og_node *n, og_const *const *in);

/* Copies a constant of whole numbers; how many, or -1 when it is none or has more than cap. */
int cf_ints(const og_const *c, int64_t *out, size_t cap);

#endif
