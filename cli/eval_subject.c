/* eval_subject.c - `veil eval subject`: does the network tell interviewees from bystanders? On the
 * labelled test pictures nobody doubted, beside two rules that look at size alone. Faces that the
 * network does not find are left out of the class figures and counted apart. */
#include "eval.h"
#include "eval_io.h"
#include "eval_net.h"
#include "plot.h"
#include "subject_figures.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BOXES = 1000 };

typedef struct {
    const char *data, *list, *model, *json, *plot, *size_text;
    double threads, min_score, kept, min_side;
    evnet_size size;
} settings;

typedef struct {
    ev_subject_face *faces;
    size_t n, cap, n_pictures;
} table;

static double member(const json_t *face, size_t i) {
    return json_number_value(json_array_get(json_object_get(face, "box"), i));
}

static ev_box face_box(const json_t *face) {
    return (ev_box){member(face, 0), member(face, 1), member(face, 2), member(face, 3)};
}

static int add_faces(table *t, const json_t *picture, const veil_detection *found, size_t n_found) {
    const json_t *faces = json_object_get(picture, "faces");
    double width = json_number_value(json_object_get(picture, "width"));
    double height = json_number_value(json_object_get(picture, "height"));
    double largest = 0;
    for (size_t i = 0; i < json_array_size(faces); i++) {
        ev_box b = face_box(json_array_get(faces, i));
        largest = fmax(largest, b.w * b.h);
    }
    for (size_t i = 0; i < json_array_size(faces); i++) {
        const json_t *face = json_array_get(faces, i);
        const char *class = json_string_value(json_object_get(face, "class"));
        if (!class || json_is_true(json_object_get(face, "ignore")))
            continue;
        ev_box b = face_box(face);
        ev_subject_face j = {!strcmp(class, "interview"), b.h / fmin(width, height), NAN,
                             b.w * b.h >= largest};
        double best = 0.5;
        for (size_t d = 0; d < n_found; d++) {
            ev_box f = {(double)found[d].x, (double)found[d].y, (double)found[d].w,
                        (double)found[d].h};
            double iou = ev_box_iou(b, f);
            if (iou >= best) {
                best = iou;
                j.network = (double)found[d].interview;
            }
        }
        void *grown = t->faces;
        if (ev_box_grow(&grown, t->n, &t->cap, sizeof *t->faces))
            return evio_say("out of memory");
        t->faces = grown;
        t->faces[t->n++] = j;
    }
    return 0;
}

static int wanted(const json_t *p) {
    const char *split = json_string_value(json_object_get(p, "split"));
    return split && !strcmp(split, "test") && json_is_true(json_object_get(p, "labelled")) &&
           !json_is_true(json_object_get(p, "doubtful"));
}

static int one_picture(table *t, evnet *net, const settings *s, const char *dir, const json_t *p) {
    static veil_detection found[MAX_BOXES];
    const char *name = json_string_value(json_object_get(p, "image"));
    if (!name)
        return evio_say("a picture without a name");
    char *path = evio_join(dir, name);
    evio_picture picture = {0};
    size_t n = 0;
    int rc = path ? evio_picture_read(path, &picture) : -1;
    if (rc == 0)
        rc = evnet_detect(net, &picture, &s->size, s->min_score, found, MAX_BOXES, &n);
    if (rc == 0)
        rc = add_faces(t, p, found, n);
    t->n_pictures++;
    free(picture.rgb);
    free(path);
    return rc;
}

static int fill_table(table *t, const settings *s) {
    const char *dir = evio_data(s->data);
    char *default_list = evio_join(dir, "train.jsonl");
    const char *list = s->list ? s->list : default_list;
    evnet net = {0};
    FILE *f = list ? fopen(list, "r") : NULL;
    int rc = f ? evnet_open(&net, s->model, (int)s->threads)
               : evio_say("%s: cannot be opened", list ? list : "the list");
    json_t *p = NULL;
    size_t line = 1;
    int more = 1;
    while (rc == 0 && (more = evio_json_next(f, list, &line, &p)) > 0) {
        if (wanted(p))
            rc = one_picture(t, &net, s, dir, p);
        json_decref(p);
    }
    rc = more < 0 ? -1 : rc;
    if (rc == 0 && t->n == 0)
        rc = evio_say("%s: no labelled test picture", list);
    if (f)
        fclose(f);
    evnet_close(&net);
    free(default_list);
    return rc;
}

