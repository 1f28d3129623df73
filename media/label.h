/* Small labels on shown frames, for --draw-scores. */
#ifndef MEDIA_LABEL_H
#define MEDIA_LABEL_H

#include "shown.h"

/* Writes each track's score (0.87) in its box's upper left corner, in white on black. */
void label_scores(const media_shown *shown);

#endif
