/* What was hidden and what stayed visible: counts for the summary, --report and --audit. */
#ifndef MEDIA_REPORT_H
#define MEDIA_REPORT_H

#include "shown.h"
#include "veil.h"

#include <jansson.h>
#include <libavutil/rational.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A stretch of time in which a track was visible, or (track 0) the picture covered. */
typedef struct {
    uint32_t track;
    double start_s, end_s;
    int64_t last_frame;
    veil_reason reason;
} report_range;

typedef struct {
    int64_t frames, hidden_boxes, kept_boxes, covered, frames_with_hidden, frames_with_kept;
    uint8_t *seen; /* a byte per track id: 1 hidden once, 2 kept once */
    size_t n_seen;
    report_range *ranges;
    size_t n_ranges, capacity;
    bool out_of_memory;
} report;

void report_frame(report *r, const media_shown *shown, AVRational time_base);
void report_free(report *r);
/* Distinct faces that were always hidden, and that were visible at some time. */
void report_faces(const report *r, int64_t *hidden, int64_t *kept);
/* NULL when out of memory. */
json_t *report_json(const report *r, const char *input, const char *output, double elapsed_s);

/* One audit line. */
void report_audit(FILE *file, const char *input, const veil_event *event);

#endif
