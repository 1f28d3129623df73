/* leak.h - how well a video hides bystanders: exposed faces, longest leak, speaker frames hidden by
 * mistake, identity switches, flicker. Works on labels and results frame by frame; where they come
 * from (track files or pixels) is the caller's business. */
#ifndef EVAL_LEAK_H
#define EVAL_LEAK_H

#include "box.h"

typedef enum { EV_BACKGROUND = 0, EV_INTERVIEW } ev_class;

/** A labelled face in one frame. */
typedef struct {
    int id;
    ev_class class;
    ev_box box;
    double occluded; /**< 0..1, share that something covers */
    double hidden; /**< 0..1, share of the face that the result hides; by ev_leak_cover or pixels */
} ev_truth_face;

/** A followed face in one frame of the result. */
typedef struct {
    long id;
    ev_box box;
    int hide; /**< 1: hidden, 0: left visible */
} ev_track_box;

/** Where the result draws, on a coarse grid over the picture; for flicker. */
#define EV_MASK_COLS 320
#define EV_MASK_ROWS 180
typedef struct {
    unsigned char cell[EV_MASK_ROWS][EV_MASK_COLS]; /**< 1: hidden */
} ev_mask;

/** What counts; fill with ev_leak_rules_init. */
typedef struct {
    double cover;        /**< share of a face that must be hidden, default 0.5 */
    double max_occluded; /**< faces covered by more than this are not counted, default 0.7 */
    double padding;      /**< added to each side of a result's box, part of it, default 0.20 */
    double big_px;       /**< height of a "big" face, default 24 px */
    int ellipse; /**< masks are the library's ellipses (1, default) or the padded boxes (0) */
} ev_leak_rules;

/** One uninterrupted stretch in which a bystander could be seen. */
typedef struct {
    int id;
    size_t first, last; /**< labelled frames, as numbered by the caller */
    double start_s, length_ms;
    double height_px; /**< of the face, the largest in the stretch */
    ev_box box;       /**< of the face in the frame where it was largest */
    size_t at;        /**< that frame */
} ev_leak_run;

typedef struct ev_leak_state ev_leak_state;

/** Figures over all frames given so far. */
typedef struct {
    size_t n_frames;
    double seconds;                     /**< labelled time */
    size_t faces, faces_hidden;         /**< background face frames */
    size_t big_faces, big_faces_hidden; /**< those of at least big_px */
    size_t exposed;                     /**< faces - faces_hidden */
    double exposed_per_minute, big_exposed_per_minute;
    double longest_leak_ms, big_longest_leak_ms;
    size_t speaker, speaker_hidden; /**< interview face frames, and those hidden */
    size_t id_switches;             /**< a truth face followed under another id than before */
    size_t mask_pairs;              /**< neighbouring frames with a mask in either */
    double mask_iou_mean, mask_iou_p5, mask_iou_min;
    const ev_leak_run *runs; /**< in order of start; valid until the next call */
    size_t n_runs;
} ev_leak_figures;

void ev_leak_rules_init(ev_leak_rules *rules);

/** NULL when out of memory. */
ev_leak_state *ev_leak_new(const ev_leak_rules *rules);
void ev_leak_free(ev_leak_state *state);

/** Fills in hidden of each face: the share of its ellipse inside the masks of the tracks. covered:
 * the whole frame is hidden. */
void ev_leak_cover(const ev_leak_rules *rules, ev_truth_face *faces, size_t n_faces,
                   const ev_track_box *tracks, size_t n_tracks, int covered);

/** Draws the masks of the tracks on the grid of a picture of width x height px. */
void ev_leak_draw(const ev_leak_rules *rules, ev_mask *mask, const ev_track_box *tracks,
                  size_t n_tracks, int covered, double width, double height);

/** Adds a frame, in order of time. frame: the caller's number; pts_s and length_s: its time and how
 * long it is shown (to the next labelled frame). tracks may be NULL (no ids known): then switches
 * are not counted. mask may be NULL. 0 or -1 (no memory). */
int ev_leak_add(ev_leak_state *state, size_t frame, double pts_s, double length_s,
                const ev_truth_face *faces, size_t n_faces, const ev_track_box *tracks,
                size_t n_tracks, const ev_mask *mask);

/** Figures so far. */
ev_leak_figures ev_leak_result(ev_leak_state *state);

/** Whether a face counts at all, and whether it is hidden enough, by the rules. */
int ev_leak_counts(const ev_leak_rules *rules, const ev_truth_face *face);
int ev_leak_hidden(const ev_leak_rules *rules, const ev_truth_face *face);

#endif
