/* Writing one file, pipe or address: shown frames are encoded, packets of other streams copied. A
 * file appears under its name only when it is whole. */
#ifndef MEDIA_OUTPUT_H
#define MEDIA_OUTPUT_H

#include "encoder.h"
#include "input.h"
#include "shown.h"
#include "streams.h"

typedef struct media_output media_output;

typedef struct {
    const char *path;   /* "-" = stdout */
    const char *format; /* muxer name, NULL = by the path's ending */
    bool overwrite;
    encoder_options encoder;
    streams_options streams;
    const atomic_int *stop; /* non-zero ends waiting; may be NULL */
} media_output_options;

/* Opens everything, after the first frame of the input was decoded. */
int media_output_open(media_output **out, const media_output_options *options,
                      const media_input *in, const AVFrame *first, media_error *err);
/* Closes; the file is removed unless media_output_finish succeeded. NULL is fine. */
void media_output_close(media_output *o);

/* True when the pixels have to be turned upright before libveil, since the output cannot say that
 * they are not. */
bool media_output_turns(const media_output *o);
/* Format libveil has to work in, and what is lost by it (NULL = nothing). */
enum AVPixelFormat media_output_format(const media_output *o);
const char *media_output_loss(const media_output *o);
const char *media_output_codec(const media_output *o);

/* Encodes a frame. Time stamps are in the input's time base. */
int media_output_frame(media_output *o, const media_shown *shown, media_error *err);
/* Copies a packet of the input; its reference is taken. Those of streams left out are dropped. */
int media_output_packet(media_output *o, AVPacket *packet, media_error *err);
/* Writes what is left, closes the file, makes it durable and gives it its name. */
int media_output_finish(media_output *o, media_error *err);

/* Whether a path's ending or a format names a still picture. */
bool media_output_is_picture(const char *path, const char *format);
/* NULL and err set when the format of a path cannot be told. */
const AVOutputFormat *media_output_container(const char *path, const char *format,
                                             media_error *err);

#endif
