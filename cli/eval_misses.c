/* eval_misses.c - contact sheet: five rows of ten, each a face with its surroundings and its height
 * in px. */
#include "eval_misses.h"

#include "eval_io.h"
#include "plot.h"

#include <stdlib.h>
#include <string.h>

enum { SIDE = 128, COLUMNS = 10, ROWS = 5, CAPTION = 14, CELL_H = SIDE + CAPTION };

static int by_height(const void *a, const void *b) {
    const eval_miss *x = a, *y = b;
    if (x->box.h != y->box.h)
        return x->box.h > y->box.h ? -1 : 1;
    int names = strcmp(x->path, y->path);
    return names ? names : x->box.x < y->box.x ? -1 : x->box.x > y->box.x;
}

int eval_misses_write(const char *out, eval_miss *misses, size_t n) {
    enum { WIDTH = COLUMNS * SIDE, HEIGHT = ROWS * CELL_H };
    if (n > 1)
        qsort(misses, n, sizeof *misses, by_height);
    size_t shown = n < COLUMNS * ROWS ? n : COLUMNS * ROWS;
    uint8_t *sheet = malloc((size_t)3 * WIDTH * HEIGHT), *cell = malloc((size_t)3 * SIDE * SIDE);
    int rc = sheet && cell ? 0 : evio_say("out of memory");
    if (rc == 0)
        memset(sheet, 255, (size_t)3 * WIDTH * HEIGHT);
    for (size_t i = 0; i < shown && rc == 0; i++) {
        evio_picture p;
        char caption[24];
        size_t x = i % COLUMNS * SIDE, y = i / COLUMNS * CELL_H;
        rc = evio_picture_read(misses[i].path, &p);
        if (rc)
            break;
        evio_cut(&p, misses[i].box, cell, SIDE);
        for (size_t row = 0; row < SIDE; row++)
            memcpy(sheet + 3 * ((y + row) * WIDTH + x), cell + row * 3 * SIDE, (size_t)3 * SIDE);
        snprintf(caption, sizeof caption, "%.0f px", misses[i].box.h);
        ev_plot_text(sheet, WIDTH, HEIGHT, (int)x + 4, (int)y + SIDE + 3, 1, 0x222222, caption);
        free(p.rgb);
    }
    if (rc == 0)
        rc = evio_png_write(out, sheet, WIDTH, HEIGHT);
    free(sheet);
    free(cell);
    return rc;
}
