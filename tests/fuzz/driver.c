/* Runs a fuzzer: under libFuzzer it only supplies the seed, otherwise it is the program. Mutations
 * are bit flips, extreme words, copies and cuts from a fixed generator, so a failure repeats. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef VEIL_LIBFUZZER
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    (void)seed;
    if (size < 16) {
        size_t n;
        uint8_t *start = fuzz_seed(&n);
        if (start && n <= max_size) {
            memcpy(data, start, n);
            size = n;
        }
        free(start);
    }
    return LLVMFuzzerMutate(data, size, max_size);
}
#else
static uint64_t state = 0x9e3779b97f4a7c15u;

static uint32_t next(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % below;
}

static size_t mutate(uint8_t *b, size_t n) {
    static const uint32_t words[] = {0,          1,           2,          0x7f,       0xff,
                                     0x7fffffff, 0x80000000u, 0xffffffff, 0x00010000, 0x7f800000};
    uint32_t changes = 1 + next(4);
    /* Most of the structure lies in front. */
    uint32_t reach = (uint32_t)(next(3) > 0 && n > 1024 ? 1024 : n);
    for (uint32_t i = 0; i < changes && n >= 8; i++) {
        uint32_t at = next(reach);
        switch (next(5)) {
        case 0:
            b[at] ^= (uint8_t)(1u << next(8));
            break;
        case 1:
            b[at] = (uint8_t)next(256);
            break;
        case 2:
            at = at / 4 * 4;
            if (at + 4 <= n)
                memcpy(b + at, &words[next(sizeof words / sizeof words[0])], 4);
            break;
        case 3: {
            uint32_t from = next((uint32_t)n), length = 1 + next(64);
            if (at + length <= n && from + length <= n)
                memmove(b + at, b + from, length);
            break;
        }
        default:
            if (next(8) == 0) {
                n = next((uint32_t)n);
                reach = reach < n ? reach : (uint32_t)n;
                if (reach == 0)
                    return n;
            }
        }
    }
    return n;
}

int main(int argc, char **argv) {
    size_t n;
    uint8_t *seed = fuzz_seed(&n);
    if (!seed)
        return 1;
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : fuzz_rounds;
    LLVMFuzzerTestOneInput(seed, n);
    LLVMFuzzerTestOneInput(seed, 0);
    for (unsigned i = 0; i < rounds; i++) {
        /* An allocation of just this size, so that reading past the end is seen. */
        uint8_t *work = malloc(n);
        if (!work)
            return 1;
        memcpy(work, seed, n);
        size_t m = mutate(work, n);
        uint8_t *tight = malloc(m > 0 ? m : 1);
        if (!tight)
            return 1;
        memcpy(tight, work, m);
        LLVMFuzzerTestOneInput(tight, m);
        free(tight);
        free(work);
    }
    free(seed);
    printf("%u inputs, no finding\n", rounds + 2);
    return 0;
}
#endif
