/* ONNX bytes -> checked graph in execution order. Nothing in the file is believed: names must
 * resolve, each value has one producer, no cycles. Tensors are onnx_const.c's. */
#include "onnx_read.h"

#include <stdlib.h>
#include <string.h>

#define MAX_NODES  65536u
#define OPSET_LOW  9 /* Slice and Resize of 9 and 10 are refused where they are read differently */
#define OPSET_HIGH 17

static void *proto_alloc(void *m, size_t size) {
    return mb_alloc(m, size, 1);
}

static void proto_free(void *m, void *p) {
    (void)m, (void)p; /* everything ends with the mb */
}

/* Names to values: open addressing, grown before half full. */
typedef struct {
    int *slots; /* value + 1 */
    size_t mask;
} name_map;

static size_t name_hash(const char *s) {
    uint64_t h = 14695981039346656037u;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return (size_t)(h ^ (h >> 29));
}

static int map_init(mb *m, name_map *map, size_t names) {
    size_t size = 64;
    while (size < 2 * names + 2)
        size *= 2;
    map->mask = size - 1;
    map->slots = mb_alloc(m, size, sizeof(int));
    return map->slots ? 0 : -1;
}

static int *map_find(const name_map *map, const og_graph *g, const char *name) {
    size_t i = name_hash(name) & map->mask;
    while (map->slots[i] && strcmp(g->values[map->slots[i] - 1].name, name) != 0)
        i = (i + 1) & map->mask;
    return &map->slots[i];
}

static int value_of(og_graph *g, const name_map *map, const char *name) {
    int *slot = map_find(map, g, name);
    if (!*slot) {
        g->values[g->n_values] = (og_value){.name = name, .producer = -1};
        *slot = (int)++g->n_values;
    }
    return *slot - 1;
}

static int check_opset(mb *m, og_graph *g) {
    for (size_t i = 0; i < g->model->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *o = g->model->opset_import[i];
        if (!o->domain || !o->domain[0] || strcmp(o->domain, "ai.onnx") == 0)
            g->opset = o->version;
    }
    if (g->opset < OPSET_LOW || g->opset > OPSET_HIGH)
        return mb_fail(m, "opset %lld is not supported, only %d to %d", (long long)g->opset,
                       OPSET_LOW, OPSET_HIGH);
    return 0;
}

/* How many names the graph can hold at most; also the size check of the lists. */
static int count_names(mb *m, const Onnx__GraphProto *p, size_t *names) {
    if (p->n_node > MAX_NODES)
        return mb_fail(m, "the graph has %zu nodes, more than %u", p->n_node, MAX_NODES);
    *names = p->n_initializer + p->n_input + p->n_output;
    for (size_t i = 0; i < p->n_node; i++)
        *names += p->node[i]->n_input + p->node[i]->n_output;
    if (*names > 16u * MAX_NODES)
        return mb_fail(m, "the graph has too many values");
    return 0;
}

static int read_picture(mb *m, og_graph *g, const Onnx__ValueInfoProto *p) {
    const Onnx__ShapeProto *s =
        p->type && p->type->tensor_type ? p->type->tensor_type->shape : NULL;
    if (!s || s->n_dim != 4)
        return mb_fail(m, "input '%s' is not a picture of shape (1,3,H,W)", p->name);
    for (size_t i = 0; i < 4; i++)
        g->in_dims[i] = s->dim[i]->has_dim_value ? s->dim[i]->dim_value : -1;
    if (g->in_dims[0] > 1)
        return mb_fail(m, "input '%s' has batch size %lld, only 1 is supported", p->name,
                       (long long)g->in_dims[0]);
    if (g->in_dims[1] != 3 && g->in_dims[1] > 0)
        return mb_fail(m, "input '%s' has %lld channels, a picture has 3", p->name,
                       (long long)g->in_dims[1]);
    return 0;
}

