/* See onnx_write.h. */
#include "onnx_write.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ATTRIBUTES 8

/* For generated structures, whose strings are not const. */
static char *text(ow *w, const char *s) {
    size_t n = strlen(s) + 1;
    char *p = mb_alloc(w->m, n, 1);
    if (p)
        memcpy(p, s, n);
    return p;
}

int ow_begin(ow *w, mb *m, int64_t opset) {
    *w = (ow){.m = m};
    Onnx__ModelProto *p = mb_alloc(m, 1, sizeof(*p));
    Onnx__GraphProto *g = mb_alloc(m, 1, sizeof(*g));
    Onnx__OperatorSetIdProto *o = mb_alloc(m, 1, sizeof(*o));
    if (!p || !g || !o)
        return -1;
    onnx__model_proto__init(p);
    onnx__graph_proto__init(g);
    onnx__operator_set_id_proto__init(o);
    p->has_ir_version = 1;
    p->ir_version = 7;
    p->producer_name = text(w, "veil");
    p->graph = g;
    g->name = text(w, "veil");
    o->domain = text(w, "");
    o->has_version = 1;
    o->version = opset;
    p->opset_import = mb_alloc(m, 1, sizeof(*p->opset_import));
    g->input = mb_alloc(m, 1, sizeof(*g->input));
    g->output = mb_alloc(m, 64, sizeof(*g->output));
    if (m->error[0])
        return -1;
    p->opset_import[p->n_opset_import++] = o;
    w->model = p;
    return 0;
}

Onnx__NodeProto *ow_node_many(ow *w, const char *op, const char *name, const char *out,
                              const char *const *in, size_t n_in) {
    Onnx__GraphProto *g = w->model->graph;
    void *items = g->node;
    Onnx__NodeProto *n = mb_alloc(w->m, 1, sizeof(*n));
    if (!n || !mb_grow(w->m, &items, g->n_node, &w->room_nodes, sizeof(*g->node)))
        return NULL;
    g->node = items;
    onnx__node_proto__init(n);
    n->op_type = text(w, op);
    n->name = text(w, name);
    n->input = mb_alloc(w->m, n_in, sizeof(char *));
    n->output = mb_alloc(w->m, 1, sizeof(char *));
    n->attribute = mb_alloc(w->m, MAX_ATTRIBUTES, sizeof(*n->attribute));
    if (w->m->error[0])
        return NULL;
    for (size_t i = 0; i < n_in; i++)
        n->input[n->n_input++] = text(w, in[i]);
    n->output[n->n_output++] = text(w, out);
    if (w->m->error[0])
        return NULL;
    g->node[g->n_node++] = n;
    return n;
}

Onnx__NodeProto *ow_node(ow *w, const char *op, const char *name, const char *out,
                         const char *const in[4]) {
    size_t n = 0;
    while (n < 4 && in[n])
        n++;
    return ow_node_many(w, op, name, out, in, n);
}

static Onnx__AttributeProto *attribute(ow *w, Onnx__NodeProto *n, const char *name, int32_t type) {
    Onnx__AttributeProto *a = n ? mb_alloc(w->m, 1, sizeof(*a)) : NULL;
    if (!a || n->n_attribute == MAX_ATTRIBUTES)
        return NULL;
    onnx__attribute_proto__init(a);
    a->name = text(w, name);
    a->has_type = 1;
    a->type = type;
    if (!a->name)
        return NULL;
    n->attribute[n->n_attribute++] = a;
    return a;
}

void ow_int(ow *w, Onnx__NodeProto *n, const char *name, int64_t v) {
    Onnx__AttributeProto *a = attribute(w, n, name, 2);
    if (a) {
        a->has_i = 1;
        a->i = v;
    }
}

void ow_float(ow *w, Onnx__NodeProto *n, const char *name, float v) {
    Onnx__AttributeProto *a = attribute(w, n, name, 1);
    if (a) {
        a->has_f = 1;
        a->f = v;
    }
}

void ow_text(ow *w, Onnx__NodeProto *n, const char *name, const char *v) {
    Onnx__AttributeProto *a = attribute(w, n, name, 3);
    char *copy = a ? text(w, v) : NULL;
    if (copy) {
        a->has_s = 1;
        a->s.data = (uint8_t *)copy;
        a->s.len = strlen(v);
    }
}

