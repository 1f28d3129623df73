/* veil detect: finds and follows faces and writes JSON lines; changes no picture. */
#include "commands.h"
#include "jobs.h"
#include "part.h"
#include "pipeline.h"
#include "progress.h"
#include "session.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void print_help(void) {
    puts("veil detect - find and follow faces, and say what would be hidden\n"
         "\n"
         "Usage: veil detect INPUT... [-o TRACKS.json] [options]\n"
         "\n"
         "Writes JSON lines: a header for each input, then a line for each frame with every face:\n"
         "box [x,y,width,height] in pixels of the picture as stored, score, certainty that it is\n"
         "the interviewee, decision and its reason. veil redact reads the file again.\n"
         "\n"
         "  veil detect interview.mp4 -o tracks.json\n"
         "  veil detect group.jpg | tail -n 1");
    options_help(CLI_DETECT);
}

typedef struct {
    FILE *out;
    const char *input;
    const cli_options *options;
    progress progress;
    pipeline_start start;
    double first_s;
    int64_t n;
} detecter;

static double rounded(double value, double steps) {
    return round(value * steps) / steps;
}

static int write_line(detecter *d, json_t *line, media_error *err) {
    int ret = -1;
    if (line)
        ret = json_dumpf(line, d->out, JSON_COMPACT | JSON_REAL_PRECISION(10));
    json_decref(line);
    if (ret != 0 || fputc('\n', d->out) == EOF)
        return media_fail(err, "cannot write the tracks: %s", strerror(errno));
    return 0;
}

static int on_start(void *user, const pipeline_start *start, media_error *err) {
    detecter *d = user;
    d->start = *start;
    progress_mode mode = (progress_mode)d->options->progress;
    /* A bar among JSON lines on a terminal would be unreadable. */
    if (mode != PROGRESS_JSON && (d->options->quiet || d->out == stdout))
        mode = PROGRESS_NONE;
    progress_begin(&d->progress, mode, d->input, start->expected_frames);
    char base[32], rate[32];
    snprintf(base, sizeof base, "%d/%d", start->time_base.num, start->time_base.den);
    snprintf(rate, sizeof rate, "%d/%d", start->rate.num, start->rate.den);
    return write_line(d,
                      json_pack("{s:s, s:s, s:i, s:i, s:i, s:s, s:s}", "veil", PROGRAM_VERSION,
                                "input", d->input, "width", start->width, "height", start->height,
                                "rotation", start->rotation, "time_base", base, "frame_rate", rate),
                      err);
}

static json_t *track_json(const veil_track *t) {
    return json_pack(
        "{s:I, s:[f,f,f,f], s:f, s:f, s:s, s:s}", "id", (json_int_t)t->id, "box",
        rounded((double)t->x, 100), rounded((double)t->y, 100), rounded((double)t->w, 100),
        rounded((double)t->h, 100), "score", rounded((double)t->score, 1e4), "interview",
        rounded((double)t->interview, 1e4), "decision", t->decision == VEIL_KEEP ? "keep" : "hide",
        "reason", veil_reason_text(t->reason));
}

static int on_frame(void *user, const media_shown *shown, media_error *err) {
    detecter *d = user;
    double time_s = (double)shown->frame->pts * av_q2d(d->start.time_base);
    json_t *tracks = json_array();
    for (size_t i = 0; i < shown->n_tracks; i++)
        json_array_append_new(tracks, track_json(&shown->tracks[i]));
    json_t *line = json_pack("{s:I, s:f, s:o}", "frame", (json_int_t)shown->index, "pts",
                             rounded(time_s, 1e6), "tracks", tracks);
    if (shown->result.covered)
        json_object_set_new(line, "covered", json_string(veil_reason_text(shown->result.reason)));
    if (d->n++ == 0)
        d->first_s = time_s;
    progress_update(&d->progress, d->n, time_s - d->first_s, 0, 0);
    return write_line(d, line, err);
}

