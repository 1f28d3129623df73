/* eval_io.h - what the parts of `veil eval` and `veil bench` share: options, messages, files,
 * pictures in, JSON and PNG out. */
#ifndef CLI_EVAL_IO_H
#define CLI_EVAL_IO_H

#include "box.h"
#include "plot.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** One line on stderr, "veil: " before it. Returns -1. */
int evio_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

typedef enum { EVIO_FLAG, EVIO_TEXT, EVIO_NUMBER } evio_kind;

/** An option "--name"; to points to an int (flag), const char * (text) or double (number). */
typedef struct {
    const char *name;
    evio_kind kind;
    void *to;
    const char *help;
} evio_option;

/** Reads all arguments after argv[0]; command is what comes after "veil". 0: go on; 1: help was
 * printed, stop with success; -1: said what is wrong. */
int evio_options(const char *command, int argc, char **argv, const evio_option *options, size_t n,
                 const char *about);

/** A whole file plus a zero byte behind it; NULL after saying why. size may be NULL. */
char *evio_read(const char *path, size_t *size);

/** The bytes of a model: a built-in one's name, or a file; NULL after saying why. */
char *evio_read_model(const char *name, size_t *size);

/** Opens for writing beside path; evio_close_out renames it into place or says what failed. "-" is
 * stdout. NULL after saying why. */
FILE *evio_open_out(const char *path);
int evio_close_out(FILE *file, const char *path);

/** Is this output "-"? Then the figures as text stay away, so that stdout is JSON alone. */
int evio_is_stdout(const char *path);

/** dir/name, and so on; a new string, NULL without memory. */
char *evio_join(const char *dir, const char *name);

/** --data, else $VEIL_DATA, else ../shared/data. */
const char *evio_data(const char *option);

/** The next JSON value of a file of JSON lines. 1: *out is to be decref'd; 0: the end; -1 after
 * saying why, with the path and *line, which counts lines from 1 (start with 1). */
int evio_json_next(FILE *f, const char *path, size_t *line, json_t **out);

/** Writes JSON to a file, "-" is stdout, and gives up the reference. 0, or -1 after saying why;
 * root may be NULL (out of memory). */
int evio_json_write(const char *path, json_t *root);

/** A picture, upright, 3 bytes R, G, B a px, rows of 3 * width. */
typedef struct {
    uint8_t *rgb;
    int width, height;
} evio_picture;

/** 0, or -1 after saying why. Free rgb. */
int evio_picture_read(const char *path, evio_picture *out);

/** A square three times as wide as the box (64 px at least) around it, scaled to side x side px of
 * 3 bytes, with a red frame around the box; grey where the picture ends. */
void evio_cut(const evio_picture *picture, ev_box box, uint8_t *out, int side);

/** PNG bytes of RGB pixels; NULL without memory. Free them. */
uint8_t *evio_png(const uint8_t *rgb, int width, int height, size_t *size);

/** The same as text for the src of an HTML image; NULL without memory. Free it. */
char *evio_png_url(const uint8_t *rgb, int width, int height);

/** Writes text into HTML, quoted where it must be. */
void evio_html(FILE *f, const char *text);

/** Writes a PNG file; 0, or -1 after saying why. */
int evio_png_write(const char *path, const uint8_t *rgb, int width, int height);

/** Writes a plot as PNG and frees it. 0, or -1 after saying why. */
int evio_plot_write(const char *path, ev_plot *plot);

/** Seconds on a clock that only goes forward. */
double evio_seconds(void);

#endif
