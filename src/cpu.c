/* See cpu.h. On x86-64 cpuid says what the processor has and xgetbv what the operating system
 * saves; on arm64 NEON is always there and the kernel tells of the dot product. */
#include "cpu.h"

#include "veil.h"

#include <stdatomic.h>
#include <stdbool.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t saved_state(void) {
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

/* Linux gives the tiles' state, 8 KiB a thread that uses them, only to processes that ask for it.
 */
static bool may_use_tiles(void) {
#if defined(__linux__) && defined(SYS_arch_prctl)
    const long ask = 0x1023, tile_data = 18; /* ARCH_REQ_XCOMP_PERM */
    return syscall(SYS_arch_prctl, ask, tile_data) == 0;
#else
    return false;
#endif
}

static uint32_t detect(void) {
    uint32_t a, b, c, d, levels = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0)
        return 0;
    const uint32_t fma = 1u << 12, osxsave = 1u << 27, f16c = 1u << 29;
    if ((c & fma) == 0 || (c & osxsave) == 0 || (c & f16c) == 0)
        return 0;
    const uint64_t ymm = 0x6, zmm = 0xe6; /* SSE, AVX; and opmask, upper halves, high 16 */
    uint64_t saved = saved_state();
    if ((saved & ymm) != ymm || __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0)
        return 0;
    uint32_t subleaves = a;
    if ((b & 1u << 5) == 0)
        return 0;
    levels |= VEIL_CPU_AVX2;
    const uint32_t avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F, DQ, BW, VL */
    if ((saved & zmm) == zmm && (b & avx512) == avx512) {
        levels |= VEIL_CPU_AVX512;
        if ((c & 1u << 11) != 0)
            levels |= VEIL_CPU_AVX512VNNI;
        const uint32_t amx = 1u << 24 | 1u << 25; /* TILE, INT8 */
        const uint64_t tiles = 0x60000;
        if ((levels & VEIL_CPU_AVX512VNNI) != 0 && (d & amx) == amx && (saved & tiles) == tiles &&
            may_use_tiles())
            levels |= VEIL_CPU_AMX;
    }
    if (subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & 1u << 4) != 0)
        levels |= VEIL_CPU_AVXVNNI;
    return levels;
}

#elif defined(__aarch64__)
#include <sys/auxv.h>

static uint32_t detect(void) {
    const unsigned long asimddp = 1ul << 20; /* HWCAP_ASIMDDP */
    uint32_t levels = VEIL_CPU_NEON;
    if ((getauxval(AT_HWCAP) & asimddp) != 0)
        levels |= VEIL_CPU_DOTPROD;
    return levels;
}

#else
static uint32_t detect(void) {
    return 0;
}
#endif

uint32_t vl_cpu_levels(uint32_t off) {
    /* cpuid traps in virtual machines, so its answer is kept; the top bit says that it is there. */
    static _Atomic uint32_t kept;
    const uint32_t known = 1u << 31;
    uint32_t levels = atomic_load_explicit(&kept, memory_order_relaxed);
    if ((levels & known) == 0) {
        levels = detect() | known;
        atomic_store_explicit(&kept, levels, memory_order_relaxed);
    }
    levels &= ~known & ~off;
    /* A level stands on the one below it: without that it is off as well. */
    if ((levels & VEIL_CPU_AVX2) == 0)
        levels &= ~(VEIL_CPU_AVXVNNI | VEIL_CPU_AVX512);
    if ((levels & VEIL_CPU_AVX512) == 0)
        levels &= ~VEIL_CPU_AVX512VNNI;
    if ((levels & VEIL_CPU_AVX512VNNI) == 0)
        levels &= ~VEIL_CPU_AMX;
    if ((levels & VEIL_CPU_NEON) == 0)
        levels &= ~VEIL_CPU_DOTPROD;
    return levels;
}
