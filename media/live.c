/* Life, configuration and state of live sessions. The work is in the other live_*.c files. */
#include "live_priv.h"

#include "secret.h"

#include <libavdevice/avdevice.h>
#include <libavformat/avformat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND_NS + t.tv_nsec;
}

int64_t live_now(const live *s) {
    return clock_ns() - s->start_ns;
}

bool live_stopping(const live *s) {
    return atomic_load(&s->stop) != 0;
}

void live_doze(const live *s, int64_t time_ns, unsigned generation) {
    int64_t until = clock_ns() + time_ns, left;
    while (!live_stopping(s) && atomic_load(&s->generation) == generation &&
           (left = until - clock_ns()) > 0) {
        if (left > 50 * MS_NS)
            left = 50 * MS_NS;
        nanosleep(&(struct timespec){.tv_nsec = (long)left}, NULL);
    }
}

char *live_text_copy(const char *text, bool *failed) {
    char *copy = text ? strdup(text) : NULL;
    *failed = *failed || (text && !copy);
    return copy;
}

void live_mask(char *out, size_t size, const char *url) {
    secret_mask(out, size, url);
}

void live_mask_text(char *text, size_t size) {
    char *copy = strdup(text);
    if (copy)
        secret_mask(text, size, copy);
    else if (size > 0)
        text[0] = '\0';
    free(copy);
}

bool live_hw_from_name(live_hw *out, const char *name) {
    static const char *const names[] = {"auto", "none", "vaapi", "nvdec", "v4l2m2m"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcasecmp(name, names[i]) == 0) {
            *out = (live_hw)i;
            return true;
        }
    }
    return false;
}

const char *live_phase_text(live_phase p) {
    static const char *const texts[] = {"stopped", "starting", "protecting", "covered"};
    return (unsigned)p < 4 ? texts[p] : "unknown";
}

const char *live_cover_text(live_cover_reason r) {
    static const char *const texts[] = {
        "",         "nothing came yet", "input lost",         "a stage stands still",
        "overload", "covered by hand",  "the analysis failed"};
    return (unsigned)r < sizeof texts / sizeof texts[0] ? texts[r] : "unknown";
}

void live_event_send(live *s, live_event_kind kind, int output, const char *text,
                     const veil_event *decision) {
    char masked[LIVE_TEXT_MAX];
    if (!s->o.on_event)
        return;
    secret_mask(masked, sizeof masked, text);
    live_event event = {.kind = kind,
                        .output = output,
                        .time_s = (double)live_now(s) / (double)SECOND_NS,
                        .text = masked,
                        .veil = decision};
    pthread_mutex_lock(&s->events);
    s->o.on_event(s->o.user, &event);
    pthread_mutex_unlock(&s->events);
}

void live_note_problem(live *s, const char *text) {
    pthread_mutex_lock(&s->lock);
    secret_mask(s->st.problem, sizeof s->st.problem, text);
    pthread_mutex_unlock(&s->lock);
}

void live_fail(live *s, const media_error *err) {
    pthread_mutex_lock(&s->lock);
    if (s->result == 0) {
        s->result = -1;
        if (s->problem.text[0] == '\0')
            s->problem = *err;
    }
    pthread_mutex_unlock(&s->lock);
    live_note_problem(s, err->text);
    live_stop(s);
}

static void on_decision(void *user, const veil_event *event) {
    char text[128];
    snprintf(text, sizeof text, "face %u: %s (%s)", (unsigned)event->track,
             event->decision == VEIL_KEEP ? "visible" : "hidden", veil_reason_text(event->reason));
    live_event_send(user, LIVE_EVENT_DECISION, 0, text, event);
}

static void on_log(void *user, int level, const char *text) {
    if (level == 0)
        live_note_problem(user, text);
    else if (level == 1)
        live_event_send(user, LIVE_EVENT_NOTE, 0, text, NULL);
}

