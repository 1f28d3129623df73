/* recall.c - recall at a given number of false positives a picture. Boxes take faces best first and
 * one to one (IoU 0.5); a box left over is a false positive unless it lies on a face that does not
 * count or is itself too small to count. */
#include "recall.h"

#include <math.h>
#include <stdlib.h>

typedef struct ev_recall_hit hit;

static int by_score(const void *a, const void *b) {
    const hit *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->found - y->found; /* among equals false ones first: never flatters */
}

static int counts(const ev_recall *r, const ev_face *f) {
    return !f->invalid && f->box.h >= r->min_height;
}

/* The free face that counts and overlaps box most (at least 0.5), or n. */
static size_t free_face(const ev_recall *r, ev_box box, const ev_face *faces,
                        const unsigned char *taken, size_t n) {
    double best = 0;
    size_t which = n;
    for (size_t i = 0; i < n; i++) {
        double iou = taken[i] || !counts(r, &faces[i]) ? 0 : ev_box_iou(box, faces[i].box);
        if (iou > best) {
            best = iou;
            which = i;
        }
    }
    return best >= 0.5 ? which : n;
}

static int on_uncounted(const ev_recall *r, ev_box box, const ev_face *faces, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!counts(r, &faces[i]) &&
            (ev_box_iou(box, faces[i].box) >= 0.5 ||
             (faces[i].invalid && ev_box_inside(box, faces[i].box) >= 0.5)))
            return 1;
    return 0;
}

int ev_recall_add(ev_recall *r, const ev_found *found, size_t n_found, const ev_face *faces,
                  size_t n_faces) {
    unsigned char *taken = calloc(n_faces ? n_faces : 1, 1);
    int rc = taken ? 0 : -1;
    r->n_pictures++;
    r->sorted = 0;
    for (size_t i = 0; i < n_faces && rc == 0; i++) {
        if (!counts(r, &faces[i]))
            continue;
        void *p = r->heights;
        rc = ev_box_grow(&p, r->n_heights, &r->cap_heights, sizeof *r->heights);
        r->heights = p;
        if (rc == 0)
            r->heights[r->n_heights++] = faces[i].box.h;
    }
    for (size_t i = 0; i < n_found && rc == 0; i++) {
        size_t f = free_face(r, found[i].box, faces, taken, n_faces);
        hit h = {found[i].score, 0, f < n_faces};
        if (h.found) {
            taken[f] = 1;
            h.height = faces[f].box.h;
        } else if (found[i].box.h < r->min_height ||
                   on_uncounted(r, found[i].box, faces, n_faces)) {
            continue;
        }
        void *p = r->hits;
        rc = ev_box_grow(&p, r->n_hits, &r->cap_hits, sizeof *r->hits);
        r->hits = p;
        if (rc == 0)
            r->hits[r->n_hits++] = h;
    }
    free(taken);
    return rc;
}

ev_recall_point ev_recall_at(ev_recall *r, double false_per_picture, double from, double to) {
    if (!r->sorted && r->n_hits)
        qsort(r->hits, r->n_hits, sizeof *r->hits, by_score);
    r->sorted = 1;
    ev_recall_point out = {.threshold = 1.0};
    double allowed = false_per_picture * (double)r->n_pictures, wrong = 0;
    size_t found = 0;
    for (size_t i = 0; i < r->n_hits; i++) {
        const hit *h = &r->hits[i];
        if (!h->found && wrong + 1 > allowed + 1e-9)
            break;
        wrong += !h->found;
        found += h->found && h->height >= from && h->height < to;
        /* A threshold cannot part equals: it is set only where the score changes. */
        if (i + 1 == r->n_hits || r->hits[i + 1].score < h->score) {
            out.threshold = h->score;
            out.n_found = found;
            out.false_per_picture = r->n_pictures ? wrong / (double)r->n_pictures : 0;
        }
    }
    for (size_t i = 0; i < r->n_heights; i++)
        out.n_faces += r->heights[i] >= from && r->heights[i] < to;
    return out;
}

int ev_recall_missed(const ev_recall *r, const ev_found *found, size_t n_found,
                     const ev_face *faces, size_t n_faces, double threshold,
                     unsigned char *missed) {
    unsigned char *taken = calloc(n_faces ? n_faces : 1, 1);
    if (!taken)
        return -1;
    for (size_t i = 0; i < n_found && found[i].score >= threshold; i++) {
        size_t f = free_face(r, found[i].box, faces, taken, n_faces);
        if (f < n_faces)
            taken[f] = 1;
    }
    for (size_t i = 0; i < n_faces; i++)
        missed[i] = counts(r, &faces[i]) && !taken[i];
    free(taken);
    return 0;
}

void ev_recall_free(ev_recall *r) {
    free(r->hits);
    free(r->heights);
    *r = (ev_recall){0};
}
