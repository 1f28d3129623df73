/* Writes a veil model (src/nn/format.h) into memory. Knows the layout and nothing of networks. */
#ifndef VEIL_MODELBUILD_EMIT_H
#define VEIL_MODELBUILD_EMIT_H

#include <stddef.h>
#include <stdint.h>

typedef struct emit emit;

/* One operator with the fields of format.h; zero means absent. weights/bias/scales: blob index + 1,
 * as emit_blob returns it. */
typedef struct {
    uint32_t type, out, n_in, in[8];
    const char *name;
    uint32_t act;
    float act_a, act_b;
    uint32_t kh, kw, sh, sw, pad_top, pad_left, pad_bottom, pad_right, groups, dilation;
    uint32_t weights, bias, scales, p0, p1;
} emit_op;

emit *emit_create(void); /* NULL: out of memory. Tensor 0 (the input) exists already. */
void emit_destroy(emit *e);
/* Each returns 0 or VEIL_E_NOMEM; failures stick and emit_finish reports them too. */
int emit_meta(emit *e, const char *key, const char *value);
uint32_t emit_tensor(emit *e, const char *name, uint32_t channels, uint32_t dtype, float scale,
                     uint32_t zero);                                              /* index */
uint32_t emit_blob(emit *e, uint32_t dtype, const void *data, size_t n_elements); /* index + 1 */
int emit_operator(emit *e, const emit_op *op);
int emit_output(emit *e, const char *name, uint32_t tensor, uint32_t stride);
/* The finished file; *bytes is malloc'ed and the caller's. */
int emit_finish(emit *e, uint8_t **bytes, size_t *size);

#endif
