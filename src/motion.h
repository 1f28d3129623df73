/* How the camera moved between two pictures, and whether the scene changed. Works on small grey
 * pictures; knows nothing of faces except areas to leave out. */
#ifndef VL_MOTION_H
#define VL_MOTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A point (x, y) of the earlier picture is now at (a x - b y + tx, b x + a y + ty). */
typedef struct {
    float a, b, tx, ty; /* a = scale cos, b = scale sin */
    float sure;         /* part of the picture's texture that agrees, 0..1; 0: identity, unknown */
    bool cut;           /* the scene changed: the rest is identity */
} vl_motion;

static inline vl_motion vl_motion_none(void) {
    return (vl_motion){.a = 1, .b = 0, .tx = 0, .ty = 0, .sure = 0, .cut = false};
}

typedef struct {
    const uint8_t *data; /* 8-bit luma */
    int32_t width, height;
    ptrdiff_t stride;
} vl_motion_picture;

typedef struct {
    float x, y, w, h; /* px of the small picture */
} vl_motion_area;

#define VL_MOTION_WIDTH  240 /* largest small picture, px */
#define VL_MOTION_HEIGHT 240

/* Both pictures have one size, 32..240 px each way (smaller: vl_motion_none). skip: areas whose
 * texture is not the background's (faces), may be NULL. The result is in px of the small picture.
 * Deterministic. */
vl_motion vl_motion_estimate(const vl_motion_picture *before, const vl_motion_picture *now,
                             const vl_motion_area *skip, size_t n_skip);

/* Where a point goes. */
static inline void vl_motion_point(const vl_motion *m, float *x, float *y) {
    float was = *x;
    *x = m->a * was - m->b * *y + m->tx;
    *y = m->b * was + m->a * *y + m->ty;
}

/* The same movement in a picture scale_x, scale_y times as large. */
vl_motion vl_motion_scaled(vl_motion m, float scale_x, float scale_y);

/* m then n, and the way back. */
vl_motion vl_motion_then(vl_motion m, vl_motion n);
vl_motion vl_motion_inverse(vl_motion m);

#endif
