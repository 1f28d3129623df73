/* Explaining one face of one frame (veil_explain of veil.h): the float twin of the model is run,
 * the cell that stands for the face is found, and a map is made of what its class rests on. Maps
 * themselves are made by cam.c and occlude.c. */
#include "explain.h"

#include "cam.h"
#include "detect_priv.h"
#include "mem.h"
#include "net.h"
#include "nn/floats.h"
#include "nn/plan.h"

#include <math.h>
#include <string.h>

#define SEEN_LOGIT (-4.0f) /* P(face) about 0.02: cells below are no face */
#define SAME_IOU   0.3f    /* the face asked for and the face of a cell */

void veil_explainer_options_init(veil_explainer_options *opt, size_t struct_size) {
    if (opt == NULL || struct_size < sizeof(size_t) || struct_size > 4096)
        return;
    memset(opt, 0, struct_size);
    opt->struct_size = struct_size;
}

static int create_parts(veil_explainer *e, const veil_explainer_options *o) {
    int err = vl_net_parse_model(&e->model, o->model, o->model_size);
    if (err != VEIL_OK)
        return err;
    const char *decoder = vl_model_meta(e->model, "decoder");
    if (decoder != NULL && strcmp(decoder, "veil") != 0)
        return VEIL_E_UNSUPPORTED;
    err = vl_floats_create(&e->twin, e->model, o->randomise);
    if (err == VEIL_OK)
        err = vl_pool_create(&e->pool, vl_net_threads(o->threads));
    if (err == VEIL_OK)
        err = vl_net_create(&e->net, e->twin, e->pool, o->cpu_off, 1);
    if (err == VEIL_OK)
        err = vl_scale_create(&e->scale);
    if (err == VEIL_OK)
        vl_scale_set_cpu(e->scale, o->cpu_off);
    return err;
}

int veil_explainer_create(veil_explainer **out, const veil_explainer_options *opt) {
    if (out == NULL)
        return VEIL_E_ARG;
    *out = NULL;
    veil_explainer_options o = {.struct_size = sizeof o};
    if (opt != NULL) {
        if (opt->struct_size < sizeof(size_t) || opt->struct_size > 4096)
            return VEIL_E_ARG;
        memcpy(&o, opt, opt->struct_size < sizeof o ? opt->struct_size : sizeof o);
    }
    if (o.threads < 0 || o.threads > 64 || o.randomise < 0 ||
        (o.input_width == 0) != (o.input_height == 0))
        return VEIL_E_ARG;
    veil_explainer *e = vl_mem_alloc(1, sizeof *e);
    if (e == NULL)
        return VEIL_E_NOMEM;
    e->cpu_off = o.cpu_off;
    e->input_width = o.input_width;
    e->input_height = o.input_height;
    int err = create_parts(e, &o);
    if (err != VEIL_OK) {
        veil_explainer_destroy(e);
        return err;
    }
    *out = e;
    return VEIL_OK;
}

void veil_explainer_destroy(veil_explainer *e) {
    if (e == NULL)
        return;
    vl_grad_destroy(e->grad);
    vl_net_destroy(e->plain);
    vl_net_destroy(e->net);
    vl_scale_destroy(e->scale);
    vl_pool_destroy(e->pool);
    vl_model_destroy(e->twin);
    vl_model_destroy(e->model);
    vl_mem_free(e);
}

/* ------------------------------------------------------------------ the frame and the face */

static int check_outputs(const veil_explainer *e) {
    for (size_t i = 0; i < vl_net_outputs(e->net); i++) {
        veil_tensor t;
        int err = vl_net_output(e->net, i, &t);
        if (err != VEIL_OK)
            return err;
        if (!vl_decode_usable(&t) || t.channels != VL_DECODE_CHANNELS)
            return VEIL_E_UNSUPPORTED;
    }
    return VEIL_OK;
}

