/* The one way from decoded frames to frames that may be shown: through libveil. */
#ifndef MEDIA_STAGE_H
#define MEDIA_STAGE_H

#include "error.h"
#include "shown.h"

typedef struct stage stage;

typedef struct {
    veil *veil; /* borrowed; frames of one stage at a time */
    AVRational time_base;
    int rotation; /* as veil_frame.rotation */
    /* Look-ahead: several frames are held. Else each comes out at once (veil_process). */
    bool hold;
    /* Set: masks come from the caller (veil_redact) instead of the analysis. *tracks is borrowed
     * until the next call. Returns their count, or -1 when nothing is known about this frame,
     * which is then covered. */
    int (*masks)(void *user, int64_t index, const AVFrame *frame, const veil_track **tracks);
    void *user;
} stage_options;

int stage_create(stage **out, const stage_options *options, media_error *err);
/* Frames still held are freed unshown. */
void stage_destroy(stage *s);

/* Gives a frame (writable, in a format of libveil); its reference moves to the stage. Returns 0, 1
 * when frames must be received first (the frame stays the caller's), or -1. */
int stage_send(stage *s, AVFrame *frame, media_error *err);
/* Returns 1 and a frame (free with media_shown_free), 0 when there is none yet, or -1. */
int stage_receive(stage *s, media_shown **out, media_error *err);
/* No more frames come; those held can be received. */
int stage_flush(stage *s, media_error *err);

/* A cover without any analysis, for times without frames: frame (writable, in a format of libveil;
 * its reference moves) is covered whole; then card, a picture of the user's own of the same size
 * and format, is laid over it, if there is one. */
int stage_card(media_shown **out, AVFrame *frame, const AVFrame *card, veil_reason reason,
               media_error *err);
/* The same picture again, to be shown at another time. Only covers can be repeated. */
media_shown *stage_repeat(const media_shown *covered, int64_t pts);

#endif
