/* Opening, demuxing and decoding one file, pipe or address. One video stream is decoded; packets of
 * the others are handed on as they are. */
#ifndef MEDIA_INPUT_H
#define MEDIA_INPUT_H

#include "error.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef struct media_input media_input;

typedef struct {
    const char *path;   /* "-" = stdin */
    const char *format; /* demuxer name, NULL = by content */
    int threads;        /* of the decoder, 0 = one per core */
    bool video_only;    /* packets of other streams are not handed on */
    /* For files of strangers: comma-separated names of all that may be opened, NULL = anything. */
    const char *protocols, *formats;
    const atomic_int *stop; /* non-zero ends waiting for data; may be NULL */
    /* For streams; all may be zero. */
    bool live;                 /* little delay; times may jump, the caller sorts that out */
    const char *options;       /* of demuxer and protocol, k=v:k=v */
    bool (*ended)(void *user); /* true ends waiting for data, like stop */
    /* Set: bytes come from here instead of path. As read(2), 0 = the end. */
    int (*read)(void *user, uint8_t *data, int size);
    void *user;
    const char *hardware; /* FFmpeg's name of a device type, or "v4l2m2m"; NULL = software. Falls
                             back to software when it does not work. */
} media_input_options;

typedef enum {
    MEDIA_ITEM_END = 0,
    MEDIA_ITEM_FRAME, /* of the video stream, pts set and rising, in its time base */
    MEDIA_ITEM_PACKET /* of another stream, untouched */
} media_item;

int media_input_open(media_input **out, const media_input_options *options, media_error *err);
void media_input_close(media_input *in);

/* Reads the next item into frame or packet (both owned by the caller, unreferenced before).
 * Returns a media_item, or -1. */
int media_input_read(media_input *in, AVFrame *frame, AVPacket *packet, media_error *err);

AVFormatContext *media_input_context(const media_input *in);
AVStream *media_input_video(const media_input *in);
bool media_input_is_picture(const media_input *in);
/* Frames a second, best guess; {0, 1} when unknown. */
AVRational media_input_rate(const media_input *in);
/* The decoder, with the hardware it uses, e.g. "h264 (vaapi)". */
void media_input_decoder(const media_input *in, char *text, size_t size);
/* Expected count of frames, 0 = unknown. */
int64_t media_input_expected_frames(const media_input *in);
/* Display matrix (9 values) of the stream, or of a picture once its frame was read; NULL = none. */
const int32_t *media_input_matrix(const media_input *in);

/* From the arrival of its packet to the last frame. */
int64_t media_input_decode_ns(const media_input *in);

/* After MEDIA_ITEM_END: true when the file ended before its own description says it does; why is
 * then a static text. */
bool media_input_truncated(const media_input *in, const char **why);
/* Packets the decoder refused, so that their frames are missing. */
int64_t media_input_lost(const media_input *in);
/* Time stamps that were missing or went back and had to be made up. */
int64_t media_input_mended(const media_input *in);

#endif
