/* Size and place of masks. All have one proportion and come in coarse sizes, since the outline of a
 * box that fits a face tells whose it is. And they keep still: a mask that must hold a trembling
 * box stays the same size and moves only with the camera, in whole steps, until the box leaves it.
 * So neither the viewer nor the encoder sees it tremble. Never smaller than what must be hidden.
 * Draws nothing. */
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

/* The mask of a track in this frame: holds all of need (padding included). A need that is no place
 * comes back as it is. Without memory it is the mask that vl_steady_alone gives. */
vl_rect vl_steady_mask(vl_steady *s, uint32_t id, vl_rect need);

/* The mask of a face in a picture that stands alone. */
vl_rect vl_steady_alone(vl_rect need);

#endif
