/* Loading a still picture into memory, for --replaceimg. */
#ifndef MEDIA_PICTURE_H
#define MEDIA_PICTURE_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t *pixels; /* RGBA, free() */
    int width, height;
    ptrdiff_t stride; /* bytes */
} media_picture;

/* max_px bounds width and height. */
int media_picture_load(media_picture *out, const char *path, int max_px, media_error *err);

#endif
