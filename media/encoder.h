/* The video encoder. It takes shown frames only, and gives every packet the exact time of its
 * frame, whatever clock the codec itself can count with. */
#ifndef MEDIA_ENCODER_H
#define MEDIA_ENCODER_H

#include "error.h"
#include "frame_map.h"
#include "shown.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

typedef struct encoder encoder;

/* What the user asked for; NULL, 0 and -1 mean the default. */
typedef struct {
    const char *codec; /* encoder or codec name */
    const char *preset, *tune, *crf, *bit_rate;
    const char *pixel_format;
    const char *extra; /* more options of the encoder, k=v:k=v */
    int gop;           /* frames between key frames */
    int threads;       /* 0 = the encoder's own choice */
} encoder_options;

/* What is to be encoded. */
typedef struct {
    const AVFrame *frame; /* a decoded frame: size, format, colour, aspect, fields */
    const AVCodecParameters *params;
    int width, height;
    AVRational time_base;            /* of the frames */
    AVRational rate;                 /* frames a second, {0, 1} = unknown */
    const AVOutputFormat *container; /* NULL: a still picture in a file of its own */
    bool is_picture;
    bool global_header; /* parameter sets beside the packets, even if the container needs none */
} encoder_source;

int encoder_open(encoder **out, const encoder_options *options, const encoder_source *source,
                 const AVCodec *codec, media_error *err);
void encoder_close(encoder *e);
const AVCodecContext *encoder_context(const encoder *e);
frame_map_choice encoder_formats(const encoder *e);

/* NULL shown = the end. The frame is not kept after its packet came out. */
int encoder_send(encoder *e, const media_shown *shown, media_error *err);
/* The next frame becomes a key frame. */
void encoder_request_key(encoder *e);
/* Returns 1 with a packet in the time base of the source, 0 when there is none yet or no more, or
 * -1. */
int encoder_receive(encoder *e, AVPacket *packet, media_error *err);

/* The encoder of this name for video, by encoder or codec name. NULL sets err. */
const AVCodec *encoder_find(const char *name, media_error *err);
/* The default of a container. */
const AVCodec *encoder_for_container(const AVOutputFormat *container, media_error *err);

#endif
