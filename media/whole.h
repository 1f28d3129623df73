/* Whether a still picture's file is all there; decoders often show what they got as if it were. */
#ifndef MEDIA_WHOLE_H
#define MEDIA_WHOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* data: a whole file. False when a JPEG, PNG or WebP ends before its end mark; true otherwise, also
 * for kinds it does not know. */
bool whole_picture(const uint8_t *data, size_t size);

#endif
