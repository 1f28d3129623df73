/* See explain.h. Slow and plain: one run of the model as it is for each place of the mask. */
#include "explain.h"

#include "mem.h"

#include <math.h>
#include <string.h>

#define GREY 114 /* what surrounds a picture in the input */

static int plan(veil_explainer *e) {
    int err = VEIL_OK;
    if (e->plain == NULL)
        err = vl_net_create(&e->plain, e->model, e->pool, e->cpu_off, 0);
    if (err == VEIL_OK)
        err = vl_net_set_size(e->plain, vl_net_width(e->net), vl_net_height(e->net));
    return err;
}

/* The explained number with a grey square at (x0, y0); side 0: as it is. */
static int number_with(veil_explainer *e, const veil_explanation *cell, veil_class target,
                       int32_t x0, int32_t y0, int32_t side, float *out) {
    int32_t w = vl_net_width(e->plain), h = vl_net_height(e->plain);
    uint8_t *in = vl_net_input(e->plain);
    veil_tensor t;
    float sign;
    int32_t channel = vl_explain_channel(target, &sign);
    memcpy(in, vl_net_input(e->net), (size_t)w * (size_t)h * 4);
    int32_t x1 = x0 + side < w ? x0 + side : w, y1 = y0 + side < h ? y0 + side : h;
    for (int32_t y = y0; y < y1; y++) {
        for (int32_t x = x0; x < x1; x++)
            memset(in + ((size_t)y * (size_t)w + (size_t)x) * 4, GREY, 3);
    }
    int err = vl_net_run(e->plain);
    if (err == VEIL_OK)
        err = vl_net_output(e->plain, (size_t)cell->output, &t);
    if (err != VEIL_OK)
        return err;
    *out =
        sign * ((const float *)
                    t.data)[cell->cell_y * t.row_stride + cell->cell_x * t.pixel_stride + channel];
    return VEIL_OK;
}

/* Each mask covers two by two places; a place is the mean of the masks over it. */
static int fill(veil_explainer *e, const veil_explanation *cell, veil_class target, int32_t patch,
                float *sum, int32_t *count, int32_t width, int32_t height) {
    float whole;
    int err = number_with(e, cell, target, 0, 0, 0, &whole);
    for (int32_t y = 0; y < height && err == VEIL_OK; y++) {
        for (int32_t x = 0; x < width && err == VEIL_OK; x++) {
            float masked = 0.0f;
            err = number_with(e, cell, target, x * patch / 2, y * patch / 2, patch, &masked);
            for (int32_t i = 0; i < 4; i++) {
                int32_t px = x + i % 2, py = y + i / 2;
                if (px < width && py < height) {
                    sum[py * width + px] += whole - masked;
                    count[py * width + px]++;
                }
            }
        }
    }
    return err;
}

int vl_occlude(veil_explainer *e, const veil_explanation *cell, veil_class target, int32_t patch,
               vl_explain_map *map) {
    int err = plan(e);
    if (err != VEIL_OK)
        return err;
    int32_t step = patch / 2;
    map->width = (e->at.width + step - 1) / step;
    map->height = (e->at.height + step - 1) / step;
    map->cell_x = map->cell_y = (float)step;
    size_t n = (size_t)map->width * (size_t)map->height;
    map->data = vl_mem_alloc(n, sizeof *map->data);
    int32_t *count = vl_mem_alloc(n, sizeof *count);
    err = map->data == NULL || count == NULL ? VEIL_E_NOMEM : VEIL_OK;
    if (err == VEIL_OK)
        err = fill(e, cell, target, patch, map->data, count, map->width, map->height);
    for (size_t i = 0; i < n && err == VEIL_OK; i++)
        map->data[i] = fmaxf(map->data[i] / (float)count[i], 0.0f);
    vl_mem_free(count);
    return err;
}
