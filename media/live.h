/* Long-running sessions: one live source through libveil to any number of outputs, for hours. The
 * session owns its threads; every function here may be called from any thread unless it says
 * otherwise. Nothing raw leaves: what goes to outputs, recordings and previews was analysed and
 * hidden by libveil, or is a cover.
 *
 * Rules.
 * - Size and rate of the outputs are fixed when they open: as asked, else those of the first
 * source. Sources of another size are scaled into it with their aspect kept.
 * - While the source is lost, late or stalled the outputs go on with a cover card at the nominal
 *   rate, and silence when they have sound.
 * - Time stamps rise all through. Frames that come later than what was sent already are dropped.
 * - Sound is decoded and encoded anew (48 kHz stereo), placed to the sample beside its frames and
 *   sent with them, so the look-ahead does not shift it.
 * - Overload: detection on every 2nd, then 3rd frame, then half the frame rate, then covered. */
#ifndef MEDIA_LIVE_H
#define MEDIA_LIVE_H

#include "encoder.h"
#include "error.h"

#include "veil.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIVE_OUTPUTS_MAX 16
#define LIVE_TEXT_MAX    256

typedef struct live live;

typedef enum {
    LIVE_HW_AUTO = 0,
    LIVE_HW_NONE,
    LIVE_HW_VAAPI,
    LIVE_HW_NVDEC,
    LIVE_HW_V4L2M2M
} live_hw;

/** False when the name is none of auto, none, vaapi, nvdec, v4l2m2m. */
bool live_hw_from_name(live_hw *out, const char *name);

/** Where frames come from. Texts are copied. */
typedef struct {
    /** File, device (/dev/video0), address (rtmp, rtsp, srt, http(s) for HLS, udp, rtp), "-". NULL
     * with read set, or to wait covered until live_set_source. */
    const char *url;
    const char *format;  /**< demuxer, NULL = by content */
    const char *options; /**< of the demuxer and protocol, k=v:k=v, NULL = none */
    bool listen;         /**< rtmp: wait for the sender to connect (as rtmp's "listen" option) */
    /** Files only. They run at their own speed when realtime is set, else as fast as they can;
     * loop starts them again at their end. Everything else runs at its own speed anyway. */
    bool realtime, loop;
    /** The source is what read gives: the bytes of a WebM, MP4, MPEG-TS... stream as they come.
     * Waits for data; returns bytes (at most size), 0 at the end, or a negative value for an error.
     * cancelled() turns true when the session stops or the source is replaced; read must return
     * within 100 ms then. Called on a thread of the session only. */
    int (*read)(void *user, uint8_t *data, int size, bool (*cancelled)(void *session),
                void *session);
    /** The session will not call read again; may be NULL. */
    void (*close)(void *user);
    void *user;
} live_source;

/** Where frames go. Texts are copied. */
typedef struct {
    const char *url;     /**< file, address, V4L2 loopback device, "-" */
    const char *format;  /**< muxer, NULL = by address or ending (rtmp flv, srt mpegts ...) */
    const char *options; /**< of the muxer and protocol, k=v:k=v */
    bool overwrite;      /**< of files; hls folders are always written into */
    bool no_audio;
    /** Defaults for a stream: libx264 superfast zerolatency, key frame each 2 s. Outputs with equal
     * settings share one encoder. */
    encoder_options encoder;
    const char *audio_codec;    /**< NULL = AAC, or Opus where the container wants it */
    const char *audio_bit_rate; /**< NULL = 160k */
} live_output;

typedef enum {
    LIVE_STOPPED = 0,
    LIVE_STARTING,   /**< nothing was analysed yet; nothing or covers are sent */
    LIVE_PROTECTING, /**< frames come in, faces are hidden */
    LIVE_COVERED     /**< covers are sent; see cover */
} live_phase;

typedef enum {
    LIVE_COVER_NONE = 0,
    LIVE_COVER_START,    /**< nothing came yet */
    LIVE_COVER_INPUT,    /**< the source is lost or silent */
    LIVE_COVER_STALL,    /**< decoding or analysis stands still */
    LIVE_COVER_OVERLOAD, /**< the machine does not keep up */
    LIVE_COVER_PANIC,    /**< live_cover */
    LIVE_COVER_ERROR     /**< the analysis fails */
} live_cover_reason;

/** Static texts: "protecting", "input lost" ... Never NULL. */
const char *live_phase_text(live_phase p);
const char *live_cover_text(live_cover_reason r);

