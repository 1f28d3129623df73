/* Tracks of every frame from a file that veil detect wrote and a person may have edited. */
#ifndef CLI_EDITS_H
#define CLI_EDITS_H

#include "veil.h"

#include <stdint.h>
#include <stdio.h>

typedef struct edits edits;

/* JSON lines: a header, frames ({"frame":0,"tracks":[...]}), and anywhere
 * {"edit":{"track":3,"decision":"keep"}} for a whole track, or with "box":[x,y,w,h] for an area of
 * its own; both may have "from" and "to" in seconds. NULL after one line on stderr. */
edits *edits_load(const char *path, const char *command);
void edits_free(edits *e);
/* Masks of a frame at time_s; *tracks is the caller's to change until the next call. -1: the file
 * says nothing about the frame. */
int edits_frame(edits *e, int64_t frame, double time_s, veil_track **tracks);
/* Size of the pictures the file is about; 0 when it does not say. */
void edits_size(const edits *e, int *width, int *height);

#endif
