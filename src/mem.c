/* See mem.h. posix_memalign plus a checked product; nothing is cached. */
#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int (*vl_mem_fail)(void) = NULL;

bool vl_mem_mul(size_t a, size_t b, size_t *out) {
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *out = a * b;
    return true;
}

void *vl_mem_alloc(size_t n, size_t size) {
    size_t bytes;
    if (!vl_mem_mul(n, size, &bytes) || bytes == 0 || bytes > SIZE_MAX - VL_MEM_EXTRA)
        return NULL;
    if (vl_mem_fail != NULL && vl_mem_fail() != 0)
        return NULL;
    void *p = NULL;
    if (posix_memalign(&p, VL_MEM_ALIGN, bytes + VL_MEM_EXTRA) != 0)
        return NULL;
    memset(p, 0, bytes + VL_MEM_EXTRA);
    return p;
}

void vl_mem_free(void *p) {
    free(p);
}
