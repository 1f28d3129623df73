/* What the parts of a live session share. Threads: reader (live_source.c), analysis (live_work.c),
 * clock (live_clock.c, the session's main thread), one for each encoder and each output.
 *
 *   reader -> raw queue -> analysis -> shown queue -> clock -> encoders -> outputs
 *
 * Time: "now" is nanoseconds since the start of the session; video counts TICKS a second and sound
 * samples at SOUND_HZ, all from the same zero. */
#ifndef MEDIA_LIVE_PRIV_H
#define MEDIA_LIVE_PRIV_H

#include "input.h"
#include "live.h"
#include "queue.h"
#include "stage.h"

#include <pthread.h>
#include <stdatomic.h>

#define TICKS        90000
#define SOUND_HZ     48000
#define SECOND_NS    1000000000LL
#define MS_NS        1000000LL
#define RAW_FRAMES   6
#define LATENCY_BINS 2048 /* of half a millisecond */

typedef struct sound sound;
typedef struct live_enc live_enc;
typedef struct live_sink live_sink;

typedef struct {
    uint32_t n[LATENCY_BINS];
    int64_t count;
} live_bins;

/* A source with texts of its own. */
typedef struct {
    live_source s;
    char shown[LIVE_TEXT_MAX]; /* for people */
    bool is_file, paced;       /* paced: runs at a speed of its own */
    bool listens;              /* waits for a sender, for as long as it takes */
} live_src;

struct live {
    live_options o; /* texts are copies */
    veil *veil;
    int (*fault)(void *user, const char *name); /* the caller's, for tests */
    void *fault_user;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* frame for previews, output size known, encoder open, end */
    pthread_mutex_t events; /* one event at a time */
    pthread_mutex_t config; /* adding and removing outputs, and the end */
    pthread_mutex_t apply;  /* settings are given to libveil; before all others */
    pthread_mutex_t feed;   /* list of encoders; order: config, feed, an encoder's hand, lock */
    atomic_int stop;        /* asked to end */
    atomic_int abort;       /* for queues: never mind the rest */
    atomic_llong stop_ns;
    int64_t start_ns; /* of the machine's clock */
    pthread_t main_thread;
    bool started, ended;
    int result;
    media_error problem; /* why it failed */

    /* Settings as the user wants them, under lock. */
    veil_settings settings;
    veil_zone zones[64];
    bool settings_changed;

    /* Outputs' size, rate, sound; fixed once known. Under lock to set. */
    atomic_bool known;
    int width, height;
    AVRational rate;
    int64_t step; /* ticks of a frame */
    bool audio;

    /* Source */
    live_src *src, *next; /* next: under lock */
    atomic_uint generation;
    atomic_llong progress_ns;   /* when the reader last got anything; now-time */
    atomic_llong last_frame_ns; /* when the last frame was decoded */
    atomic_bool input_up, paced, reader_done;
    atomic_bool remap; /* frames come out late for good: give them another place in time */
    pthread_t reader;

    /* Analysis */
    queue *raw, *shown;
    pthread_t worker;
    atomic_llong busy_ns; /* since when a frame is in work, 0 = none */
    atomic_int overload;
    atomic_bool broken;

    sound *sound;

    /* Clock */
    atomic_bool covering;    /* covers are being sent */
    atomic_llong last_ticks; /* newest time stamp sent, -1 = none */
    AVFrame *newest;         /* for previews, under lock */
    veil_track *tracks;
    size_t n_tracks;
    veil_result newest_result;
    uint64_t serial;

    live_enc *encs[LIVE_OUTPUTS_MAX];   /* changed under config and feed */
    live_sink *sinks[LIVE_OUTPUTS_MAX]; /* changed under config and lock */
    int last_id;

    live_state st;         /* counters, under lock; with it: */
    float latency_ms[512]; /* ring */
    int64_t n_latency;
    live_bins bins[LIVE_STAGES + 1];             /* the last is the whole way */
    int64_t mark_ns[4], mark_in[4], mark_out[4]; /* for rates over the last two seconds */
    int64_t cpu_mark_us, cpu_mark_ns;
};

/* live.c */
int64_t live_now(const live *s);
void live_event_send(live *s, live_event_kind kind, int output, const char *text,
                     const veil_event *decision);
