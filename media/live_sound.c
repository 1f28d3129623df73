/* Sound of a live source: decoded, resampled to 48 kHz stereo, placed in a ring by its time, and
 * taken out in pieces of 1024 samples with silence where nothing came. */
#include "live_priv.h"

#include <libavutil/channel_layout.h>
#include <libswresample/swresample.h>
#include <stdlib.h>
#include <string.h>

#define RING      (SOUND_HZ * 8) /* samples; how far sound may come before its frames */
#define PIECE     1024
#define TOLERANCE (SOUND_HZ / 125) /* time stamps are rounded: so far off is still in sequence */

struct sound {
    pthread_mutex_t lock;
    float *ring[2];
    int64_t read, write; /* positions; write: end of what came last */
    bool started;
};

int sound_create(sound **out) {
    sound *s = *out = calloc(1, sizeof *s);
    if (!s)
        return -1;
    pthread_mutex_init(&s->lock, NULL);
    for (int c = 0; c < 2; c++)
        s->ring[c] = calloc(RING, sizeof(float));
    if (s->ring[0] && s->ring[1])
        return 0;
    sound_destroy(s);
    *out = NULL;
    return -1;
}

void sound_destroy(sound *s) {
    if (!s)
        return;
    pthread_mutex_destroy(&s->lock);
    free(s->ring[0]);
    free(s->ring[1]);
    free(s);
}

void sound_start(sound *s, int64_t position) {
    pthread_mutex_lock(&s->lock);
    s->started = true;
    s->read = position;
    if (s->write < position)
        s->write = position;
    pthread_mutex_unlock(&s->lock);
}

static void put(sound *s, float *const *data, int n, int64_t position) {
    pthread_mutex_lock(&s->lock);
    int64_t away = position - s->write;
    if (away > -TOLERANCE && away < TOLERANCE)
        position = s->write;
    int64_t floor = s->started ? s->read : s->write - RING / 2;
    for (int i = 0; i < n; i++) {
        int64_t at = position + i;
        if (at < floor || (s->started && at >= s->read + RING) || at < 0)
            continue;
        for (int c = 0; c < 2; c++)
            s->ring[c][at % RING] = data[c][i];
        if (at + 1 > s->write)
            s->write = at + 1;
    }
    pthread_mutex_unlock(&s->lock);
}

AVFrame *sound_take(sound *s, int64_t end, bool late) {
    AVFrame *frame = NULL;
    pthread_mutex_lock(&s->lock);
    if (!s->started || s->read + PIECE > end || (s->write < s->read + PIECE && !late))
        goto done;
    frame = av_frame_alloc();
    if (!frame)
        goto done;
    frame->format = AV_SAMPLE_FMT_FLTP;
    frame->nb_samples = PIECE;
    frame->sample_rate = SOUND_HZ;
    av_channel_layout_default(&frame->ch_layout, 2);
    if (av_frame_get_buffer(frame, 0) < 0) {
        av_frame_free(&frame);
        goto done;
    }
    frame->pts = s->read;
    for (int c = 0; c < 2; c++) {
        float *to = (float *)(void *)frame->data[c];
        for (int i = 0; i < PIECE; i++) {
            int64_t at = (s->read + i) % RING;
            to[i] = s->ring[c][at];
            s->ring[c][at] = 0;
        }
    }
    s->read += PIECE;
    if (s->write < s->read)
        s->write = s->read;
done:
    pthread_mutex_unlock(&s->lock);
    return frame;
}

struct sound_in {
    AVCodecContext *decoder;
    SwrContext *swr;
    AVFrame *frame, *out;
    AVRational time_base;
    AVChannelLayout layout; /* of the last frame */
    int rate, format;
    int64_t next; /* in the stream's time base, for frames without a time */
};

