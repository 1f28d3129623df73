/* roc.h - two-class figures: ROC, area under it, operating points, accuracy. Positive = interview.
 * Does not know where the scores come from. */
#ifndef EVAL_ROC_H
#define EVAL_ROC_H

#include <stddef.h>

/** One judged face: how interview-like it was called, and what it is. */
typedef struct {
    double score;  /**< any scale, higher = more interview-like; NaN counts as the lowest */
    int interview; /**< 1: interview, 0: background */
} ev_judged;

/** Faces with a score of threshold or more are called interview. */
typedef struct {
    double threshold;
    double kept;   /**< share of interview faces called interview, 0..1 */
    double hidden; /**< share of background faces called background, 0..1 */
} ev_roc_point;

typedef struct {
    ev_roc_point *points; /**< from "none is interview" to "all are", one for each distinct score */
    size_t n;
    size_t n_interview, n_background;
    double auc; /**< 0..1; 0.5 = chance; equals count half */
} ev_roc;

/** Makes the curve. 0, or -1: no memory, or a class has no face. Free with ev_roc_free. */
int ev_roc_make(ev_roc *roc, const ev_judged *faces, size_t n);

/** The point with the most background hidden among those that keep at least this share. */
ev_roc_point ev_roc_keeping(const ev_roc *roc, double kept);

/** Share of all faces called right at a fixed threshold, 0..1. */
double ev_roc_accuracy(const ev_judged *faces, size_t n, double threshold);

void ev_roc_free(ev_roc *roc);

#endif
