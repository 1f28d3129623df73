/* The reader: opens the source, again and again when it is lost, decodes it and gives its frames
 * the session's time. Never shows anything: frames go to the analysis or are freed. */
#include "live_priv.h"

#include "orient.h"
#include "secret.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LATE_NS   (150 * MS_NS)  /* behind its best so far by this: dropped when there is no room */
#define RESYNC_NS (300 * MS_NS)  /* steadily behind by this: the source's clock was stopped */
#define WINDOW_NS (1500 * MS_NS) /* steadily means all through this */
#define WAY_NS    (150 * MS_NS)  /* what decoding and analysis take at most, mostly */
#define BURST_NS  (5 * SECOND_NS) /* demuxers that looked ahead give all that at once */
#define JUMP_NS   (5 * SECOND_NS)
#define BACK_NS   SECOND_NS

typedef struct {
    live *s;
    live_src *src;
    unsigned generation;
    media_input *in;
    fit *fit;
    orient *orient;
    sound_in *sound;
    int sound_index;
    int width, height; /* of its last frame, 0 = none yet */
    bool mapped, got_frame, paced_by_us;
    int64_t offset_ns;                                 /* stream's time to session's */
    int64_t due_ns, due_in_ns, last_due_ns, mapped_ns; /* when, paced by us, which time is due */
    int64_t last_in_ns, last_ns;                 /* last frame; last_ns over all connections */
    int64_t best_late_ns, window_ns, window_min; /* how far frames are behind the clock */
    int64_t n_frames, n_lost;
    int attempts;
    bool down_told, timed_out, prepared;
} reader;

static bool is_device(const char *url) {
    return strncmp(url, "/dev/", 5) == 0;
}

static bool is_whole(const char *url) {
    struct stat st;
    return !strstr(url, "://") && !is_device(url) && strcmp(url, "-") != 0 &&
           !(stat(url, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)));
}

bool live_is_live(const char *url) {
    static const char *const schemes[] = {"rtmp",   "rtsp",  "srt://",  "udp://",    "rtp://",
                                          "tcp://", "rist:", "unix://", "/dev/video"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strncmp(url, schemes[i], strlen(schemes[i])) == 0)
            return true;
    }
    size_t n = strcspn(url, "?");
    return n > 5 && strncmp(url + n - 5, ".m3u8", 5) == 0;
}

/* tcp's and rtmp's listen=1, srt's mode=listener */
static bool says_listen(const char *text) {
    return text && (strstr(text, "listen=1") || strstr(text, "mode=listener"));
}

live_src *live_src_create(const live_source *source, media_error *err) {
    bool failed = false;
    live_src *src = calloc(1, sizeof *src);
    if (!src) {
        media_fail(err, "out of memory");
        return NULL;
    }
    src->s = *source;
    src->s.url = live_text_copy(source->url, &failed);
    src->s.format = live_text_copy(source->format, &failed);
    src->s.options = live_text_copy(source->options, &failed);
    if (failed) {
        src->s.close = NULL; /* still the caller's */
        live_src_destroy(src);
        media_fail(err, "out of memory");
        return NULL;
    }
    if (source->url)
        secret_mask(src->shown, sizeof src->shown, source->url);
    else
        snprintf(src->shown, sizeof src->shown, "%s", source->read ? "what is sent" : "none");
    src->listens = source->listen || says_listen(source->url) || says_listen(source->options);
    src->is_file = source->url && !source->read && is_whole(source->url);
    src->paced = !src->is_file || source->realtime;
    return src;
}

void live_src_destroy(live_src *src) {
    if (!src)
        return;
    if (src->s.close)
        src->s.close(src->s.user);
    free((void *)(uintptr_t)src->s.url);
    free((void *)(uintptr_t)src->s.format);
    free((void *)(uintptr_t)src->s.options);
    free(src);
}

static bool replaced(const reader *r) {
    return atomic_load(&r->s->generation) != r->generation;
}

static bool cancelled(void *opaque) {
    const reader *r = opaque;
    return live_stopping(r->s) || replaced(r);
}

/* Ends a wait for data. */
static bool ended(void *opaque) {
    reader *r = opaque;
    bool waits_for_sender = r->src->listens && !r->in;
    r->timed_out = r->timed_out ||
                   (!waits_for_sender &&
                    live_now(r->s) - atomic_load(&r->s->progress_ns) > r->s->o.input_timeout_ns);
    return r->timed_out || cancelled(opaque);
}