int sound_in_open(sound_in **out, const AVStream *stream, media_error *err) {
    *out = NULL;
    sound_in *in = calloc(1, sizeof *in);
    if (!in)
        return media_fail(err, "out of memory");
    in->time_base = stream->time_base;
    in->frame = av_frame_alloc();
    in->out = av_frame_alloc();
    in->next = AV_NOPTS_VALUE;
    const AVCodec *codec = avcodec_find_decoder(stream->codecpar->codec_id);
    in->decoder = codec ? avcodec_alloc_context3(codec) : NULL;
    int ret = AVERROR_DECODER_NOT_FOUND;
    if (in->decoder && in->frame && in->out) {
        in->decoder->pkt_timebase = stream->time_base;
        ret = avcodec_parameters_to_context(in->decoder, stream->codecpar);
        if (ret >= 0)
            ret = avcodec_open2(in->decoder, codec, NULL);
    }
    if (ret < 0) {
        sound_in_close(in);
        return media_fail_av(err, ret, "the sound (%s) cannot be decoded",
                             avcodec_get_name(stream->codecpar->codec_id));
    }
    *out = in;
    return 0;
}

void sound_in_close(sound_in *in) {
    if (!in)
        return;
    avcodec_free_context(&in->decoder);
    swr_free(&in->swr);
    av_frame_free(&in->frame);
    av_frame_free(&in->out);
    av_channel_layout_uninit(&in->layout);
    free(in);
}

/* The sound's format may change within a stream. */
static bool prepare(sound_in *in) {
    const AVFrame *f = in->frame;
    if (in->swr && in->rate == f->sample_rate && in->format == f->format &&
        av_channel_layout_compare(&in->layout, &f->ch_layout) == 0)
        return true;
    swr_free(&in->swr);
    AVChannelLayout stereo = {0}, from = {0}; /* copying frees what the target held */
    av_channel_layout_default(&stereo, 2);
    if (f->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
        av_channel_layout_default(&from, f->ch_layout.nb_channels);
    else if (av_channel_layout_copy(&from, &f->ch_layout) < 0)
        return false;
    int ret = swr_alloc_set_opts2(&in->swr, &stereo, AV_SAMPLE_FMT_FLTP, SOUND_HZ, &from,
                                  (enum AVSampleFormat)f->format, f->sample_rate, 0, NULL);
    av_channel_layout_uninit(&from);
    in->rate = f->sample_rate;
    in->format = f->format;
    return ret >= 0 && av_channel_layout_copy(&in->layout, &f->ch_layout) >= 0 &&
           swr_init(in->swr) >= 0;
}

static void convert_and_put(sound_in *in, int64_t offset_ns, sound *to) {
    AVFrame *f = in->frame, *o = in->out;
    if (f->sample_rate <= 0 || f->nb_samples <= 0 || !prepare(in)) {
        swr_free(&in->swr);
        return;
    }
    int64_t pts = f->best_effort_timestamp != AV_NOPTS_VALUE ? f->best_effort_timestamp : in->next;
    if (pts == AV_NOPTS_VALUE)
        return;
    in->next = pts + av_rescale_q(f->nb_samples, (AVRational){1, f->sample_rate}, in->time_base);
    int64_t ns = av_rescale_q(pts, in->time_base, (AVRational){1, (int)SECOND_NS}) + offset_ns;
    int64_t position = av_rescale(ns, SOUND_HZ, SECOND_NS);
    o->nb_samples = swr_get_out_samples(in->swr, f->nb_samples);
    o->format = AV_SAMPLE_FMT_FLTP;
    o->sample_rate = SOUND_HZ;
    av_channel_layout_default(&o->ch_layout, 2);
    if (o->nb_samples <= 0 || av_frame_get_buffer(o, 0) < 0)
        return;
    int n = swr_convert(in->swr, o->data, o->nb_samples,
                        (const uint8_t **)(uintptr_t)f->extended_data, f->nb_samples);
    float *data[2] = {(float *)(void *)o->data[0], (float *)(void *)o->data[1]};
    if (n > 0)
        put(to, data, n, position);
    av_frame_unref(o);
}

void sound_in_packet(sound_in *in, const AVPacket *packet, int64_t offset_ns, sound *to) {
    if (avcodec_send_packet(in->decoder, packet) < 0)
        return; /* damaged: silence there */
    while (avcodec_receive_frame(in->decoder, in->frame) >= 0) {
        convert_and_put(in, offset_ns, to);
        av_frame_unref(in->frame);
    }
}
