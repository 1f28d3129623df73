/* What this processor could do at most: the rate of a loop of nothing but multiply-adds. */
#ifndef VEIL_BENCH_PEAK_H
#define VEIL_BENCH_PEAK_H

#include <stdint.h>

/* Seconds of the monotonic clock. */
double peak_now(void);

/* Operations (two a multiply-add) a second on this thread, best of several short runs; level is one
 * of VEIL_CPU_AVX2, _AVXVNNI, _AVX512, _AVX512VNNI, _AMX. 0: not measured on this processor. */
double peak_int8(uint32_t level);
double peak_float(uint32_t level);

#endif
