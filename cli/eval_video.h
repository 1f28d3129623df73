/* eval_video.h - what the parts of `veil eval video` hand to each other. */
#ifndef CLI_EVAL_VIDEO_H
#define CLI_EVAL_VIDEO_H

#include "eval_labels.h"

typedef struct {
    const char *truth, *result, *original, *redacted, *clip, *json, *html, *interview_ids;
    double fps, cover, max_occluded, padding, big_px;
    int box, show_faces, strict;
    ev_leak_rules rules;
} video_settings;

/** Everything measured; the faces of labels carry how much of them is hidden. */
typedef struct {
    labels truth;
    double *start_s, *length_s;  /**< of each labelled frame */
    unsigned char *measured;     /**< 0: the result lacks the frame and nothing was shown */
    size_t n_missing, n_covered; /**< labelled frames without a result, wholly covered */
    long n_original, n_redacted; /**< frames of the clips, when pixels were compared */
    double latency_ms[3];        /**< p50, p95, p99 */
    size_t n_latency;
    ev_leak_figures figures;
} video_result;

/** A picture of each leak, "data:" URLs, as many as figures.n_runs; entries may be NULL. At most
 * VIDEO_MAX_THUMBS are made. 0, or -1 after saying why. Free with video_thumbs_free. */
enum { VIDEO_MAX_THUMBS = 300 };
int video_thumbs(const char *clip_path, const video_result *r, int show_faces, char ***out);
void video_thumbs_free(char **thumbs, size_t n);

/** Writes the HTML report; 0, or -1 after saying why. */
int video_report(const video_settings *s, const video_result *r);

#endif
