/* ap.c - the WIDER FACE evaluation, step for step as the official toolbox does it:
 * each box, best first, goes to the face it overlaps most. On an ignored face it counts neither
 * way; on a wanted face it counts as found the first time; every other box, and every second box on
 * a face, is a false positive. */
#include "ap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    ev_found found;
    size_t place;
} placed;

static int by_score(const void *a, const void *b) {
    const placed *x = a, *y = b;
    if (x->found.score != y->found.score)
        return x->found.score > y->found.score ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

int ev_ap_sort(ev_found *found, size_t n) {
    placed *p = ev_box_array(NULL, n, sizeof *p);
    if (!p)
        return -1;
    for (size_t i = 0; i < n; i++)
        p[i] = (placed){found[i], i};
    qsort(p, n, sizeof *p, by_score);
    for (size_t i = 0; i < n; i++)
        found[i] = p[i].found;
    free(p);
    return 0;
}

void ev_ap_normalise(ev_found *found, size_t n) {
    if (n == 0)
        return;
    double low = found[0].score, high = found[0].score;
    for (size_t i = 1; i < n; i++) {
        low = fmin(low, found[i].score);
        high = fmax(high, found[i].score);
    }
    for (size_t i = 0; i < n; i++)
        found[i].score = high > low ? (found[i].score - low) / (high - low) : 1.0;
}

/* The face that overlaps box most, or n_faces when none reaches IoU 0.5. */
static size_t best_face(ev_box box, const ev_box *faces, size_t n_faces) {
    double best = 0;
    size_t which = n_faces;
    for (size_t i = 0; i < n_faces; i++) {
        double iou = ev_box_iou_wider(box, faces[i]);
        if (iou > best) {
            best = iou;
            which = i;
        }
    }
    return best >= 0.5 ? which : n_faces;
}

int ev_ap_add(ev_ap *ap, const ev_found *found, size_t n_found, const ev_box *faces,
              const unsigned char *wanted, size_t n_faces) {
    for (size_t i = 0; i < n_faces; i++)
        ap->n_wanted += wanted[i] != 0;
    /* The toolbox skips pictures without boxes or faces: there false positives are not counted. */
    if (n_found == 0 || n_faces == 0)
        return 0;
    unsigned char *taken = calloc(n_faces, 1);
    if (!taken)
        return -1;
    double true_found = 0, proposed = 0;
    size_t i = 0;
    for (size_t t = 0; t < EV_AP_STEPS; t++) {
        double threshold = 1.0 - (double)(t + 1) / EV_AP_STEPS;
        for (; i < n_found && found[i].score >= threshold; i++) {
            size_t face = best_face(found[i].box, faces, n_faces);
            if (face < n_faces && !wanted[face])
                continue;
            proposed++;
            if (face < n_faces && !taken[face]) {
                taken[face] = 1;
                true_found++;
            }
        }
        ap->true_found[t] += true_found;
        ap->proposed[t] += proposed;
    }
    free(taken);
    return 0;
}

double ev_ap_finish(ev_ap *ap) {
    double wanted = (double)ap->n_wanted, area = 0, envelope = 0;
    for (size_t t = 0; t < EV_AP_STEPS; t++) {
        ap->recall[t] = wanted > 0 ? ap->true_found[t] / wanted : 0;
        ap->precision[t] = ap->proposed[t] > 0 ? ap->true_found[t] / ap->proposed[t] : 0;
    }
    /* From the right: the precision at a recall is the best at this or any higher recall. */
    for (size_t t = EV_AP_STEPS; t-- > 0;) {
        double before = t > 0 ? ap->recall[t - 1] : 0;
        envelope = fmax(envelope, ap->precision[t]);
        area += (ap->recall[t] - before) * envelope;
    }
    return ap->ap = area;
}
