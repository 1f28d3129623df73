/* Convolution weights in the order a kernel level reads them: made once, good for every size. */
#ifndef VL_NN_PACK_H
#define VL_NN_PACK_H

#include "dsp.h"
#include "model.h"

/* Which input a packed weight group belongs to. */
typedef struct {
    int32_t ky, kx, channel;
} vl_tap;

typedef struct {
    vl_chunk chunk; /* all but offset */
    vl_tap *tap;    /* chunk.n_k of them */
} vl_packed_chunk;

typedef enum { VL_CONV_S8, VL_CONV_F32, VL_DEPTHWISE_S8, VL_DEPTHWISE_F32 } vl_conv_kind;

typedef struct {
    vl_conv_kind kind;
    vl_packed_chunk *chunk; /* depthwise: one, without taps */
    int32_t n_chunks, lanes;
    vl_finish finish; /* residual not set */
    void *weights;
    float *floats; /* mult and add of all chunks */
    vl_dip *dip;   /* or NULL */
    vl_tap *taps;
    size_t bytes; /* of all of the above */
} vl_packed;

/* Packs the weights of a convolution; VEIL_E_MODEL when its numbers could leave the range of a
 * float. vl_pack_free accepts a half-built or empty one. */
int vl_pack_conv(vl_packed *p, const vl_model *m, const vl_op *op, const vl_dsp *dsp);
void vl_pack_free(vl_packed *p);

/* Number i of a blob of convolution weights (float32, float16 or int8, not scaled). */
float vl_pack_stored(const vl_blob *b, size_t i);

#endif
