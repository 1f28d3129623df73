/* Digits of 5x7 cells written into luma or all colour bytes. Chroma is left alone: on YUV frames
 * the label takes the tint of what is under it. */
#include "label.h"

#include "frame_map.h"

#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <string.h>

/* Rows from the top, the leftmost cell in bit 4. */
static const struct {
    char letter;
    uint8_t rows[7];
} font[] = {
    {'0', {14, 17, 19, 21, 25, 17, 14}}, {'1', {4, 12, 4, 4, 4, 4, 14}},
    {'2', {14, 17, 1, 6, 8, 16, 31}},    {'3', {14, 17, 1, 6, 1, 17, 14}},
    {'4', {2, 6, 10, 18, 31, 2, 2}},     {'5', {31, 16, 30, 1, 1, 17, 14}},
    {'6', {6, 8, 16, 30, 17, 17, 14}},   {'7', {31, 1, 2, 4, 8, 8, 8}},
    {'8', {14, 17, 17, 14, 17, 17, 14}}, {'9', {14, 17, 17, 15, 1, 2, 12}},
    {'.', {0, 0, 0, 0, 0, 12, 12}},
};

static const uint8_t *rows_of(char letter) {
    for (size_t i = 0; i < sizeof font / sizeof font[0]; i++) {
        if (font[i].letter == letter)
            return font[i].rows;
    }
    return NULL;
}

static void set_pixel(const AVFrame *f, const AVPixFmtDescriptor *d, int x, int y, bool white) {
    if (x < 0 || y < 0 || x >= f->width || y >= f->height)
        return;
    bool rgb = (d->flags & AV_PIX_FMT_FLAG_RGB) != 0;
    for (int i = 0; i < (rgb ? 3 : 1); i++) {
        const AVComponentDescriptor *c = &d->comp[i];
        uint8_t *p = f->data[c->plane] + (ptrdiff_t)f->linesize[c->plane] * y +
                     (ptrdiff_t)c->step * x + c->offset;
        if (c->depth > 8) {
            uint16_t value = white ? 940 : 64;
            memcpy(p, &value, sizeof value); /* libveil's only deep format is little-endian */
        } else {
            *p = white ? 235 : 16;
        }
    }
}

static void draw_text(const AVFrame *f, const char *text, int x, int y, int zoom) {
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get((enum AVPixelFormat)f->format);
    int n = (int)strlen(text);
    for (int row = -zoom; row < 8 * zoom; row++) {
        for (int column = -zoom; column < 6 * zoom * n; column++) {
            const uint8_t *rows = column < 0 ? NULL : rows_of(text[column / (6 * zoom)]);
            int cell = column < 0 ? 5 : column / zoom % 6;
            int line = row < 0 ? 7 : row / zoom;
            bool white = rows && cell < 5 && line < 7 && (rows[line] >> (4 - cell) & 1) != 0;
            set_pixel(f, d, x + column, y + row, white);
        }
    }
}

void label_scores(const media_shown *shown) {
    int zoom = shown->frame->height >= 900 ? 3 : shown->frame->height >= 400 ? 2 : 1;
    for (size_t i = 0; i < shown->n_tracks; i++) {
        char text[16];
        const veil_track *t = &shown->tracks[i];
        snprintf(text, sizeof text, "%.2f", (double)t->score);
        int x = t->x > 0 ? (int)t->x : 0;
        int y = t->y > 0 ? (int)t->y : 0;
        draw_text(shown->frame, text, x + zoom, y + zoom, zoom);
    }
}
