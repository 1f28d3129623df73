/* Operators that move values without computing any: Resize, Concat, Slice, Split, Pad, and the
 * Reshape - Transpose - Reshape of a channel shuffle. */
#include "lower.h"

#include "const_fold.h"

#include <math.h>
#include <string.h>

static bool is_axis(int64_t axis, int64_t which) {
    return axis == which || axis == which - 4;
}

/* Nearest: does output row i read input row i / f for every i, under the file's coordinate rule? */
static bool replicates(const og_node *n, int64_t f) {
    bool half = og_is(n, "coordinate_transformation_mode", "half_pixel", true) ||
                og_is(n, "coordinate_transformation_mode", "pytorch_half_pixel", false);
    bool asymmetric = og_is(n, "coordinate_transformation_mode", "asymmetric", false) ||
                      strcmp(n->op, "Upsample") == 0;
    bool floor_mode = og_is(n, "nearest_mode", "floor", false) || strcmp(n->op, "Upsample") == 0;
    bool prefer_floor = og_is(n, "nearest_mode", "round_prefer_floor", true);
    bool prefer_ceil = og_is(n, "nearest_mode", "round_prefer_ceil", false);
    if (!half && !asymmetric)
        return false;
    for (int64_t i = 0; i < 4 * f; i++) {
        double x = asymmetric ? (double)i / (double)f : ((double)i + 0.5) / (double)f - 0.5;
        double r = floor_mode     ? floor(x)
                   : prefer_floor ? ceil(x - 0.5)
                   : prefer_ceil  ? floor(x + 0.5)
                                  : ceil(x);
        if ((r < 0 ? 0 : r) != (double)(i / f))
            return false;
    }
    return true;
}

/* Factor of both axes from scales or sizes; 0: not a whole factor. */
static int64_t resize_factor(const lower *l, const og_node *n, const gr_tensor *in) {
    bool upsample = strcmp(n->op, "Upsample") == 0;
    const og_const *scales = lw_const(l, n, upsample ? 1 : 2);
    const og_const *sizes = upsample ? NULL : lw_const(l, n, 3);
    if (scales && scales->is_float && scales->n == 4) {
        float f = scales->f[2];
        bool ok = scales->f[0] == 1.0f && scales->f[1] == 1.0f && scales->f[3] == f && f >= 1 &&
                  f <= 8 && f == floorf(f);
        return ok ? (int64_t)f : 0;
    }
    if (sizes && !sizes->is_float && sizes->n == 4) {
        int64_t h = sizes->i[2], w = sizes->i[3];
        bool ok = sizes->i[1] == in->channels && h > 0 && w > 0 && h <= 8 * (int64_t)in->height &&
                  h % in->height == 0 && w % in->width == 0 && h / in->height == w / in->width;
        return ok ? h / in->height : 0;
    }
    return 0;
}

int lw_resize(lower *l, const og_node *n) {
    if (!lw_is_map(l, n, 0))
        return lw_not_here(l, "its input is not a feature map");
    uint32_t from = lw_in(l, n, 0)->tensor;
    gr_tensor in = l->out->t[from];
    int64_t f = resize_factor(l, n, &in);
    if (f == 1)
        return lw_set_map(l, n, 0, from);
    if (f != 2 && f != 4 && f != 8)
        return lw_not_here(l, "only a constant enlargement by 2, 4 or 8 is supported");
    bool linear = og_is(n, "mode", "linear", false), nearest = og_is(n, "mode", "nearest", true);
    if (nearest && !replicates(n, f))
        return lw_not_here(l, "this rounding of nearest neighbours is not supported");
    bool half = og_is(n, "coordinate_transformation_mode", "half_pixel", true) ||
                og_is(n, "coordinate_transformation_mode", "pytorch_half_pixel", false);
    if ((linear && (!half || strcmp(n->op, "Upsample") == 0)) || (!linear && !nearest))
        return lw_not_here(l, "only nearest, and linear with half-pixel centres, are supported");
    uint32_t i = lw_op(l, n, VL_FMT_OP_UPSAMPLE, in.channels, in.height * (uint32_t)f,
                       in.width * (uint32_t)f, 1, &from);
    if (i == GR_NONE)
        return LW_ERROR;
    l->out->op[i].f.p0 = (uint32_t)f;
    l->out->op[i].f.p1 = linear;
    return lw_set_map(l, n, 0, l->out->op[i].f.out);
}

