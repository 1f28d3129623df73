/* What run and redact share: one job from input to output, with progress, report and summary. */
#ifndef CLI_WORK_H
#define CLI_WORK_H

#include "jobs.h"
#include "pipeline.h"
#include "report.h"
#include "session.h"

typedef struct {
    const char *command;
    const cli_options *options;
    session *session;
    int (*masks)(void *user, int64_t index, const AVFrame *frame, const pipeline_start *start,
                 const veil_track **tracks);
    void *masks_user;
    const char *now; /* the input at work, for audit lines */
    json_t *reports; /* array, a report for each input; NULL = none wanted */
} work;

/* Returns an exit status after a line on stderr. */
int work_do(work *w, const job *j);
/* All of them, one after the other; the worst exit status. */
int work_do_all(work *w, const jobs *list);

#endif
