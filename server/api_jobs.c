/* Handlers for pictures and videos that people bring. */
#include "api.h"

#include "reply.h"

#include <string.h>

void api_get_jobs(server *s, http_request *r) {
    reply_json(r, MHD_HTTP_OK, jobs_json(s->jobs));
}

/* keep, style and shape may be said for one job: /jobs?name=a.jpg&keep=none. */
static bool read_query(http_request *r, config *c) {
    static const char *const keys[] = {"keep", "style", "shape"};
    char problem[CONFIG_TEXT_MAX];
    json_t *patch = json_object();
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *value = http_query(r, keys[i]);
        if (value)
            json_object_set_new(patch, keys[i], json_string(value));
    }
    bool ok = config_patch(c, patch, problem);
    json_decref(patch);
    if (!ok)
        reply_problem(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s", problem);
    return ok;
}

/* libmicrohttpd takes an answer only after the whole body: a failed upload is read to its end. */
static bool write_upload(http_request *r, const char *data, size_t size) {
    char problem[CONFIG_TEXT_MAX];
    return jobs_write(r->upload, data, size, problem) == 0;
}

static void free_upload(void *user) {
    jobs_upload_free(user);
}

void api_begin_job(server *s, http_request *r) {
    char problem[CONFIG_TEXT_MAX];
    jobs_upload *upload;
    pthread_mutex_lock(&s->lock);
    config settings = s->config;
    pthread_mutex_unlock(&s->lock);
    if (!api_has_media_type(r) || !read_query(r, &settings))
        return;
    int status =
        jobs_begin(s->jobs, http_query(r, "name"), &settings, r->content_length, &upload, problem);
    if (status != 0) {
        reply_problem(r, status, "%s", problem);
        return;
    }
    r->upload = upload;
    r->upload_write = write_upload;
    r->upload_done = free_upload;
}

void api_post_job(server *s, http_request *r) {
    char problem[CONFIG_TEXT_MAX], id[JOBS_ID_SIZE];
    (void)s;
    if (!r->upload)
        return;
    int status = jobs_commit(r->upload, id, problem);
    if (status == 0)
        reply_json(r, MHD_HTTP_CREATED, json_pack("{s:s}", "id", id));
    else
        reply_problem(r, status, "%s", problem);
}

static void no_job(http_request *r) {
    reply_problem(r, MHD_HTTP_NOT_FOUND, "there is no such job; results are deleted after a time");
}

void api_get_job(server *s, http_request *r) {
    json_t *json = jobs_one_json(s->jobs, r->id);
    if (json)
        reply_json(r, MHD_HTTP_OK, json);
    else
        no_job(r);
}

void api_delete_job(server *s, http_request *r) {
    if (jobs_remove(s->jobs, r->id))
        reply_empty(r, MHD_HTTP_NO_CONTENT);
    else
        no_job(r);
}

static void send_file(server *s, http_request *r, bool report) {
    jobs_file file;
    int status = jobs_open(s->jobs, r->id, report, &file);
    if (status == 0)
        reply_file(r, file.fd, file.size, file.type, file.name);
    else if (status == MHD_HTTP_CONFLICT)
        reply_problem(r, status, "this job is not done");
    else
        no_job(r);
}

void api_get_result(server *s, http_request *r) {
    send_file(s, r, false);
}

void api_get_report(server *s, http_request *r) {
    send_file(s, r, true);
}
