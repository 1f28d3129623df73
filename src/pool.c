/* See pool.h. Every thread has a part of the items, always the same part of the same number, so
 * that it finds in its own cache what it wrote there in the call before; when it is through, it
 * takes what is left of the others' parts. One word a part holds the generation and how many items
 * are left to claim, so a worker can claim an item only of the call that is running, and a worker
 * that sleeps delays nobody: the caller takes part and finishes alone if it must. Workers spin for
 * a moment, then sleep. */
#include "pool.h"

#include "mem.h"
#include "veil.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define MAX_THREADS 64
#define SPINS       2000 /* pauses before sleeping: some 20 to 100 us, longer than a gap in a net */

/* Two cache lines: processors fetch them in pairs, and a worker that waits looks at its own only.
 */
typedef struct {
    _Alignas(64) _Atomic uint64_t ticket; /* generation << 32 | items not yet claimed */
    /* Written before the ticket is published, read only with an unfinished item in hand. */
    int32_t end;  /* index behind its last item */
    uint32_t due; /* vl_pool.finished when this call is done */
    void (*fn)(void *ctx, int32_t i);
    void *ctx;
    unsigned char gap[64];
} part;

typedef struct {
    vl_pool *pool;
    int32_t index;
} self;

struct vl_pool {
    part part[MAX_THREADS];
    _Alignas(64) _Atomic uint32_t finished; /* items since the beginning; wraps */
    _Alignas(64) _Atomic int32_t sleepers;
    _Atomic bool stop, caller_sleeps;
    uint64_t generation;
    uint32_t due; /* items handed out since the beginning */
    int32_t threads, started;
    self self[MAX_THREADS];
    pthread_mutex_t mutex;
    pthread_cond_t work, done;
    pthread_t ids[MAX_THREADS];
};

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Runs what is left of a part; returns how many items that was. *due is set when there was one. */
static int32_t run_part(part *q, uint32_t *due) {
    int32_t done = 0;
    uint64_t t = atomic_load_explicit(&q->ticket, memory_order_acquire);
    while ((uint32_t)t != 0) {
        if (!atomic_compare_exchange_weak_explicit(&q->ticket, &t, t - 1, memory_order_acq_rel,
                                                   memory_order_acquire))
            continue;
        *due = q->due;
        q->fn(q->ctx, q->end - (int32_t)(uint32_t)t);
        done++;
        t = atomic_load_explicit(&q->ticket, memory_order_acquire);
    }
    return done;
}

/* Runs items until none is left: those of the own part, then the others'. With those that are done
 * already, of a call that ends at `due`, they count as finished only now, all at once. */
static void work_off(vl_pool *p, int32_t index, int32_t done, uint32_t due) {
    for (int32_t k = 0; k < p->threads; k++)
        done += run_part(&p->part[(index + k) % p->threads], &due);
    if (done == 0)
        return;
    /* Sequentially consistent against caller_sleeps: one of the two sees the other. */
    uint32_t finished = atomic_fetch_add(&p->finished, (uint32_t)done) + (uint32_t)done;
    if (finished == due && atomic_load(&p->caller_sleeps)) {
        pthread_mutex_lock(&p->mutex);
        pthread_cond_signal(&p->done);
        pthread_mutex_unlock(&p->mutex);
    }
}

static bool has_items(vl_pool *p, int32_t index) {
    return (uint32_t)atomic_load(&p->part[index].ticket) != 0;
}

static void *worker(void *arg) {
    const self *me = arg;
    vl_pool *p = me->pool;
    while (!atomic_load(&p->stop)) {
        work_off(p, me->index, 0, 0);
        int32_t spins = 0;
        while (spins < SPINS && !has_items(p, me->index)) {
            relax();
            spins++;
        }
        if (spins < SPINS)
            continue;
        pthread_mutex_lock(&p->mutex);
        atomic_fetch_add(&p->sleepers, 1);
        while (!has_items(p, me->index) && !atomic_load(&p->stop))
            pthread_cond_wait(&p->work, &p->mutex);
        atomic_fetch_sub(&p->sleepers, 1);
        pthread_mutex_unlock(&p->mutex);
    }
    return NULL;
}

static void wake_workers(vl_pool *p) {
    pthread_mutex_lock(&p->mutex);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->mutex);
}

int vl_pool_create(vl_pool **out, int32_t threads) {
    *out = NULL;
    vl_pool *p = vl_mem_alloc(1, sizeof *p);
    if (p == NULL)
        return VEIL_E_NOMEM;
    p->threads = threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->done, NULL);
    for (int32_t i = 1; i < p->threads; i++) {
        p->self[i] = (self){p, i};
        if (pthread_create(&p->ids[i], NULL, worker, &p->self[i]) != 0) {
            vl_pool_destroy(p);
            return VEIL_E_THREAD;
        }
        p->started++;
    }
    *out = p;
    return VEIL_OK;
}

void vl_pool_destroy(vl_pool *p) {
    if (p == NULL)
        return;
    atomic_store(&p->stop, true);
    wake_workers(p);
    for (int32_t i = 1; i <= p->started; i++)
        pthread_join(p->ids[i], NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->mutex);
    vl_mem_free(p);
}

int32_t vl_pool_threads(const vl_pool *p) {
    return p == NULL ? 1 : p->threads;
}

void vl_pool_run(vl_pool *p, void (*fn)(void *ctx, int32_t i), void *ctx, int32_t n) {
    if (p == NULL || p->threads == 1 || n <= 1) {
        for (int32_t i = 0; i < n; i++)
            fn(ctx, i);
        return;
    }
    p->generation++;
    p->due += (uint32_t)n;
    const int32_t own = n / p->threads;
    for (int32_t k = p->threads - 1; k >= 0; k--) { /* the caller's own part last */
        part *q = &p->part[k];
        int32_t begin = (int32_t)((int64_t)n * k / p->threads);
        q->end = (int32_t)((int64_t)n * (k + 1) / p->threads);
        q->due = p->due;
        q->fn = fn;
        q->ctx = ctx;
        int32_t open = q->end - begin - (k == 0 && own > 0);
        atomic_store_explicit(&q->ticket, p->generation << 32 | (uint32_t)open,
                              memory_order_release);
    }
    /* A worker that goes to sleep at this moment may be missed: then the others do its part. */
    if (atomic_load_explicit(&p->sleepers, memory_order_relaxed) != 0)
        wake_workers(p);
    /* The caller does not claim its first item: it need not wait until the tickets have reached the
     * others. */
    if (own > 0)
        fn(ctx, 0);
    work_off(p, 0, own > 0, p->due);
    for (int32_t spins = 0; spins < SPINS; spins++) {
        if (atomic_load(&p->finished) == p->due)
            return;
        relax();
    }
    pthread_mutex_lock(&p->mutex);
    atomic_store(&p->caller_sleeps, true);
    while (atomic_load(&p->finished) != p->due)
        pthread_cond_wait(&p->done, &p->mutex);
    atomic_store(&p->caller_sleeps, false);
    pthread_mutex_unlock(&p->mutex);
}
