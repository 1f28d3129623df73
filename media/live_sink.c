/* One output of a live session: its own thread and queue of packets, a muxer, and another try with
 * growing waits when the other side is lost. Files become whole at the end (part.c). */
#include "live_priv.h"

#include "output.h"
#include "part.h"
#include "secret.h"

#include <libavutil/avstring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_PACKETS 256
#define OPERATION_NS  (10 * SECOND_NS) /* a write that takes longer is a lost connection */
#define GRACE_NS      (3 * SECOND_NS)  /* for ending, once the session was asked to stop */

struct live_sink {
    live *s;
    live_enc *enc;
    live_output o;
    const AVOutputFormat *container;
    bool is_address, has_thread;
    queue *packets;
    pthread_t thread;
    atomic_bool stop;
    atomic_bool skipping;      /* packets were dropped: nothing until the next key frame */
    atomic_llong operation_ns; /* when the call at work began, 0 = none */
    AVFormatContext *format;
    AVStream *streams[2];
    AVRational bases[2];
    part *part;
    bool header_written, waits_for_key, told_down;
    int64_t first_ticks; /* of this connection: output time zero */
    int64_t last_dts[2];
    int attempts;
    live_output_state st; /* under the session's lock */
};

static void free_packet(void *opaque) {
    AVPacket *p = opaque;
    av_packet_free(&p);
}

static bool is_address(const char *url) {
    return strstr(url, "://") != NULL && strncmp(url, "file:", 5) != 0;
}

static const char *muxer_for(const char *url) {
    static const char *const table[][2] = {
        {"rtmp", "flv"},       {"srt://", "mpegts"}, {"udp://", "mpegts"},
        {"tcp://", "mpegts"},  {"rtsp", "rtsp"},     {"rtp://", "rtp_mpegts"},
        {"rist://", "mpegts"}, {"unix:", "mpegts"},  {"/dev/video", "v4l2"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strncmp(url, table[i][0], strlen(table[i][0])) == 0)
            return table[i][1];
    }
    return NULL;
}

int live_sink_check(const live_output *o, const AVOutputFormat **container, media_error *err) {
    if (!o->url || o->url[0] == '\0')
        return media_fail(err, "an output has no address");
    const char *format = o->format ? o->format : muxer_for(o->url);
    *container = media_output_container(o->url, format, err);
    return *container ? 0 : -1;
}

int live_output_copy(live_output *to, const live_output *from) {
    bool failed = false;
    *to = *from;
    to->url = live_text_copy(from->url, &failed);
    to->format = live_text_copy(from->format, &failed);
    to->options = live_text_copy(from->options, &failed);
    to->audio_codec = live_text_copy(from->audio_codec, &failed);
    to->audio_bit_rate = live_text_copy(from->audio_bit_rate, &failed);
    const char **texts[] = {&to->encoder.codec, &to->encoder.preset,   &to->encoder.tune,
                            &to->encoder.crf,   &to->encoder.bit_rate, &to->encoder.pixel_format,
                            &to->encoder.extra};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        *texts[i] = live_text_copy(*texts[i], &failed);
    if (failed)
        live_output_free(to);
    return failed ? -1 : 0;
}

void live_output_free(live_output *o) {
    const char *texts[] = {o->url,
                           o->format,
                           o->options,
                           o->audio_codec,
                           o->audio_bit_rate,
                           o->encoder.codec,
                           o->encoder.preset,
                           o->encoder.tune,
                           o->encoder.crf,
                           o->encoder.bit_rate,
                           o->encoder.pixel_format,
                           o->encoder.extra};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free((void *)(uintptr_t)texts[i]);
    memset(o, 0, sizeof *o);
}

/* Ends a blocking call of FFmpeg. */
static int interrupted(void *opaque) {
    const live_sink *k = opaque;
    int64_t now = live_now(k->s), began = atomic_load(&k->operation_ns);
    int64_t stop_ns = atomic_load(&k->s->stop_ns);
    if (began != 0 && now - began > OPERATION_NS)
        return 1;
    return stop_ns != 0 && now - stop_ns > GRACE_NS && k->is_address;
}

static void begin_operation(live_sink *k) {
    atomic_store(&k->operation_ns, live_now(k->s));
}

static void disconnect(live_sink *k) {
    if (!k->format)
        return;
    if ((k->format->oformat->flags & AVFMT_NOFILE) == 0) {
        avio_closep(&k->format->pb);
    } else if (k->header_written) { /* such muxers close their connection nowhere else */
        begin_operation(k);
        av_write_trailer(k->format);
        atomic_store(&k->operation_ns, 0);
    }
    avformat_free_context(k->format);
    k->format = NULL;
    k->header_written = false;
}