typedef enum {
    LIVE_EVENT_PHASE = 0,   /**< phase or reason of covering changed */
    LIVE_EVENT_INPUT_UP,    /**< the source is open; text describes it */
    LIVE_EVENT_INPUT_DOWN,  /**< it is lost; text says why */
    LIVE_EVENT_OUTPUT_UP,   /**< output id is open */
    LIVE_EVENT_OUTPUT_DOWN, /**< output id is lost; text says why */
    LIVE_EVENT_DECISION,    /**< un-hiding or re-hiding of a face: veil is set (audit) */
    LIVE_EVENT_OVERLOAD,    /**< level of overload changed; text says to what */
    LIVE_EVENT_NOTE         /**< anything else worth a line */
} live_event_kind;

typedef struct {
    live_event_kind kind;
    int output;             /**< id, or 0 */
    double time_s;          /**< since the start of the session */
    const char *text;       /**< one line without secrets, never NULL */
    const veil_event *veil; /**< LIVE_EVENT_DECISION only */
} live_event;

/** Fill with live_options_init. */
typedef struct {
    live_source source;
    const live_output *outputs; /**< may be none: preview only, or add them later */
    size_t n_outputs;
    veil_options veil; /**< model, settings, look-ahead; on_event, log and user are the session's */
    live_hw hw;
    int width, height;      /**< of all outputs, px, even; 0 = as the first source */
    int rate_num, rate_den; /**< nominal frames a second; 0 = as the first source, 30 unknown */
    int audio;              /**< 0 = when the first source has sound, 1 = always, -1 = never */
    int threads;            /**< of decoder and encoders each, 0 = their choice */
    const char *card;       /**< picture shown while covered for lack of input; NULL = flat dark */
    int64_t duration_ns;    /**< ends after so much output; 0 = never */
    bool stay;              /**< a file's end covers instead of ending the session */
    /** 0 = defaults. */
    int64_t input_silence_ns; /**< a source that gives nothing so long is covered; 500 ms */
    int64_t input_timeout_ns; /**< and so long is opened again; 10 s */
    int64_t stall_ns;         /**< a frame stuck so long in a stage is covered; 200 ms */
    int64_t retry_min_ns, retry_max_ns; /**< waits between attempts, doubling; 500 ms to 10 s */
    int max_attempts; /**< of the source in a row, then the session ends; 0 = no limit */
    /** On threads of the session, one at a time; must not call live functions and must be quick. */
    void (*on_event)(void *user, const live_event *event);
    void *user;
} live_options;

void live_options_init(live_options *o);

/** Checks everything that can be checked without connecting. The texts and the model are copied. */
int live_create(live **out, const live_options *options, media_error *err);
/** Starts the threads and returns at once. */
int live_start(live *s, media_error *err);
/** Asks for the end: outputs are finished (files become whole). Does not wait. */
void live_stop(live *s);
/** Waits for the end, at most so long (negative = for ever). True when it has ended. */
bool live_wait(live *s, int64_t timeout_ns);
/** 0 when it ended as asked; -1 with the reason when source or outputs failed. After the end. */
int live_result(live *s, media_error *err);
/** Stops, joins, frees. NULL is fine. */
void live_destroy(live *s);

/* While running ------------------------------------------------------------------- */

/** Another source from now on; covers until its first frame. */
int live_set_source(live *s, const live_source *source, media_error *err);
/** Returns an id > 0, or -1. */
int live_add_output(live *s, const live_output *output, media_error *err);
/** Finishes it. Returns when no more is written to it, at most after a few seconds; -1 = no such
 * output. */
int live_remove_output(live *s, int id, media_error *err);

/** Settings, instead of veil_set_settings: detect_every is raised above it under overload. */
int live_set_settings(live *s, const veil_settings *settings, media_error *err);
void live_get_settings(live *s, veil_settings *settings);
/** Covers everything while on. */
void live_cover(live *s, bool on);
/** For veil_set_decision and veil_tracks. Lives as long as the session. */
veil *live_veil(live *s);

/* State --------------------------------------------------------------------------- */

/** What a frame goes through, in order. */
typedef enum {
    LIVE_STAGE_DECODE = 0, /**< from its packet to the frame */
    LIVE_STAGE_PREPARE,    /**< copied or scaled for the analysis */
    LIVE_STAGE_WAIT,       /**< for the analysis */
    LIVE_STAGE_ANALYSE,
    LIVE_STAGE_HOLD,   /**< look-ahead: until enough frames after it were analysed; drawing */
    LIVE_STAGE_SEND,   /**< to the encoders */
    LIVE_STAGE_QUEUED, /**< waiting for its encoder */
    LIVE_STAGE_ENCODE,
    LIVE_STAGES
} live_stage;

