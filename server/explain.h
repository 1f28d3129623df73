/* What the network looked at in a picture that somebody brings, or in the hidden live picture: one
 * thread works on them in turn. */
#ifndef SERVER_EXPLAIN_H
#define SERVER_EXPLAIN_H

#include "config.h"
#include "error.h"

#include <jansson.h>

typedef struct explain explain;

#define EXPLAIN_TRACKS_MAX 64

/* Faces of a live picture, in px of a frame of this size. */
typedef struct {
    veil_track track[EXPLAIN_TRACKS_MAX];
    size_t n;
    int width, height;
} explain_tracks;

typedef struct explain_task {
    struct explain_task *next;
    char path[1100]; /* of the picture; deleted when it was worked on */
    int fd;          /* while it is written, else -1 */
    int64_t size;
    bool submitted, full; /* full: there was no room for it */
    /* Of a live picture: the hidden picture itself, which goes back with the maps (free), and its
     * faces. NULL: explain the faces that are found. */
    char *jpeg;
    size_t jpeg_size;
    explain_tracks tracks;
    json_t *result; /* or NULL with a problem */
    char problem[CONFIG_TEXT_MAX];
    void (*done)(void *user); /* on the worker's thread, at its very end */
    void *user;
} explain_task;

/* model borrowed, NULL = built in. NULL when out of memory or threads. */
explain *explain_create(const void *model, size_t model_size);
/* The tasks left are given up, and done; no more are taken. Before http_stop, so that no connection
 * waits for one. NULL is fine. */
void explain_end(explain *e);
/* Ends it and frees it, when no connection can ask for it any more. NULL is fine. */
void explain_destroy(explain *e);
/* False when too many wait. */
bool explain_submit(explain *e, explain_task *task);
/* Frees a task that is not with the worker. */
void explain_task_free(explain_task *task);
/* Whether the model can be explained. */
bool explain_available(const explain *e);

#endif
