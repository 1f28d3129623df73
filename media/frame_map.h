/* Which pixel formats go to libveil as they are, and which nearest one the others become. */
#ifndef MEDIA_FRAME_MAP_H
#define MEDIA_FRAME_MAP_H

#include "veil.h"

#include <libavcodec/avcodec.h>
#include <libavutil/frame.h>
#include <stdbool.h>

/* VEIL_FORMAT_NONE when libveil has no such format. */
veil_format frame_map_veil(enum AVPixelFormat format);

/* The format libveil takes that loses least of it: itself when possible. */
enum AVPixelFormat frame_map_nearest(enum AVPixelFormat format);

/* work: what libveil gets. encode: what the encoder gets; mostly the same. */
typedef struct {
    enum AVPixelFormat work, encode;
    const char *note; /* static text for people when something is lost, or NULL */
} frame_map_choice;

/* Chooses for a source format and a list of what the encoder takes (ended by AV_PIX_FMT_NONE;
 * NULL = anything). no_subsampling_x/y: the size is odd there and the codec cannot hold that. */
frame_map_choice frame_map_choose(enum AVPixelFormat source,
                                  const enum AVPixelFormat *encoder_takes, bool no_subsampling_x,
                                  bool no_subsampling_y);

/* Describes an AVFrame for libveil; pixels are shared. False when its format is not libveil's. */
bool frame_map_fill(veil_frame *out, const AVFrame *frame, AVRational time_base, int rotation);

#endif