/** One word. */
const char *live_stage_text(live_stage at);

typedef struct {
    int id;
    bool up, failed;         /**< failed: given up for good */
    char url[LIVE_TEXT_MAX]; /**< secrets masked */
    char encoder[64];
    int64_t frames, bytes, dropped, reconnects;
    char problem[LIVE_TEXT_MAX]; /**< last, "" = none */
} live_output_state;

typedef struct {
    live_phase phase;
    live_cover_reason cover;
    double uptime_s;
    double fps_in, fps_out; /**< over the last 2 s */
    /** From the packet of a frame to its last packet out of the encoder, without the wait that
     * gives a file its own speed; over the last 512 frames, and since the start. */
    double latency_p50_ms, latency_p99_ms;
    double latency_all_p50_ms, latency_all_p99_ms;
    double stage_p50_ms[LIVE_STAGES], stage_p99_ms[LIVE_STAGES]; /**< since the start */
    double lookahead_ms;
    int hidden, kept;                 /**< faces in the newest frame */
    int64_t faces_hidden, faces_kept; /**< boxes drawn and left since the start */
    int64_t frames_in, frames_out;    /**< decoded; sent to the encoders, covers included */
    int64_t frames_covered;           /**< of those sent */
    int64_t frames_dropped;           /**< late or for overload, before analysis or sending */
    int64_t reconnects;               /**< of the source */
    int64_t lost_packets;             /**< that could not be decoded */
    int overload;                     /**< 0 none, 1 2 detect less, 3 half rate, 4 covered */
    double cpu;                       /**< cores used by this process, 1.0 = one core */
    int64_t rss_bytes;
    bool input_up;
    char input[LIVE_TEXT_MAX]; /**< secrets masked */
    char input_codec[32], decoder[64];
    int input_width, input_height;
    double input_fps;
    bool audio;
    int width, height;           /**< of the outputs, 0 = not known yet */
    double fps;                  /**< nominal */
    char problem[LIVE_TEXT_MAX]; /**< last one, secrets masked; "" = none */
    size_t n_outputs;
    live_output_state outputs[LIVE_OUTPUTS_MAX];
} live_state;

void live_get_state(live *s, live_state *out);

/* Preview ------------------------------------------------------------------------- */
/* One object a viewer, used by one thread at a time. Scaling and JPEG happen on the viewer's
 * thread; a viewer that is slow misses frames and slows nothing. */

typedef struct live_preview live_preview;

typedef struct {
    uint64_t serial; /**< of the frame, rising */
    int64_t pts_ns;
    int width, height;       /**< of the picture */
    const uint8_t *plane[3]; /**< I420; valid until the next call with this preview */
    int stride[3];
    veil_matrix matrix;  /**< of the planes */
    const uint8_t *jpeg; /**< instead, when asked for */
    size_t jpeg_size;
    int frame_width, frame_height; /**< px that the boxes of tracks are in */
    const veil_track *tracks;      /**< as treated in this very frame */
    size_t n_tracks;
    veil_result result;
    live_phase phase; /**< a cover card is shown when covered */
    live_cover_reason cover;
} live_picture;

/** Fits into width x height with the aspect kept (0 = the frame's own). jpeg_quality 1..100, 0 =
 * I420. */
int live_preview_open(live_preview **out, live *s, int width, int height, int jpeg_quality,
                      media_error *err);
/** Must come before live_destroy. NULL is fine. */
void live_preview_close(live_preview *p);
/** Waits for a frame newer than the last one this preview gave. Returns 1, 0 on time-out, or -1
 * when the session has ended or on an error. */
int live_preview_next(live_preview *p, int64_t timeout_ns, live_picture *out, media_error *err);

/* Helpers ------------------------------------------------------------------------- */

/** Copies an address without secrets: user and password become "***", so do stream keys (the last
 * part of an rtmp path) and values of queries named key, pass..., token, sig..., secret, auth,
 * streamid. */
void live_mask(char *out, size_t size, const char *url);
/** The same for a text that may contain addresses anywhere, in place. */
void live_mask_text(char *text, size_t size);
/** Whether an input or output like this needs a session: devices, addresses of streams. */
bool live_is_live(const char *url);

#endif
