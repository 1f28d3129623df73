/* The test hook of veil_options.fault, handed down to the stages. Does nothing in normal use. */
#ifndef VL_FAULT_H
#define VL_FAULT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    int (*fn)(void *user, const char *stage); /* NULL: never fails */
    void *user;
} vl_fault;

/* f may be NULL. */
static inline bool vl_fault_hits(const vl_fault *f, const char *stage) {
    return f != NULL && f->fn != NULL && f->fn(f->user, stage) != 0;
}

#endif
