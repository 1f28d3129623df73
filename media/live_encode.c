/* Encoders of a live session: one thread for each set of encoder settings, feeding every output
 * that has these. Takes shown frames only. */
#include "live_priv.h"

#include <libavutil/audio_fifo.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_ITEMS 10 /* frames and pieces of sound waiting for an encoder */
#define KEY_SECONDS 2

typedef struct {
    media_shown *shown; /* or */
    AVFrame *sound;     /* or */
    AVFrame *like;      /* without pixels: what the frames to come are like */
} item;

struct live_enc {
    live *s;
    live_output o; /* of the first output; the others have the same settings */
    char key[512];
    const AVOutputFormat *container;
    const AVCodec *video_codec, *audio_codec; /* audio: NULL = none */
    queue *items;
    pthread_t thread;
    bool has_thread;
    encoder *video;
    AVCodecContext *audio;
    AVAudioFifo *fifo;
    AVFrame *piece;
    int64_t fifo_pts; /* of its first sample */
    AVPacket *packet;
    atomic_bool wants_key;
    /* Under the session's lock. */
    enum { ENC_WAITING, ENC_OPEN, ENC_FAILED } state;
    media_error err;
    pthread_mutex_t hand; /* held while packets are handed out: who is detached gets none after */
    live_sink *sinks[LIVE_OUTPUTS_MAX];
};

static void free_item(void *opaque) {
    item *i = opaque;
    media_shown_free(i->shown);
    av_frame_free(&i->sound);
    av_frame_free(&i->like);
    free(i);
}

static const char *text(const char *t) {
    return t ? t : "";
}

static void make_key(live_enc *e) {
    const encoder_options *o = &e->o.encoder;
    snprintf(e->key, sizeof e->key, "%s|%s|%s|%s|%s|%s|%s|%d|%d|%s|%s|%d", e->video_codec->name,
             text(o->preset), text(o->tune), text(o->crf), text(o->bit_rate), text(o->pixel_format),
             text(o->extra), o->gop, o->threads, e->audio_codec ? e->audio_codec->name : "",
             text(e->o.audio_bit_rate), strcmp(e->container->name, "yuv4mpegpipe") == 0);
}

static bool is_device(const AVOutputFormat *f) {
    return strstr(f->name, "v4l2") != NULL;
}

static const AVCodec *find_audio(const live_output *o, const AVOutputFormat *f, media_error *err) {
    const char *name = o->audio_codec;
    bool fits_aac = avformat_query_codec(f, AV_CODEC_ID_AAC, FF_COMPLIANCE_NORMAL) != 0;
    if (!name)
        name = strcmp(f->name, "webm") == 0 || !fits_aac ? "libopus" : "aac";
    const AVCodec *codec = avcodec_find_encoder_by_name(name);
    if (!codec || codec->type != AVMEDIA_TYPE_AUDIO) {
        media_fail(err, "no sound encoder is called '%s'", name);
        return NULL;
    }
    return codec;
}

static const AVCodec *find_video(const live_output *o, const AVOutputFormat *f, live_hw hw,
                                 media_error *err) {
    const AVCodec *codec = NULL;
    if (o->encoder.codec)
        return encoder_find(o->encoder.codec, err);
    if (is_device(f))
        return encoder_find("rawvideo", err);
    codec = encoder_for_container(f, err);
    if (!codec || codec->id != AV_CODEC_ID_H264)
        return codec;
    const AVCodec *own = hw == LIVE_HW_NVDEC     ? avcodec_find_encoder_by_name("h264_nvenc")
                         : hw == LIVE_HW_V4L2M2M ? avcodec_find_encoder_by_name("h264_v4l2m2m")
                                                 : NULL;
    return own ? own : codec;
}

/* What a stream needs, where the user said nothing. */
static void set_defaults(live_enc *e, encoder_options *o, char *extra, size_t size) {
    const live *s = e->s;
    double rate = av_q2d(s->rate);
    if (o->gop <= 0)
        o->gop = (int)(rate * KEY_SECONDS + 0.5);
    const char *name = e->video_codec->name;
    if (strcmp(name, "libx264") == 0 || strcmp(name, "libx265") == 0) {
        if (!o->preset)
            o->preset = "superfast";
        if (!o->tune)
            o->tune = "zerolatency";
    }
    if (strcmp(name, "libx264") == 0 && !o->crf && !o->bit_rate && !o->extra) {
        double bits = s->width * (double)s->height * rate * 0.12;
        snprintf(extra, size, "maxrate=%.0f:bufsize=%.0f", bits, bits);
        o->crf = "23";
        o->extra = extra;
    }
    if (strncmp(name, "libvpx", 6) == 0 && !o->extra) {
        snprintf(extra, size, "deadline=realtime:cpu-used=8:lag-in-frames=0");
        o->extra = extra;
        if (!o->bit_rate && !o->crf)
            o->bit_rate = "3M";
    }
}

