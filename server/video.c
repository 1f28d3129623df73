/* libx264 without delay into libavformat's MP4 muxer, which writes into memory and closes a
 * fragment after each frame. One thread: the live session needs the others. */
#include "video.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICKS      90000 /* a second */
#define NS_PER_S   1000000000
#define KEY_FRAMES 60 /* between two at most; others come when a viewer asks */
#define BITS_PX_S  6  /* at most, a pixel and second */
#define IO_BYTES   16384
/* The length told of a frame is longer than it is: a browser that gets the next one late sees
 * neither a gap nor an end. */
#define FRAME_TICKS (TICKS / 4)

struct video {
    AVCodecContext *encoder;
    AVFormatContext *muxer;
    AVFrame *frame;
    AVPacket *packet;
    uint8_t *bytes; /* written since they were taken last */
    size_t used, capacity;
    bool broken;
    int64_t zero_ns, last_pts;
};

static const AVCodec *find_encoder(void) {
    return avcodec_find_encoder_by_name("libx264");
}

bool video_possible(void) {
    return find_encoder() != NULL;
}

static int on_write(void *user, uint8_t *data, int size) {
    video *v = user;
    size_t n = size > 0 ? (size_t)size : 0;
    if (v->used + n > v->capacity) {
        size_t capacity = (v->used + n) * 2;
        uint8_t *more = realloc(v->bytes, capacity);
        v->broken = v->broken || !more;
        if (!more)
            return AVERROR(ENOMEM);
        v->bytes = more;
        v->capacity = capacity;
    }
    memcpy(v->bytes + v->used, data, n);
    v->used += n;
    return size;
}

static int take_bytes(video *v, video_bytes *out, media_error *err) {
    avio_flush(v->muxer->pb);
    out->data = v->used > 0 && !v->broken ? malloc(v->used) : NULL;
    if (!out->data)
        return media_fail(err, "out of memory");
    memcpy(out->data, v->bytes, v->used);
    out->size = v->used;
    v->used = 0;
    return 0;
}

void video_set_quality(video *v, int quality) {
    av_opt_set_double(v->encoder->priv_data, "crf", 36 - quality * 0.16, 0);
}

static int open_encoder(video *v, const live_picture *p, int quality, media_error *err) {
    const AVCodec *codec = find_encoder();
    v->encoder = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!v->encoder)
        return media_fail(err, "no H.264 encoder");
    AVCodecContext *c = v->encoder;
    bool high = p->matrix == VEIL_MATRIX_BT709;
    c->width = p->width;
    c->height = p->height;
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->color_range = AVCOL_RANGE_MPEG;
    c->colorspace = high ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
    c->color_primaries = high ? AVCOL_PRI_BT709 : AVCOL_PRI_SMPTE170M;
    c->color_trc = AVCOL_TRC_BT709;
    c->time_base = (AVRational){1, TICKS};
    c->framerate = (AVRational){30, 1}; /* for its rate control only */
    c->gop_size = KEY_FRAMES;
    c->thread_count = 1;
    c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    av_opt_set(c->priv_data, "preset", "ultrafast", 0);
    av_opt_set(c->priv_data, "tune", "zerolatency", 0);
    av_opt_set(c->priv_data, "profile", "baseline", 0);
    av_opt_set(c->priv_data, "forced-idr", "1", 0);
    video_set_quality(v, quality);
    c->rc_max_rate = (int64_t)BITS_PX_S * p->width * p->height;
    c->rc_buffer_size = (int)(c->rc_max_rate / 2);
    if (avcodec_open2(c, codec, NULL) < 0)
        return media_fail(err, "the H.264 encoder cannot be opened");
    return 0;
}

static int open_muxer(video *v, media_error *err) {
    AVDictionary *options = NULL;
    uint8_t *buffer = av_malloc(IO_BYTES);
    if (!buffer || avformat_alloc_output_context2(&v->muxer, NULL, "mp4", NULL) < 0) {
        av_free(buffer);
        return media_fail(err, "out of memory");
    }
    v->muxer->pb = avio_alloc_context(buffer, IO_BYTES, 1, v, NULL, on_write, NULL);
    if (!v->muxer->pb) {
        av_free(buffer);
        return media_fail(err, "out of memory");
    }
    AVStream *stream = avformat_new_stream(v->muxer, NULL);
    if (!stream || avcodec_parameters_from_context(stream->codecpar, v->encoder) < 0)
        return media_fail(err, "out of memory");
    stream->time_base = v->encoder->time_base;
    v->muxer->flags |= AVFMT_FLAG_BITEXACT; /* no name and version of the writer */
    av_dict_set(&options, "movflags", "frag_custom+empty_moov+default_base_moof+frag_discont", 0);
    av_dict_set(&options, "use_editlist", "0", 0);
    int ret = avformat_write_header(v->muxer, &options);
    av_dict_free(&options);
    return ret < 0 ? media_fail(err, "fragments of MP4 cannot be written") : 0;
}

