/* Dense integer convolutions with AVX-VNNI: 256-bit vpdpbusd, as on processors without AVX-512. The
 * dot product is inline assembly for the reason given in avx512vnni.c. */
#include "nn/x86/avx2.h"

#define TILE           6 /* pixels */
#define SPLITS         0
#define DOT(acc, x, w) __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(x), "x"(w))
#include "nn/x86/avx2_conv_s8.h"

static void conv_s8_avxvnni(const vl_conv *c, int32_t y0, int32_t y1) {
    vl_conv_rows(c, &tiles_s8, y0, y1);
}

void vl_dsp_init_avxvnni(vl_dsp *dsp) {
    dsp->conv_s8_level = "avxvnni";
    dsp->pack_s8 = (vl_packing){.lanes = 8, .max_blocks = 2, .whole = 1, .interleaved = 1};
    dsp->conv_s8 = conv_s8_avxvnni;
}
