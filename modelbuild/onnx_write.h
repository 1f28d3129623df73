/* Building an ONNX message piece by piece; everything lives in the mb. Failures stick in the mb's
 * error, so that callers check once. */
#ifndef VEIL_MODELBUILD_ONNX_WRITE_H
#define VEIL_MODELBUILD_ONNX_WRITE_H

#include "mb.h"
#include "onnx.pb-c.h"

/* TensorProto.data_type */
enum { OW_FLOAT = 1, OW_UINT8 = 2, OW_INT8 = 3, OW_INT32 = 6, OW_INT64 = 7 };

typedef struct {
    mb *m;
    Onnx__ModelProto *model; /* NULL after a failure */
    size_t room_nodes, room_tensors, room_meta;
} ow;

int ow_begin(ow *w, mb *m, int64_t opset);
/* in: up to four names, NULL ends the list, "" is left out. NULL after a failure. */
Onnx__NodeProto *ow_node(ow *w, const char *op, const char *name, const char *out,
                         const char *const in[4]);
Onnx__NodeProto *ow_node_many(ow *w, const char *op, const char *name, const char *out,
                              const char *const *in, size_t n_in);
void ow_int(ow *w, Onnx__NodeProto *n, const char *name, int64_t v);
void ow_float(ow *w, Onnx__NodeProto *n, const char *name, float v);
void ow_text(ow *w, Onnx__NodeProto *n, const char *name, const char *v);
void ow_ints(ow *w, Onnx__NodeProto *n, const char *name, size_t count, const int64_t *v);
/* An initializer; data is copied. */
void ow_tensor(ow *w, const char *name, int type, size_t rank, const int64_t *dims,
               const void *data);
void ow_value(ow *w, bool input, const char *name, const int64_t dims[4]); /* float */
void ow_meta(ow *w, const char *key, const char *value);
int ow_end(ow *w, uint8_t **bytes, size_t *size); /* malloc'ed */

#endif
