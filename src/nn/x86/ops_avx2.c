/* The operators of ops.c as the compiler vectorises them for AVX2: the same operations in the same
 * order, so the same results. */
#define VL_OPS_RUN vl_ops_run_avx2
#include "nn/ops.c"

#include "nn/dsp.h"

void vl_dsp_init_avx2_ops(vl_dsp *dsp) {
    dsp->ops_level = "avx2";
    dsp->ops_run = vl_ops_run_avx2;
}
