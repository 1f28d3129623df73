/* Building and tidying the network graph. See graph.h. */
#include "graph.h"

#include <string.h>

uint32_t gr_add_tensor(mb *m, gr_graph *g, const char *name, uint32_t channels, uint32_t height,
                       uint32_t width) {
    if (channels < 1 || channels > VL_FMT_MAX_CHANNELS) {
        mb_fail(m, "'%s' has %u channels, at most %u are supported", name, channels,
                VL_FMT_MAX_CHANNELS);
        return GR_NONE;
    }
    void *items = g->t;
    if (!mb_grow(m, &items, g->n_t, &g->room_t, sizeof(*g->t)))
        return GR_NONE;
    g->t = items;
    g->t[g->n_t] =
        (gr_tensor){.name = name, .channels = channels, .height = height, .width = width};
    return (uint32_t)g->n_t++;
}

uint32_t gr_add_op(mb *m, gr_graph *g, uint32_t type, const char *name, uint32_t out, uint32_t n_in,
                   const uint32_t *in) {
    if (g->n_op >= VL_FMT_MAX_OPS) {
        mb_fail(m, "the network has more than %u operators", VL_FMT_MAX_OPS);
        return GR_NONE;
    }
    void *items = g->op;
    if (!mb_grow(m, &items, g->n_op, &g->room_op, sizeof(*g->op)))
        return GR_NONE;
    g->op = items;
    gr_op *op = &g->op[g->n_op];
    *op = (gr_op){.f = {.type = type, .name = name, .out = out, .n_in = n_in}};
    op->f.sh = op->f.sw = op->f.groups = op->f.dilation = 1;
    memcpy(op->f.in, in, n_in * sizeof(*in));
    return (uint32_t)g->n_op++;
}

int gr_add_output(mb *m, gr_graph *g, const char *name, uint32_t tensor, uint32_t stride) {
    void *items = g->out;
    if (!mb_grow(m, &items, g->n_out, &g->room_out, sizeof(*g->out)))
        return -1;
    g->out = items;
    g->out[g->n_out++] = (gr_output){name, tensor, stride};
    return 0;
}

int gr_insert(mb *m, gr_graph *g, size_t at) {
    uint32_t none = 0;
    if (gr_add_op(m, g, VL_FMT_OP_ACT, "", 0, 0, &none) == GR_NONE)
        return -1;
    gr_op fresh = g->op[g->n_op - 1];
    memmove(&g->op[at + 1], &g->op[at], (g->n_op - 1 - at) * sizeof(*g->op));
    g->op[at] = fresh;
    return 0;
}

size_t gr_uses(const gr_graph *g, uint32_t tensor) {
    size_t n = 0;
    for (size_t i = 0; i < g->n_op; i++)
        for (uint32_t k = 0; !g->op[i].dead && k < g->op[i].f.n_in; k++)
            n += g->op[i].f.in[k] == tensor;
    for (size_t i = 0; i < g->n_out; i++)
        n += g->out[i].tensor == tensor;
    return n;
}

uint32_t gr_producer(const gr_graph *g, uint32_t tensor) {
    for (size_t i = 0; i < g->n_op; i++)
        if (!g->op[i].dead && g->op[i].f.out == tensor)
            return (uint32_t)i;
    return GR_NONE;
}

void gr_replace(gr_graph *g, uint32_t from, uint32_t to) {
    for (size_t i = 0; i < g->n_op; i++)
        for (uint32_t k = 0; k < g->op[i].f.n_in; k++)
            if (g->op[i].f.in[k] == from)
                g->op[i].f.in[k] = to;
    for (size_t i = 0; i < g->n_out; i++)
        if (g->out[i].tensor == from)
            g->out[i].tensor = to;
}

int gr_clean(mb *m, gr_graph *g) {
    uint32_t *place = mb_alloc(m, g->n_t + 1, sizeof(*place)); /* 0 unused, else new index + 1 */
    if (!place)
        return -1;
    place[0] = 1;
    for (size_t i = 0; i < g->n_out; i++)
        place[g->out[i].tensor] = 1;
    for (size_t i = g->n_op; i-- > 0;) {
        gr_op *op = &g->op[i];
        if (op->dead || !place[op->f.out]) {
            op->dead = true;
            continue;
        }
        for (uint32_t k = 0; k < op->f.n_in; k++)
            place[op->f.in[k]] = 1;
    }
    uint32_t n_t = 0;
    for (size_t i = 0; i < g->n_t; i++)
        if (place[i]) {
            g->t[n_t] = g->t[i];
            place[i] = ++n_t;
        }
    g->n_t = n_t;
    size_t n_op = 0;
    for (size_t i = 0; i < g->n_op; i++) {
        gr_op *op = &g->op[i];
        if (op->dead)
            continue;
        op->f.out = place[op->f.out] - 1;
        for (uint32_t k = 0; k < op->f.n_in; k++)
            op->f.in[k] = place[op->f.in[k]] - 1;
        g->op[n_op++] = *op;
    }
    g->n_op = n_op;
    for (size_t i = 0; i < g->n_out; i++)
        g->out[i].tensor = place[g->out[i].tensor] - 1;
    return 0;
}

static bool name_taken(const gr_graph *g, size_t before, const char *name) {
    for (size_t i = 0; i < before; i++)
        if (strcmp(g->t[i].name, name) == 0)
            return true;
    return false;
}

int gr_tidy_names(mb *m, gr_graph *g) {
    for (size_t i = 0; i < g->n_t; i++)
        if (!(g->t[i].name = mb_printable(m, g->t[i].name)))
            return -1;
    for (size_t i = 0; i < g->n_op; i++)
        if (!(g->op[i].f.name = mb_printable(m, g->op[i].f.name)))
            return -1;
    for (size_t i = 0; i < g->n_out; i++)
        if (!(g->out[i].name = mb_printable(m, g->out[i].name)))
            return -1;
    for (size_t i = 1; i < g->n_t; i++) {
        const char *base = g->t[i].name;
        for (unsigned k = 2; name_taken(g, i, g->t[i].name); k++)
            if (!(g->t[i].name = mb_text(m, "%.80s.%u", base, k)))
                return -1;
    }
    return 0;
}

const char *gr_type_name(uint32_t type) {
    static const char *const names[] = {"?",      "conv",  "maxpool", "upsample", "add",
                                        "concat", "act",   "slice",   "shuffle",  "avgpool",
                                        "mul",    "scale", "focus"};
    return type < sizeof(names) / sizeof(names[0]) ? names[type] : "?";
}

const char *gr_act_name(uint32_t act) {
    static const char *const names[] = {"",        "relu",   "leaky",    "clip", "silu",
                                        "sigmoid", "hswish", "hsigmoid", "prelu"};
    return act < sizeof(names) / sizeof(names[0]) ? names[act] : "?";
}

int64_t gr_macs(const gr_graph *g, const gr_op *op) {
    const gr_tensor *t = &g->t[op->f.out];
    if (op->f.type != VL_FMT_OP_CONV)
        return 0;
    return (int64_t)t->height * t->width * (int64_t)op->n_weights;
}
