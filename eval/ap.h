/* ap.h - average precision by the WIDER FACE protocol: IoU 0.5, 1000 thresholds, faces that are not
 * in the subset's list ignored, VOC-style area. Does not read files and does not scale scores: see
 * ev_ap_normalise. */
#ifndef EVAL_AP_H
#define EVAL_AP_H

#include "box.h"

#define EV_AP_STEPS 1000

/** A box that a detector found. */
typedef struct {
    ev_box box;
    double score;
} ev_found;

/** Counts of one subset (easy, medium, hard) over all pictures; zero to start. */
typedef struct {
    double true_found[EV_AP_STEPS]; /**< wanted faces found with a score of at least 1-(i+1)/1000 */
    double proposed[EV_AP_STEPS];   /**< boxes there that do not fall on ignored faces */
    size_t n_wanted;                /**< faces of the subset */
    double precision[EV_AP_STEPS], recall[EV_AP_STEPS]; /**< filled by ev_ap_finish */
    double ap;                                          /**< 0..1, filled by ev_ap_finish */
} ev_ap;

/** Sorts best first, keeping the order of equals. 0 or -1 (no memory). */
int ev_ap_sort(ev_found *found, size_t n);

/** Stretches the scores of all pictures' boxes so that the lowest is 0 and the highest 1. */
void ev_ap_normalise(ev_found *found, size_t n);

/** Counts one picture. found: best first, scores normalised. wanted[i] non-zero when faces[i] is in
 * the subset. 0 or -1 (no memory). */
int ev_ap_add(ev_ap *ap, const ev_found *found, size_t n_found, const ev_box *faces,
              const unsigned char *wanted, size_t n_faces);

/** Fills precision, recall and ap, and returns ap. No face in the subset gives 0. */
double ev_ap_finish(ev_ap *ap);

#endif
