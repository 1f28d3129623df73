/* Worker threads with one operation: run a function for indices 0..n-1 and wait. */
#ifndef VL_POOL_H
#define VL_POOL_H

#include <stdint.h>

typedef struct vl_pool vl_pool;

/* threads counts the calling thread; 1 makes a pool that runs everything in the caller. Fails with
 * VEIL_E_THREAD or VEIL_E_NOMEM. */
int vl_pool_create(vl_pool **out, int32_t threads);
void vl_pool_destroy(vl_pool *pool);
int32_t vl_pool_threads(const vl_pool *pool); /* NULL: 1 */

/* Calls fn(ctx, i) for i in 0..n-1, neighbours mostly on the same thread, spread over the threads,
 * and returns when all are done. One caller at a time; must not be nested. pool NULL: all in the
 * caller. */
void vl_pool_run(vl_pool *pool, void (*fn)(void *ctx, int32_t i), void *ctx, int32_t n);

#endif
