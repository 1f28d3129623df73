/* plot.c - line plots drawn by coverage (each pixel is mixed by its distance to the line), with a
 * dot-matrix font of 5x7. */
#include "plot.h"

#include "plot_font.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEFT = 84, RIGHT = 24, TOP = 52, BOTTOM = 72, SCALE = 2, LETTER = 6 * SCALE };

struct ev_plot {
    uint8_t *rgb;
    int width, height;
    ev_plot_axes axes;
    int n_labels;
};

static void mix(uint8_t *rgb, int width, int height, int x, int y, uint32_t colour, double part) {
    if (x < 0 || y < 0 || x >= width || y >= height || part <= 0)
        return;
    uint8_t *p = rgb + 3 * ((size_t)y * (size_t)width + (size_t)x);
    part = part > 1 ? 1 : part;
    for (int i = 0; i < 3; i++) {
        double c = (colour >> (16 - 8 * i)) & 255;
        p[i] = (uint8_t)lround(p[i] + (c - p[i]) * part);
    }
}

/* vertical: written upwards, turned a quarter to the left. */
static void text(uint8_t *rgb, int width, int height, int x, int y, int scale, uint32_t colour,
                 const char *s, int vertical) {
    for (int at = 0; *s; s++, at += 6 * scale) {
        int c = *s < ' ' || *s > '~' ? '?' - ' ' : *s - ' ';
        for (int i = 0; i < 5 * scale; i++)
            for (int j = 0; j < 7 * scale; j++)
                if (ev_plot_font[c][i / scale] >> (j / scale) & 1)
                    mix(rgb, width, height, vertical ? x + j : x + at + i,
                        vertical ? y - at - i : y + j, colour, 1);
    }
}

void ev_plot_text(uint8_t *rgb, int width, int height, int x, int y, int scale, uint32_t colour,
                  const char *s) {
    text(rgb, width, height, x, y, scale, colour, s, 0);
}

static double px_x(const ev_plot *p, double x) {
    double t = fmin(1, fmax(0, (x - p->axes.x0) / (p->axes.x1 - p->axes.x0)));
    return LEFT + t * (p->width - LEFT - RIGHT);
}

static double px_y(const ev_plot *p, double y) {
    double t = fmin(1, fmax(0, (y - p->axes.y0) / (p->axes.y1 - p->axes.y0)));
    return p->height - BOTTOM - t * (p->height - TOP - BOTTOM);
}

static void segment(ev_plot *p, double x0, double y0, double x1, double y1, double half_px,
                    uint32_t colour) {
    double dx = x1 - x0, dy = y1 - y0, len2 = dx * dx + dy * dy;
    int left = (int)floor(fmin(x0, x1) - half_px - 1),
        right = (int)ceil(fmax(x0, x1) + half_px + 1);
    int top = (int)floor(fmin(y0, y1) - half_px - 1), low = (int)ceil(fmax(y0, y1) + half_px + 1);
    for (int y = top; y <= low; y++)
        for (int x = left; x <= right; x++) {
            double t = len2 > 0 ? ((x - x0) * dx + (y - y0) * dy) / len2 : 0;
            t = fmin(1, fmax(0, t));
            double d = hypot(x - x0 - t * dx, y - y0 - t * dy);
            mix(p->rgb, p->width, p->height, x, y, colour, half_px + 0.5 - d);
        }
}

static void draw_axes(ev_plot *p) {
    const ev_plot_axes *a = &p->axes;
    char number[32];
    for (int i = 0; i <= a->x_ticks; i++) {
        double v = a->x0 + (a->x1 - a->x0) * i / a->x_ticks, x = px_x(p, v);
        segment(p, x, TOP, x, p->height - BOTTOM, 0.5, 0xdddddd);
        snprintf(number, sizeof number, "%g", round(v * 1e6) / 1e6);
        text(p->rgb, p->width, p->height, (int)x - (int)strlen(number) * LETTER / 2,
             p->height - BOTTOM + 10, SCALE, 0x444444, number, 0);
    }
    for (int i = 0; i <= a->y_ticks; i++) {
        double v = a->y0 + (a->y1 - a->y0) * i / a->y_ticks, y = px_y(p, v);
        segment(p, LEFT, y, p->width - RIGHT, y, 0.5, 0xdddddd);
        snprintf(number, sizeof number, "%g", round(v * 1e6) / 1e6);
        text(p->rgb, p->width, p->height, LEFT - 10 - (int)strlen(number) * LETTER, (int)y - 7,
             SCALE, 0x444444, number, 0);
    }
    segment(p, LEFT, TOP, LEFT, p->height - BOTTOM, 0.8, 0x444444);
    segment(p, LEFT, p->height - BOTTOM, p->width - RIGHT, p->height - BOTTOM, 0.8, 0x444444);
    int wide = (p->width - LEFT - RIGHT) / 2 + LEFT, high = (p->height - TOP - BOTTOM) / 2 + TOP;
    text(p->rgb, p->width, p->height, wide - (int)strlen(a->title) * LETTER / 2, 18, SCALE,
         0x111111, a->title, 0);
    text(p->rgb, p->width, p->height, wide - (int)strlen(a->x_label) * LETTER / 2, p->height - 28,
         SCALE, 0x111111, a->x_label, 0);
    text(p->rgb, p->width, p->height, 6, high + (int)strlen(a->y_label) * LETTER / 2, SCALE,
         0x111111, a->y_label, 1);
}

