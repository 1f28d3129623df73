/* eval_wider.c - `veil eval wider`: the official WIDER FACE evaluation on the val pictures that are
 * present, and recall by height of face. On a part of val the figures are not the published ones.
 */
#include "eval.h"
#include "eval_boxes.h"
#include "eval_io.h"
#include "eval_mat.h"
#include "eval_misses.h"
#include "eval_net.h"
#include "plot.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BOXES = 2000, N_BINS = 5, N_FLOORS = 4, N_RATES = 2 };

static const char *const set_names[WIDER_SETS] = {"easy", "medium", "hard"};
static const double bins[N_BINS + 1] = {8, 12, 16, 24, 48, INFINITY};
static const double floors[N_FLOORS] = {12, 16, 24, 32};
static const double rates[N_RATES] = {0.1, 0.5};

typedef struct {
    const char *data, *model, *json, *plot, *detections, *write, *misses, *size_text;
    double threads, min_score;
    evnet_size size;
} settings;

/* All boxes of all pictures in one array, picture i from start[i] to start[i + 1]. */
typedef struct {
    ev_found *found;
    size_t *start;
    size_t cap;
    double ms_per_picture;
    size_t n_missing;
} detections;

typedef struct {
    eval_miss *misses; /* the largest faces not found at the last of the rates */
    size_t n_misses;
    ev_ap ap[WIDER_SETS];
    ev_recall_point by_bin[N_RATES][N_BINS];
    ev_recall_point by_floor[N_RATES][N_FLOORS];
} figures;

static int append(detections *d, size_t picture, const ev_found *found, size_t n) {
    size_t at = d->start[picture];
    for (size_t i = 0; i < n; i++) {
        void *grown = d->found;
        if (ev_box_grow(&grown, at + i, &d->cap, sizeof *d->found))
            return evio_say("out of memory");
        d->found = grown;
        d->found[at + i] = found[i];
    }
    d->start[picture + 1] = at + n;
    return 0;
}

static int from_file(detections *d, const wider_truth *truth, const char *path) {
    boxes_file file;
    if (boxes_read(&file, path))
        return -1;
    int rc = 0;
    for (size_t i = 0; i < truth->n && rc == 0; i++) {
        const boxes_picture *p = boxes_find(&file, truth->pictures[i].name);
        d->n_missing += !p;
        rc = append(d, i, p ? p->found : NULL, p ? p->n : 0);
    }
    boxes_free(&file);
    if (rc == 0 && d->n_missing == truth->n)
        rc = evio_say("%s: has none of the %zu pictures", path, truth->n);
    return rc;
}

/* Order in which the network is planned anew least often. */
typedef struct {
    size_t picture;
    int width, height;
} work;

static int by_shape(const void *a, const void *b) {
    const work *x = a, *y = b;
    if (x->width != y->width)
        return x->width < y->width ? -1 : 1;
    if (x->height != y->height)
        return x->height < y->height ? -1 : 1;
    return x->picture < y->picture ? -1 : x->picture > y->picture;
}

typedef struct {
    ev_found *found;
    size_t n;
} one_result;

static int detect_one(evnet *net, const settings *s, const evio_picture *picture, one_result *out) {
    static veil_detection faces[MAX_BOXES];
    size_t n = 0;
    if (evnet_detect(net, picture, &s->size, s->min_score, faces, MAX_BOXES, &n))
        return -1;
    out->found = ev_box_array(NULL, n, sizeof *out->found);
    if (!out->found)
        return evio_say("out of memory");
    out->n = n;
    for (size_t i = 0; i < n; i++)
        out->found[i] = (ev_found){
            {(double)faces[i].x, (double)faces[i].y, (double)faces[i].w, (double)faces[i].h},
            (double)faces[i].score};
    return ev_ap_sort(out->found, n) ? evio_say("out of memory") : 0;
}

/* Sizes of all pictures are found out first: decoding twice costs less than planning often. */
static int plan_work(work *order, const wider_truth *truth, const settings *s) {
    for (size_t i = 0; i < truth->n; i++) {
        evio_picture p;
        order[i].picture = i;
        if (evio_picture_read(truth->pictures[i].path, &p))
            return -1;
        evnet_shape(&s->size, p.width, p.height, &order[i].width, &order[i].height);
        free(p.rgb);
    }
    qsort(order, truth->n, sizeof *order, by_shape);
    return 0;
}

