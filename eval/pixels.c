/* pixels.c - measures hiding from the pixels. A face is cut into cells. In each, the detail of the
 * original (luma less its local mean) is projected on the detail of the result: 1 means all of it
 * is there, 0 that nothing of it is, whatever was drawn instead. Cells without detail in the
 * original (flat or black) say nothing, and count only when there are no others. */
#include "pixels.h"

#include <math.h>
#include <stdlib.h>

#define DETAIL_GONE  0.5 /* share of the detail that may be left in a hidden cell */
#define DETAIL_FLOOR 1.5 /* levels (standard deviation) below which a cell has no detail */

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double mean_difference(ev_luma a, ev_luma b, int x0, int y0, int x1, int y1) {
    long sum = 0;
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++)
            sum += abs(a.y[y * a.stride + x] - b.y[y * b.stride + x]);
    return (double)sum / ((double)(x1 - x0) * (y1 - y0));
}

/* Is the block nearer to a face than the face's own size? There masks and their edges are drawn. */
static int near_face(int x, int y, const ev_truth_face *faces, size_t n) {
    for (size_t i = 0; i < n; i++) {
        ev_box b = faces[i].box;
        if (x > b.x - b.w - 8 && x < b.x + 2 * b.w && y > b.y - b.h - 8 && y < b.y + 2 * b.h)
            return 1;
    }
    return 0;
}

double ev_pixels_noise(ev_luma original, ev_luma redacted, const ev_truth_face *faces,
                       size_t n_faces) {
    size_t cap = (size_t)(original.width / 8) * (size_t)(original.height / 8), n = 0;
    double *d = ev_box_array(NULL, cap, sizeof *d), noise = 3;
    if (!d)
        return noise;
    for (int y = 0; y + 8 <= original.height; y += 8)
        for (int x = 0; x + 8 <= original.width; x += 8)
            if (!near_face(x, y, faces, n_faces))
                d[n++] = mean_difference(original, redacted, x, y, x + 8, y + 8);
    if (n > 0) {
        qsort(d, n, sizeof *d, ascending);
        noise = fmin(12, fmax(3, 2 * d[(n - 1) * 3 / 4]));
    }
    free(d);
    return noise;
}

/* Sums over rectangles in constant time: sum[(y)*(w+1)+x] is the sum left and above of (x,y). */
static void integrate(const ev_luma *p, int x0, int y0, int w, int h, double *sum) {
    for (int x = 0; x <= w; x++)
        sum[x] = 0;
    for (int y = 0; y < h; y++) {
        double row = 0;
        sum[(y + 1) * (w + 1)] = 0;
        for (int x = 0; x < w; x++) {
            row += p->y[(y0 + y) * p->stride + x0 + x];
            sum[(y + 1) * (w + 1) + x + 1] = sum[y * (w + 1) + x + 1] + row;
        }
    }
}

static double local_mean(const double *sum, int w, int h, int x, int y, int r) {
    int x0 = x - r < 0 ? 0 : x - r, x1 = x + r + 1 > w ? w : x + r + 1;
    int y0 = y - r < 0 ? 0 : y - r, y1 = y + r + 1 > h ? h : y + r + 1;
    double s = sum[y1 * (w + 1) + x1] - sum[y0 * (w + 1) + x1] - sum[y1 * (w + 1) + x0] +
               sum[y0 * (w + 1) + x0];
    return s / ((double)(x1 - x0) * (y1 - y0));
}

/* The part of the picture under a face, with what is needed to look at its cells. */
typedef struct {
    ev_luma a, b;
    int x0, y0, w, h; /* px, inside the picture */
    int radius;       /* of the local mean, px */
    const double *sum_a, *sum_b;
} patch;

/* Looks at the cell [cx,cx1) x [cy,cy1) of the patch. Returns -1: no detail, 0: still there, 1:
 * gone; *changed: differs by more than noise. */
