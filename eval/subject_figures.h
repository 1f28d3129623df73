/* subject_figures.h - is a network better than size at telling interviewees from bystanders?
 * Compares it with two rules that look at size alone. Does not know where faces and opinions come
 * from. */
#ifndef EVAL_SUBJECT_FIGURES_H
#define EVAL_SUBJECT_FIGURES_H

#include "box.h"
#include "roc.h"

/** One labelled face and what was said about it. */
typedef struct {
    int interview;
    double side;    /**< height as a part of the picture's short side */
    double network; /**< P(interview), NaN = not found */
    int largest;    /**< 1: no face of the picture has a larger area */
} ev_subject_face;

/** One way of telling. */
typedef struct {
    ev_roc roc;
    ev_roc_point at; /**< where enough interview faces are kept */
    double accuracy; /**< there, 0..1 */
} ev_subject_rule;

typedef struct {
    size_t n_interview, n_background;           /**< faces large enough */
    size_t missed_interview, missed_background; /**< of these not found */
    ev_subject_rule network, height;            /**< over the faces that were found */
    double accuracy_half;                       /**< network at P >= 0.5 */
    double largest_kept, largest_hidden;        /**< only the largest face stays: 0..1 */
    size_t height_wrong, network_right_there;   /**< where the height rule is wrong */
    size_t network_wrong, height_right_there;   /**< where the network is wrong */
    size_t largest_wrong, network_right_there_too;
    ev_subject_rule network_all, height_all; /**< over all; not found counts as left visible */
} ev_subject;

/** Figures over faces of at least min_side, each rule where at least this share of interview faces
 * is kept. 0, or -1: no memory, or a class without a face that was found. Free with
 * ev_subject_free, also after a failure. */
int ev_subject_make(ev_subject *out, const ev_subject_face *faces, size_t n, double min_side,
                    double kept);

void ev_subject_free(ev_subject *s);

#endif