/* Four slices [0::2,0::2],[1::2,0::2],[0::2,1::2],[1::2,1::2] of one tensor. */
static bool is_focus(const lower *l, const og_node *n) {
    const lw_value *v = lw_in(l, n, 0);
    for (uint32_t k = 0; k < 4; k++) {
        const lw_value *x = lw_in(l, n, k);
        if (n->n_in != 4 || !x || x->kind != LW_VIEW || x->tensor != v->tensor ||
            x->a[0] != (int32_t)(k % 2) || x->a[1] != (int32_t)(k / 2))
            return false;
    }
    return true;
}

static int focus(lower *l, const og_node *n) {
    uint32_t from = lw_in(l, n, 0)->tensor;
    gr_tensor in = l->out->t[from];
    if (in.height % 2 || in.width % 2)
        return lw_not_here(l, "its input has an odd size");
    uint32_t i =
        lw_op(l, n, VL_FMT_OP_FOCUS, 4 * in.channels, in.height / 2, in.width / 2, 1, &from);
    return i == GR_NONE ? LW_ERROR : lw_set_map(l, n, 0, l->out->op[i].f.out);
}

int lw_concat(lower *l, const og_node *n) {
    if (!is_axis(og_int(n, "axis", 99), 1))
        return lw_not_here(l, "only a concatenation of channels is supported");
    if (n->n_in == 4 && is_focus(l, n))
        return focus(l, n);
    uint32_t in[VL_FMT_MAX_INPUTS], n_in = 0, channels = 0;
    gr_tensor first = {0};
    for (uint32_t k = 0; k < n->n_in; k++) {
        if (!lw_is_map(l, n, k))
            return lw_not_here(l, "its inputs are not feature maps");
        gr_tensor t = l->out->t[lw_in(l, n, k)->tensor];
        if (k == 0)
            first = t;
        if (t.height != first.height || t.width != first.width)
            return mb_fail(l->m, "node '%s' (Concat): its inputs have different sizes", n->name);
        if (n_in == VL_FMT_MAX_INPUTS) { /* full: what is there becomes one */
            uint32_t i = lw_op(l, n, VL_FMT_OP_CONCAT, channels, t.height, t.width, n_in, in);
            if (i == GR_NONE)
                return LW_ERROR;
            in[0] = l->out->op[i].f.out;
            n_in = 1;
        }
        in[n_in++] = lw_in(l, n, k)->tensor;
        channels += t.channels;
    }
    if (n_in < 2)
        return n_in ? lw_set_map(l, n, 0, in[0]) : lw_not_here(l, "it has no inputs");
    uint32_t i = lw_op(l, n, VL_FMT_OP_CONCAT, channels, first.height, first.width, n_in, in);
    return i == GR_NONE ? LW_ERROR : lw_set_map(l, n, 0, l->out->op[i].f.out);
}

static int take_channels(lower *l, const og_node *n, uint32_t k, uint32_t from, int64_t start,
                         int64_t count) {
    gr_tensor in = l->out->t[from];
    if (start < 0 || count < 1 || start + count > in.channels)
        return mb_fail(l->m, "node '%s' (%s): its channels lie outside its input", n->name, n->op);
    if (count == in.channels)
        return lw_set_map(l, n, k, from);
    uint32_t i = lw_op(l, n, VL_FMT_OP_SLICE, (uint32_t)count, in.height, in.width, 1, &from);
    if (i == GR_NONE)
        return LW_ERROR;
    l->out->op[i].f.p0 = (uint32_t)start;
    return lw_set_map(l, n, k, l->out->op[i].f.out);
}