static int read_caller(void *opaque, uint8_t *data, int size) {
    reader *r = opaque;
    int n = r->src->s.read(r->src->s.user, data, size, cancelled, r);
    atomic_store(&r->s->progress_ns, live_now(r->s));
    return n;
}

/* Standard input, without a read that cannot be ended. */
static int read_stdin(void *opaque, uint8_t *data, int size) {
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    while (!cancelled(opaque)) {
        int ready = poll(&p, 1, 100);
        if (ready > 0) {
            ssize_t n = read(STDIN_FILENO, data, (size_t)size);
            if (n >= 0 || (errno != EINTR && errno != EAGAIN))
                return (int)n;
        }
    }
    return -1;
}

static const char *hardware(live_hw hw) {
    static const char *const found[] = {"vaapi", "cuda"};
    if (hw == LIVE_HW_VAAPI)
        return "vaapi";
    if (hw == LIVE_HW_NVDEC)
        return "cuda";
    if (hw == LIVE_HW_V4L2M2M)
        return "v4l2m2m";
    if (hw == LIVE_HW_NONE)
        return NULL;
    if (access("/dev/dri/renderD128", R_OK | W_OK) == 0)
        return found[0];
    return access("/dev/nvidia0", R_OK | W_OK) == 0 ? found[1] : NULL;
}

static void describe(reader *r) {
    live *s = r->s;
    const AVCodecParameters *par = media_input_video(r->in)->codecpar;
    AVRational rate = media_input_rate(r->in);
    char text[LIVE_TEXT_MAX], decoder[64];
    media_input_decoder(r->in, decoder, sizeof decoder);
    double fps = rate.num > 0 ? av_q2d(rate) : 0;
    pthread_mutex_lock(&s->lock);
    s->st.input_up = true;
    s->st.input_width = par->width;
    s->st.input_height = par->height;
    s->st.input_fps = fps;
    snprintf(s->st.input_codec, sizeof s->st.input_codec, "%s", avcodec_get_name(par->codec_id));
    snprintf(s->st.decoder, sizeof s->st.decoder, "%s", decoder);
    pthread_mutex_unlock(&s->lock);
    snprintf(text, sizeof text, "%.120s: %dx%d %.4g fps, decoder %s%s", r->src->shown, par->width,
             par->height, fps, decoder, r->sound ? ", sound" : "");
    live_event_send(s, LIVE_EVENT_INPUT_UP, 0, text, NULL);
}

/* A sender may change its size in the middle of the stream. */
static void watch_size(reader *r, const AVFrame *frame) {
    live *s = r->s;
    char text[LIVE_TEXT_MAX];
    bool first = r->width == 0;
    if (frame->width == r->width && frame->height == r->height)
        return;
    r->width = frame->width;
    r->height = frame->height;
    if (first)
        return;
    pthread_mutex_lock(&s->lock);
    s->st.input_width = r->width;
    s->st.input_height = r->height;
    pthread_mutex_unlock(&s->lock);
    snprintf(text, sizeof text, "%.120s: now %dx%d", r->src->shown, r->width, r->height);
    live_event_send(s, LIVE_EVENT_INPUT_UP, 0, text, NULL);
}

static int open_sound(reader *r, media_error *err) {
    AVFormatContext *f = media_input_context(r->in);
    int best = av_find_best_stream(f, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0);
    r->sound_index = -1;
    if (r->s->o.audio < 0 || best < 0)
        return 0;
    r->sound_index = best;
    return sound_in_open(&r->sound, f->streams[best], err);
}

static int open_source(reader *r, media_error *err) {
    live *s = r->s;
    const live_source *src = &r->src->s;
    char listen[512];
    const char *options = src->options;
    if (src->listen) {
        snprintf(listen, sizeof listen, "listen=1%s%s", options ? ":" : "", options ? options : "");
        options = listen;
    }
    bool is_stdin = src->url && strcmp(src->url, "-") == 0;
    media_input_options o = {.path = src->url,
                             .format = src->format,
                             .threads = s->o.threads,
                             .live = !r->src->is_file,
                             .options = options,
                             .ended = ended,
                             .read = src->read  ? read_caller
                                     : is_stdin ? read_stdin
                                                : NULL,
                             .user = r,
                             .hardware = hardware(s->o.hw)};
    atomic_store(&s->progress_ns, live_now(s));
    r->timed_out = false;
    if (media_input_open(&r->in, &o, err) != 0)
        return -1;
    media_error sound_err = {0};
    if (open_sound(r, &sound_err) != 0)
        live_event_send(s, LIVE_EVENT_NOTE, 0, sound_err.text, NULL);
    if (orient_needed(media_input_matrix(r->in)) &&
        orient_create(&r->orient, media_input_matrix(r->in), err) != 0)
        return -1;
    r->paced_by_us =
        r->src->paced &&
        (r->src->is_file || strcmp(media_input_context(r->in)->iformat->name, "hls") == 0);
    r->mapped = r->got_frame = false;
    r->width = r->height = 0;
    describe(r);
    return 0;
}

