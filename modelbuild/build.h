/* ONNX bytes in, veil model bytes out: the whole of `veil model build`, without files. */
#ifndef VEIL_MODELBUILD_BUILD_H
#define VEIL_MODELBUILD_BUILD_H

#include "calibrate.h"
#include "graph.h"
#include "passes.h"
#include "write.h"

typedef struct {
    const char *decoder;                  /* NULL: what the file says, else none */
    const char *name, *license, *anchors; /* NULL: what the file says */
    int32_t width, height;                /* 0: what the file says, else 640x384 */
    wr_precision precision;
    bool own_input; /* input below was given; else the decoder's usual one */
    ps_input input;
    cb_options calibrate;    /* for WR_INT8 */
    bool qdq, qdq_symmetric; /* also write the quantised graph as ONNX; with s8 activations */
} bd_options;

typedef struct {
    gr_graph graph;
    int32_t width, height;
    const char *decoder; /* NULL: none */
    wr_meta meta[64];
    size_t n_meta;
} bd_network;

/* Import and all float passes. 0, or -1 with the error set. */
int bd_import(mb *m, bd_network *net, const uint8_t *onnx, size_t size, const bd_options *o);

typedef struct {
    uint8_t *model, *qdq; /* malloc'ed; qdq NULL when not asked for */
    size_t model_size, qdq_size;
} bd_result;

int bd_build(mb *m, bd_network *net, const bd_options *o, bd_result *result);

#endif
