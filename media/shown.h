/* A frame that may be shown. Only stage.c makes one, out of a frame that libveil has analysed,
 * redacted or covered, and the encoder takes nothing else: no raw frame can get past. */
#ifndef MEDIA_SHOWN_H
#define MEDIA_SHOWN_H

#include "veil.h"

#include <libavutil/frame.h>

typedef struct {
    AVFrame *frame;
    int64_t index; /* from 0, in the order of the input */
    veil_result result;
    veil_track *tracks; /* as they were treated in this frame */
    size_t n_tracks;
    double held_s; /* of the clip's time, that this frame waited for others */
    double work_s; /* in libveil: analysis of the newest of them, and drawing */
} media_shown;

void media_shown_free(media_shown *shown);
/* Another reference to the same pixels, without the tracks; NULL when out of memory. */
media_shown *media_shown_ref(const media_shown *shown);

#endif
