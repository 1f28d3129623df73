/* The black-and-white video of veil detect: white where veil redact would hide a face of the tracks
 * written beside it, black elsewhere. */
#ifndef CLI_MASK_VIDEO_H
#define CLI_MASK_VIDEO_H

#include "session.h"
#include "shown.h"

typedef struct mask_video mask_video;

/* s: the session whose drawing settings count. NULL after one line on stderr. */
mask_video *mask_video_open(const session *s, const char *command);
void mask_video_close(mask_video *m);

/* Draws the frame's masks over everything that is in it. */
int mask_video_draw(mask_video *m, const media_shown *shown, media_error *err);

#endif
