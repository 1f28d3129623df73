/* explain_clip.c - a clip with the heat map of one track drawn over it. Nobody is hidden in it: it
 * is for looking at, not for showing. */
#include "explain.h"

#include "convert.h"
#include "frame_map.h"
#include "options.h"
#include "pipeline.h"
#include "plot.h"
#include "progress.h"
#include "session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SCALE_DECAY 0.98 /* of the strongest evidence so far, each frame */

typedef struct {
    const explain_options *options;
    explain_tools tools;
    progress progress;
    pipeline_start start;
    convert *to_rgb, *back;
    float *map;
    uint8_t *packed; /* rows of 3 * width */
    uint32_t track;  /* 0: none yet */
    double scale;    /* value drawn as 1 */
    int64_t n, n_drawn;
    double first_s;
    int failed; /* a status of veil_explain that is no "not found" */
} clip;

static int on_start(void *user, const pipeline_start *start, media_error *err) {
    clip *c = user;
    c->start = *start;
    c->map = malloc((size_t)start->width * (size_t)start->height * sizeof *c->map);
    c->packed = malloc(3 * (size_t)start->width * (size_t)start->height);
    if (!c->map || !c->packed)
        return media_fail(err, "out of memory");
    progress_begin(&c->progress, PROGRESS_AUTO, c->options->input, start->expected_frames);
    return convert_create(&c->to_rgb, AV_PIX_FMT_RGB24, start->width, start->height, err);
}

/* The track asked for, else the largest of the first frame that has any, as long as it lives. */
static const veil_track *choose(clip *c, const media_shown *shown) {
    const veil_track *best = NULL;
    for (size_t i = 0; i < shown->n_tracks; i++) {
        const veil_track *t = &shown->tracks[i];
        if (t->id == (c->options->face >= 1 ? (uint32_t)c->options->face : c->track))
            return t;
        if (!best || t->w * t->h > best->w * best->h)
            best = t;
    }
    if (c->options->face >= 1)
        return NULL;
    c->track = best ? best->id : 0;
    return best;
}

static int explain_track(clip *c, const AVFrame *frame, const veil_track *t, veil_class target,
                         veil_explanation *out) {
    veil_frame f;
    if (!frame_map_fill(&f, frame, c->start.time_base, c->start.rotation))
        return VEIL_E_FORMAT;
    if (!c->tools.explainer) {
        bool turned = c->start.rotation == 90 || c->start.rotation == 270;
        int w, h;
        evnet_shape(&c->options->net_size, turned ? f.height : f.width, turned ? f.width : f.height,
                    &w, &h);
        if (tools_size(&c->tools, w, h))
            return VEIL_E_INTERNAL;
    }
    veil_explain_options eo = {.struct_size = sizeof eo,
                               .target = target,
                               .method = c->options->method,
                               .layer = c->options->layer,
                               .x = t->x,
                               .y = t->y,
                               .w = t->w,
                               .h = t->h,
                               .patch = (int32_t)c->options->patch,
                               .map = c->map,
                               .map_width = f.width,
                               .map_height = f.height};
    return veil_explain(c->tools.explainer, &f, &eo, out);
}

static void draw(clip *c, AVFrame *rgb, const veil_track *t, veil_class target, double peak) {
    size_t n = (size_t)rgb->width * (size_t)rgb->height;
    c->scale = fmax(c->scale * SCALE_DECAY, peak);
    float part = c->scale > 0 ? (float)(peak / c->scale) : 0;
    for (size_t i = 0; i < n; i++)
        c->map[i] *= part;
    size_t row = 3 * (size_t)rgb->width;
    for (int y = 0; y < rgb->height; y++)
        memcpy(c->packed + row * (size_t)y, rgb->data[0] + (ptrdiff_t)rgb->linesize[0] * y, row);
    heat_blend(c->options->colours, c->map, c->packed, rgb->width, rgb->height, (ptrdiff_t)row);
    char text[80];
    snprintf(text, sizeof text, "track %u for %s, interview %.2f", t->id,
             explain_class_name(target), (double)t->interview);
    explain_box(c->packed, rgb->width, rgb->height,
                (ev_box){(double)t->x, (double)t->y, (double)t->w, (double)t->h}, 3, 0xffffff);
    if (c->start.rotation == 0) /* else it would lie on its side */
        ev_plot_text(c->packed, rgb->width, rgb->height, 10, 10, 2, 0xffffff, text);
    for (int y = 0; y < rgb->height; y++)
        memcpy(rgb->data[0] + (ptrdiff_t)rgb->linesize[0] * y, c->packed + row * (size_t)y, row);
}

