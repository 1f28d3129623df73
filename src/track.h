/* Faces followed over time. Predicts each track (Kalman filter and camera movement), gives it the
 * detection that fits it (two score thresholds, optimal assignment), starts tracks at once, or late
 * where the picture's edge cuts a face, and holds lost ones. Decides nothing about who is
 * visible. */
#ifndef VL_TRACK_H
#define VL_TRACK_H

#include "kalman.h"
#include "motion.h"
#include "veil.h"

#define VL_TRACK_MAX     2048 /* tracks alive, lost ones included */
#define VL_TRACK_DET_MAX 1024 /* detections in a frame */

/* How long a doubtful track is held, and lives on weak detections alone. */
#define VL_TRACK_DOUBTFUL_NS 250000000
/* How long a track is held that never had a sure detection. */
#define VL_TRACK_EARLY_NS 70000000

/* What subject.c remembers of a track; zero at birth. */
typedef struct {
    float log_odds;   /* of interview against background */
    bool started;     /* log_odds was set from the prior */
    int64_t voted_ns; /* time of the last vote */
    int64_t for_ns;   /* time of votes for interview since birth or distrust */
    uint32_t votes;   /* votes since birth or distrust */
    bool trusted;     /* the user's KEEP still belongs to this person */
    bool keep;        /* decision of the last frame */
    veil_reason reason;
    veil_decision user; /* the user's word */
} vl_evidence;

typedef struct {
    uint32_t id;
    vl_kalman k;
    vl_rect box;        /* detection of this frame, or predicted; upright px */
    vl_rect cover;      /* what must be hidden: detection and filter, grown with uncertainty */
    float score;        /* of this frame's detection, 0: none */
    float interview;    /* P(interview) of this frame's detection */
    bool detected;      /* in this frame */
    bool unsure;        /* this frame's detection might be another person's */
    uint32_t age, lost; /* frames since birth, since the last detection */
    uint32_t hits;      /* detections */
    int64_t sure_ns;    /* last detection that might have started a track */
    bool sure;          /* a detection started it, or would have, without early_score */
    bool proven;        /* a detection was beyond doubt */
    bool doubtful;      /* not proven, and so large that a real face would be */
    int64_t born_ns, seen_ns;
    int64_t behind_ns; /* since then, time in which a kept face was before it */
    int64_t gap_ns; /* time between this frame's detection and the one before, 0: none or first */
    vl_evidence evidence;
} vl_track;

typedef struct {
    veil_tracker kind;
    float min_score, low_score;
    /* Weak detections from here on start a track that is hardly held, and any at an edge where the
     * camera brings something in; 0: none. */
    float early_score;
    int64_t hold_ns;
    float width_px, height_px; /* of the picture */
} vl_track_rules;

typedef struct vl_tracker vl_tracker;

int vl_track_create(vl_tracker **out);
void vl_track_destroy(vl_tracker *t);

/* Ends all tracks. Ids go on. */
void vl_track_reset(vl_tracker *t);

/* The next frame. camera: movement since the frame before. dets: what the network found, best
 * first, upright px; NULL when it did not run on this frame (then no track starts or ends). Fails
 * with VEIL_E_NOMEM, or VEIL_E_SIZE when there are too many faces; then the frame must be covered
 * and the tracker reset. */
int vl_track_step(vl_tracker *t, const vl_track_rules *rules, int64_t pts_ns,
                  const vl_motion *camera, const veil_detection *dets, size_t n_dets);

/* Tracks of the last step, oldest first, valid until the next step. Evidence may be written. */
vl_track *vl_track_list(vl_tracker *t, size_t *n);

/* Did this detection of the last step continue or start a track? Weak ones may be left over. */
bool vl_track_used(const vl_tracker *t, size_t det);

/* Smallest box around both. */
vl_rect vl_track_hull(vl_rect a, vl_rect b);

/* Box grown by part of its size on each side. */
vl_rect vl_track_grown(vl_rect r, float part);

#endif
