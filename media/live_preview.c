/* Previews: the newest hidden frame, scaled and compressed on the viewer's own thread. */
#include "live_priv.h"

#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>
#include <stdlib.h>
#include <string.h>

struct live_preview {
    live *s;
    int max_width, max_height, quality;
    uint64_t serial;
    AVFrame *scaled; /* I420, or full range for JPEG */
    struct SwsContext *sws;
    AVCodecContext *jpeg;
    AVPacket *packet;
    veil_track *tracks;
    size_t n_tracks;
};

int live_preview_open(live_preview **out, live *s, int width, int height, int jpeg_quality,
                      media_error *err) {
    *out = NULL;
    if (width < 0 || height < 0 || width > VEIL_SIZE_MAX || height > VEIL_SIZE_MAX ||
        jpeg_quality < 0 || jpeg_quality > 100)
        return media_fail(err, "a preview of %dx%d with quality %d is not possible", width, height,
                          jpeg_quality);
    live_preview *p = calloc(1, sizeof *p);
    if (!p)
        return media_fail(err, "out of memory");
    p->s = s;
    p->max_width = width;
    p->max_height = height;
    p->quality = jpeg_quality;
    p->packet = av_packet_alloc();
    if (!p->packet) {
        live_preview_close(p);
        return media_fail(err, "out of memory");
    }
    *out = p;
    return 0;
}

void live_preview_close(live_preview *p) {
    if (!p)
        return;
    av_frame_free(&p->scaled);
    sws_freeContext(p->sws);
    avcodec_free_context(&p->jpeg);
    av_packet_free(&p->packet);
    free(p->tracks);
    free(p);
}

static int even(double v) {
    int n = (int)(v / 2 + 0.5) * 2;
    return n < 16 ? 16 : n;
}

static int prepare(live_preview *p, const AVFrame *frame, media_error *err) {
    double w = frame->width, h = frame->height, scale = 1;
    if (p->max_width > 0 && p->max_width / w < scale)
        scale = p->max_width / w;
    if (p->max_height > 0 && p->max_height / h < scale)
        scale = p->max_height / h;
    int width = even(w * scale), height = even(h * scale);
    if (p->scaled && p->scaled->width == width && p->scaled->height == height)
        return 0;
    av_frame_free(&p->scaled);
    avcodec_free_context(&p->jpeg);
    p->scaled = av_frame_alloc();
    if (!p->scaled)
        return media_fail(err, "out of memory");
    p->scaled->format = p->quality > 0 ? AV_PIX_FMT_YUVJ420P : AV_PIX_FMT_YUV420P;
    p->scaled->width = width;
    p->scaled->height = height;
    return av_frame_get_buffer(p->scaled, 0) < 0 ? media_fail(err, "out of memory") : 0;
}

/* AVCOL_SPC_ and SWS_CS_ count alike. */
static int space_of(const AVFrame *frame) {
    if (frame->colorspace != AVCOL_SPC_UNSPECIFIED)
        return (int)frame->colorspace;
    return frame->height >= 720 ? SWS_CS_ITU709 : SWS_CS_ITU601;
}

static int scale(live_preview *p, const AVFrame *frame, media_error *err) {
    AVFrame *to = p->scaled;
    if (prepare(p, frame, err) != 0)
        return -1;
    to = p->scaled;
    /* The encoder of the frame before may still hold it. */
    if (av_frame_make_writable(to) < 0)
        return media_fail(err, "out of memory");
    p->sws = sws_getCachedContext(p->sws, frame->width, frame->height,
                                  (enum AVPixelFormat)frame->format, to->width, to->height,
                                  AV_PIX_FMT_YUV420P, SWS_BILINEAR, NULL, NULL, NULL);
    if (!p->sws)
        return media_fail(err, "cannot scale the preview");
    const int *table = sws_getCoefficients(space_of(frame));
    int from_full = frame->color_range == AVCOL_RANGE_JPEG, to_full = p->quality > 0;
    sws_setColorspaceDetails(p->sws, table, from_full,
                             to_full ? sws_getCoefficients(SWS_CS_ITU601) : table, to_full, 0,
                             1 << 16, 1 << 16);
    int rows = sws_scale(p->sws, (const uint8_t *const *)frame->data, frame->linesize, 0,
                         frame->height, to->data, to->linesize);
    return rows == to->height ? 0 : media_fail(err, "cannot scale the preview");
}

