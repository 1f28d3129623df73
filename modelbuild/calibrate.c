/* See calibrate.h. Two passes over the pictures: first the limits of each tensor, then a histogram
 * between them. */
#include "calibrate.h"

#include "engine.h"
#include "picture.h"

#include <math.h>
#include <string.h>

#define DEFAULT_PICTURES   64
#define DEFAULT_PERCENTILE 99.99

typedef struct {
    mb *m;
    const gr_graph *g;
    veil_net *net;
    cb_stats *stats;
    double *count; /* values per channel, per tensor */
    float *pixel;
} collector;

static void note_limits(cb_stats *s, const float *v, int32_t channels) {
    for (int32_t c = 0; c < channels; c++) {
        s->low = fminf(s->low, v[c]);
        s->high = fmaxf(s->high, v[c]);
        s->mean[c] += (double)v[c];
        s->peak[c] = fmaxf(s->peak[c], fabsf(v[c]));
    }
}

static void note_bins(cb_stats *s, const float *v, int32_t channels) {
    float per = CB_BINS / (s->high - s->low);
    for (int32_t c = 0; c < channels; c++) {
        int bin = (int)((v[c] - s->low) * per);
        s->bins[bin < 0 ? 0 : bin >= CB_BINS ? CB_BINS - 1 : bin]++;
    }
}

/* One picture's tensors, in either pass. */
static int note_tensors(collector *k, bool second) {
    for (size_t i = 1; i < k->g->n_t; i++) {
        cb_stats *s = &k->stats[i];
        veil_tensor t;
        if (!en_tensor(k->net, k->g->t[i].name, &t))
            return mb_fail(k->m, "the engine does not show tensor '%s'", k->g->t[i].name);
        if (second && !(s->high > s->low))
            continue;
        for (int32_t y = 0; y < t.height; y++)
            for (int32_t x = 0; x < t.width; x++) {
                en_pixel(&t, y, x, k->pixel);
                if (second)
                    note_bins(s, k->pixel, t.channels);
                else
                    note_limits(s, k->pixel, t.channels);
            }
        if (!second)
            k->count[i] += (double)t.height * t.width;
    }
    return 0;
}

static int alloc_stats(collector *k) {
    const gr_graph *g = k->g;
    uint32_t most = 1;
    k->stats = mb_alloc(k->m, g->n_t, sizeof(*k->stats));
    k->count = mb_alloc(k->m, g->n_t, sizeof(*k->count));
    for (size_t i = 0; k->stats && i < g->n_t; i++) {
        uint32_t channels = g->t[i].channels;
        most = channels > most ? channels : most;
        k->stats[i].bins = mb_alloc(k->m, CB_BINS, sizeof(double));
        k->stats[i].mean = mb_alloc(k->m, channels, sizeof(double));
        k->stats[i].peak = mb_alloc(k->m, channels, sizeof(float));
        if (!k->stats[i].bins || !k->stats[i].mean || !k->stats[i].peak)
            return -1;
    }
    k->pixel = mb_alloc(k->m, most, sizeof(float));
    return k->stats && k->count && k->pixel ? 0 : -1;
}

static int both_passes(collector *k, const char **paths, size_t n) {
    int32_t w = (int32_t)k->g->t[0].width, h = (int32_t)k->g->t[0].height;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < n; i++)
            if (pc_load(k->m, paths[i], w, h, veil_net_input(k->net)) < 0 ||
                en_run(k->m, k->net) < 0 || note_tensors(k, pass == 1) < 0)
                return -1;
        for (size_t i = 1; pass == 0 && i < k->g->n_t; i++) {
            cb_stats *s = &k->stats[i];
            if (!isfinite(s->low) || !isfinite(s->high))
                return mb_fail(k->m, "tensor '%s' has values that are not finite", k->g->t[i].name);
            for (uint32_t c = 0; c < k->g->t[i].channels; c++)
                s->mean[c] /= fmax(k->count[i], 1);
        }
    }
    return 0;
}

cb_stats *cb_collect(mb *m, const gr_graph *g, const uint8_t *model, size_t size,
                     const cb_options *o) {
    collector k = {.m = m, .g = g};
    const char **paths = NULL;
    size_t n = 0;
    if (!o->pictures) {
        mb_fail(m, "int8 needs pictures to calibrate with: --calibrate FOLDER");
        return NULL;
    }
    if (pc_list(m, o->pictures, o->count ? o->count : DEFAULT_PICTURES, &paths, &n) < 0 ||
        alloc_stats(&k) < 0)
        return NULL;
    k.net = en_open(m, "the fp32 model", model, size, (int32_t)g->t[0].width,
                    (int32_t)g->t[0].height, true);
    if (!k.net)
        return NULL;
    int r = both_passes(&k, paths, n);
    veil_net_destroy(k.net);
    if (r == 0)
        mb_note(m, "calibrated on %zu pictures from %s", n, o->pictures);
    return r == 0 ? k.stats : NULL;
}

