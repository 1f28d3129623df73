/* veil.h - hide the faces of bystanders in video frames; leave the people it is about visible.
 *
 * One veil object is one stream of frames. Give it frames, get the same frames back with the faces
 * of bystanders hidden in place, in the frame's own pixel format. The library opens no file, prints
 * nothing, reads no clock and no environment, and keeps no picture of any face.
 *
 * Closed, never open. A frame comes back analysed and hidden, or completely covered. When a call
 * returns an error and says "not touched", the caller must not show that frame.
 *
 * Threads. One thread at a time may be inside veil_process, veil_send, veil_receive, veil_flush,
 * veil_reset and veil_destroy of one object. Functions marked "any thread" may run beside them.
 * Two objects share nothing that changes.
 *
 * Errors. Functions return 0 (VEIL_OK) or a negative veil_error. veil_strerror gives the text.
 *
 * Versions. MAJOR changes when callers break, MINOR when something is added. Structures that grow
 * carry struct_size; fields that are zero mean "default", and the default is the safe choice. */
#ifndef VEIL_H
#define VEIL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(VEIL_BUILDING) && defined(__GNUC__)
#define VEIL_API __attribute__((visibility("default")))
#else
#define VEIL_API
#endif

#define VEIL_VERSION_MAJOR 0
#define VEIL_VERSION_MINOR 1
#define VEIL_VERSION_PATCH 0

/** Version of the library that is loaded, 0x00MMmmpp. Any thread. */
VEIL_API uint32_t veil_version(void);

#define VEIL_ERRORS(X)                                                                             \
    X(ARG, -1, "bad argument")                                                                     \
    X(NOMEM, -2, "out of memory")                                                                  \
    X(MODEL, -3, "the model is damaged, too new or not a veil model")                              \
    X(FORMAT, -4, "pixel format not supported")                                                    \
    X(SIZE, -5, "size out of range")                                                               \
    X(STATE, -6, "not possible in this state")                                                     \
    X(AGAIN, -7, "needs more input first")                                                         \
    X(THREAD, -8, "a thread could not be started")                                                 \
    X(UNSUPPORTED, -9, "not supported")                                                            \
    X(INTERNAL, -10, "internal error")                                                             \
    X(NOT_FOUND, -11, "no such track, layer or output")                                            \
    X(WEAK, -12, "this style or strength leaves faces recognisable; set force_weak to take it")

typedef enum {
    VEIL_OK = 0,
#define VEIL_ERROR_ENUM(name, value, text) VEIL_E_##name = (value),
    VEIL_ERRORS(VEIL_ERROR_ENUM)
#undef VEIL_ERROR_ENUM
} veil_error;

/** Text of an error, static, never NULL. Any thread. */
VEIL_API const char *veil_strerror(int err);

/* ------------------------------------------------------------------ frames */

typedef enum {
    VEIL_FORMAT_NONE = 0,
    VEIL_FORMAT_I420,  /**< Y, U, V planes, chroma halved both ways */
    VEIL_FORMAT_NV12,  /**< Y plane, UV interleaved, chroma halved both ways */
    VEIL_FORMAT_I422,  /**< Y, U, V planes, chroma halved across */
    VEIL_FORMAT_I444,  /**< Y, U, V planes, full chroma */
    VEIL_FORMAT_YUY2,  /**< Y0 U Y1 V */
    VEIL_FORMAT_UYVY,  /**< U Y0 V Y1 */
    VEIL_FORMAT_RGB24, /**< R, G, B bytes */
    VEIL_FORMAT_BGR24, /**< B, G, R bytes */
    VEIL_FORMAT_RGBA,  /**< R, G, B, A bytes; alpha is left alone */
    VEIL_FORMAT_BGRA,  /**< B, G, R, A bytes; alpha is left alone */
    VEIL_FORMAT_I010,  /**< as I420, 10 bits in the low bits of little-endian 16-bit words */
    VEIL_FORMAT_GRAY8, /**< Y plane only */
    VEIL_FORMAT_COUNT
} veil_format;

/** YUV matrix of a frame; ignored for RGB. */
typedef enum {
    VEIL_MATRIX_AUTO = 0, /**< BT.709 from 720 lines on, BT.601 below */
    VEIL_MATRIX_BT601,
    VEIL_MATRIX_BT709,
    VEIL_MATRIX_BT2020
} veil_matrix;