static int open_video(live_enc *e, const AVFrame *first, media_error *err) {
    char extra[128];
    encoder_options o = e->o.encoder;
    set_defaults(e, &o, extra, sizeof extra);
    AVCodecParameters *params = avcodec_parameters_alloc();
    if (!params)
        return media_fail(err, "out of memory");
    params->codec_type = AVMEDIA_TYPE_VIDEO;
    params->codec_id = AV_CODEC_ID_RAWVIDEO;
    encoder_source source = {.frame = first,
                             .params = params,
                             .width = e->s->width,
                             .height = e->s->height,
                             .time_base = {1, TICKS},
                             .rate = e->s->rate,
                             .container = e->container,
                             .global_header = true};
    int ret = encoder_open(&e->video, &o, &source, e->video_codec, err);
    avcodec_parameters_free(&params);
    return ret;
}

static int open_audio(live_enc *e, media_error *err) {
    if (!e->audio_codec || !e->s->audio)
        return 0;
    AVCodecContext *c = e->audio = avcodec_alloc_context3(e->audio_codec);
    e->piece = av_frame_alloc();
    if (!c || !e->piece)
        return media_fail(err, "out of memory");
    c->sample_rate = SOUND_HZ;
    c->time_base = (AVRational){1, SOUND_HZ};
    av_channel_layout_default(&c->ch_layout, 2);
    c->sample_fmt = AV_SAMPLE_FMT_FLTP;
    const enum AVSampleFormat *takes = e->audio_codec->sample_fmts;
    for (size_t i = 0; takes && takes[i] != AV_SAMPLE_FMT_NONE; i++) {
        if (takes[i] == AV_SAMPLE_FMT_FLT)
            c->sample_fmt = AV_SAMPLE_FMT_FLT;
        if (takes[i] == AV_SAMPLE_FMT_FLTP) {
            c->sample_fmt = AV_SAMPLE_FMT_FLTP;
            break;
        }
    }
    c->bit_rate = 160000;
    c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    AVDictionary *dict = NULL;
    if (e->o.audio_bit_rate)
        av_dict_set(&dict, "b", e->o.audio_bit_rate, 0);
    int ret = avcodec_open2(c, e->audio_codec, &dict);
    av_dict_free(&dict);
    if (ret < 0)
        return media_fail_av(err, ret, "the sound encoder %s cannot be opened",
                             e->audio_codec->name);
    e->fifo = av_audio_fifo_alloc(AV_SAMPLE_FMT_FLTP, 2, 4096);
    return e->fifo ? 0 : media_fail(err, "out of memory");
}

static void set_state(live_enc *e, int state, const media_error *err) {
    pthread_mutex_lock(&e->s->lock);
    e->state = state == ENC_OPEN ? ENC_OPEN : ENC_FAILED;
    if (err)
        e->err = *err;
    pthread_cond_broadcast(&e->s->changed);
    pthread_mutex_unlock(&e->s->lock);
}

static void hand_out(live_enc *e, int index) {
    pthread_mutex_lock(&e->hand);
    for (size_t i = 0; i < LIVE_OUTPUTS_MAX; i++) {
        if (e->sinks[i])
            live_sink_packet(e->sinks[i], e->packet, index);
    }
    pthread_mutex_unlock(&e->hand);
    av_packet_unref(e->packet);
}

static int drain_video(live_enc *e, media_error *err) {
    int ret;
    while ((ret = encoder_receive(e->video, e->packet, err)) == 1)
        hand_out(e, 0);
    return ret;
}

static int open_both(live_enc *e, const AVFrame *like, media_error *err) {
    if (e->video)
        return 0;
    if (open_video(e, like, err) != 0 || open_audio(e, err) != 0)
        return -1;
    set_state(e, ENC_OPEN, NULL);
    return 0;
}

static int encode_video(live_enc *e, const media_shown *shown, media_error *err) {
    int64_t taken = live_now(e->s);
    if (open_both(e, shown->frame, err) != 0)
        return -1;
    if (atomic_exchange(&e->wants_key, false))
        encoder_request_key(e->video);
    if (encoder_send(e->video, shown, err) != 0 || drain_video(e, err) != 0)
        return -1;
    live_stamp_end(e->s, shown->frame, taken, live_now(e->s));
    return 0;
}

