/* recall.h - which faces a detector finds when it may be wrong so many times a picture. Every face
 * is matched once; faces that nobody needs to find (invalid, too small) cost nothing. */
#ifndef EVAL_RECALL_H
#define EVAL_RECALL_H

#include "ap.h"

/** One annotated face. */
typedef struct {
    ev_box box;
    int invalid; /**< annotators called it unusable: found or not, it does not count */
} ev_face;

/** Matches of all pictures, collected picture by picture; zero to start. */
typedef struct {
    double min_height; /**< px; smaller faces are ignored, smaller unmatched boxes not counted */
    size_t n_pictures;
    struct ev_recall_hit {
        double score, height; /**< of the box that found a face; height of the face, px */
        int found;            /**< 1: on a face, 0: false positive */
    } * hits;
    size_t n_hits, cap_hits;
    double *heights; /**< of every face that counts, px */
    size_t n_heights, cap_heights;
    int sorted;
} ev_recall;

/** What was found among faces of some heights at one threshold. */
typedef struct {
    double threshold; /**< boxes of this score or more are used */
    size_t n_faces, n_found;
    double false_per_picture; /**< reached; at most what was asked for */
} ev_recall_point;

/** Counts one picture; found best first. 0 or -1 (no memory). */
int ev_recall_add(ev_recall *r, const ev_found *found, size_t n_found, const ev_face *faces,
                  size_t n_faces);

/** The lowest threshold at which there are at most false_per_picture false positives a picture,
 * and the faces of from <= height < to px found there. */
ev_recall_point ev_recall_at(ev_recall *r, double false_per_picture, double from, double to);

/** Marks the faces that count and that no box with a score of threshold or more finds. found best
 * first. 0 or -1 (no memory). */
int ev_recall_missed(const ev_recall *r, const ev_found *found, size_t n_found,
                     const ev_face *faces, size_t n_faces, double threshold, unsigned char *missed);

void ev_recall_free(ev_recall *r);

#endif
