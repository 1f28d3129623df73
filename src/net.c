/* The network by itself (veil_net_* of veil.h): a parsed model, a planned net, and what it takes to
 * find faces in one picture. Everything it does is done by nn, scale and detect. */
#include "net.h"

#include "again.h"
#include "builtin.h"
#include "detect.h"
#include "frame.h"
#include "mem.h"
#include "pool.h"
#include "scale.h"

#include <string.h>
#include <unistd.h>

#define MAX_THREADS 4 /* by default */

struct veil_net {
    vl_model *model;
    vl_pool *pool;
    vl_net *net;
    vl_detect *detect; /* NULL: a model whose outputs are not faces */
    vl_again *again;   /* NULL: the model asks for none */
    vl_scale *scale;
    int64_t (*clock_ns)(void);
};

int vl_net_parse_model(vl_model **out, const void *model, size_t size) {
    if (model == NULL)
        model = veil_model_builtin(VL_BUILTIN_DEFAULT, &size);
    *out = NULL;
    return model == NULL ? VEIL_E_MODEL : vl_model_parse(out, model, size);
}

int32_t vl_net_threads(int32_t wanted) {
    if (wanted > 0)
        return wanted;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > MAX_THREADS ? MAX_THREADS : (int32_t)cores;
}

static int create_parts(veil_net *n, const void *model, size_t size, const veil_net_options *o) {
    int err = vl_net_parse_model(&n->model, model, size);
    if (err == VEIL_OK)
        err = vl_pool_create(&n->pool, vl_net_threads(o->threads));
    if (err == VEIL_OK)
        err = vl_net_create(&n->net, n->model, n->pool, o->cpu_off, o->keep_all);
    if (err == VEIL_OK)
        err = vl_scale_create(&n->scale);
    if (err != VEIL_OK)
        return err;
    vl_scale_set_cpu(n->scale, o->cpu_off);
    n->clock_ns = o->profile ? o->clock_ns : NULL;
    vl_net_set_clock(n->net, n->clock_ns);
    err = vl_detect_create(&n->detect, n->model);
    if (err == VEIL_E_MODEL)
        return VEIL_OK; /* still good for everything but faces */
    return err != VEIL_OK ? err : vl_again_create(&n->again, n->model, n->pool, o->cpu_off);
}

int veil_net_create(veil_net **out, const void *model, size_t size, const veil_net_options *opt) {
    if (out == NULL)
        return VEIL_E_ARG;
    *out = NULL;
    veil_net_options o = {.struct_size = sizeof o};
    if (opt != NULL) {
        if (opt->struct_size < sizeof(size_t) || opt->struct_size > 4096)
            return VEIL_E_ARG;
        memcpy(&o, opt, opt->struct_size < sizeof o ? opt->struct_size : sizeof o);
    }
    if (o.threads < 0 || o.threads > 64 || (o.profile != 0 && o.clock_ns == NULL))
        return VEIL_E_ARG;
    veil_net *n = vl_mem_alloc(1, sizeof *n);
    if (n == NULL)
        return VEIL_E_NOMEM;
    int err = create_parts(n, model, size, &o);
    if (err != VEIL_OK) {
        veil_net_destroy(n);
        return err;
    }
    *out = n;
    return VEIL_OK;
}

void veil_net_destroy(veil_net *n) {
    if (n == NULL)
        return;
    vl_scale_destroy(n->scale);
    vl_again_destroy(n->again);
    vl_detect_destroy(n->detect);
    vl_net_destroy(n->net);
    vl_pool_destroy(n->pool);
    vl_model_destroy(n->model);
    vl_mem_free(n);
}

int veil_net_set_size(veil_net *n, int32_t width, int32_t height) {
    return n == NULL ? VEIL_E_ARG : vl_net_set_size(n->net, width, height);
}

uint8_t *veil_net_input(veil_net *n) {
    return n == NULL ? NULL : vl_net_input(n->net);
}

int veil_net_run(veil_net *n) {
    return n == NULL ? VEIL_E_ARG : vl_net_run(n->net);
}

size_t veil_net_outputs(const veil_net *n) {
    return n == NULL ? 0 : vl_net_outputs(n->net);
}

int veil_net_output(const veil_net *n, size_t i, veil_tensor *out) {
    return n == NULL || out == NULL ? VEIL_E_ARG : vl_net_output(n->net, i, out);
}

size_t veil_net_layers(const veil_net *n) {
    return n == NULL ? 0 : vl_net_layers(n->net);
}

int veil_net_layer(const veil_net *n, size_t i, veil_layer *out) {
    return n == NULL || out == NULL ? VEIL_E_ARG : vl_net_layer(n->net, i, out);
}

int veil_net_tensor(const veil_net *n, size_t i, veil_tensor *out) {
    return n == NULL || out == NULL ? VEIL_E_ARG : vl_net_tensor(n->net, i, out);
}

int veil_net_memory(const veil_net *n, size_t *arena, size_t *weights) {
    if (n == NULL || arena == NULL || weights == NULL)
        return VEIL_E_ARG;
    return vl_net_memory(n->net, arena, weights);
}

const char *veil_net_meta(const veil_net *n, const char *key) {
    return n == NULL || key == NULL ? NULL : vl_model_meta(n->model, key);
}

const char *veil_net_meta_key(const veil_net *n, size_t i) {
    return n == NULL ? NULL : vl_model_meta_key(n->model, i);
}

int veil_net_detect(veil_net *n, const veil_frame *frame, float min_score, veil_detection *out,
                    size_t cap, size_t *count) {
    if (n == NULL || frame == NULL || count == NULL || (out == NULL && cap > 0))
        return VEIL_E_ARG;
    *count = 0;
    if (n->detect == NULL)
        return VEIL_E_MODEL;
    int err = vl_frame_check(frame);
    if (err == VEIL_OK && vl_net_width(n->net) == 0) {
        bool turned = frame->rotation == 90 || frame->rotation == 270;
        int32_t width, height;
        vl_detect_input_size(turned ? frame->height : frame->width,
                             turned ? frame->width : frame->height, &width, &height);
        err = vl_net_set_size(n->net, width, height);
    }
    if (err == VEIL_OK)
        err = vl_detect_check(n->detect, n->net);
    if (err == VEIL_OK)
        err = vl_again_look(n->again, n->detect, n->net, frame);
    if (err == VEIL_OK)
        err = vl_detect_frame(n->detect, n->net, n->scale, n->pool, frame, min_score, out, cap,
                              count, NULL, NULL);
    if (err != VEIL_OK)
        return err;
    vl_detect_to_stored(frame, out, *count < cap ? *count : cap);
    return VEIL_OK;
}
