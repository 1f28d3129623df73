/* Names of the CPU levels, and which of them may be used. */
#ifndef CLI_LEVELS_H
#define CLI_LEVELS_H

#include <stddef.h>
#include <stdint.h>

/* i-th level of all there are; NULL past the end. name is for people, word for VEIL_CPU. */
const char *levels_name(size_t i, uint32_t *level);
const char *levels_word(size_t i, uint32_t *level);

/* *off: the VEIL_CPU_* levels that $VEIL_CPU leaves out. It lists the levels that may be used, as
 * in "avx2,avxvnni"; "c" is none; unset or empty: all. CLI_OK, or CLI_USAGE after one line. */
int levels_off(uint32_t *off, const char *command);

#endif
