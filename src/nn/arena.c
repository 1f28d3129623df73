/* Where tensors lie: when each is needed, how many bytes it takes with its margins, and which place
 * in the arena it gets. Tensors that are not needed at the same time share memory. */
#include "plan.h"

#include "mem.h"
#include "pool.h"

#include <stdlib.h>

#define ARENA_MAX ((size_t)1 << 30) /* bytes; a model that needs more is refused */

/* ---------------------------------------------------------------- lifetimes */

static void touch(vl_net *net, int32_t i, int32_t step, bool writes) {
    int32_t channel;
    vl_place *p = &net->place[vl_plan_root(net, i, &channel)];
    if (p->first < 0 && writes)
        p->first = step;
    if (p->last < step)
        p->last = step;
}

/* Steps of a group are done at the same time. */
static void find_lifetimes(vl_net *net) {
    for (int32_t i = 0; i < net->n_steps; i++) {
        vl_step *s = &net->step[i];
        int32_t channel;
        vl_place *root = &net->place[vl_plan_root(net, s->out, &channel)];
        if (root != net->place && root->first < 0 &&
            root->top + root->left + root->bottom + root->right > 0)
            s->margin = root;
        touch(net, s->out, s->group, true);
        for (int32_t k = 0; k < s->n_in; k++)
            touch(net, s->in[k], s->group, false);
        if (s->residual >= 0)
            touch(net, s->residual, s->group, false);
    }
    for (int32_t i = 0; i < net->model->n_outs; i++)
        touch(net, net->out_place[i], net->n_steps, false);
    net->place[0].first = 0; /* the caller fills it, and may run again without filling it anew */
    net->place[0].last = net->n_steps;
    for (int32_t i = 0; i < net->n_places && net->keep_all; i++) {
        net->place[i].first = 0;
        net->place[i].last = net->n_steps;
    }
}

/* Strides and bytes of the tensors that own a buffer. False: too large. */
static bool size_buffers(vl_net *net) {
    for (int32_t i = 0; i < net->n_places; i++) {
        vl_place *p = &net->place[i];
        if (p->parent >= 0 || p->view.height < 1 || p->view.width < 1)
            continue;
        size_t pixel = (size_t)p->pixel_channels * vl_plan_item(&p->view), row, bytes;
        if (!vl_mem_mul(pixel, (size_t)(p->left + p->view.width + p->right), &row) ||
            !vl_mem_mul(row, (size_t)(p->top + p->view.height + p->bottom), &bytes) ||
            bytes > ARENA_MAX)
            return false;
        p->view.pixel = (ptrdiff_t)pixel;
        p->view.row = (ptrdiff_t)row;
        p->bytes = (bytes + VL_MEM_ALIGN - 1) / VL_MEM_ALIGN * VL_MEM_ALIGN;
    }
    return true;
}

static int larger_first(const void *a, const void *b) {
    const vl_place *p = *(const vl_place *const *)a, *q = *(const vl_place *const *)b;
    if (p->bytes != q->bytes)
        return p->bytes < q->bytes ? 1 : -1;
    return p < q ? -1 : p > q;
}

static bool live_together(const vl_place *p, const vl_place *q) {
    return p->first <= q->last && q->first <= p->last;
}

/* Lowest offset where p overlaps none of the n placed before it that live at the same time. */
static size_t lowest_gap(vl_place *const *placed, int32_t n, const vl_place *p) {
    size_t at = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int32_t i = 0; i < n; i++) {
            const vl_place *q = placed[i];
            if (live_together(p, q) && at < q->offset_bytes + q->bytes &&
                q->offset_bytes < at + p->bytes) {
                at = q->offset_bytes + q->bytes;
                moved = true;
            }
        }
    }
    return at;
}

/* As little memory as this simple way finds; returns how much. */
static size_t pack_tight(vl_place *const *order, int32_t n) {
    size_t total = VL_MEM_ALIGN;
    for (int32_t i = 0; i < n && total <= ARENA_MAX; i++) {
        order[i]->offset_bytes = lowest_gap(order, i, order[i]);
        size_t end = order[i]->offset_bytes + order[i]->bytes;
        total = end > total ? end : total;
    }
    return total;
}