static int add_streams(live_sink *k, media_error *err) {
    const AVCodecContext *from[2] = {live_enc_video_context(k->enc),
                                     k->o.no_audio ? NULL : live_enc_audio_context(k->enc)};
    for (int i = 0; i < 2; i++) {
        k->streams[i] = NULL;
        k->last_dts[i] = AV_NOPTS_VALUE;
        if (!from[i])
            continue;
        AVStream *st = k->streams[i] = avformat_new_stream(k->format, NULL);
        if (!st || avcodec_parameters_from_context(st->codecpar, from[i]) < 0)
            return media_fail(err, "out of memory");
        st->codecpar->codec_tag = 0;
        k->bases[i] = i == 0 ? (AVRational){1, TICKS} : (AVRational){1, SOUND_HZ};
        st->time_base = k->bases[i];
        if (i == 0) {
            st->avg_frame_rate = k->s->rate;
            st->sample_aspect_ratio = from[i]->sample_aspect_ratio;
        }
    }
    return 0;
}

static int set_url(live_sink *k, media_error *err) {
    const char *url = k->o.url;
    if (strcmp(url, "-") == 0) {
        k->format->url = av_strdup("pipe:1");
    } else if (k->is_address || strncmp(url, "/dev/", 5) == 0 ||
               strcmp(k->container->name, "hls") == 0) {
        k->format->url = av_strdup(url);
    } else {
        if (!k->part && part_create(&k->part, url, k->o.overwrite, err) != 0)
            return -1;
        k->format->url = av_asprintf("file:%s", part_path(k->part));
    }
    return k->format->url ? 0 : media_fail(err, "out of memory");
}

static void set_muxer_defaults(const live_sink *k, AVDictionary **dict) {
    const char *name = k->container->name;
    if (strcmp(name, "hls") == 0) {
        av_dict_set(dict, "hls_time", "2", 0);
        av_dict_set(dict, "hls_list_size", "6", 0);
        av_dict_set(dict, "hls_flags", "delete_segments+independent_segments+temp_file", 0);
    }
    if (strcmp(name, "mp4") == 0 || strcmp(name, "mov") == 0)
        av_dict_set(dict, "movflags", "+frag_keyframe+empty_moov+default_base_moof", 0);
    if (strcmp(name, "flv") == 0)
        av_dict_set(dict, "flvflags", "no_duration_filesize", 0);
    if (strcmp(name, "rtsp") == 0)
        av_dict_set(dict, "rtsp_transport", "tcp", 0);
    if (strncmp(k->o.url, "udp:", 4) == 0)
        av_dict_set(dict, "pkt_size", "1316", 0);
    if (strncmp(k->o.url, "rtmps:", 6) == 0 || strncmp(k->o.url, "https:", 6) == 0)
        av_dict_set(dict, "tls_verify", "1", 0); /* FFmpeg would talk to anybody */
}

static int open_muxer(live_sink *k, media_error *err) {
    AVDictionary *dict = NULL;
    int ret = avformat_alloc_output_context2(&k->format, k->container, NULL, NULL);
    if (ret < 0)
        return media_fail(err, "out of memory");
    k->format->interrupt_callback = (AVIOInterruptCB){interrupted, k};
    k->format->flags |= AVFMT_FLAG_FLUSH_PACKETS;
    k->format->strict_std_compliance = FF_COMPLIANCE_EXPERIMENTAL;
    if (set_url(k, err) != 0 || add_streams(k, err) != 0)
        return -1;
    set_muxer_defaults(k, &dict);
    if (k->o.options && av_dict_parse_string(&dict, k->o.options, "=", ":", 0) < 0) {
        av_dict_free(&dict);
        return media_fail(err, "output options must look like name=value:name=value, not '%s'",
                          k->o.options);
    }
    begin_operation(k);
    if ((k->container->flags & AVFMT_NOFILE) == 0)
        ret = avio_open2(&k->format->pb, k->format->url, AVIO_FLAG_WRITE,
                         &k->format->interrupt_callback, &dict);
    if (ret >= 0)
        ret = avformat_write_header(k->format, &dict);
    atomic_store(&k->operation_ns, 0);
    av_dict_free(&dict);
    if (ret < 0)
        return media_fail_av(err, ret, "cannot write '%s'", k->o.url);
    k->header_written = true;
    return 0;
}

