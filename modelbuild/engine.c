/* See engine.h. Through the public header alone. */
#include "engine.h"

#include <math.h>
#include <string.h>

veil_net *en_open(mb *m, const char *what, const uint8_t *model, size_t size, int32_t width,
                  int32_t height, bool keep_all) {
    veil_net_options o = {.struct_size = sizeof(o), .keep_all = keep_all};
    veil_net *net = NULL;
    int err = veil_net_create(&net, model, size, &o);
    if (err == VEIL_OK)
        err = veil_net_set_size(net, width, height);
    if (err != VEIL_OK) {
        mb_fail(m, "%s: %s", what, veil_strerror(err));
        veil_net_destroy(net);
        return NULL;
    }
    return net;
}

int en_run(mb *m, veil_net *net) {
    int err = veil_net_run(net);
    return err == VEIL_OK ? 0 : mb_fail(m, "running the network: %s", veil_strerror(err));
}

static bool find(const veil_net *net, const char *name, veil_tensor *t,
                 int (*get)(const veil_net *, size_t, veil_tensor *)) {
    for (size_t i = 0; get(net, i, t) == VEIL_OK; i++)
        if (t->name && strcmp(t->name, name) == 0)
            return t->data != NULL;
    return false;
}

bool en_tensor(const veil_net *net, const char *name, veil_tensor *t) {
    return find(net, name, t, veil_net_tensor);
}

bool en_output(const veil_net *net, const char *name, veil_tensor *t) {
    return find(net, name, t, veil_net_output);
}

void en_pixel(const veil_tensor *t, int32_t y, int32_t x, float *out) {
    ptrdiff_t at = y * t->row_stride + x * t->pixel_stride;
    if (t->is_u8) {
        const uint8_t *p = (const uint8_t *)t->data + at;
        for (int32_t c = 0; c < t->channels; c++)
            out[c] = (float)(p[c] - t->zero) * t->scale;
    } else {
        memcpy(out, (const float *)t->data + at, (size_t)t->channels * sizeof(float));
    }
}

int en_compare(mb *m, const veil_tensor *a, const veil_tensor *b, en_difference *d) {
    if (a->height != b->height || a->width != b->width || a->channels != b->channels)
        return mb_fail(m, "'%s' has different shapes in the two models", a->name);
    float *p = mb_alloc(m, 2 * (size_t)a->channels, sizeof(float)), *q = p + a->channels;
    if (!p)
        return -1;
    for (int32_t y = 0; y < a->height; y++)
        for (int32_t x = 0; x < a->width; x++) {
            en_pixel(a, y, x, p);
            en_pixel(b, y, x, q);
            for (int32_t c = 0; c < a->channels; c++) {
                double e = (double)p[c] - (double)q[c];
                d->signal += (double)p[c] * (double)p[c];
                d->noise += e * e;
                d->largest = fmax(d->largest, isnan(e) ? INFINITY : fabs(e));
            }
        }
    d->n += (size_t)a->height * (size_t)a->width * (size_t)a->channels;
    return 0;
}

double en_decibel(const en_difference *d) {
    if (d->noise <= 0)
        return 200;
    return d->signal > 0 ? fmax(-200, 10 * log10(d->signal / d->noise)) : -200;
}
