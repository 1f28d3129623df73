/* See cam.h. Sums run in double precision: a layer has up to a million numbers. */
#include "cam.h"

#include "mem.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define EIGEN_STEPS 60 /* of the power iteration; the first two components are far apart */

static const float *values_at(const veil_tensor *a, int32_t y, int32_t x) {
    return (const float *)a->data + y * a->row_stride + x * a->pixel_stride;
}

static const float *gradient_at(const vl_gradient *g, int32_t y, int32_t x) {
    return g->data + ((size_t)y * (size_t)g->width + (size_t)x) * (size_t)g->channels;
}

static double projected(const float *v, const double *w, int32_t channels) {
    double sum = 0.0;
    for (int32_t c = 0; c < channels; c++)
        sum += w[c] * (double)v[c];
    return sum;
}

/* map = max(0, sum of w[c] * a) */
static void weigh(const veil_tensor *a, const double *w, float *map) {
    for (int32_t y = 0; y < a->height; y++) {
        for (int32_t x = 0; x < a->width; x++) {
            double sum = projected(values_at(a, y, x), w, a->channels);
            map[y * a->width + x] = (float)fmax(sum, 0.0);
        }
    }
}

static void mean_gradients(const vl_gradient *g, double *w) {
    double n = (double)g->height * g->width;
    for (int32_t y = g->region.y0; y < g->region.y1; y++) {
        for (int32_t x = g->region.x0; x < g->region.x1; x++) {
            const float *d = gradient_at(g, y, x);
            for (int32_t c = 0; c < g->channels; c++)
                w[c] += (double)d[c] / n;
        }
    }
}

/* Grad-CAM++ for a score e^s: alpha = g^2 / (2 g^2 + sum(a) g^3), w = sum of alpha * max(g, 0). */
static void shared_gradients(const veil_tensor *a, const vl_gradient *g, double *sums, double *w) {
    for (int32_t y = 0; y < a->height; y++) {
        for (int32_t x = 0; x < a->width; x++) {
            for (int32_t c = 0; c < a->channels; c++)
                sums[c] += (double)values_at(a, y, x)[c];
        }
    }
    for (int32_t y = g->region.y0; y < g->region.y1; y++) {
        for (int32_t x = g->region.x0; x < g->region.x1; x++) {
            const float *d = gradient_at(g, y, x);
            for (int32_t c = 0; c < g->channels; c++) {
                double v = (double)d[c], below = 2.0 * v * v + sums[c] * v * v * v;
                if (v > 0.0 && fabs(below) > 1e-30)
                    w[c] += v * v / below * v;
            }
        }
    }
}

static void place_by_place(const veil_tensor *a, const vl_gradient *g, float *map) {
    for (int32_t y = g->region.y0; y < g->region.y1; y++) {
        for (int32_t x = g->region.x0; x < g->region.x1; x++) {
            const float *v = values_at(a, y, x), *d = gradient_at(g, y, x);
            double sum = 0.0;
            for (int32_t c = 0; c < a->channels; c++)
                sum += (double)v[c] * (double)d[c];
            map[y * a->width + x] = (float)fmax(sum, 0.0);
        }
    }
}

/* One step of the power iteration on A'A, A having a row a place: next = A'(A w), normalised. */
static void eigen_step(const veil_tensor *a, const double *w, double *next) {
    double length = 0.0;
    memset(next, 0, (size_t)a->channels * sizeof *next);
    for (int32_t y = 0; y < a->height; y++) {
        for (int32_t x = 0; x < a->width; x++) {
            const float *v = values_at(a, y, x);
            double sum = projected(v, w, a->channels);
            for (int32_t c = 0; c < a->channels; c++)
                next[c] += sum * (double)v[c];
        }
    }
    for (int32_t c = 0; c < a->channels; c++)
        length += next[c] * next[c];
    length = length > 0.0 ? sqrt(length) : 1.0;
    for (int32_t c = 0; c < a->channels; c++)
        next[c] /= length;
}

/* The component is positive where the values are, since the iteration starts positive. */
static void principal_component(const veil_tensor *a, double *w, double *next) {
    for (int32_t c = 0; c < a->channels; c++)
        w[c] = 1.0;
    for (int i = 0; i < EIGEN_STEPS; i++) {
        eigen_step(a, w, next);
        memcpy(w, next, (size_t)a->channels * sizeof *w);
    }
}

int vl_cam_map(veil_method method, const veil_tensor *a, const vl_gradient *g, float *map) {
    size_t places = (size_t)a->height * (size_t)a->width, n = (size_t)a->channels;
    memset(map, 0, places * sizeof *map);
    bool none = g->data == NULL || g->region.y0 >= g->region.y1;
    if (none && method != VEIL_METHOD_EIGENCAM)
        return VEIL_OK;
    double *w = vl_mem_alloc(2 * n, sizeof *w), *more = w + n;
    if (w == NULL)
        return VEIL_E_NOMEM;
    switch (method) {
    case VEIL_METHOD_GRADCAM:
        mean_gradients(g, w);
        weigh(a, w, map);
        break;
    case VEIL_METHOD_GRADCAMPP:
        shared_gradients(a, g, more, w);
        weigh(a, w, map);
        break;
    case VEIL_METHOD_EIGENCAM:
        principal_component(a, w, more);
        weigh(a, w, map);
        break;
    default:
        place_by_place(a, g, map);
        break;
    }
    vl_mem_free(w);
    return VEIL_OK;
}

static int32_t within(int32_t v, int32_t n) {
    return v < 0 ? 0 : v < n ? v : n - 1;
}

float vl_cam_sample(const float *map, int32_t w, int32_t h, float x, float y) {
    float fx = floorf(x - 0.5f), fy = floorf(y - 0.5f);
    float px = x - 0.5f - fx, py = y - 0.5f - fy;
    int32_t x0 = within((int32_t)fx, w), x1 = within((int32_t)fx + 1, w);
    int32_t y0 = within((int32_t)fy, h), y1 = within((int32_t)fy + 1, h);
    float top = map[y0 * w + x0] * (1.0f - px) + map[y0 * w + x1] * px;
    float bottom = map[y1 * w + x0] * (1.0f - px) + map[y1 * w + x1] * px;
    return top * (1.0f - py) + bottom * py;
}