static int from_network(detections *d, const wider_truth *truth, const settings *s) {
    evnet net;
    if (evnet_open(&net, s->model, (int)s->threads))
        return -1;
    work *order = ev_box_array(NULL, truth->n, sizeof *order);
    one_result *results = calloc(truth->n, sizeof *results);
    int rc = order && results ? plan_work(order, truth, s) : evio_say("out of memory");
    for (size_t i = 0; i < truth->n && rc == 0; i++) {
        evio_picture p;
        size_t at = order[i].picture;
        rc = evio_picture_read(truth->pictures[at].path, &p);
        if (rc == 0) {
            rc = detect_one(&net, s, &p, &results[at]);
            free(p.rgb);
        }
    }
    for (size_t i = 0; i < truth->n && rc == 0; i++)
        rc = append(d, i, results[i].found, results[i].n);
    if (net.n_runs)
        d->ms_per_picture = 1000 * net.seconds / (double)net.n_runs;
    for (size_t i = 0; results && i < truth->n; i++)
        free(results[i].found);
    free(results);
    free(order);
    evnet_close(&net);
    return rc;
}

static int write_boxes(const char *path, const detections *d, const wider_truth *truth) {
    FILE *f = evio_open_out(path);
    if (!f)
        return -1;
    for (size_t i = 0; i < truth->n; i++) {
        fprintf(f, "%s.jpg\n%zu\n", truth->pictures[i].name, d->start[i + 1] - d->start[i]);
        for (size_t k = d->start[i]; k < d->start[i + 1]; k++)
            fprintf(f, "%.3f %.3f %.3f %.3f %.6f\n", d->found[k].box.x, d->found[k].box.y,
                    d->found[k].box.w, d->found[k].box.h, d->found[k].score);
    }
    return evio_close_out(f, path);
}

static int recall_figures(figures *f, const detections *d, const wider_truth *truth) {
    for (int k = -1; k < N_FLOORS; k++) { /* -1: the bins share one threshold */
        ev_recall r = {.min_height = k < 0 ? bins[0] : floors[k]};
        int rc = 0;
        for (size_t i = 0; i < truth->n && rc == 0; i++)
            rc = ev_recall_add(&r, d->found + d->start[i], d->start[i + 1] - d->start[i],
                               truth->pictures[i].faces, truth->pictures[i].n_faces);
        for (int q = 0; q < N_RATES && rc == 0; q++) {
            for (int b = 0; b < N_BINS && k < 0; b++)
                f->by_bin[q][b] = ev_recall_at(&r, rates[q], bins[b], bins[b + 1]);
            if (k >= 0)
                f->by_floor[q][k] = ev_recall_at(&r, rates[q], floors[k], INFINITY);
        }
        ev_recall_free(&r);
        if (rc)
            return evio_say("out of memory");
    }
    return 0;
}

/* Faces not found at the threshold of the last rate. */
static int find_misses(figures *f, const detections *d, const wider_truth *truth) {
    const ev_recall r = {.min_height = bins[0]};
    double threshold = f->by_bin[N_RATES - 1][0].threshold;
    size_t cap = 0;
    for (size_t i = 0; i < truth->n; i++) {
        const wider_picture *p = &truth->pictures[i];
        unsigned char *missed = ev_box_array(NULL, p->n_faces, 1);
        int rc = missed
                     ? ev_recall_missed(&r, d->found + d->start[i], d->start[i + 1] - d->start[i],
                                        p->faces, p->n_faces, threshold, missed)
                     : -1;
        for (size_t k = 0; k < p->n_faces && rc == 0; k++) {
            void *grown = f->misses;
            if (!missed[k])
                continue;
            rc = ev_box_grow(&grown, f->n_misses, &cap, sizeof *f->misses);
            f->misses = grown;
            if (rc == 0)
                f->misses[f->n_misses++] = (eval_miss){p->path, p->boxes[k]};
        }
        free(missed);
        if (rc)
            return evio_say("out of memory");
    }
    return 0;
}

