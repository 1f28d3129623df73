/* explain_dataset.c - `veil explain --dataset`: every labelled face of the test pictures, where the
 * evidence for its class lies, and what becomes of its class when the picture is changed. */
#include "explain_set.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_FOUND = 500, MAX_A_PICTURE = 4, GRID = 160 }; /* bystanders; places of the long side */
#define SMALLEST 16.0                                    /* height of a face in the input, px */

typedef struct {
    set_table table;
    explain_tools tools;
    checker *checker;
    const explain_options *options;
} run;

static ev_box labelled_box(const json_t *face) {
    const json_t *b = json_object_get(face, "box");
    return (ev_box){
        json_number_value(json_array_get(b, 0)), json_number_value(json_array_get(b, 1)),
        json_number_value(json_array_get(b, 2)), json_number_value(json_array_get(b, 3))};
}

static ev_box found_box(const veil_detection *d) {
    return (ev_box){(double)d->x, (double)d->y, (double)d->w, (double)d->h};
}

static int inside(ev_box b, double grow, double x, double y) {
    return x >= b.x - grow * b.w && x < b.x + b.w * (1 + grow) && y >= b.y - grow * b.h &&
           y < b.y + b.h * (1 + grow);
}

static ev_box person_of(ev_box f) {
    return (ev_box){f.x - f.w, f.y - 0.5 * f.h, 3 * f.w, 6.5 * f.h};
}

static set_place place_at(const veil_detection *all, size_t n, size_t own, double x, double y) {
    ev_box mine = found_box(&all[own]);
    if (inside(mine, 0.15, x, y))
        return AT_FACE;
    for (size_t i = 0; i < n; i++)
        if (i != own && inside(found_box(&all[i]), 0.15, x, y))
            return AT_OTHERS;
    if (inside(person_of(mine), 0, x, y))
        return AT_PERSON;
    for (size_t i = 0; i < n; i++)
        if (i != own && inside(person_of(found_box(&all[i])), 0, x, y))
            return AT_OTHERS;
    return AT_REST;
}

/* Shares of the evidence for the class decided, by place. */
static int locate(run *r, const evio_picture *p, const veil_detection *all, size_t n, size_t own,
                  set_face *f) {
    double scale = (double)GRID / (p->width > p->height ? p->width : p->height), sum = 0;
    int w = (int)ceil(p->width * scale), h = (int)ceil(p->height * scale);
    float *map = ev_box_array(NULL, (size_t)w * (size_t)h, sizeof *map);
    if (!map)
        return evio_say("out of memory");
    veil_frame frame = explain_frame(p);
    const veil_detection *d = &all[own];
    veil_explanation x;
    veil_explain_options eo = {.struct_size = sizeof eo,
                               .target =
                                   f->predicted ? VEIL_CLASS_INTERVIEW : VEIL_CLASS_BACKGROUND,
                               .method = r->options->method,
                               .layer = r->options->layer,
                               .x = d->x,
                               .y = d->y,
                               .w = d->w,
                               .h = d->h,
                               .map = map,
                               .map_width = w,
                               .map_height = h};
    int rc = veil_explain(r->tools.explainer, &frame, &eo, &x);
    for (int i = 0; i < w * h && rc == 0; i++) {
        double px = (i % w + 0.5) * p->width / w, py = (i / w + 0.5) * p->height / h;
        set_place at = place_at(all, n, own, px, py);
        f->share[at] += (double)map[i];
        f->area[at] += 1.0 / ((double)w * h);
        sum += (double)map[i];
    }
    for (int i = 0; i < N_PLACES && rc == 0; i++)
        f->share[i] = sum > 0 ? f->share[i] / sum : NAN;
    free(map);
    if (rc == VEIL_E_NOT_FOUND) /* the float twin does not see it quite there */
        return 1;
    return rc ? explain_failed(rc, r->options) : 0;
}

static void describe(const evio_picture *p, ev_box b, set_face *f) {
    double w = p->width, h = p->height, cx = b.x + b.w / 2, cy = b.y + b.h / 2;
    f->box = b;
    f->width = p->width;
    f->height = p->height;
    f->size = b.h / fmin(w, h);
    f->distance = hypot(cx - w / 2, cy - h / 2) / (hypot(w, h) / 2);
    f->low = cy / h;
    f->sharp = set_sharpness(p, b);
}

static int add_face(run *r, const char *path, const evio_picture *p, const veil_detection *all,
                    size_t n, size_t own, int interview) {
    set_face f = {
        .interview = interview, .p = (double)all[own].interview, .score = (double)all[own].score};
    f.predicted = f.p >= 0.5;
    describe(p, found_box(&all[own]), &f);
    int rc = locate(r, p, all, n, own, &f);
    if (rc)
        return rc > 0 ? 0 : rc;
    if (r->checker && !checker_full(r->checker, f.predicted) && interview == f.predicted)
        rc = checker_face(r->checker, &r->tools, p, &all[own], f.predicted);
    if (rc == 0)
        rc = set_deeds(&r->tools, p, all, n, own, f.with);
    void *grown = r->table.faces;
    if (rc == 0 && ev_box_grow(&grown, r->table.n, &r->table.cap, sizeof f))
        rc = evio_say("out of memory");
    if (rc)
        return rc;
    r->table.faces = grown;
    f.path = strdup(path);
    r->table.faces[r->table.n++] = f;
    return f.path ? 0 : evio_say("out of memory");
}

