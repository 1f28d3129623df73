/* One thread that looks at the live picture for all who watch: scales and encodes each preview
 * once, and tells where the faces are in that very frame. Nobody watching: it does nothing. */
#include "inside.h"

#include "http.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STATE_NS      INT64_C(250000000)  /* between two full states */
#define IDLE_STATE_NS INT64_C(1000000000) /* the same without a session */
#define FRAME_WAIT_NS INT64_C(100000000)
#define SNAPSHOT_NS   INT64_C(3000000000) /* after a snapshot more may be asked for */
#define BOUNDARY      "veilframe"

typedef struct {
    server *server;
    live_preview *preview;
    live *of;
    int quality;
    int64_t state_ns;
} pulse;

static bool snapshot_wanted(server *s) {
    pthread_mutex_lock(&s->snapshot_lock);
    bool wanted = s->snapshot_wanted_ns != 0 && http_now_ns() - s->snapshot_wanted_ns < SNAPSHOT_NS;
    pthread_mutex_unlock(&s->snapshot_lock);
    return wanted;
}

static void keep_snapshot(server *s, const live_picture *p) {
    char *copy = malloc(p->jpeg_size);
    if (!copy)
        return;
    memcpy(copy, p->jpeg, p->jpeg_size);
    pthread_mutex_lock(&s->snapshot_lock);
    free(s->snapshot);
    s->snapshot = copy;
    s->snapshot_size = p->jpeg_size;
    s->snapshot_ns = http_now_ns();
    pthread_cond_broadcast(&s->snapshot_there);
    pthread_mutex_unlock(&s->snapshot_lock);
}

static void publish_picture(server *s, const live_picture *p) {
    char head[128];
    int n = snprintf(head, sizeof head,
                     "--" BOUNDARY "\r\nContent-Type: image/jpeg\r\nContent-Length: %zu\r\n\r\n",
                     p->jpeg_size);
    char *data = malloc((size_t)n + p->jpeg_size + 2);
    if (!data)
        return;
    memcpy(data, head, (size_t)n);
    memcpy(data + n, p->jpeg, p->jpeg_size);
    memcpy(data + (size_t)n + p->jpeg_size, "\r\n", 2);
    hub_publish(s->pictures, data, (size_t)n + p->jpeg_size + 2);
}

/* "event: NAME" with one line of JSON; takes json over. Added to text, which is replaced. */
static char *add_event(char *text, const char *name, json_t *json) {
    char *line = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    char *both = NULL;
    json_decref(json);
    if (line && asprintf(&both, "%sevent: %s\ndata: %s\n\n", text ? text : "", name, line) < 0)
        both = NULL;
    free(line);
    free(text);
    return both;
}

static void publish_events(pulse *u, const live_picture *p) {
    server *s = u->server;
    int64_t now_ns = http_now_ns();
    bool due = now_ns - u->state_ns >= (u->of ? STATE_NS : IDLE_STATE_NS);
    char *text = NULL;
    if (hub_readers(s->events) == 0)
        return;
    if (p) {
        json_t *tracks =
            state_tracks_json(s, p->tracks, p->n_tracks, p->frame_width, p->frame_height);
        text = add_event(text, "frame",
                         json_pack("{s:I, s:b, s:o}", "serial", (json_int_t)p->serial, "covered",
                                   p->result.covered != 0, "tracks", tracks));
    }
    if (due) {
        u->state_ns = now_ns;
        text = add_event(text, "state", state_json(s));
    }
    if (text)
        hub_publish(s->events, text, strlen(text));
}

static void close_preview(pulse *u) {
    server *s = u->server;
    live_preview_close(u->preview);
    u->preview = NULL;
    u->of = NULL;
    pthread_mutex_lock(&s->lock);
    s->has_preview = false;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

/* The session cannot be freed while has_preview is set. */
static void open_preview(pulse *u, int quality) {
    server *s = u->server;
    media_error err = {0};
    int width = s->options.preview_width;
    pthread_rwlock_rdlock(&s->live_lock);
    if (s->live && live_preview_open(&u->preview, s->live, width, width, quality, &err) == 0) {
        u->of = s->live;
        u->quality = quality;
        pthread_mutex_lock(&s->lock);
        s->has_preview = true;
        pthread_mutex_unlock(&s->lock);
    }
    pthread_rwlock_unlock(&s->live_lock);
}

static void beat(pulse *u) {
    server *s = u->server;
    live_picture picture;
    media_error err = {0};
    size_t watchers = hub_readers(s->pictures);
    bool snapshot = snapshot_wanted(s);
    bool wanted = watchers > 0 || snapshot || hub_readers(s->events) > 0;
    pthread_mutex_lock(&s->lock);
    int quality = s->config.preview_quality;
    pthread_mutex_unlock(&s->lock);
    pthread_rwlock_rdlock(&s->live_lock);
    const live *now = s->live;
    pthread_rwlock_unlock(&s->live_lock);
    if (u->preview && (!wanted || now != u->of || quality != u->quality))
        close_preview(u);
    if (!u->preview && wanted && now)
        open_preview(u, quality);
    if (!u->preview) {
        nanosleep(&(struct timespec){.tv_nsec = FRAME_WAIT_NS / 2}, NULL);
        publish_events(u, NULL);
        return;
    }
    int ret = live_preview_next(u->preview, FRAME_WAIT_NS, &picture, &err);
    if (ret < 0)
        nanosleep(&(struct timespec){.tv_nsec = FRAME_WAIT_NS / 2}, NULL);
    if (ret > 0 && picture.jpeg && watchers > 0)
        publish_picture(s, &picture);
    if (ret > 0 && picture.jpeg && snapshot)
        keep_snapshot(s, &picture);
    atomic_fetch_add(&s->n_pictures, ret > 0);
    publish_events(u, ret > 0 ? &picture : NULL);
}

void *pulse_main(void *server_pointer) {
    pulse u = {.server = server_pointer};
    bool ending = false;
    while (!ending) {
        beat(&u);
        pthread_mutex_lock(&u.server->lock);
        ending = u.server->pulse_ending;
        pthread_mutex_unlock(&u.server->lock);
    }
    if (u.preview)
        close_preview(&u);
    return NULL;
}