static void close_source(reader *r) {
    media_input_close(r->in);
    sound_in_close(r->sound);
    orient_destroy(r->orient);
    r->in = NULL;
    r->sound = NULL;
    r->orient = NULL;
    atomic_store(&r->s->input_up, false);
    pthread_mutex_lock(&r->s->lock);
    r->s->st.input_up = false;
    pthread_mutex_unlock(&r->s->lock);
}

/* This time of the stream is now, or after what will have been sent when it comes out. */
static void map(reader *r, int64_t in_ns) {
    live *s = r->s;
    int64_t at = r->src->paced ? live_now(s) : 0;
    int64_t step_ns = s->step > 0 ? av_rescale(s->step, SECOND_NS, TICKS) : 33 * MS_NS;
    int64_t sent = atomic_load(&s->last_ticks);
    bool covers = r->src->paced && atomic_load(&s->covering); /* and goes on until we come out */
    int64_t way_ns = covers ? s->o.veil.lookahead_ns + WAY_NS : 0;
    int64_t sent_ns = sent >= 0 ? av_rescale(sent, SECOND_NS, TICKS) + step_ns + way_ns : 0;
    if (at < sent_ns)
        at = sent_ns;
    if (r->last_ns > 0 && at < r->last_ns + step_ns)
        at = r->last_ns + step_ns;
    r->offset_ns = at - in_ns;
    int64_t now = live_now(s);
    r->due_ns = now > r->last_due_ns + step_ns ? now : r->last_due_ns + step_ns;
    r->due_in_ns = in_ns;
    r->mapped_ns = now;
    r->mapped = true;
    r->best_late_ns = INT64_MAX;
    r->window_ns = live_now(s);
    r->window_min = INT64_MAX;
}

/* A source that stood still and goes on as if nothing had been is late for ever; it is given a new
 * place in time instead, sound and all. */
static void watch_lateness(reader *r, int64_t late_ns, int64_t now) {
    if (late_ns < r->best_late_ns)
        r->best_late_ns = late_ns;
    if (late_ns < r->window_min)
        r->window_min = late_ns;
    if (now - r->window_ns < WINDOW_NS)
        return;
    if (r->window_min - r->best_late_ns > RESYNC_NS)
        r->offset_ns += r->window_min - r->best_late_ns;
    r->window_ns = now;
    r->window_min = INT64_MAX;
}

static void count_dropped(live *s) {
    pthread_mutex_lock(&s->lock);
    s->st.frames_dropped++;
    pthread_mutex_unlock(&s->lock);
}

/* Waits for room, unless the frame gets late by that: then it is dropped, unseen. */
static void put_frame(reader *r, AVFrame *frame, int64_t pts_ns) {
    live *s = r->s;
    if (!r->src->paced) {
        if (!queue_put(s->raw, frame))
            av_frame_free(&frame);
        return;
    }
    while (!queue_try_put(s->raw, frame)) {
        if (cancelled(r) || live_now(s) - pts_ns > r->best_late_ns + LATE_NS) {
            count_dropped(s);
            av_frame_free(&frame);
            return;
        }
        live_doze(s, 4 * MS_NS, r->generation);
    }
}

/* Plays what comes faster than it should (files, segments) at its own speed. */
static void wait_until_due(reader *r, int64_t in_ns) {
    int64_t now, due = r->due_ns + in_ns - r->due_in_ns;
    while (!cancelled(r) && (now = live_now(r->s)) < due) {
        atomic_store(&r->s->progress_ns, now);
        live_doze(r->s, due - now, r->generation);
    }
    r->last_due_ns = due;
}

static int check_format(reader *r, const AVFrame *frame, media_error *err) {
    if (frame->width < VEIL_SIZE_MIN || frame->height < VEIL_SIZE_MIN ||
        frame->width > VEIL_SIZE_MAX || frame->height > VEIL_SIZE_MAX)
        return media_fail(err, "the picture is %dx%d px; veil takes %d to %d px each way",
                          frame->width, frame->height, VEIL_SIZE_MIN, VEIL_SIZE_MAX);
    if (!atomic_load(&r->s->known))
        live_fix_format(r->s, frame->width, frame->height, media_input_rate(r->in),
                        r->sound != NULL);
    if (!r->fit)
        return fit_create(&r->fit, r->s->width, r->s->height, err);
    return 0;
}

