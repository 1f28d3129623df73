/* A byte queue that grows up to its bound. */
#include "feed.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAIT_NS 50000000

struct feed {
    pthread_mutex_t lock;
    pthread_cond_t more;
    uint8_t *bytes;
    size_t start, used, capacity;
    int owners;
    bool ended, closed;
};

feed *feed_create(void) {
    feed *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->more, NULL);
    f->owners = 2;
    return f;
}

static void let_go(feed *f) {
    bool last = --f->owners == 0;
    pthread_mutex_unlock(&f->lock);
    if (!last)
        return;
    pthread_cond_destroy(&f->more);
    pthread_mutex_destroy(&f->lock);
    free(f->bytes);
    free(f);
}

static bool make_room(feed *f, size_t size) {
    if (f->start > 0) {
        memmove(f->bytes, f->bytes + f->start, f->used);
        f->start = 0;
    }
    if (f->used + size <= f->capacity)
        return true;
    size_t capacity = f->used + size + (f->used + size) / 2;
    uint8_t *more = realloc(f->bytes, capacity);
    if (!more)
        return false;
    f->bytes = more;
    f->capacity = capacity;
    return true;
}

bool feed_push(feed *f, const char *data, size_t size) {
    pthread_mutex_lock(&f->lock);
    bool ok = !f->closed && !f->ended && f->used + size <= FEED_BYTES_MAX && make_room(f, size);
    if (ok && size > 0) {
        memcpy(f->bytes + f->used, data, size);
        f->used += size;
        pthread_cond_signal(&f->more);
    }
    pthread_mutex_unlock(&f->lock);
    return ok;
}

void feed_end(feed *f) {
    if (!f)
        return;
    pthread_mutex_lock(&f->lock);
    f->ended = true;
    pthread_cond_signal(&f->more);
    let_go(f);
}

int feed_read(void *user, uint8_t *data, int size, bool (*cancelled)(void *session),
              void *session) {
    feed *f = user;
    int n = -1;
    pthread_mutex_lock(&f->lock);
    while (f->used == 0 && !f->ended && !cancelled(session)) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += WAIT_NS;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        pthread_cond_timedwait(&f->more, &f->lock, &until);
    }
    if (f->used > 0) {
        n = (size_t)size < f->used ? size : (int)f->used;
        memcpy(data, f->bytes + f->start, (size_t)n);
        f->start += (size_t)n;
        f->used -= (size_t)n;
    } else if (f->ended) {
        n = 0;
    }
    pthread_mutex_unlock(&f->lock);
    return n;
}

void feed_close(void *user) {
    feed *f = user;
    pthread_mutex_lock(&f->lock);
    f->closed = true;
    let_go(f);
}