/* Planar samples of the FIFO as the encoder wants them. */
static int fill_piece(live_enc *e, int n, media_error *err) {
    AVFrame *f = e->piece;
    av_frame_unref(f);
    f->nb_samples = n;
    f->format = AV_SAMPLE_FMT_FLTP;
    f->sample_rate = SOUND_HZ;
    av_channel_layout_default(&f->ch_layout, 2);
    if (av_frame_get_buffer(f, 0) < 0 || av_audio_fifo_read(e->fifo, (void **)f->data, n) != n)
        return media_fail(err, "out of memory");
    if (e->audio->sample_fmt == AV_SAMPLE_FMT_FLT) {
        AVBufferRef *packed = av_buffer_alloc((size_t)n * 2 * sizeof(float));
        if (!packed)
            return media_fail(err, "out of memory");
        float *to = (float *)(void *)packed->data;
        for (int i = 0; i < n; i++) {
            for (int c = 0; c < 2; c++)
                to[2 * i + c] = ((float *)(void *)f->data[c])[i];
        }
        av_buffer_unref(&f->buf[0]);
        av_buffer_unref(&f->buf[1]);
        f->buf[0] = packed;
        f->data[0] = packed->data;
        f->data[1] = NULL;
        f->linesize[0] = n * 2 * (int)sizeof(float);
        f->format = AV_SAMPLE_FMT_FLT;
        f->extended_data = f->data;
    }
    f->pts = e->fifo_pts;
    e->fifo_pts += n;
    return 0;
}

static int drain_audio(live_enc *e, const AVFrame *frame, media_error *err) {
    int ret = avcodec_send_frame(e->audio, frame);
    while (ret >= 0 && (ret = avcodec_receive_packet(e->audio, e->packet)) >= 0)
        hand_out(e, 1);
    if (ret == AVERROR(EAGAIN) || ret == AVERROR_EOF)
        return 0;
    return media_fail_av(err, ret, "the sound encoder %s failed", e->audio_codec->name);
}

static int encode_audio(live_enc *e, const AVFrame *in, media_error *err) {
    if (!e->audio) /* sound that came before the first frame */
        return 0;
    if (av_audio_fifo_size(e->fifo) == 0 || e->fifo_pts + av_audio_fifo_size(e->fifo) != in->pts) {
        av_audio_fifo_reset(e->fifo); /* some were dropped for want of room */
        e->fifo_pts = in->pts;
    }
    if (av_audio_fifo_write(e->fifo, (void **)in->extended_data, in->nb_samples) < 0)
        return media_fail(err, "out of memory");
    int n = e->audio->frame_size > 0 ? e->audio->frame_size : in->nb_samples;
    while (av_audio_fifo_size(e->fifo) >= n) {
        if (fill_piece(e, n, err) != 0 || drain_audio(e, e->piece, err) != 0)
            return -1;
    }
    return 0;
}

static void *enc_main(void *opaque) {
    live_enc *e = opaque;
    media_error err = {0};
    void *next;
    bool failed = false;
    while (queue_get(e->items, &next)) {
        item *i = next;
        if (!failed) {
            int ret = i->shown  ? encode_video(e, i->shown, &err)
                      : i->like ? open_both(e, i->like, &err)
                                : encode_audio(e, i->sound, &err);
            failed = ret != 0;
            if (failed) {
                live_note_problem(e->s, err.text);
                set_state(e, ENC_FAILED, &err);
            }
        }
        free_item(i);
    }
    if (e->video && !failed && encoder_send(e->video, NULL, &err) == 0)
        drain_video(e, &err);
    if (e->audio && !failed)
        drain_audio(e, NULL, &err);
    if (!e->video && !failed) {
        media_fail(&err, "no frame came");
        set_state(e, ENC_FAILED, &err);
    }
    return NULL;
}

/* Waits when the encoder is slow: what comes before piles up then, and is overload. */
static void put_item(live_enc *e, item *i) {
    if (!queue_put(e->items, i))
        free_item(i);
}

void live_enc_prepare(live_enc *e, const AVFrame *raw) {
    item *i = calloc(1, sizeof *i);
    if (i && (i->like = av_frame_alloc()) != NULL && av_frame_copy_props(i->like, raw) >= 0) {
        i->like->format = raw->format;
        i->like->width = raw->width;
        i->like->height = raw->height;
        put_item(e, i);
    } else if (i) {
        free_item(i);
    }
}

void live_enc_video(live_enc *e, const media_shown *shown) {
    item *i = calloc(1, sizeof *i);
    if (i && (i->shown = media_shown_ref(shown)) != NULL)
        put_item(e, i);
    else
        free(i);
}

