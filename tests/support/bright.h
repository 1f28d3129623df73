/* A tiny detector whose answer is known: a bright square is a face, a bright and red one is
 * interview. One 8x8 convolution with stride 8 and the box decoder "veil": each cell says whether
 * its 8x8 px are bright, every box is a square of so many cells around it. */
#ifndef VEIL_TESTS_BRIGHT_H
#define VEIL_TESTS_BRIGHT_H

#include "emit.h"
#include "nn/format.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Needs cmocka. decoder and again NULL: none is named. gain: of the face score; huge gives
 * infinities. */
static inline uint8_t *bright_model_again(const char *decoder, float gain, float cells,
                                          const char *again, size_t *size) {
    enum { OUT = 6, SIDE = 8, IN = 3, PER = SIDE * SIDE * IN };
    float *w = calloc(OUT * PER, sizeof *w);
    assert_non_null(w);
    for (int i = 0; i < SIDE * SIDE; i++) {
        w[4 * PER + i * IN + 1] = gain / (SIDE * SIDE);  /* face: green */
        w[5 * PER + i * IN + 0] = 20.0f / (SIDE * SIDE); /* interview: red more than blue */
        w[5 * PER + i * IN + 2] = -20.0f / (SIDE * SIDE);
    }
    const float bias[OUT] = {0, 0, logf(cells), logf(cells), -0.7f * gain, -3};
    emit *e = emit_create();
    assert_non_null(e);
    emit_meta(e, "name", "bright");
    if (decoder != NULL)
        emit_meta(e, "decoder", decoder);
    if (again != NULL)
        emit_meta(e, "again", again);
    emit_op op = {.type = VL_FMT_OP_CONV,
                  .name = "conv",
                  .n_in = 1,
                  .in = {0},
                  .kh = SIDE,
                  .kw = SIDE,
                  .sh = SIDE,
                  .sw = SIDE,
                  .groups = 1,
                  .dilation = 1};
    op.out = emit_tensor(e, "map", OUT, VL_FMT_F32, 0, 0);
    op.weights = emit_blob(e, VL_FMT_F32, w, OUT * PER);
    op.bias = emit_blob(e, VL_FMT_F32, bias, OUT);
    emit_operator(e, &op);
    emit_output(e, "p8", op.out, SIDE);
    uint8_t *bytes = NULL;
    assert_int_equal(emit_finish(e, &bytes, size), 0);
    emit_destroy(e);
    free(w);
    return bytes;
}

static inline uint8_t *bright_model(const char *decoder, float gain, float cells, size_t *size) {
    return bright_model_again(decoder, gain, cells, NULL, size);
}

#endif
