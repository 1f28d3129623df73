/* The server's state as JSON: for /state and the events, for the settings file, as metrics. */
#include "inside.h"

#include "http.h"
#include "live_text.h"

#include <stdlib.h>
#include <string.h>

#define METRICS_MAX 16384 /* bytes */

static void set(json_t *object, const char *key, json_t *value) {
    json_object_set_new(object, key, value);
}

static veil_decision choice_for(const server *s, uint32_t track) {
    size_t n = s->n_choices < CHOICES_MAX ? s->n_choices : CHOICES_MAX;
    for (size_t i = 0; i < n; i++) {
        if (s->choices[i].track == track)
            return s->choices[i].decision;
    }
    return VEIL_AUTO;
}

json_t *state_tracks_json(server *s, const veil_track *tracks, size_t n, int width, int height) {
    json_t *list = json_array();
    double w = width > 0 ? width : 1, h = height > 0 ? height : 1;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < n; i++) {
        const veil_track *t = &tracks[i];
        json_array_append_new(list, json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:s, s:s, s:s}",
                                              "id", (json_int_t)t->id, "x", (double)t->x / w, "y",
                                              (double)t->y / h, "w", (double)t->w / w, "h",
                                              (double)t->h / h, "score", (double)t->score,
                                              "interview", (double)t->interview, "decision",
                                              config_decision_word(t->decision), "reason",
                                              veil_reason_text(t->reason), "user",
                                              config_decision_word(choice_for(s, t->id))));
    }
    pthread_mutex_unlock(&s->lock);
    return list;
}

/* With the lock. */
static json_t *outputs_json(const server *s, const live_state *now) {
    json_t *list = json_array();
    for (int i = 0; i < OUTPUTS_MAX; i++) {
        const output_choice *c = &s->outputs[i];
        char text[URL_MAX];
        if (c->id == 0 || c->removed)
            continue;
        live_mask(text, sizeof text, c->text);
        json_t *json = json_pack("{s:i, s:b, s:s, s:b, s:b}", "id", c->id, "record", c->recording,
                                 "url", c->recording ? c->text : text, "on", c->on, "up", 0);
        const char *problem = c->problem;
        for (size_t k = 0; now && k < now->n_outputs; k++) {
            const live_output_state *o = &now->outputs[k];
            if (c->live_id == 0 || o->id != c->live_id)
                continue;
            set(json, "up", json_boolean(o->up));
            set(json, "frames", json_integer(o->frames));
            set(json, "bytes", json_integer(o->bytes));
            set(json, "dropped", json_integer(o->dropped));
            set(json, "reconnects", json_integer(o->reconnects));
            problem = o->problem;
        }
        set(json, "problem", json_string(problem));
        json_array_append_new(list, json);
    }
    return list;
}

static json_t *notes_json(server *s) {
    json_t *list = json_array();
    pthread_mutex_lock(&s->notes_lock);
    uint64_t n = s->n_notes < 12 ? s->n_notes : 12;
    for (uint64_t i = s->n_notes - n; i < s->n_notes; i++) {
        const note *x = &s->notes[i % NOTES_MAX];
        json_array_append_new(
            list, json_pack("{s:I, s:s}", "time", (json_int_t)x->time, "text", x->text));
    }
    pthread_mutex_unlock(&s->notes_lock);
    return list;
}

static size_t viewers(const server *s) {
    return hub_readers(s->pictures) + hub_readers(s->videos);
}

/* What the lamp shows. */
static const char *lamp_word(bool running, bool has_live, const live_state *l, bool panic) {
    if (!has_live)
        return running ? "starting" : "stopped";
    if (panic || l->phase == LIVE_COVERED)
        return "covered";
    return l->phase == LIVE_PROTECTING ? "protecting"
           : l->phase == LIVE_STARTING ? "starting"
                                       : "stopped";
}

json_t *state_json(server *s) {
    live_state *l = calloc(1, sizeof *l);
    json_t *json = json_object();
    jobs_counts counts;
    if (!l || !json)
        goto done;
    pthread_rwlock_rdlock(&s->live_lock);
    bool has_live = s->live != NULL;
    if (has_live)
        live_get_state(s->live, l);
    pthread_rwlock_unlock(&s->live_lock);
    jobs_count(s->jobs, &counts);
    pthread_mutex_lock(&s->lock);
    bool panic = s->config.panic;
    set(json, "lamp", json_string(lamp_word(s->running, has_live, l, panic)));
    set(json, "reason",
        json_string(panic        ? live_cover_text(LIVE_COVER_PANIC)
                    : has_live   ? live_cover_text(l->cover)
                    : s->running ? live_cover_text(LIVE_COVER_START)
                                 : ""));
    set(json, "panic", json_boolean(panic));
    set(json, "running", json_boolean(s->running));
    set(json, "problem", json_string(has_live ? l->problem : s->problem));
    set(json, "source", sources_json(&s->source, false));
    set(json, "outputs", outputs_json(s, has_live ? l : NULL));
    set(json, "undo", json_integer((json_int_t)s->n_undo));
    set(json, "config", config_json(&s->config));
    set(json, "force_weak", json_boolean(s->config.force_weak));
    set(json, "zones", config_zones_json(&s->config));
    if (s->source.kind == SOURCE_FILE) /* where the folder of media lies is nobody's business */
        snprintf(l->input, sizeof l->input, "%.*s", LIVE_TEXT_MAX - 1, s->source.text);
    pthread_mutex_unlock(&s->lock);
    set(json, "live", has_live ? live_text_json(l) : json_null());
    set(json, "notes", notes_json(s));
    set(json, "viewers", json_integer((json_int_t)viewers(s)));
    set(json, "jobs",
        json_pack("{s:I, s:I}", "waiting", (json_int_t)counts.waiting, "running",
                  (json_int_t)counts.running));
    set(json, "version", json_string(s->options.version));
done:
    free(l);
    return json;
}

