/* One job: a file of a stranger through the pipeline into a hidden one, with a report. */
#ifndef SERVER_JOB_RUN_H
#define SERVER_JOB_RUN_H

#include "config.h"
#include "error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *input;
    const char *stem; /* the output's path without ending */
    const char *name; /* as people know it, for the report */
    const char *report;
    const config *settings;
    const void *model;
    size_t model_size;
    int threads, wake_signal;
    atomic_int *stop;
    /* Called for each frame; non-zero ends the job, err is theirs to set. */
    int (*progress)(void *user, int64_t frames, int64_t expected, media_error *err);
    void *user;
} job_run_options;

typedef struct {
    char output[1100];
    const char *ending, *type; /* static: "mp4", "video/mp4" */
    bool is_picture;
    int width, height;
    int64_t frames, covered, faces_hidden, faces_kept, lost;
    double seconds;
} job_run_result;

/* What files of strangers may be, for media_input_options. */
extern const char job_run_protocols[], job_run_formats[];

int job_run(const job_run_options *options, job_run_result *result, media_error *err);

#endif
