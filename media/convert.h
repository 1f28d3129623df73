/* Makes every decoded frame one that libveil may write to: own memory, the working format, the
 * size the stream began with. */
#ifndef MEDIA_CONVERT_H
#define MEDIA_CONVERT_H

#include "error.h"

#include <libavutil/frame.h>

typedef struct convert convert;

int convert_create(convert **out, enum AVPixelFormat format, int width, int height,
                   media_error *err);
void convert_destroy(convert *c);
/* From now on YUV comes out in limited range, whatever went in. */
void convert_limit_range(convert *c);
/* Replaces the frame's pixels. Time and colour description stay. */
int convert_frame(convert *c, AVFrame *frame, media_error *err);

#endif
