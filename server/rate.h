/* How often one client may ask: a bucket of permits for each address. */
#ifndef SERVER_RATE_H
#define SERVER_RATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define RATE_SLOTS 1024

typedef struct {
    double per_s, burst;
    pthread_mutex_t lock;
    struct {
        uint64_t key; /* 0 = free */
        double permits;
        int64_t at_ns;
    } slots[RATE_SLOTS];
} rate;

void rate_init(rate *r, double per_s, double burst);
void rate_destroy(rate *r);
/* Takes one permit; false when there is none. key: anything that tells clients apart. */
bool rate_take(rate *r, uint64_t key, int64_t now_ns);

#endif