static int read_inputs(mb *m, og_graph *g, const name_map *map) {
    const Onnx__GraphProto *p = g->model->graph;
    for (size_t i = 0; i < p->n_initializer; i++) {
        const Onnx__TensorProto *t = p->initializer[i];
        if (!t->name || !t->name[0])
            return mb_fail(m, "an initializer has no name");
        og_value *v = &g->values[value_of(g, map, t->name)];
        if (v->initializer)
            return mb_fail(m, "initializer '%s' appears twice", t->name);
        v->initializer = t;
    }
    g->input = -1;
    for (size_t i = 0; i < p->n_input; i++) {
        if (!p->input[i]->name)
            return mb_fail(m, "an input has no name");
        int k = value_of(g, map, p->input[i]->name);
        if (g->values[k].initializer) /* older files list their weights as inputs too */
            continue;
        if (g->input >= 0)
            return mb_fail(m, "the graph has a second input, '%s'; only one picture is supported",
                           p->input[i]->name);
        g->values[k].is_input = true;
        g->input = k;
        if (read_picture(m, g, p->input[i]) < 0)
            return -1;
    }
    return g->input < 0 ? mb_fail(m, "the graph has no input") : 0;
}

/* Nodes in file order, their names resolved. */
static int read_nodes(mb *m, og_graph *g, const name_map *map, og_node *nodes) {
    const Onnx__GraphProto *p = g->model->graph;
    for (size_t i = 0; i < p->n_node; i++) {
        const Onnx__NodeProto *q = p->node[i];
        og_node *n = &nodes[i];
        n->proto = q;
        n->op = q->op_type ? q->op_type : "";
        n->name = q->name && q->name[0]                    ? q->name
                  : q->n_output && q->output[0][0] != '\0' ? q->output[0]
                                                           : "?";
        if (q->domain && q->domain[0] && strcmp(q->domain, "ai.onnx") != 0)
            return mb_fail(m, "node '%s' (%s): operators of domain '%s' are not supported", n->name,
                           n->op, q->domain);
        n->n_in = (uint32_t)q->n_input;
        n->n_out = (uint32_t)q->n_output;
        n->in = mb_alloc(m, q->n_input + 1, sizeof(int));
        n->out = mb_alloc(m, q->n_output + 1, sizeof(int));
        if (!n->in || !n->out)
            return -1;
        for (size_t k = 0; k < q->n_input; k++)
            n->in[k] = q->input[k][0] ? value_of(g, map, q->input[k]) : -1;
        for (size_t k = 0; k < q->n_output; k++) {
            n->out[k] = q->output[k][0] ? value_of(g, map, q->output[k]) : -1;
            if (n->out[k] < 0)
                continue;
            og_value *v = &g->values[n->out[k]];
            if (v->producer >= 0 || v->initializer || v->is_input)
                return mb_fail(m, "node '%s' (%s): output '%s' has two producers", n->name, n->op,
                               v->name);
            v->producer = (int)i;
        }
    }
    return 0;
}

/* The order of the file is kept when it is right: exporters follow the way the network was written,
 * which keeps few values alive at a time. */
static bool in_order(const og_graph *g, const og_node *nodes, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < nodes[i].n_in; k++) {
            int v = nodes[i].in[k];
            const og_value *val = v < 0 ? NULL : &g->values[v];
            if (val && (val->producer >= (int)i ||
                        (val->producer < 0 && !val->initializer && !val->is_input)))
                return false;
        }
    return true;
}

/* Who waits for whom: waits[node] inputs still to come, and after it, for value v, the nodes
 * readers[first[v]] .. readers[first[v + 1] - 1]. */
typedef struct {
    uint32_t *waits, *readers;
    size_t *first;
} edges;

static int find_edges(mb *m, const og_graph *g, const og_node *nodes, size_t n, edges *e) {
    size_t count = 0;
    e->waits = mb_alloc(m, n + 1, sizeof(*e->waits));
    e->first = mb_alloc(m, g->n_values + 2, sizeof(*e->first));
    size_t *fill = mb_alloc(m, g->n_values + 1, sizeof(*fill));
    if (!e->waits || !e->first || !fill)
        return -1;
    for (size_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < nodes[i].n_in; k++) {
            int v = nodes[i].in[k];
            const og_value *val = v < 0 ? NULL : &g->values[v];
            if (val && val->producer < 0 && !val->initializer && !val->is_input)
                return mb_fail(m, "node '%s' (%s): input '%s' comes from nowhere", nodes[i].name,
                               nodes[i].op, val->name);
            if (val && val->producer >= 0) {
                e->waits[i]++;
                e->first[v + 1]++;
                count++;
            }
        }
    for (size_t v = 0; v < g->n_values; v++)
        e->first[v + 1] += e->first[v];
    e->readers = mb_alloc(m, count + 1, sizeof(*e->readers));
    for (size_t i = 0; e->readers && i < n; i++)
        for (uint32_t k = 0; k < nodes[i].n_in; k++) {
            int v = nodes[i].in[k];
            if (v >= 0 && g->values[v].producer >= 0)
                e->readers[e->first[v] + fill[v]++] = (uint32_t)i;
        }
    return e->readers ? 0 : -1;
}