static void note_down(live_sink *k, const char *why, bool failed) {
    live *s = k->s;
    pthread_mutex_lock(&s->lock);
    bool was_up = k->st.up;
    k->st.up = false;
    k->st.failed = failed;
    secret_mask(k->st.problem, sizeof k->st.problem, why);
    k->st.reconnects += !failed;
    pthread_mutex_unlock(&s->lock);
    live_note_problem(s, why);
    if (was_up || failed || !k->told_down)
        live_event_send(s, LIVE_EVENT_OUTPUT_DOWN, k->st.id, why, NULL);
    k->told_down = true;
}

static void note_up(live_sink *k) {
    live *s = k->s;
    pthread_mutex_lock(&s->lock);
    k->st.up = true;
    snprintf(k->st.encoder, sizeof k->st.encoder, "%s",
             live_enc_video_context(k->enc)->codec->name);
    pthread_mutex_unlock(&s->lock);
    k->told_down = false;
    live_event_send(s, LIVE_EVENT_OUTPUT_UP, k->st.id, k->st.url, NULL);
}

static int connect_output(live_sink *k, media_error *err) {
    disconnect(k);
    if (open_muxer(k, err) != 0) {
        disconnect(k);
        return -1;
    }
    k->waits_for_key = true;
    k->first_ticks = AV_NOPTS_VALUE;
    live_enc_request_key(k->enc);
    note_up(k);
    return 0;
}

/* Time starts at zero with the first key frame of each connection. */
static bool place(live_sink *k, AVPacket *p, int index) {
    if (index == 0 && k->waits_for_key) {
        if ((p->flags & AV_PKT_FLAG_KEY) == 0)
            return false;
        k->waits_for_key = false;
        k->first_ticks = p->dts;
    }
    if (k->first_ticks == AV_NOPTS_VALUE || !k->streams[index])
        return false;
    int64_t zero = av_rescale_q(k->first_ticks, (AVRational){1, TICKS}, k->bases[index]);
    p->pts -= zero;
    p->dts -= zero;
    if (index == 1 && p->pts < 0)
        return false; /* sound from before the first frame */
    av_packet_rescale_ts(p, k->bases[index], k->streams[index]->time_base);
    if (k->last_dts[index] != AV_NOPTS_VALUE && p->dts <= k->last_dts[index]) {
        p->dts = k->last_dts[index] + 1; /* coarse clocks round two times to one */
        if (p->pts < p->dts)
            p->pts = p->dts;
    }
    k->last_dts[index] = p->dts;
    p->stream_index = k->streams[index]->index;
    return true;
}

static int write_packet(live_sink *k, AVPacket *p, media_error *err) {
    int index = p->stream_index, size = p->size;
    if (!place(k, p, index))
        return 0;
    begin_operation(k);
    int ret = av_write_frame(k->format, p);
    atomic_store(&k->operation_ns, 0);
    if (ret < 0)
        return media_fail_av(err, ret, "cannot write '%s'", k->o.url);
    pthread_mutex_lock(&k->s->lock);
    k->st.frames += index == 0;
    k->st.bytes += size;
    pthread_mutex_unlock(&k->s->lock);
    if (index == 0)
        k->attempts = 0;
    return 0;
}

/* Packets meanwhile are of no use to anybody. Returns false when the end came. */
static bool wait_and_discard(live_sink *k) {
    live *s = k->s;
    int64_t wait = s->o.retry_min_ns << (k->attempts > 10 ? 10 : k->attempts);
    int64_t until = live_now(s) + (wait < s->o.retry_max_ns ? wait : s->o.retry_max_ns);
    k->attempts++;
    while (live_now(s) < until && !atomic_load(&k->stop)) {
        void *packet;
        int ret = queue_get_within(k->packets, &packet, 50 * MS_NS);
        if (ret < 0)
            return false;
        if (ret == 1)
            free_packet(packet);
    }
    return !atomic_load(&k->stop);
}

/* Writes until the end (0) or until something fails (-1). */
static int write_all(live_sink *k, media_error *err) {
    void *item;
    while (queue_get(k->packets, &item)) {
        AVPacket *p = item;
        int ret = write_packet(k, p, err);
        av_packet_free(&p);
        if (ret != 0)
            return -1;
    }
    return 0;
}

