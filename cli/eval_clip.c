/* eval_clip.c - decodes through media/; frames are as stored (not turned). */
#include "eval_clip.h"

#include "../media/convert.h"
#include "../media/input.h"

#include <stdlib.h>
#include <string.h>

struct clip {
    char *path;
    media_input *in;
    convert *to_yuv, *to_rgb;
    AVFrame *frame;
    AVPacket *packet;
    long n_read;
};

clip *clip_open(const char *path) {
    media_error err = {0};
    media_input_options options = {.path = path, .video_only = true};
    clip *c = calloc(1, sizeof *c);
    if (c) {
        c->path = strdup(path);
        c->frame = av_frame_alloc();
        c->packet = av_packet_alloc();
    }
    if (c && c->path && c->frame && c->packet && media_input_open(&c->in, &options, &err) == 0)
        return c;
    evio_say("%s: %s", path, err.text[0] ? err.text : "out of memory");
    clip_close(c);
    return NULL;
}

void clip_close(clip *c) {
    if (!c)
        return;
    if (c->in)
        media_input_close(c->in);
    convert_destroy(c->to_yuv);
    convert_destroy(c->to_rgb);
    av_frame_free(&c->frame);
    av_packet_free(&c->packet);
    free(c->path);
    free(c);
}

int clip_next(clip *c) {
    media_error err = {0};
    av_frame_unref(c->frame);
    int item = media_input_read(c->in, c->frame, c->packet, &err);
    if (item == MEDIA_ITEM_END)
        return 0;
    int rc = item == MEDIA_ITEM_FRAME ? 0 : -1;
    if (rc == 0 && !c->to_yuv)
        rc =
            convert_create(&c->to_yuv, AV_PIX_FMT_YUV420P, c->frame->width, c->frame->height, &err);
    if (rc == 0)
        rc = convert_frame(c->to_yuv, c->frame, &err);
    if (rc)
        return evio_say("%s: %s", c->path, err.text[0] ? err.text : "cannot be decoded");
    c->n_read++;
    return 1;
}

long clip_frame(const clip *c) {
    return c->n_read - 1;
}

double clip_pts(const clip *c) {
    return (double)c->frame->pts * av_q2d(media_input_video(c->in)->time_base);
}

ev_luma clip_luma(const clip *c) {
    return (ev_luma){c->frame->data[0], c->frame->linesize[0], c->frame->width, c->frame->height};
}

const AVFrame *clip_picture(const clip *c) {
    return c->frame;
}

int clip_rgb(clip *c, evio_picture *out) {
    media_error err = {0};
    *out = (evio_picture){0};
    AVFrame *copy = av_frame_clone(c->frame);
    int rc = copy ? 0 : -1;
    if (rc == 0 && !c->to_rgb)
        rc = convert_create(&c->to_rgb, AV_PIX_FMT_RGB24, copy->width, copy->height, &err);
    if (rc == 0)
        rc = convert_frame(c->to_rgb, copy, &err);
    if (rc == 0) {
        size_t row = 3 * (size_t)copy->width;
        out->width = copy->width;
        out->height = copy->height;
        out->rgb = malloc(row * (size_t)copy->height);
        rc = out->rgb ? 0 : -1;
        for (int y = 0; y < copy->height && rc == 0; y++)
            memcpy(out->rgb + row * (size_t)y, copy->data[0] + (ptrdiff_t)y * copy->linesize[0],
                   row);
    }
    av_frame_free(&copy);
    return rc ? evio_say("%s: %s", c->path, err.text[0] ? err.text : "out of memory") : 0;
}
