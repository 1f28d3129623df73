/* box.h - boxes in picture px and how much they overlap. Shared by all evaluators. */
#ifndef EVAL_BOX_H
#define EVAL_BOX_H

#include <stddef.h>

/** A box: left, top, width, height in px of the source picture. */
typedef struct {
    double x, y, w, h;
} ev_box;

/** Intersection over union, 0..1; 0 when either box is empty. */
double ev_box_iou(ev_box a, ev_box b);

/** IoU as the WIDER FACE toolbox counts it: corners are whole pixels that belong to the box, so
 * every side is one pixel longer. */
double ev_box_iou_wider(ev_box a, ev_box b);

/** Share of box a that lies inside b, 0..1. */
double ev_box_inside(ev_box a, ev_box b);

/** realloc to count elements of size bytes, NULL on overflow or lack of memory (old block kept). */
void *ev_box_array(void *old, size_t count, size_t size);

/** Room for one element more in an array of *cap, doubling; 0 or -1 (array untouched). */
int ev_box_grow(void **array, size_t n, size_t *cap, size_t size);

#endif
