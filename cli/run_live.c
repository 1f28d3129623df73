/* veil run, live: options to a session, a line a second, signals. */
#include "run_live.h"

#include "live.h"
#include "live_text.h"
#include "metrics.h"
#include "report.h"
#include "session.h"
#include "settings_file.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000LL

typedef struct {
    const cli_options *o;
    FILE *audit;
    session base; /* settings, model */
    live *live;
    metrics *metrics;
    live_output outputs[CLI_OUTPUTS_MAX + 1];
    char input[LIVE_TEXT_MAX];
    bool incomplete; /* something was lost on the way */
} runner;

bool run_live_wanted(const cli_options *o) {
    bool wanted = o->live || o->realtime || o->loop || o->listen || o->stay || o->record ||
                  o->metrics || o->duration_s > 0 || o->n_outputs > 1 || o->config || o->card ||
                  o->size;
    for (size_t i = 0; i < o->n_inputs; i++)
        wanted = wanted || live_is_live(o->inputs[i]);
    for (size_t i = 0; i < o->n_outputs; i++)
        wanted = wanted || live_is_live(o->outputs[i]);
    return wanted;
}

static void on_event(void *user, const live_event *e) {
    static const char *const kinds[] = {"state",       "input up", "input lost", "output up",
                                        "output lost", "decision", "overload",   "note"};
    runner *r = user;
    if (e->kind == LIVE_EVENT_DECISION) {
        if (r->audit && e->veil) {
            report_audit(r->audit, r->input, e->veil);
            fflush(r->audit);
        }
        return;
    }
    if (r->o->quiet && e->kind != LIVE_EVENT_INPUT_DOWN && e->kind != LIVE_EVENT_OUTPUT_DOWN)
        return;
    if (r->o->status == 1) {
        json_t *line = json_pack("{s:f, s:s, s:i, s:s}", "time", e->time_s, "event", kinds[e->kind],
                                 "output", e->output, "text", e->text);
        char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
        if (text)
            fprintf(stderr, "%s\n", text);
        free(text);
        json_decref(line);
    } else if (e->output > 0) {
        fprintf(stderr, "veil: run: %.1f s: %s %d: %s\n", e->time_s, kinds[e->kind], e->output,
                e->text);
    } else {
        fprintf(stderr, "veil: run: %.1f s: %s: %s\n", e->time_s, kinds[e->kind], e->text);
    }
}

static void print_status(const runner *r, const live_state *s) {
    if (r->o->quiet || r->o->status == 2)
        return;
    if (r->o->status == 1) {
        json_t *all = live_text_json(s);
        char *text = all ? json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
        if (text)
            fprintf(stderr, "%s\n", text);
        free(text);
        json_decref(all);
        return;
    }
    char line[1024];
    live_text_line(line, sizeof line, s);
    fprintf(stderr, "%s\n", line);
}

static void set_outputs(runner *r, live_options *lo) {
    const cli_options *o = r->o;
    for (size_t i = 0; i < o->n_outputs; i++)
        r->outputs[lo->n_outputs++] = (live_output){.url = o->outputs[i],
                                                    .format = o->format,
                                                    .options = o->output_options,
                                                    .overwrite = o->overwrite,
                                                    .no_audio = o->no_audio,
                                                    .encoder = session_encoder(o)};
    if (o->record)
        r->outputs[lo->n_outputs++] = (live_output){.url = o->record,
                                                    .overwrite = o->overwrite,
                                                    .no_audio = o->no_audio,
                                                    .encoder = session_encoder(o)};
    lo->outputs = r->outputs;
}

/* To a stream or a device a file is played at its own speed. */
static bool plays(const cli_options *o) {
    bool any = o->realtime || o->live;
    for (size_t i = 0; i < o->n_outputs; i++) {
        const char *url = o->outputs[i];
        any = any || (live_is_live(url) && (strstr(url, "://") || strncmp(url, "/dev/", 5) == 0));
    }
    return any;
}

