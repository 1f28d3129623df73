/* What a fuzzer of ours defines. With libFuzzer (meson -Dfuzz=true, clang) driver.c gives it the
 * seed as a start; without, driver.c runs a fixed number of mutations of the seed as a plain test.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* One input. Must return 0; a crash, a sanitizer's report or an abort is a finding. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A good input to start from; malloc'ed. */
uint8_t *fuzz_seed(size_t *size);

/* Mutations that driver.c runs as a plain test. */
extern const unsigned fuzz_rounds;

#endif