static int finish(live_sink *k, media_error *err) {
    int ret = 0;
    if (!k->header_written)
        return 0;
    begin_operation(k);
    int code = av_write_trailer(k->format);
    k->header_written = false;
    if (code >= 0 && (k->container->flags & AVFMT_NOFILE) == 0)
        code = avio_closep(&k->format->pb);
    atomic_store(&k->operation_ns, 0);
    if (code < 0 && !k->is_address)
        ret = media_fail_av(err, code, "cannot write '%s'", k->o.url);
    if (ret == 0 && k->part)
        ret = part_commit(k->part, err);
    return ret;
}

static void give_up(live_sink *k, const media_error *err) {
    note_down(k, err->text, true);
    pthread_mutex_lock(&k->s->lock);
    if (k->s->problem.text[0] == '\0')
        k->s->problem = *err;
    pthread_mutex_unlock(&k->s->lock);
}

static bool others_live(const live_sink *k) {
    live *s = k->s;
    bool any = false;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < LIVE_OUTPUTS_MAX; i++)
        any = any || (s->sinks[i] && !s->sinks[i]->st.failed);
    pthread_mutex_unlock(&s->lock);
    return any;
}

static void *sink_main(void *opaque) {
    live_sink *k = opaque;
    media_error err = {0};
    bool failed = !live_enc_wait(k->enc, &k->stop, &err);
    bool more = !failed;
    while (more) {
        err.text[0] = '\0';
        media_log_forget();
        if (connect_output(k, &err) == 0 && write_all(k, &err) == 0)
            break;
        if (!k->is_address) {
            failed = true;
            break;
        }
        note_down(k, err.text, false);
        more = wait_and_discard(k);
    }
    if (!failed && finish(k, &err) != 0)
        failed = true;
    if (failed && err.text[0] != '\0' && !atomic_load(&k->stop)) {
        give_up(k, &err);
        if (!others_live(k))
            live_fail(k->s, &err);
    }
    disconnect(k);
    part_destroy(k->part);
    k->part = NULL;
    pthread_mutex_lock(&k->s->lock);
    k->st.up = false;
    pthread_mutex_unlock(&k->s->lock);
    void *item; /* the encoder must not wait for an output that is no more */
    while (queue_get(k->packets, &item))
        free_packet(item);
    return NULL;
}

void live_sink_packet(live_sink *k, const AVPacket *packet, int index) {
    if (index == 0 && (packet->flags & AV_PKT_FLAG_KEY) != 0)
        atomic_store(&k->skipping, false);
    AVPacket *p = atomic_load(&k->skipping) ? NULL : av_packet_clone(packet);
    if (p) {
        p->stream_index = index;
        bool ok =
            atomic_load(&k->s->paced) ? queue_try_put(k->packets, p) : queue_put(k->packets, p);
        if (ok)
            return;
        av_packet_free(&p);
        atomic_store(&k->skipping, true);
        live_enc_request_key(k->enc);
    }
    pthread_mutex_lock(&k->s->lock);
    k->st.dropped += index == 0;
    pthread_mutex_unlock(&k->s->lock);
}

int live_sink_create(live_sink **out, live *s, live_enc *enc, const live_output *o, int id,
                     media_error *err) {
    *out = NULL;
    live_sink *k = calloc(1, sizeof *k);
    if (!k || live_output_copy(&k->o, o) != 0) {
        free(k);
        return media_fail(err, "out of memory");
    }
    k->s = s;
    k->enc = enc;
    k->st.id = id;
    k->is_address = is_address(o->url);
    secret_mask(k->st.url, sizeof k->st.url, o->url);
    k->packets = queue_create(QUEUE_PACKETS, free_packet, &s->abort);
    if (live_sink_check(o, &k->container, err) != 0 || !k->packets)
        goto fail;
    k->has_thread = pthread_create(&k->thread, NULL, sink_main, k) == 0;
    if (!k->has_thread)
        goto fail;
    *out = k;
    return 0;
fail:
    live_sink_destroy(k);
    return media_fail(err, "a thread could not be started");
}

void live_sink_end(live_sink *k) {
    queue_end(k->packets);
}

void live_sink_join(live_sink *k) {
    if (!k)
        return;
    if (k->packets)
        queue_end(k->packets);
    if (k->has_thread)
        pthread_join(k->thread, NULL);
    k->has_thread = false;
}

void live_sink_destroy(live_sink *k) {
    if (!k)
        return;
    live_sink_join(k);
    queue_destroy(k->packets);
    live_output_free(&k->o);
    free(k);
}

int live_sink_id(const live_sink *k) {
    return k->st.id;
}

live_enc *live_sink_enc(const live_sink *k) {
    return k->enc;
}

void live_sink_state(live_sink *k, live_output_state *out) {
    *out = k->st;
}
