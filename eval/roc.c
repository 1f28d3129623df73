/* roc.c - ROC by sorting once; equals move together, so that a constant score has AUC 0.5. */
#include "roc.h"

#include "box.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_score(const void *a, const void *b) {
    const ev_judged *x = a, *y = b;
    return x->score == y->score ? 0 : x->score > y->score ? -1 : 1;
}

int ev_roc_make(ev_roc *roc, const ev_judged *faces, size_t n) {
    *roc = (ev_roc){0};
    for (size_t i = 0; i < n; i++) {
        roc->n_interview += faces[i].interview != 0;
        roc->n_background += faces[i].interview == 0;
    }
    if (roc->n_interview == 0 || roc->n_background == 0)
        return -1;
    ev_judged *sorted = ev_box_array(NULL, n, sizeof *sorted);
    roc->points = ev_box_array(NULL, n + 1, sizeof *roc->points);
    if (!sorted || !roc->points) {
        free(sorted);
        ev_roc_free(roc);
        return -1;
    }
    memcpy(sorted, faces, n * sizeof *sorted);
    for (size_t i = 0; i < n; i++)
        if (isnan(sorted[i].score))
            sorted[i].score = -INFINITY;
    qsort(sorted, n, sizeof *sorted, by_score);
    roc->points[roc->n++] = (ev_roc_point){INFINITY, 0, 1};
    size_t kept = 0, shown = 0;
    for (size_t i = 0; i < n; i++) {
        kept += sorted[i].interview != 0;
        shown += sorted[i].interview == 0;
        if (i + 1 < n && !(sorted[i + 1].score < sorted[i].score))
            continue;
        ev_roc_point p = {sorted[i].score, (double)kept / (double)roc->n_interview,
                          1 - (double)shown / (double)roc->n_background};
        ev_roc_point before = roc->points[roc->n - 1];
        roc->auc += (before.hidden - p.hidden) * (before.kept + p.kept) / 2;
        roc->points[roc->n++] = p;
    }
    free(sorted);
    return 0;
}

ev_roc_point ev_roc_keeping(const ev_roc *roc, double kept) {
    for (size_t i = 0; i < roc->n; i++)
        if (roc->points[i].kept >= kept - 1e-12)
            return roc->points[i]; /* hidden only falls along the curve */
    return roc->points[roc->n - 1];
}

double ev_roc_accuracy(const ev_judged *faces, size_t n, double threshold) {
    size_t right = 0;
    for (size_t i = 0; i < n; i++)
        right += (faces[i].score >= threshold) == (faces[i].interview != 0);
    return n ? (double)right / (double)n : 0;
}

void ev_roc_free(ev_roc *roc) {
    free(roc->points);
    *roc = (ev_roc){0};
}