/** Value range of a YUV frame; ignored for RGB. */
typedef enum {
    VEIL_RANGE_AUTO = 0, /**< limited */
    VEIL_RANGE_LIMITED,  /**< luma 16..235 (times four in 10 bits) */
    VEIL_RANGE_FULL
} veil_range;

#define VEIL_SIZE_MIN 16   /**< smallest width and height of a frame, px */
#define VEIL_SIZE_MAX 8192 /**< largest width and height of a frame, px */

/** A picture in the caller's memory. Pixels stay the caller's and are touched only while the frame
 * is with the library: inside veil_process, or from veil_send until veil_receive gives it back. */
typedef struct {
    uint8_t *plane[4];     /**< first byte of the first row of each plane */
    ptrdiff_t stride[4];   /**< bytes from a row to the next, may be negative */
    int32_t width, height; /**< luma px, VEIL_SIZE_MIN..VEIL_SIZE_MAX, odd sizes allowed */
    veil_format format;
    veil_matrix matrix;
    veil_range range;
    int32_t rotation; /**< degrees clockwise to turn the picture upright: 0, 90, 180, 270;
                           the network sees it upright, masks are drawn where they belong */
    int64_t pts_ns;   /**< presentation time; a jump back, or forward by more than a second,
                           starts new tracks */
    void *opaque;     /**< given back untouched by veil_receive */
} veil_frame;

/* ------------------------------------------------------------------ decisions */

/** What the user wants for a track or a zone. Zero never keeps. */
typedef enum {
    VEIL_AUTO = 0, /**< decide by the keep rule */
    VEIL_HIDE,
    VEIL_KEEP
} veil_decision;

/** Which faces may stay visible. */
typedef enum {
    VEIL_KEEP_AUTO = 0, /**< those the network calls interview, with evidence over time */
    VEIL_KEEP_NONE,     /**< hide every face */
    VEIL_KEEP_LARGEST,  /**< the largest face, with hysteresis */
    VEIL_KEEP_CENTER,   /**< the face nearest the middle, with hysteresis */
    VEIL_KEEP_CHOSEN    /**< only those set with veil_set_decision or a keep zone */
} veil_keep;

/** BLUR, MOSAIC and IMAGE are painted with what surrounds the mask, never with what was under it.
 * The weak styles average the face itself: who knows the person may know it again (docs/hiding.md),
 * so they are refused without force_weak. */
typedef enum {
    VEIL_STYLE_BLUR = 0,
    VEIL_STYLE_MOSAIC,
    VEIL_STYLE_SOLID,
    VEIL_STYLE_IMAGE,
    VEIL_STYLE_NONE, /**< draw nothing: analysis only, hides nobody */
    VEIL_STYLE_WEAK_BLUR,
    VEIL_STYLE_WEAK_MOSAIC
} veil_style;

/** 1 for the weak styles, else 0. Any thread. */
VEIL_API int veil_style_is_weak(veil_style style);

typedef enum { VEIL_SHAPE_ELLIPSE = 0, VEIL_SHAPE_BOX, VEIL_SHAPE_HEAD } veil_shape;

typedef enum { VEIL_TRACKER_BYTETRACK = 0, VEIL_TRACKER_SORT, VEIL_TRACKER_NONE } veil_tracker;

/** A part of the picture with a rule of its own; relative to width and height of the upright
 * picture, 0..1. A hide zone wins over a keep zone and over everything else. */
typedef struct {
    float x, y, w, h;
    veil_decision decision; /**< HIDE: the area itself is hidden always. KEEP: faces whose centre
                                 is inside stay visible. AUTO: the zone has no effect. */
} veil_zone;

