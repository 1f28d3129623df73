/* The queue. Files have names of our own making; the name that came with an upload is shown and
 * written into the report, nothing else. */
#include "jobs.h"

#include "guard.h"
#include "http.h"
#include "job_run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE  1024
#define NAME_SIZE  120
#define DONE_MAX   200
#define JOB_S_MAX  (4 * 3600)
#define NS_PER_S   INT64_C(1000000000)
#define NICE_LEVEL 10 /* the live picture comes first */

typedef enum { JOB_WAITING, JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_CANCELLED } job_state;

static const char *const state_words[] = {"waiting", "running", "done", "failed", "cancelled"};

typedef struct job {
    struct job *next;
    char id[JOBS_ID_SIZE], name[NAME_SIZE], problem[CONFIG_TEXT_MAX];
    config settings;
    job_state state;
    int64_t begun_ns, ended_ns, frames, expected, input_bytes;
    bool removed; /* while running: the worker deletes it */
    atomic_int stop;
    job_run_result result;
} job;

struct jobs {
    jobs_options options;
    char folder[PATH_SIZE];
    pthread_mutex_t lock;
    pthread_cond_t wake;
    job *first; /* oldest first */
    pthread_t worker;
    bool has_worker, ending;
    int64_t upload_bytes, measured_ns, disk_bytes; /* upload_bytes: not yet seen on disk */
    int uploads;
    int64_t n_done, n_failed;
};

struct jobs_upload {
    jobs *jobs;
    char id[JOBS_ID_SIZE], name[NAME_SIZE];
    config settings;
    int fd;
    int64_t size;
    bool committed;
};

static void path_of(const jobs *j, const char *id, const char *ending, char out[PATH_SIZE + 64]) {
    snprintf(out, PATH_SIZE + 64, "%s/%s%s", j->folder, id, ending);
}

