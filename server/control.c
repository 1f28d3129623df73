/* One thread that makes what runs agree with what is wanted: starts and ends the live session, its
 * source and its outputs. All that may take long happens here, never in an HTTP thread. */
#include "inside.h"

#include "report.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define END_WAIT_NS INT64_C(15000000000)
#define AUDIT_BYTES (16L << 20)
#define TICK_NS     100000000
#define SAVE_TICKS  3 /* settings are written so many ticks after a change at most */

void control_wake(server *s) {
    s->save = true;
    pthread_cond_broadcast(&s->wake);
}

void control_apply(server *s) {
    veil_settings settings;
    media_error err = {0};
    config_to_veil(&s->config, &settings);
    pthread_rwlock_rdlock(&s->live_lock);
    if (s->live) {
        live_cover(s->live, s->config.panic);
        if (live_set_settings(s->live, &settings, &err) != 0)
            server_log(s, "%s", err.text);
    }
    pthread_rwlock_unlock(&s->live_lock);
    control_wake(s);
}

/* ---------------------------------------------------------------- events of the session */

/* The log of decisions is cut when it is long: the one before is kept. */
static void turn_audit(server *s) {
    char path[STORE_PATH_MAX], old[STORE_PATH_MAX];
    if (s->audit && ftell(s->audit) < AUDIT_BYTES)
        return;
    if (store_path(&s->store, "audit.jsonl", path, sizeof path) != 0 ||
        store_path(&s->store, "audit.1.jsonl", old, sizeof old) != 0)
        return;
    if (s->audit) {
        fclose(s->audit);
        rename(path, old);
    }
    s->audit = fopen(path, "ae");
    if (s->audit)
        setvbuf(s->audit, NULL, _IOLBF, 0);
}

/* Takes a folder of ours out of a text for people. */
static void drop_folder(char *text, const char *folder) {
    size_t n = folder ? strlen(folder) : 0;
    char *at;
    while (n > 0 && (at = strstr(text, folder)) && at[n] == '/')
        memmove(at, at + n + 1, strlen(at + n + 1) + 1);
}

static void on_event(void *user, const live_event *event) {
    server *s = user;
    pthread_mutex_lock(&s->notes_lock);
    if (event->kind == LIVE_EVENT_DECISION && event->veil) {
        turn_audit(s);
        if (s->audit)
            report_audit(s->audit, "live", event->veil);
    } else {
        note *n = &s->notes[s->n_notes++ % NOTES_MAX];
        n->time = (int64_t)time(NULL);
        snprintf(n->text, sizeof n->text, "%s", event->text);
        drop_folder(n->text, s->options.media);
        drop_folder(n->text, s->recordings);
    }
    pthread_mutex_unlock(&s->notes_lock);
    if (event->kind != LIVE_EVENT_DECISION)
        server_log(s, "%s", event->text);
    atomic_fetch_add(&s->n_events, 1);
}

/* ---------------------------------------------------------------- start and end */

/* Of one pass, copied so that nothing is locked while sessions start. */
typedef struct {
    config config;
    source_choice source;
    uint64_t serial;
    bool running;
} wanted;

static void copy_wanted(server *s, wanted *w) {
    w->config = s->config;
    w->source = s->source;
    w->serial = s->source_serial;
    w->running = s->running;
}

/* The session takes the feed over, whatever comes of it. */
static void fill_source(server *s, wanted *w, live_source *out, char *path, size_t size) {
    const source_choice *c = &w->source;
    memset(out, 0, sizeof *out);
    out->url = c->text;
    if (c->kind == SOURCE_FILE) {
        snprintf(path, size, "%s/%s", s->options.media, c->text);
        out->url = path;
        out->realtime = true;
        out->loop = c->loop;
    } else if (c->kind == SOURCE_URL) {
        out->listen = c->listen;
    } else if (c->kind == SOURCE_BROWSER) {
        out->url = NULL;
        out->format = strncmp(c->text, "video/mp4", 9) == 0 ? "mp4" : "webm";
        out->read = feed_read;
        out->close = feed_close;
        pthread_mutex_lock(&s->lock);
        out->user = s->source.feed; /* of the same choice: the serial was compared */
        s->source.feed = NULL;
        pthread_mutex_unlock(&s->lock);
        if (!out->user)
            out->read = NULL;
    }
}

static void give_up(server *s, uint64_t serial, const char *why) {
    pthread_mutex_lock(&s->lock);
    if (s->source_serial == serial)
        s->running = false;
    snprintf(s->problem, sizeof s->problem, "%.*s", LIVE_TEXT_MAX - 1, why);
    live_mask_text(s->problem, sizeof s->problem);
    control_wake(s);
    pthread_mutex_unlock(&s->lock);
    server_log(s, "%s", why);
}

/* Of a session that could not take it. */
static void drop_feed(live_source *source) {
    if (source->close)
        source->close(source->user);
}

static live *start_session(server *s, wanted *w) {
    live_options o;
    live *l = NULL;
    media_error err = {0};
    char path[STORE_PATH_MAX + URL_MAX];
    live_options_init(&o);
    fill_source(s, w, &o.source, path, sizeof path);
    o.veil.model = s->options.model;
    o.veil.model_size = s->options.model_size;
    o.veil.lookahead_ns = (int64_t)w->config.lookahead_ms * 1000000;
    config_to_veil(&w->config, &o.veil.settings);
    o.on_event = on_event;
    o.user = s;
    if (w->source.kind == SOURCE_BROWSER && !o.source.read) {
        media_fail(&err, "the browser has to start its camera again");
    } else if (live_create(&l, &o, &err) != 0) {
        drop_feed(&o.source);
    } else {
        live_cover(l, true); /* until what was changed meanwhile is in force, panic above all */
        if (live_start(l, &err) == 0) {
            pthread_rwlock_wrlock(&s->live_lock);
            s->live = l;
            pthread_rwlock_unlock(&s->live_lock);
            pthread_mutex_lock(&s->lock);
            control_apply(s);
            pthread_mutex_unlock(&s->lock);
            return l;
        }
    }
    live_destroy(l);
    give_up(s, w->serial, err.text);
    return NULL;
}

