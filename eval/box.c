/* box.c - overlap of boxes, and the growing arrays that the evaluators share. */
#include "box.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

static double overlap(double a0, double a1, double b0, double b1) {
    double d = fmin(a1, b1) - fmax(a0, b0);
    return d > 0 ? d : 0;
}

double ev_box_iou(ev_box a, ev_box b) {
    double both = overlap(a.x, a.x + a.w, b.x, b.x + b.w) * overlap(a.y, a.y + a.h, b.y, b.y + b.h);
    double either = a.w * a.h + b.w * b.h - both;
    return both > 0 && either > 0 ? both / either : 0;
}

double ev_box_iou_wider(ev_box a, ev_box b) {
    ev_box a1 = {a.x, a.y, a.w + 1, a.h + 1}, b1 = {b.x, b.y, b.w + 1, b.h + 1};
    return ev_box_iou(a1, b1);
}

double ev_box_inside(ev_box a, ev_box b) {
    double both = overlap(a.x, a.x + a.w, b.x, b.x + b.w) * overlap(a.y, a.y + a.h, b.y, b.y + b.h);
    return a.w > 0 && a.h > 0 ? both / (a.w * a.h) : 0;
}

void *ev_box_array(void *old, size_t count, size_t size) {
    if (count == 0)
        count = 1;
    if (size == 0 || count > SIZE_MAX / size)
        return NULL;
    return realloc(old, count * size);
}

int ev_box_grow(void **array, size_t n, size_t *cap, size_t size) {
    if (n < *cap)
        return 0;
    size_t want = *cap ? *cap * 2 : 16;
    void *bigger = want > *cap ? ev_box_array(*array, want, size) : NULL;
    if (!bigger)
        return -1;
    *array = bigger;
    *cap = want;
    return 0;
}
