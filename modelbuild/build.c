/* See build.h. The order of the steps, and what the model says about itself. */
#include "build.h"

#include "cut.h"
#include "lower.h"
#include "qdq.h"
#include "quantise.h"
#include "verify.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_WIDTH  640
#define DEFAULT_HEIGHT 384
#define SIZE_MAX_PX    4096

static const char *file_text(const og_graph *g, const char *key) {
    for (size_t i = 0; i < g->model->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *p = g->model->metadata_props[i];
        if (p->key && p->value && strcmp(p->key, key) == 0)
            return p->value;
    }
    return NULL;
}

/* A later value of the same key wins. */
static int add_meta(mb *m, bd_network *net, const char *key, const char *value) {
    if (!value || !value[0])
        return 0;
    size_t i = 0;
    while (i < net->n_meta && strcmp(net->meta[i].key, key) != 0)
        i++;
    if (i == sizeof(net->meta) / sizeof(net->meta[0]))
        return 0; /* more texts than anybody reads */
    net->meta[i] = (wr_meta){mb_printable(m, key), mb_printable(m, value)};
    if (!net->meta[i].key || !net->meta[i].value)
        return -1;
    if (i == net->n_meta)
        net->n_meta++;
    return 0;
}

/* Boxes of the usual trained networks, in input px, level after level. */
static const char *usual_anchors(const char *decoder) {
    if (strcmp(decoder, "yolov5") == 0)
        return "10,13,16,30,33,23;30,61,62,45,59,119;116,90,156,198,373,326";
    if (strcmp(decoder, "yolov5-face") == 0)
        return "4,5,8,10,13,16;23,29,43,55,73,105;146,217,231,300,335,433";
    if (strcmp(decoder, "ultraface") == 0)
        return "10,10,16,16,24,24;32,32,48,48;64,64,96,96;128,128,192,192,256,256";
    return NULL;
}

static const ps_input plain_input = {{0, 0, 0}, {255, 255, 255}, false};

static ps_input usual_input(const char *decoder) {
    if (decoder && strcmp(decoder, "scrfd") == 0)
        return (ps_input){{127.5f, 127.5f, 127.5f}, {128, 128, 128}, false};
    if (decoder && strcmp(decoder, "ultraface") == 0)
        return (ps_input){{127, 127, 127}, {128, 128, 128}, false};
    if (decoder && strcmp(decoder, "yunet") == 0)
        return (ps_input){{0, 0, 0}, {1, 1, 1}, true};
    return plain_input;
}

static int choose_decoder(mb *m, bd_network *net, const og_graph *g, const bd_options *o) {
    const char *name = o->decoder ? o->decoder : file_text(g, "veil.decoder");
    if (!name || strcmp(name, "none") == 0)
        return 0;
    for (size_t i = 0; ct_decoder(i); i++)
        if (strcmp(ct_decoder(i), name) == 0)
            net->decoder = ct_decoder(i);
    if (!net->decoder)
        return mb_fail(m, "decoder '%s' is not known; see --help for those that are", name);
    return 0;
}

static int choose_size(mb *m, bd_network *net, const og_graph *g, const bd_options *o) {
    int64_t h = g->in_dims[2], w = g->in_dims[3];
    net->width = o->width ? o->width : w > 0 && w <= SIZE_MAX_PX ? (int32_t)w : DEFAULT_WIDTH;
    net->height = o->height ? o->height : h > 0 && h <= SIZE_MAX_PX ? (int32_t)h : DEFAULT_HEIGHT;
    if (net->width < 32 || net->height < 32 || net->width > SIZE_MAX_PX ||
        net->height > SIZE_MAX_PX || net->width % 32 || net->height % 32)
        return mb_fail(m, "the input is %dx%d; both must be multiples of 32 from 32 to %d (--size)",
                       net->width, net->height, SIZE_MAX_PX);
    return 0;
}

