/* The inside of a veil, shared by veil.c (public functions), analyse.c (a frame comes in) and
 * hide.c (a frame goes out). */
#ifndef VL_VEIL_PRIV_H
#define VL_VEIL_PRIV_H

#include "again.h"
#include "detect.h"
#include "fault.h"
#include "motion.h"
#include "pool.h"
#include "redact.h"
#include "settings.h"
#include "steady.h"
#include "subject.h"
#include "timeline.h"
#include "track.h"

#include <pthread.h>
#include <stdatomic.h>

/* Test seam: finds faces in place of the network; boxes in upright px, best first. */
typedef int (*vl_detector)(void *user, const veil_frame *f, veil_detection *out, size_t cap,
                           size_t *n);

/* The user's word on a track. */
typedef struct {
    uint32_t track;
    veil_decision decision;
    bool fresh; /* not yet told to the track */
} vl_wish;

struct veil {
    /* Fixed at creation. */
    vl_pool *pool;
    vl_model *model;
    vl_net *net;
    vl_detect *detect;
    vl_again *again; /* NULL: the model asks for none */
    vl_scale *scale;
    vl_redact *redact;
    vl_tracker *tracker;
    vl_timeline *timeline;
    vl_fault fault;
    vl_detector detector; /* NULL: the network */
    void *detector_user;
    int32_t input_width, input_height; /* 0: from the frame */
    void (*on_event)(void *user, const veil_event *event);
    void (*log)(void *user, int level, const char *text);
    void *user;

    /* Of the thread that processes. */
    vl_settings now; /* settings of the frame in analysis */
    vl_subject subject;
    int32_t width, height; /* upright px of the frame before, 0: none */
    int32_t rotation;
    bool planned; /* the net has the right size */
    uint32_t epoch;
    int64_t last_pts_ns;
    bool has_last;
    bool flushing;
    int32_t since_detect; /* frames since the network ran; -1: it must run */
    int32_t since_again;  /* times it ran since the further looks; -1: look at once */
    uint8_t *small[2];    /* [VL_MOTION_WIDTH * VL_MOTION_HEIGHT] luma of this frame and before */
    int32_t small_now, small_width, small_height;
    bool has_small;
    veil_detection *dets; /* [VL_TRACK_DET_MAX] */
    size_t n_dets;
    vl_rect *masks; /* grows */
    size_t cap_masks;
    vl_rect *aside; /* grows */
    size_t cap_aside;
    vl_steady *steady, *brought; /* masks of our own tracks, of the caller's */
    uint32_t steady_epoch;
    bool last_covered;

    /* Any thread, under lock. */
    pthread_mutex_t lock;
    bool has_lock;
    vl_settings set;
    vl_wish *wishes;
    size_t n_wishes, cap_wishes;
    veil_track *out; /* tracks of the frame that came out last */
    size_t n_out, cap_out;
    uint32_t last_id;

    /* Held while drawing, so that a replaced image is not in use any more. Taken before lock. */
    pthread_mutex_t draw;
    bool has_draw;
    atomic_int cover;
};

/* As veil_create, with a detector of the test's own (fn NULL: the network). */
int vl_veil_create(veil **out, const veil_options *opt, vl_detector fn, void *user);

/* Analyses slot->frame into the slot. Never fails halfway: on an error the slot stays covered and
 * the error is returned. */
int vl_analyse_frame(veil *v, vl_slot *slot);

/* Fixes and draws the oldest frame, or covers it. VEIL_OK or why it was covered. */
int vl_hide_frame(veil *v, veil_result *result);

/* Draws the masks of tracks the caller brings into f; on failure f is covered. */
int vl_hide_brought(veil *v, const veil_frame *f, const veil_track *tracks, size_t n,
                    const vl_settings *set);

void vl_veil_log(veil *v, int level, const char *text);

#endif
