/* Colours for a hidden area, taken only from what surrounds it and carried inwards. Never reads a
 * sample of a hidden area: what is painted then says nothing of the face that was there. */
#ifndef VL_AROUND_H
#define VL_AROUND_H

#include "cells.h"

#define VL_AROUND_PARTS (4 * VL_CELLS_MAX + 4) /* of a ring around a grid, at most */

/* How much each part of a ring counts in each cell; kept for grids of the same shape. */
typedef struct {
    int32_t nx, ny; /* cells of the grid that it was made for, 0: none */
    float weight[VL_CELLS_MAX * VL_CELLS_MAX][VL_AROUND_PARTS];
} vl_around;

/* Fills the levels of c, whose grid is laid, from rings outside it and outside of all hidden
 * areas. Without any free place nearby the area becomes grey. */
void vl_around_fill(vl_around *a, vl_cells *c, const vl_mask_area *hidden, size_t n_hidden,
                    const vl_pix *pix, const veil_frame *f, vl_cells_rows *r);

/* Colours drift from those of the drawing before to those of this one instead of jumping. past:
 * grids drawn before, of any place; the nearest counts, if any is near. */
void vl_around_ease(vl_cells *c, const vl_cells *past, size_t n_past);

#endif
