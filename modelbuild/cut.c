/* See cut.h. The walk goes back from the graph's outputs through nodes the engine does not have,
 * until it meets feature maps. Only operators that decoders are made of may lie on the way:
 * anything else was part of the network, and is named. */
#include "cut.h"

#include <string.h>

#define MAX_ENDS 64u

/* One feature map where the walk ended. */
typedef struct {
    uint32_t tensor;
    const char *output; /* the graph output it came from */
    bool in_tail;       /* behind a tail, not itself a graph output */
    uint32_t stride;
    const char *name;
} end;

typedef struct {
    mb *m;
    lower *l;
    const char *decoder;
    bool *seen; /* nodes */
    end ends[MAX_ENDS];
    size_t n;
} cut;

static const char *const decoders[] = {"veil",  "yolov5", "yolov5-face", "yolov8",
                                       "scrfd", "yunet",  "ultraface"};

const char *ct_decoder(size_t i) {
    return i < sizeof(decoders) / sizeof(decoders[0]) ? decoders[i] : NULL;
}

static bool is_tail_operator(const char *op) {
    static const char *const ops[] = {"Reshape",
                                      "Transpose",
                                      "Concat",
                                      "Split",
                                      "Slice",
                                      "Sigmoid",
                                      "Softmax",
                                      "Mul",
                                      "Add",
                                      "Sub",
                                      "Div",
                                      "Pow",
                                      "Exp",
                                      "Gather",
                                      "Unsqueeze",
                                      "Squeeze",
                                      "Flatten",
                                      "Shape",
                                      "Cast",
                                      "Sqrt",
                                      "ReduceMax",
                                      "Identity",
                                      "Clip",
                                      "Max",
                                      "Min",
                                      "Expand",
                                      "Range",
                                      "ConstantOfShape",
                                      "TopK",
                                      "ArgMax",
                                      "Where",
                                      "ReduceSum",
                                      "GatherND",
                                      "Tile",
                                      "NonMaxSuppression"};
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        if (strcmp(op, ops[i]) == 0)
            return true;
    return false;
}

/* YOLOv8 turns a box's distribution into a distance with a 1x1 convolution to one channel. */
static bool is_distribution(const cut *c, const og_node *n) {
    if (strcmp(n->op, "Conv") != 0 || n->n_in < 2 || n->in[1] < 0)
        return false;
    const Onnx__TensorProto *w = c->l->g->values[n->in[1]].initializer;
    return w && w->n_dims == 4 && w->dims[0] == 1 && w->dims[2] == 1 && w->dims[3] == 1;
}

/* The first node upstream of n, n included, that the engine lacks: the real cause. */
static const og_node *first_cause(const cut *c, const og_node *n) {
    const og_graph *g = c->l->g;
    for (uint32_t k = 0; k < n->n_in; k++) {
        int v = n->in[k];
        if (v >= 0 && c->l->v[v].kind == LW_OPAQUE && g->values[v].producer >= 0) {
            n = &g->nodes[g->values[v].producer]; /* always earlier: the loop ends */
            k = UINT32_MAX;
        }
    }
    return n;
}

static int unsupported(const cut *c, const og_node *n) {
    const og_node *cause = first_cause(c, n);
    const char *why = c->l->why[cause - c->l->g->nodes];
    return mb_fail(c->m, "node '%s' (%s): %s", cause->name, cause->op, why ? why : "not supported");
}

static int add_end(cut *c, uint32_t tensor, const char *output, bool in_tail) {
    for (size_t i = 0; i < c->n; i++)
        if (c->ends[i].tensor == tensor)
            return 0;
    if (c->n == MAX_ENDS)
        return mb_fail(c->m, "the network has more than %u outputs", MAX_ENDS);
    c->ends[c->n++] = (end){.tensor = tensor, .output = output, .in_tail = in_tail};
    return 0;
}

/* Depth first in input order with a list of its own, so that deep graphs cannot exhaust the stack.
 */