static int take_frame(veil_explainer *e, const veil_frame *f) {
    int32_t width = e->input_width, height = e->input_height;
    int err = vl_frame_check(f);
    if (err != VEIL_OK)
        return err;
    e->has_frame = false;
    if (width == 0)
        vl_detect_input_size(vl_frame_upright_width(f), vl_frame_upright_height(f), &width,
                             &height);
    if (e->grad == NULL || width != vl_net_width(e->net) || height != vl_net_height(e->net)) {
        vl_grad_destroy(e->grad);
        e->grad = NULL;
        err = vl_net_set_size(e->net, width, height);
        if (err == VEIL_OK)
            err = check_outputs(e);
        if (err == VEIL_OK)
            err = vl_grad_create(&e->grad, e->net);
    }
    if (err == VEIL_OK)
        err = vl_scale_fill(e->scale, e->pool, f, vl_net_input(e->net), width, height, &e->at);
    if (err == VEIL_OK)
        err = vl_net_run(e->net);
    e->has_frame = err == VEIL_OK;
    e->frame = *f;
    return err;
}

static float overlap(vl_rect a, vl_rect b) {
    float w = fminf(a.x + a.w, b.x + b.w) - fmaxf(a.x, b.x);
    float h = fminf(a.y + a.h, b.y + b.h) - fmaxf(a.y, b.y);
    float both = w > 0.0f && h > 0.0f ? w * h : 0.0f;
    return both / (a.w * a.h + b.w * b.h - both);
}

static vl_rect cell_box(const veil_explainer *e, const vl_candidate *c) {
    vl_rect upright = {(c->cx - c->w / 2) * e->at.scale_x, (c->cy - c->h / 2) * e->at.scale_y,
                       c->w * e->at.scale_x, c->h * e->at.scale_y};
    return vl_frame_from_upright(&e->frame, upright);
}

static void describe(const veil_explainer *e, const veil_tensor *t, veil_explanation *x) {
    vl_candidate c = vl_decode_own_cell(t, x->cell_y, x->cell_x);
    vl_rect r = cell_box(e, &c);
    x->x = r.x;
    x->y = r.y;
    x->w = r.w;
    x->h = r.h;
    x->score = vl_decode_sigmoid(c.score);
    x->interview = c.interview;
    x->net_width = vl_net_width(e->net);
    x->net_height = vl_net_height(e->net);
}

/* The surest cell whose face is the one asked for. */
static int find_cell(const veil_explainer *e, const veil_explain_options *o, veil_explanation *x) {
    const vl_rect wanted = {o->x, o->y, o->w, o->h};
    float best = SEEN_LOGIT;
    bool found = false;
    for (size_t i = 0; i < vl_net_outputs(e->net); i++) {
        veil_tensor t;
        int err = vl_net_output(e->net, i, &t);
        if (err != VEIL_OK)
            return err;
        for (int32_t y = 0; y < t.height; y++) {
            for (int32_t cx = 0; cx < t.width; cx++) {
                if (!(vl_decode_cell(&t, y, cx)[VL_DECODE_FACE] > best))
                    continue;
                vl_candidate c = vl_decode_own_cell(&t, y, cx);
                if (o->w > 0.0f && !(overlap(wanted, cell_box(e, &c)) >= SAME_IOU))
                    continue;
                best = c.score;
                found = true;
                x->output = (int32_t)i;
                x->cell_x = cx;
                x->cell_y = y;
            }
        }
    }
    return found ? VEIL_OK : VEIL_E_NOT_FOUND;
}

static int choose_cell(const veil_explainer *e, const veil_explain_options *o,
                       veil_explanation *x) {
    veil_tensor t;
    if (o->cell == NULL) {
        int err = find_cell(e, o, x);
        if (err != VEIL_OK)
            return err;
    } else {
        x->output = o->cell->output;
        x->cell_x = o->cell->cell_x;
        x->cell_y = o->cell->cell_y;
    }
    if (x->output < 0 || vl_net_output(e->net, (size_t)x->output, &t) != VEIL_OK || x->cell_x < 0 ||
        x->cell_y < 0 || x->cell_x >= t.width || x->cell_y >= t.height)
        return VEIL_E_NOT_FOUND;
    describe(e, &t, x);
    return VEIL_OK;
}

