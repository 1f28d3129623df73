/* subject_figures.c - class figures of a network beside face height and "largest face". Every rule
 * has its own threshold, chosen so that it keeps the same share of interviewees. */
#include "subject_figures.h"

#include <math.h>
#include <stdlib.h>

/* The faces as each rule judges them. */
typedef struct {
    ev_judged *net, *height, *net_all, *height_all;
    unsigned char *largest;
    size_t n, n_all;
} columns;

static int columns_make(columns *c, size_t n) {
    *c = (columns){.net = ev_box_array(NULL, n, sizeof *c->net),
                   .height = ev_box_array(NULL, n, sizeof *c->height),
                   .net_all = ev_box_array(NULL, n, sizeof *c->net_all),
                   .height_all = ev_box_array(NULL, n, sizeof *c->height_all),
                   .largest = ev_box_array(NULL, n, 1)};
    return c->net && c->height && c->net_all && c->height_all && c->largest ? 0 : -1;
}

static void columns_free(columns *c) {
    free(c->net);
    free(c->height);
    free(c->net_all);
    free(c->height_all);
    free(c->largest);
}

static void take(columns *c, ev_subject *s, const ev_subject_face *f) {
    int missed = isnan(f->network);
    s->n_interview += f->interview != 0;
    s->n_background += f->interview == 0;
    s->missed_interview += f->interview && missed;
    s->missed_background += !f->interview && missed;
    c->height_all[c->n_all] = (ev_judged){f->side, f->interview};
    c->net_all[c->n_all++] = (ev_judged){missed ? INFINITY : f->network, f->interview};
    if (missed)
        return;
    c->net[c->n] = (ev_judged){f->network, f->interview};
    c->height[c->n] = (ev_judged){f->side, f->interview};
    c->largest[c->n++] = f->largest != 0;
}

static int make_rule(ev_subject_rule *r, const ev_judged *faces, size_t n, double kept) {
    if (ev_roc_make(&r->roc, faces, n))
        return -1;
    r->at = ev_roc_keeping(&r->roc, kept);
    r->accuracy = ev_roc_accuracy(faces, n, r->at.threshold);
    return 0;
}

/* Where one rule is wrong, is the other right? */
static void compare(ev_subject *s, const columns *c) {
    size_t kept = 0, hidden = 0;
    for (size_t i = 0; i < c->n; i++) {
        int interview = c->net[i].interview != 0;
        int net_right = (c->net[i].score >= s->network.at.threshold) == interview;
        int height_right = (c->height[i].score >= s->height.at.threshold) == interview;
        int largest_right = c->largest[i] == interview;
        s->height_wrong += !height_right;
        s->network_right_there += !height_right && net_right;
        s->network_wrong += !net_right;
        s->height_right_there += !net_right && height_right;
        s->largest_wrong += !largest_right;
        s->network_right_there_too += !largest_right && net_right;
        kept += interview && c->largest[i];
        hidden += !interview && !c->largest[i];
    }
    s->largest_kept = (double)kept / (double)s->network.roc.n_interview;
    s->largest_hidden = (double)hidden / (double)s->network.roc.n_background;
}

int ev_subject_make(ev_subject *out, const ev_subject_face *faces, size_t n, double min_side,
                    double kept) {
    columns c;
    *out = (ev_subject){0};
    int rc = columns_make(&c, n);
    for (size_t i = 0; i < n && rc == 0; i++)
        if (faces[i].side >= min_side)
            take(&c, out, &faces[i]);
    if (rc == 0 && (make_rule(&out->network, c.net, c.n, kept) ||
                    make_rule(&out->height, c.height, c.n, kept) ||
                    make_rule(&out->network_all, c.net_all, c.n_all, kept) ||
                    make_rule(&out->height_all, c.height_all, c.n_all, kept)))
        rc = -1;
    if (rc == 0) {
        out->accuracy_half = ev_roc_accuracy(c.net, c.n, 0.5);
        compare(out, &c);
    }
    columns_free(&c);
    return rc;
}

void ev_subject_free(ev_subject *s) {
    ev_roc_free(&s->network.roc);
    ev_roc_free(&s->height.roc);
    ev_roc_free(&s->network_all.roc);
    ev_roc_free(&s->height_all.roc);
}