/* Waits until nobody uses it, then frees it. */
static void end_session(server *s, live *l) {
    pthread_rwlock_wrlock(&s->live_lock);
    s->live = NULL;
    pthread_rwlock_unlock(&s->live_lock);
    pthread_mutex_lock(&s->lock);
    while (s->has_preview)
        pthread_cond_wait(&s->wake, &s->lock);
    for (int i = 0; i < OUTPUTS_MAX; i++)
        s->outputs[i].live_id = 0;
    s->n_choices = 0;
    for (size_t i = s->n_undo; i-- > 0;) { /* decisions about faces that are gone */
        if (s->undo[i].track)
            memmove(&s->undo[i], &s->undo[i + 1], (--s->n_undo - i) * sizeof s->undo[0]);
    }
    pthread_mutex_unlock(&s->lock);
    live_destroy(l);
}

static void stop_session(server *s, live *l, uint64_t serial, bool by_itself) {
    media_error err = {0};
    if (!by_itself) {
        live_stop(l);
        live_wait(l, END_WAIT_NS);
    }
    bool failed = live_wait(l, 0) && live_result(l, &err) != 0;
    end_session(s, l);
    if (failed && by_itself)
        give_up(s, serial, err.text);
    else if (by_itself)
        give_up(s, serial, "the source has ended");
}

/* ---------------------------------------------------------------- outputs */

static int open_output(server *s, live *l, const output_choice *c, media_error *err) {
    char path[STORE_PATH_MAX + URL_MAX];
    live_output o = {.url = c->text, .no_audio = c->no_audio};
    if (c->recording) {
        snprintf(path, sizeof path, "%s/%s", s->recordings, c->text);
        o.url = path;
    }
    return live_add_output(l, &o, err);
}

static void settle_output(server *s, live *l, output_choice *slot) {
    media_error err = {0};
    pthread_mutex_lock(&s->lock);
    output_choice c = *slot;
    pthread_mutex_unlock(&s->lock);
    bool want = c.id != 0 && c.on;
    if (want == (c.live_id != 0) || (want && c.problem[0] != '\0'))
        return;
    int live_id = 0;
    if (want)
        live_id = open_output(s, l, &c, &err);
    else
        live_remove_output(l, c.live_id, &err);
    pthread_mutex_lock(&s->lock);
    if (slot->id == c.id) {
        slot->live_id = live_id > 0 ? live_id : 0;
        snprintf(slot->problem, sizeof slot->problem, "%.*s", LIVE_TEXT_MAX - 1,
                 want && live_id <= 0 ? err.text : "");
    }
    if (slot->id != 0 && !slot->on && slot->removed)
        memset(slot, 0, sizeof *slot);
    pthread_mutex_unlock(&s->lock);
}

/* ---------------------------------------------------------------- the thread */

static void save(server *s) {
    media_error err = {0};
    pthread_mutex_lock(&s->lock);
    json_t *json = state_save(s);
    s->save = false;
    pthread_mutex_unlock(&s->lock);
    if (!json || store_save(&s->store, json, &err) != 0)
        server_log(s, "%s", json ? err.text : "out of memory");
    json_decref(json);
}

static void change_source(server *s, live *l, wanted *w) {
    live_source source;
    media_error err = {0};
    char path[STORE_PATH_MAX + URL_MAX];
    fill_source(s, w, &source, path, sizeof path);
    if (w->source.kind == SOURCE_BROWSER && !source.read)
        return;
    if (live_set_source(l, &source, &err) != 0) {
        drop_feed(&source);
        give_up(s, w->serial, err.text);
    }
}

static void wait_a_tick(server *s) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TICK_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&s->wake, &s->lock, &until);
}

/* Removed outputs without a session are forgotten at once. */
static void forget_removed(server *s) {
    for (int i = 0; i < OUTPUTS_MAX; i++) {
        if (s->outputs[i].removed && s->outputs[i].live_id == 0)
            memset(&s->outputs[i], 0, sizeof s->outputs[i]);
    }
}

void *control_main(void *server_pointer) {
    server *s = server_pointer;
    live *l = NULL;
    uint64_t serial = 0; /* of the source at work */
    int unsaved = 0;
    pthread_mutex_lock(&s->lock);
    while (!s->ending) {
        wanted w;
        copy_wanted(s, &w);
        forget_removed(s);
        unsaved = s->save ? unsaved + 1 : 0;
        bool due = unsaved >= SAVE_TICKS;
        pthread_mutex_unlock(&s->lock);
        if (l && live_wait(l, 0)) {
            stop_session(s, l, serial, true);
            l = NULL;
        } else if (l && !w.running) {
            stop_session(s, l, serial, false);
            l = NULL;
        } else if (!l && w.running) {
            l = start_session(s, &w);
            serial = w.serial;
        } else if (l && serial != w.serial) {
            change_source(s, l, &w);
            serial = w.serial;
        }
        for (int i = 0; l && i < OUTPUTS_MAX; i++)
            settle_output(s, l, &s->outputs[i]);
        if (due)
            save(s);
        pthread_mutex_lock(&s->lock);
        if (!s->ending)
            wait_a_tick(s);
    }
    pthread_mutex_unlock(&s->lock);
    if (l)
        stop_session(s, l, serial, false);
    save(s);
    return NULL;
}