/** Settings that may change while running. Fill with veil_settings_init, then change fields. */
typedef struct {
    size_t struct_size;
    float min_score; /**< face score that starts a track, 0..1; 0 = default 0.35 */
    float low_score; /**< face score that continues a track, 0..1; 0 = default 0.10 */
    veil_keep keep;
    float keep_score; /**< P(interview) over time needed to be seen, 0..1; 0 = default 0.85 */
    veil_style style;
    veil_shape shape;
    float padding;        /**< added on each side, as a part of the box; 0 = default 0.20,
                               negative = none */
    float feather;        /**< soft edge outside the mask, as a part of its size; 0 = default
                               0.12, negative = none */
    float cells;          /**< cells across a mask, 1..8: tiles of a mosaic, colours of a blur;
                               with a weak style the detail left of the face; 0 = default 6 */
    uint32_t fill_rgb;    /**< 0xRRGGBB for VEIL_STYLE_SOLID */
    const uint8_t *image; /**< RGBA for VEIL_STYLE_IMAGE; borrowed until replaced or destroyed */
    int32_t image_width, image_height; /**< px, 1..4096 */
    ptrdiff_t image_stride;            /**< bytes */
    veil_tracker tracker;
    int32_t detect_every;   /**< network on each n-th frame, tracking between; 0 = 1 */
    int64_t hold_ns;        /**< a lost face stays hidden so long; 0 = default 800 ms */
    const veil_zone *zones; /**< copied */
    size_t n_zones;         /**< at most 64 */
    int32_t force_weak;     /**< 1: take settings that hide too little to stand against somebody
                                 who knows the person; else they are refused, VEIL_E_WEAK */
} veil_settings;

/** Fills in defaults. size is sizeof(veil_settings). Any thread. */
VEIL_API void veil_settings_init(veil_settings *s, size_t struct_size);

typedef enum {
    VEIL_REASON_NONE = 0,
    VEIL_REASON_NEW,   /**< a new face: hidden until it has earned more */
    VEIL_REASON_CLASS, /**< evidence over time for the class */
    VEIL_REASON_USER,  /**< veil_set_decision */
    VEIL_REASON_ZONE,  /**< inside a zone */
    VEIL_REASON_RULE,  /**< largest or centre rule */
    VEIL_REASON_LOST,  /**< not seen in this frame, position predicted */
    VEIL_REASON_START, /**< covered: nothing analysed yet */
    VEIL_REASON_ERROR, /**< covered: the analysis failed */
    VEIL_REASON_LATE,  /**< covered: the analysis did not keep up */
    VEIL_REASON_PANIC, /**< covered: the caller asked for it (veil_cover) */
    VEIL_REASON_CUT    /**< a scene cut or a jump in time ended the tracks */
} veil_reason;

/** Static text of a reason, never NULL. Any thread. */
VEIL_API const char *veil_reason_text(veil_reason r);

/** A face followed over time, as it was treated in one frame. */
typedef struct {
    uint32_t id;            /**< never 0, never used again within one veil */
    float x, y, w, h;       /**< box in luma px of the frame as given, may cross its edges */
    float score;            /**< face score 0..1 of this frame, 0 when not detected here */
    float interview;        /**< P(interview) over time, 0..1 */
    uint32_t age;           /**< frames since birth */
    uint32_t lost;          /**< frames since last detected */
    veil_decision decision; /**< HIDE or KEEP: what was done */
    veil_reason reason;
} veil_track;

/** Something worth a line in an audit log. */
typedef struct {
    int64_t pts_ns;
    uint32_t track;         /**< 0 = the whole frame */
    veil_decision decision; /**< KEEP: uncovered from here. HIDE: hidden again from here */
    veil_reason reason;
} veil_event;

/* ------------------------------------------------------------------ life */

#define VEIL_CPU_ALL        0xffffffffu
#define VEIL_CPU_AVX2       0x1u /**< with FMA3 */
#define VEIL_CPU_AVXVNNI    0x2u
#define VEIL_CPU_AVX512     0x4u /**< F, BW, DQ, VL */
#define VEIL_CPU_AVX512VNNI 0x8u
#define VEIL_CPU_AMX        0x10u /**< int8 tiles, where the system lets a program have them */
#define VEIL_CPU_NEON       0x100u
#define VEIL_CPU_DOTPROD    0x200u

/** Levels that this machine and this build have, VEIL_CPU_*. Any thread. */
VEIL_API uint32_t veil_cpu_levels(void);