void live_options_init(live_options *o) {
    memset(o, 0, sizeof *o);
    veil_options_init(&o->veil, sizeof o->veil);
    o->veil.lookahead_ns = 250 * MS_NS;
}

static void copy_zones(live *s, const veil_settings *from) {
    size_t n = from->n_zones < 64 ? from->n_zones : 64;
    if (n > 0)
        memmove(s->zones, from->zones, n * sizeof(veil_zone));
    s->settings = *from;
    s->settings.zones = s->zones;
    s->settings.n_zones = n;
}

static int check_options(const live_options *o, media_error *err) {
    bool size_given = o->width != 0 || o->height != 0;
    if (size_given &&
        (o->width < VEIL_SIZE_MIN || o->height < VEIL_SIZE_MIN || o->width > VEIL_SIZE_MAX ||
         o->height > VEIL_SIZE_MAX || (o->width | o->height) % 2 != 0))
        return media_fail(err, "the output size %dx%d is not an even size from %d to %d", o->width,
                          o->height, VEIL_SIZE_MIN, VEIL_SIZE_MAX);
    if (o->n_outputs > LIVE_OUTPUTS_MAX)
        return media_fail(err, "at most %d outputs are possible", LIVE_OUTPUTS_MAX);
    if (o->source.options) {
        AVDictionary *dict = NULL;
        int ret = av_dict_parse_string(&dict, o->source.options, "=", ":", 0);
        av_dict_free(&dict);
        if (ret < 0)
            return media_fail(err, "input options must look like name=value:name=value, not '%s'",
                              o->source.options);
    }
    return 0;
}

static void set_default(int64_t *value, int64_t fallback) {
    if (*value <= 0)
        *value = fallback;
}

static int on_fault(void *user, const char *name) {
    const live *s = user;
    return s->fault(s->fault_user, name);
}

static int make_veil(live *s, media_error *err) {
    veil_options *v = &s->o.veil;
    v->on_event = on_decision;
    v->log = on_log;
    s->fault = v->fault;
    s->fault_user = v->user;
    v->fault = v->fault ? on_fault : NULL;
    v->user = s;
    int ret = veil_create(&s->veil, v);
    v->model = NULL; /* read by now */
    if (ret == VEIL_OK)
        return 0;
    return media_fail(err, "cannot start: %s",
                      s->st.problem[0] != '\0' ? s->st.problem : veil_strerror(ret));
}

static void init_locks(live *s) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->events, NULL);
    pthread_mutex_init(&s->config, NULL);
    pthread_mutex_init(&s->apply, NULL);
    pthread_mutex_init(&s->feed, NULL);
}

static void register_devices(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, avdevice_register_all);
}

int live_create(live **out, const live_options *options, media_error *err) {
    *out = NULL;
    register_devices();
    live *s = calloc(1, sizeof *s);
    if (!s)
        return media_fail(err, "out of memory");
    init_locks(s);
    bool failed = false;
    s->o = *options;
    s->o.card = live_text_copy(options->card, &failed);
    s->o.outputs = NULL;
    s->start_ns = clock_ns();
    atomic_store(&s->last_ticks, -1);
    set_default(&s->o.input_silence_ns, 500 * MS_NS);
    set_default(&s->o.input_timeout_ns, 10 * SECOND_NS);
    set_default(&s->o.stall_ns, 200 * MS_NS);
    set_default(&s->o.retry_min_ns, 500 * MS_NS);
    set_default(&s->o.retry_max_ns, 10 * SECOND_NS);
    copy_zones(s, &options->veil.settings);
    s->raw = queue_create(RAW_FRAMES, live_free_frame, &s->abort);
    s->shown = queue_create(RAW_FRAMES, live_free_shown, &s->abort);
    if (failed || !s->raw || !s->shown || sound_create(&s->sound) != 0) {
        media_fail(err, "out of memory");
        goto fail;
    }
    if (check_options(options, err) != 0 || make_veil(s, err) != 0)
        goto fail;
    for (size_t i = 0; i < options->n_outputs; i++) {
        if (live_add_output(s, &options->outputs[i], err) < 0)
            goto fail;
    }
    s->src = live_src_create(&options->source, err);
    if (!s->src)
        goto fail;
    atomic_store(&s->paced, s->src->paced);
    *out = s;
    return 0;
fail:
    live_destroy(s);
    return -1;
}