/* Memory that tensors use one after the other, each with its middle row in the middle. */
typedef struct {
    size_t below, above, middle; /* bytes around the middle; where it is */
    int32_t taken;               /* for tensor taken - 1 it is not free */
} shelf;

static size_t bytes_to_middle(const vl_place *p) {
    size_t bytes = (size_t)(p->top + p->view.height / 2) * (size_t)p->view.row;
    return (bytes + VL_MEM_ALIGN - 1) / VL_MEM_ALIGN * VL_MEM_ALIGN;
}

/* For several threads: who does the upper half of every tensor always writes to the same half of a
 * shelf, and need not fetch it from another's cache first. Takes more memory than pack_tight. */
static size_t pack_shelves(vl_place *const *order, int32_t n, shelf *shelves) {
    int32_t n_shelves = 0;
    for (int32_t i = 0; i < n; i++) {
        for (int32_t j = 0; j < i; j++) {
            if (live_together(order[i], order[j]))
                shelves[order[j]->shelf].taken = i + 1;
        }
        int32_t k = 0;
        while (k < n_shelves && shelves[k].taken == i + 1)
            k++;
        n_shelves += k == n_shelves;
        shelf *s = &shelves[k];
        size_t below = bytes_to_middle(order[i]), above = order[i]->bytes - below;
        s->below = below > s->below ? below : s->below;
        s->above = above > s->above ? above : s->above;
        order[i]->shelf = k;
    }
    size_t total = VL_MEM_ALIGN;
    for (int32_t k = 0; k < n_shelves && total <= ARENA_MAX; k++) {
        shelves[k].middle = total + shelves[k].below;
        total = shelves[k].middle + shelves[k].above;
    }
    for (int32_t i = 0; i < n; i++)
        order[i]->offset_bytes = shelves[order[i]->shelf].middle - bytes_to_middle(order[i]);
    return total;
}

static int lay_out_arena(vl_net *net) {
    int err = VEIL_E_NOMEM;
    vl_place **order = vl_mem_alloc((size_t)net->n_places, sizeof *order);
    shelf *shelves = vl_mem_alloc((size_t)net->n_places, sizeof *shelves);
    if (order == NULL || shelves == NULL)
        goto done;
    int32_t n = 0;
    for (int32_t i = 0; i < net->n_places; i++) {
        if (net->place[i].bytes > 0 && net->place[i].first >= 0)
            order[n++] = &net->place[i];
    }
    qsort(order, (size_t)n, sizeof *order, larger_first);
    size_t total =
        vl_pool_threads(net->pool) > 1 ? pack_shelves(order, n, shelves) : pack_tight(order, n);
    err = VEIL_E_SIZE;
    if (total > ARENA_MAX)
        goto done;
    net->arena = vl_mem_alloc(total, 1);
    net->arena_bytes = total;
    err = net->arena == NULL ? VEIL_E_NOMEM : VEIL_OK;
done:
    vl_mem_free(shelves);
    vl_mem_free(order);
    return err;
}

static void address_views(vl_net *net) {
    for (int32_t i = 0; i < net->n_places; i++) {
        int32_t channel;
        vl_place *p = &net->place[i];
        const vl_place *root = &net->place[vl_plan_root(net, i, &channel)];
        if (root->bytes == 0 || root->first < 0)
            continue;
        p->view.row = root->view.row;
        p->view.pixel = root->view.pixel;
        p->view.whole = p->parent < 0;
        p->view.data = net->arena + root->offset_bytes +
                       (size_t)root->top * (size_t)root->view.row +
                       (size_t)root->left * (size_t)root->view.pixel +
                       (size_t)channel * vl_plan_item(&root->view);
    }
}

int vl_plan_arena(vl_net *net) {
    find_lifetimes(net);
    if (!size_buffers(net))
        return VEIL_E_SIZE;
    int err = lay_out_arena(net);
    if (err == VEIL_OK)
        address_views(net);
    return err;
}
