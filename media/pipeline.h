/* One input to one output through libveil, on three threads: reading and decoding, analysis, and
 * encoding and writing. */
#ifndef MEDIA_PIPELINE_H
#define MEDIA_PIPELINE_H

#include "output.h"
#include "stage.h"

/* What is known when the first frame is there. */
typedef struct {
    int width, height; /* of the frames that libveil gets */
    int rotation;      /* as veil_frame.rotation */
    int turned;        /* degrees clockwise by which the pixels were turned before */
    bool mirrored;     /* they were mirrored too */
    AVRational time_base, rate;
    int64_t expected_frames; /* 0 = unknown */
    bool is_picture;
    const char *codec; /* encoder's name, NULL without an output */
    const char *loss;  /* what the pixel format loses, or NULL */
} pipeline_start;

typedef struct {
    media_input_options input;
    const media_output_options *output; /* NULL: analysis only */
    veil *veil;                         /* borrowed */
    bool hold;                          /* see stage_options */
    int (*masks)(void *user, int64_t index, const AVFrame *frame, const veil_track **tracks);
    bool allow_truncated;
    /* Set by anybody, also a signal handler, to end everything. Set to PIPELINE_FAILED by the
     * pipeline itself when it fails. */
    atomic_int *stop;
    int wake_signal; /* sent to the reading thread so that it notices stop; 0 = none */
    /* All on the calling thread; each may be NULL. Non-zero from these two ends the run; err is
     * then theirs to set. */
    int (*on_start)(void *user, const pipeline_start *start, media_error *err);
    int (*on_frame)(void *user, const media_shown *shown, media_error *err);
    void *user;
} pipeline_options;

#define PIPELINE_FAILED 1000

typedef struct {
    int64_t n_frames;
    int64_t n_covered; /* whole frames, because their analysis failed */
    int64_t n_lost;    /* packets that could not be decoded */
    int64_t n_mended;  /* time stamps that were missing or went back */
    const char *cut;   /* why the input is thought to be truncated, or NULL */
} pipeline_result;

int pipeline_run(const pipeline_options *options, pipeline_result *result, media_error *err);

#endif