/* Kahn's algorithm. */
static int sort_nodes(mb *m, og_graph *g, const og_node *nodes, size_t n) {
    g->n_nodes = n;
    if (in_order(g, nodes, n)) {
        memcpy(g->nodes, nodes, n * sizeof(*nodes));
        return 0;
    }
    edges e = {0};
    int *place = mb_alloc(m, n + 1, sizeof(*place)); /* old index -> new index */
    uint32_t *queue = mb_alloc(m, n + 1, sizeof(*queue));
    if (!place || !queue || find_edges(m, g, nodes, n, &e) < 0)
        return -1;
    size_t head = 0, tail = 0;
    for (size_t i = 0; i < n; i++)
        if (!e.waits[i])
            queue[tail++] = (uint32_t)i;
    while (head < tail) {
        uint32_t i = queue[head];
        place[i] = (int)head;
        g->nodes[head++] = nodes[i];
        for (uint32_t k = 0; k < nodes[i].n_out; k++) {
            int v = nodes[i].out[k];
            for (size_t r = v < 0 ? 1 : e.first[v], end = v < 0 ? 0 : e.first[v + 1]; r < end; r++)
                if (!--e.waits[e.readers[r]])
                    queue[tail++] = e.readers[r];
        }
    }
    for (size_t i = 0; i < n && head < n; i++)
        if (e.waits[i])
            return mb_fail(m, "node '%s' (%s) is part of a cycle", nodes[i].name, nodes[i].op);
    for (size_t v = 0; v < g->n_values; v++)
        if (g->values[v].producer >= 0)
            g->values[v].producer = place[g->values[v].producer];
    return 0;
}

static int read_outputs(mb *m, og_graph *g, const name_map *map) {
    const Onnx__GraphProto *p = g->model->graph;
    if (!p->n_output)
        return mb_fail(m, "the graph has no output");
    g->outputs = mb_alloc(m, p->n_output, sizeof(int));
    if (!g->outputs)
        return -1;
    for (size_t i = 0; i < p->n_output; i++) {
        const char *name = p->output[i]->name ? p->output[i]->name : "";
        int v = *map_find(map, g, name) - 1;
        if (v < 0 ||
            (g->values[v].producer < 0 && !g->values[v].is_input && !g->values[v].initializer))
            return mb_fail(m, "output '%s' comes from nowhere", name);
        g->outputs[g->n_outputs++] = v;
    }
    return 0;
}

int og_read(mb *m, og_graph *g, const uint8_t *bytes, size_t size) {
    *g = (og_graph){.input = -1};
    if (size > MB_FILE_LIMIT)
        return mb_fail(m, "the file is larger than %zu MiB", MB_FILE_LIMIT >> 20);
    ProtobufCAllocator allocator = {proto_alloc, proto_free, m};
    Onnx__ModelProto *model = onnx__model_proto__unpack(&allocator, size, bytes);
    if (!model)
        return mb_fail(m, "not an ONNX file, or a damaged one");
    g->model = model;
    if (!model->graph || !model->graph->n_node)
        return mb_fail(m, "not an ONNX file, or one without a graph");
    size_t names = 0, n = model->graph->n_node;
    name_map map;
    if (check_opset(m, g) < 0 || count_names(m, model->graph, &names) < 0)
        return -1;
    g->values = mb_alloc(m, names + 1, sizeof(*g->values));
    g->nodes = mb_alloc(m, n, sizeof(*g->nodes));
    og_node *nodes = mb_alloc(m, n, sizeof(*nodes));
    if (!g->values || !g->nodes || !nodes || map_init(m, &map, names) < 0)
        return -1;
    if (read_inputs(m, g, &map) < 0 || read_nodes(m, g, &map, nodes) < 0 ||
        sort_nodes(m, g, nodes, n) < 0)
        return -1;
    return read_outputs(m, g, &map);
}