ev_plot *ev_plot_new(int width, int height, const ev_plot_axes *axes) {
    if (width < 200 || height < 200 || width > 4000 || height > 4000 || !(axes->x0 < axes->x1) ||
        !(axes->y0 < axes->y1) || axes->x_ticks < 1 || axes->x_ticks > 20 || axes->y_ticks < 1 ||
        axes->y_ticks > 20)
        return NULL;
    ev_plot *p = calloc(1, sizeof *p);
    size_t bytes = 3 * (size_t)width * (size_t)height;
    if (!p || !(p->rgb = malloc(bytes))) {
        free(p);
        return NULL;
    }
    memset(p->rgb, 255, bytes);
    p->width = width;
    p->height = height;
    p->axes = *axes;
    draw_axes(p);
    return p;
}

void ev_plot_free(ev_plot *plot) {
    if (!plot)
        return;
    free(plot->rgb);
    free(plot);
}

/* The legend grows upwards from the lower left corner of the axes. */
static void add_label(ev_plot *p, uint32_t rgb, const char *label, int dot) {
    if (!label)
        return;
    int y = p->height - BOTTOM - 24 - 22 * p->n_labels++, x = LEFT + 14;
    int wide = 34 + (int)strlen(label) * LETTER; /* readable on bars */
    for (int j = -4; j < 18; j++)
        for (int i = -6; i < wide; i++)
            mix(p->rgb, p->width, p->height, x + i, y + j, 0xffffff, 0.85);
    segment(p, dot ? x + 12 : x, y + 7, dot ? x + 12 : x + 24, y + 7, dot ? 4 : 1.2, rgb);
    text(p->rgb, p->width, p->height, x + 34, y, SCALE, 0x111111, label, 0);
}

void ev_plot_line(ev_plot *plot, const double *x, const double *y, size_t n, uint32_t rgb,
                  const char *label) {
    for (size_t i = 1; i < n; i++)
        segment(plot, px_x(plot, x[i - 1]), px_y(plot, y[i - 1]), px_x(plot, x[i]),
                px_y(plot, y[i]), 1.2, rgb);
    add_label(plot, rgb, label, 0);
}

void ev_plot_dot(ev_plot *plot, double x, double y, uint32_t rgb, const char *label) {
    segment(plot, px_x(plot, x), px_y(plot, y), px_x(plot, x), px_y(plot, y), 5, rgb);
    add_label(plot, rgb, label, 1);
}

void ev_plot_bar(ev_plot *plot, double x0, double y0, double x1, double y1, uint32_t rgb,
                 const char *label) {
    double left = px_x(plot, fmin(x0, x1)), right = px_x(plot, fmax(x0, x1));
    double top = px_y(plot, fmax(y0, y1)), low = px_y(plot, fmin(y0, y1));
    for (int y = (int)floor(top); y <= (int)ceil(low); y++)
        for (int x = (int)floor(left); x <= (int)ceil(right); x++) {
            double across = fmin(right, x + 1) - fmax(left, x);
            double down = fmin(low, y + 1) - fmax(top, y);
            if (across > 0 && down > 0)
                mix(plot->rgb, plot->width, plot->height, x, y, rgb, across * down);
        }
    segment(plot, right, top, right, low, 0.2, 0xffffff);
    add_label(plot, rgb, label, 1);
}

const uint8_t *ev_plot_pixels(const ev_plot *plot, int *width, int *height) {
    *width = plot->width;
    *height = plot->height;
    return plot->rgb;
}
