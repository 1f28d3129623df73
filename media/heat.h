/* Heat maps over pictures: public colour maps and blending. Knows no files and no network. */
#ifndef MEDIA_HEAT_H
#define MEDIA_HEAT_H

#include <stddef.h>
#include <stdint.h>

typedef enum { HEAT_TURBO, HEAT_VIRIDIS } heat_colours;

/* Colour of v (0..1, cut) as R, G, B. Turbo: the polynomial its author published; viridis: a
 * polynomial fitted to matplotlib's table. */
void heat_colour(heat_colours colours, float v, uint8_t rgb[3]);

/* Blends a map (width * height, 0..1) over RGB pixels of the same size: no value, a dimmed grey
 * picture; the more value, the more colour. stride in bytes. */
void heat_blend(heat_colours colours, const float *map, uint8_t *rgb, int width, int height,
                ptrdiff_t stride);

#endif
