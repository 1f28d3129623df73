/* What veil detect writes of each frame: our JSON lines, MOT's text, or a CSV table. */
#ifndef CLI_TRACKS_OUT_H
#define CLI_TRACKS_OUT_H

#include "pipeline.h"

#include <stdio.h>

typedef enum { TRACKS_JSONL = 0, TRACKS_MOT, TRACKS_CSV } tracks_format;

/* The line or lines before the first frame of an input. first: of the first input. */
int tracks_out_head(FILE *out, tracks_format format, const char *input, bool first,
                    const pipeline_start *start, media_error *err);

/* All faces of a frame; time_s from the clip's zero. latency: say how long it was held. */
int tracks_out_frame(FILE *out, tracks_format format, const char *input, const media_shown *shown,
                     double time_s, bool latency, media_error *err);

#endif
