/* Handlers of /explain. The answer takes a moment, so its connection sleeps until it is there. */
#include "api.h"

#include "explain.h"
#include "reply.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PICTURE_BYTES_MAX (32 << 20)

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

void api_begin_explain(server *s, http_request *r) {
    char id[JOBS_ID_SIZE], name[64];
    if (!api_has_media_type(r))
        return;
    if (r->content_length > PICTURE_BYTES_MAX) {
        reply_problem(r, MHD_HTTP_CONTENT_TOO_LARGE, "a picture may have %d bytes",
                      PICTURE_BYTES_MAX);
        return;
    }
    explain_task *task = calloc(1, sizeof *task);
    if (!task || !guard_make_id(id, JOBS_ID_SIZE - 1)) {
        free(task);
        return;
    }
    /* in the folder of jobs, so that nothing is left of it whatever happens */
    snprintf(name, sizeof name, "jobs/%s.picture", id);
    task->fd = -1;
    r->upload = task;
    r->upload_write = write_picture;
    r->upload_done = free_task;
    if (store_path(&s->store, name, task->path, sizeof task->path) == 0)
        task->fd = open(task->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (task->fd < 0)
        reply_problem(r, MHD_HTTP_INSUFFICIENT_STORAGE, "the picture cannot be stored");
}

void api_post_explain(server *s, http_request *r) {
    explain_task *task = r->upload;
    if (!task)
        return;
    if (task->full) {
        reply_problem(r, MHD_HTTP_SERVICE_UNAVAILABLE, "too many pictures are waiting");
    } else if (task->submitted && task->result) {
        reply_json(r, MHD_HTTP_OK, json_incref(task->result));
    } else if (task->submitted) {
        reply_problem(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s", task->problem);
    } else if (!explain_available(s->explain)) {
        reply_problem(r, MHD_HTTP_CONFLICT, "this model cannot be explained");
    } else if (task->size == 0) {
        reply_problem(r, MHD_HTTP_BAD_REQUEST, "the upload is empty");
    } else {
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
}
