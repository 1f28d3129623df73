/* Pixel formats and plane geometry; no other file knows a layout. */
#ifndef VL_FRAME_H
#define VL_FRAME_H

#include "veil.h"

#include <stdbool.h>

/* One plane of a format. Packed formats have one plane whose step is the bytes of a pixel pair or
 * pixel. */
typedef struct {
    uint8_t x_shift, y_shift; /* chroma halvings */
    uint8_t step;             /* bytes from one sample of a channel to the next */
    uint8_t sample_bytes;     /* 1, or 2 for 10 bits */
    uint8_t n_channels;       /* channels in this plane (NV12 chroma: 2) */
} vl_frame_plane;

typedef struct {
    const char *name;
    uint8_t n_planes;
    bool rgb;
    uint8_t bits;
    vl_frame_plane plane[3];
} vl_frame_layout;

/* NULL for an unknown format. */
const vl_frame_layout *vl_frame_layout_of(veil_format format);

/* VEIL_OK, or VEIL_E_ARG (NULL plane, stride shorter than a row, bad rotation), _FORMAT, _SIZE. */
int vl_frame_check(const veil_frame *f);

/* Box mapping between the frame as stored and the upright picture (frame.rotation). */
typedef struct {
    float x, y, w, h;
} vl_rect;
vl_rect vl_frame_to_upright(const veil_frame *f, vl_rect stored);
vl_rect vl_frame_from_upright(const veil_frame *f, vl_rect upright);
int32_t vl_frame_upright_width(const veil_frame *f);
int32_t vl_frame_upright_height(const veil_frame *f);

#endif
