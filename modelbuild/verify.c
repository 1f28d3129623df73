/* See verify.h. */
#include "verify.h"

#include "engine.h"
#include "npz.h"
#include "picture.h"

#include <math.h>
#include <string.h>

typedef struct {
    char name[96];
    en_difference d;
} row;

#define MAX_ROWS 4096

/* Noise with some structure, the same on every machine: where there is no picture at hand. */
static void fill_noise(uint8_t *p, size_t n, uint32_t seed) {
    uint32_t v = seed * 2654435761u + 1;
    for (size_t i = 0; i < n; i++) {
        v = v * 1664525u + 1013904223u;
        p[i] = i % 4 == 3 ? 0 : (uint8_t)(v >> 24);
    }
}

static int compare_tensors(mb *m, const veil_net *a, const veil_net *b, bool outputs, row *rows,
                           size_t *n) {
    veil_tensor s, t;
    *n = 0;
    for (size_t i = 0; (outputs ? veil_net_output(a, i, &s) : veil_net_tensor(a, i, &s)) == VEIL_OK;
         i++) {
        if (!s.name || !s.data || *n == MAX_ROWS)
            continue;
        bool found = outputs ? en_output(b, s.name, &t) : en_tensor(b, s.name, &t);
        if (!found && outputs)
            return mb_fail(m, "output '%s' is missing in the second model", s.name);
        if (!found)
            continue;
        row *r = &rows[(*n)++];
        snprintf(r->name, sizeof(r->name), "%s", s.name);
        if (en_compare(m, &s, &t, &r->d) < 0)
            return -1;
    }
    return 0;
}

static void print_rows(FILE *to, const char *title, const row *rows, size_t n) {
    if (!to || !n)
        return;
    fprintf(to, "%-40s %8s %12s %12s\n", title, "SNR dB", "rms error", "largest");
    for (size_t i = 0; i < n; i++)
        fprintf(to, "%-40s %8.2f %12.6g %12.6g\n", rows[i].name, en_decibel(&rows[i].d),
                sqrt(rows[i].d.noise / (double)(rows[i].d.n ? rows[i].d.n : 1)), rows[i].d.largest);
}

/* Runs both nets on every picture and sums the differences up. */
static int run_both(mb *m, veil_net *a, veil_net *b, int32_t width, int32_t height,
                    const char **paths, size_t n, row *rows[2], size_t n_rows[2], bool layers) {
    size_t bytes = (size_t)width * (size_t)height * 4;
    for (size_t i = 0; i < n; i++) {
        uint8_t *in = veil_net_input(a);
        if (paths && pc_load(m, paths[i], width, height, in) < 0)
            return -1;
        if (!paths)
            fill_noise(in, bytes, (uint32_t)i);
        memcpy(veil_net_input(b), in, bytes);
        if (en_run(m, a) < 0 || en_run(m, b) < 0 ||
            compare_tensors(m, a, b, true, rows[0], &n_rows[0]) < 0 ||
            (layers && compare_tensors(m, a, b, false, rows[1], &n_rows[1]) < 0))
            return -1;
    }
    return 0;
}

int vf_compare(mb *m, const vf_model *a, const vf_model *b, int32_t width, int32_t height,
               const char *pictures, size_t count, bool layers, FILE *to, double *worst) {
    const char **paths = NULL;
    size_t n = count ? count : 8, n_rows[2] = {0, 0};
    row *rows[2] = {mb_alloc(m, MAX_ROWS, sizeof(row)), mb_alloc(m, MAX_ROWS, sizeof(row))};
    if (!rows[0] || !rows[1] || (pictures && pc_list(m, pictures, n, &paths, &n) < 0))
        return -1;
    if (!pictures)
        n = 1;
    veil_net *na = en_open(m, a->what, a->bytes, a->size, width, height, layers);
    veil_net *nb = na ? en_open(m, b->what, b->bytes, b->size, width, height, layers) : NULL;
    int r = nb ? run_both(m, na, nb, width, height, paths, n, rows, n_rows, layers) : -1;
    veil_net_destroy(na);
    veil_net_destroy(nb);
    if (r < 0)
        return -1;
    print_rows(to, "tensor", rows[1], n_rows[1]);
    print_rows(to, pictures ? "output" : "output (on noise)", rows[0], n_rows[0]);
    *worst = 200;
    for (size_t i = 0; i < n_rows[0]; i++)
        *worst = fmin(*worst, en_decibel(&rows[0][i].d));
    return n_rows[0] ? 0 : mb_fail(m, "the model has no output");
}

static const npz_array *find(const npz_array *a, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(a[i].name, name) == 0)
            return &a[i];
    return NULL;
}

/* One output (h,w,C) against its array (1,C,h,w). */
static int parity_output(mb *m, const veil_tensor *t, const npz_array *a, en_difference *d) {
    size_t c = (size_t)t->channels, h = (size_t)t->height, w = (size_t)t->width;
    if (!a || !a->f || a->rank != 4 || a->dims[0] != 1 || a->dims[1] != c || a->dims[2] != h ||
        a->dims[3] != w)
        return mb_fail(m, "the .npz file has no float array '%s' of shape (1,%zu,%zu,%zu)", t->name,
                       c, h, w);
    float *p = mb_alloc(m, c, sizeof(float));
    for (size_t y = 0; p && y < h; y++)
        for (size_t x = 0; x < w; x++) {
            en_pixel(t, (int32_t)y, (int32_t)x, p);
            for (size_t k = 0; k < c; k++) {
                double want = (double)a->f[(k * h + y) * w + x], e = want - (double)p[k];
                d->signal += want * want;
                d->noise += e * e;
                d->largest = fmax(d->largest, isnan(e) ? INFINITY : fabs(e));
            }
        }
    d->n += c * h * w;
    return p ? 0 : -1;
}

static int parity_outputs(mb *m, const veil_net *net, const npz_array *arrays, size_t n, FILE *to,
                          double *largest) {
    veil_tensor t;
    size_t i = 0;
    for (*largest = 0; veil_net_output(net, i, &t) == VEIL_OK; i++) {
        row r = {.d = {0}};
        snprintf(r.name, sizeof(r.name), "%s", t.name);
        if (parity_output(m, &t, find(arrays, n, t.name), &r.d) < 0)
            return -1;
        print_rows(to, i ? "" : "output", &r, 1);
        *largest = fmax(*largest, r.d.largest);
    }
    return i ? 0 : mb_fail(m, "the model has no output");
}

int vf_parity(mb *m, const vf_model *model, const uint8_t *npz, size_t size, FILE *to,
              double *largest) {
    npz_array *arrays = NULL;
    size_t n = 0;
    if (npz_read(m, npz, size, &arrays, &n) < 0)
        return -1;
    const npz_array *image = find(arrays, n, "image");
    if (!image || !image->u8 || image->rank != 3 || image->dims[2] != 3 || image->dims[0] > 4096 ||
        image->dims[1] > 4096)
        return mb_fail(m, "the .npz file has no u8 array 'image' of shape (H,W,3)");
    veil_net *net = en_open(m, model->what, model->bytes, model->size, (int32_t)image->dims[1],
                            (int32_t)image->dims[0], false);
    if (!net)
        return -1;
    uint8_t *in = veil_net_input(net);
    for (size_t k = 0; k < image->dims[0] * image->dims[1]; k++) {
        memcpy(in + 4 * k, image->u8 + 3 * k, 3);
        in[4 * k + 3] = 0;
    }
    int r = en_run(m, net);
    if (r == 0)
        r = parity_outputs(m, net, arrays, n, to, largest);
    veil_net_destroy(net);
    return r;
}
