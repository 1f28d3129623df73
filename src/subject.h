/* Who may stay visible: evidence per track over time, keep rules, zones, the user's word. Unknown
 * means hidden. docs/decision.md says it in plain words. */
#ifndef VL_SUBJECT_H
#define VL_SUBJECT_H

#include "track.h"

typedef struct {
    veil_keep keep;
    float keep_score;
    const veil_zone *zones;
    size_t n_zones;
    int32_t width, height; /* upright px */
} vl_subject_rules;

/* For the rules that choose one face (largest, centre). Zero: nobody. */
typedef struct {
    uint32_t holder;     /* track that is visible */
    uint32_t challenger; /* track that would be better */
    int64_t since_ns;    /* challenger is better since */
} vl_subject;

/* Decides for every track of one frame: sets evidence.keep and evidence.reason. */
void vl_subject_step(vl_subject *s, const vl_subject_rules *r, int64_t pts_ns, vl_track *tracks,
                     size_t n);

/* P(interview) over time, 0..1. */
float vl_subject_probability(const vl_evidence *e);

/* The user's word; KEEP counts only as long as the track surely is the same person. */
void vl_subject_user(vl_evidence *e, veil_decision d);

#endif