/* ---------------------------------------------------------------- settings file */

json_t *state_save(const server *s) {
    json_t *outputs = json_array();
    for (int i = 0; i < OUTPUTS_MAX; i++) {
        const output_choice *c = &s->outputs[i];
        if (c->id != 0 && !c->removed)
            json_array_append_new(outputs,
                                  json_pack("{s:b, s:s, s:b, s:b}", "record", c->recording, "text",
                                            c->text, "on", c->on, "no_audio", c->no_audio));
    }
    return json_pack("{s:i, s:o, s:o, s:b, s:b, s:o, s:o}", "version", 1, "config",
                     config_json(&s->config), "zones", config_zones_json(&s->config), "panic",
                     s->config.panic, "running", s->running, "source",
                     sources_json(&s->source, true), "outputs", outputs);
}

static void load_outputs(server *s, const json_t *list) {
    for (size_t i = 0; i < json_array_size(list) && i < OUTPUTS_MAX; i++) {
        const json_t *json = json_array_get(list, i);
        const char *text = json_string_value(json_object_get(json, "text"));
        bool recording = json_is_true(json_object_get(json, "record"));
        output_choice *c = &s->outputs[i];
        if (!text || strlen(text) >= URL_MAX || (!recording && !sources_url_ok(text, true)))
            continue;
        *c = (output_choice){.id = ++s->last_output_id,
                             .recording = recording,
                             .on = json_is_true(json_object_get(json, "on")),
                             .no_audio = json_is_true(json_object_get(json, "no_audio"))};
        snprintf(c->text, sizeof c->text, "%s", text);
        if (recording) /* a recording goes on in a new file */
            sources_name_recording(c, strstr(text, ".mp4") ? "mp4" : "mkv");
    }
}

bool state_load(server *s, const json_t *saved, char problem[CONFIG_TEXT_MAX]) {
    source_choice source;
    const json_t *from = json_object_get(saved, "source");
    s->config.force_weak = true; /* was allowed when it was saved */
    if (!config_patch(&s->config, json_object_get(saved, "config"), problem) ||
        !config_set_zones(&s->config, json_object_get(saved, "zones"), problem))
        return false;
    s->config.force_weak = s->options.force_weak;
    config_drop_weak(&s->config);
    s->config.panic = json_is_true(json_object_get(saved, "panic"));
    load_outputs(s, json_object_get(saved, "outputs"));
    /* A source that is gone by now is no reason not to start. */
    if (json_is_object(from) && !json_object_get(from, "browser") &&
        sources_parse(s, from, &source, problem)) {
        s->source = source;
        s->source_serial++;
        s->running = json_is_true(json_object_get(saved, "running")) && !s->options.fresh;
    }
    return true;
}

/* ---------------------------------------------------------------- metrics */

char *state_metrics(server *s) {
    live_text_writer w = {.text = malloc(METRICS_MAX), .size = METRICS_MAX};
    live_state *l = calloc(1, sizeof *l);
    jobs_counts counts;
    if (!w.text || !l) {
        free(w.text);
        free(l);
        return NULL;
    }
    pthread_rwlock_rdlock(&s->live_lock);
    bool up = s->live != NULL;
    if (up)
        live_get_state(s->live, l);
    pthread_rwlock_unlock(&s->live_lock);
    jobs_count(s->jobs, &counts);
    live_text_figure(&w, "live", "gauge", "1 while a live session runs", up);
    w.used += live_text_metrics(w.text + w.used, w.size - w.used, l);
    live_text_figure(&w, "viewers", "gauge", "Readers of the preview", (double)viewers(s));
    live_text_figure(&w, "previews_total", "counter", "Preview pictures made",
                     (double)atomic_load(&s->n_pictures));
    live_text_figure(&w, "http_connections", "gauge", "Open connections",
                     (double)http_connections(s->http));
    live_text_figure(&w, "http_requests_total", "counter", "Requests answered",
                     (double)atomic_load(&s->n_requests));
    live_text_figure(&w, "http_refused_total", "counter",
                     "Requests answered with an error of the client",
                     (double)atomic_load(&s->n_refused));
    live_text_figure(&w, "jobs_waiting", "gauge", "Jobs waiting", (double)counts.waiting);
    live_text_figure(&w, "jobs_running", "gauge", "Jobs at work", (double)counts.running);
    live_text_figure(&w, "jobs_done_total", "counter", "Jobs done", (double)counts.done);
    live_text_figure(&w, "jobs_failed_total", "counter", "Jobs failed", (double)counts.failed);
    live_text_figure(&w, "jobs_bytes", "gauge", "Disk used by uploads and results",
                     (double)counts.disk_bytes);
    free(l);
    return w.text;
}
