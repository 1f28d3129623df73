/* See timing.h. */
#include "timing.h"

#include "peak.h"

#include <stdlib.h>
#include <string.h>

#define TURN 10 /* runs of a side before it is another's turn */

static int64_t clock_ns(void) {
    return (int64_t)(peak_now() * 1e9);
}

static int make_net(veil_net **net, const timing_job *job, int threads, int profile) {
    veil_net_options o = {.struct_size = sizeof o,
                          .threads = threads,
                          .cpu_off = job->cpu_off,
                          .profile = profile,
                          .clock_ns = profile ? clock_ns : NULL};
    int err = veil_net_create(net, job->model, job->size, &o);
    if (err == VEIL_OK)
        err = veil_net_set_size(*net, job->width, job->height);
    if (err != VEIL_OK)
        return err;
    uint8_t *in = veil_net_input(*net);
    for (size_t i = 0; i < (size_t)job->width * (size_t)job->height * 4; i++)
        in[i] = (uint8_t)(i * 2654435761u >> 13);
    return VEIL_OK;
}

int timing_open(timing_side *side, const timing_job *job, int threads) {
    *side = (timing_side){.threads = threads};
    int err = make_net(&side->whole, job, threads, 0);
    if (err == VEIL_OK)
        err = make_net(&side->profiled, job, threads, 1);
    if (err != VEIL_OK)
        return err;
    side->n_layers = veil_net_layers(side->whole);
    side->time = calloc((size_t)job->runs, sizeof *side->time);
    side->layer = calloc(side->n_layers + 1, sizeof *side->layer);
    veil_layer l;
    for (size_t i = 0; veil_net_layer(side->whole, i, &l) == VEIL_OK; i++)
        side->macs += (double)l.macs;
    return side->time != NULL && side->layer != NULL ? VEIL_OK : VEIL_E_NOMEM;
}

void timing_close(timing_side *side) {
    veil_net_destroy(side->whole);
    veil_net_destroy(side->profiled);
    free(side->time);
    free(side->layer);
    *side = (timing_side){.threads = 0};
}

static double peak_of(const timing_job *job, veil_net *net) {
    static const uint32_t order[] = {VEIL_CPU_AMX, VEIL_CPU_AVX512VNNI, VEIL_CPU_AVX512,
                                     VEIL_CPU_AVXVNNI, VEIL_CPU_AVX2};
    const char *precision = veil_net_meta(net, "precision");
    int integer = precision != NULL && strcmp(precision, "int8") == 0;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        if ((order[i] & job->cpu_off) != 0)
            continue;
        double rate = integer ? peak_int8(order[i]) : peak_float(order[i]);
        if (rate > 0)
            return rate;
    }
    return 0.0;
}

static void one_profiled(timing_side *s, int first) {
    veil_net_run(s->profiled);
    veil_layer l;
    for (size_t i = 0; i < s->n_layers && veil_net_layer(s->profiled, i, &l) == VEIL_OK; i++) {
        double t = (double)l.time_ns * 1e-9;
        s->layer[i] = first || t < s->layer[i] ? t : s->layer[i];
    }
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void timing_measure(timing_side *side, size_t n, const timing_job *job, double *peak) {
    *peak = 0.0;
    for (size_t k = 0; k < n; k++) /* warm: threads awake, memory there */
        veil_net_run(side[k].whole);
    for (int done = 0; done < job->runs; done += TURN) {
        double p = peak_of(job, side[0].whole);
        *peak = p > *peak ? p : *peak;
        for (size_t k = 0; k < n; k++) {
            for (int i = done; i < job->runs && i < done + TURN; i++) {
                double start = peak_now();
                veil_net_run(side[k].whole);
                side[k].time[i] = peak_now() - start;
            }
            for (int i = done; i < job->runs && i < done + TURN; i++)
                one_profiled(&side[k], i == 0);
        }
    }
    for (size_t k = 0; k < n; k++)
        qsort(side[k].time, (size_t)job->runs, sizeof *side[k].time, by_value);
}

double timing_quantile(const timing_side *side, const timing_job *job, double part) {
    int i = (int)(part * job->runs);
    return side->time[i < job->runs ? i : job->runs - 1];
}
