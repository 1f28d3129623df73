/* What the network looked at in a picture that somebody brings: one thread works on them in turn.
 * Only maps go out, never the picture. */
#ifndef SERVER_EXPLAIN_H
#define SERVER_EXPLAIN_H

#include "config.h"
#include "error.h"

#include <jansson.h>

typedef struct explain explain;

typedef struct explain_task {
    struct explain_task *next;
    char path[1100]; /* of the picture; deleted when it was worked on */
    int fd;          /* while it is written, else -1 */
    int64_t size;
    bool submitted, full; /* full: there was no room for it */
    json_t *result;       /* or NULL with a problem */
    char problem[CONFIG_TEXT_MAX];
    void (*done)(void *user); /* on the worker's thread, at its very end */
    void *user;
} explain_task;

/* model borrowed, NULL = built in. NULL when out of memory or threads. */
explain *explain_create(const void *model, size_t model_size);
/* The tasks left are given up, and done. NULL is fine. */
void explain_destroy(explain *e);
/* False when too many wait. */
bool explain_submit(explain *e, explain_task *task);
/* Frees a task that is not with the worker. */
void explain_task_free(explain_task *task);
/* Whether the model can be explained. */
bool explain_available(const explain *e);

#endif
