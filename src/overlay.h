/* A picture drawn over a mask that is hidden already. */
#ifndef VL_OVERLAY_H
#define VL_OVERLAY_H

#include "mask.h"

typedef struct {
    const uint8_t *image; /* RGBA */
    int32_t width, height;
    ptrdiff_t stride;
    float x, y;             /* of the mask's box in the frame, px */
    float scale_x, scale_y; /* image px a frame px */
    float native[3][4];     /* see vl_frame_native_matrix */
    float top;              /* highest sample */
} vl_overlay;

/* Whether the style asks for an image and brings one, 1..4096 px. */
bool vl_overlay_usable(const vl_redact_style *style);

/* The style's image stretched over the full-strength part of the mask. */
void vl_overlay_make(vl_overlay *o, const veil_frame *f, const vl_mask *m,
                     const vl_redact_style *style);

/* Paints the samples of plane p that belong to n luma columns from x on, row y of the plane, and
 * multiplies their alpha by the image's. */
void vl_overlay_paint(const vl_overlay *o, const vl_frame_layout *l, int p, int32_t x, int32_t y,
                      int32_t n, void *paint, uint8_t *alpha);

#endif
