/* Pixel formats and plane geometry; no other file knows a layout. */
#ifndef VL_FRAME_H
#define VL_FRAME_H

#include "veil.h"

#include <stdbool.h>

/* One plane of a format. Packed formats have one plane whose step is the bytes of a pixel pair
 * (YUY2, x_shift 1) or pixel. A row is ceil(width / 2^x_shift) * step bytes. */
typedef struct {
    uint8_t x_shift, y_shift; /* halvings of the step's width and of the rows */
    uint8_t step;             /* bytes from one sample of a channel to the next */
    uint8_t sample_bytes;     /* 1, or 2 for 10 bits */
    uint8_t n_channels;       /* channels in this plane (NV12 chroma: 2; alpha not counted) */
} vl_frame_plane;

/* Where the samples of a channel lie: plane[plane] + row, samples offset, offset + step, ... */
typedef struct {
    uint8_t plane;
    uint8_t offset, step;     /* samples, not bytes */
    uint8_t x_shift, y_shift; /* chroma halvings */
} vl_frame_channel;

typedef struct {
    const char *name;
    uint8_t n_planes;
    bool rgb;
    uint8_t bits;
    uint8_t n_channels; /* 3, or 1 for grey */
    vl_frame_plane plane[3];
    vl_frame_channel channel[3]; /* R,G,B or Y,U,V; no alpha */
} vl_frame_layout;

/* NULL for an unknown format. */
const vl_frame_layout *vl_frame_layout_of(veil_format format);

/* VEIL_OK, or VEIL_E_ARG (NULL plane, stride shorter than a row, bad rotation, matrix or range),
 * _FORMAT, _SIZE. */
int vl_frame_check(const veil_frame *f);

/* Samples (not bytes) in a row of plane p, alpha included, and rows of plane p. */
int32_t vl_frame_row_samples(const vl_frame_layout *l, int p, int32_t width);
int32_t vl_frame_rows(const vl_frame_layout *l, int p, int32_t height);

/* Luma weights of red and blue for the frame's matrix (AUTO resolved). */
void vl_frame_luma_weights(const veil_frame *f, double *kr, double *kb);
bool vl_frame_full_range(const veil_frame *f);

/* The frame's own three channel values are m[i][0..2] * (R,G,B) + m[i][3], R,G,B 0..255. */
void vl_frame_native_matrix(const veil_frame *f, float m[3][4]);

/* 0xRRGGBB as the frame's own three channel values, valid for its matrix, range and bits. */
void vl_frame_native_rgb(const veil_frame *f, uint32_t rgb, uint16_t native[3]);

/* Box mapping between the frame as stored and the upright picture (frame.rotation). */
typedef struct {
    float x, y, w, h;
} vl_rect;
vl_rect vl_frame_to_upright(const veil_frame *f, vl_rect stored);
vl_rect vl_frame_from_upright(const veil_frame *f, vl_rect upright);

vl_rect vl_frame_rect(const veil_detection *d);

/* Intersection over union. */
float vl_frame_overlap(vl_rect a, vl_rect b);
int32_t vl_frame_upright_width(const veil_frame *f);
int32_t vl_frame_upright_height(const veil_frame *f);

#endif