static int set_options(runner *r, live_options *lo) {
    const cli_options *o = r->o;
    live_options_init(lo);
    lo->veil = r->base.options;
    if (o->lookahead_ms < 0)
        lo->veil.lookahead_ns = NS_PER_S / 4;
    lo->source = (live_source){.url = o->inputs[0],
                               .format = o->input_format,
                               .options = o->input_options,
                               .listen = o->listen,
                               .realtime = plays(o),
                               .loop = o->loop};
    set_outputs(r, lo);
    if (o->hwaccel && !live_hw_from_name(&lo->hw, o->hwaccel)) {
        cli_error("run", "'--hwaccel' takes one of auto|none|vaapi|nvdec|v4l2m2m, not '%s'",
                  o->hwaccel);
        return CLI_USAGE;
    }
    int end = 0;
    if (o->size && (sscanf(o->size, "%5dx%5d%n", &lo->width, &lo->height, &end) != 2 ||
                    o->size[end] != '\0' || lo->width <= 0 || lo->height <= 0)) {
        cli_error("run", "'--size' takes a size like 1280x720, not '%s'", o->size);
        return CLI_USAGE;
    }
    if (o->fps > 0) {
        lo->rate_num = (int)lround(o->fps * 1000);
        lo->rate_den = 1000;
    }
    lo->audio = o->no_audio ? -1 : 0;
    lo->threads = o->threads;
    lo->card = o->card;
    lo->duration_ns = (int64_t)llround(o->duration_s * (double)NS_PER_S);
    lo->input_timeout_ns = (int64_t)llround(o->input_timeout_s * (double)NS_PER_S);
    lo->stay = o->stay;
    lo->on_event = on_event;
    lo->user = r;
    return CLI_OK;
}

/* SIGHUP: the settings file again. A mistake in it changes nothing. */
static void reload(runner *r) {
    veil_settings set;
    veil_zone zones[64];
    media_error err = {0};
    live_get_settings(r->live, &set);
    if (settings_file_load(r->o->config, &set, zones, &err) != 0 ||
        live_set_settings(r->live, &set, &err) != 0)
        cli_error("run", "%s; the settings stay as they are", err.text);
    else if (!r->o->quiet)
        fprintf(stderr, "veil: run: settings of '%s' are in force\n", r->o->config);
}

static int wait_for_end(runner *r) {
    int signal_number = 0;
    int64_t ticks = 0;
    while (!live_wait(r->live, NS_PER_S / 10)) {
        int none = SIGHUP, now = atomic_load(&session_stop);
        if (now == SIGHUP && r->o->config) {
            atomic_compare_exchange_strong(&session_stop, &none, 0);
            reload(r);
        } else if (now != 0 && signal_number == 0) {
            signal_number = now;
            live_stop(r->live);
        }
        if (++ticks % 10 == 0) {
            live_state s;
            live_get_state(r->live, &s);
            print_status(r, &s);
        }
    }
    return signal_number;
}

static int finish(runner *r, int signal_number) {
    media_error err = {0};
    live_state s;
    int ret = live_result(r->live, &err);
    live_get_state(r->live, &s);
    if (ret != 0) {
        cli_error("run", "%s", err.text);
        return CLI_FAILED;
    }
    if (!r->o->quiet)
        fprintf(stderr,
                "%s: %lld frames in, %lld out, %lld covered, %lld dropped, %lld reconnections, "
                "%.1f s\n",
                r->input, (long long)s.frames_in, (long long)s.frames_out,
                (long long)s.frames_covered, (long long)s.frames_dropped, (long long)s.reconnects,
                s.uptime_s);
    (void)signal_number; /* that is how streams end: everything was finished */
    return CLI_OK;
}

static int check(const cli_options *o) {
    if (o->n_inputs != 1) {
        cli_error("run", "live, one input at a time; there are %zu", o->n_inputs);
        return CLI_USAGE;
    }
    const struct {
        bool given;
        const char *name;
    } fit_files_only[] = {{o->report != NULL, "--report"},
                          {o->draw_scores, "--draw-scores"},
                          {o->keep_metadata, "--keep-metadata"}};
    for (size_t i = 0; i < sizeof fit_files_only / sizeof fit_files_only[0]; i++) {
        if (fit_files_only[i].given) {
            cli_error("run", "'%s' is for files, not for live inputs and outputs",
                      fit_files_only[i].name);
            return CLI_USAGE;
        }
    }
    return CLI_OK;
}

int run_live(const cli_options *o, FILE *audit) {
    runner r = {.o = o, .audit = audit};
    live_options lo;
    media_error err = {0};
    veil_zone zones[64];
    int status = check(o);
    if (status != CLI_OK)
        return status;
    live_mask(r.input, sizeof r.input, o->inputs[0]);
    status = session_prepare(&r.base, o, "run");
    if (status != CLI_OK)
        goto done;
    status = set_options(&r, &lo);
    if (status != CLI_OK)
        goto done;
    status = CLI_FAILED;
    if (o->config && settings_file_load(o->config, &lo.veil.settings, zones, &err) != 0)
        cli_error("run", "%s", err.text);
    else if (live_create(&r.live, &lo, &err) != 0 ||
             (o->metrics && metrics_start(&r.metrics, o->metrics, r.live, &err) != 0) ||
             live_start(r.live, &err) != 0)
        cli_error("run", "%s", err.text);
    else
        status = finish(&r, wait_for_end(&r));
done:
    metrics_stop(r.metrics);
    live_destroy(r.live);
    session_close(&r.base);
    return status;
}