/* Every second row (axis 2) or column (axis 3): kept as a view until a Concat makes it a focus. */
static int half_view(lower *l, const og_node *n, const lw_value *x, int64_t axis, int64_t start,
                     bool to_end) {
    lw_value v = *x;
    if (v.kind == LW_MAP) {
        v.kind = LW_VIEW;
        v.a[0] = v.a[1] = -1;
    }
    int32_t *a = &v.a[is_axis(axis, 2) ? 0 : 1];
    if (*a >= 0 || start < 0 || start > 1 || !to_end)
        return lw_not_here(l, "only every second row or column of all is supported");
    *a = (int32_t)start;
    return lw_set(l, n, 0, v);
}

int lw_slice(lower *l, const og_node *n) {
    const lw_value *x = lw_in(l, n, 0);
    int64_t start, end, axis = 0, step = 1;
    if (!x || (x->kind != LW_MAP && x->kind != LW_VIEW))
        return lw_not_here(l, "its input is not a feature map");
    if (cf_ints(lw_const(l, n, 1), &start, 1) != 1 || cf_ints(lw_const(l, n, 2), &end, 1) != 1 ||
        (lw_in(l, n, 3) && cf_ints(lw_const(l, n, 3), &axis, 1) != 1) ||
        (lw_in(l, n, 4) && cf_ints(lw_const(l, n, 4), &step, 1) != 1))
        return lw_not_here(l, "only constant slices along one axis are supported");
    const gr_tensor *t = &l->out->t[x->tensor];
    int64_t size = is_axis(axis, 1) ? t->channels : is_axis(axis, 2) ? t->height : t->width;
    if (start < -size || end < -size || is_axis(axis, 0) || axis > 3 || axis < -3)
        return lw_not_here(l, "its range is out of bounds");
    start = start < 0 ? start + size : start;
    end = end < 0 ? end + size : end > size ? size : end;
    if (is_axis(axis, 1) && step == 1 && x->kind == LW_MAP)
        return take_channels(l, n, 0, x->tensor, start, end - start);
    if (!is_axis(axis, 1) && step == 2)
        return half_view(l, n, x, axis, start, end == size);
    if (step == 1 && start == 0 && end == size)
        return lw_set(l, n, 0, *x);
    return lw_not_here(l, "only slices of channels, or every second row or column, are supported");
}

int lw_split(lower *l, const og_node *n) {
    int64_t sizes[64];
    if (!lw_is_map(l, n, 0) || !is_axis(og_int(n, "axis", 0), 1))
        return lw_not_here(l, "only a split of a feature map's channels is supported");
    uint32_t from = lw_in(l, n, 0)->tensor;
    int64_t channels = l->out->t[from].channels, start = 0;
    size_t count = lw_in(l, n, 1) ? (size_t)0 : og_ints(n, "split", sizes, 64);
    if (lw_in(l, n, 1)) {
        int given = cf_ints(lw_const(l, n, 1), sizes, 64);
        count = given > 0 ? (size_t)given : SIZE_MAX;
    } else if (count == 0 && n->n_out && n->n_out <= 64 && channels % n->n_out == 0) {
        for (count = 0; count < n->n_out; count++)
            sizes[count] = channels / n->n_out;
    }
    if (count != n->n_out || count > 64)
        return lw_not_here(l, "its parts are not known");
    for (size_t k = 0; k < count; k++) {
        if (sizes[k] < 1 || sizes[k] > channels)
            return mb_fail(l->m, "node '%s' (Split): its parts do not fit its input", n->name);
        int r = take_channels(l, n, (uint32_t)k, from, start, sizes[k]);
        if (r != LW_OK)
            return r;
        start += sizes[k];
    }
    return LW_OK;
}