/* Recall is looked up at the detector's own scores, so before they are stretched. */
static int make_figures(figures *f, detections *d, const wider_truth *truth) {
    if (recall_figures(f, d, truth) || find_misses(f, d, truth))
        return -1;
    ev_ap_normalise(d->found, d->start[truth->n]);
    for (int s = 0; s < WIDER_SETS; s++) {
        for (size_t i = 0; i < truth->n; i++)
            if (ev_ap_add(&f->ap[s], d->found + d->start[i], d->start[i + 1] - d->start[i],
                          truth->pictures[i].boxes, truth->pictures[i].wanted[s],
                          truth->pictures[i].n_faces))
                return evio_say("out of memory");
        ev_ap_finish(&f->ap[s]);
    }
    return 0;
}

static double share(const ev_recall_point *p) {
    return p->n_faces ? 100.0 * (double)p->n_found / (double)p->n_faces : NAN;
}

static void print_figures(const figures *f, const detections *d, const wider_truth *truth,
                          const settings *s) {
    printf("WIDER FACE val, %zu pictures%s\n", truth->n,
           truth->n < 3226 ? " of 3226: a subset, not comparable with published figures" : "");
    printf("%s %s, input %s\n", s->detections ? "boxes from" : "model",
           s->detections ? s->detections
           : s->model    ? s->model
                         : "built in",
           s->detections ? "unknown" : s->size_text);
    if (d->n_missing)
        printf("%zu pictures are not in the file and count as empty\n", d->n_missing);
    printf("AP %%  easy %.2f  medium %.2f  hard %.2f   (faces %zu, %zu, %zu)\n", 100 * f->ap[0].ap,
           100 * f->ap[1].ap, 100 * f->ap[2].ap, f->ap[0].n_wanted, f->ap[1].n_wanted,
           f->ap[2].n_wanted);
    for (int q = 0; q < N_RATES; q++) {
        printf("recall %% at %.1f false positives a picture, score >= %.3f:\n ", rates[q],
               f->by_bin[q][0].threshold);
        for (int b = 0; b < N_BINS; b++) {
            if (b + 1 < N_BINS)
                printf(" %g-%g px", bins[b], bins[b + 1]);
            else
                printf(" %g+ px", bins[b]);
            printf(" %.1f (of %zu)%s", share(&f->by_bin[q][b]), f->by_bin[q][b].n_faces,
                   b + 1 < N_BINS ? "," : "\n");
        }
        printf("  counting only faces and boxes of at least:\n ");
        for (int k = 0; k < N_FLOORS; k++)
            printf(" %g px %.1f (%.2f)%s", floors[k], share(&f->by_floor[q][k]),
                   f->by_floor[q][k].threshold, k + 1 < N_FLOORS ? "," : "\n");
    }
    if (d->ms_per_picture > 0)
        printf("time %.1f ms a picture (scaling, network, boxes; decoding not included)\n",
               d->ms_per_picture);
}

static json_t *point_json(const ev_recall_point *p, double from, double to) {
    json_t *o = json_pack("{s:f, s:f, s:f, s:I, s:I}", "from_px", from, "threshold", p->threshold,
                          "false_per_picture", p->false_per_picture, "faces",
                          (json_int_t)p->n_faces, "found", (json_int_t)p->n_found);
    if (o && isfinite(to))
        json_object_set_new(o, "to_px", json_real(to));
    return o;
}

static int write_json(const figures *f, const detections *d, const wider_truth *truth,
                      const settings *s) {
    json_t *root = json_pack("{s:s, s:I, s:b, s:s, s:{}}", "set", "WIDER FACE val", "pictures",
                             (json_int_t)truth->n, "subset", truth->n < 3226, "input",
                             s->detections ? "unknown" : s->size_text, "ap");
    json_t *recall = json_array(), *floor_list = json_array();
    for (int k = 0; k < WIDER_SETS; k++)
        json_object_set_new(json_object_get(root, "ap"), set_names[k], json_real(f->ap[k].ap));
    for (int q = 0; q < N_RATES; q++) {
        json_t *by_bin = json_array(), *by_floor = json_array();
        for (int b = 0; b < N_BINS; b++)
            json_array_append_new(by_bin, point_json(&f->by_bin[q][b], bins[b], bins[b + 1]));
        for (int k = 0; k < N_FLOORS; k++)
            json_array_append_new(by_floor, point_json(&f->by_floor[q][k], floors[k], INFINITY));
        json_array_append_new(recall, by_bin);
        json_array_append_new(floor_list, by_floor);
    }
    json_object_set_new(root, "recall_by_height", recall);
    json_object_set_new(root, "recall_from_height", floor_list);
    if (d->ms_per_picture > 0)
        json_object_set_new(root, "ms_per_picture", json_real(d->ms_per_picture));
    return evio_json_write(s->json, root);
}

