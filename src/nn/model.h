/* What a parsed model holds, for plan.c. Everything here has been checked by model.c: indices are
 * in range, channel counts agree, numbers are finite, operators come after their inputs' producers.
 */
#ifndef VL_NN_MODEL_H
#define VL_NN_MODEL_H

#include "format.h"
#include "nn.h"

typedef struct {
    uint32_t dtype; /* VL_FMT_F32 ... */
    uint32_t n;     /* elements */
    const void *data;
} vl_blob;

typedef struct {
    const char *name;
    int32_t channels;
    int32_t is_u8;
    float scale;  /* value = (q - zero) * scale when is_u8 */
    int32_t zero; /* 0..255 */
} vl_value;

typedef struct {
    uint32_t type; /* VL_FMT_OP_CONV ... */
    const char *name;
    int32_t out, n_in, in[VL_FMT_MAX_INPUTS];
    uint32_t act;
    float act_a, act_b;
    int32_t kh, kw, sh, sw, dilation, groups; /* strides, dilation and groups at least 1 */
    int32_t pad_top, pad_left, pad_bottom, pad_right;
    const vl_blob *weights, *bias, *scales; /* NULL when absent */
    uint32_t p0, p1;
} vl_op;

typedef struct {
    const char *name;
    int32_t value, stride;
} vl_out;

typedef struct {
    const char *key, *value;
} vl_meta;

struct vl_model {
    unsigned char *bytes; /* a copy of the whole file; names and blobs point into it */
    size_t size;          /* of bytes */
    vl_meta *meta;
    vl_blob *blobs;
    vl_value *values;
    vl_op *ops;
    vl_out *outs;
    int32_t n_meta, n_blobs, n_values, n_ops, n_outs;
    int32_t users; /* share.c's, and next */
    vl_model *next;
};

/* vl_model_parse and vl_model_destroy for one user alone. */
int vl_model_read(vl_model **out, const void *bytes, size_t size);
void vl_model_free(vl_model *m);

#endif
