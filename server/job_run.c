/* Only formats that hold everything in one file are opened, and only as files: a playlist, a list
 * of parts or an address inside the file leads nowhere. */
#include "job_run.h"

#include "http.h"
#include "pipeline.h"
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOKAHEAD_NS INT64_C(1000000000)

const char job_run_protocols[] = "file";
const char job_run_formats[] =
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,gif,jpeg_pipe,png_pipe,"
    "webp_pipe,bmp_pipe,tiff_pipe";

typedef struct {
    const job_run_options *options;
    job_run_result *result;
    report report;
    pipeline_start start;
} state;

static int on_start(void *user, const pipeline_start *start, media_error *err) {
    state *st = user;
    (void)err;
    st->start = *start;
    st->result->width = start->width;
    st->result->height = start->height;
    return 0;
}

static int on_frame(void *user, const media_shown *shown, media_error *err) {
    state *st = user;
    report_frame(&st->report, shown, st->start.time_base);
    return st->options->progress(st->options->user, st->report.frames, st->start.expected_frames,
                                 err);
}

static bool fits_mp4(const AVFormatContext *in) {
    const AVOutputFormat *mp4 = av_guess_format("mp4", NULL, NULL);
    for (unsigned i = 0; mp4 && i < in->nb_streams; i++) {
        const AVCodecParameters *par = in->streams[i]->codecpar;
        bool matters = par->codec_type == AVMEDIA_TYPE_AUDIO;
        if (matters && avformat_query_codec(mp4, par->codec_id, FF_COMPLIANCE_NORMAL) != 1)
            return false;
    }
    return mp4 != NULL;
}

/* What browsers can show, where possible. */
static int choose_output(const media_input_options *input, job_run_result *r, media_error *err) {
    media_input *in = NULL;
    if (media_input_open(&in, input, err) != 0)
        return -1;
    r->is_picture = media_input_is_picture(in);
    enum AVCodecID codec = media_input_video(in)->codecpar->codec_id;
    if (!r->is_picture) {
        bool mp4 = fits_mp4(media_input_context(in));
        r->ending = mp4 ? "mp4" : "mkv";
        r->type = mp4 ? "video/mp4" : "video/x-matroska";
    } else if (codec == AV_CODEC_ID_MJPEG) {
        r->ending = "jpg";
        r->type = "image/jpeg";
    } else if (codec == AV_CODEC_ID_WEBP) {
        r->ending = "webp";
        r->type = "image/webp";
    } else {
        r->ending = "png";
        r->type = "image/png";
    }
    media_input_close(in);
    return 0;
}

static int make_veil(veil **out, const job_run_options *o, media_error *err) {
    veil_options vo;
    veil_options_init(&vo, sizeof vo);
    vo.model = o->model;
    vo.model_size = o->model_size;
    vo.threads = o->threads;
    vo.lookahead_ns = LOOKAHEAD_NS;
    config_to_veil(o->settings, &vo.settings);
    int ret = veil_create(out, &vo);
    return ret == VEIL_OK ? 0 : media_fail(err, "cannot start: %s", veil_strerror(ret));
}

static int write_report(state *st, double seconds, media_error *err) {
    job_run_result *r = st->result;
    char name[32];
    snprintf(name, sizeof name, "hidden.%s", r->ending);
    report_faces(&st->report, &r->faces_hidden, &r->faces_kept);
    json_t *json = report_json(&st->report, st->options->name, name, seconds);
    int ret =
        json && !st->report.out_of_memory
            ? json_dump_file(json, st->options->report, JSON_INDENT(1) | JSON_REAL_PRECISION(12))
            : -1;
    json_decref(json);
    return ret == 0 ? 0 : media_fail(err, "the report could not be written");
}

/* Texts for people name the file as they do, never a path of the server. */
static void hide_path(media_error *err, const char *path, const char *name) {
    char *at = strstr(err->text, path), text[sizeof err->text];
    if (!at)
        return;
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - err->text), err->text, name,
             at + strlen(path));
    memcpy(err->text, text, sizeof text);
}

int job_run(const job_run_options *o, job_run_result *r, media_error *err) {
    *r = (job_run_result){0};
    state st = {.options = o, .result = r};
    int64_t started_ns = http_now_ns();
    veil *v = NULL;
    int ret = -1;
    media_input_options input = {.path = o->input,
                                 .threads = o->threads,
                                 .protocols = job_run_protocols,
                                 .formats = job_run_formats,
                                 .stop = o->stop};
    if (choose_output(&input, r, err) != 0)
        goto done;
    snprintf(r->output, sizeof r->output, "%s.%s", o->stem, r->ending);
    media_output_options output = {.path = r->output,
                                   .overwrite = true,
                                   .streams = {.no_subtitles = true},
                                   .encoder = {.threads = o->threads,
                                               .preset = r->is_picture ? NULL : "veryfast",
                                               .codec = r->is_picture ? NULL : "libx264"},
                                   .stop = o->stop};
    if (make_veil(&v, o, err) != 0)
        goto done;
    pipeline_options p = {.input = input,
                          .output = &output,
                          .veil = v,
                          .hold = true,
                          .allow_truncated = true,
                          .stop = o->stop,
                          .wake_signal = o->wake_signal,
                          .on_start = on_start,
                          .on_frame = on_frame,
                          .user = &st};
    pipeline_result result;
    if (pipeline_run(&p, &result, err) != 0)
        goto done;
    r->frames = result.n_frames;
    r->covered = result.n_covered;
    r->lost = result.n_lost;
    r->seconds = (double)(http_now_ns() - started_ns) * 1e-9;
    ret = write_report(&st, r->seconds, err);
done:
    hide_path(err, o->input, o->name);
    hide_path(err, r->output, "the result");
    report_free(&st.report);
    veil_destroy(v);
    return ret;
}
