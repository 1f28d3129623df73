/* A frame of any format, scaled into the network's input, upright, straight from its planes. */
#ifndef VL_SCALE_H
#define VL_SCALE_H

#include "frame.h"

typedef struct vl_pool vl_pool;
typedef struct vl_scale vl_scale; /* tables and rows for one geometry; rebuilt when it changes */

/* Where the picture lies in the input: upright frame px = net px * scale (picture at top left, the
 * rest filled with grey 114). */
typedef struct {
    float scale_x, scale_y;
    int32_t width, height; /* net px that the picture covers */
} vl_scale_map;

int vl_scale_create(vl_scale **out);
void vl_scale_destroy(vl_scale *s);

/* VEIL_CPU_* levels not to use; all are used otherwise. */
void vl_scale_set_cpu(vl_scale *s, uint32_t cpu_off);

/* Fills dst (dst_h, dst_w, 4) bytes R,G,B,0. Area average when shrinking (each source pixel
 * counts), bilinear when growing. Keeps the aspect ratio. Allocates only when geometry changes.
 * pool may be NULL. dst sizes 1..8192. The result is the same for every level and thread count. */
int vl_scale_fill(vl_scale *s, vl_pool *pool, const veil_frame *f, uint8_t *dst, int32_t dst_w,
                  int32_t dst_h, vl_scale_map *map);

/* Fills dst (h, w) bytes with the upright picture's luma as it is coded (its range is kept; from
 * RGB about BT.601), stretched to w x h. Keeps its own tables, so that calling both of these in
 * turn allocates nothing. */
int vl_scale_luma(vl_scale *s, const veil_frame *f, uint8_t *dst, int32_t w, int32_t h);

#endif
