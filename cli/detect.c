/* veil detect: finds and follows faces and writes JSON lines; changes no picture. */
#include "commands.h"
#include "jobs.h"
#include "mask_video.h"
#include "part.h"
#include "pipeline.h"
#include "progress.h"
#include "session.h"
#include "tracks_out.h"

#include <errno.h>
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
         "  veil detect group.jpg | tail -n 1\n"
         "  veil detect interview.mp4 --format csv -o tracks.csv --mask-video masks.mp4");
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
    bool started; /* something is written */
    mask_video *masks;
} detecter;

static int on_start(void *user, const pipeline_start *start, media_error *err) {
    detecter *d = user;
    d->start = *start;
    progress_mode mode = (progress_mode)d->options->progress;
    /* A bar among JSON lines on a terminal would be unreadable. */
    if (mode != PROGRESS_JSON && (d->options->quiet || d->out == stdout))
        mode = PROGRESS_NONE;
    progress_begin(&d->progress, mode, d->input, start->expected_frames);
    bool first = !d->started;
    d->started = true;
    return tracks_out_head(d->out, (tracks_format)d->options->tracks_format, d->input, first, start,
                           err);
}

static int on_frame(void *user, const media_shown *shown, media_error *err) {
    detecter *d = user;
    double time_s = (double)shown->frame->pts * av_q2d(d->start.time_base);
    if (d->n++ == 0)
        d->first_s = time_s;
    progress_update(&d->progress, d->n, time_s - d->first_s, 0, 0);
    if (tracks_out_frame(d->out, (tracks_format)d->options->tracks_format, d->input, shown, time_s,
                         d->options->latency, err) != 0)
        return -1;
    return d->masks ? mask_video_draw(d->masks, shown, err) : 0;
}

static int detect_one(detecter *d, session *s) {
    const cli_options *o = d->options;
    media_output_options masks = {.path = o->mask_video,
                                  .overwrite = o->overwrite,
                                  .streams = {.no_audio = true, .no_subtitles = true},
                                  .stop = &session_stop};
    pipeline_options p = {.input = {.path = d->input,
                                    .format = o->input_format,
                                    .threads = o->threads,
                                    .video_only = true,
                                    .stop = &session_stop},
                          .output = o->mask_video ? &masks : NULL,
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
    if (status == CLI_OK && o->mask_video) {
        d.masks = mask_video_open(&s, "detect");
        status = d.masks ? CLI_OK : CLI_FAILED;
    }
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
    mask_video_close(d.masks);
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
    if (o.n_inputs > 1 && (o.tracks_format == TRACKS_MOT || o.mask_video)) {
        cli_error("detect", "%s takes one input",
                  o.mask_video ? "'--mask-video'" : "'--format mot'");
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
