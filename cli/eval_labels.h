/* eval_labels.h - faces labelled in a video, and the tracks that a detector wrote for it, read from
 * files. */
#ifndef CLI_EVAL_LABELS_H
#define CLI_EVAL_LABELS_H

#include "leak.h"

/** Labels of one frame. */
typedef struct {
    long frame;   /**< from 0 */
    double pts_s; /**< NaN when the file does not say */
    ev_truth_face *faces;
    size_t n, cap;
} label_frame;

typedef struct {
    label_frame *frames; /**< rising */
    size_t n, cap;
} labels;

typedef struct {
    const char *interview_ids; /**< "3,7": these are interview (MOT); NULL = by class */
} labels_rules;

/** Reads our JSON lines, MOT (gt.txt) or CVAT XML (video), told apart by their first character.
 * 0, or -1 after saying why. */
int labels_read(labels *out, const char *path, const labels_rules *rules);
void labels_free(labels *l);

/* For the readers: room for frames 0..n-1; a face more in one of them. 0 or -1. */
int labels_dense(labels *l, size_t n);
int labels_add(label_frame *frame, const ev_truth_face *face);
int labels_read_cvat(labels *out, const char *path, const char *text, size_t size);

enum { LABELS_MAX_FRAMES = 2000000 };

/** What a detector says about one frame. */
typedef struct {
    long frame;
    double pts_s;      /**< NaN = not said */
    int covered;       /**< the whole frame is hidden */
    double latency_ms; /**< NaN = not said */
    ev_track_box *tracks;
    size_t n;
} result_frame;

typedef struct {
    result_frame *frames; /**< rising */
    size_t n, cap;
    double width, height; /**< of the picture, px; 0 = not said */
} result_tracks;

/** Reads the JSON lines of `veil detect`. 0, or -1 after saying why. */
int result_read(result_tracks *out, const char *path);
void result_free(result_tracks *r);

/** The frame of this number, NULL when there is none. */
const result_frame *result_find(const result_tracks *r, long frame);

#endif