int32_t vl_explain_channel(veil_class target, float *sign) {
    *sign = target == VEIL_CLASS_BACKGROUND ? -1.0f : 1.0f;
    return target == VEIL_CLASS_FACE ? VL_DECODE_FACE : VL_DECODE_INTERVIEW;
}

/* ------------------------------------------------------------------ the map */

/* Does everything that comes after operator i come from its output alone? */
static bool is_bottleneck(const vl_model *m, int32_t i, const int32_t *producer) {
    for (int32_t j = i + 1; j < m->n_ops; j++) {
        for (int32_t k = 0; k < m->ops[j].n_in; k++) {
            if (producer[m->ops[j].in[k]] < i)
                return false;
        }
    }
    for (int32_t k = 0; k < m->n_outs; k++) {
        if (producer[m->outs[k].value] <= i)
            return false;
    }
    return true;
}

/* The end of the trunk: the last operator through which everything passes. Maps of the layers
 * behind it say less of this picture, being coarser or about one of several sizes of face only. */
static int trunk_end(const vl_model *m, int32_t *layer) {
    int32_t *producer = vl_mem_alloc((size_t)m->n_values, sizeof *producer);
    if (producer == NULL)
        return VEIL_E_NOMEM;
    producer[0] = -1;
    for (int32_t i = 0; i < m->n_ops; i++)
        producer[m->ops[i].out] = i;
    int32_t i = m->n_ops - 1;
    while (i > 0 && !is_bottleneck(m, i, producer))
        i--;
    vl_mem_free(producer);
    *layer = i;
    return VEIL_OK;
}

/* The operator whose output is explained. */
static int find_layer(const vl_model *m, const char *name, int32_t *layer) {
    if (name == NULL || strcmp(name, "auto") == 0)
        return trunk_end(m, layer);
    for (int32_t i = m->n_ops - 1; i >= 0; i--) {
        if (strcmp(m->ops[i].name, name) == 0) {
            *layer = i;
            return VEIL_OK;
        }
    }
    return VEIL_E_NOT_FOUND;
}

static int class_map(veil_explainer *e, const veil_explain_options *o, veil_explanation *x,
                     vl_explain_map *map) {
    int32_t layer;
    int err = find_layer(e->twin, o->layer, &layer);
    if (err != VEIL_OK)
        return err;
    const vl_op *op = &e->twin->ops[layer];
    veil_tensor a;
    vl_gradient g = {0};
    err = vl_net_tensor(e->net, (size_t)op->out, &a);
    if (err == VEIL_OK && o->method != VEIL_METHOD_EIGENCAM) {
        float sign;
        int32_t channel = vl_explain_channel(o->target, &sign);
        vl_grad_clear(e->grad);
        err = vl_grad_seed(e->grad, e->twin->outs[x->output].value, x->cell_y, x->cell_x, channel,
                           sign);
        if (err == VEIL_OK)
            err = vl_grad_run(e->grad, op->out, &g);
    }
    if (err != VEIL_OK)
        return err;
    map->data = vl_mem_alloc((size_t)a.height * (size_t)a.width, sizeof *map->data);
    if (map->data == NULL)
        return VEIL_E_NOMEM;
    map->width = a.width;
    map->height = a.height;
    map->cell_x = (float)vl_net_width(e->net) / (float)a.width;
    map->cell_y = (float)vl_net_height(e->net) / (float)a.height;
    x->layer = op->name;
    return vl_cam_map(o->method == VEIL_METHOD_AUTO ? VEIL_METHOD_HIRESCAM : o->method, &a, &g,
                      map->data);
}