void ow_ints(ow *w, Onnx__NodeProto *n, const char *name, size_t count, const int64_t *v) {
    Onnx__AttributeProto *a = attribute(w, n, name, 7);
    int64_t *copy = a ? mb_alloc(w->m, count, sizeof(*v)) : NULL;
    if (copy) {
        memcpy(copy, v, count * sizeof(*v));
        a->ints = copy;
        a->n_ints = count;
    }
}

static size_t item_size(int type) {
    return type == OW_INT64 ? 8 : type == OW_FLOAT || type == OW_INT32 ? 4 : 1;
}

void ow_tensor(ow *w, const char *name, int type, size_t rank, const int64_t *dims,
               const void *data) {
    Onnx__GraphProto *g = w->model->graph;
    void *items = g->initializer;
    size_t bytes = item_size(type);
    for (size_t i = 0; i < rank; i++)
        bytes *= (size_t)dims[i];
    Onnx__TensorProto *t = mb_alloc(w->m, 1, sizeof(*t));
    uint8_t *copy = mb_alloc(w->m, bytes, 1);
    int64_t *shape = mb_alloc(w->m, rank, sizeof(*dims));
    if (!t || !copy || !shape ||
        !mb_grow(w->m, &items, g->n_initializer, &w->room_tensors, sizeof(*g->initializer)))
        return;
    g->initializer = items;
    onnx__tensor_proto__init(t);
    memcpy(copy, data, bytes);
    if (rank)
        memcpy(shape, dims, rank * sizeof(*dims));
    t->name = text(w, name);
    t->has_data_type = 1;
    t->data_type = type;
    t->dims = shape;
    t->n_dims = rank;
    t->has_raw_data = 1;
    t->raw_data.data = copy;
    t->raw_data.len = bytes;
    g->initializer[g->n_initializer++] = t;
}

static Onnx__ShapeProto *shape_of(ow *w, const int64_t dims[4]) {
    Onnx__ShapeProto *s = mb_alloc(w->m, 1, sizeof(*s));
    if (!s || !(s->dim = mb_alloc(w->m, 4, sizeof(*s->dim))))
        return NULL;
    Onnx__DimProto **list = s->dim;
    onnx__shape_proto__init(s);
    s->dim = list;
    for (size_t i = 0; i < 4; i++) {
        Onnx__DimProto *d = mb_alloc(w->m, 1, sizeof(*d));
        if (!d)
            return NULL;
        onnx__dim_proto__init(d);
        d->has_dim_value = 1;
        d->dim_value = dims[i];
        s->dim[s->n_dim++] = d;
    }
    return s;
}

void ow_value(ow *w, bool input, const char *name, const int64_t dims[4]) {
    Onnx__GraphProto *g = w->model->graph;
    Onnx__ValueInfoProto *v = mb_alloc(w->m, 1, sizeof(*v));
    Onnx__TypeProto *type = mb_alloc(w->m, 1, sizeof(*type));
    Onnx__TensorTypeProto *t = mb_alloc(w->m, 1, sizeof(*t));
    Onnx__ShapeProto *s = shape_of(w, dims);
    if (!v || !type || !t || !s)
        return;
    onnx__value_info_proto__init(v);
    onnx__type_proto__init(type);
    onnx__tensor_type_proto__init(t);
    v->name = text(w, name);
    v->type = type;
    type->tensor_type = t;
    t->has_elem_type = 1;
    t->elem_type = OW_FLOAT;
    t->shape = s;
    if (input && g->n_input < 1)
        g->input[g->n_input++] = v;
    else if (!input && g->n_output < 64)
        g->output[g->n_output++] = v;
    else
        mb_fail(w->m, "too many outputs for ONNX");
}

void ow_meta(ow *w, const char *key, const char *value) {
    Onnx__ModelProto *p = w->model;
    void *items = p->metadata_props;
    Onnx__StringStringEntryProto *e = mb_alloc(w->m, 1, sizeof(*e));
    if (!e || !mb_grow(w->m, &items, p->n_metadata_props, &w->room_meta, sizeof(e)))
        return;
    p->metadata_props = items;
    onnx__string_string_entry_proto__init(e);
    e->key = text(w, key);
    e->value = text(w, value);
    p->metadata_props[p->n_metadata_props++] = e;
}

int ow_end(ow *w, uint8_t **bytes, size_t *size) {
    if (w->m->error[0])
        return -1;
    *size = onnx__model_proto__get_packed_size(w->model);
    *bytes = malloc(*size);
    if (!*bytes)
        return mb_fail(w->m, "out of memory");
    onnx__model_proto__pack(w->model, *bytes);
    return 0;
}
