/* One thread that looks at the live picture for all who watch: scales and encodes each preview
 * once, as video and as single pictures, whichever is watched, and tells where the faces are in
 * that very frame. Nobody watching: it does nothing. */
#include "inside.h"

#include "http.h"
#include "video.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STATE_NS      INT64_C(250000000)  /* between two full states */
#define IDLE_STATE_NS INT64_C(1000000000) /* the same without a session */
#define FRAME_WAIT_NS INT64_C(100000000)
#define SNAPSHOT_NS   INT64_C(3000000000) /* after a snapshot more may be asked for */
#define KEY_NS        INT64_C(500000000)  /* key frames asked for come so often at most */
#define BOUNDARY      "veilframe"

typedef struct {
    server *server;
    live *of;                      /* whom the previews show */
    live_preview *stills, *moving; /* NULL: not watched so */
    int quality, video_quality;
    video *video; /* with moving, from its first picture on */
    int64_t state_ns, key_ns;
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
    snapshot *to = &s->snapshot;
    free(to->jpeg);
    to->jpeg = copy;
    to->size = p->jpeg_size;
    to->made_ns = http_now_ns();
    to->tracks.width = p->frame_width;
    to->tracks.height = p->frame_height;
    to->tracks.n = p->n_tracks < EXPLAIN_TRACKS_MAX ? p->n_tracks : EXPLAIN_TRACKS_MAX;
    for (size_t i = 0; i < to->tracks.n; i++)
        to->tracks.track[i] = p->tracks[i];
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
    hub_publish(s->pictures, data, (size_t)n + p->jpeg_size + 2, true);
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
        json_t *json = json_pack("{s:I, s:b, s:o}", "serial", (json_int_t)p->serial, "covered",
                                 p->result.covered != 0, "tracks", tracks);
        if (u->video)
            json_object_set_new(json, "time", json_real(video_time(u->video, p)));
        text = add_event(text, "frame", json);
    }
    if (due) {
        u->state_ns = now_ns;
        text = add_event(text, "state", state_json(s));
    }
    if (text)
        hub_publish(s->events, text, strlen(text), true);
}

/* ---------------------------------------------------------------- video */

/* Whoever reads the stream comes to its end, and asks for the next one. */
static void end_video(pulse *u) {
    if (u->video)
        hub_begin(u->server->videos, NULL, 0);
    video_close(u->video);
    u->video = NULL;
}

static bool begin_video(pulse *u, const live_picture *p, int quality) {
    media_error err = {0};
    video_bytes head;
    end_video(u);
    if (video_open(&u->video, p, quality, &head, &err) != 0) {
        server_log(u->server, "%s", err.text);
        return false;
    }
    u->video_quality = quality;
    u->key_ns = 0;
    hub_begin(u->server->videos, head.data, head.size);
    return true;
}

static void publish_video(pulse *u, const live_picture *p, int quality) {
    server *s = u->server;
    media_error err = {0};
    video_bytes bytes;
    if ((!u->video || !video_fits(u->video, p)) && !begin_video(u, p, quality))
        return;
    if (quality != u->video_quality)
        video_set_quality(u->video, u->video_quality = quality);
    int64_t now_ns = http_now_ns();
    bool key = now_ns - u->key_ns >= KEY_NS && hub_wants_key(s->videos);
    if (video_add(u->video, p, &key, &bytes, &err) != 0) {
        server_log(s, "%s", err.text);
        end_video(u);
        return;
    }
    u->key_ns = key ? now_ns : u->key_ns;
    hub_publish(s->videos, bytes.data, bytes.size, key);
}

/* ---------------------------------------------------------------- previews */

static void close_previews(pulse *u, bool stills, bool moving) {
    if (stills) {
        live_preview_close(u->stills);
        u->stills = NULL;
    }
    if (moving) {
        live_preview_close(u->moving);
        u->moving = NULL;
        end_video(u);
    }
    if (!u->stills && !u->moving && u->of) {
        u->of = NULL;
        pthread_mutex_lock(&u->server->lock);
        u->server->has_preview = false;
        pthread_cond_broadcast(&u->server->wake);
        pthread_mutex_unlock(&u->server->lock);
    }
}

/* The session cannot be freed while has_preview is set. */
static void open_previews(pulse *u, bool stills, bool moving, int quality) {
    server *s = u->server;
    media_error err = {0};
    int px = s->options.preview_width;
    pthread_mutex_lock(&s->lock); /* before live_lock, as everywhere */
    pthread_rwlock_rdlock(&s->live_lock);
    if (s->live && stills && !u->stills &&
        live_preview_open(&u->stills, s->live, px, px, quality, &err) == 0)
        u->quality = quality;
    if (s->live && moving && !u->moving)
        (void)live_preview_open(&u->moving, s->live, px, px, 0, &err);
    if (u->stills || u->moving) {
        u->of = s->live;
        s->has_preview = true;
    }
    pthread_rwlock_unlock(&s->live_lock);
    pthread_mutex_unlock(&s->lock);
}

/* Those that are wanted now, of the session that runs now. */
static void settle_previews(pulse *u, bool stills, bool moving, int quality) {
    server *s = u->server;
    pthread_rwlock_rdlock(&s->live_lock);
    const live *now = s->live;
    pthread_rwlock_unlock(&s->live_lock);
    bool other = now != u->of;
    close_previews(u, u->stills && (other || !stills || quality != u->quality),
                   u->moving && (other || !moving));
    if (now && ((stills && !u->stills) || (moving && !u->moving)))
        open_previews(u, stills, moving, quality);
}

static void beat(pulse *u) {
    server *s = u->server;
    live_picture picture, still = {0};
    media_error err = {0};
    size_t watchers = hub_readers(s->pictures);
    bool single = snapshot_wanted(s), moving = hub_readers(s->videos) > 0;
    bool stills = watchers > 0 || single || (!moving && hub_readers(s->events) > 0);
    pthread_mutex_lock(&s->lock);
    int quality = s->config.preview_quality;
    pthread_mutex_unlock(&s->lock);
    settle_previews(u, stills, moving, quality);
    if (!u->of) {
        nanosleep(&(struct timespec){.tv_nsec = FRAME_WAIT_NS / 2}, NULL);
        publish_events(u, NULL);
        return;
    }
    int ret = live_preview_next(u->moving ? u->moving : u->stills, FRAME_WAIT_NS, &picture, &err);
    if (ret < 0)
        nanosleep(&(struct timespec){.tv_nsec = FRAME_WAIT_NS / 2}, NULL);
    if (ret > 0 && u->moving)
        publish_video(u, &picture, quality);
    if (ret > 0 && !u->moving)
        still = picture;
    else if (ret > 0 && u->stills)
        (void)live_preview_next(u->stills, 0, &still, &err);
    if (still.jpeg && watchers > 0)
        publish_picture(s, &still);
    if (still.jpeg && single)
        keep_snapshot(s, &still);
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
    close_previews(&u, true, true);
    return NULL;
}