static int on_frame(void *user, const media_shown *shown, media_error *err) {
    clip *c = user;
    AVFrame *frame = shown->frame;
    double time_s = (double)frame->pts * av_q2d(c->start.time_base);
    if (c->n++ == 0)
        c->first_s = time_s;
    progress_update(&c->progress, c->n, time_s - c->first_s, 0, 0);
    const veil_track *t = shown->result.covered ? NULL : choose(c, shown);
    if (!t)
        return 0;
    veil_class target = c->options->n_targets == 1 ? c->options->targets[0]
                        : t->interview >= 0.5f     ? VEIL_CLASS_INTERVIEW
                                                   : VEIL_CLASS_BACKGROUND;
    veil_explanation x;
    int rc = explain_track(c, frame, t, target, &x);
    if (rc == VEIL_E_NOT_FOUND && (!c->options->layer || !strcmp(c->options->layer, "auto")))
        return 0; /* not detected in this frame: nothing to explain */
    if (rc) {
        c->failed = rc;
        return media_fail(err, "%s", rc == VEIL_E_NOT_FOUND ? "no such layer" : veil_strerror(rc));
    }
    if (!c->back && convert_create(&c->back, (enum AVPixelFormat)frame->format, frame->width,
                                   frame->height, err) != 0)
        return -1;
    if (convert_frame(c->to_rgb, frame, err) != 0)
        return -1;
    draw(c, frame, t, target, (double)x.peak);
    c->n_drawn++;
    return convert_frame(c->back, frame, err);
}

static int run(clip *c, veil *v) {
    const explain_options *o = c->options;
    media_output_options out = {
        .path = o->output, .overwrite = o->overwrite != 0, .stop = &session_stop};
    pipeline_options p = {.input = {.path = o->input, .stop = &session_stop},
                          .output = &out,
                          .veil = v,
                          .stop = &session_stop,
                          .wake_signal = session_wake_signal(),
                          .on_start = on_start,
                          .on_frame = on_frame,
                          .user = c};
    pipeline_result result;
    media_error err = {0};
    int rc = pipeline_run(&p, &result, &err);
    progress_end(&c->progress);
    int stop = atomic_load(&session_stop);
    if (stop != 0 && stop != PIPELINE_FAILED) {
        evio_say("explain: stopped; '%s' was not written", o->output);
        return CLI_INTERRUPTED;
    }
    if (rc) {
        evio_say("explain: %s", err.text);
        return CLI_FAILED;
    }
    printf("%s: %lld frames, %lld with a map, track %u\n", o->output, (long long)c->n,
           (long long)c->n_drawn, o->face >= 1 ? (unsigned)o->face : c->track);
    if (c->n_drawn == 0) {
        evio_say("explain: no such face was seen in '%s'", o->input);
        return CLI_INCOMPLETE;
    }
    return result.n_covered || result.n_lost || result.cut ? CLI_INCOMPLETE : CLI_OK;
}

int explain_clip(const explain_options *o) {
    clip c = {.options = o};
    veil *v = NULL;
    veil_options vo;
    int status = CLI_FAILED;
    if (o->npy || o->json) {
        evio_say("explain: --npy and --json are for pictures and --dataset");
        return CLI_USAGE;
    }
    session_catch_signals();
    if (tools_open(&c.tools, o))
        goto done;
    veil_options_init(&vo, sizeof vo);
    vo.model = c.tools.model;
    vo.model_size = c.tools.model_size;
    vo.threads = (int32_t)o->threads;
    vo.settings.style = VEIL_STYLE_NONE; /* the network has to see the faces */
    int rc = veil_create(&v, &vo);
    if (rc)
        evio_say("explain: %s", veil_strerror(rc));
    else
        status = run(&c, v);
done:
    veil_destroy(v);
    convert_destroy(c.to_rgb);
    convert_destroy(c.back);
    tools_close(&c.tools);
    free(c.map);
    free(c.packed);
    return status;
}