static void print_rule(const char *name, const ev_subject_rule *r) {
    printf("  %-22s hides %5.1f %% of background at %5.1f %% of interview kept (threshold %.3f), "
           "AUC %.3f, accuracy %.1f %%\n",
           name, 100 * r->at.hidden, 100 * r->at.kept, r->at.threshold, r->roc.auc,
           100 * r->accuracy);
}

static double percent(size_t part, size_t whole) {
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void print_figures(const char *title, const ev_subject *f) {
    printf("%s: %zu interview, %zu background; not found by the network %zu and %zu\n", title,
           f->n_interview, f->n_background, f->missed_interview, f->missed_background);
    puts("  faces the network found:");
    print_rule("network", &f->network);
    print_rule("face height", &f->height);
    printf("  %-22s hides %5.1f %% of background at %5.1f %% of interview kept\n",
           "largest face only", 100 * f->largest_hidden, 100 * f->largest_kept);
    printf("  network at P >= 0.5: accuracy %.1f %%\n", 100 * f->accuracy_half);
    printf(
        "  where the height rule is wrong (%zu faces) the network is right on %.1f %%; where the "
        "network is wrong (%zu) the height rule is right on %.1f %%\n",
        f->height_wrong, percent(f->network_right_there, f->height_wrong), f->network_wrong,
        percent(f->height_right_there, f->network_wrong));
    printf("  where \"largest face\" is wrong (%zu faces) the network is right on %.1f %%\n",
           f->largest_wrong, percent(f->network_right_there_too, f->largest_wrong));
    puts("  all faces, those not found count as left visible:");
    print_rule("network", &f->network_all);
    print_rule("face height", &f->height_all);
}

static json_t *rule_json(const ev_subject_rule *r) {
    return json_pack("{s:f, s:f, s:f, s:f, s:f}", "background_hidden", r->at.hidden,
                     "interview_kept", r->at.kept, "threshold", r->at.threshold, "auc", r->roc.auc,
                     "accuracy", r->accuracy);
}

static json_t *figures_json(const ev_subject *f) {
    json_t *o = json_pack(
        "{s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:I, s:I, s:I, s:I}", "interview",
        (json_int_t)f->n_interview, "background", (json_int_t)f->n_background, "missed_interview",
        (json_int_t)f->missed_interview, "missed_background", (json_int_t)f->missed_background,
        "largest_kept", f->largest_kept, "largest_hidden", f->largest_hidden, "accuracy_half",
        f->accuracy_half, "height_wrong", (json_int_t)f->height_wrong, "network_right_there",
        (json_int_t)f->network_right_there, "network_wrong", (json_int_t)f->network_wrong,
        "height_right_there", (json_int_t)f->height_right_there);
    json_object_set_new(o, "network", rule_json(&f->network));
    json_object_set_new(o, "height", rule_json(&f->height));
    json_object_set_new(o, "network_all", rule_json(&f->network_all));
    json_object_set_new(o, "height_all", rule_json(&f->height_all));
    return o;
}

static int write_json(const settings *s, const table *t, const ev_subject *big,
                      const ev_subject *all) {
    json_t *root = json_pack("{s:I, s:s, s:f, s:o, s:o}", "pictures", (json_int_t)t->n_pictures,
                             "input", s->size_text, "min_side", s->min_side, "faces_from_min_side",
                             figures_json(big), "all_faces", figures_json(all));
    return evio_json_write(s->json, root);
}

static int draw(ev_plot *plot, const ev_subject_rule *r, uint32_t colour, const char *name) {
    double *x = ev_box_array(NULL, r->roc.n, sizeof *x),
           *y = ev_box_array(NULL, r->roc.n, sizeof *y);
    if (x && y) {
        for (size_t i = 0; i < r->roc.n; i++) {
            x[i] = 1 - r->roc.points[i].hidden;
            y[i] = r->roc.points[i].kept;
        }
        char label[60];
        snprintf(label, sizeof label, "%s: AUC %.3f", name, r->roc.auc);
        ev_plot_line(plot, x, y, r->roc.n, colour, label);
    }
    int rc = x && y ? 0 : -1;
    free(x);
    free(y);
    return rc;
}

static int write_plot(const settings *s, const ev_subject *f) {
    const ev_plot_axes axes = {"interview or background",
                               "share of background faces left visible",
                               "share of interview faces kept",
                               0,
                               1,
                               0,
                               1,
                               10,
                               10};
    ev_plot *plot = ev_plot_new(900, 700, &axes);
    if (!plot || draw(plot, &f->height, 0x999999, "face height") ||
        draw(plot, &f->network, 0x1f5fbf, "network")) {
        ev_plot_free(plot);
        return evio_say("out of memory");
    }
    ev_plot_dot(plot, 1 - f->largest_hidden, f->largest_kept, 0xbf3f1f, "largest face");
    ev_plot_dot(plot, 1 - f->network.at.hidden, f->network.at.kept, 0x1f5fbf, "network, in use");
    return evio_plot_write(s->plot, plot);
}

static int figures_of(ev_subject *f, const table *t, double min_side, double kept) {
    if (ev_subject_make(f, t->faces, t->n, min_side, kept))
        return evio_say("no memory, or a class has no face of %g of the short side that was found",
                        min_side);
    return 0;
}

static int run(const settings *s) {
    table t = {0};
    ev_subject big = {0}, all = {0};
    int rc = fill_table(&t, s);
    if (rc == 0)
        rc = figures_of(&big, &t, s->min_side, s->kept);
    if (rc == 0)
        rc = figures_of(&all, &t, 0, s->kept);
    if (rc == 0 && !evio_is_stdout(s->json)) {
        printf("interview or background on %zu labelled test pictures, input %s\n", t.n_pictures,
               s->size_text);
        char title[60];
        snprintf(title, sizeof title, "faces of %g %% of the short side or more",
                 100 * s->min_side);
        print_figures(title, &big);
        print_figures("all faces", &all);
    }
    if (rc == 0 && s->json)
        rc = write_json(s, &t, &big, &all);
    if (rc == 0 && s->plot)
        rc = write_plot(s, &big);
    ev_subject_free(&big);
    ev_subject_free(&all);
    free(t.faces);
    return rc;
}

int eval_subject(int argc, char **argv) {
    settings s = {.size_text = "640", .min_score = 0.02, .kept = 0.93, .min_side = 0.05};
    const evio_option options[] = {
        {"data", EVIO_TEXT, &s.data, "data folder (default $VEIL_DATA or ../shared/data)"},
        {"list", EVIO_TEXT, &s.list, "JSON lines of pictures (default DATA/train.jsonl)"},
        {"size", EVIO_TEXT, &s.size_text, "input: long side (640), WxH, or \"source\""},
        {"model", EVIO_TEXT, &s.model, "veil-n (default), veil-p or a model file"},
        {"threads", EVIO_NUMBER, &s.threads, "threads of the network (0 = all)"},
        {"kept", EVIO_NUMBER, &s.kept, "share of interview faces to keep (0.93)"},
        {"min-side", EVIO_NUMBER, &s.min_side, "smallest face, part of the short side (0.05)"},
        {"min-score", EVIO_NUMBER, &s.min_score, "face score to be found (0.02)"},
        {"json", EVIO_TEXT, &s.json, "write the figures as JSON (- = stdout)"},
        {"plot", EVIO_TEXT, &s.plot, "write the ROC as PNG"},
    };
    int rc = evio_options("eval subject", argc, argv, options, sizeof options / sizeof options[0],
                          "Interview or background: the network beside rules of size.");
    if (rc)
        return rc > 0 ? 0 : 2;
    if (evnet_size_parse(s.size_text, &s.size))
        return 2;
    return run(&s) ? 1 : 0;
}
