/* pixels.h - was a face really hidden? Compares the luma of an original frame with the frame that
 * came out. Works for every style: it asks how much of the face's own detail is still there. */
#ifndef EVAL_PIXELS_H
#define EVAL_PIXELS_H

#include "leak.h"

#include <stdint.h>

/** Luma of a frame, 8 bits. */
typedef struct {
    const uint8_t *y;
    ptrdiff_t stride; /**< bytes */
    int width, height;
} ev_luma;

/** How far two frames differ where nothing was hidden: twice the upper quartile of the mean
 * difference of 8x8-px blocks away from the faces, 3..12 levels. */
double ev_pixels_noise(ev_luma original, ev_luma redacted, const ev_truth_face *faces,
                       size_t n_faces);

/** Fills in hidden of each face: the share of its area whose detail is gone and that differs by
 * more than noise. Both frames have the same size. */
void ev_pixels_hidden(ev_luma original, ev_luma redacted, double noise, ev_truth_face *faces,
                      size_t n_faces);

/** Marks the cells of the grid that differ by more than noise. */
void ev_pixels_draw(ev_luma original, ev_luma redacted, double noise, ev_mask *mask);

#endif