int video_open(video **out, const live_picture *first, int quality, video_bytes *head,
               media_error *err) {
    *out = NULL;
    video *v = calloc(1, sizeof *v);
    if (!v)
        return media_fail(err, "out of memory");
    v->zero_ns = first->pts_ns;
    v->last_pts = -1;
    v->frame = av_frame_alloc();
    v->packet = av_packet_alloc();
    if (!v->frame || !v->packet) {
        media_fail(err, "out of memory");
        goto fail;
    }
    if (open_encoder(v, first, quality, err) != 0 || open_muxer(v, err) != 0 ||
        take_bytes(v, head, err) != 0)
        goto fail;
    *out = v;
    return 0;
fail:
    video_close(v);
    return -1;
}

void video_close(video *v) {
    if (!v)
        return;
    avcodec_free_context(&v->encoder);
    if (v->muxer && v->muxer->pb) {
        av_freep(&v->muxer->pb->buffer);
        avio_context_free(&v->muxer->pb);
    }
    avformat_free_context(v->muxer);
    av_frame_free(&v->frame);
    av_packet_free(&v->packet);
    free(v->bytes);
    free(v);
}

bool video_fits(const video *v, const live_picture *p) {
    return v->encoder->width == p->width && v->encoder->height == p->height &&
           p->pts_ns >= v->zero_ns;
}

double video_time(const video *v, const live_picture *p) {
    return (double)(p->pts_ns - v->zero_ns) / NS_PER_S;
}

static int encode(video *v, const live_picture *p, bool key, media_error *err) {
    AVFrame *f = v->frame;
    av_frame_unref(f);
    f->format = AV_PIX_FMT_YUV420P;
    f->width = p->width;
    f->height = p->height;
    f->pict_type = key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    f->pts = av_rescale(p->pts_ns - v->zero_ns, TICKS, NS_PER_S);
    f->pts = f->pts > v->last_pts ? f->pts : v->last_pts + 1;
    if (f->pts - v->last_pts > FRAME_TICKS) /* a gap: browsers want a key frame behind it */
        f->pict_type = AV_PICTURE_TYPE_I;
    v->last_pts = f->pts;
    if (av_frame_get_buffer(f, 0) < 0)
        return media_fail(err, "out of memory");
    for (int i = 0; i < 3; i++) {
        int half = i > 0, width = (p->width + half) >> half, height = (p->height + half) >> half;
        for (int y = 0; y < height; y++)
            memcpy(f->data[i] + (ptrdiff_t)y * f->linesize[i],
                   p->plane[i] + (ptrdiff_t)y * p->stride[i], (size_t)width);
    }
    av_packet_unref(v->packet);
    if (avcodec_send_frame(v->encoder, f) < 0 || avcodec_receive_packet(v->encoder, v->packet) < 0)
        return media_fail(err, "the preview cannot be encoded");
    return 0;
}

/* Writes FRAME_TICKS as the default length into the header of the track fragment: tfhd, flags,
 * track, then what the flags name. */
static bool tell_length(uint8_t *data, size_t size) {
    for (size_t i = 0; i + 32 < size && i < 128; i++) {
        if (memcmp(data + i, "tfhd", 4) != 0)
            continue;
        unsigned flags = data[i + 7];
        uint8_t *at = data + i + 12 + (flags & 1 ? 8 : 0) + (flags & 2 ? 4 : 0);
        if ((flags & 8) == 0)
            return false;
        for (int k = 0; k < 4; k++)
            at[k] = (uint8_t)(FRAME_TICKS >> (24 - 8 * k));
        return true;
    }
    return false;
}

int video_add(video *v, const live_picture *p, bool *key, video_bytes *out, media_error *err) {
    AVRational base = v->encoder->time_base;
    if (encode(v, p, *key, err) != 0)
        return -1;
    *key = (v->packet->flags & AV_PKT_FLAG_KEY) != 0;
    v->packet->stream_index = 0;
    v->packet->duration = 1;
    av_packet_rescale_ts(v->packet, base, v->muxer->streams[0]->time_base);
    /* Each fragment has a time of its own; the muxer would not take overlapping ones. */
    av_opt_set(v->muxer->priv_data, "movflags", "+frag_discont", 0);
    if (av_write_frame(v->muxer, v->packet) < 0 || av_write_frame(v->muxer, NULL) < 0)
        return media_fail(err, "a fragment of MP4 cannot be written");
    if (take_bytes(v, out, err) != 0)
        return -1;
    if (tell_length(out->data, out->size))
        return 0;
    free(out->data);
    return media_fail(err, "the muxer writes fragments of another kind");
}
