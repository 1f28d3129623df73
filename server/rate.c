/* Buckets in a table of fixed size: a newcomer takes over the slot it falls on, with the permits
 * that are there, so that many addresses gain nothing. */
#include "rate.h"

#include <string.h>

void rate_init(rate *r, double per_s, double burst) {
    memset(r, 0, sizeof *r);
    r->per_s = per_s;
    r->burst = burst;
    pthread_mutex_init(&r->lock, NULL);
}

void rate_destroy(rate *r) {
    pthread_mutex_destroy(&r->lock);
}

bool rate_take(rate *r, uint64_t key, int64_t now_ns) {
    size_t slot = (size_t)((key * 0x9e3779b97f4a7c15u) >> 32) % RATE_SLOTS;
    pthread_mutex_lock(&r->lock);
    bool fresh = r->slots[slot].key == 0;
    double permits = r->slots[slot].permits;
    permits += (double)(now_ns - r->slots[slot].at_ns) * 1e-9 * r->per_s;
    if (fresh || permits > r->burst)
        permits = r->burst;
    bool ok = permits >= 1;
    r->slots[slot].key = key | 1;
    r->slots[slot].permits = ok ? permits - 1 : permits;
    r->slots[slot].at_ns = now_ns;
    pthread_mutex_unlock(&r->lock);
    return ok;
}