/** Fill with veil_options_init, then change fields. */
typedef struct {
    size_t struct_size;
    const void *model; /**< bytes of a veil model, read during veil_create only; NULL = the
                            model built into the library */
    size_t model_size;
    int32_t threads;     /**< 0 = one per core, at most 4 */
    uint32_t cpu_off;    /**< VEIL_CPU_* levels not to use; 0 = use all */
    int32_t input_width; /**< network input, px, multiple of 32; 0 = from the frame size */
    int32_t input_height;
    int64_t lookahead_ns; /**< frames are held so long to hide faces before they were sure;
                               0 = none; at most 5 s */
    int32_t max_held;     /**< most frames held for the look-ahead; 0 = 256 */
    veil_settings settings;
    /** Called for each un-hiding and re-hiding, inside process/receive; must not call back in. */
    void (*on_event)(void *user, const veil_event *event);
    /** Messages for people; NULL = silent. level 0 error, 1 warning, 2 information. */
    void (*log)(void *user, int level, const char *text);
    void *user;
    /** Test hook: return non-zero to make the named stage fail ("alloc", "model", "scale", "infer",
     * "decode", "track", "redact", "thread"). NULL in normal use. */
    int (*fault)(void *user, const char *stage);
} veil_options;

typedef struct veil veil;

/** Fills in defaults. struct_size is sizeof(veil_options). Any thread. */
VEIL_API void veil_options_init(veil_options *opt, size_t struct_size);

/** Makes a veil. opt NULL = defaults. On failure *out is NULL. */
VEIL_API int veil_create(veil **out, const veil_options *opt);

/** Frees it; held frames are the caller's again and must not be shown. NULL is fine. */
VEIL_API void veil_destroy(veil *v);

/** What was done with a frame. */
typedef struct {
    int32_t covered; /**< 1: the whole frame was covered, see reason */
    veil_reason reason;
    int32_t n_hidden, n_kept; /**< faces */
    int32_t detected;         /**< 1: the network ran on this very frame */
} veil_result;

/** Hides the faces of one frame in place, without look-ahead. result may be NULL. Allocates only
 * when size or format changes. After VEIL_E_ARG, _FORMAT, _SIZE, _STATE the frame is not touched
 * and must not be shown; after any other error it is completely covered. */
VEIL_API int veil_process(veil *v, const veil_frame *frame, veil_result *result);

/** Gives a frame to be analysed; its pixels must stay valid and unshown until veil_receive returns
 * it. Errors as veil_process; with VEIL_E_AGAIN the library is full: receive first. */
VEIL_API int veil_send(veil *v, const veil_frame *frame);

/** Takes back the oldest frame whose look-ahead is complete, hidden in place. VEIL_E_AGAIN: none
 * yet. Frames come back in the order they were sent, each once. result may be NULL. An analysis
 * that failed gives a covered frame and VEIL_OK, with the reason in result. */
VEIL_API int veil_receive(veil *v, veil_frame *frame, veil_result *result);

/** End of the stream: every held frame may now be received. Send starts a new stream. */
VEIL_API int veil_flush(veil *v);

/** Forgets all tracks, evidence and user decisions. Not allowed while frames are held. */
VEIL_API int veil_reset(veil *v);

/** Copies the tracks of the frame that came out last; returns how many exist (may exceed cap).
 * Any thread. */
VEIL_API size_t veil_tracks(veil *v, veil_track *out, size_t cap);

/** The user's word on a track, from the next frame on. AUTO takes it back. Any thread. */
VEIL_API int veil_set_decision(veil *v, uint32_t track, veil_decision d);

/** Replaces all settings from the next frame on. Any thread. */
VEIL_API int veil_set_settings(veil *v, const veil_settings *s);

/** The settings in force (zones: pointer valid until the next veil_set_settings). Any thread. */
VEIL_API int veil_get_settings(veil *v, veil_settings *s);

/** Panic: while on is non-zero every frame that comes out is covered. Any thread. */
VEIL_API int veil_cover(veil *v, int on);

/** Covers a whole frame with a flat dark picture, without any analysis. Never fails on a frame with
 * a valid format and size. Any thread. */
VEIL_API int veil_cover_frame(const veil_frame *frame);

/** Draws masks the caller brings (from an edited track file): boxes as veil_track, only those with
 * decision HIDE are drawn, padding, style and shape as in settings. */