int lw_pad(lower *l, const og_node *n) {
    int64_t p[8] = {0};
    if (!lw_is_map(l, n, 0))
        return lw_not_here(l, "its input is not a feature map");
    int count = lw_in(l, n, 1) ? cf_ints(lw_const(l, n, 1), p, 8) : (int)og_ints(n, "pads", p, 8);
    const og_const *value = lw_const(l, n, 2);
    bool zero = !lw_in(l, n, 2) || (value && value->n == 1 && value->is_float && value->f[0] == 0);
    if (count != 8 || !zero || !og_is(n, "mode", "constant", true) || p[0] || p[1] || p[4] || p[5])
        return lw_not_here(l, "only zeros around the picture are supported");
    lw_value v = {.kind = LW_PADDED, .tensor = lw_in(l, n, 0)->tensor};
    const int from[4] = {2, 3, 6, 7};
    bool any = false;
    for (int i = 0; i < 4; i++) {
        if (p[from[i]] < 0 || p[from[i]] > 64)
            return lw_not_here(l, "its width is out of range");
        v.a[i] = (int32_t)p[from[i]];
        any = any || v.a[i];
    }
    if (!any)
        v.kind = LW_MAP;
    return lw_set(l, n, 0, v);
}

/* Reshape of a map to itself, to (1,g,C/g,H,W), or back from there after the transpose. */
int lw_reshape(lower *l, const og_node *n) {
    const lw_value *x = lw_in(l, n, 0);
    int64_t d[OG_MAX_RANK];
    int rank = cf_ints(lw_const(l, n, 1), d, OG_MAX_RANK);
    if (!x || (x->kind != LW_MAP && x->kind != LW_SHUFFLE) || rank < 4)
        return lw_not_here(l, "only the reshapes of a channel shuffle are supported");
    gr_tensor t = l->out->t[x->tensor];
    int64_t h = d[rank - 2], w = d[rank - 1], map[3] = {t.channels, t.height, t.width};
    bool whole = (d[0] == 1 || d[0] == -1 || d[0] == 0) && (h == map[1] || h == -1) &&
                 (w == map[2] || w == -1);
    if (x->kind == LW_MAP && rank == 5 && whole && d[1] > 1 && map[0] % d[1] == 0 &&
        (d[2] == -1 || d[2] == map[0] / d[1])) {
        lw_value v = {.kind = LW_SHUFFLE, .tensor = x->tensor, .a = {(int32_t)d[1]}};
        return lw_set(l, n, 0, v);
    }
    if (rank != 4 || !whole || (d[1] != map[0] && d[1] != -1) ||
        (x->kind == LW_SHUFFLE && x->a[1] != 1))
        return lw_not_here(l, "only the reshapes of a channel shuffle are supported");
    if (x->kind == LW_MAP)
        return lw_set_map(l, n, 0, x->tensor);
    uint32_t from = x->tensor, groups = (uint32_t)x->a[0];
    uint32_t i = lw_op(l, n, VL_FMT_OP_SHUFFLE, t.channels, t.height, t.width, 1, &from);
    if (i == GR_NONE)
        return LW_ERROR;
    l->out->op[i].f.p0 = groups;
    return lw_set_map(l, n, 0, l->out->op[i].f.out);
}

int lw_transpose(lower *l, const og_node *n) {
    const lw_value *x = lw_in(l, n, 0);
    int64_t perm[5];
    static const int64_t shuffle[5] = {0, 2, 1, 3, 4};
    if (!x || x->kind != LW_SHUFFLE || x->a[1] || og_ints(n, "perm", perm, 5) != 5 ||
        memcmp(perm, shuffle, sizeof(perm)) != 0)
        return lw_not_here(l, "only the transpose of a channel shuffle is supported");
    lw_value v = *x;
    v.a[1] = 1;
    return lw_set(l, n, 0, v);
}
