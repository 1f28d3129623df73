/* Hiding: draws over face areas in place, in the frame's own format. Detail is destroyed before
 * anything is drawn: what is drawn depends only on averages of at most 8x8 cells of the area. */
#ifndef VL_REDACT_H
#define VL_REDACT_H

#include "frame.h"

typedef struct vl_redact vl_redact; /* scratch memory */

typedef struct {
    veil_style style;
    veil_shape shape;
    float feather; /* as a part of the mask's size; 0 = hard edge */
    float cells;   /* 1..8 across the mask */
    uint32_t fill_rgb;
    const uint8_t *image; /* RGBA */
    int32_t image_width, image_height;
    ptrdiff_t image_stride;
} vl_redact_style;

int vl_redact_create(vl_redact **out);
void vl_redact_destroy(vl_redact *r);

/* Hides every mask: boxes in px of the frame as stored, padding included already; an ellipse is
 * inscribed so that it contains the box's inner 4/5 (see redact.c). Overlapping masks are merged
 * first. Allocates only when it needs more than before. On failure the frame may be partly drawn
 * and the caller covers it. */
int vl_redact_draw(vl_redact *r, const veil_frame *f, const vl_rect *masks, size_t n,
                   const vl_redact_style *style);

/* Flat dark picture over everything. Needs no memory, cannot fail on a checked frame. */
void vl_redact_cover(const veil_frame *f);

#endif
