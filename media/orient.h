/* Display matrices: which way up a picture is, and turning its pixels where the output cannot say
 * so. */
#ifndef MEDIA_ORIENT_H
#define MEDIA_ORIENT_H

#include "error.h"

#include <libavutil/frame.h>
#include <stdint.h>

/* Degrees clockwise that turn the picture upright: 0, 90, 180 or 270, the nearest. matrix is a
 * display matrix of 9 values or NULL. Mirroring is left out: faces are found mirrored too. */
int orient_rotation(const int32_t *matrix);
/* True when the picture as stored is not the picture as shown. */
bool orient_needed(const int32_t *matrix);
/* True when it is also mirrored. */
bool orient_mirrors(const int32_t *matrix);
/* Fills a display matrix for an EXIF orientation of 1..8. */
void orient_from_exif(int32_t matrix[9], int orientation);

/* Turns pixels. One object for frames of one matrix; size and format may change between them. */
typedef struct orient orient;

int orient_create(orient **out, const int32_t matrix[9], media_error *err);
void orient_destroy(orient *o);
/* Replaces the frame by one turned upright, without a display matrix. */
int orient_frame(orient *o, AVFrame *frame, media_error *err);

#endif
