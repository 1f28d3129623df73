/* See peak.h. Sixteen independent sums hide the latency; the loops hold no memory access. */
#include "peak.h"

#include "veil.h"

#include <time.h>

#define RUNS  20
#define STEPS 20000 /* about 0.1 ms a run */
#define SUMS  16

double peak_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#if defined(__x86_64__)
#define SIXTEEN(op)                                                                                \
    op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) \
        op(15)
/* The registers start with whatever they hold: zeros at once after the xor, so that no float is
 * denormal. */
#define CLEAR(i) "vpxor %%xmm" #i ", %%xmm" #i ", %%xmm" #i "\n\t"
#define CLOBBER                                                                                    \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",       \
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc"
#define LOOP(name, op)                                                                             \
    static void name(void) {                                                                       \
        long n = STEPS;                                                                            \
        __asm__ volatile(SIXTEEN(CLEAR) "1:\n\t" SIXTEEN(op) "dec %0\n\tjnz 1b\n\tvzeroupper"      \
                         : "+r"(n)                                                                 \
                         :                                                                         \
                         : CLOBBER);                                                               \
    }
#define DOT512(i)  "vpdpbusd %%zmm" #i ", %%zmm" #i ", %%zmm" #i "\n\t"
#define DOT256(i)  "%{vex%} vpdpbusd %%ymm" #i ", %%ymm" #i ", %%ymm" #i "\n\t"
#define MADD256(i) "vpmaddubsw %%ymm" #i ", %%ymm" #i ", %%ymm" #i "\n\t"
#define FMA512(i)  "vfmadd231ps %%zmm" #i ", %%zmm" #i ", %%zmm" #i "\n\t"
#define FMA256(i)  "vfmadd231ps %%ymm" #i ", %%ymm" #i ", %%ymm" #i "\n\t"
LOOP(dot512, DOT512)
LOOP(dot256, DOT256)
LOOP(madd256, MADD256)
LOOP(fma512, FMA512)
LOOP(fma256, FMA256)

#if defined(__linux__)
/* Four sums; tiles of 16 rows of 64 bytes. Registers need no contents: shapes make them zeros. */
static void tiles(void) {
    static const uint8_t config[64] = {1,         [16] = 64, [18] = 64, [20] = 64, [22] = 64,
                                       [24] = 64, [26] = 64, [48] = 16, 16,        16,
                                       16,        16,        16};
    long n = STEPS;
    __asm__ volatile("ldtilecfg %1\n\t1:\n\t"
                     "tdpbusd %%tmm5, %%tmm4, %%tmm0\n\ttdpbusd %%tmm5, %%tmm4, %%tmm1\n\t"
                     "tdpbusd %%tmm5, %%tmm4, %%tmm2\n\ttdpbusd %%tmm5, %%tmm4, %%tmm3\n\t"
                     "dec %0\n\tjnz 1b\n\ttilerelease"
                     : "+r"(n)
                     : "m"(config)
                     : "cc");
}
#endif

/* ops: of one instruction; sums: instructions a step */
static double best_rate(void (*loop)(void), double ops, double sums) {
    double best = 1e9;
    for (int i = 0; i < RUNS; i++) {
        double start = peak_now();
        loop();
        double t = peak_now() - start;
        best = t < best ? t : best;
    }
    return ops * sums * STEPS / best;
}

double peak_int8(uint32_t level) {
    if ((veil_cpu_levels() & level) == 0)
        return 0.0;
#if defined(__linux__)
    if (level == VEIL_CPU_AMX) /* few runs: each takes a millisecond */
        return best_rate(tiles, 2.0 * 16 * 16 * 64, 4);
#endif
    if (level == VEIL_CPU_AVX512VNNI)
        return best_rate(dot512, 128.0, SUMS);
    if (level == VEIL_CPU_AVXVNNI)
        return best_rate(dot256, 64.0, SUMS);
    if (level == VEIL_CPU_AVX2) /* multiplications alone; the sums take two more instructions */
        return best_rate(madd256, 64.0, SUMS);
    return 0.0;
}

double peak_float(uint32_t level) {
    if ((veil_cpu_levels() & level) == 0)
        return 0.0;
    if (level == VEIL_CPU_AVX512)
        return best_rate(fma512, 32.0, SUMS);
    if (level == VEIL_CPU_AVX2)
        return best_rate(fma256, 16.0, SUMS);
    return 0.0;
}

#else
double peak_int8(uint32_t level) {
    (void)level;
    return 0.0;
}

double peak_float(uint32_t level) {
    (void)level;
    return 0.0;
}
#endif
