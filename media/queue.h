/* A bounded queue of pointers between two threads. */
#ifndef MEDIA_QUEUE_H
#define MEDIA_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct queue queue;

/* free_item frees what is left at the end. *stop non-zero makes both sides give up within a tenth
 * of a second. NULL when out of memory. */
queue *queue_create(size_t capacity, void (*free_item)(void *item), const atomic_int *stop);
void queue_destroy(queue *q);
/* Waits for room. False when the queue was stopped; the item stays the caller's. */
bool queue_put(queue *q, void *item);
/* The same without a bound, for what cannot wait without a deadlock. */
bool queue_put_now(queue *q, void *item);
/* Waits for an item. False when it was stopped, or ended and empty. */
bool queue_get(queue *q, void **item);
/* Puts it only when there is room at once. */
bool queue_try_put(queue *q, void *item);
/* Waits so long at most: 1 with an item, 0 when there is none yet, -1 as queue_get's false. */
int queue_get_within(queue *q, void **item, int64_t timeout_ns);
size_t queue_count(queue *q);
/* No more items come. */
void queue_end(queue *q);

#endif
