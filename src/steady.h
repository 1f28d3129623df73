/* Keeps masks still: a mask that must hold a trembling box stays the same size and moves only with
 * the camera, in whole steps, until the box leaves it. So neither the viewer nor the encoder sees
 * it tremble. Never smaller than what must be hidden. Draws nothing. */
#ifndef VL_STEADY_H
#define VL_STEADY_H

#include "frame.h"
#include "motion.h"

typedef struct vl_steady vl_steady;

int vl_steady_create(vl_steady **out);
void vl_steady_destroy(vl_steady *s);

/* Forgets all masks: another scene, or a frame that was covered. */
void vl_steady_reset(vl_steady *s);

/* The next frame: the camera moved so since the one before; px as the boxes given below. Masks
 * that were not asked for in the frame before are forgotten. */
void vl_steady_next(vl_steady *s, const vl_motion *camera);

/* The mask of a track in this frame: holds all of need. A need that is no place comes back as it
 * is, and so does every need when there is no memory left. */
vl_rect vl_steady_mask(vl_steady *s, uint32_t id, vl_rect need);

#endif
