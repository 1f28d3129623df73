/* The colours that a hidden area is painted with, at most 8x8 cells: averages of what was there
 * (weak styles), or taken from elsewhere. Measures averages and spreads cells to rows of paint. */
#ifndef VL_CELLS_H
#define VL_CELLS_H

#include "mask.h"

#define VL_CELLS_MAX      8
#define VL_CELLS_LEAST_PX 4 /* a cell is never narrower, unless the area is */

typedef struct {
    vl_mask_area whole;       /* what the grid is laid over, also outside the frame */
    int32_t whole_x, whole_y; /* cells across and down there */
    int32_t first_x, first_y; /* of them, the first inside the frame */
    int32_t nx, ny;
    /* Edges of cells, luma px; even, so that chroma has the same cells, but for the frame's end. */
    int32_t x[VL_CELLS_MAX + 1], y[VL_CELLS_MAX + 1];
    bool flat; /* painted as flat cells; else smoothly */
    /* Averages in samples with 7 binary places, 5 in 10 bits: always below 32768. */
    int16_t level[3][VL_CELLS_MAX][VL_CELLS_MAX];
} vl_cells;

/* Buffers for one width and format. */
typedef struct {
    uint16_t *sums;        /* samples of the widest row */
    int16_t *weight[2][3]; /* luma and halved columns: of the cell before, its own, next */
    int16_t *channel;      /* one spread row of one channel */
    int16_t *spread[3];    /* per plane (VL_CELLS_MAX, row samples): cells spread across */
    int32_t stride[3];     /* row samples */
} vl_cells_rows;

int vl_cells_rows_make(vl_cells_rows *r, const vl_frame_layout *l, int32_t width);
void vl_cells_rows_free(vl_cells_rows *r);

/* Lays the grid: count cells (1..8) across the longer side of whole, of which area is the part
 * inside the frame; so cells stay where they are on a face that leaves the frame. A cell that is
 * cut too narrow joins the next. Both must have even x0 and y0. */
void vl_cells_grid(vl_cells *c, vl_mask_area whole, vl_mask_area area, float count);

/* Averages every picture sample of the area. */
void vl_cells_measure(vl_cells *c, const vl_pix *pix, const veil_frame *f, vl_cells_rows *r);

/* The mean of a part of the picture with even edges, at least 2x2 px, as levels of a cell. Of a
 * high one not every row is looked at, about most_rows of them. */
void vl_cells_mean(const vl_pix *pix, const veil_frame *f, vl_mask_area part, int32_t most_rows,
                   vl_cells_rows *r, int16_t level[3]);

/* All cells of a grid in one colour. */
void vl_cells_set(vl_cells *c, const veil_frame *f, const uint16_t native[3]);

/* One cell of one colour. */
void vl_cells_solid(vl_cells *c, vl_mask_area area, const veil_frame *f, const uint16_t native[3]);

/* Is past a grid of the same shape within a cell of c, and nearer than best (NULL: none)? */
bool vl_cells_nearer(const vl_cells *c, const vl_cells *past, const vl_cells *best);

/* Takes over those averages of past that differ by hardly more than noise. */
void vl_cells_settle(vl_cells *c, const vl_cells *past);

/* Spreads the cells across; needed before vl_cells_paint. */
void vl_cells_spread(const vl_cells *c, const vl_pix *pix, const veil_frame *f, vl_cells_rows *r);

/* Samples from..from+n (relative to the area) of row y of plane p (counted in the plane). */
void vl_cells_paint(const vl_cells *c, const vl_pix *pix, const vl_frame_layout *l,
                    const vl_cells_rows *r, int p, int32_t y, int32_t from, int32_t n, void *paint);

#endif
