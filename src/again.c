/* See again.h. */
#include "again.h"

#include "mem.h"

#define SIDE_MIN  64
#define SIDE_MAX  1024
#define MIN_SCORE 0.05f /* its train/relate.py twin has the same */

typedef struct {
    int32_t side_px; /* longer side of its input */
    vl_net *net;
    vl_scale *scale;
} look;

struct vl_again {
    vl_pool *pool;
    look looks[VL_DETECT_LOOKS];
    int n_looks;
    veil_detection faces[VL_DETECT_FAR_MAX];
};

/* A multiple of 32 within the limits, and how many characters it takes; 0: anything else. */
static int32_t read_side(const char *text, size_t *length) {
    int32_t v = 0;
    size_t i = 0;
    for (; text[i] >= '0' && text[i] <= '9' && v <= SIDE_MAX; i++)
        v = v * 10 + (text[i] - '0');
    *length = i;
    return v >= SIDE_MIN && v <= SIDE_MAX && v % 32 == 0 ? v : 0;
}

static int read_sides(vl_again *a, const char *text) {
    for (;;) {
        size_t length;
        int32_t side = read_side(text, &length);
        if (side == 0 || a->n_looks == VL_DETECT_LOOKS)
            return VEIL_E_MODEL;
        a->looks[a->n_looks++].side_px = side;
        if (text[length] == 0)
            return VEIL_OK;
        if (text[length] != ',')
            return VEIL_E_MODEL;
        text += length + 1;
    }
}

int vl_again_create(vl_again **out, const vl_model *model, vl_pool *pool, uint32_t cpu_off) {
    if (out == NULL || model == NULL)
        return VEIL_E_ARG;
    *out = NULL;
    const char *text = vl_model_meta(model, "again");
    if (text == NULL)
        return VEIL_OK;
    vl_again *a = vl_mem_alloc(1, sizeof *a);
    if (a == NULL)
        return VEIL_E_NOMEM;
    a->pool = pool;
    int err = read_sides(a, text);
    for (int i = 0; i < a->n_looks && err == VEIL_OK; i++) {
        err = vl_net_create(&a->looks[i].net, model, pool, cpu_off, 0);
        if (err == VEIL_OK)
            err = vl_scale_create(&a->looks[i].scale);
        if (err == VEIL_OK)
            vl_scale_set_cpu(a->looks[i].scale, cpu_off);
    }
    if (err != VEIL_OK) {
        vl_again_destroy(a);
        return err;
    }
    *out = a;
    return VEIL_OK;
}

void vl_again_destroy(vl_again *a) {
    if (a == NULL)
        return;
    for (int i = 0; i < a->n_looks; i++) {
        vl_scale_destroy(a->looks[i].scale);
        vl_net_destroy(a->looks[i].net);
    }
    vl_mem_free(a);
}

static int plan(const look *l, const vl_detect *d, int32_t width, int32_t height) {
    int32_t w, h;
    vl_detect_fit_size(l->side_px, width, height, &w, &h);
    int err = vl_net_set_size(l->net, w, h);
    return err == VEIL_OK ? vl_detect_check(d, l->net) : err;
}

int vl_again_look(vl_again *a, vl_detect *d, const vl_net *net, const veil_frame *f) {
    vl_detect_forget_far(d);
    for (int i = 0; a != NULL && i < a->n_looks; i++) {
        const look *l = &a->looks[i];
        vl_scale_map m;
        size_t n = 0;
        if (vl_net_width(net) <= l->side_px && vl_net_height(net) <= l->side_px)
            continue;
        int err = plan(l, d, vl_frame_upright_width(f), vl_frame_upright_height(f));
        if (err == VEIL_OK)
            err = vl_detect_look(d, l->net, l->scale, a->pool, f, MIN_SCORE, a->faces,
                                 VL_DETECT_FAR_MAX, &n, &m, NULL);
        if (err != VEIL_OK) {
            vl_detect_forget_far(d);
            return err;
        }
        vl_detect_add_far(d, a->faces, n);
    }
    return VEIL_OK;
}
