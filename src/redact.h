/* Hiding: draws over face areas in place, in the frame's own format. What is drawn depends on what
 * surrounds the hidden areas, never on what was in them; only the weak styles draw averages of the
 * area itself, at most 8x8 cells. */
#ifndef VL_REDACT_H
#define VL_REDACT_H

#include "frame.h"

typedef struct vl_redact vl_redact; /* scratch memory */

typedef struct {
    veil_style style;
    veil_shape shape;
    float feather; /* as a part of the mask's size; 0 = hard edge */
    bool settle;   /* the frame follows the one drawn before: colours drift, averages that hardly
                      changed stay as they were */
    float cells;   /* 1..8 across the longer side of the mask with its soft edge */
    uint32_t fill_rgb;
    const uint8_t *image; /* RGBA */
    int32_t image_width, image_height;
    ptrdiff_t image_stride;
} vl_redact_style;

/* What there is beside the masks of faces. */
typedef struct {
    size_t n_zones;       /* so many of the masks, the last ones, are boxes whatever the shape, and
                             hidden whole: count them among the cores as well */
    const vl_rect *clear; /* boxes whose inner ellipse no mask may reach into ... */
    size_t n_clear;
    const vl_rect
        *core;     /* ... but where a hidden face itself is: box i of mask i is hidden whole */
    size_t n_core; /* the first masks have one */
} vl_redact_aside;

int vl_redact_create(vl_redact **out);
void vl_redact_destroy(vl_redact *r);

/* VEIL_CPU_* levels not to use; all are used otherwise. */
void vl_redact_set_cpu(vl_redact *r, uint32_t cpu_off);

/* Hides every mask: boxes in px of the frame as stored, padding included already; the ellipse
 * contains the box's inner 4/5 (see mask.c). A box that is not finite hides the whole frame; one
 * without size is grown to a few px. Masks that overlap much share one grid, all grids are measured
 * before anything is drawn. Unknown styles and an image style without an image blur.
 * Allocates only when it needs more than before. On failure the frame may be partly drawn and the
 * caller covers it. The result is the same for every level. */
int vl_redact_draw(vl_redact *r, const veil_frame *f, const vl_rect *masks, size_t n,
                   const vl_redact_style *style);

/* The same beside faces that stay clear. Cores count only where a mask is. aside NULL: none. */
int vl_redact_draw_beside(vl_redact *r, const veil_frame *f, const vl_rect *masks, size_t n,
                          const vl_redact_style *style, const vl_redact_aside *aside);

/* Another scene, or a frame was left out: nothing of the drawing before counts any more. */
void vl_redact_forget(vl_redact *r);

/* Flat dark picture over everything, alpha left alone. Needs no memory, cannot fail on a checked
 * frame. */
void vl_redact_cover(const veil_frame *f);

#endif
