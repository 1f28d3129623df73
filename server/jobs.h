/* Pictures and videos that people bring: a queue with one worker. What was brought is deleted as
 * soon as it was worked on, what came out after a stated time. Any thread. */
#ifndef SERVER_JOBS_H
#define SERVER_JOBS_H

#include "config.h"
#include "error.h"

#include <jansson.h>
#include <stdint.h>

#define JOBS_ID_SIZE 27

typedef struct jobs jobs;
typedef struct jobs_upload jobs_upload;

typedef struct {
    const char *folder; /* made; older files of ours in it are deleted */
    const void *model;  /* NULL = built in */
    size_t model_size;
    int64_t upload_max, disk_max; /* bytes */
    int waiting_max;              /* jobs */
    int keep_s;                   /* results are deleted after so long */
    int wake_signal;              /* see pipeline.h */
    bool (*is_live)(void *user);  /* then jobs take one thread only */
    void (*changed)(void *user);  /* may be NULL; any thread */
    void *user;
} jobs_options;

int jobs_create(jobs **out, const jobs_options *options, media_error *err);
/* Stops the one at work and deletes all files. NULL is fine. */
void jobs_destroy(jobs *j);

/* These return 0 or an HTTP status with one line in problem. size -1 = not known. */
int jobs_begin(jobs *j, const char *name, const config *settings, int64_t size, jobs_upload **out,
               char problem[CONFIG_TEXT_MAX]);
int jobs_write(jobs_upload *u, const char *data, size_t size, char problem[CONFIG_TEXT_MAX]);
/* All is there: it waits for its turn. */
int jobs_commit(jobs_upload *u, char id[JOBS_ID_SIZE], char problem[CONFIG_TEXT_MAX]);
/* Deletes what was not committed; frees u in any case. NULL is fine. */
void jobs_upload_free(jobs_upload *u);

json_t *jobs_json(jobs *j);
/* NULL: no such job. */
json_t *jobs_one_json(jobs *j, const char *id);
/* Cancels and deletes. */
bool jobs_remove(jobs *j, const char *id);

typedef struct {
    int fd;
    int64_t size;
    const char *type; /* static */
    char name[32];
} jobs_file;

/* Returns 0, or an HTTP status. */
int jobs_open(jobs *j, const char *id, bool report, jobs_file *out);

typedef struct {
    int64_t waiting, running, done, failed, disk_bytes;
} jobs_counts;
void jobs_count(jobs *j, jobs_counts *out);

#endif
