/* explain_deeds.c - what becomes of a face's class when its picture is changed: experiments with
 * the model as it is, beside what maps say. */
#include "explain_set.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GREY = 114, MAX_BOXES = 300, SHARP_SIDE = 48 };

static const char *const names[N_DEEDS] = {"rest of the person grey",
                                           "other people grey",
                                           "all but the person grey",
                                           "all but the face grey",
                                           "half the size",
                                           "double the size",
                                           "moved to the edge",
                                           "moved to the middle",
                                           "blurred",
                                           "mirrored",
                                           "eyes grey",
                                           "mouth grey"};

const char *set_deed_name(set_deed d) {
    return names[d];
}

static ev_box grown(ev_box b, double by) {
    return (ev_box){b.x - by * b.w, b.y - by * b.h, b.w * (1 + 2 * by), b.h * (1 + 2 * by)};
}

static ev_box person_of(ev_box f) {
    return (ev_box){f.x - f.w, f.y - 0.5 * f.h, 3 * f.w, 6.5 * f.h};
}

static int inside(ev_box b, int x, int y) {
    return x + 0.5 >= b.x && y + 0.5 >= b.y && x + 0.5 < b.x + b.w && y + 0.5 < b.y + b.h;
}

static ev_box box_of(const veil_detection *d) {
    return (ev_box){(double)d->x, (double)d->y, (double)d->w, (double)d->h};
}

/* Which pixels a deed greys. */
static int greyed(set_deed deed, const veil_detection *all, size_t n, size_t own, int x, int y) {
    ev_box own_box = box_of(&all[own]), face = grown(own_box, 0.15);
    if (deed == DO_EYES_GREY || deed == DO_MOUTH_GREY) /* bars of the same size */
        return inside((ev_box){own_box.x,
                               own_box.y + (deed == DO_EYES_GREY ? 0.28 : 0.66) * own_box.h,
                               own_box.w, 0.2 * own_box.h},
                      x, y);
    if (inside(face, x, y))
        return 0;
    int mine = inside(person_of(own_box), x, y);
    if (deed == DO_FACE_ALONE)
        return 1;
    if (deed == DO_PERSON_ALONE)
        return !mine;
    if (deed == DO_PERSON_GREY)
        return mine;
    for (size_t i = 0; i < n; i++)
        if (i != own && !mine && inside(person_of(box_of(&all[i])), x, y))
            return 1;
    for (size_t i = 0; i < n; i++) /* a face before the person is another's all the same */
        if (i != own && inside(grown(box_of(&all[i]), 0.15), x, y))
            return 1;
    return 0;
}

static void grey_out(set_deed deed, const evio_picture *p, const veil_detection *all, size_t n,
                     size_t own, uint8_t *out) {
    memcpy(out, p->rgb, 3 * (size_t)p->width * (size_t)p->height);
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++)
            if (greyed(deed, all, n, own, x, y))
                memset(out + 3 * ((size_t)y * (size_t)p->width + (size_t)x), GREY, 3);
}

/* out(x, y) = picture(from_x + x * step, from_y + y * step), grey outside; bilinear or, when
 * shrinking by two, the mean of four. */
static void move(const evio_picture *p, double from_x, double from_y, double step, uint8_t *out) {
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++, out += 3) {
            double sx = from_x + (x + 0.5) * step - 0.5, sy = from_y + (y + 0.5) * step - 0.5;
            int x0 = (int)floor(sx), y0 = (int)floor(sy);
            double fx = sx - x0, fy = sy - y0;
            for (size_t c = 0; c < 3; c++) {
                double v = 0;
                for (int i = 0; i < 4; i++) {
                    int qx = x0 + i % 2, qy = y0 + i / 2;
                    double w = (i % 2 ? fx : 1 - fx) * (i / 2 ? fy : 1 - fy);
                    int in = qx >= 0 && qy >= 0 && qx < p->width && qy < p->height;
                    v += w *
                         (in ? p->rgb[3 * ((size_t)qy * (size_t)p->width + (size_t)qx) + c] : GREY);
                }
                out[c] = (uint8_t)lround(v);
            }
        }
}

/* Mean over a window of 2 r + 1, rows then columns, two times: nearly a Gaussian. */
static int blur(const evio_picture *p, int r, uint8_t *out) {
    size_t bytes = 3 * (size_t)p->width * (size_t)p->height;
    uint8_t *other = malloc(bytes);
    if (!other)
        return evio_say("out of memory");
    memcpy(out, p->rgb, bytes);
    for (int pass = 0; pass < 4; pass++) {
        int across = pass % 2 == 0, n = across ? p->width : p->height;
        size_t step = across ? 3 : 3 * (size_t)p->width;
        for (int line = 0; line < (across ? p->height : p->width); line++)
            for (size_t c = 0; c < 3; c++) {
                size_t at = (size_t)line * (across ? 3 * (size_t)p->width : 3) + c;
                int sum = 0;
                for (int i = -r; i < n + r; i++) {
                    int in = i + r < n ? i + r : n - 1, old = i - r - 1 > 0 ? i - r - 1 : 0;
                    sum += out[at + step * (size_t)in];
                    if (i == -r) /* the window before the first pixel */
                        sum += (2 * r) * out[at];
                    else
                        sum -= out[at + step * (size_t)(old < n ? old : n - 1)];
                    if (i >= 0 && i < n)
                        other[at + step * (size_t)i] = (uint8_t)((sum + r) / (2 * r + 1));
                }
            }
        memcpy(out, other, bytes);
    }
    free(other);
    return 0;
}

