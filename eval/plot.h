/* plot.h - small line plots in memory: axes, grid, lines, points, legend. Draws RGB pixels; writing
 * them to a file is the caller's business. */
#ifndef EVAL_PLOT_H
#define EVAL_PLOT_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *title, *x_label, *y_label; /**< ASCII */
    double x0, x1, y0, y1;                 /**< ranges of the axes, x0 < x1, y0 < y1 */
    int x_ticks, y_ticks;                  /**< steps between grid lines, 1..20 */
} ev_plot_axes;

typedef struct ev_plot ev_plot;

/** An empty plot of width x height px, 200..4000; NULL: no memory or axes that make no sense. */
ev_plot *ev_plot_new(int width, int height, const ev_plot_axes *axes);
void ev_plot_free(ev_plot *plot);

/** A line through n points, colour 0xRRGGBB; a label (may be NULL) goes into the legend. Points
 * outside the axes are moved to their edge. */
void ev_plot_line(ev_plot *plot, const double *x, const double *y, size_t n, uint32_t rgb,
                  const char *label);

/** A dot. */
void ev_plot_dot(ev_plot *plot, double x, double y, uint32_t rgb, const char *label);

/** A filled rectangle between two corners, with a thin edge. */
void ev_plot_bar(ev_plot *plot, double x0, double y0, double x1, double y1, uint32_t rgb,
                 const char *label);

/** Pixels, rows of 3 * width bytes R, G, B; they live as long as the plot. */
const uint8_t *ev_plot_pixels(const ev_plot *plot, int *width, int *height);

/** Draws ASCII text into RGB pixels; scale 1 is 5x7 px a letter in cells of 6x8. */
void ev_plot_text(uint8_t *rgb, int width, int height, int x, int y, int scale, uint32_t colour,
                  const char *text);

#endif
