/* One job after the other through the pipeline. */
#include "work.h"

#include "label.h"
#include "progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Of one job. */
typedef struct {
    work *work;
    const job *job;
    progress progress;
    report report;
    pipeline_start start;
    double started_s, first_s, last_s;
    bool notes; /* room above the bar for a line */
} state;

static void print_note(void *user, const char *text) {
    state *st = user;
    if (st->work->options->quiet)
        return;
    progress_end(&st->progress);
    fprintf(stderr, "veil: %s: note: %s: %s\n", st->work->command, st->job->input, text);
}

static progress_mode mode_for(const cli_options *o, bool is_picture) {
    progress_mode mode = (progress_mode)o->progress;
    if (mode == PROGRESS_JSON)
        return mode;
    return o->quiet || is_picture ? PROGRESS_NONE : mode;
}

static int on_start(void *user, const pipeline_start *start, media_error *err) {
    state *st = user;
    (void)err;
    st->start = *start;
    st->start.codec = NULL; /* lives as long as the encoder only */
    if (start->loss)
        print_note(st, start->loss);
    if (st->work->options->style == VEIL_STYLE_NONE || st->work->options->replace_with == 4)
        print_note(st, "the style none hides nobody");
    progress_begin(&st->progress, mode_for(st->work->options, start->is_picture), st->job->input,
                   start->expected_frames);
    return 0;
}

static int on_frame(void *user, const media_shown *shown, media_error *err) {
    state *st = user;
    (void)err;
    report_frame(&st->report, shown, st->start.time_base);
    double time_s = (double)shown->frame->pts * av_q2d(st->start.time_base);
    if (st->report.frames == 1)
        st->first_s = time_s;
    st->last_s = time_s + (double)shown->frame->pkt_duration * av_q2d(st->start.time_base);
    if (st->work->options->draw_scores && !shown->result.covered)
        label_scores(shown);
    progress_update(&st->progress, st->report.frames, st->last_s - st->first_s,
                    st->report.hidden_boxes, st->report.kept_boxes);
    return 0;
}

static int masks(void *user, int64_t index, const AVFrame *frame, const veil_track **tracks) {
    state *st = user;
    return st->work->masks(st->work->masks_user, index, frame, &st->start, tracks);
}

static void print_summary(const state *st, const pipeline_result *r) {
    double elapsed_s = progress_now_s() - st->started_s;
    int64_t hidden, kept;
    report_faces(&st->report, &hidden, &kept);
    if (st->work->options->quiet)
        return;
    char faces[96] = "";
    if (st->work->masks)
        snprintf(faces, sizeof faces, "%lld boxes hidden, %lld kept",
                 (long long)st->report.hidden_boxes, (long long)st->report.kept_boxes);
    else
        snprintf(faces, sizeof faces, "faces: %lld hidden, %lld kept", (long long)hidden,
                 (long long)kept);
    fprintf(stderr, "%s -> %s: %lld frame%s, %s, %.1f s", st->job->input, st->job->output,
            (long long)r->n_frames, r->n_frames == 1 ? "" : "s", faces, elapsed_s);
    if (!st->start.is_picture && elapsed_s > 0)
        fprintf(stderr, " (%.1f frames/s, %.2fx real time)", (double)r->n_frames / elapsed_s,
                (st->last_s - st->first_s) / elapsed_s);
    fputc('\n', stderr);
}

/* What the user has to know about a file that was written. */
static int judge(const state *st, const pipeline_result *r) {
    const char *command = st->work->command, *input = st->job->input;
    int status = CLI_OK;
    if (r->n_covered > 0) {
        cli_error(command, "'%s': %lld frames are covered completely: %s", input,
                  (long long)r->n_covered,
                  st->work->masks ? "the edits say nothing about them" : "their analysis failed");
        status = CLI_INCOMPLETE;
    }
    if (r->n_lost > 0) {
        cli_error(command, "'%s' is damaged: %lld packets could not be decoded", input,
                  (long long)r->n_lost);
        status = CLI_INCOMPLETE;
    }
    if (r->cut) {
        cli_error(command, "'%s' is truncated: %s", input, r->cut);
        status = CLI_INCOMPLETE;
    }
    if (r->n_mended > 0 && !st->work->options->quiet)
        fprintf(stderr, "veil: %s: note: %s: %lld time stamps were missing and made up\n", command,
                input, (long long)r->n_mended);
    return status;
}

