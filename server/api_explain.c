/* Handlers of /explain. The answer takes a moment, so its connection sleeps until it is there. */
#include "api.h"

#include "explain.h"
#include "reply.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PICTURE_BYTES_MAX (32 << 20)
#define LIVE_AGE_NS       INT64_C(100000000) /* what is seen, and not the one before */

void api_get_explain(server *s, http_request *r) {
    reply_json(r, MHD_HTTP_OK, json_pack("{s:b}", "available", explain_available(s->explain)));
}

static bool write_picture(http_request *r, const char *data, size_t size) {
    explain_task *task = r->upload;
    task->size += (int64_t)size;
    while (size > 0 && task->size <= PICTURE_BYTES_MAX) {
        ssize_t n = write(task->fd, data, size);
        if (n <= 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return task->size <= PICTURE_BYTES_MAX;
}

static void free_task(void *user) {
    explain_task_free(user);
}

static void wake(void *user) {
    http_request *r = user;
    MHD_resume_connection(r->connection);
}

/* A task with a file in the folder of jobs, so that nothing is left of it whatever happens. NULL
 * after replying. */
static explain_task *make_task(server *s, http_request *r) {
    char id[JOBS_ID_SIZE], name[64];
    explain_task *task = calloc(1, sizeof *task);
    if (!task || !guard_make_id(id, JOBS_ID_SIZE - 1)) {
        free(task);
        return NULL;
    }
    snprintf(name, sizeof name, "jobs/%s.picture", id);
    task->fd = -1;
    r->upload = task;
    r->upload_done = free_task;
    if (store_path(&s->store, name, task->path, sizeof task->path) == 0)
        task->fd = open(task->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (task->fd >= 0)
        return task;
    reply_problem(r, MHD_HTTP_INSUFFICIENT_STORAGE, "the picture cannot be stored");
    return NULL;
}

static void submit(server *s, http_request *r, explain_task *task) {
    close(task->fd);
    task->fd = -1;
    task->done = wake;
    task->user = r;
    http_wait(r);
    if (!explain_submit(s->explain, task)) {
        task->full = true;
        wake(r); /* to come back here at once */
    }
}

static json_t *with_tracks(server *s, const explain_task *task) {
    const explain_tracks *t = &task->tracks;
    if (task->jpeg)
        json_object_set_new(task->result, "tracks",
                            state_tracks_json(s, t->track, t->n, t->width, t->height));
    return json_incref(task->result);
}

/* When the task came back from the worker, or can never get there. */
static bool answer(server *s, http_request *r, const explain_task *task) {
    if (task && task->full)
        reply_problem(r, MHD_HTTP_SERVICE_UNAVAILABLE, "too many pictures are waiting");
    else if (task && task->submitted && task->result)
        reply_json(r, MHD_HTTP_OK, with_tracks(s, task));
    else if (task && task->submitted)
        reply_problem(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s", task->problem);
    else if (!explain_available(s->explain))
        reply_problem(r, MHD_HTTP_CONFLICT, "this model cannot be explained");
    return r->replied;
}

void api_begin_explain(server *s, http_request *r) {
    if (!api_has_media_type(r))
        return;
    if (r->content_length > PICTURE_BYTES_MAX)
        reply_problem(r, MHD_HTTP_CONTENT_TOO_LARGE, "a picture may have %d bytes",
                      PICTURE_BYTES_MAX);
    else if (make_task(s, r))
        r->upload_write = write_picture;
}

void api_post_explain(server *s, http_request *r) {
    explain_task *task = r->upload;
    if (!task || answer(s, r, task))
        return;
    if (task->size == 0)
        reply_problem(r, MHD_HTTP_BAD_REQUEST, "the upload is empty");
    else
        submit(s, r, task);
}

/* The hidden picture, as it went out: a raw one does not exist any more by then. */
void api_post_explain_live(server *s, http_request *r) {
    explain_task *task = r->upload;
    snapshot picture;
    if (answer(s, r, task) || !api_take_snapshot(s, r, LIVE_AGE_NS, &picture))
        return;
    task = make_task(s, r);
    if (!task) {
        free(picture.jpeg);
        return;
    }
    task->jpeg = picture.jpeg;
    task->jpeg_size = picture.size;
    task->tracks = picture.tracks;
    if (write_picture(r, picture.jpeg, picture.size))
        submit(s, r, task);
    else
        reply_problem(r, MHD_HTTP_INSUFFICIENT_STORAGE, "the picture cannot be stored");
}