VEIL_API int veil_redact(veil *v, const veil_frame *frame, const veil_track *tracks, size_t n);

/* ------------------------------------------------------------------ the network by itself */
/* For evaluation, benchmarks, model building and explanation. */

typedef struct veil_net veil_net;

typedef struct {
    size_t struct_size;
    int32_t threads;  /**< 0 = one per core, at most 4 */
    uint32_t cpu_off; /**< VEIL_CPU_* levels not to use */
    int32_t keep_all; /**< 1: every tensor keeps its own memory, so that veil_net_tensor works */
    int32_t profile;  /**< 1: the caller's clock is read around each layer */
    int64_t (*clock_ns)(void); /**< needed with profile */
} veil_net_options;

/** A value of the network. Layout (H,W,C), C contiguous. */
typedef struct {
    const void *data; /**< float32, or uint8 with value = (q - zero) * scale */
    int32_t height, width, channels;
    ptrdiff_t row_stride, pixel_stride; /**< elements */
    int32_t is_u8;
    float scale;
    int32_t zero;
    const char *name; /**< lives as long as the net */
    int32_t stride;   /**< input px a cell, for outputs of a detector */
} veil_tensor;

typedef struct {
    const char *name, *op, *kernel; /**< e.g. "model.2.cv1", "conv3x3", "avx512vnni" */
    int32_t out_height, out_width, in_channels, out_channels;
    int64_t macs;    /**< multiply-adds */
    int64_t time_ns; /**< of the last run, with profile */
    int32_t output;  /**< index for veil_net_tensor */
} veil_layer;

/** A model that is built into the library: "veil-n", which is taken where none is given, or
 * "veil-p", a quarter of its work and less accurate, for small boards (models/README.md has the
 * figures of both). Its bytes stay for good; NULL for other names and in a library built without
 * models. */
VEIL_API const void *veil_model_builtin(const char *name, size_t *size);
/** Network from a model's bytes (copied; NULL = built in). */
VEIL_API int veil_net_create(veil_net **out, const void *model, size_t size,
                             const veil_net_options *opt);
VEIL_API void veil_net_destroy(veil_net *net);
/** Plans for one input size, px, multiples of 32, 32..4096. Allocates. */
VEIL_API int veil_net_set_size(veil_net *net, int32_t width, int32_t height);
/** Input picture (H,W,4) bytes R,G,B,unused, to be filled before veil_net_run; row stride 4*W. */
VEIL_API uint8_t *veil_net_input(veil_net *net);
/** Runs the network on its input. Allocates nothing. */
VEIL_API int veil_net_run(veil_net *net);
VEIL_API size_t veil_net_outputs(const veil_net *net);
VEIL_API int veil_net_output(const veil_net *net, size_t i, veil_tensor *out);
VEIL_API size_t veil_net_layers(const veil_net *net);
VEIL_API int veil_net_layer(const veil_net *net, size_t i, veil_layer *out);
VEIL_API int veil_net_tensor(const veil_net *net, size_t i, veil_tensor *out);
/** Bytes of arena memory for the planned size, and of packed weights, which all nets of the same
 *  model in the process use together. */
VEIL_API int veil_net_memory(const veil_net *net, size_t *arena, size_t *weights);
/** A text from the model file ("name", "decoder", "license", ...), NULL when absent. */
VEIL_API const char *veil_net_meta(const veil_net *net, const char *key);
/** i-th key of the model's texts, NULL past the end. */
VEIL_API const char *veil_net_meta_key(const veil_net *net, size_t i);

/** One face found by the network in one picture. */
typedef struct {
    float x, y, w, h; /**< luma px of the frame */
    float score;      /**< face score 0..1 */
    float interview;  /**< P(interview | face) 0..1 */
} veil_detection;

/** Scales the frame into the planned input, runs, decodes, suppresses overlaps (IoU 0.45). Writes
 * the cap best, best first; *n is how many. net_width/height 0 = the planned size. */
VEIL_API int veil_net_detect(veil_net *net, const veil_frame *frame, float min_score,
                             veil_detection *out, size_t cap, size_t *n);