static int look_at_cell(const patch *p, int cx, int cy, int cx1, int cy1, double noise,
                        int *changed) {
    double aa = 0, ab = 0;
    for (int y = cy; y < cy1; y++)
        for (int x = cx; x < cx1; x++) {
            double a = p->a.y[(p->y0 + y) * p->a.stride + p->x0 + x] -
                       local_mean(p->sum_a, p->w, p->h, x, y, p->radius);
            double b = p->b.y[(p->y0 + y) * p->b.stride + p->x0 + x] -
                       local_mean(p->sum_b, p->w, p->h, x, y, p->radius);
            aa += a * a;
            ab += a * b;
        }
    double n = (double)(cx1 - cx) * (cy1 - cy);
    *changed =
        mean_difference(p->a, p->b, p->x0 + cx, p->y0 + cy, p->x0 + cx1, p->y0 + cy1) > noise;
    if (aa < n * DETAIL_FLOOR * DETAIL_FLOOR)
        return -1;
    return ab < DETAIL_GONE * aa;
}

static double hidden_share(const patch *p, double noise) {
    int cells = p->h / 4 < 2 ? 2 : p->h / 4 > 8 ? 8 : p->h / 4;
    int telling = 0, gone = 0, flat = 0, flat_changed = 0;
    for (int r = 0; r < cells; r++)
        for (int c = 0; c < cells; c++) {
            double u = (c + 0.5) / cells - 0.5, v = (r + 0.5) / cells - 0.5;
            int x = c * p->w / cells, x1 = (c + 1) * p->w / cells;
            int y = r * p->h / cells, y1 = (r + 1) * p->h / cells, changed;
            if (u * u + v * v > 0.25 || x1 <= x || y1 <= y)
                continue; /* outside the ellipse of the face */
            int is = look_at_cell(p, x, y, x1, y1, noise, &changed);
            telling += is >= 0;
            gone += is == 1 && changed;
            flat += is < 0;
            flat_changed += is < 0 && changed;
        }
    if (telling > 0)
        return (double)gone / telling;
    return flat > 0 ? (double)flat_changed / flat : 0;
}

int ev_pixels_hidden(ev_luma original, ev_luma redacted, double noise, ev_truth_face *faces,
                     size_t n_faces) {
    size_t area = ((size_t)original.width + 1) * ((size_t)original.height + 1);
    double *sum_a = ev_box_array(NULL, area, sizeof *sum_a);
    double *sum_b = ev_box_array(NULL, area, sizeof *sum_b);
    int rc = sum_a && sum_b ? 0 : -1;
    for (size_t i = 0; i < n_faces && rc == 0; i++) {
        ev_box b = faces[i].box;
        int x0 = (int)fmax(0, floor(b.x)), x1 = (int)fmin(original.width, ceil(b.x + b.w));
        int y0 = (int)fmax(0, floor(b.y)), y1 = (int)fmin(original.height, ceil(b.y + b.h));
        faces[i].hidden = 1; /* a face outside the picture is not seen */
        if (x1 <= x0 || y1 <= y0)
            continue;
        patch p = {original, redacted, x0, y0, x1 - x0, y1 - y0, 1, sum_a, sum_b};
        p.radius = p.h / 12 < 1 ? 1 : p.h / 12;
        integrate(&original, x0, y0, p.w, p.h, sum_a);
        integrate(&redacted, x0, y0, p.w, p.h, sum_b);
        faces[i].hidden = hidden_share(&p, noise);
    }
    free(sum_a);
    free(sum_b);
    return rc;
}

void ev_pixels_draw(ev_luma original, ev_luma redacted, double noise, ev_mask *mask) {
    for (int r = 0; r < EV_MASK_ROWS; r++)
        for (int c = 0; c < EV_MASK_COLS; c++) {
            int x = c * original.width / EV_MASK_COLS, x1 = (c + 1) * original.width / EV_MASK_COLS;
            int y = r * original.height / EV_MASK_ROWS;
            int y1 = (r + 1) * original.height / EV_MASK_ROWS;
            x1 = x1 > x ? x1 : x + 1;
            y1 = y1 > y ? y1 : y + 1;
            mask->cell[r][c] = mean_difference(original, redacted, x, y, x1, y1) > noise;
        }
}
