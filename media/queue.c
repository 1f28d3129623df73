/* A bounded queue: one mutex, two conditions, a ring that can grow for queue_put_now. */
#include "queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define LOOK_NS 100000000 /* how often the stop flag is looked at */

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t room, item;
    void **ring;
    size_t size, first, count, capacity; /* size >= capacity */
    bool ended;
    const atomic_int *stop; /* set by signal handlers too, hence looked at and not signalled */
    void (*free_item)(void *item);
};

queue *queue_create(size_t capacity, void (*free_item)(void *item), const atomic_int *stop) {
    queue *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    q->ring = calloc(capacity, sizeof(void *));
    if (!q->ring) {
        free(q);
        return NULL;
    }
    q->size = q->capacity = capacity;
    q->free_item = free_item;
    q->stop = stop;
    pthread_condattr_t attributes; /* the calendar's clock may jump */
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->room, &attributes);
    pthread_cond_init(&q->item, &attributes);
    pthread_condattr_destroy(&attributes);
    return q;
}

void queue_destroy(queue *q) {
    if (!q)
        return;
    for (size_t i = 0; i < q->count; i++)
        q->free_item(q->ring[(q->first + i) % q->size]);
    pthread_cond_destroy(&q->item);
    pthread_cond_destroy(&q->room);
    pthread_mutex_destroy(&q->lock);
    free(q->ring);
    free(q);
}

static bool grow(queue *q) {
    void **ring = calloc(2 * q->size, sizeof(void *));
    if (!ring)
        return false;
    for (size_t i = 0; i < q->count; i++)
        ring[i] = q->ring[(q->first + i) % q->size];
    free(q->ring);
    q->ring = ring;
    q->size *= 2;
    q->first = 0;
    return true;
}

static bool stopped(const queue *q) {
    return atomic_load_explicit(q->stop, memory_order_relaxed) != 0;
}

static void wait_for(queue *q, pthread_cond_t *condition, int64_t time_ns) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + time_ns;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    pthread_cond_timedwait(condition, &q->lock, &until);
}

static void wait_a_little(queue *q, pthread_cond_t *condition) {
    wait_for(q, condition, LOOK_NS);
}

static bool put(queue *q, void *item, bool wait) {
    pthread_mutex_lock(&q->lock);
    while (wait && !stopped(q) && q->count >= q->capacity)
        wait_a_little(q, &q->room);
    bool ok = !stopped(q) && (q->count < q->size || grow(q));
    if (ok) {
        q->ring[(q->first + q->count) % q->size] = item;
        q->count++;
        pthread_cond_signal(&q->item);
    }
    pthread_mutex_unlock(&q->lock);
    return ok;
}

bool queue_put(queue *q, void *item) {
    return put(q, item, true);
}

bool queue_put_now(queue *q, void *item) {
    return put(q, item, false);
}

bool queue_try_put(queue *q, void *item) {
    pthread_mutex_lock(&q->lock);
    bool room = q->count < q->capacity;
    pthread_mutex_unlock(&q->lock);
    return room && put(q, item, false); /* only consumers change that meanwhile: one producer */
}

/* Under the lock. */
static bool take(queue *q, void **item) {
    bool ok = !stopped(q) && q->count > 0;
    if (ok) {
        *item = q->ring[q->first];
        q->first = (q->first + 1) % q->size;
        q->count--;
        pthread_cond_signal(&q->room);
    }
    return ok;
}

bool queue_get(queue *q, void **item) {
    pthread_mutex_lock(&q->lock);
    while (!stopped(q) && !q->ended && q->count == 0)
        wait_a_little(q, &q->item);
    bool ok = take(q, item);
    pthread_mutex_unlock(&q->lock);
    return ok;
}

int queue_get_within(queue *q, void **item, int64_t timeout_ns) {
    pthread_mutex_lock(&q->lock);
    if (!stopped(q) && !q->ended && q->count == 0 && timeout_ns > 0)
        wait_for(q, &q->item, timeout_ns < LOOK_NS ? timeout_ns : LOOK_NS);
    int ret = take(q, item) ? 1 : stopped(q) || q->ended ? -1 : 0;
    pthread_mutex_unlock(&q->lock);
    return ret;
}

size_t queue_count(queue *q) {
    pthread_mutex_lock(&q->lock);
    size_t n = q->count;
    pthread_mutex_unlock(&q->lock);
    return n;
}

void queue_end(queue *q) {
    pthread_mutex_lock(&q->lock);
    q->ended = true;
    pthread_cond_broadcast(&q->item);
    pthread_mutex_unlock(&q->lock);
}
