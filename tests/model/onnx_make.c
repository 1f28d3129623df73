/* See onnx_make.h. */
#include "onnx_make.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *need(mb *m, size_t n, size_t size) {
    void *p = mb_alloc(m, n, size);
    if (!p) {
        fputs("out of memory in a test\n", stderr);
        exit(1);
    }
    return p;
}

/* mb_copy for generated structures, whose strings are not const. */
static char *copied(mb *m, const char *text) {
    char *p = need(m, strlen(text) + 1, 1);
    return strcpy(p, text);
}

static void push(mb *m, void ***list, size_t *n, void *item) {
    void **more = need(m, *n + 1, sizeof(void *));
    if (*n)
        memcpy(more, *list, *n * sizeof(void *));
    more[(*n)++] = item;
    *list = more;
}

#define PUSH(m, list, n, item)                                                                     \
    do {                                                                                           \
        void **items_ = (void **)(list);                                                           \
        push(m, &items_, &(n), item);                                                              \
        (list) = (void *)items_;                                                                   \
    } while (0)

static Onnx__ValueInfoProto *value(om *o, const char *name, size_t rank, const int64_t *dims) {
    Onnx__ValueInfoProto *v = need(o->m, 1, sizeof(*v));
    onnx__value_info_proto__init(v);
    v->name = copied(o->m, name);
    v->type = need(o->m, 1, sizeof(*v->type));
    onnx__type_proto__init(v->type);
    v->type->tensor_type = need(o->m, 1, sizeof(*v->type->tensor_type));
    onnx__tensor_type_proto__init(v->type->tensor_type);
    v->type->tensor_type->has_elem_type = 1;
    v->type->tensor_type->elem_type = 1;
    if (!rank)
        return v;
    Onnx__ShapeProto *s = v->type->tensor_type->shape = need(o->m, 1, sizeof(*s));
    onnx__shape_proto__init(s);
    for (size_t i = 0; i < rank; i++) {
        Onnx__DimProto *d = need(o->m, 1, sizeof(*d));
        onnx__dim_proto__init(d);
        d->has_dim_value = 1;
        d->dim_value = dims[i];
        PUSH(o->m, s->dim, s->n_dim, d);
    }
    return v;
}

void om_begin(om *o, mb *m, int64_t opset, int64_t channels, int64_t height, int64_t width) {
    *o = (om){.m = m, .seed = 1};
    o->model = need(m, 1, sizeof(*o->model));
    onnx__model_proto__init(o->model);
    o->model->has_ir_version = 1;
    o->model->ir_version = 7;
    o->model->graph = need(m, 1, sizeof(*o->model->graph));
    onnx__graph_proto__init(o->model->graph);
    o->model->graph->name = copied(m, "test");
    Onnx__OperatorSetIdProto *set = need(m, 1, sizeof(*set));
    onnx__operator_set_id_proto__init(set);
    set->domain = copied(m, "");
    set->has_version = 1;
    set->version = opset;
    PUSH(m, o->model->opset_import, o->model->n_opset_import, set);
    int64_t dims[4] = {1, channels, height, width};
    PUSH(m, o->model->graph->input, o->model->graph->n_input, value(o, "x", 4, dims));
}

static void push_names(om *o, const char *names, char ***list, size_t *n) {
    char *all = copied(o->m, names), *save = NULL;
    for (char *p = strtok_r(all, " ", &save); p; p = strtok_r(NULL, " ", &save))
        PUSH(o->m, *list, *n, strcmp(p, "-") == 0 ? copied(o->m, "") : p);
}

Onnx__NodeProto *om_node(om *o, const char *op, const char *in, const char *out) {
    Onnx__NodeProto *n = need(o->m, 1, sizeof(*n));
    onnx__node_proto__init(n);
    n->op_type = copied(o->m, op);
    push_names(o, in, &n->input, &n->n_input);
    push_names(o, out, &n->output, &n->n_output);
    n->name = need(o->m, strlen(out) + 6, 1);
    sprintf(n->name, "node_%s", n->n_output ? n->output[0] : "");
    PUSH(o->m, o->model->graph->node, o->model->graph->n_node, n);
    return n;
}

static Onnx__AttributeProto *attribute(om *o, Onnx__NodeProto *n, const char *name) {
    Onnx__AttributeProto *a = need(o->m, 1, sizeof(*a));
    onnx__attribute_proto__init(a);
    a->name = copied(o->m, name);
    PUSH(o->m, n->attribute, n->n_attribute, a);
    return a;
}

void om_int(om *o, Onnx__NodeProto *n, const char *name, int64_t v) {
    Onnx__AttributeProto *a = attribute(o, n, name);
    a->has_i = a->has_type = 1;
    a->type = 2;
    a->i = v;
}