static int walk(cut *c, int value, const char *output) {
    const og_graph *g = c->l->g;
    size_t room = 0, n = 0;
    int *todo = NULL;
    if (!mb_grow(c->m, (void **)&todo, n, &room, sizeof(*todo)))
        return -1;
    todo[n++] = value;
    while (n) {
        int at = todo[--n];
        const lw_value *v = &c->l->v[at];
        if (v->kind == LW_CONST)
            continue;
        if (v->kind != LW_OPAQUE) {
            if (v->kind != LW_UNSET && add_end(c, v->tensor, output, at != value) < 0)
                return -1;
            continue;
        }
        int node = g->values[at].producer;
        if (c->seen[node])
            continue;
        c->seen[node] = true;
        const og_node *q = &g->nodes[node];
        if (!is_tail_operator(q->op) && !is_distribution(c, q))
            return unsupported(c, q);
        for (uint32_t k = q->n_in; k-- > 0;) {
            void *items = todo;
            if (!mb_grow(c->m, &items, n, &room, sizeof(*todo)))
                return -1;
            todo = items;
            if (q->in[k] >= 0)
                todo[n++] = q->in[k];
        }
    }
    return 0;
}

/* Decoders want raw maps: a sigmoid before the tail is theirs to do, and channels that were only
 * put together for the tail are taken apart again. */
static int peel(cut *c) {
    for (size_t i = 0; i < c->n; i++) {
        end *e = &c->ends[i];
        uint32_t p = gr_producer(c->l->out, e->tensor);
        if (p == GR_NONE)
            continue;
        const gr_op *op = &c->l->out->op[p];
        if (op->f.type == VL_FMT_OP_ACT && op->f.act == VL_FMT_ACT_SIGMOID) {
            e->tensor = op->f.in[0];
        } else if (op->f.type == VL_FMT_OP_CONCAT && e->in_tail) {
            end whole = *e;
            c->ends[i] = c->ends[--c->n];
            for (uint32_t k = 0; k < op->f.n_in; k++)
                if (add_end(c, op->f.in[k], whole.output, true) < 0)
                    return -1;
            i = SIZE_MAX; /* the order changed: start again */
        }
    }
    return 0;
}

static int set_stride(cut *c, end *e) {
    const gr_tensor *picture = &c->l->out->t[0], *t = &c->l->out->t[e->tensor];
    /* A map larger than the picture has no stride; the file wants at least 1. */
    e->stride = t->width < picture->width ? picture->width / t->width : 1;
    if (c->decoder &&
        (t->width * e->stride != picture->width || t->height * e->stride != picture->height))
        return mb_fail(
            c->m, "output '%s' of %ux%u is no whole part of the %ux%u input; try another --size",
            t->name, t->width, t->height, picture->width, picture->height);
    return 0;
}

static size_t count_at(const cut *c, uint32_t stride, uint32_t *least, uint32_t *most) {
    size_t n = 0;
    *least = UINT32_MAX;
    *most = 0;
    for (size_t i = 0; i < c->n; i++) {
        uint32_t channels = c->l->out->t[c->ends[i].tensor].channels;
        if (c->ends[i].stride != stride)
            continue;
        *least = channels < *least ? channels : *least;
        *most = channels > *most ? channels : *most;
        n++;
    }
    return n;
}

/* The role of one map among those of its stride, told by their channels. NULL: unknown. */
static const char *role_of(const cut *c, const end *e) {
    const char *d = c->decoder;
    uint32_t channels = c->l->out->t[e->tensor].channels, least, most;
    size_t n = count_at(c, e->stride, &least, &most);
    if (strncmp(d, "yolov5", 6) == 0)
        return n == 1 ? "p" : NULL;
    if (strcmp(d, "yolov8") == 0) /* 4 distributions of 16; classes; 5 points of 2 or 3 */
        return n < 2 || n > 3             ? NULL
               : channels == 64           ? "box"
               : n == 3 && channels == 15 ? "kps"
               : n == 3 && channels == 10 ? "kps"
                                          : "cls";
    if (strcmp(d, "scrfd") == 0) /* per anchor 1 score, 4 distances, 5 points */
        return channels == least        ? "score"
               : channels == 4 * least  ? "box"
               : channels == 10 * least ? "kps"
                                        : NULL;
    if (strcmp(d, "yunet") == 0) {
        if (channels == 1)
            return strstr(e->output, "obj") ? "obj" : "cls";
        return channels == 4 ? "box" : channels == 10 ? "kps" : NULL;
    }
    return n == 2 && most == 2 * least ? (channels == least ? "score" : "box") : NULL;
}

