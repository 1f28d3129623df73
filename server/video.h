/* The hidden live picture as H.264 in fragments of MP4, one a frame, for Media Source in browsers.
 * It takes previews only, which were hidden or covered already. */
#ifndef SERVER_VIDEO_H
#define SERVER_VIDEO_H

#include "error.h"
#include "live.h"

#include <stdbool.h>

typedef struct video video;

/* Bytes that belong to whoever asked for them (free). */
typedef struct {
    void *data;
    size_t size;
} video_bytes;

/* Whether there is an encoder for it. */
bool video_possible(void);
/* For pictures of this one's size; its time is the zero of the stream. quality 1..100. head gets
 * what has to come before all fragments. */
int video_open(video **out, const live_picture *first, int quality, video_bytes *head,
               media_error *err);
/* NULL is fine. */
void video_close(video *v);
/* From the next picture on. */
void video_set_quality(video *v, int quality);
/* Whether this picture can follow. */
bool video_fits(const video *v, const live_picture *p);
/* The fragment of this picture; key asks for one to begin with, and says whether it became one. */
int video_add(video *v, const live_picture *p, bool *key, video_bytes *out, media_error *err);
/* Seconds from the stream's zero. */
double video_time(const video *v, const live_picture *p);

#endif
