/* See again.h. */
#include "again.h"

#include "mem.h"

#define SIDE_MIN  64
#define SIDE_MAX  1024
#define MIN_SCORE 0.05f /* its train/relate.py twin has the same */

struct vl_again {
    vl_pool *pool;
    vl_net *net;
    vl_scale *scale;
    int32_t side_px; /* longer side of its input */
    veil_detection faces[VL_DETECT_FAR_MAX];
};

/* A multiple of 32 within the limits, without sign or spaces; 0: anything else. */
static int32_t read_side(const char *text) {
    int32_t v = 0;
    for (; *text >= '0' && *text <= '9' && v <= SIDE_MAX; text++)
        v = v * 10 + (*text - '0');
    return *text == 0 && v >= SIDE_MIN && v <= SIDE_MAX && v % 32 == 0 ? v : 0;
}

int vl_again_create(vl_again **out, const vl_model *model, vl_pool *pool, uint32_t cpu_off) {
    if (out == NULL || model == NULL)
        return VEIL_E_ARG;
    *out = NULL;
    const char *text = vl_model_meta(model, "again");
    if (text == NULL)
        return VEIL_OK;
    int32_t side = read_side(text);
    if (side == 0)
        return VEIL_E_MODEL;
    vl_again *a = vl_mem_alloc(1, sizeof *a);
    if (a == NULL)
        return VEIL_E_NOMEM;
    a->pool = pool;
    a->side_px = side;
    int err = vl_net_create(&a->net, model, pool, cpu_off, 0);
    if (err == VEIL_OK)
        err = vl_scale_create(&a->scale);
    if (err != VEIL_OK) {
        vl_again_destroy(a);
        return err;
    }
    vl_scale_set_cpu(a->scale, cpu_off);
    *out = a;
    return VEIL_OK;
}

void vl_again_destroy(vl_again *a) {
    if (a == NULL)
        return;
    vl_scale_destroy(a->scale);
    vl_net_destroy(a->net);
    vl_mem_free(a);
}

static int plan(vl_again *a, const vl_detect *d, int32_t width, int32_t height) {
    int32_t longer = width > height ? width : height, shorter = width > height ? height : width;
    int32_t other = (int32_t)(((int64_t)a->side_px * shorter + longer - 1) / longer);
    other = (other + 31) / 32 * 32;
    int32_t w = width >= height ? a->side_px : other, h = width >= height ? other : a->side_px;
    int err = vl_net_set_size(a->net, w, h);
    return err == VEIL_OK ? vl_detect_check(d, a->net) : err;
}

int vl_again_look(vl_again *a, vl_detect *d, const vl_net *net, const veil_frame *f) {
    vl_detect_set_far(d, NULL, 0);
    if (a == NULL || (vl_net_width(net) <= a->side_px && vl_net_height(net) <= a->side_px))
        return VEIL_OK;
    vl_scale_map m;
    size_t n = 0;
    int err = plan(a, d, vl_frame_upright_width(f), vl_frame_upright_height(f));
    if (err == VEIL_OK)
        err = vl_detect_look(d, a->net, a->scale, a->pool, f, MIN_SCORE, a->faces,
                             VL_DETECT_FAR_MAX, &n, &m, NULL);
    if (err == VEIL_OK)
        vl_detect_set_far(d, a->faces, n);
    return err;
}