static int detect_one(detecter *d, session *s) {
    const cli_options *o = d->options;
    pipeline_options p = {.input = {.path = d->input,
                                    .format = o->input_format,
                                    .threads = o->threads,
                                    .video_only = true,
                                    .stop = &session_stop},
                          .veil = s->veil,
                          .hold = s->options.lookahead_ns > 0,
                          .allow_truncated = o->allow_truncated,
                          .stop = &session_stop,
                          .wake_signal = session_wake_signal(),
                          .on_start = on_start,
                          .on_frame = on_frame,
                          .user = d};
    pipeline_result result;
    media_error err = {0};
    d->n = 0;
    int ret = pipeline_run(&p, &result, &err);
    progress_end(&d->progress);
    int stop = atomic_load(&session_stop);
    if (stop != 0 && stop != PIPELINE_FAILED) {
        cli_error("detect", "stopped");
        return CLI_INTERRUPTED;
    }
    if (ret != 0) {
        cli_error("detect", "%s", err.text);
        atomic_store(&session_stop, 0);
        return CLI_FAILED;
    }
    if (result.n_covered == 0 && result.n_lost == 0 && !result.cut)
        return CLI_OK;
    cli_error("detect", "'%s': %lld frames failed, %lld packets were lost%s%s", d->input,
              (long long)result.n_covered, (long long)result.n_lost,
              result.cut ? ", truncated: " : "", result.cut ? result.cut : "");
    return CLI_INCOMPLETE;
}

static int detect_all(detecter *d, const jobs *list, session *s) {
    int worst = CLI_OK;
    for (size_t i = 0; i < list->n; i++) {
        d->input = list->list[i].input;
        int status = CLI_OK;
        if (i > 0 && veil_reset(s->veil) != VEIL_OK)
            status = session_reopen(s, "detect");
        if (status == CLI_OK)
            status = detect_one(d, s);
        if (status == CLI_INTERRUPTED)
            return status;
        if (worst != CLI_FAILED && status != CLI_OK)
            worst = status;
    }
    return worst;
}

/* The file appears when everything is in it. */
static int detect_to(const cli_options *o, const jobs *list) {
    detecter d = {.out = stdout, .options = o};
    session s = {0};
    part *file = NULL;
    media_error err = {0};
    int status = CLI_FAILED;
    bool to_file = o->output && strcmp(o->output, "-") != 0;
    if (to_file) {
        if (part_create(&file, o->output, o->overwrite, &err) != 0) {
            cli_error("detect", "%s", err.text);
            goto done;
        }
        d.out = fopen(part_path(file), "w");
        if (!d.out) {
            cli_error("detect", "cannot write '%s': %s", o->output, strerror(errno));
            goto done;
        }
    }
    status = session_open(&s, o, "detect", NULL, NULL);
    if (status == CLI_OK)
        status = detect_all(&d, list, &s);
    int closed = to_file ? fclose(d.out) : fflush(d.out);
    d.out = NULL;
    if (closed != 0 && status == CLI_OK) {
        cli_error("detect", "cannot write '%s': %s", to_file ? o->output : "standard output",
                  strerror(errno));
        status = CLI_FAILED;
    }
    if (to_file && (status == CLI_OK || status == CLI_INCOMPLETE) && part_commit(file, &err) != 0) {
        cli_error("detect", "%s", err.text);
        status = CLI_FAILED;
    }
done:
    session_close(&s);
    part_destroy(file);
    return status;
}

int cli_detect(int argc, char **argv) {
    cli_options o;
    jobs list = {0};
    int status = options_parse(&o, CLI_DETECT, argv[0], argc - 1, argv + 1);
    if (status != CLI_OK)
        goto done;
    if (o.help) {
        print_help();
        goto done;
    }
    status = CLI_USAGE;
    if (o.n_inputs == 0) {
        cli_error("detect", "no input; try: veil detect IN.mp4 -o TRACKS.json");
        goto done;
    }
    media_log_init(o.verbose);
    session_catch_signals();
    o.style = VEIL_STYLE_NONE; /* nothing is drawn, and nothing is written that could show it */
    const char *output = o.output;
    o.output = NULL; /* jobs: inputs only */
    status = jobs_make(&list, &o, "detect");
    o.output = output;
    for (size_t i = 0; i < list.n && output && status == CLI_OK; i++) {
        if (jobs_same_file(list.list[i].input, output)) {
            cli_error("detect", "'%s' is both input and output", output);
            status = CLI_USAGE;
        }
    }
    if (status == CLI_OK)
        status = detect_to(&o, &list);
done:
    jobs_free(&list);
    options_free(&o);
    return status;
}