void live_fix_format(live *s, int width, int height, AVRational rate, bool audio) {
    const live_options *o = &s->o;
    pthread_mutex_lock(&s->lock);
    if (!atomic_load(&s->known)) {
        bool given = o->width > 0;
        s->width = given ? o->width : width & ~1;
        s->height = given ? o->height : height & ~1;
        bool usable = rate.num > 0 && rate.den > 0 && av_q2d(rate) >= 1 && av_q2d(rate) <= 240;
        s->rate = o->rate_num > 0 ? (AVRational){o->rate_num, o->rate_den > 0 ? o->rate_den : 1}
                  : usable        ? rate
                                  : (AVRational){30, 1};
        s->step = av_rescale(TICKS, s->rate.den, s->rate.num);
        if (s->step < 1)
            s->step = 1;
        s->audio = o->audio > 0 || (o->audio == 0 && audio);
        s->st.width = s->width;
        s->st.height = s->height;
        s->st.fps = av_q2d(s->rate);
        s->st.audio = s->audio;
        atomic_store(&s->known, true);
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
}

/* Ends encoders, then outputs, each with what it still has. */
static void finish_outputs(live *s) {
    pthread_mutex_lock(&s->config);
    for (size_t i = 0; i < LIVE_OUTPUTS_MAX; i++)
        live_enc_finish(s->encs[i]);
    for (size_t i = 0; i < LIVE_OUTPUTS_MAX; i++) {
        if (s->sinks[i])
            live_sink_end(s->sinks[i]);
    }
    for (size_t i = 0; i < LIVE_OUTPUTS_MAX; i++) {
        live_sink_join(s->sinks[i]);
    }
    pthread_mutex_unlock(&s->config);
}

static void *session_main(void *opaque) {
    live *s = opaque;
    media_error err = {0};
    if (live_clock_run(s, &err) != 0)
        live_fail(s, &err);
    pthread_join(s->worker, NULL);
    pthread_join(s->reader, NULL);
    finish_outputs(s);
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    s->st.phase = LIVE_STOPPED;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

int live_start(live *s, media_error *err) {
    if (s->started)
        return media_fail(err, "the session was started already");
    s->start_ns = clock_ns();
    if (s->o.width > 0) /* covers can go out before the source is there */
        live_fix_format(s, 0, 0, (AVRational){0, 1}, s->o.audio >= 0);
    if (pthread_create(&s->reader, NULL, live_reader_main, s) != 0)
        return media_fail(err, "a thread could not be started");
    if (pthread_create(&s->worker, NULL, live_worker_main, s) != 0) {
        live_stop(s);
        pthread_join(s->reader, NULL);
        return media_fail(err, "a thread could not be started");
    }
    if (pthread_create(&s->main_thread, NULL, session_main, s) != 0) {
        live_stop(s);
        atomic_store(&s->abort, 1);
        pthread_join(s->reader, NULL);
        pthread_join(s->worker, NULL);
        return media_fail(err, "a thread could not be started");
    }
    s->started = true;
    return 0;
}

void live_stop(live *s) {
    long long none = 0;
    atomic_compare_exchange_strong(&s->stop_ns, &none, live_now(s));
    atomic_store(&s->stop, 1);
}

bool live_wait(live *s, int64_t timeout_ns) {
    int64_t until_ns = clock_ns() + (timeout_ns < 0 ? 0 : timeout_ns);
    pthread_mutex_lock(&s->lock);
    while (s->started && !s->ended) {
        struct timespec until = {.tv_sec = (time_t)(until_ns / SECOND_NS),
                                 .tv_nsec = (long)(until_ns % SECOND_NS)};
        if (timeout_ns < 0)
            pthread_cond_wait(&s->changed, &s->lock);
        else if (pthread_cond_timedwait(&s->changed, &s->lock, &until) != 0)
            break;
    }
    bool ended = !s->started || s->ended;
    pthread_mutex_unlock(&s->lock);
    return ended;
}

int live_result(live *s, media_error *err) {
    pthread_mutex_lock(&s->lock);
    int ret = s->result != 0 || s->problem.text[0] != '\0' ? -1 : 0;
    if (ret != 0 && err)
        *err = s->problem;
    pthread_mutex_unlock(&s->lock);
    return ret;
}

void live_destroy(live *s) {
    if (!s)
        return;
    live_stop(s);
    if (s->started)
        pthread_join(s->main_thread, NULL);
    else
        finish_outputs(s);
    for (size_t i = 0; i < LIVE_OUTPUTS_MAX; i++) {
        live_sink_destroy(s->sinks[i]);
        live_enc_destroy(s->encs[i]);
    }
    queue_destroy(s->raw);
    queue_destroy(s->shown);
    veil_destroy(s->veil);
    sound_destroy(s->sound);
    live_src_destroy(s->src);
    live_src_destroy(s->next);
    av_frame_free(&s->newest);
    free(s->tracks);
    free((void *)(uintptr_t)s->o.card);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->events);
    pthread_mutex_destroy(&s->config);
    pthread_mutex_destroy(&s->apply);
    pthread_mutex_destroy(&s->feed);
    free(s);
}

int live_set_source(live *s, const live_source *source, media_error *err) {
    live_src *src = live_src_create(source, err);
    if (!src)
        return -1;
    pthread_mutex_lock(&s->lock);
    live_src *unused = s->next;
    s->next = src;
    atomic_fetch_add(&s->generation, 1);
    pthread_mutex_unlock(&s->lock);
    live_src_destroy(unused);
    return 0;
}

int live_add_output(live *s, const live_output *output, media_error *err) {
    int id = -1;
    size_t place = LIVE_OUTPUTS_MAX;
    pthread_mutex_lock(&s->config);
    for (size_t i = LIVE_OUTPUTS_MAX; i-- > 0;) {
        if (!s->sinks[i])
            place = i;
    }
    if (place == LIVE_OUTPUTS_MAX)
        media_fail(err, "at most %d outputs are possible", LIVE_OUTPUTS_MAX);
    else if (s->ended || (s->started && live_stopping(s)))
        media_fail(err, "the session has ended");
    else {
        live_sink *k = NULL;
        live_enc *e = live_enc_find(s, output, err);
        if (e && live_sink_create(&k, s, e, output, s->last_id + 1, err) == 0) {
            id = ++s->last_id;
            pthread_mutex_lock(&s->lock);
            s->sinks[place] = k;
            pthread_mutex_unlock(&s->lock);
            live_enc_attach(e, k);
        }
    }
    pthread_mutex_unlock(&s->config);
    return id;
}

int live_remove_output(live *s, int id, media_error *err) {
    live_sink *k = NULL;
    pthread_mutex_lock(&s->config);
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < LIVE_OUTPUTS_MAX; i++) {
        if (s->sinks[i] && live_sink_id(s->sinks[i]) == id) {
            k = s->sinks[i];
            s->sinks[i] = NULL;
        }
    }
    pthread_mutex_unlock(&s->lock);
    if (k) {
        live_enc *e = live_sink_enc(k);
        bool last = live_enc_detach(e, k);
        live_sink_destroy(k);
        if (last) {
            pthread_mutex_lock(&s->feed);
            for (size_t i = 0; i < LIVE_OUTPUTS_MAX; i++) {
                if (s->encs[i] == e)
                    s->encs[i] = NULL;
            }
            pthread_mutex_unlock(&s->feed);
            live_enc_finish(e);
            live_enc_destroy(e);
        }
    }
    pthread_mutex_unlock(&s->config);
    return k ? 0 : media_fail(err, "no output has the number %d", id);
}

