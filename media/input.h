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
    const char *path;       /* "-" = stdin */
    const char *format;     /* demuxer name, NULL = by content */
    int threads;            /* of the decoder, 0 = one per core */
    bool video_only;        /* packets of other streams are not handed on */
    const atomic_int *stop; /* non-zero ends waiting for data; may be NULL */
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
/* Expected count of frames, 0 = unknown. */
int64_t media_input_expected_frames(const media_input *in);
/* Display matrix (9 values) of the stream, or of a picture once its frame was read; NULL = none. */
const int32_t *media_input_matrix(const media_input *in);

/* After MEDIA_ITEM_END: true when the file ended before its own description says it does; why is
 * then a static text. */
bool media_input_truncated(const media_input *in, const char **why);
/* Packets the decoder refused, so that their frames are missing. */
int64_t media_input_lost(const media_input *in);
/* Time stamps that were missing or went back and had to be made up. */
int64_t media_input_mended(const media_input *in);

#endif
