/* The CPU levels that kernels are tested at: one at a time, on the levels below it. */
#ifndef TEST_LEVELS_H
#define TEST_LEVELS_H

#include "veil.h"

#include <stdint.h>

static const uint32_t levels[] = {0,
                                  VEIL_CPU_AVX2,
                                  VEIL_CPU_AVX2 | VEIL_CPU_AVXVNNI,
                                  VEIL_CPU_AVX2 | VEIL_CPU_AVX512,
                                  VEIL_CPU_AVX2 | VEIL_CPU_AVX512 | VEIL_CPU_AVX512VNNI,
                                  VEIL_CPU_AVX2 | VEIL_CPU_AVX512 | VEIL_CPU_AVX512VNNI |
                                      VEIL_CPU_AMX,
                                  VEIL_CPU_NEON,
                                  VEIL_CPU_NEON | VEIL_CPU_DOTPROD};

#endif
