/* Memory: aligned, zeroed, checked; the one place where tests make allocation fail. Not an
 * allocator of its own. */
#ifndef VL_MEM_H
#define VL_MEM_H

#include <stdbool.h>
#include <stddef.h>

#define VL_MEM_ALIGN 64u /* bytes; a cache line and a 512-bit register */

/* Kernels may read (never write) so many bytes past the end of any buffer from vl_mem_alloc. */
#define VL_MEM_EXTRA 256u

/* Zeroed memory of n * size bytes, aligned to VL_MEM_ALIGN, NULL on overflow, n*size == 0 or
 * failure. Free with vl_mem_free. */
void *vl_mem_alloc(size_t n, size_t size);
void vl_mem_free(void *p);

/* *out = a * b; false on overflow. The only way sizes are multiplied. */
bool vl_mem_mul(size_t a, size_t b, size_t *out);

/* Tests: called before each allocation when set; non-zero makes it fail. Not thread-safe to set
 * while other threads allocate. */
extern int (*vl_mem_fail)(void);

#endif
