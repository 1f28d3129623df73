/* Fills the kernel table level by level, lowest first. */
#include "dsp.h"

#include "veil.h"

void vl_dsp_init(vl_dsp *dsp, uint32_t levels) {
    vl_dsp_init_c(dsp);
#if defined(__x86_64__)
    if ((levels & VEIL_CPU_AVX2) != 0)
        vl_dsp_init_avx2(dsp);
    if ((levels & VEIL_CPU_AVXVNNI) != 0)
        vl_dsp_init_avxvnni(dsp);
    if ((levels & VEIL_CPU_AVX512) != 0)
        vl_dsp_init_avx512(dsp);
    if ((levels & VEIL_CPU_AVX512VNNI) != 0)
        vl_dsp_init_avx512vnni(dsp);
    if ((levels & VEIL_CPU_AMX) != 0)
        vl_dsp_init_amx(dsp);
#elif defined(__aarch64__)
    if ((levels & VEIL_CPU_NEON) != 0)
        vl_dsp_init_neon(dsp);
    if ((levels & VEIL_CPU_DOTPROD) != 0)
        vl_dsp_init_dotprod(dsp);
#else
    (void)levels;
#endif
}
