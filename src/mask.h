/* Shapes of masks: which pixels are hidden and how strongly. Knows nothing of colours. */
#ifndef VL_MASK_H
#define VL_MASK_H

#include "pix/pix.h"
#include "redact.h"

/* Half-open rectangle of luma px. */
typedef struct {
    int32_t x0, y0, x1, y1;
} vl_mask_area;

typedef struct {
    bool box;              /* else an ellipse */
    float cx, cy;          /* centre */
    float half_x, half_y;  /* of the part at full strength */
    float soft_x, soft_y;  /* box: width of the soft edge, px, > 0 */
    float ring;            /* ellipse: outer radius squared less 1, > 0 */
    vl_mask_area whole;    /* soft edge included */
    vl_mask_area area;     /* the part inside the frame; empty when outside */
    int32_t group;         /* masks of one group share their colours */
    size_t origin;         /* index among those that were asked for */
    const float *distance; /* one for each column of area, see vl_mask_distances */
} vl_mask;

/* False when the box is not made of finite numbers: then everything must be hidden. */
bool vl_mask_make(vl_mask *m, const veil_frame *f, vl_rect box, const vl_redact_style *style);

/* The face inside a box that is to stay clear: the ellipse inside the box a little smaller, and a
 * soft edge that ends at the box's own ellipse. False: nothing of it is to be spared. */
bool vl_mask_make_clear(vl_mask *m, const veil_frame *f, vl_rect box);

/* Gives masks that overlap by a good part of the smaller the same group number: two grids of
 * averages over one face would tell more of it than one, and two paints would show an edge. */
void vl_mask_group(vl_mask *masks, size_t n);

/* Fills area.x1 - area.x0 horizontal distances and keeps the pointer for vl_mask_row. */
void vl_mask_distances(vl_mask *m, float *distance);

/* Raises alpha, whose first entry is column x0, to the mask's in row y; widens the columns
 * *lo..*hi (relative to x0) to those it may have changed. area must hold distances. */
void vl_mask_row(const vl_mask *m, const vl_pix *pix, int32_t y, int32_t x0, uint8_t *alpha,
                 int32_t *lo, int32_t *hi);

#endif