/* What the library would refuse, told before it is in force. */
int live_set_settings(live *s, const veil_settings *settings, media_error *err) {
    pthread_mutex_lock(&s->apply);
    int ret = veil_set_settings(s->veil, settings);
    if (ret == VEIL_OK) {
        pthread_mutex_lock(&s->lock);
        copy_zones(s, settings);
        s->settings_changed = true;
        pthread_mutex_unlock(&s->lock);
    }
    pthread_mutex_unlock(&s->apply);
    return ret == VEIL_OK ? 0 : media_fail(err, "settings: %s", veil_strerror(ret));
}

void live_get_settings(live *s, veil_settings *settings) {
    pthread_mutex_lock(&s->lock);
    *settings = s->settings;
    pthread_mutex_unlock(&s->lock);
}

void live_cover(live *s, bool on) {
    veil_cover(s->veil, on);
}

veil *live_veil(live *s) {
    return s->veil;
}

/* Under the lock. Four marks half a second apart at least. */
static void measure_rates(live *s, live_state *out, int64_t now) {
    if (now - s->mark_ns[0] > SECOND_NS / 2) {
        for (int i = 3; i > 0; i--) {
            s->mark_ns[i] = s->mark_ns[i - 1];
            s->mark_in[i] = s->mark_in[i - 1];
            s->mark_out[i] = s->mark_out[i - 1];
        }
        s->mark_ns[0] = now;
        s->mark_in[0] = out->frames_in;
        s->mark_out[0] = out->frames_out;
    }
    double seconds = (double)(now - s->mark_ns[3]) / (double)SECOND_NS;
    if (seconds > 0) {
        out->fps_in = (double)(out->frames_in - s->mark_in[3]) / seconds;
        out->fps_out = (double)(out->frames_out - s->mark_out[3]) / seconds;
    }
}

