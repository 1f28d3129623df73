/* A small repeatable generator for tests (xorshift64*), so that every failure can be run again. */
#ifndef VEIL_TESTS_RANDOM_H
#define VEIL_TESTS_RANDOM_H

#include <stdint.h>

typedef struct {
    uint64_t state;
} random_source;

static inline random_source random_from(uint64_t seed) {
    random_source r = {seed * 0x9e3779b97f4a7c15u + 0x123456789abcdefu};
    return r;
}

static inline uint32_t random_bits(random_source *r) {
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return (uint32_t)((r->state * 0x2545f4914f6cdd1du) >> 32);
}

/* low..high, both included */
static inline int32_t random_int(random_source *r, int32_t low, int32_t high) {
    return low + (int32_t)(random_bits(r) % (uint32_t)(high - low + 1));
}

/* low <= x < high */
static inline float random_float(random_source *r, float low, float high) {
    return low + (high - low) * ((float)(random_bits(r) >> 8) / 16777216.0f);
}

#endif
