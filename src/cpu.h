/* Which instruction sets this machine offers, operating system support included. */
#ifndef VL_CPU_H
#define VL_CPU_H

#include <stdint.h>

/* VEIL_CPU_* flags of veil.h, detected once, without those in off. */
uint32_t vl_cpu_levels(uint32_t off);

#endif
