/* The order of steps, and which of them are done together without waiting: a group's steps are done
 * one after the other on the same rows, each thread with rows of its own. That is right when what a
 * step reads of its group's work lies in its own rows: a 1x1 convolution, an addition, a nearest
 * enlargement, whatever stands beside each other. A 3x3 convolution reads its neighbours' rows and
 * so begins a group. Fewer groups are fewer waits, and what one step wrote the next finds in the
 * thread's own cache.
 *
 * Rows are counted in a unit of the group, so that steps on either side of an enlargement agree:
 * task i of n has rows base * i / n to base * (i + 1) / n, times `times`. */
#include "plan.h"

#include "mem.h"

#define WINDOW 48 /* so far ahead is looked for steps that can be done already */

/* Rows of step s that input row y of place `in` decides alone: y * factor and so many following.
 * 0: a row needs others than that. */
static int32_t row_factor(const vl_net *net, const vl_step *s, int32_t in) {
    const vl_op *op = &net->model->ops[s->op];
    int32_t rows = net->place[s->out].view.height, in_rows = net->place[in].view.height;
    if (s->copy || s->kind == VL_STEP_ADD)
        return 1;
    if (s->kind == VL_STEP_POOL)
        return 0;
    switch (op->type) {
    case VL_FMT_OP_CONV:
        /* Kernels read whole groups of four bytes, times 0 behind the last channel: no group may
         * lie half in a row that another thread is writing. */
        return op->kh == 1 && op->sh == 1 && op->pad_top == 0 && rows == in_rows &&
               s->kind == VL_STEP_CONV && net->place[in].view.channels % 4 == 0;
    case VL_FMT_OP_UPSAMPLE:
        return op->p1 == 0 ? (int32_t)op->p0 : 0;
    case VL_FMT_OP_ADD:
    case VL_FMT_OP_MUL:
        return rows == in_rows;
    case VL_FMT_OP_ACT:
    case VL_FMT_OP_SCALE:
    case VL_FMT_OP_SHUFFLE:
        return 1;
    default:
        return 0;
    }
}

/* ---------------------------------------------------------------- what depends on what */

static int32_t buffer_of(const vl_net *net, int32_t place) {
    int32_t channel;
    return vl_plan_root(net, place, &channel);
}

/* Places that s reads, the residual last; returns how many. */
static int32_t reads_of(const vl_step *s, int32_t read[3]) {
    int32_t n = 0;
    for (int32_t k = 0; k < s->n_in; k++)
        read[n++] = s->in[k];
    if (s->residual >= 0)
        read[n++] = s->residual;
    return n;
}

/* Must `later` come after `earlier`? Buffers, not channels: a little too careful. */
static bool depends(const vl_net *net, const vl_step *later, const vl_step *earlier) {
    int32_t read[3], n = reads_of(later, read), written = buffer_of(net, earlier->out);
    for (int32_t k = 0; k < n; k++) {
        if (buffer_of(net, read[k]) == written)
            return true;
    }
    return later->out == earlier->out; /* an edge of the first layer after its whole */
}

/* The unit in which s would join a group of which `member` is part and writes place `from`. */
static bool same_rows(const vl_net *net, const vl_step *s, int32_t read, bool residual,
                      const vl_step *member, vl_step *joined) {
    int32_t factor = residual ? 1 : row_factor(net, s, read);
    int32_t times = member->times * factor;
    if (factor == 0 ||
        (joined->base != 0 && (joined->base != member->base || joined->times != times)))
        return false;
    joined->base = member->base;
    joined->times = times;
    return true;
}

/* Gives s the unit it must have to join the n steps of a group; false: it must wait for them. */
static bool may_join(const vl_net *net, vl_step *s, const vl_step *group, int32_t n) {
    int32_t read[3], n_reads = reads_of(s, read);
    vl_step joined = {.base = 0};
    for (int32_t k = 0; k < n_reads; k++) {
        for (int32_t i = 0; i < n; i++) {
            if (buffer_of(net, read[k]) == buffer_of(net, group[i].out) &&
                !same_rows(net, s, read[k], s->residual >= 0 && k == n_reads - 1, &group[i],
                           &joined))
                return false;
        }
    }
    for (int32_t i = 0; i < n && s->edge != 0; i++) {
        if (s->out == group[i].out) {
            joined.base = group[i].base;
            joined.times = group[i].times;
        }
    }
    int32_t rows = net->place[s->out].view.height;
    if (joined.base != 0 && (int64_t)joined.base * joined.times != rows)
        return false;
    s->base = joined.base != 0 ? joined.base : rows;
    s->times = joined.base != 0 ? joined.times : 1;
    return true;
}

/* ---------------------------------------------------------------- groups */

/* The steps in their old order, and which of them are done. */
typedef struct {
    vl_step *step;
    bool *done;
    int32_t n, first; /* all before `first` are done */
} schedule;

static bool is_ready(const vl_net *net, const schedule *s, int32_t i) {
    for (int32_t k = s->first; k < i; k++) {
        if (!s->done[k] && depends(net, &s->step[i], &s->step[k]))
            return false;
    }
    return true;
}

/* Makes the group that begins with the first step not done, at `to`; returns its size. */
static int32_t make_group(const vl_net *net, schedule *s, vl_step *to) {
    int32_t n = 0;
    for (int32_t i = s->first; i < s->n && i < s->first + WINDOW; i++) {
        if (s->done[i] || !is_ready(net, s, i) || !may_join(net, &s->step[i], to, n))
            continue;
        to[n++] = s->step[i];
        s->done[i] = true;
    }
    while (s->first < s->n && s->done[s->first])
        s->first++;
    return n;
}

int vl_plan_chain(vl_net *net) {
    schedule s = {.n = net->n_steps};
    s.step = vl_mem_alloc((size_t)s.n, sizeof *s.step);
    s.done = vl_mem_alloc((size_t)s.n, sizeof *s.done);
    int err = s.step == NULL || s.done == NULL ? VEIL_E_NOMEM : VEIL_OK;
    for (int32_t i = 0; i < s.n && err == VEIL_OK; i++)
        s.step[i] = net->step[i];
    for (int32_t at = 0; at < s.n && err == VEIL_OK;) {
        int32_t n = make_group(net, &s, net->step + at);
        for (int32_t i = 0; i < n; i++)
            net->step[at + i].group = at;
        net->step[at].members = n;
        at += n;
    }
    vl_mem_free(s.done);
    vl_mem_free(s.step);
    return err;
}
