/* What the ONNX network was fed, from what the engine gives: RGB 0..1. One 1x1 convolution at the
 * front; ps_fold_scale puts it into the first real one where that is exact. */
#include "passes.h"

#include <string.h>

int ps_preprocess(mb *m, gr_graph *g, const ps_input *in) {
    bool needed = in->bgr;
    for (int c = 0; c < 3; c++)
        needed = needed || in->mean[c] != 0 || in->std[c] != 255;
    if (!needed)
        return 0;
    float *w = mb_alloc(m, 9, sizeof(float)), *b = mb_alloc(m, 3, sizeof(float));
    uint32_t t = gr_add_tensor(m, g, "input.prepared", 3, g->t[0].height, g->t[0].width);
    if (!w || !b || t == GR_NONE)
        return -1;
    for (int c = 0; c < 3; c++) {
        int from = in->bgr ? 2 - c : c;
        if (!(in->std[from] > 0))
            return mb_fail(m, "--std must be above zero");
        w[c * 3 + from] = 255.0f / in->std[from];
        b[c] = -in->mean[from] / in->std[from];
    }
    gr_replace(g, 0, t);
    if (gr_insert(m, g, 0) < 0)
        return -1;
    gr_op *op = &g->op[0];
    *op = (gr_op){.f = {.type = VL_FMT_OP_CONV, .name = "input", .out = t, .n_in = 1}};
    op->f.kh = op->f.kw = op->f.sh = op->f.sw = op->f.groups = op->f.dilation = 1;
    op->weights = w;
    op->n_weights = 9;
    op->bias = b;
    return 0;
}
