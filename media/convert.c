/* Copying or converting into frames of our own, from a pool so that no page is faulted twice. */
#include "convert.h"

#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <stdlib.h>

#define ROW_ALIGN 64 /* bytes; what FFmpeg's widest row kernels want */

struct convert {
    enum AVPixelFormat format;
    int width, height;
    AVBufferPool *pool;
    struct SwsContext *sws;
    bool limited;
};

int convert_create(convert **out, enum AVPixelFormat format, int width, int height,
                   media_error *err) {
    *out = NULL;
    convert *c = calloc(1, sizeof *c);
    int bytes = av_image_get_buffer_size(format, width, height, ROW_ALIGN);
    if (!c || bytes <= 0)
        goto fail;
    c->format = format;
    c->width = width;
    c->height = height;
    /* Room at the end for kernels that read a little over the last row. */
    c->pool = av_buffer_pool_init((size_t)bytes + 4 * ROW_ALIGN, av_buffer_alloc);
    if (!c->pool)
        goto fail;
    *out = c;
    return 0;
fail:
    convert_destroy(c);
    return media_fail(err, "out of memory");
}

void convert_destroy(convert *c) {
    if (!c)
        return;
    av_buffer_pool_uninit(&c->pool);
    sws_freeContext(c->sws);
    free(c);
}

void convert_limit_range(convert *c) {
    c->limited = true;
}

static int sws_space(enum AVColorSpace space, int height) {
    if (space == AVCOL_SPC_UNSPECIFIED || space == AVCOL_SPC_RGB || space == AVCOL_SPC_RESERVED)
        return height >= 720 ? SWS_CS_ITU709 : SWS_CS_ITU601;
    return (int)space;
}

static bool is_full(enum AVPixelFormat format, enum AVColorRange range) {
    return range == AVCOL_RANGE_JPEG || format == AV_PIX_FMT_YUVJ420P ||
           format == AV_PIX_FMT_YUVJ422P || format == AV_PIX_FMT_YUVJ444P;
}

static bool is_rgb(int format) {
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get((enum AVPixelFormat)format);
    return d && (d->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL)) != 0;
}

/* dst's colour description is set to what the conversion makes. */
static int rescale(convert *c, AVFrame *dst, const AVFrame *src) {
    c->sws = sws_getCachedContext(
        c->sws, src->width, src->height, (enum AVPixelFormat)src->format, c->width, c->height,
        c->format, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    if (!c->sws)
        return AVERROR(EINVAL);
    if (is_rgb(src->format) && !is_rgb(c->format)) {
        bool high = src->height >= 720;
        dst->colorspace = high ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
        dst->color_range =
            is_full(c->format, AVCOL_RANGE_UNSPECIFIED) ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
    } else if (!is_rgb(src->format) && is_rgb(c->format)) {
        dst->colorspace = AVCOL_SPC_RGB;
        dst->color_range = AVCOL_RANGE_JPEG;
    } else if (is_full(c->format, AVCOL_RANGE_UNSPECIFIED)) {
        dst->color_range = AVCOL_RANGE_JPEG;
    }
    if (c->limited)
        dst->color_range = AVCOL_RANGE_MPEG;
    const int *from = sws_getCoefficients(sws_space(src->colorspace, src->height));
    const int *to = sws_getCoefficients(sws_space(dst->colorspace, src->height));
    /* Fails for pairs without YUV, where it does not matter. */
    sws_setColorspaceDetails(c->sws, from,
                             is_full((enum AVPixelFormat)src->format, src->color_range), to,
                             is_full(c->format, dst->color_range), 0, 1 << 16, 1 << 16);
    int rows = sws_scale(c->sws, (const uint8_t *const *)src->data, src->linesize, 0, src->height,
                         dst->data, dst->linesize);
    return rows == c->height ? 0 : AVERROR(EINVAL);
}

int convert_frame(convert *c, AVFrame *frame, media_error *err) {
    bool same = frame->format == (int)c->format && frame->width == c->width &&
                frame->height == c->height &&
                !(c->limited && frame->color_range == AVCOL_RANGE_JPEG);
    if (same && av_frame_is_writable(frame))
        return 0;
    int ret = AVERROR(ENOMEM);
    AVFrame *own = av_frame_alloc();
    if (!own)
        goto done;
    own->buf[0] = av_buffer_pool_get(c->pool);
    if (!own->buf[0])
        goto done;
    own->format = (int)c->format;
    own->width = c->width;
    own->height = c->height;
    ret = av_image_fill_arrays(own->data, own->linesize, own->buf[0]->data, c->format, c->width,
                               c->height, ROW_ALIGN);
    if (ret < 0)
        goto done;
    ret = av_frame_copy_props(own, frame);
    if (ret < 0)
        goto done;
    ret = same ? av_frame_copy(own, frame) : rescale(c, own, frame);
    if (ret < 0)
        goto done;
    av_frame_unref(frame);
    av_frame_move_ref(frame, own);
done:
    av_frame_free(&own);
    if (ret < 0)
        return media_fail_av(err, ret, "cannot convert a frame");
    return 0;
}
