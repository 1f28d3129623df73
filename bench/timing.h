/* Times one model on the engine: whole runs and layer by layer, for one or more numbers of threads
 * in turn, with the processor's peak measured in between. On a machine that does other things only
 * the least times, and their ratios within one call, mean something. */
#ifndef VEIL_BENCH_TIMING_H
#define VEIL_BENCH_TIMING_H

#include "veil.h"

typedef struct {
    const void *model; /* NULL: the built-in one */
    size_t size;
    int width, height; /* px */
    int runs;          /* whole runs of each side, 1.. */
    uint32_t cpu_off;
} timing_job;

/* One number of threads. */
typedef struct {
    int threads;
    veil_net *whole, *profiled;
    double *time; /* s, of job.runs runs, sorted by timing_measure */
    size_t n_layers;
    double *layer; /* least s of each layer */
    double macs;   /* of a run */
} timing_side;

/* Makes the nets. VEIL_OK or an error; timing_close in both cases. */
int timing_open(timing_side *side, const timing_job *job, int threads);
void timing_close(timing_side *side);

/* Runs the sides in turn, a few runs each, until each has its runs; *peak: operations a second of
 * one thread at most at the model's precision (peak.h), 0 where it cannot be measured. */
void timing_measure(timing_side *side, size_t n, const timing_job *job, double *peak);

/* Of the sorted times, part 0..1 of them below, s. */
double timing_quantile(const timing_side *side, const timing_job *job, double part);

#endif
