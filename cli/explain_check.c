/* explain_check.c - are the maps true? Deletion and insertion curves on the model as it is, beside
 * a random, a centre and a face map; agreement with occlusion; dependence on the weights. */
#include "explain_set.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 16, GREY = 114, MAX_BLOCKS = 16384, N_PARTS = 11, OCCLUDED = 3 };

static const double parts[N_PARTS] = {0, 0.01, 0.03, 0.06, 0.1, 0.15, 0.25, 0.4, 0.6, 0.8, 1};
enum { MAP_RANDOM, MAP_CENTRE, MAP_FACE, MAP_HIRESCAM, MAP_GRADCAM, MAP_GRADCAMPP, MAP_EIGENCAM };
const char *const check_map_names[CHECK_MAPS] = {"random",  "centre",    "face box", "hirescam",
                                                 "gradcam", "gradcam++", "eigencam"};
const int check_randomised[CHECK_RANDOMISED] = {1, 5, 20, 0};

struct checker {
    const explain_options *options;
    veil_explainer *random[CHECK_RANDOMISED], *other;
    int width, height; /* their input, px */
    uint8_t *model, *other_model;
    size_t model_size, other_size;
    uint64_t seed;
    check_figures f;
};

/* One face at work. */
typedef struct {
    explain_tools *t;
    const evio_picture *picture;
    veil_class target;
    veil_explanation cell;
    uint8_t *input;                  /* of the network, as the picture fills it */
    int width, height, across, down; /* px; blocks that the picture covers */
    float *map;                      /* of the blocks */
    int *order;
} trial;

int checker_create(checker **out, const explain_options *o) {
    checker *c = calloc(1, sizeof *c);
    *out = c;
    if (!c)
        return evio_say("out of memory");
    c->options = o;
    c->seed = 88172645463325252u;
    if (o->model && !(c->model = (uint8_t *)evio_read_model(o->model, &c->model_size)))
        return -1;
    if (o->against && !(c->other_model = (uint8_t *)evio_read_model(o->against, &c->other_size)))
        return -1;
    return 0;
}

void checker_destroy(checker *c) {
    if (!c)
        return;
    for (int i = 0; i < CHECK_RANDOMISED; i++)
        veil_explainer_destroy(c->random[i]);
    veil_explainer_destroy(c->other);
    free(c->model);
    free(c->other_model);
    free(c);
}

int checker_full(const checker *c, int interview) {
    return (double)c->f.n[interview ? 0 : 1] >= c->options->check_faces;
}

check_figures checker_figures(const checker *c) {
    check_figures f = c->f;
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < CHECK_MAPS; i++) {
            f.deletion[k][i] /= (double)f.n[k];
            f.insertion[k][i] /= (double)f.n[k];
        }
    for (int i = 0; i < CHECK_RANDOMISED; i++)
        f.randomised[i] /= (double)f.n_random;
    f.occlusion /= (double)f.n_occlusion;
    f.other = f.n_other ? f.other / (double)f.n_other : NAN;
    return f;
}

/* ------------------------------------------------------------------ curves */

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

/* P(face and class) at the explained cell for what is in the network's input. */
static int score(const trial *t, double *out) {
    veil_tensor o;
    int rc = veil_net_run(t->t->net.net);
    if (rc == 0)
        rc = veil_net_output(t->t->net.net, (size_t)t->cell.output, &o);
    if (rc)
        return evio_say("explain: %s", veil_strerror(rc));
    const float *v =
        (const float *)o.data + t->cell.cell_y * o.row_stride + t->cell.cell_x * o.pixel_stride;
    double sign = t->target == VEIL_CLASS_BACKGROUND ? -1 : 1;
    *out = sigmoid((double)v[4]) * sigmoid(sign * (double)v[5]);
    return 0;
}

/* The network's input with the first n blocks of the order grey, or only those left. */
static void fill(const trial *t, int n, int insertion) {
    uint8_t *in = veil_net_input(t->t->net.net);
    size_t bytes = 4 * (size_t)t->width * (size_t)t->height;
    if (insertion)
        memset(in, GREY, bytes);
    else
        memcpy(in, t->input, bytes);
    for (int i = 0; i < n; i++) {
        int x0 = t->order[i] % t->across * BLOCK, y0 = t->order[i] / t->across * BLOCK;
        int w = x0 + BLOCK < t->width ? BLOCK : t->width - x0;
        for (int y = y0; y < y0 + BLOCK && y < t->height; y++) {
            size_t at = 4 * ((size_t)y * (size_t)t->width + (size_t)x0);
            if (insertion)
                memcpy(in + at, t->input + at, 4 * (size_t)w);
            else
                memset(in + at, GREY, 4 * (size_t)w);
        }
    }
}

