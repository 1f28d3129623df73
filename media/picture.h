/* Loading a still picture into memory, for --replaceimg. */
#ifndef MEDIA_PICTURE_H
#define MEDIA_PICTURE_H

#include "input.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t *pixels; /* RGBA, free() */
    int width, height;
    ptrdiff_t stride; /* bytes */
} media_picture;

/* max_px bounds width and height. */
int media_picture_load(media_picture *out, const char *path, int max_px, media_error *err);
/* The same with the formats and protocols of options. */
int media_picture_load_from(media_picture *out, const media_input_options *options, int max_px,
                            media_error *err);

#endif