static double bin_centre(const cb_stats *s, int b) {
    return (double)s->low + ((double)s->high - (double)s->low) * (b + 0.5) / CB_BINS;
}

/* Squared error of 256 steps between low and high over the histogram. */
static double range_error(const cb_stats *s, double low, double high) {
    double step = (high - low) / 255, sum = 0, within = step * step / 12;
    double width = ((double)s->high - (double)s->low) / CB_BINS;
    for (int b = 0; b < CB_BINS; b++) {
        double v = bin_centre(s, b), e = v > high ? v - high : v < low ? low - v : 0;
        /* A step finer than a bin rounds away at most what the bin's own width hides. */
        sum += s->bins[b] * (e > 0 ? e * e + width * width / 12 : within);
    }
    return sum;
}

static void range_mse(const cb_stats *s, float *low, float *high) {
    double best = INFINITY, best_low = (double)s->low, best_high = (double)s->high;
    /* One-sided tensors (ReLU, SiLU) are cut at the top only. */
    bool two_sided = s->low < -0.25f * s->high;
    for (int i = 100; i >= 10; i--) {
        double f = i / 100.0, l = (double)s->low * (two_sided ? f : 1);
        double e = range_error(s, l, (double)s->high * f);
        if (e < best) {
            best = e;
            best_low = l;
            best_high = (double)s->high * f;
        }
    }
    *low = (float)best_low;
    *high = (float)best_high;
}

static void range_percentile(const cb_stats *s, double percent, float *low, float *high) {
    double total = 0, sum = 0, tail;
    for (int b = 0; b < CB_BINS; b++)
        total += s->bins[b];
    tail = total * (1 - percent / 100);
    int top = CB_BINS - 1, bottom = 0;
    while (top > 0 && sum + s->bins[top] <= tail)
        sum += s->bins[top--];
    for (sum = 0; bottom < top && sum + s->bins[bottom] <= tail; bottom++)
        sum += s->bins[bottom];
    *high = (float)bin_centre(s, top);
    *low = s->low < 0 ? (float)bin_centre(s, bottom) : 0;
}

/* Kullback-Leibler divergence between the histogram cut at bin `top` and its 128-step version. */
static double divergence(const cb_stats *s, int top) {
    double kl = 0, total = 0, outside = 0;
    for (int b = top; b < CB_BINS; b++)
        outside += s->bins[b];
    for (int b = 0; b < top; b++)
        total += s->bins[b];
    total += outside;
    for (int g = 0; g < 128 && total > 0; g++) {
        int from = top * g / 128, to = top * (g + 1) / 128, used = 0;
        double sum = 0;
        for (int b = from; b < to; b++) {
            sum += s->bins[b];
            used += s->bins[b] > 0;
        }
        for (int b = from; b < to; b++) {
            double p = s->bins[b] + (b == top - 1 ? outside : 0);
            if (p > 0 && used)
                kl += p / total * log(p / total / fmax(sum / used / total, 1e-12));
        }
    }
    return kl;
}

static void range_kl(const cb_stats *s, float *low, float *high) {
    double best = INFINITY;
    int best_top = CB_BINS;
    for (int top = 256; top <= CB_BINS; top += 16) {
        double kl = divergence(s, top);
        if (kl < best) {
            best = kl;
            best_top = top;
        }
    }
    *low = s->low;
    *high = s->low + (s->high - s->low) * (float)best_top / CB_BINS;
}

void cb_range(const cb_stats *s, const cb_options *o, float *low, float *high) {
    *low = s->low;
    *high = s->high;
    if (!(s->high > s->low))
        return;
    if (o->method == CB_MSE)
        range_mse(s, low, high);
    else if (o->method == CB_PERCENTILE)
        range_percentile(s, o->percentile > 0 ? (double)o->percentile : DEFAULT_PERCENTILE, low,
                         high);
    else if (o->method == CB_KL)
        range_kl(s, low, high);
    *low = fminf(*low, 0);
    *high = fmaxf(*high, 0);
}