/* Area under the score, by its value for the whole picture, over the part that is grey (deletion)
 * or shown (insertion). */
static int area(const trial *t, int insertion, double *out) {
    double y[N_PARTS], whole;
    int n = t->across * t->down;
    for (int i = 0; i < N_PARTS; i++) {
        fill(t, (int)lround(parts[i] * n), insertion);
        if (score(t, &y[i]))
            return -1;
    }
    whole = fmax(insertion ? y[N_PARTS - 1] : y[0], 1e-6);
    for (int i = 1; i < N_PARTS; i++)
        *out += (parts[i] - parts[i - 1]) * (y[i] + y[i - 1]) / 2 / whole;
    return 0;
}

static double random_number(checker *c) {
    c->seed ^= c->seed << 13;
    c->seed ^= c->seed >> 7;
    c->seed ^= c->seed << 17;
    return (double)(c->seed >> 11) / 9007199254740992.0;
}

typedef struct {
    float value;
    int at;
} block;

static int largest_first(const void *a, const void *b) {
    const block *p = a, *q = b;
    return p->value > q->value ? -1 : p->value < q->value;
}

static void sort_blocks(checker *c, const trial *t) {
    static block blocks[MAX_BLOCKS];
    int n = t->across * t->down;
    for (int i = 0; i < n; i++) /* equal ones in random order */
        blocks[i] = (block){t->map[i] + 1e-6f * (float)random_number(c), i};
    qsort(blocks, (size_t)n, sizeof *blocks, largest_first);
    for (int i = 0; i < n; i++)
        t->order[i] = blocks[i].at;
}

static int explain(const trial *t, veil_explainer *e, veil_method method, float *map, int w, int h,
                   veil_explanation *out) {
    veil_frame frame = explain_frame(t->picture);
    veil_explain_options eo = {.struct_size = sizeof eo,
                               .target = t->target,
                               .method = method,
                               .layer = t->t->options->layer,
                               .cell = &t->cell,
                               .patch = (int32_t)t->t->options->patch,
                               .map = map,
                               .map_width = w,
                               .map_height = h};
    int rc = veil_explain(e, &frame, &eo, out);
    return rc ? explain_failed(rc, t->t->options) : 0;
}

static int make_map(checker *c, const trial *t, int which) {
    static const veil_method methods[CHECK_MAPS] = {[MAP_HIRESCAM] = VEIL_METHOD_HIRESCAM,
                                                    [MAP_GRADCAM] = VEIL_METHOD_GRADCAM,
                                                    [MAP_GRADCAMPP] = VEIL_METHOD_GRADCAMPP,
                                                    [MAP_EIGENCAM] = VEIL_METHOD_EIGENCAM};
    veil_explanation x;
    if (which >= MAP_HIRESCAM)
        return explain(t, t->t->explainer, methods[which], t->map, t->across, t->down, &x);
    double scale = (double)t->width / t->picture->width;
    scale = fmin(scale, (double)t->height / t->picture->height) / BLOCK;
    double cx = which == MAP_CENTRE ? t->across / 2.0 : (double)(t->cell.x + t->cell.w / 2) * scale;
    double cy = which == MAP_CENTRE ? t->down / 2.0 : (double)(t->cell.y + t->cell.h / 2) * scale;
    for (int i = 0; i < t->across * t->down; i++) {
        double dx = i % t->across + 0.5 - cx, dy = i / t->across + 0.5 - cy;
        t->map[i] =
            which == MAP_RANDOM ? (float)random_number(c) : (float)exp(-(dx * dx + dy * dy) / 100);
    }
    return 0;
}

static int curves(checker *c, const trial *t, int k) {
    for (int i = 0; i < CHECK_MAPS; i++) {
        if (make_map(c, t, i))
            return -1;
        sort_blocks(c, t);
        if (area(t, 0, &c->f.deletion[k][i]) || area(t, 1, &c->f.insertion[k][i]))
            return -1;
    }
    return 0;
}

/* ------------------------------------------------------------------ agreement */