/* All interviewees and some bystanders of a picture. The detector has just seen it: the checker
 * needs its input, so that checking comes before the picture is changed. */
static int take_faces(run *r, const char *path, const evio_picture *p, const json_t *faces,
                      const veil_detection *found, size_t n) {
    int others = 0, rc = 0;
    double scale =
        fmin((double)r->tools.net.width / p->width, (double)r->tools.net.height / p->height);
    for (size_t i = 0; i < json_array_size(faces) && rc == 0; i++) {
        const json_t *face = json_array_get(faces, i);
        const char *class = json_string_value(json_object_get(face, "class"));
        ev_box b = labelled_box(face);
        if (!class || json_is_true(json_object_get(face, "ignore")) || b.h * scale < SMALLEST)
            continue;
        int interview = !strcmp(class, "interview");
        size_t best = n;
        double most = 0.5;
        for (size_t d = 0; d < n; d++)
            if (ev_box_iou(b, found_box(&found[d])) >= most) {
                most = ev_box_iou(b, found_box(&found[d]));
                best = d;
            }
        r->table.n_lost += best == n;
        if (best == n || (!interview && others++ >= MAX_A_PICTURE))
            continue;
        size_t again = 0;
        static veil_detection seen[MAX_FOUND];
        if (r->checker) /* the input holds a changed picture after the first face */
            rc = evnet_detect(&r->tools.net, p, &r->options->net_size, r->options->min_score, seen,
                              MAX_FOUND, &again);
        if (rc == 0)
            rc = add_face(r, path, p, found, n, best, interview);
    }
    return rc;
}

static int one_picture(run *r, const json_t *entry) {
    static veil_detection found[MAX_FOUND];
    const char *name = json_string_value(json_object_get(entry, "image"));
    if (!name)
        return evio_say("%s: a picture without a name", r->options->dataset);
    char *path = evio_join(r->options->dataset, name);
    evio_picture p = {0};
    size_t n = 0;
    int rc = path ? evio_picture_read(path, &p) : -1;
    if (rc == 0)
        rc = evnet_detect(&r->tools.net, &p, &r->options->net_size, r->options->min_score, found,
                          MAX_FOUND, &n);
    if (rc == 0)
        rc = tools_size(&r->tools, r->tools.net.width, r->tools.net.height);
    if (rc == 0)
        rc = take_faces(r, path, &p, json_object_get(entry, "faces"), found,
                        n < MAX_FOUND ? n : MAX_FOUND);
    r->table.n_pictures++;
    free(p.rgb);
    free(path);
    return rc;
}

static int wanted(const json_t *p) {
    const char *split = json_string_value(json_object_get(p, "split"));
    return split && !strcmp(split, "test") && json_is_true(json_object_get(p, "labelled")) &&
           !json_is_true(json_object_get(p, "doubtful"));
}

/* All wanted entries of the list. */
static json_t *read_list(const explain_options *o) {
    char *path = o->list ? strdup(o->list) : evio_join(o->dataset, "train.jsonl");
    json_t *all = json_array(), *p = NULL;
    FILE *f = path ? fopen(path, "r") : NULL;
    size_t line = 1;
    int more = f ? 1 : evio_say("%s: cannot be opened", path ? path : "the list");
    while (more > 0 && (more = evio_json_next(f, path, &line, &p)) > 0) {
        if (wanted(p))
            json_array_append(all, p);
        json_decref(p);
    }
    if (more == 0 && json_array_size(all) == 0)
        more = evio_say("%s: no labelled test picture", path);
    if (f)
        fclose(f);
    free(path);
    if (more == 0)
        return all;
    json_decref(all);
    return NULL;
}

static int all_pictures(run *r, const json_t *list) {
    size_t n = json_array_size(list), limit = (size_t)r->options->limit;
    limit = limit && limit < n ? limit : n;
    int terminal = isatty(STDERR_FILENO);
    for (size_t i = 0; i < limit; i++) {
        if (one_picture(r, json_array_get(list, i * n / limit)))
            return -1;
        if (terminal && (i % 20 == 19 || i + 1 == limit))
            fprintf(stderr, "\r%zu of %zu pictures", i + 1, limit);
    }
    if (terminal)
        fputc('\n', stderr);
    return r->table.n ? 0 : evio_say("none of the labelled faces was found");
}

int explain_dataset(const explain_options *o) {
    run r = {.options = o};
    json_t *list = read_list(o);
    int rc = list ? tools_open(&r.tools, o) : -1;
    if (rc == 0 && o->check)
        rc = checker_create(&r.checker, o);
    if (rc == 0)
        rc = all_pictures(&r, list);
    if (rc == 0) {
        check_figures figures = {.other = NAN};
        if (r.checker)
            figures = checker_figures(r.checker);
        rc = set_write(o, &r.tools, &r.table, r.checker ? &figures : NULL);
    }
    for (size_t i = 0; i < r.table.n; i++)
        free(r.table.faces[i].path);
    free(r.table.faces);
    checker_destroy(r.checker);
    tools_close(&r.tools);
    json_decref(list);
    return rc;
}