static bool thinned(reader *r) {
    return atomic_load(&r->s->overload) >= 3 && (r->n_frames & 1) != 0;
}

/* Opening one takes longer than a frame, so it begins while the first is held. */
static void prepare_encoders(live *s, const AVFrame *frame) {
    pthread_mutex_lock(&s->feed);
    for (size_t i = 0; i < LIVE_OUTPUTS_MAX; i++) {
        if (s->encs[i])
            live_enc_prepare(s->encs[i], frame);
    }
    pthread_mutex_unlock(&s->feed);
}

static int take_frame(reader *r, AVFrame *frame, media_error *err) {
    live *s = r->s;
    int64_t now = live_now(s);
    int64_t in_ns = av_rescale_q(frame->pts, media_input_video(r->in)->time_base,
                                 (AVRational){1, (int)SECOND_NS});
    atomic_store(&s->last_frame_ns, now);
    r->n_frames++;
    pthread_mutex_lock(&s->lock);
    s->st.frames_in++;
    s->st.lost_packets += media_input_lost(r->in) - r->n_lost;
    pthread_mutex_unlock(&s->lock);
    r->n_lost = media_input_lost(r->in);
    if (!r->mapped || atomic_exchange(&s->remap, false) ||
        (r->got_frame && (in_ns < r->last_in_ns - BACK_NS || in_ns > r->last_in_ns + JUMP_NS)))
        map(r, in_ns);
    if (!r->got_frame) {
        r->got_frame = true;
        r->attempts = 0;
        r->down_told = false;
        atomic_store(&s->input_up, true);
    }
    r->last_in_ns = in_ns;
    int64_t pts_ns = in_ns + r->offset_ns;
    if (r->paced_by_us)
        wait_until_due(r, in_ns);
    now = live_now(s);
    /* What comes in a burst at the beginning is early, and no sign of a slow machine. */
    int64_t due = now - r->mapped_ns < BURST_NS ? r->due_ns + in_ns - r->due_in_ns : now;
    if (due < now)
        due = now;
    if (r->src->paced)
        watch_lateness(r, now - pts_ns, now);
    if (pts_ns > r->last_ns)
        r->last_ns = pts_ns;
    if (thinned(r)) {
        count_dropped(s);
        return 0;
    }
    watch_size(r, frame);
    if (r->orient && orient_frame(r->orient, frame, err) != 0)
        return -1;
    if (check_format(r, frame, err) != 0 || fit_frame(r->fit, frame, err) != 0)
        return -1;
    if (!r->prepared)
        prepare_encoders(s, frame);
    r->prepared = true;
    frame->pts = av_rescale(pts_ns, TICKS, SECOND_NS);
    frame->pkt_duration = s->step;
    frame->pkt_pos = due;
    live_stamp_begin(frame, media_input_decode_ns(r->in), now);
    live_stamp(frame->opaque_ref, LIVE_STAGE_PREPARE, live_now(s));
    AVFrame *own = av_frame_alloc();
    if (!own)
        return media_fail(err, "out of memory");
    av_frame_move_ref(own, frame);
    put_frame(r, own, pts_ns);
    return 0;
}

static void take_packet(reader *r, AVPacket *packet) {
    if (r->sound && packet->stream_index == r->sound_index) {
        const AVStream *st = media_input_context(r->in)->streams[r->sound_index];
        if (!r->mapped && packet->pts != AV_NOPTS_VALUE)
            map(r, av_rescale_q(packet->pts, st->time_base, (AVRational){1, (int)SECOND_NS}));
        if (r->mapped)
            sound_in_packet(r->sound, packet, r->offset_ns, r->s->sound);
    }
    av_packet_unref(packet);
}

/* Until the end, an error, or another source. Returns 0 at the end. */
static int read_all(reader *r, media_error *err) {
    AVFrame *frame = av_frame_alloc();
    AVPacket *packet = av_packet_alloc();
    int kind = -1;
    if (!frame || !packet)
        media_fail(err, "out of memory");
    while (frame && packet && !cancelled(r)) {
        kind = media_input_read(r->in, frame, packet, err);
        atomic_store(&r->s->progress_ns, live_now(r->s));
        if (kind == MEDIA_ITEM_FRAME && take_frame(r, frame, err) != 0)
            kind = -1;
        if (kind == MEDIA_ITEM_PACKET)
            take_packet(r, packet);
        av_frame_unref(frame);
        if (kind == MEDIA_ITEM_END || kind < 0)
            break;
    }
    av_frame_free(&frame);
    av_packet_free(&packet);
    return kind == MEDIA_ITEM_END ? 0 : -1;
}