static int compress(live_preview *p, media_error *err) {
    if (!p->jpeg) {
        const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
        p->jpeg = codec ? avcodec_alloc_context3(codec) : NULL;
        if (!p->jpeg)
            return media_fail(err, "no JPEG encoder");
        AVCodecContext *c = p->jpeg;
        c->width = p->scaled->width;
        c->height = p->scaled->height;
        c->pix_fmt = AV_PIX_FMT_YUVJ420P;
        c->color_range = AVCOL_RANGE_JPEG;
        c->time_base = (AVRational){1, 25};
        c->thread_count = 1;
        c->flags |= AV_CODEC_FLAG_QSCALE;
        c->global_quality = FF_QP2LAMBDA * (2 + (100 - p->quality) * 29 / 100);
        if (avcodec_open2(c, codec, NULL) < 0)
            return media_fail(err, "the JPEG encoder cannot be opened");
    }
    p->scaled->quality = p->jpeg->global_quality;
    p->scaled->pts++;
    av_packet_unref(p->packet);
    if (avcodec_send_frame(p->jpeg, p->scaled) < 0 ||
        avcodec_receive_packet(p->jpeg, p->packet) < 0)
        return media_fail(err, "the preview cannot be compressed");
    return 0;
}

/* Waits under the session's lock; returns a reference to the newest frame. */
static int wait_newer(live_preview *p, int64_t timeout_ns, AVFrame **frame, live_picture *out) {
    live *s = p->s;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + (timeout_ns > 0 ? timeout_ns : 0);
    until.tv_sec += (time_t)(ns / SECOND_NS);
    until.tv_nsec = (long)(ns % SECOND_NS);
    int ret = 0;
    pthread_mutex_lock(&s->lock);
    while (s->serial == p->serial && !s->ended) {
        if (pthread_cond_timedwait(&s->changed, &s->lock, &until) != 0)
            break;
    }
    if (s->serial != p->serial && s->newest) {
        veil_track *more = s->n_tracks > 0 ? realloc(p->tracks, s->n_tracks * sizeof *more) : NULL;
        p->tracks = more ? more : p->tracks;
        p->n_tracks = more ? s->n_tracks : 0;
        if (more)
            memcpy(more, s->tracks, s->n_tracks * sizeof *more);
        *frame = av_frame_clone(s->newest);
        p->serial = s->serial;
        out->result = s->newest_result;
        out->phase = s->st.phase;
        out->cover = s->st.cover;
        ret = *frame ? 1 : -1;
    } else if (s->ended) {
        ret = -1;
    }
    pthread_mutex_unlock(&s->lock);
    return ret;
}

int live_preview_next(live_preview *p, int64_t timeout_ns, live_picture *out, media_error *err) {
    AVFrame *frame = NULL;
    memset(out, 0, sizeof *out);
    int ret = wait_newer(p, timeout_ns, &frame, out);
    if (ret < 0)
        return media_fail(err, "the session has ended");
    if (ret == 0)
        return 0;
    if (scale(p, frame, err) != 0 || (p->quality > 0 && compress(p, err) != 0)) {
        av_frame_free(&frame);
        return -1;
    }
    out->serial = p->serial;
    out->pts_ns = av_rescale(frame->pts, SECOND_NS, TICKS);
    out->width = p->scaled->width;
    out->height = p->scaled->height;
    for (int i = 0; i < 3 && p->quality == 0; i++) {
        out->plane[i] = p->scaled->data[i];
        out->stride[i] = p->scaled->linesize[i];
    }
    out->matrix = space_of(frame) == SWS_CS_ITU709 ? VEIL_MATRIX_BT709 : VEIL_MATRIX_BT601;
    out->jpeg = p->quality > 0 ? p->packet->data : NULL;
    out->jpeg_size = p->quality > 0 ? (size_t)p->packet->size : 0;
    out->frame_width = frame->width;
    out->frame_height = frame->height;
    out->tracks = p->tracks;
    out->n_tracks = p->n_tracks;
    av_frame_free(&frame);
    return 1;
}
