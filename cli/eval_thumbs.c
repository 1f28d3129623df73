/* eval_thumbs.c - a small picture of each leak for the report. All labelled faces in it are
 * averaged to a few cells first, unless faces are asked for. */
#include "eval_clip.h"
#include "eval_video.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { THUMB = 160, CELLS = 5 }; /* px; cells across a face */

static int clamp(double v, int low, int high) {
    return v < low ? low : v > high ? high : (int)v;
}

static void average(evio_picture *p, int x0, int y0, int x1, int y1) {
    for (int c = 0; c < 3; c++) {
        long sum = 0, n = (long)(x1 - x0) * (y1 - y0);
        for (int y = y0; y < y1; y++)
            for (int x = x0; x < x1; x++)
                sum += p->rgb[3 * ((size_t)y * (size_t)p->width + (size_t)x) + (size_t)c];
        for (int y = y0; y < y1; y++)
            for (int x = x0; x < x1; x++)
                p->rgb[3 * ((size_t)y * (size_t)p->width + (size_t)x) + (size_t)c] =
                    (uint8_t)(n ? sum / n : 0);
    }
}

static void blur_face(evio_picture *p, ev_box b) {
    double x = b.x - 0.2 * b.w, y = b.y - 0.2 * b.h, w = 1.4 * b.w, h = 1.4 * b.h;
    for (int r = 0; r < CELLS; r++)
        for (int c = 0; c < CELLS; c++)
            average(p, clamp(x + c * w / CELLS, 0, p->width),
                    clamp(y + r * h / CELLS, 0, p->height),
                    clamp(x + (c + 1) * w / CELLS, 0, p->width),
                    clamp(y + (r + 1) * h / CELLS, 0, p->height));
}

/* Pictures of all leaks whose best frame this is. */
static int thumbs_of_frame(clip *c, const video_result *r, const label_frame *here, int show_faces,
                           char **thumbs) {
    evio_picture p = {0};
    uint8_t small[3 * THUMB * THUMB];
    for (size_t i = 0; i < r->figures.n_runs && i < VIDEO_MAX_THUMBS; i++) {
        const ev_leak_run *run = &r->figures.runs[i];
        if ((long)run->at != here->frame)
            continue;
        if (!p.rgb) {
            if (clip_rgb(c, &p))
                return -1;
            for (size_t f = 0; f < here->n && !show_faces; f++)
                blur_face(&p, here->faces[f].box);
        }
        evio_cut(&p, run->box, small, THUMB);
        thumbs[i] = evio_png_url(small, THUMB, THUMB);
    }
    free(p.rgb);
    return 0;
}

int video_thumbs(const char *clip_path, const video_result *r, int show_faces, char ***out) {
    *out = NULL;
    char **thumbs = calloc(r->figures.n_runs ? r->figures.n_runs : 1, sizeof *thumbs);
    clip *c = thumbs ? clip_open(clip_path) : NULL;
    int rc = c ? 0 : -1, more = 1;
    for (size_t next = 0; rc == 0 && next < r->truth.n && (more = clip_next(c)) > 0;) {
        while (next < r->truth.n && r->truth.frames[next].frame < clip_frame(c))
            next++;
        if (next < r->truth.n && r->truth.frames[next].frame == clip_frame(c))
            rc = thumbs_of_frame(c, r, &r->truth.frames[next], show_faces, thumbs);
    }
    clip_close(c);
    if (rc || more < 0) {
        video_thumbs_free(thumbs, r->figures.n_runs);
        return -1;
    }
    *out = thumbs;
    return 0;
}

void video_thumbs_free(char **thumbs, size_t n) {
    for (size_t i = 0; thumbs && i < n; i++)
        free(thumbs[i]);
    free(thumbs);
}
