/* explain_draw.c - heat maps beside their picture: panels, titles, boxes, colour bar. */
#include "explain.h"
#include "plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TITLE = 26, BAR = 44, GAP = 6, PANEL_MIN = 420, PANEL_MAX = 960 }; /* px */

static void set(uint8_t *rgb, int width, int height, int x, int y, uint32_t colour) {
    if (x < 0 || y < 0 || x >= width || y >= height)
        return;
    uint8_t *p = rgb + 3 * ((size_t)y * (size_t)width + (size_t)x);
    p[0] = (uint8_t)(colour >> 16);
    p[1] = (uint8_t)(colour >> 8);
    p[2] = (uint8_t)colour;
}

void explain_box(uint8_t *rgb, int width, int height, ev_box b, int line, uint32_t colour) {
    int x0 = (int)lround(b.x), y0 = (int)lround(b.y);
    int x1 = (int)lround(b.x + b.w), y1 = (int)lround(b.y + b.h);
    x0 = x0 > 0 ? x0 : 0;
    y0 = y0 > 0 ? y0 : 0;
    x1 = x1 < width ? x1 : width;
    y1 = y1 < height ? y1 : height;
    for (int i = 0; i < line; i++) {
        for (int x = x0; x < x1; x++) {
            set(rgb, width, height, x, y0 + i, colour);
            set(rgb, width, height, x, y1 - 1 - i, colour);
        }
        for (int y = y0; y < y1; y++) {
            set(rgb, width, height, x0 + i, y, colour);
            set(rgb, width, height, x1 - 1 - i, y, colour);
        }
    }
}

/* The mean of the source under a target pixel; nearest when growing. */
void explain_shrink(const evio_picture *p, uint8_t *out, int w, int h) {
    for (int y = 0; y < h; y++) {
        int y0 = (int)((int64_t)y * p->height / h), y1 = (int)((int64_t)(y + 1) * p->height / h);
        y1 = y1 > y0 ? y1 : y0 + 1;
        for (int x = 0; x < w; x++) {
            int x0 = (int)((int64_t)x * p->width / w), x1 = (int)((int64_t)(x + 1) * p->width / w);
            x1 = x1 > x0 ? x1 : x0 + 1;
            unsigned sum[3] = {0}, n = (unsigned)((y1 - y0) * (x1 - x0));
            for (int sy = y0; sy < y1; sy++)
                for (int sx = x0; sx < x1; sx++)
                    for (int c = 0; c < 3; c++)
                        sum[c] +=
                            p->rgb[3 * ((size_t)sy * (size_t)p->width + (size_t)sx) + (size_t)c];
            for (int c = 0; c < 3; c++)
                *out++ = (uint8_t)((sum[c] + n / 2) / n);
        }
    }
}

static void shrink_map(const float *map, int from_w, int from_h, float *out, int w, int h) {
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            *out++ = map[(size_t)((int64_t)y * from_h / h) * (size_t)from_w +
                         (size_t)((int64_t)x * from_w / w)];
}

static void draw_faces(uint8_t *rgb, int w, int h, double scale, const veil_detection *faces,
                       size_t n, size_t chosen) {
    for (size_t i = 0; i < n; i++) {
        const veil_detection *d = &faces[i];
        ev_box b = {(double)d->x * scale, (double)d->y * scale, (double)d->w * scale,
                    (double)d->h * scale};
        char label[24];
        snprintf(label, sizeof label, "%zu", i + 1);
        explain_box(rgb, w, h, b, i == chosen ? 3 : 1, i == chosen ? 0xffffff : 0xc8ccd4);
        ev_plot_text(rgb, w, h, (int)b.x, (int)fmax(b.y - 18, 0), 2,
                     i == chosen ? 0xffffff : 0xc8ccd4, label);
    }
}

static void draw_bar(evio_picture *out, double scale, heat_colours colours) {
    const int top = out->height - BAR, left = 10, width = 256;
    char text[120];
    for (int x = 0; x < width; x++) {
        uint8_t c[3];
        heat_colour(colours, (float)x / (float)(width - 1), c);
        for (int y = 8; y < 20; y++)
            set(out->rgb, out->width, out->height, left + x, top + y,
                (uint32_t)(c[0] << 16 | c[1] << 8 | c[2]));
    }
    ev_plot_text(out->rgb, out->width, out->height, left, top + 24, 2, 0x1c2430, "0");
    snprintf(text, sizeof text, "%.3g", scale);
    ev_plot_text(out->rgb, out->width, out->height, left + width - 12 * (int)strlen(text), top + 24,
                 2, 0x1c2430, text);
    ev_plot_text(out->rgb, out->width, out->height, left + width + 16, top + 7, 2, 0x1c2430,
                 "evidence");
}

static int draw_panel(const evio_picture *p, const explain_panel *panel, uint8_t *rgb, int w, int h,
                      heat_colours colours) {
    explain_shrink(p, rgb, w, h);
    if (!panel->map)
        return 0;
    float *small = malloc((size_t)w * (size_t)h * sizeof *small);
    if (!small)
        return evio_say("out of memory");
    shrink_map(panel->map, p->width, p->height, small, w, h);
    heat_blend(colours, small, rgb, w, h, 3 * (ptrdiff_t)w);
    free(small);
    return 0;
}

int explain_draw(const evio_picture *p, const explain_panel *panels, size_t n,
                 const veil_detection *faces, size_t n_faces, size_t chosen, double scale,
                 heat_colours colours, evio_picture *out) {
    double size = p->width > PANEL_MAX   ? (double)PANEL_MAX / p->width
                  : p->width < PANEL_MIN ? (double)PANEL_MIN / p->width
                                         : 1;
    int w = (int)lround(p->width * size), h = (int)lround(p->height * size);
    h = h > 0 ? h : 1;
    *out = (evio_picture){.width = (int)n * w + ((int)n - 1) * GAP, .height = TITLE + h + BAR};
    size_t bytes = 3 * (size_t)out->width * (size_t)out->height;
    uint8_t *panel = malloc(3 * (size_t)w * (size_t)h);
    out->rgb = malloc(bytes);
    int rc = out->rgb && panel ? 0 : evio_say("out of memory");
    if (rc == 0)
        memset(out->rgb, 255, bytes);
    for (size_t i = 0; i < n && rc == 0; i++) {
        int left = (int)i * (w + GAP);
        rc = draw_panel(p, &panels[i], panel, w, h, colours);
        if (rc)
            break;
        draw_faces(panel, w, h, size, faces, n_faces, chosen);
        for (int y = 0; y < h; y++)
            memcpy(out->rgb + 3 * ((size_t)(TITLE + y) * (size_t)out->width + (size_t)left),
                   panel + 3 * (size_t)y * (size_t)w, 3 * (size_t)w);
        ev_plot_text(out->rgb, out->width, out->height, left + 2, 6, 2, 0x1c2430, panels[i].title);
    }
    if (rc == 0 && scale > 0)
        draw_bar(out, scale, colours);
    free(panel);
    if (rc) {
        free(out->rgb);
        out->rgb = NULL;
    }
    return rc;
}
