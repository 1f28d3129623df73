/* Frames of any size and format into I420 frames of one size. */
#include "live_priv.h"

#include "convert.h"

#include <libavutil/imgutils.h>
#include <stdlib.h>
#include <string.h>

#define ROW_ALIGN 64

struct fit {
    int width, height;
    convert *same; /* sources of that very size, and all that is asked for blank */
    convert *inner;
    int in_width, in_height; /* px of the picture inside, of the last source */
    int from_width, from_height;
    AVRational from_aspect;
    AVBufferPool *pool;
};

int fit_create(fit **out, int width, int height, media_error *err) {
    *out = NULL;
    fit *f = calloc(1, sizeof *f);
    int bytes = av_image_get_buffer_size(AV_PIX_FMT_YUV420P, width, height, ROW_ALIGN);
    if (!f || bytes <= 0)
        goto fail;
    f->width = width;
    f->height = height;
    f->pool = av_buffer_pool_init((size_t)bytes + 4 * ROW_ALIGN, av_buffer_alloc);
    if (!f->pool || convert_create(&f->same, AV_PIX_FMT_YUV420P, width, height, err) != 0)
        goto fail;
    convert_limit_range(f->same);
    *out = f;
    return 0;
fail:
    fit_destroy(f);
    return media_fail(err, "out of memory");
}

void fit_destroy(fit *f) {
    if (!f)
        return;
    convert_destroy(f->same);
    convert_destroy(f->inner);
    av_buffer_pool_uninit(&f->pool);
    free(f);
}

AVFrame *fit_blank(fit *f) {
    AVFrame *frame = av_frame_alloc();
    if (!frame)
        return NULL;
    frame->buf[0] = av_buffer_pool_get(f->pool);
    frame->format = AV_PIX_FMT_YUV420P;
    frame->width = f->width;
    frame->height = f->height;
    if (!frame->buf[0] ||
        av_image_fill_arrays(frame->data, frame->linesize, frame->buf[0]->data, AV_PIX_FMT_YUV420P,
                             f->width, f->height, ROW_ALIGN) < 0) {
        av_frame_free(&frame);
        return NULL;
    }
    memset(frame->data[0], 16, (size_t)frame->linesize[0] * (size_t)f->height);
    for (int p = 1; p < 3; p++)
        memset(frame->data[p], 128, (size_t)frame->linesize[p] * (size_t)((f->height + 1) / 2));
    return frame;
}

static int even(double v, int max) {
    int n = (int)(v / 2 + 0.5) * 2;
    return n < 2 ? 2 : n > max ? max : n;
}

/* The largest picture of the source's shape that fits. */
static int plan(fit *f, const AVFrame *frame, media_error *err) {
    AVRational sar = frame->sample_aspect_ratio;
    if (sar.num <= 0 || sar.den <= 0)
        sar = (AVRational){1, 1};
    if (f->inner && f->from_width == frame->width && f->from_height == frame->height &&
        av_cmp_q(f->from_aspect, sar) == 0)
        return 0;
    double shape = (double)frame->width * sar.num / sar.den / frame->height;
    bool wide = shape * f->height > f->width;
    f->in_width = wide ? f->width : even(shape * f->height, f->width);
    f->in_height = wide ? even(f->width / shape, f->height) : f->height;
    f->from_width = frame->width;
    f->from_height = frame->height;
    f->from_aspect = sar;
    convert_destroy(f->inner);
    f->inner = NULL;
    if (convert_create(&f->inner, AV_PIX_FMT_YUV420P, f->in_width, f->in_height, err) != 0)
        return -1;
    convert_limit_range(f->inner);
    return 0;
}

static void paste(AVFrame *to, const AVFrame *from, int left, int top) {
    for (int p = 0; p < 3; p++) {
        int half = p > 0 ? 1 : 0;
        uint8_t *dst = to->data[p] + (ptrdiff_t)(top >> half) * to->linesize[p] + (left >> half);
        av_image_copy_plane(dst, to->linesize[p], from->data[p], from->linesize[p],
                            (from->width + half) >> half, (from->height + half) >> half);
    }
}

int fit_frame(fit *f, AVFrame *frame, media_error *err) {
    if (frame->width == f->width && frame->height == f->height)
        return convert_frame(f->same, frame, err);
    if (plan(f, frame, err) != 0 || convert_frame(f->inner, frame, err) != 0)
        return -1;
    AVFrame *whole = fit_blank(f);
    if (!whole || av_frame_copy_props(whole, frame) < 0) {
        av_frame_free(&whole);
        return media_fail(err, "out of memory");
    }
    whole->sample_aspect_ratio = (AVRational){1, 1};
    paste(whole, frame, (f->width - f->in_width) / 2 & ~1, (f->height - f->in_height) / 2 & ~1);
    av_frame_unref(frame);
    av_frame_move_ref(frame, whole);
    av_frame_free(&whole);
    return 0;
}