static int add_report(const state *st) {
    if (!st->work->reports)
        return CLI_OK;
    json_t *one =
        report_json(&st->report, st->job->input, st->job->output, progress_now_s() - st->started_s);
    if (!st->report.out_of_memory && one && json_array_append_new(st->work->reports, one) == 0)
        return CLI_OK;
    cli_error(st->work->command, "out of memory for the report");
    return CLI_FAILED;
}

int work_do(work *w, const job *j) {
    const cli_options *o = w->options;
    state st = {.work = w, .job = j, .started_s = progress_now_s()};
    media_output_options out = {.path = j->output,
                                .format = o->format,
                                .overwrite = o->overwrite,
                                .streams = {.no_audio = o->no_audio,
                                            .no_subtitles = o->no_subtitles,
                                            .keep_metadata = o->keep_metadata,
                                            .note = print_note,
                                            .user = &st},
                                .stop = &session_stop};
    out.encoder = session_encoder(o);
    out.encoder.threads = o->threads;
    pipeline_options p = {.input = {.path = j->input,
                                    .format = o->input_format,
                                    .threads = o->threads,
                                    .stop = &session_stop},
                          .output = &out,
                          .veil = w->session->veil,
                          .hold = w->session->options.lookahead_ns > 0,
                          .masks = w->masks ? masks : NULL,
                          .allow_truncated = o->allow_truncated,
                          .stop = &session_stop,
                          .wake_signal = session_wake_signal(),
                          .on_start = on_start,
                          .on_frame = on_frame,
                          .user = &st};
    pipeline_result result;
    media_error err = {0};
    w->now = j->input;
    int ret = pipeline_run(&p, &result, &err);
    progress_end(&st.progress);
    int stop = atomic_load(&session_stop);
    int status = CLI_FAILED;
    if (stop != 0 && stop != PIPELINE_FAILED) {
        cli_error(w->command, "stopped; '%s' was not written", j->output);
        status = CLI_INTERRUPTED;
    } else if (ret != 0) {
        cli_error(w->command, "%s", err.text);
        atomic_store(&session_stop, 0);
    } else {
        print_summary(&st, &result);
        status = judge(&st, &result);
        int reported = add_report(&st);
        status = status != CLI_OK ? status : reported;
    }
    report_free(&st.report);
    return status;
}

int work_do_all(work *w, const jobs *list) {
    int worst = CLI_OK;
    size_t n_failed = 0;
    for (size_t i = 0; i < list->n; i++) {
        const job *j = &list->list[i];
        int status = CLI_OK;
        size_t length = w->options->output ? strlen(w->options->output) : 0;
        bool to_folder = length > 0 && strncmp(j->output, w->options->output, length) == 0 &&
                         strlen(j->output) > length;
        if (to_folder)
            status = jobs_make_folders(j->output, w->command);
        /* A veil with frames of a failed run, or tracks of another film, is no good start. */
        if (status == CLI_OK && i > 0 && veil_reset(w->session->veil) != VEIL_OK)
            status = session_reopen(w->session, w->command);
        if (status == CLI_OK)
            status = work_do(w, j);
        n_failed += status != CLI_OK;
        if (status == CLI_INTERRUPTED)
            return status;
        if (worst != CLI_FAILED && status != CLI_OK)
            worst = status;
    }
    if (list->n > 1 && n_failed > 0)
        cli_error(w->command, "%zu of %zu inputs failed or are incomplete", n_failed, list->n);
    return worst;
}