static int occlusion_map(veil_explainer *e, const veil_explain_options *o, veil_explanation *x,
                         vl_explain_map *map) {
    int32_t patch = o->patch;
    if (patch == 0) {
        float side = fminf(x->w / e->at.scale_x, x->h / e->at.scale_y) / 2;
        patch = (int32_t)fminf(fmaxf(side / 8, 2), 12) * 8;
    }
    x->layer = "";
    return vl_occlude(e, x, o->target, patch, map);
}

static float largest(const vl_explain_map *map) {
    float most = 0.0f;
    for (int32_t i = 0; i < map->width * map->height; i++)
        most = fmaxf(most, map->data[i]);
    return most;
}

/* Spreads the map over the whole frame as given, turned as it is. */
static void spread(const veil_explainer *e, const vl_explain_map *map, float peak,
                   const veil_explain_options *o) {
    const float sx = (float)e->frame.width / (float)o->map_width;
    const float sy = (float)e->frame.height / (float)o->map_height;
    for (int32_t y = 0; y < o->map_height; y++) {
        for (int32_t x = 0; x < o->map_width; x++) {
            vl_rect at = {((float)x + 0.5f) * sx, ((float)y + 0.5f) * sy, 0.0f, 0.0f};
            at = vl_frame_to_upright(&e->frame, at);
            float v = vl_cam_sample(map->data, map->width, map->height,
                                    at.x / e->at.scale_x / map->cell_x,
                                    at.y / e->at.scale_y / map->cell_y);
            o->map[(size_t)y * (size_t)o->map_width + (size_t)x] = peak > 0.0f ? v / peak : 0.0f;
        }
    }
}

static bool options_fit(const veil_explain_options *o) {
    return (unsigned)o->target <= VEIL_CLASS_FACE && (unsigned)o->method <= VEIL_METHOD_OCCLUSION &&
           (o->map == NULL || (o->map_width >= 1 && o->map_height >= 1 && o->map_width <= 8192 &&
                               o->map_height <= 8192)) &&
           isfinite(o->x) && isfinite(o->y) && isfinite(o->w) && isfinite(o->h) &&
           (o->patch == 0 || (o->patch >= 8 && o->patch <= 1024 && o->patch % 2 == 0));
}

int veil_explain(veil_explainer *e, const veil_frame *frame, const veil_explain_options *opt,
                 veil_explanation *out) {
    veil_explain_options o = {.struct_size = sizeof o};
    veil_explanation x = {0};
    vl_explain_map map = {0};
    if (e == NULL || out == NULL)
        return VEIL_E_ARG;
    if (opt != NULL) {
        if (opt->struct_size < sizeof(size_t) || opt->struct_size > 4096)
            return VEIL_E_ARG;
        memcpy(&o, opt, opt->struct_size < sizeof o ? opt->struct_size : sizeof o);
    }
    if (!options_fit(&o))
        return VEIL_E_ARG;
    if (frame == NULL && !e->has_frame)
        return VEIL_E_STATE;
    int err = frame == NULL ? VEIL_OK : take_frame(e, frame);
    if (err == VEIL_OK)
        err = choose_cell(e, &o, &x);
    if (err != VEIL_OK)
        return err;
    float sign;
    veil_tensor t;
    int32_t channel = vl_explain_channel(o.target, &sign);
    (void)vl_net_output(e->net, (size_t)x.output, &t);
    x.logit = sign * vl_decode_cell(&t, x.cell_y, x.cell_x)[channel];
    err = o.method == VEIL_METHOD_OCCLUSION ? occlusion_map(e, &o, &x, &map)
                                            : class_map(e, &o, &x, &map);
    if (err == VEIL_OK) {
        x.layer_width = map.width;
        x.layer_height = map.height;
        x.peak = largest(&map);
        if (o.map != NULL)
            spread(e, &map, x.peak, &o);
        *out = x;
    }
    vl_mem_free(map.data);
    return err;
}