void live_enc_audio(live_enc *e, const AVFrame *frame) {
    if (!e->audio_codec)
        return;
    item *i = calloc(1, sizeof *i);
    if (i && (i->sound = av_frame_clone(frame)) != NULL)
        put_item(e, i);
    else
        free(i);
}

void live_enc_destroy(live_enc *e) {
    if (!e)
        return;
    queue_destroy(e->items);
    encoder_close(e->video);
    avcodec_free_context(&e->audio);
    if (e->fifo)
        av_audio_fifo_free(e->fifo);
    av_frame_free(&e->piece);
    av_packet_free(&e->packet);
    live_output_free(&e->o);
    pthread_mutex_destroy(&e->hand);
    free(e);
}

static live_enc *create(live *s, const live_output *o, media_error *err) {
    live_enc *e = calloc(1, sizeof *e);
    if (!e || live_output_copy(&e->o, o) != 0) {
        free(e);
        media_fail(err, "out of memory");
        return NULL;
    }
    e->s = s;
    pthread_mutex_init(&e->hand, NULL);
    if (live_sink_check(o, &e->container, err) != 0)
        goto fail;
    e->video_codec = find_video(o, e->container, s->o.hw, err);
    if (!e->video_codec)
        goto fail;
    bool silent =
        o->no_audio || is_device(e->container) || e->container->audio_codec == AV_CODEC_ID_NONE;
    if (!silent && !(e->audio_codec = find_audio(o, e->container, err)))
        goto fail;
    if (e->o.encoder.threads == 0)
        e->o.encoder.threads = s->o.threads;
    make_key(e);
    return e;
fail:
    live_enc_destroy(e);
    return NULL;
}

static int start(live_enc *e, media_error *err) {
    e->packet = av_packet_alloc();
    e->items = queue_create(QUEUE_ITEMS, free_item, &e->s->abort);
    e->has_thread = e->packet && e->items && pthread_create(&e->thread, NULL, enc_main, e) == 0;
    return e->has_thread ? 0 : media_fail(err, "a thread could not be started");
}

live_enc *live_enc_find(live *s, const live_output *o, media_error *err) {
    live_enc *e = create(s, o, err);
    size_t free_place = LIVE_OUTPUTS_MAX;
    if (!e)
        return NULL;
    for (size_t i = LIVE_OUTPUTS_MAX; i-- > 0;) {
        if (!s->encs[i]) {
            free_place = i;
        } else if (strcmp(s->encs[i]->key, e->key) == 0) {
            live_enc_destroy(e);
            return s->encs[i];
        }
    }
    if (free_place == LIVE_OUTPUTS_MAX || start(e, err) != 0) {
        live_enc_destroy(e);
        return NULL;
    }
    pthread_mutex_lock(&s->feed);
    s->encs[free_place] = e;
    pthread_mutex_unlock(&s->feed);
    return e;
}

void live_enc_attach(live_enc *e, live_sink *k) {
    pthread_mutex_lock(&e->hand);
    for (size_t i = 0; i < LIVE_OUTPUTS_MAX; i++) {
        if (!e->sinks[i]) {
            e->sinks[i] = k;
            break;
        }
    }
    pthread_mutex_unlock(&e->hand);
}

bool live_enc_detach(live_enc *e, live_sink *k) {
    bool last = true;
    pthread_mutex_lock(&e->hand);
    for (size_t i = 0; i < LIVE_OUTPUTS_MAX; i++) {
        if (e->sinks[i] == k)
            e->sinks[i] = NULL;
        last = last && !e->sinks[i];
    }
    pthread_mutex_unlock(&e->hand);
    return last;
}

void live_enc_request_key(live_enc *e) {
    atomic_store(&e->wants_key, true);
}

void live_enc_finish(live_enc *e) {
    if (!e)
        return;
    if (e->items)
        queue_end(e->items);
    if (e->has_thread)
        pthread_join(e->thread, NULL);
    e->has_thread = false;
}

bool live_enc_wait(live_enc *e, const atomic_bool *stop, media_error *err) {
    live *s = e->s;
    pthread_mutex_lock(&s->lock);
    while (e->state == ENC_WAITING && !atomic_load(stop)) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec++;
        pthread_cond_timedwait(&s->changed, &s->lock, &until);
    }
    bool open = e->state == ENC_OPEN;
    if (e->state == ENC_FAILED)
        *err = e->err;
    pthread_mutex_unlock(&s->lock);
    return open;
}

const AVCodecContext *live_enc_video_context(const live_enc *e) {
    return encoder_context(e->video);
}

const AVCodecContext *live_enc_audio_context(const live_enc *e) {
    return e->audio;
}
