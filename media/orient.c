/* Which way up, and turning pixels with FFmpeg's transpose and flip filters. */
#include "orient.h"

#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/display.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct orient {
    int32_t matrix[9];
    AVFilterGraph *graph;
    AVFilterContext *source, *sink;
    int width, height, format; /* what the graph was made for */
};

int orient_rotation(const int32_t *matrix) {
    if (!matrix)
        return 0;
    double clockwise = -av_display_rotation_get(matrix);
    if (isnan(clockwise))
        return 0;
    int quarter = (int)lround(clockwise / 90.0);
    return ((quarter % 4 + 4) % 4) * 90;
}

bool orient_needed(const int32_t *matrix) {
    return matrix && (orient_rotation(matrix) != 0 || matrix[0] < 0 || matrix[4] < 0);
}

bool orient_mirrors(const int32_t *matrix) {
    return matrix && (double)matrix[0] * matrix[4] - (double)matrix[1] * matrix[3] < 0;
}

void orient_from_exif(int32_t matrix[9], int orientation) {
    /* {degrees clockwise, mirrored across first} for the EXIF values 1..8 */
    static const int table[9][2] = {{0, 0},  {0, 0},  {0, 1},   {180, 0}, {180, 1},
                                    {90, 1}, {90, 0}, {270, 1}, {270, 0}};
    if (orientation < 1 || orientation > 8)
        orientation = 1;
    av_display_rotation_set(matrix, table[orientation][0]);
    if (table[orientation][1])
        av_display_matrix_flip(matrix, 1, 0);
}

/* The filters that do what the matrix says; the same choices as the ffmpeg program makes. */
static const char *filters_for(const int32_t m[9]) {
    switch (orient_rotation(m)) {
    case 90:
        return m[3] > 0 ? "transpose=cclock_flip" : "transpose=clock";
    case 180:
        if (m[0] < 0)
            return m[4] < 0 ? "hflip,vflip" : "hflip";
        return m[4] < 0 ? "vflip" : "null";
    case 270:
        return m[3] < 0 ? "transpose=clock_flip" : "transpose=cclock";
    default:
        return m[4] < 0 ? "vflip" : "null";
    }
}

int orient_create(orient **out, const int32_t matrix[9], media_error *err) {
    *out = calloc(1, sizeof **out);
    if (!*out)
        return media_fail(err, "out of memory");
    memcpy((*out)->matrix, matrix, sizeof(*out)->matrix);
    return 0;
}

void orient_destroy(orient *o) {
    if (!o)
        return;
    avfilter_graph_free(&o->graph);
    free(o);
}

static int make_graph(orient *o, const AVFrame *frame) {
    avfilter_graph_free(&o->graph);
    AVFilterInOut *from = NULL, *to = NULL;
    char args[160];
    snprintf(args, sizeof args,
             "video_size=%dx%d:pix_fmt=%d:time_base=1/1000000:pixel_aspect=%d/%d", frame->width,
             frame->height, frame->format, frame->sample_aspect_ratio.num,
             frame->sample_aspect_ratio.den > 0 ? frame->sample_aspect_ratio.den : 1);
    int ret = AVERROR(ENOMEM);
    o->graph = avfilter_graph_alloc();
    if (!o->graph)
        goto done;
    o->graph->nb_threads = 1;
    ret = avfilter_graph_create_filter(&o->source, avfilter_get_by_name("buffer"), "in", args, NULL,
                                       o->graph);
    if (ret < 0)
        goto done;
    ret = avfilter_graph_create_filter(&o->sink, avfilter_get_by_name("buffersink"), "out", NULL,
                                       NULL, o->graph);
    if (ret < 0)
        goto done;
    from = avfilter_inout_alloc();
    to = avfilter_inout_alloc();
    if (!from || !to) {
        ret = AVERROR(ENOMEM);
        goto done;
    }
    from->name = av_strdup("in");
    from->filter_ctx = o->source;
    to->name = av_strdup("out");
    to->filter_ctx = o->sink;
    ret = avfilter_graph_parse_ptr(o->graph, filters_for(o->matrix), &to, &from, NULL);
    if (ret >= 0)
        ret = avfilter_graph_config(o->graph, NULL);
    o->width = frame->width;
    o->height = frame->height;
    o->format = frame->format;
done:
    avfilter_inout_free(&from);
    avfilter_inout_free(&to);
    return ret;
}

int orient_frame(orient *o, AVFrame *frame, media_error *err) {
    int ret = 0;
    if (!o->graph || o->width != frame->width || o->height != frame->height ||
        o->format != frame->format)
        ret = make_graph(o, frame);
    /* A filter may round what it passes on; time is kept beside. */
    int64_t pts = frame->pts, duration = frame->pkt_duration;
    if (ret >= 0)
        ret = av_buffersrc_add_frame(o->source, frame);
    if (ret >= 0) {
        av_frame_unref(frame);
        ret = av_buffersink_get_frame(o->sink, frame);
    }
    if (ret < 0)
        return media_fail_av(err, ret, "cannot turn the picture upright");
    frame->pts = pts;
    frame->pkt_duration = duration;
    av_frame_remove_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX);
    return 0;
}
