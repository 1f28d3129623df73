/* The orientation of a still picture from its EXIF block; reads nothing else of it. */
#ifndef MEDIA_EXIF_H
#define MEDIA_EXIF_H

#include <stddef.h>
#include <stdint.h>

/* data: a whole PNG, WebP or TIFF file (FFmpeg itself reads JPEG's). Returns 1..8, or 0 when there
 * is none or it is damaged. */
int exif_orientation(const uint8_t *data, size_t size);

#endif