static void mirror(const evio_picture *p, uint8_t *out) {
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++, out += 3)
            memcpy(out, p->rgb + 3 * ((size_t)y * (size_t)p->width + (size_t)(p->width - 1 - x)),
                   3);
}

/* Makes the changed picture; *b becomes the box where the face should be then. */
static int perform(set_deed deed, const evio_picture *p, const veil_detection *all, size_t n,
                   size_t own, uint8_t *out, ev_box *b) {
    double cx = b->x + b->w / 2, cy = b->y + b->h / 2, shift;
    switch (deed) {
    case DO_HALF_SIZE:
        move(p, 0, 0, 2, out);
        *b = (ev_box){b->x / 2, b->y / 2, b->w / 2, b->h / 2};
        return 0;
    case DO_DOUBLE_SIZE: {
        double x = fmin(fmax(cx - p->width / 4.0, 0), p->width / 2.0);
        double y = fmin(fmax(cy - p->height / 4.0, 0), p->height / 2.0);
        move(p, x, y, 0.5, out);
        *b = (ev_box){2 * (b->x - x), 2 * (b->y - y), 2 * b->w, 2 * b->h};
        return 0;
    }
    case DO_TO_EDGE:
    case DO_TO_MIDDLE:
        shift = deed == DO_TO_MIDDLE  ? cx - p->width / 2.0
                : cx < p->width / 2.0 ? cx - p->width * 0.88
                                      : cx - p->width * 0.12;
        shift = round(shift);
        move(p, shift, 0, 1, out);
        b->x -= shift;
        return 0;
    case DO_BLURRED:
        return blur(p, (int)(b->h / 24) + 1, out);
    case DO_MIRRORED:
        mirror(p, out);
        b->x = p->width - b->x - b->w;
        return 0;
    default:
        grey_out(deed, p, all, n, own, out);
        return 0;
    }
}

static double class_at(const veil_detection *found, size_t n, ev_box b) {
    double best = 0.3, p = NAN;
    for (size_t i = 0; i < n; i++) {
        double iou = ev_box_iou(b, box_of(&found[i]));
        if (iou >= best) {
            best = iou;
            p = (double)found[i].interview;
        }
    }
    return p;
}

int set_deeds(explain_tools *t, const evio_picture *p, const veil_detection *all, size_t n,
              size_t own, double *with) {
    static veil_detection found[MAX_BOXES];
    evio_picture changed = *p;
    changed.rgb = malloc(3 * (size_t)p->width * (size_t)p->height);
    if (!changed.rgb)
        return evio_say("out of memory");
    int rc = 0;
    for (int d = 0; d < N_DEEDS && rc == 0; d++) {
        ev_box b = box_of(&all[own]);
        size_t n_found = 0;
        rc = perform((set_deed)d, p, all, n, own, changed.rgb, &b);
        if (rc == 0)
            rc = evnet_detect(&t->net, &changed, &t->options->net_size, 0.05, found, MAX_BOXES,
                              &n_found);
        n_found = n_found < MAX_BOXES ? n_found : MAX_BOXES;
        with[d] = class_at(found, n_found, b);
    }
    free(changed.rgb);
    return rc;
}

/* Grey value of the face at SHARP_SIDE px height, nearest neighbour above and means below would
 * differ: the mean of the px under each. */
double set_sharpness(const evio_picture *p, ev_box b) {
    double g[SHARP_SIDE][SHARP_SIDE], sum = 0;
    for (int y = 0; y < SHARP_SIDE; y++)
        for (int x = 0; x < SHARP_SIDE; x++) {
            double v = 0;
            int n = 0, reach = (int)fmax(b.h / SHARP_SIDE, 1);
            for (int i = 0; i < reach; i++)
                for (int k = 0; k < reach; k++) {
                    int sx = (int)(b.x + (x + (k + 0.5) / reach) * b.w / SHARP_SIDE);
                    int sy = (int)(b.y + (y + (i + 0.5) / reach) * b.h / SHARP_SIDE);
                    sx = sx < 0 ? 0 : sx < p->width ? sx : p->width - 1;
                    sy = sy < 0 ? 0 : sy < p->height ? sy : p->height - 1;
                    const uint8_t *q = p->rgb + 3 * ((size_t)sy * (size_t)p->width + (size_t)sx);
                    v += 0.299 * q[0] + 0.587 * q[1] + 0.114 * q[2];
                    n++;
                }
            g[y][x] = v / n;
        }
    for (int y = 1; y < SHARP_SIDE - 1; y++)
        for (int x = 1; x < SHARP_SIDE - 1; x++) {
            double l = g[y - 1][x] + g[y + 1][x] + g[y][x - 1] + g[y][x + 1] - 4 * g[y][x];
            sum += l * l;
        }
    return log(sum / ((SHARP_SIDE - 2) * (SHARP_SIDE - 2)) + 1);
}