static int64_t resident_bytes(void) {
    long pages = 0, ignored;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f)
        return 0;
    if (fscanf(f, "%ld %ld", &ignored, &pages) != 2)
        pages = 0;
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

/* Under the lock. */
static void measure_cpu(live *s, live_state *out, int64_t now) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    int64_t us = (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000LL + u.ru_utime.tv_usec +
                 u.ru_stime.tv_usec;
    if (now - s->cpu_mark_ns > SECOND_NS / 2) {
        if (s->cpu_mark_us > 0)
            s->st.cpu = (double)(us - s->cpu_mark_us) * 1000 / (double)(now - s->cpu_mark_ns);
        s->cpu_mark_us = us;
        s->cpu_mark_ns = now;
    }
    out->cpu = s->st.cpu;
}

void live_get_state(live *s, live_state *out) {
    int64_t now = live_now(s);
    int64_t rss = resident_bytes();
    pthread_mutex_lock(&s->lock);
    *out = s->st;
    out->uptime_s = s->started ? (double)now / (double)SECOND_NS : 0;
    out->overload = atomic_load(&s->overload);
    out->lookahead_ms = (double)s->o.veil.lookahead_ns / (double)MS_NS;
    out->rss_bytes = rss;
    live_latency_measure(s, out);
    measure_rates(s, out, now);
    measure_cpu(s, out, now);
    out->n_outputs = 0;
    for (size_t i = 0; i < LIVE_OUTPUTS_MAX; i++) {
        if (s->sinks[i])
            live_sink_state(s->sinks[i], &out->outputs[out->n_outputs++]);
    }
    pthread_mutex_unlock(&s->lock);
}