static int name_ends(cut *c) {
    for (size_t i = 0; i < c->n; i++) {
        end *e = &c->ends[i];
        e->name = e->in_tail ? c->l->out->t[e->tensor].name : e->output;
        if (!c->decoder || strcmp(c->decoder, "veil") == 0)
            continue;
        const char *role = role_of(c, e);
        if (!role)
            return mb_fail(c->m, "output '%s' of %u channels at stride %u does not fit decoder %s",
                           c->l->out->t[e->tensor].name, c->l->out->t[e->tensor].channels,
                           e->stride, c->decoder);
        e->name = mb_text(c->m, "%s%u", role, e->stride);
        if (!e->name)
            return -1;
        for (size_t k = 0; k < i; k++)
            if (strcmp(c->ends[k].name, e->name) == 0)
                return mb_fail(c->m, "two outputs would be '%s' for decoder %s", e->name,
                               c->decoder);
    }
    return 0;
}

/* By stride; within one by name for a decoder, else as met. */
static void sort_ends(cut *c) {
    bool by_name = c->decoder && strcmp(c->decoder, "veil") != 0;
    for (size_t i = 1; i < c->n; i++)
        for (size_t k = i; k > 0; k--) {
            const end *a = &c->ends[k - 1], *b = &c->ends[k];
            bool late = a->stride > b->stride ||
                        (a->stride == b->stride && by_name && strcmp(a->name, b->name) > 0);
            if (!late)
                break;
            end swap = c->ends[k];
            c->ends[k] = c->ends[k - 1];
            c->ends[k - 1] = swap;
        }
}

static int check_veil(const cut *c) {
    for (size_t i = 0; i < c->n; i++)
        if (c->l->out->t[c->ends[i].tensor].channels != 6)
            return mb_fail(c->m, "output '%s' has %u channels, decoder veil wants 6",
                           c->ends[i].name, c->l->out->t[c->ends[i].tensor].channels);
    return 0;
}

int ct_cut(mb *m, lower *l, const char *decoder) {
    cut *c = mb_alloc(m, 1, sizeof(*c));
    if (!c)
        return -1;
    *c = (cut){.m = m, .l = l, .decoder = decoder};
    c->seen = mb_alloc(m, l->g->n_nodes, sizeof(*c->seen));
    if (!c->seen)
        return -1;
    for (size_t i = 0; i < l->g->n_outputs; i++) {
        int v = l->g->outputs[i];
        if (walk(c, v, l->g->values[v].name) < 0)
            return -1;
    }
    if (decoder && strcmp(decoder, "veil") != 0 && peel(c) < 0)
        return -1;
    if (!c->n)
        return mb_fail(m, "no output depends on the picture");
    for (size_t i = 0; i < c->n; i++) {
        if (c->ends[i].tensor == 0)
            return mb_fail(m, "output '%s' is the input picture itself", c->ends[i].output);
        if (set_stride(c, &c->ends[i]) < 0)
            return -1;
        if (!decoder && c->ends[i].in_tail)
            return mb_fail(m, "the outputs are decoded boxes: say whose with --decoder");
    }
    if (name_ends(c) < 0 || (decoder && strcmp(decoder, "veil") == 0 && check_veil(c) < 0))
        return -1;
    sort_ends(c);
    for (size_t i = 0; i < c->n; i++)
        if (gr_add_output(m, l->out, c->ends[i].name, c->ends[i].tensor, c->ends[i].stride) < 0)
            return -1;
    return 0;
}