/* All files of a job begin with its id. */
static void delete_files(const jobs *j, const char *id) {
    DIR *d = opendir(j->folder);
    const struct dirent *e;
    while (d && (e = readdir(d))) {
        if (strncmp(e->d_name, id, strlen(id)) == 0)
            unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        closedir(d);
}

/* Our files have 26 letters and a dot in front. */
static bool is_ours(const char *name) {
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz234567");
    return n == JOBS_ID_SIZE - 1 && name[n] == '.';
}

static void delete_leftovers(const jobs *j) {
    DIR *d = opendir(j->folder);
    const struct dirent *e;
    while (d && (e = readdir(d))) {
        if (is_ours(e->d_name))
            unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        closedir(d);
}

/* Bytes in the folder, looked up once a second at most. With the lock. */
static int64_t disk_bytes(jobs *j) {
    int64_t now_ns = http_now_ns();
    if (j->measured_ns != 0 && now_ns - j->measured_ns < NS_PER_S)
        return j->disk_bytes + j->upload_bytes;
    DIR *d = opendir(j->folder);
    const struct dirent *e;
    struct stat st;
    j->disk_bytes = 0;
    j->upload_bytes = 0;
    j->measured_ns = now_ns;
    while (d && (e = readdir(d))) {
        if (is_ours(e->d_name) && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            j->disk_bytes += st.st_size;
    }
    if (d)
        closedir(d);
    return j->disk_bytes;
}

static void changed(const jobs *j) {
    if (j->options.changed)
        j->options.changed(j->options.user);
}

/* ---------------------------------------------------------------- list */

static job *find(const jobs *j, const char *id) {
    job *b = j->first;
    while (b && strcmp(b->id, id) != 0)
        b = b->next;
    return b;
}

static void drop(jobs *j, job *b) {
    job **at = &j->first;
    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    delete_files(j, b->id);
    free(b);
    j->measured_ns = 0;
}

/* Deletes what has had its time. With the lock. */
static void expire(jobs *j) {
    int64_t now_ns = http_now_ns();
    int n = 0;
    for (job *b = j->first; b; b = b->next)
        n += b->ended_ns != 0;
    for (job *b = j->first, *next; b; b = next) {
        next = b->next;
        if (b->ended_ns == 0)
            continue;
        if (n > DONE_MAX || now_ns - b->ended_ns >= (int64_t)j->options.keep_s * NS_PER_S) {
            drop(j, b);
            n--;
        }
    }
}

/* ---------------------------------------------------------------- worker */

typedef struct {
    jobs *jobs;
    job *job;
    int64_t checked_ns;
} progress_user;

static int on_progress(void *user, int64_t frames, int64_t expected, media_error *err) {
    progress_user *u = user;
    jobs *j = u->jobs;
    int64_t now_ns = http_now_ns();
    pthread_mutex_lock(&j->lock);
    u->job->frames = frames;
    u->job->expected = expected;
    bool due = now_ns - u->checked_ns > NS_PER_S;
    if (due)
        expire(j); /* the others: this one may take hours */
    bool full = due && disk_bytes(j) > j->options.disk_max;
    bool late = now_ns - u->job->begun_ns > JOB_S_MAX * NS_PER_S;
    pthread_mutex_unlock(&j->lock);
    if (due) {
        u->checked_ns = now_ns;
        changed(j);
    }
    if (full)
        return media_fail(err, "the room for results is full");
    return late ? media_fail(err, "it took longer than %d hours", JOB_S_MAX / 3600) : 0;
}

static void work(jobs *j, job *b) {
    char input[PATH_SIZE + 64], stem[PATH_SIZE + 64], report[PATH_SIZE + 64];
    media_error err = {0};
    job_run_result result;
    path_of(j, b->id, ".in", input);
    path_of(j, b->id, ".out", stem);
    path_of(j, b->id, ".report", report);
    progress_user user = {j, b, 0};
    bool live = j->options.is_live && j->options.is_live(j->options.user);
    job_run_options o = {.input = input,
                         .stem = stem,
                         .name = b->name,
                         .report = report,
                         .settings = &b->settings,
                         .model = j->options.model,
                         .model_size = j->options.model_size,
                         .threads = live ? 1 : 0,
                         .wake_signal = j->options.wake_signal,
                         .stop = &b->stop,
                         .progress = on_progress,
                         .user = &user};
    int ret = job_run(&o, &result, &err);
    unlink(input);
    pthread_mutex_lock(&j->lock);
    b->result = result;
    b->ended_ns = http_now_ns();
    b->state = ret == 0 ? JOB_DONE : b->removed ? JOB_CANCELLED : JOB_FAILED;
    snprintf(b->problem, sizeof b->problem, "%.*s", CONFIG_TEXT_MAX - 1, ret == 0 ? "" : err.text);
    j->n_done += ret == 0;
    j->n_failed += b->state == JOB_FAILED;
    if (b->removed)
        drop(j, b);
    else if (ret != 0)
        delete_files(j, b->id);
    j->measured_ns = 0;
    pthread_mutex_unlock(&j->lock);
}

static job *next_waiting(const jobs *j) {
    job *b = j->first;
    while (b && b->state != JOB_WAITING)
        b = b->next;
    return b;
}

static void *worker_main(void *user) {
    jobs *j = user;
    (void)setpriority(PRIO_PROCESS, 0, NICE_LEVEL); /* of this thread, and those it starts */
    pthread_mutex_lock(&j->lock);
    while (!j->ending) {
        expire(j);
        job *b = next_waiting(j);
        if (!b) {
            struct timespec until;
            clock_gettime(CLOCK_MONOTONIC, &until);
            until.tv_sec += 2;
            pthread_cond_timedwait(&j->wake, &j->lock, &until);
            continue;
        }
        b->state = JOB_RUNNING;
        b->begun_ns = http_now_ns();
        pthread_mutex_unlock(&j->lock);
        changed(j);
        work(j, b);
        changed(j);
        pthread_mutex_lock(&j->lock);
    }
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

/* ---------------------------------------------------------------- life */

int jobs_create(jobs **out, const jobs_options *options, media_error *err) {
    *out = NULL;
    jobs *j = calloc(1, sizeof *j);
    if (!j)
        return media_fail(err, "out of memory");
    j->options = *options;
    snprintf(j->folder, sizeof j->folder, "%s", options->folder);
    pthread_mutex_init(&j->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&j->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    if (mkdir(j->folder, 0700) != 0 && errno != EEXIST) {
        media_fail(err, "cannot make the folder '%s': %s", j->folder, strerror(errno));
        goto fail;
    }
    delete_leftovers(j);
    j->has_worker = pthread_create(&j->worker, NULL, worker_main, j) == 0;
    if (!j->has_worker) {
        media_fail(err, "a thread could not be started");
        goto fail;
    }
    *out = j;
    return 0;
fail:
    jobs_destroy(j);
    return -1;
}

void jobs_destroy(jobs *j) {
    if (!j)
        return;
    pthread_mutex_lock(&j->lock);
    j->ending = true;
    for (job *b = j->first; b; b = b->next)
        atomic_store(&b->stop, 1);
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
    if (j->has_worker) {
        pthread_join(j->worker, NULL);
        delete_leftovers(j);
    }
    while (j->first) {
        job *b = j->first;
        j->first = b->next;
        free(b);
    }
    pthread_cond_destroy(&j->wake);
    pthread_mutex_destroy(&j->lock);
    free(j);
}

/* ---------------------------------------------------------------- uploads */

/* A name for people: no control characters, valid UTF-8, not too long. */
static void clean_name(const char *name, char out[NAME_SIZE]) {
    size_t n = 0;
    const char *base = name ? strrchr(name, '/') : NULL;
    base = base ? base + 1 : name;
    for (const char *p = base; p && *p != '\0' && n < NAME_SIZE - 1; p++) {
        unsigned char c = (unsigned char)*p;
        out[n++] = c < 0x20 || c == 0x7f || strchr("\"\\<>&'", c) ? '_' : (char)c;
    }
    out[n] = '\0';
    json_t *test = json_string(out); /* refuses what is not UTF-8 */
    if (n == 0 || !test)
        snprintf(out, NAME_SIZE, "upload");
    json_decref(test);
}

static int refuse(int status, char *problem, const char *text) {
    snprintf(problem, CONFIG_TEXT_MAX, "%s", text);
    return status;
}

static int room_for(jobs *j, int64_t size, char *problem) {
    int waiting = j->uploads;
    for (const job *b = j->first; b; b = b->next)
        waiting += b->state == JOB_WAITING;
    if (size > j->options.upload_max) {
        snprintf(problem, CONFIG_TEXT_MAX, "a file may have %lld MB",
                 (long long)(j->options.upload_max >> 20));
        return MHD_HTTP_CONTENT_TOO_LARGE;
    }
    if (waiting >= j->options.waiting_max)
        return refuse(MHD_HTTP_SERVICE_UNAVAILABLE, problem, "too many jobs are waiting already");
    if (disk_bytes(j) + (size > 0 ? size : 0) > j->options.disk_max)
        return refuse(MHD_HTTP_INSUFFICIENT_STORAGE, problem, "the room for results is full");
    return 0;
}

int jobs_begin(jobs *j, const char *name, const config *settings, int64_t size, jobs_upload **out,
               char problem[CONFIG_TEXT_MAX]) {
    char path[PATH_SIZE + 64];
    *out = NULL;
    pthread_mutex_lock(&j->lock);
    expire(j);
    int status = room_for(j, size, problem);
    j->uploads += status == 0;
    pthread_mutex_unlock(&j->lock);
    if (status != 0)
        return status;
    jobs_upload *u = calloc(1, sizeof *u);
    if (!u || !guard_make_id(u->id, JOBS_ID_SIZE - 1)) {
        free(u);
        pthread_mutex_lock(&j->lock);
        j->uploads--;
        pthread_mutex_unlock(&j->lock);
        return refuse(MHD_HTTP_INTERNAL_SERVER_ERROR, problem, "out of memory");
    }
    u->jobs = j;
    u->settings = *settings;
    clean_name(name, u->name);
    path_of(j, u->id, ".in", path);
    u->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (u->fd < 0) {
        jobs_upload_free(u);
        return refuse(MHD_HTTP_INSUFFICIENT_STORAGE, problem, "the upload cannot be stored");
    }
    *out = u;
    return 0;
}

int jobs_write(jobs_upload *u, const char *data, size_t size, char problem[CONFIG_TEXT_MAX]) {
    jobs *j = u->jobs;
    u->size += (int64_t)size;
    pthread_mutex_lock(&j->lock);
    j->upload_bytes += (int64_t)size;
    bool full = disk_bytes(j) > j->options.disk_max;
    pthread_mutex_unlock(&j->lock);
    if (u->size > j->options.upload_max) {
        snprintf(problem, CONFIG_TEXT_MAX, "a file may have %lld MB",
                 (long long)(j->options.upload_max >> 20));
        return MHD_HTTP_CONTENT_TOO_LARGE;
    }
    while (size > 0 && !full) {
        ssize_t n = write(u->fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            full = true;
        data += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return full ? refuse(MHD_HTTP_INSUFFICIENT_STORAGE, problem, "the room for results is full")
                : 0;
}

int jobs_commit(jobs_upload *u, char id[JOBS_ID_SIZE], char problem[CONFIG_TEXT_MAX]) {
    jobs *j = u->jobs;
    if (u->size == 0)
        return refuse(MHD_HTTP_BAD_REQUEST, problem, "the upload is empty");
    job *b = calloc(1, sizeof *b);
    if (!b || close(u->fd) != 0) {
        u->fd = -1;
        free(b);
        return refuse(MHD_HTTP_INSUFFICIENT_STORAGE, problem, "the upload cannot be stored");
    }
    u->fd = -1;
    u->committed = true;
    memcpy(b->id, u->id, sizeof b->id);
    memcpy(b->name, u->name, sizeof b->name);
    memcpy(id, u->id, sizeof b->id);
    b->settings = u->settings;
    b->settings.n_zones = 0; /* zones belong to the live picture */
    b->input_bytes = u->size;
    pthread_mutex_lock(&j->lock);
    job **at = &j->first;
    while (*at)
        at = &(*at)->next;
    *at = b;
    j->uploads--; /* from here on it counts as a job */
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
    changed(j);
    return 0;
}

void jobs_upload_free(jobs_upload *u) {
    if (!u)
        return;
    jobs *j = u->jobs;
    if (u->fd >= 0)
        close(u->fd);
    if (!u->committed)
        delete_files(j, u->id);
    pthread_mutex_lock(&j->lock);
    if (!u->committed)
        j->uploads--;
    j->measured_ns = 0;
    pthread_mutex_unlock(&j->lock);
    free(u);
}

/* ---------------------------------------------------------------- questions */

static json_t *one_json(const jobs *j, const job *b) {
    const job_run_result *r = &b->result;
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "id", b->id, "name", b->name, "state",
                  state_words[b->state], "bytes", (json_int_t)b->input_bytes, "frames",
                  (json_int_t)b->frames, "expected_frames", (json_int_t)b->expected);
    if (!json || b->ended_ns == 0)
        return json;
    int64_t left_s = j->options.keep_s - (http_now_ns() - b->ended_ns) / NS_PER_S;
    json_object_set_new(json, "deleted_in_s", json_integer(left_s > 0 ? left_s : 0));
    if (b->state != JOB_DONE) {
        json_object_set_new(json, "problem", json_string(b->problem));
        return json;
    }
    json_t *result =
        json_pack("{s:s, s:b, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:f}", "type", r->type, "picture",
                  r->is_picture, "width", r->width, "height", r->height, "frames",
                  (json_int_t)r->frames, "covered", (json_int_t)r->covered, "lost",
                  (json_int_t)r->lost, "faces_hidden", (json_int_t)r->faces_hidden, "faces_kept",
                  (json_int_t)r->faces_kept, "seconds", r->seconds);
    json_object_set_new(json, "result", result);
    return json;
}

json_t *jobs_json(jobs *j) {
    json_t *list = json_array();
    pthread_mutex_lock(&j->lock);
    expire(j);
    for (const job *b = j->first; b; b = b->next) {
        if (!b->removed)
            json_array_append_new(list, one_json(j, b));
    }
    int keep_s = j->options.keep_s;
    pthread_mutex_unlock(&j->lock);
    return json_pack("{s:i, s:o}", "keep_s", keep_s, "jobs", list);
}

json_t *jobs_one_json(jobs *j, const char *id) {
    pthread_mutex_lock(&j->lock);
    expire(j);
    const job *b = find(j, id);
    json_t *json = b && !b->removed ? one_json(j, b) : NULL;
    pthread_mutex_unlock(&j->lock);
    return json;
}

bool jobs_remove(jobs *j, const char *id) {
    pthread_mutex_lock(&j->lock);
    job *b = find(j, id);
    bool found = b && !b->removed;
    if (found && b->state == JOB_RUNNING) {
        b->removed = true;
        atomic_store(&b->stop, 1);
    } else if (found) {
        drop(j, b);
    }
    pthread_mutex_unlock(&j->lock);
    if (found)
        changed(j);
    return found;
}

int jobs_open(jobs *j, const char *id, bool report, jobs_file *out) {
    char path[PATH_SIZE + 64], ending[16];
    int status = MHD_HTTP_NOT_FOUND;
    *out = (jobs_file){.fd = -1};
    pthread_mutex_lock(&j->lock);
    expire(j);
    const job *b = find(j, id);
    if (b && !b->removed && b->state != JOB_DONE)
        status = MHD_HTTP_CONFLICT;
    if (b && !b->removed && b->state == JOB_DONE) {
        snprintf(ending, sizeof ending, ".out.%s", b->result.ending);
        path_of(j, id, report ? ".report" : ending, path);
        out->type = report ? "application/json" : b->result.type;
        snprintf(out->name, sizeof out->name, "%s.%s", report ? "report" : "hidden",
                 report ? "json" : b->result.ending);
        out->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        struct stat st;
        if (out->fd >= 0 && fstat(out->fd, &st) == 0) {
            out->size = st.st_size;
            status = 0;
        }
    }
    pthread_mutex_unlock(&j->lock);
    return status;
}

void jobs_count(jobs *j, jobs_counts *out) {
    pthread_mutex_lock(&j->lock);
    *out = (jobs_counts){.done = j->n_done, .failed = j->n_failed, .disk_bytes = disk_bytes(j)};
    for (const job *b = j->first; b; b = b->next) {
        out->waiting += b->state == JOB_WAITING;
        out->running += b->state == JOB_RUNNING;
    }
    pthread_mutex_unlock(&j->lock);
}
