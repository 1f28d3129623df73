/* Holds analysed frames for the look-ahead and fixes what is hidden in the oldest one with what
 * came after: births are carried back, gaps interpolated, masks are the union over neighbouring
 * frames, and a face is shown only when nothing up to now speaks against it. Look-ahead 0 is the
 * same code with a window of one frame. Draws nothing. */
#ifndef VL_TIMELINE_H
#define VL_TIMELINE_H

#include "track.h"

/* A track in one frame. */
typedef struct {
    uint32_t id;
    vl_rect box;     /* upright px */
    vl_rect cover;   /* what must be hidden, before padding */
    float score;     /* 0: not detected in this frame */
    float interview; /* over time */
    uint32_t age, lost;
    bool detected, keep;
    veil_reason reason;
} vl_entry;

/* Entries sorted by id. */
typedef struct {
    vl_entry *e;
    size_t n, cap;
} vl_entries;

typedef struct {
    veil_frame frame;
    uint32_t epoch;   /* frames of different epochs show different scenes */
    vl_motion camera; /* since the frame before, upright px */
    bool covered;     /* analysis failed: cover the frame, reason says why */
    veil_reason reason;
    bool detected; /* the network ran on this frame */
    vl_entries entries;
    vl_entries weak; /* detections too weak to start a track, id 0; only their boxes count */
} vl_slot;

typedef struct vl_timeline vl_timeline;

/* lookahead_ns >= 0; max_held >= 1. */
int vl_timeline_create(vl_timeline **out, int64_t lookahead_ns, int32_t max_held);
void vl_timeline_destroy(vl_timeline *t);

int64_t vl_timeline_lookahead_ns(const vl_timeline *t);
size_t vl_timeline_held(const vl_timeline *t);
bool vl_timeline_full(const vl_timeline *t);

/* A slot for the next frame, empty and covered until the caller says otherwise. NULL: full. */
vl_slot *vl_timeline_add(vl_timeline *t, const veil_frame *f);

/* Copies the tracks into a slot. VEIL_E_NOMEM: the slot stays covered. */
int vl_timeline_fill(vl_slot *slot, const vl_track *tracks, size_t n);

/* Notes a detection that no track took. VEIL_E_NOMEM: the slot is to be covered. */
int vl_timeline_add_weak(vl_slot *slot, const veil_detection *d);

/* The oldest frame's look-ahead is complete. flush: it may leave in any case. */
bool vl_timeline_ready(const vl_timeline *t, bool flush);

/* What holds for the oldest frame, sorted by id, valid until the next call of fix or pop. NULL with
 * *err VEIL_E_NOMEM: cover the frame. */
const vl_entries *vl_timeline_fix(vl_timeline *t, int *err);

/* The oldest slot; NULL: none. */
vl_slot *vl_timeline_oldest(vl_timeline *t);

/* The oldest frame leaves; what was fixed for it becomes the past of the next. */
void vl_timeline_pop(vl_timeline *t);

/* What was fixed for the frame that left last; n 0: nothing, another epoch or it was covered. */
const vl_entries *vl_timeline_past(const vl_timeline *t);

/* Entry of a track, NULL: none. */
vl_entry *vl_timeline_find(const vl_entries *list, uint32_t id);

/* Forgets the past and all held slots. */
void vl_timeline_clear(vl_timeline *t);

#endif
