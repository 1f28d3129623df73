/* Command line options: one table for all commands, parsing, help, and hints for wrong names. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "veil.h"

#include <stdbool.h>
#include <stddef.h>

/* Commands an option belongs to. */
#define CLI_RUN    1u
#define CLI_DETECT 2u
#define CLI_REDACT 4u
#define CLI_DOCTOR 8u
#define CLI_ANY    15u

#define CLI_INPUTS_MAX  4096
#define CLI_OUTPUTS_MAX 15

typedef struct {
    /* what and where */
    const char **inputs; /* borrowed from argv; the array is the options' own */
    size_t n_inputs;
    const char *output, *format, *input_format;
    const char *outputs[CLI_OUTPUTS_MAX]; /* all of them; output is the first */
    size_t n_outputs;
    const char *edits, *audit, *report, *model;
    bool overwrite, keep_audio, keep_metadata, no_audio, no_subtitles, allow_truncated;
    /* who and how */
    double thresh, low_thresh, keep_score;
    double mask_scale, padding, feather, cells, mosaic_size;
    int style, shape, keep, tracker, replace_with; /* index of the choice, -1 = not given */
    bool boxes, draw_scores, force_weak;
    const char *fill, *replace_image;
    int scale_width, scale_height;
    double lookahead_ms, hold_ms;
    int detect_every, threads;
    const char *keep_zones[64], *hide_zones[64];
    size_t n_keep_zones, n_hide_zones;
    /* encoding */
    const char *codec, *bit_rate, *crf, *preset, *tune, *pixel_format, *encoder_options;
    int gop;
    /* live */
    bool live, realtime, loop, listen, stay;
    const char *record, *hwaccel, *metrics, *config, *input_options, *output_options, *card, *size;
    const char *mask_video;
    int tracks_format; /* tracks_format of tracks_out.h */
    bool latency;
    double duration_s, fps, input_timeout_s;
    int status; /* 0 text, 1 json, 2 none */
    /* messages */
    bool quiet, verbose, help, version;
    int progress; /* 0 auto, 1 bar, 2 json, 3 none */
} cli_options;

/* Exit statuses. */
#define CLI_OK          0
#define CLI_FAILED      1
#define CLI_USAGE       2
#define CLI_INCOMPLETE  3   /* written, but frames are covered or missing */
#define CLI_INTERRUPTED 130 /* as shells say for Ctrl-C */

/* Returns 0, or CLI_USAGE after one line on stderr. options_free in both cases. */
int options_parse(cli_options *o, unsigned command, const char *name, int argc, char **argv);
void options_free(cli_options *o);
/* The options of a command, grouped. */
void options_help(unsigned command);

/* One line on stderr: "veil: run: text". */
void cli_error(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The nearest of n words, or NULL when none is near. */
const char *options_nearest(const char *word, const char *const *words, size_t n);

#endif