void om_float(om *o, Onnx__NodeProto *n, const char *name, float v) {
    Onnx__AttributeProto *a = attribute(o, n, name);
    a->has_f = a->has_type = 1;
    a->type = 1;
    a->f = v;
}

void om_text(om *o, Onnx__NodeProto *n, const char *name, const char *v) {
    Onnx__AttributeProto *a = attribute(o, n, name);
    a->has_s = a->has_type = 1;
    a->type = 3;
    a->s.len = strlen(v);
    a->s.data = (uint8_t *)copied(o->m, v);
}

void om_ints(om *o, Onnx__NodeProto *n, const char *name, size_t count, const int64_t *v) {
    Onnx__AttributeProto *a = attribute(o, n, name);
    a->has_type = 1;
    a->type = 7;
    a->ints = need(o->m, count, sizeof(*v));
    a->n_ints = count;
    memcpy(a->ints, v, count * sizeof(*v));
}

static Onnx__TensorProto *tensor(om *o, const char *name, size_t rank, const int64_t *dims,
                                 size_t *n) {
    Onnx__TensorProto *t = need(o->m, 1, sizeof(*t));
    onnx__tensor_proto__init(t);
    t->name = copied(o->m, name);
    t->has_data_type = 1;
    t->dims = need(o->m, rank + 1, sizeof(*dims));
    t->n_dims = rank;
    *n = 1;
    for (size_t i = 0; i < rank; i++) {
        t->dims[i] = dims[i];
        *n *= (size_t)dims[i];
    }
    PUSH(o->m, o->model->graph->initializer, o->model->graph->n_initializer, t);
    return t;
}

float *om_floats(om *o, const char *name, size_t rank, const int64_t *dims) {
    size_t n;
    Onnx__TensorProto *t = tensor(o, name, rank, dims, &n);
    t->data_type = 1;
    t->float_data = need(o->m, n, sizeof(float));
    t->n_float_data = n;
    return t->float_data;
}

void om_random(om *o, const char *name, float low, float high, size_t rank, const int64_t *dims) {
    size_t n = 1;
    float *v = om_floats(o, name, rank, dims);
    for (size_t i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    for (size_t k = 0; k < n; k++) {
        o->seed = o->seed * 1664525u + 1013904223u;
        v[k] = low + (high - low) * (float)(o->seed >> 8) / (float)(1 << 24);
    }
}

/* As raw bytes, the other way tensors are stored. */
void om_whole(om *o, const char *name, size_t count, const int64_t *v) {
    size_t n;
    int64_t dims[1] = {(int64_t)count};
    Onnx__TensorProto *t = tensor(o, name, 1, dims, &n);
    t->data_type = 7;
    t->has_raw_data = 1;
    t->raw_data.len = count * sizeof(*v);
    t->raw_data.data = need(o->m, count, sizeof(*v));
    memcpy(t->raw_data.data, v, count * sizeof(*v));
}

void om_scalar(om *o, const char *name, float v) {
    *om_floats(o, name, 0, NULL) = v;
}

Onnx__NodeProto *om_conv(om *o, const char *in, const char *out, int64_t cin, int64_t cout,
                         int64_t k, int64_t stride, int64_t groups) {
    char w[64], b[64], names[200];
    snprintf(w, sizeof(w), "%s_w", out);
    snprintf(b, sizeof(b), "%s_b", out);
    snprintf(names, sizeof(names), "%s %s %s", in, w, b);
    float range = 2.0f / (float)(k * k * cin / groups);
    OM_RANDOM(o, w, -2 * range, 3 * range, cout, cin / groups, k, k);
    OM_RANDOM(o, b, -0.5f, 0.5f, cout);
    Onnx__NodeProto *n = om_node(o, "Conv", names, out);
    OM_INTS(o, n, "kernel_shape", k, k);
    OM_INTS(o, n, "strides", stride, stride);
    OM_INTS(o, n, "pads", k / 2, k / 2, k / 2, k / 2);
    om_int(o, n, "group", groups);
    return n;
}

void om_output(om *o, const char *name) {
    PUSH(o->m, o->model->graph->output, o->model->graph->n_output, value(o, name, 0, NULL));
}

void om_meta(om *o, const char *key, const char *text) {
    Onnx__StringStringEntryProto *p = need(o->m, 1, sizeof(*p));
    onnx__string_string_entry_proto__init(p);
    p->key = copied(o->m, key);
    p->value = copied(o->m, text);
    PUSH(o->m, o->model->metadata_props, o->model->n_metadata_props, p);
}

uint8_t *om_end(om *o, size_t *size) {
    *size = onnx__model_proto__get_packed_size(o->model);
    uint8_t *bytes = need(o->m, *size, 1);
    onnx__model_proto__pack(o->model, bytes);
    return bytes;
}
