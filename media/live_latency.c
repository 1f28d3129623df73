/* How long frames take, and where: each carries the times at which it left one stage for the next.
 * Counted in bins since the start of the session, and in a ring for the last few seconds. */
#include "live_priv.h"

#include <stdlib.h>
#include <string.h>

#define BIN_NS (SECOND_NS / 2000)

typedef struct {
    int64_t decode_ns;         /* how long its decoding took */
    int64_t left[LIVE_STAGES]; /* session's time at which it left each stage */
} stamps;

const char *live_stage_text(live_stage at) {
    static const char *const texts[] = {"decode", "prepare", "wait",   "analyse",
                                        "hold",   "send",    "queued", "encode"};
    return (unsigned)at < LIVE_STAGES ? texts[at] : "unknown";
}

static stamps *stamps_in(const AVBufferRef *times) {
    return times ? (stamps *)(void *)times->data : NULL;
}

void live_stamp_begin(AVFrame *frame, int64_t decode_ns, int64_t now) {
    av_buffer_unref(&frame->opaque_ref);
    frame->opaque_ref = av_buffer_allocz(sizeof(stamps));
    stamps *t = stamps_in(frame->opaque_ref);
    if (!t)
        return;
    t->decode_ns = decode_ns;
    t->left[LIVE_STAGE_DECODE] = now;
}

void live_stamp(const AVBufferRef *times, live_stage left, int64_t now) {
    stamps *t = stamps_in(times);
    if (t)
        t->left[left] = now;
}

static void count(live_bins *b, int64_t ns) {
    int64_t bin = ns < 0 ? 0 : ns / BIN_NS;
    b->n[bin < LATENCY_BINS ? bin : LATENCY_BINS - 1]++;
    b->count++;
}

void live_stamp_end(live *s, const AVFrame *frame, int64_t taken, int64_t encoded) {
    const stamps *t = stamps_in(frame->opaque_ref);
    if (!t)
        return; /* a card */
    int64_t left[LIVE_STAGES], total = encoded - t->left[LIVE_STAGE_DECODE] + t->decode_ns;
    memcpy(left, t->left, sizeof left);
    left[LIVE_STAGE_QUEUED] = taken;
    left[LIVE_STAGE_ENCODE] = encoded;
    pthread_mutex_lock(&s->lock);
    count(&s->bins[LIVE_STAGE_DECODE], t->decode_ns);
    for (int i = 1; i < LIVE_STAGES; i++)
        count(&s->bins[i], left[i] - left[i - 1]);
    count(&s->bins[LIVE_STAGES], total);
    size_t n = sizeof s->latency_ms / sizeof s->latency_ms[0];
    s->latency_ms[(size_t)s->n_latency++ % n] = (float)total / (float)MS_NS;
    pthread_mutex_unlock(&s->lock);
}

/* Upper edge of the bin in which that part of all frames is reached. */
static double quantile_ms(const live_bins *b, double part) {
    int64_t wanted = (int64_t)(part * (double)b->count), seen = 0;
    for (int i = 0; i < LATENCY_BINS; i++) {
        seen += b->n[i];
        if (seen > wanted)
            return (double)(i + 1) * (double)BIN_NS / (double)MS_NS;
    }
    return 0;
}

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

void live_latency_measure(const live *s, live_state *out) {
    float sorted[sizeof s->latency_ms / sizeof s->latency_ms[0]];
    size_t cap = sizeof sorted / sizeof sorted[0];
    size_t n = s->n_latency < (int64_t)cap ? (size_t)s->n_latency : cap;
    for (int i = 0; i < LIVE_STAGES; i++) {
        out->stage_p50_ms[i] = quantile_ms(&s->bins[i], 0.5);
        out->stage_p99_ms[i] = quantile_ms(&s->bins[i], 0.99);
    }
    out->latency_all_p50_ms = quantile_ms(&s->bins[LIVE_STAGES], 0.5);
    out->latency_all_p99_ms = quantile_ms(&s->bins[LIVE_STAGES], 0.99);
    if (n == 0)
        return;
    memcpy(sorted, s->latency_ms, n * sizeof sorted[0]);
    qsort(sorted, n, sizeof sorted[0], by_value);
    out->latency_p50_ms = (double)sorted[n / 2];
    out->latency_p99_ms = (double)sorted[n * 99 / 100];
}
