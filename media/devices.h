/* What this machine's FFmpeg and devices offer, for `veil doctor`. */
#ifndef MEDIA_DEVICES_H
#define MEDIA_DEVICES_H

#include <stdbool.h>
#include <stddef.h>

/* "libavformat 59.27.100" and so on; i from 0, NULL past the end. text is overwritten. */
const char *devices_library(size_t i, char *text, size_t size);
/* FFmpeg's release name, e.g. "5.1.9-0+deb12u1". */
const char *devices_ffmpeg_version(void);
bool devices_has_encoder(const char *name);
bool devices_has_decoder(const char *name);
bool devices_has_protocol(const char *name);
bool devices_has_input(const char *name);
/* i-th video encoder's name, NULL past the end. */
const char *devices_video_encoder(size_t i);

/* A V4L2 device, path and what it calls itself. Returns false past the end. */
typedef struct {
    char path[64], name[64], driver[32];
    bool readable, captures, plays; /* a camera; a loopback to write to */
} devices_camera;
bool devices_find_camera(size_t i, devices_camera *out);

#endif