/* What is held for the look-ahead shall come out now. */
static void put_flush(live *s) {
    AVFrame *mark = av_frame_alloc();
    if (mark && !queue_put(s->raw, mark))
        av_frame_free(&mark);
}

static void tell_down(reader *r, const char *why) {
    live *s = r->s;
    char text[LIVE_TEXT_MAX];
    secret_mask(text, sizeof text, why);
    live_note_problem(s, text);
    if (!r->down_told)
        live_event_send(s, LIVE_EVENT_INPUT_DOWN, 0, text, NULL);
    r->down_told = true;
}

static void back_off(reader *r) {
    live *s = r->s;
    int shift = r->attempts > 10 ? 10 : r->attempts;
    int64_t wait = s->o.retry_min_ns << shift;
    if (wait > s->o.retry_max_ns)
        wait = s->o.retry_max_ns;
    r->attempts++;
    live_doze(s, wait, r->generation);
}

/* Files and pipes end; everything else only seems to. */
static bool is_finite(const reader *r) {
    const live_source *src = &r->src->s;
    if (r->src->is_file || src->read || strcmp(src->url, "-") == 0)
        return true;
    AVFormatContext *f = r->in ? media_input_context(r->in) : NULL;
    return f && strncmp(src->url, "http", 4) == 0 && f->duration > 0;
}

/* One connection. Returns false when the source will give no more. */
static bool connect_once(reader *r) {
    live *s = r->s;
    media_error err = {0};
    bool opened = open_source(r, &err) == 0;
    int ret = opened ? read_all(r, &err) : -1;
    bool finite = is_finite(r), gave = r->got_frame && opened;
    r->n_lost = 0;
    close_source(r);
    if (opened)
        put_flush(s);
    if (live_stopping(s) || replaced(r))
        return true;
    if (finite && ret == 0 && gave && r->src->s.loop)
        return true;
    if (finite) {
        if (ret != 0 || !gave) {
            if (!err.text[0])
                media_fail(&err, "'%s': no frame can be decoded", r->src->shown);
            tell_down(r, err.text);
            if (!s->o.stay && !gave)
                live_fail(s, &err);
        }
        return false;
    }
    if (ret == 0)
        media_fail(&err, "'%s': the sender has ended", r->src->shown);
    else if (r->timed_out)
        snprintf(err.text, sizeof err.text, "'%.200s': nothing came for %.1f s", r->src->shown,
                 (double)s->o.input_timeout_ns / (double)SECOND_NS);
    tell_down(r, err.text);
    if (s->o.max_attempts > 0 && r->attempts + 1 >= s->o.max_attempts) {
        live_fail(s, &err);
        return false;
    }
    pthread_mutex_lock(&s->lock);
    s->st.reconnects++;
    pthread_mutex_unlock(&s->lock);
    back_off(r);
    return true;
}

/* Takes over what live_set_source left. */
static void take_next(reader *r) {
    live *s = r->s;
    pthread_mutex_lock(&s->lock);
    r->generation = atomic_load(&s->generation);
    live_src *old = NULL;
    if (s->next) {
        old = s->src;
        s->src = s->next;
        s->next = NULL;
        r->attempts = 0;
        r->down_told = false;
    }
    r->src = s->src;
    snprintf(s->st.input, sizeof s->st.input, "%s", r->src->shown);
    pthread_mutex_unlock(&s->lock);
    atomic_store(&s->paced, r->src->paced);
    live_src_destroy(old);
}

void *live_reader_main(void *opaque) {
    live *s = opaque;
    reader r = {.s = s};
    atomic_store(&s->last_frame_ns, 0);
    while (!live_stopping(s)) {
        take_next(&r);
        bool has_source = r.src->s.url || r.src->s.read;
        bool more = has_source && connect_once(&r);
        if (more)
            continue;
        if (has_source && !s->o.stay && !replaced(&r))
            break;
        while (!live_stopping(s) && !replaced(&r)) /* covered until another source comes */
            live_doze(s, SECOND_NS, r.generation);
    }
    fit_destroy(r.fit);
    pthread_mutex_lock(&s->lock);
    atomic_store(&s->reader_done, true);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    queue_end(s->raw);
    return NULL;
}
