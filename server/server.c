/* Life of the server: everything is opened before the first request is taken, and closed in the
 * other order. */
#include "inside.h"

#include "api.h"
#include "explain.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define VIEWERS_MAX   100
#define KEEP_MINUTES  60
#define UPLOAD_MB     2048
#define DISK_MB       8192
#define JOBS_MAX      32
#define PREVIEW_WIDTH 1280

void server_log(const server *s, const char *format, ...) {
    char text[600];
    va_list args;
    if (!s->options.log)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    s->options.log(s->options.user, text);
}

static void on_status(server *s, int status) {
    atomic_fetch_add(&s->n_requests, 1);
    if (status >= 400 && status < 500)
        atomic_fetch_add(&s->n_refused, 1);
}

static bool is_live(void *user) {
    server *s = user;
    pthread_rwlock_rdlock(&s->live_lock);
    bool runs = s->live != NULL;
    pthread_rwlock_unlock(&s->live_lock);
    return runs;
}

static void init_locks(server *s) {
    pthread_condattr_t attributes;
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->notes_lock, NULL);
    pthread_mutex_init(&s->snapshot_lock, NULL);
    pthread_rwlock_init(&s->live_lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &attributes);
    pthread_cond_init(&s->snapshot_there, &attributes);
    pthread_condattr_destroy(&attributes);
}

static int load_settings(server *s, media_error *err) {
    char problem[CONFIG_TEXT_MAX] = "";
    json_t *saved = NULL;
    config_init(&s->config);
    s->config.force_weak = s->options.force_weak;
    if (store_load(&s->store, &saved, err) != 0)
        return -1;
    bool ok = !saved || state_load(s, saved, problem);
    json_decref(saved);
    return ok ? 0
              : media_fail(err, "the settings in '%s' are not usable: %s", s->store.folder,
                           problem);
}

/* Elsewhere than on the machine itself a token is needed, in any case. */
static int set_token(server *s, media_error *err) {
    const char *given = s->options.token;
    if (given && !guard_token_ok(given))
        return media_fail(err, "a token has 16 to 128 letters, digits, '-' or '_'");
    if (given)
        snprintf(s->token, sizeof s->token, "%s", given);
    else if (!guard_is_loopback(s->options.address))
        return store_token(&s->store, s->token, sizeof s->token, err);
    return 0;
}

static int make_folders(server *s, char *jobs_folder, size_t size, media_error *err) {
    const char *given = s->options.recordings;
    struct stat st;
    if (store_path(&s->store, "jobs", jobs_folder, size) != 0 ||
        (!given && store_path(&s->store, "recordings", s->recordings, sizeof s->recordings) != 0) ||
        (given && strlen(given) >= sizeof s->recordings))
        return media_fail(err, "the path of the data is too long");
    if (given)
        snprintf(s->recordings, sizeof s->recordings, "%s", given);
    if (mkdir(s->recordings, 0700) != 0 && errno != EEXIST)
        return media_fail(err, "cannot make the folder '%s': %s", s->recordings, strerror(errno));
    if (s->options.media && (stat(s->options.media, &st) != 0 || !S_ISDIR(st.st_mode)))
        return media_fail(err, "'%s' is no folder", s->options.media);
    return 0;
}

/* Uploads of pictures lie in the folder of jobs. */
static int start_jobs(server *s, const char *folder, media_error *err) {
    const server_options *o = &s->options;
    jobs_options jo = {.folder = folder,
                       .model = o->model,
                       .model_size = o->model_size,
                       .upload_max = (o->upload_mb > 0 ? o->upload_mb : UPLOAD_MB) << 20,
                       .disk_max = (o->disk_mb > 0 ? o->disk_mb : DISK_MB) << 20,
                       .waiting_max = o->jobs_max > 0 ? o->jobs_max : JOBS_MAX,
                       .keep_s = (o->keep_minutes > 0 ? o->keep_minutes : KEEP_MINUTES) * 60,
                       .wake_signal = o->wake_signal,
                       .is_live = is_live,
                       .user = s};
    if (jobs_create(&s->jobs, &jo, err) != 0)
        return -1;
    s->explain = explain_create(o->model, o->model_size);
    return 0;
}