/* ------------------------------------------------------------------ explanation */
/* What in the picture spoke for a face's class. An object of its own with memory of its own: slow
 * beside veil_process (some network runs a face) and never part of it. Explained is the float
 * network behind a model: of an integer model its weights times their scales, without the rounding
 * between layers. Needs a model with veil's own decoder. */

typedef enum {
    VEIL_CLASS_INTERVIEW = 0, /**< rather interview than background */
    VEIL_CLASS_BACKGROUND,    /**< rather background than interview */
    VEIL_CLASS_FACE           /**< a face at all */
} veil_class;

typedef enum {
    VEIL_METHOD_AUTO = 0,  /**< VEIL_METHOD_HIRESCAM */
    VEIL_METHOD_GRADCAM,   /**< each channel of a layer by its mean gradient */
    VEIL_METHOD_GRADCAMPP, /**< Grad-CAM++: positive gradients, weighted by their share */
    VEIL_METHOD_HIRESCAM,  /**< gradient times value, place by place: what this very face used */
    VEIL_METHOD_EIGENCAM,  /**< first principal component of a layer; knows no class */
    VEIL_METHOD_OCCLUSION  /**< the model as it is, run again with parts of the picture greyed */
} veil_method;

typedef struct veil_explainer veil_explainer;

/** Fill with veil_explainer_options_init, then change fields. */
typedef struct {
    size_t struct_size;
    const void *model; /**< bytes, read during creation only; NULL = built in */
    size_t model_size;
    int32_t threads;     /**< 0 = one per core, at most 4 */
    uint32_t cpu_off;    /**< VEIL_CPU_* levels not to use */
    int32_t input_width; /**< network input, px, multiple of 32; 0 = from the frame size */
    int32_t input_height;
    int32_t randomise; /**< so many convolutions, from the end, get random weights: a map that does
                            not change then explains nothing; 0 = none */
} veil_explainer_options;

/** The face that was explained and how. */
typedef struct {
    float x, y, w, h;       /**< box in luma px of the frame as given */
    float score, interview; /**< P(face), P(interview | face) of the explained cell, 0..1 */
    float logit;            /**< the number that was explained */
    float peak;             /**< value that is 1 in the map; 0: nothing speaks for the class */
    int32_t output;         /**< index for veil_net_output, */
    int32_t cell_x, cell_y; /**< and the cell there */
    int32_t net_width, net_height;     /**< network input, px */
    const char *layer;                 /**< lives as long as the explainer; "" for occlusion */
    int32_t layer_width, layer_height; /**< cells of the layer, or places of the mask */
} veil_explanation;

/** What to explain; zero is the default. */
typedef struct {
    size_t struct_size;
    veil_class target;
    veil_method method;
    const char *layer; /**< name as in veil_layer; NULL or "auto" = the last one that
                           everything passes through */
    float x, y, w, h;  /**< the face, as in veil_track or veil_detection; w 0 = the surest */
    const veil_explanation *cell; /**< explain this very cell again; the box is not used */
    int32_t patch; /**< occlusion: side of the mask in px of the input; 0 = half the face, 16..96 */
    float *map;    /**< filled: the whole frame as given, 0..1, rows of map_width; NULL = none */
    int32_t map_width, map_height; /**< 1..8192 */
} veil_explain_options;

/** Fills in defaults. struct_size is sizeof(veil_explainer_options). Any thread. */
VEIL_API void veil_explainer_options_init(veil_explainer_options *opt, size_t struct_size);

/** Makes an explainer; opt NULL = defaults. VEIL_E_UNSUPPORTED: a model of another decoder. Memory
 * is bounded by 1 GiB each for values and gradients, and is about 80 MB for an input of 640x384. */
VEIL_API int veil_explainer_create(veil_explainer **out, const veil_explainer_options *opt);
VEIL_API void veil_explainer_destroy(veil_explainer *e);

/** Explains one face. frame NULL: the frame of the last call (its network run is used again).
 * Allocates. VEIL_E_NOT_FOUND: no such layer, or the network sees no face at the box. */
VEIL_API int veil_explain(veil_explainer *e, const veil_frame *frame,
                          const veil_explain_options *opt, veil_explanation *out);

#ifdef __cplusplus
}
#endif
#endif
