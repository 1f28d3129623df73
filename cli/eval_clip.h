/* eval_clip.h - a video read frame by frame: its luma, and colour on demand. */
#ifndef CLI_EVAL_CLIP_H
#define CLI_EVAL_CLIP_H

#include "eval_io.h"
#include "pixels.h"

#include <libavutil/frame.h>

typedef struct clip clip;

/** NULL after saying why. */
clip *clip_open(const char *path);
void clip_close(clip *c);

/** Reads the next frame. 1: there is one, 0: the end, -1 after saying why. */
int clip_next(clip *c);

/** Of the frame read last: its number from 0, its time, and luma that lives until the next read. */
long clip_frame(const clip *c);
double clip_pts(const clip *c);
ev_luma clip_luma(const clip *c);

/** The frame read last as it is, yuv420p; lives until the next read. */
const AVFrame *clip_picture(const clip *c);

/** The frame read last in colour; 0, or -1 after saying why. Free rgb. */
int clip_rgb(clip *c, evio_picture *out);

#endif