/* Remembers the last problem, masked, for the state. */
void live_note_problem(live *s, const char *text);
/* The session cannot go on. */
void live_fail(live *s, const media_error *err);
bool live_stopping(const live *s);
/* Sleeps, at most so long, until the session stops or the source is replaced. */
void live_doze(const live *s, int64_t time_ns, unsigned generation);
char *live_text_copy(const char *text, bool *failed);
/* Size, rate and sound of the outputs, when they are not known yet. */
void live_fix_format(live *s, int width, int height, AVRational rate, bool audio);

/* live_latency.c. A frame's times travel as its opaque_ref; written by one thread at a time. */
void live_stamp_begin(AVFrame *frame, int64_t decode_ns, int64_t now);
void live_stamp(const AVBufferRef *times, live_stage left, int64_t now); /* it leaves that stage */
/* taken: out of the encoder's queue. */
void live_stamp_end(live *s, const AVFrame *frame, int64_t taken, int64_t encoded);
void live_latency_measure(const live *s, live_state *out); /* under lock */

/* live_source.c */
live_src *live_src_create(const live_source *source, media_error *err);
void live_src_destroy(live_src *src);
void *live_reader_main(void *opaque);

/* live_work.c. A raw frame with this width means: what is held has to come out now. */
void *live_worker_main(void *opaque);
void live_free_frame(void *frame);
void live_free_shown(void *shown);

/* live_clock.c */
int live_clock_run(live *s, media_error *err);

/* live_sound.c: samples of the source, placed in time, and silence between. */
int sound_create(sound **out);
void sound_destroy(sound *s);
/* The next 1024 samples when they have come, or (late) with silence where nothing came; NULL = not
 * yet. end: position up to which they are due. */
AVFrame *sound_take(sound *s, int64_t end, bool late);
void sound_start(sound *s, int64_t position);
typedef struct sound_in sound_in;
int sound_in_open(sound_in **out, const AVStream *stream, media_error *err);
void sound_in_close(sound_in *in);
/* offset_ns: from the stream's time to the session's. */
void sound_in_packet(sound_in *in, const AVPacket *packet, int64_t offset_ns, sound *to);

/* live_encode.c: one encoder for all outputs with the same settings. */
live_enc *live_enc_find(live *s, const live_output *o, media_error *err); /* under config */
/* Opens it for frames like this one, of which no pixel is taken, while that is being analysed. */
void live_enc_prepare(live_enc *e, const AVFrame *raw);
void live_enc_video(live_enc *e, const media_shown *shown);
void live_enc_audio(live_enc *e, const AVFrame *frame);
void live_enc_attach(live_enc *e, live_sink *k);
/* Returns true when that was the last. */
bool live_enc_detach(live_enc *e, live_sink *k);
void live_enc_request_key(live_enc *e);
/* No more frames come: encodes what is there and joins. */
void live_enc_finish(live_enc *e);
void live_enc_destroy(live_enc *e); /* once finished, and no output uses it */
/* Waits until it is open; false when it failed (err) or *stop. */
bool live_enc_wait(live_enc *e, const atomic_bool *stop, media_error *err);
const AVCodecContext *live_enc_video_context(const live_enc *e);
const AVCodecContext *live_enc_audio_context(const live_enc *e); /* NULL = no sound */

/* live_sink.c: one output. */
int live_sink_check(const live_output *o, const AVOutputFormat **container, media_error *err);
int live_sink_create(live_sink **out, live *s, live_enc *enc, const live_output *o, int id,
                     media_error *err);
/* Packets of the encoder; index 0 video, 1 sound. Never waits when the source is paced. */
void live_sink_packet(live_sink *k, const AVPacket *packet, int index);
void live_sink_end(live_sink *k);     /* no more packets come */
void live_sink_join(live_sink *k);    /* ends it; its state stays */
void live_sink_destroy(live_sink *k); /* joins, frees */
int live_sink_id(const live_sink *k);
live_enc *live_sink_enc(const live_sink *k);
void live_sink_state(live_sink *k, live_output_state *out); /* under lock */
int live_output_copy(live_output *to, const live_output *from);
void live_output_free(live_output *o);

/* fit.c */
typedef struct fit fit;
int fit_create(fit **out, int width, int height, media_error *err);
void fit_destroy(fit *f);
/* Replaces the frame by an I420 one of that size; another aspect gets bars. */
int fit_frame(fit *f, AVFrame *frame, media_error *err);
/* A fresh frame of that size without content. */
AVFrame *fit_blank(fit *f);

#endif