/* Everything the file says under veil.*, then what this build knows better. */
static int describe(mb *m, bd_network *net, const og_graph *g, const bd_options *o) {
    static const char *const precision[] = {"fp32", "fp16", "int8"};
    const char *size = mb_text(m, "%dx%d", net->width, net->height);
    const char *anchors = o->anchors ? o->anchors : file_text(g, "veil.anchors");
    if (!size)
        return -1;
    for (size_t i = 0; i < g->model->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *p = g->model->metadata_props[i];
        if (p->key && p->value && strncmp(p->key, "veil.", 5) == 0 &&
            add_meta(m, net, p->key + 5, p->value) < 0)
            return -1;
    }
    if (!anchors && net->decoder && (anchors = usual_anchors(net->decoder)))
        mb_note(m, "note: the usual anchors of %s are assumed; --anchors sets others",
                net->decoder);
    return add_meta(m, net, "name", o->name) < 0 || add_meta(m, net, "license", o->license) < 0 ||
                   add_meta(m, net, "decoder", net->decoder) < 0 ||
                   add_meta(m, net, "anchors", anchors) < 0 || add_meta(m, net, "size", size) < 0 ||
                   add_meta(m, net, "precision", precision[o->precision]) < 0 ||
                   add_meta(m, net, "source", g->model->producer_name) < 0
               ? -1
               : 0;
}

/* An unusual input range is kept in the model, so that `veil model verify --onnx` can repeat it. */
static int describe_input(mb *m, bd_network *net, const ps_input *in) {
    const char *mean =
        mb_text(m, "%.9g,%.9g,%.9g", (double)in->mean[0], (double)in->mean[1], (double)in->mean[2]);
    const char *std =
        mb_text(m, "%.9g,%.9g,%.9g", (double)in->std[0], (double)in->std[1], (double)in->std[2]);
    return add_meta(m, net, "mean", mean) < 0 || add_meta(m, net, "std", std) < 0 ||
                   add_meta(m, net, "order", in->bgr ? "bgr" : "rgb") < 0
               ? -1
               : 0;
}

int bd_import(mb *m, bd_network *net, const uint8_t *onnx, size_t size, const bd_options *o) {
    og_graph g;
    lower l;
    *net = (bd_network){.width = 0};
    if (og_read(m, &g, onnx, size) < 0 || choose_decoder(m, net, &g, o) < 0 ||
        choose_size(m, net, &g, o) < 0)
        return -1;
    gr_graph *gr = &net->graph;
    if (lw_lower(m, &l, &g, gr, net->width, net->height) < 0 || ct_cut(m, &l, net->decoder) < 0 ||
        gr_clean(m, gr) < 0)
        return -1;
    ps_input in = o->own_input ? o->input : usual_input(net->decoder);
    if (ps_preprocess(m, gr, &in) < 0)
        return -1;
    if (ps_fuse_act(m, gr) < 0 || ps_fold_scale(m, gr) < 0 || ps_fuse_act(m, gr) < 0 ||
        gr_tidy_names(m, gr) < 0 || (o->own_input && describe_input(m, net, &in) < 0))
        return -1;
    return describe(m, net, &g, o);
}

/* The fp32 model is what calibration runs and what the result is held against. */
static int build_int8(mb *m, bd_network *net, const bd_options *o, bd_result *result) {
    uint8_t *fp32 = NULL;
    size_t size = 0;
    gr_graph *g = &net->graph;
    int r = wr_write(m, g, WR_FP32, net->meta, net->n_meta, &fp32, &size);
    cb_stats *stats = r < 0 ? NULL : cb_collect(m, g, fp32, size, &o->calibrate);
    if (!stats || qz_quantise(m, g, stats, &o->calibrate) < 0 ||
        wr_write(m, g, WR_INT8, net->meta, net->n_meta, &result->model, &result->model_size) < 0)
        r = -1;
    if (r == 0 && o->qdq)
        r = qd_write(m, g, o->qdq_symmetric, net->meta, net->n_meta, &result->qdq,
                     &result->qdq_size);
    if (r == 0 && m->notes) {
        vf_model a = {fp32, size, "the fp32 model"};
        vf_model b = {result->model, result->model_size, "the int8 model"};
        double worst;
        r = vf_compare(m, &a, &b, net->width, net->height, o->calibrate.pictures, 8, true, m->notes,
                       &worst);
    }
    free(fp32);
    return r;
}

int bd_build(mb *m, bd_network *net, const bd_options *o, bd_result *result) {
    *result = (bd_result){0};
    if (o->precision == WR_INT8)
        return build_int8(m, net, o, result);
    return wr_write(m, &net->graph, o->precision, net->meta, net->n_meta, &result->model,
                    &result->model_size);
}