static int start_http(server *s, media_error *err) {
    const server_options *o = &s->options;
    http_options ho = {.address = o->address,
                       .port = o->port,
                       .token = s->token[0] != '\0' ? s->token : NULL,
                       .names = o->names,
                       .n_names = o->n_names,
                       .certificate = o->certificate,
                       .key = o->key,
                       .routes = api_routes,
                       .n_routes = api_n_routes,
                       .server = s,
                       .on_status = on_status,
                       .requests_per_s = o->requests_per_s};
    return http_start(&s->http, &ho, err);
}

int server_start(server **out, const server_options *options, media_error *err) {
    char jobs_folder[STORE_PATH_MAX];
    *out = NULL;
    server *s = calloc(1, sizeof *s);
    if (!s)
        return media_fail(err, "out of memory");
    s->options = *options;
    s->options.address = options->address ? options->address : "127.0.0.1";
    if (s->options.preview_width <= 0)
        s->options.preview_width = PREVIEW_WIDTH;
    s->store.lock_fd = -1;
    init_locks(s);
    s->pictures = hub_create(VIEWERS_MAX, 1);
    s->videos = hub_create(VIEWERS_MAX, HUB_ROOM_MAX);
    s->events = hub_create(VIEWERS_MAX, 1);
    if (!s->pictures || !s->videos || !s->events) {
        media_fail(err, "out of memory");
        goto fail;
    }
    if (store_open(&s->store, options->data, err) != 0 || load_settings(s, err) != 0 ||
        set_token(s, err) != 0 || make_folders(s, jobs_folder, sizeof jobs_folder, err) != 0 ||
        start_jobs(s, jobs_folder, err) != 0 || start_http(s, err) != 0)
        goto fail;
    s->has_control = pthread_create(&s->control, NULL, control_main, s) == 0;
    s->has_pulse = s->has_control && pthread_create(&s->pulse, NULL, pulse_main, s) == 0;
    if (!s->has_pulse) {
        media_fail(err, "a thread could not be started");
        goto fail;
    }
    *out = s;
    return 0;
fail:
    server_stop(s);
    return -1;
}

static void end_threads(server *s) {
    pthread_mutex_lock(&s->lock);
    s->ending = true;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->lock);
    if (s->has_control)
        pthread_join(s->control, NULL); /* the pulse must be there for it */
    pthread_mutex_lock(&s->lock);
    s->pulse_ending = true;
    pthread_mutex_unlock(&s->lock);
    if (s->has_pulse)
        pthread_join(s->pulse, NULL);
}

void server_stop(server *s) {
    if (!s)
        return;
    explain_end(s->explain);
    hub_end(s->pictures);
    hub_end(s->videos);
    hub_end(s->events);
    http_stop(s->http);
    explain_destroy(s->explain);
    end_threads(s);
    jobs_destroy(s->jobs);
    feed_end(s->feed);
    if (s->source.feed)
        feed_close(s->source.feed);
    hub_destroy(s->pictures);
    hub_destroy(s->videos);
    hub_destroy(s->events);
    store_close(&s->store);
    if (s->audit)
        fclose(s->audit);
    free(s->snapshot.jpeg);
    pthread_cond_destroy(&s->snapshot_there);
    pthread_cond_destroy(&s->wake);
    pthread_rwlock_destroy(&s->live_lock);
    pthread_mutex_destroy(&s->snapshot_lock);
    pthread_mutex_destroy(&s->notes_lock);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

int server_port(const server *s) {
    return http_port(s->http);
}

const char *server_token(const server *s) {
    return s->token[0] != '\0' ? s->token : NULL;
}