static int agree(const trial *t, veil_explainer *e, veil_method method, int w, int h, int ranks,
                 double *sum, size_t *count) {
    size_t n = (size_t)w * (size_t)h;
    float *a = ev_box_array(NULL, n, sizeof *a), *b = ev_box_array(NULL, n, sizeof *b);
    double *x = ev_box_array(NULL, n, sizeof *x), *y = ev_box_array(NULL, n, sizeof *y);
    veil_explanation found;
    int rc = a && b && x && y ? 0 : evio_say("out of memory");
    if (rc == 0)
        rc = explain(t, t->t->explainer, VEIL_METHOD_HIRESCAM, a, w, h, &found);
    if (rc == 0)
        rc = explain(t, e, method, b, w, h, &found);
    for (size_t i = 0; i < n && rc == 0; i++) {
        x[i] = (double)a[i];
        y[i] = (double)b[i];
    }
    double r = rc == 0 ? ranks ? set_spearman(x, y, n) : set_pearson(x, y, n) : 0;
    if (rc == 0 && isfinite(r)) {
        *sum += r;
        (*count)++;
    }
    free(a);
    free(b);
    free(x);
    free(y);
    return rc;
}

static int open_others(checker *c, int width, int height) {
    if (c->random[0] && c->width == width && c->height == height)
        return 0;
    for (int i = 0; i <= CHECK_RANDOMISED; i++) {
        veil_explainer **e = i < CHECK_RANDOMISED ? &c->random[i] : &c->other;
        int against = i == CHECK_RANDOMISED;
        veil_explainer_destroy(*e);
        *e = NULL;
        if (against && !c->other_model)
            continue;
        veil_explainer_options eo;
        veil_explainer_options_init(&eo, sizeof eo);
        eo.model = against ? c->other_model : c->model;
        eo.model_size = against ? c->other_size : c->model_size;
        eo.threads = (int32_t)c->options->threads;
        eo.input_width = width;
        eo.input_height = height;
        eo.randomise = against ? 0 : check_randomised[i] ? check_randomised[i] : 10000;
        int rc = veil_explainer_create(e, &eo);
        if (rc)
            return explain_failed(rc, c->options);
    }
    c->width = width;
    c->height = height;
    return 0;
}

static int agreements(checker *c, const trial *t, int k) {
    int rc = open_others(c, t->width, t->height);
    for (int i = 0; i < CHECK_RANDOMISED && rc == 0; i++) {
        size_t n = 0;
        rc = agree(t, c->random[i], VEIL_METHOD_HIRESCAM, 2 * t->across, 2 * t->down, 0,
                   &c->f.randomised[i], &n);
        c->f.n_random += i == 0;
    }
    if (rc == 0 && c->other)
        rc = agree(t, c->other, VEIL_METHOD_HIRESCAM, 2 * t->across, 2 * t->down, 0, &c->f.other,
                   &c->f.n_other);
    if (rc == 0 && c->f.n[k] < OCCLUDED) /* slow */
        rc = agree(t, t->t->explainer, VEIL_METHOD_OCCLUSION, t->across, t->down, 1,
                   &c->f.occlusion, &c->f.n_occlusion);
    return rc;
}

int checker_face(checker *c, explain_tools *tools, const evio_picture *p, const veil_detection *d,
                 int interview) {
    trial t = {.t = tools,
               .picture = p,
               .target = interview ? VEIL_CLASS_INTERVIEW : VEIL_CLASS_BACKGROUND,
               .width = tools->net.width,
               .height = tools->net.height};
    double scale = fmin((double)t.width / p->width, (double)t.height / p->height);
    t.across = (int)ceil(p->width * scale / BLOCK);
    t.down = (int)ceil(p->height * scale / BLOCK);
    size_t n = (size_t)t.across * (size_t)t.down, bytes = 4 * (size_t)t.width * (size_t)t.height;
    if (n > MAX_BLOCKS)
        return evio_say("explain: --check takes inputs of up to %d blocks", MAX_BLOCKS);
    veil_frame frame = explain_frame(p);
    veil_explain_options eo = {
        .struct_size = sizeof eo, .target = t.target, .x = d->x, .y = d->y, .w = d->w, .h = d->h};
    int rc = veil_explain(tools->explainer, &frame, &eo, &t.cell);
    if (rc == VEIL_E_NOT_FOUND)
        return 0;
    if (rc)
        return explain_failed(rc, c->options);
    t.map = ev_box_array(NULL, n, sizeof *t.map);
    t.order = ev_box_array(NULL, n, sizeof *t.order);
    t.input = malloc(bytes);
    rc = t.map && t.order && t.input ? 0 : evio_say("out of memory");
    int k = interview ? 0 : 1;
    if (rc == 0) {
        memcpy(t.input, veil_net_input(tools->net.net), bytes);
        rc = curves(c, &t, k);
    }
    if (rc == 0)
        rc = agreements(c, &t, k);
    c->f.n[k]++;
    free(t.map);
    free(t.order);
    free(t.input);
    return rc;
}