static int write_plot(const figures *f, const settings *s) {
    static const uint32_t colours[WIDER_SETS] = {0x2a7f3f, 0x1f5fbf, 0xbf3f1f};
    const ev_plot_axes axes = {
        "WIDER FACE val (pictures present)", "recall", "precision", 0, 1, 0, 1, 10, 10};
    ev_plot *plot = ev_plot_new(900, 700, &axes);
    if (!plot)
        return evio_say("out of memory");
    for (int k = 0; k < WIDER_SETS; k++) {
        char label[40];
        snprintf(label, sizeof label, "%s: AP %.1f", set_names[k], 100 * f->ap[k].ap);
        ev_plot_line(plot, f->ap[k].recall, f->ap[k].precision, EV_AP_STEPS, colours[k], label);
    }
    return evio_plot_write(s->plot, plot);
}

static int run(const settings *s) {
    wider_truth truth;
    if (wider_read(&truth, evio_data(s->data)))
        return -1;
    detections d = {.start = calloc(truth.n + 1, sizeof *d.start)};
    figures *f = calloc(1, sizeof *f);
    int rc = d.start && f ? 0 : evio_say("out of memory");
    if (rc == 0)
        rc = s->detections ? from_file(&d, &truth, s->detections) : from_network(&d, &truth, s);
    if (rc == 0 && s->write)
        rc = write_boxes(s->write, &d, &truth);
    if (rc == 0)
        rc = make_figures(f, &d, &truth);
    if (rc == 0 && !evio_is_stdout(s->json))
        print_figures(f, &d, &truth, s);
    if (rc == 0 && s->misses)
        rc = eval_misses_write(s->misses, f->misses, f->n_misses);
    if (rc == 0 && s->json)
        rc = write_json(f, &d, &truth, s);
    if (rc == 0 && s->plot)
        rc = write_plot(f, s);
    if (f)
        free(f->misses);
    free(f);
    free(d.found);
    free(d.start);
    wider_free(&truth);
    return rc;
}

int eval_wider(int argc, char **argv) {
    settings s = {.size_text = "640", .min_score = 0.02};
    const evio_option options[] = {
        {"data", EVIO_TEXT, &s.data, "data folder (default $VEIL_DATA or ../shared/data)"},
        {"size", EVIO_TEXT, &s.size_text, "input: long side (640), WxH, or \"source\""},
        {"model", EVIO_TEXT, &s.model, "veil-n (default), veil-p or a model file"},
        {"threads", EVIO_NUMBER, &s.threads, "threads of the network (0 = all)"},
        {"min-score", EVIO_NUMBER, &s.min_score, "boxes from this score on (0.02)"},
        {"detections", EVIO_TEXT, &s.detections, "evaluate these boxes instead of a model"},
        {"write-detections", EVIO_TEXT, &s.write, "write the boxes used"},
        {"misses", EVIO_TEXT, &s.misses, "write a PNG of the 50 largest faces not found"},
        {"json", EVIO_TEXT, &s.json, "write the figures as JSON (- = stdout)"},
        {"plot", EVIO_TEXT, &s.plot, "write precision over recall as PNG"},
    };
    int rc = evio_options("eval wider", argc, argv, options, sizeof options / sizeof options[0],
                          "Average precision on WIDER FACE val pictures, official protocol.");
    if (rc)
        return rc > 0 ? 0 : 2;
    if (evnet_size_parse(s.size_text, &s.size))
        return 2;
    return run(&s) ? 1 : 0;
}
