/* See pack.h. Grouped convolutions other than depthwise are packed as dense ones with zeros between
 * the groups. */
#include "pack.h"

#include "act.h"
#include "mem.h"

#include <stdbool.h>
#include <stdlib.h>

#define FLOAT_BOUND 1e30f         /* sums beyond this are a damaged model */
#define QUICK_BOUND 1073741824.0f /* below this, rounding to int32 before the clamp is safe */

static float half_to_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, part = h & 1023u;
    if (exponent == 0) { /* zero and subnormal: part * 2^-24 */
        float f = (float)part * 5.9604644775390625e-8f;
        return sign != 0 ? -f : f;
    }
    uint32_t bits = sign | (exponent + 112) << 23 | part << 13;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

float vl_pack_stored(const vl_blob *b, size_t i) {
    if (b->dtype == VL_FMT_S8)
        return (float)((const int8_t *)b->data)[i];
    if (b->dtype == VL_FMT_F16)
        return half_to_float(((const uint16_t *)b->data)[i]);
    return ((const float *)b->data)[i];
}

/* The convolution being packed. */
typedef struct {
    const vl_op *op;
    int32_t in_channels, out_channels, in_group, out_group; /* channels of a group */
    double unit, zero; /* what mult and add lead to: reals (1, 0), or the finish's own units */
} shape;

/* Weight of output o from input channel c at a tap, as stored (S8: not scaled). */
static float weight_at(const shape *s, int32_t o, int32_t ky, int32_t kx, int32_t c) {
    const vl_op *op = s->op;
    int32_t local = c - o / s->out_group * s->in_group;
    if (local < 0 || local >= s->in_group)
        return 0.0f;
    return vl_pack_stored(op->weights,
                          (size_t)(((o * op->kh + ky) * op->kw + kx) * s->in_group + local));
}

/* Channel within its chunk of lane `lane` of vector `block`. */
static int32_t lane_channel(const vl_packing *k, int32_t blocks, int32_t block, int32_t lane) {
    return k->interleaved ? 4 * blocks * (lane / 4) + 4 * block + lane % 4
                          : block * k->lanes + lane;
}

/* Vectors in the next chunk of `left`: full ones, but 5 left are better taken as 3 and 2. */
static int32_t next_blocks(const vl_packing *k, int32_t left) {
    if (left == k->max_blocks + 1 && k->max_blocks > 2)
        return (left + 1) / 2;
    return left < k->max_blocks ? left : k->max_blocks;
}

/* Four weights of a group, int8. */
typedef struct {
    int32_t w[4];
} group;

static group group_at(const shape *s, int32_t o, vl_tap t) {
    group g = {{0}};
    for (int32_t i = 0; i < 4 && t.channel + i < s->in_channels && o < s->out_channels; i++)
        g.w[i] = (int32_t)weight_at(s, o, t.ky, t.kx, t.channel + i);
    return g;
}

/* Two neighbours whose products with 0..255 may leave 16 bits: only of one sign do they add up. */
static bool pair_overflows(int32_t a, int32_t b) {
    return (a > 0) == (b > 0) && abs(a) + abs(b) > 128;
}

static bool must_split(vl_split split, group g) {
    if (split == VL_SPLIT_PAIRS)
        return pair_overflows(g.w[0], g.w[1]) || pair_overflows(g.w[2], g.w[3]);
    return split == VL_SPLIT_LEAST &&
           (g.w[0] == -128 || g.w[1] == -128 || g.w[2] == -128 || g.w[3] == -128);
}

/* A chunk's integer weights on their way; w and tap have room for twice the plain number. */
typedef struct {
    const shape *s;
    const vl_packing *k;
    int32_t first, blocks;
    int8_t *w;
    vl_tap *tap;
    int32_t n;
} group_writer;

/* The vectors in which a weight must be split, bit by bit; of those that are split together, all.
 */
static uint32_t split_vectors(const group_writer *g, vl_tap t) {
    uint32_t split = 0;
    for (int32_t b = 0; b < g->blocks && g->k->split != VL_SPLIT_NONE; b++) {
        for (int32_t lane = 0; lane < g->k->lanes; lane++) {
            int32_t o = g->first + lane_channel(g->k, g->blocks, b, lane);
            if (must_split(g->k->split, group_at(g->s, o, t)))
                split |= 1u << b;
        }
    }
    return split;
}

/* The weights of the inputs at t, without what a second group has, or that second group. */
static void write_group(group_writer *g, vl_tap t, uint32_t split, bool second) {
    int32_t lanes = g->k->lanes;
    for (int32_t i = 0; i < g->blocks * lanes; i++) {
        bool halved = (split >> i / lanes & 1) != 0;
        group four =
            group_at(g->s, g->first + lane_channel(g->k, g->blocks, i / lanes, i % lanes), t);
        for (int32_t j = 0; j < 4; j++) {
            /* halves of at most 64, which add up to the whole */
            int32_t v = four.w[j], half = halved ? (v + 128) / 2 - 64 : v;
            *g->w++ = (int8_t)(second ? v - half : half);
        }
    }
    g->tap[g->n++] = t;
}

/* Writes the groups of a chunk: first those of all vectors, then the second groups of the first
 * vector alone, then those of the second alone. */
static void pack_groups(group_writer *g, int32_t alone[2]) {
    const shape *s = g->s;
    for (uint32_t pass = 0; pass < 3; pass++) {
        int32_t before = g->n, taps = s->op->kh * s->op->kw;
        for (int32_t i = 0; i < taps && (pass == 0 || g->k->split == VL_SPLIT_PAIRS); i++) {
            for (int32_t c = 0; c < s->in_channels; c += 4) {
                vl_tap t = {i / s->op->kw, i % s->op->kw, c};
                uint32_t split = split_vectors(g, t);
                bool apart = g->k->split == VL_SPLIT_PAIRS && split != 3;
                if (pass == 0)
                    write_group(g, t, split, false);
                if (split != 0 && (pass == 0 ? !apart : apart && split == pass))
                    write_group(g, t, split, true);
            }
        }
        if (pass > 0)
            alone[pass - 1] = g->n - before;
    }
}

static int32_t pack_floats(const shape *s, const vl_packing *k, int32_t first, int32_t blocks,
                           float *w, vl_tap *taps) {
    int32_t n_k = 0, width = blocks * k->lanes;
    for (int32_t ky = 0; ky < s->op->kh; ky++) {
        for (int32_t kx = 0; kx < s->op->kw; kx++) {
            for (int32_t c = 0; c < s->in_channels; c++) {
                for (int32_t i = 0; i < width; i++) {
                    int32_t o = first + lane_channel(k, blocks, i / k->lanes, i % k->lanes);
                    *w++ = o < s->out_channels ? weight_at(s, o, ky, kx, c) : 0.0f;
                }
                taps[n_k++] = (vl_tap){ky, kx, c};
            }
        }
    }
    return n_k;
}

/* Factor and addend from the integer sum of output o to the shape's units. Returns a bound of what
 * they can produce. */
static float requant(const shape *s, const vl_value *in, int32_t o, float *mult, float *add) {
    const vl_op *op = s->op;
    double scale = (double)((const float *)op->scales->data)[o] * (double)in->scale;
    double bias = op->bias == NULL ? 0.0 : (double)((const float *)op->bias->data)[o];
    double sum = 0.0, most = 0.0;
    for (int32_t i = 0; i < op->kh * op->kw * s->in_group; i++) {
        double w = ((const int8_t *)op->weights->data)[o * op->kh * op->kw * s->in_group + i];
        sum += w;
        most += fabs(w) * 255.0;
    }
    bias -= (double)in->zero * sum * scale;
    scale /= s->unit;
    bias = bias / s->unit + s->zero;
    *mult = (float)scale;
    *add = (float)bias;
    return (float)(most * fabs(scale) + fabs(bias));
}

static float in_units(float v, const vl_value *out) {
    return rintf(vl_act_clamp(v / out->scale + (float)out->zero, 0.0f, 255.0f));
}

/* The finish of a convolution into its own output. */
static vl_finish finish_of(const vl_op *op, const vl_value *out, bool integer) {
    vl_finish f = {.act = op->act, .act_a = op->act_a, .act_b = op->act_b};
    f.out_u8 = integer && out->is_u8;
    if (!f.out_u8)
        return f;
    f.low = 0.0f;
    f.high = 255.0f;
    f.quick =
        op->act == VL_FMT_ACT_NONE || op->act == VL_FMT_ACT_RELU || op->act == VL_FMT_ACT_CLIP;
    if (!f.quick) {
        f.inv_scale = 1.0f / out->scale;
        f.zero = (float)out->zero;
        return f;
    }
    f.act = VL_FMT_ACT_NONE;
    f.inv_scale = 1.0f;
    if (op->act == VL_FMT_ACT_RELU)
        f.low = (float)out->zero;
    if (op->act == VL_FMT_ACT_CLIP) {
        f.low = in_units(op->act_a, out);
        f.high = in_units(op->act_b, out);
    }
    return f;
}

/* Gives a finish into bytes its units, and SiLU and hard swish their dip where it suits the output
 * and all sums are small enough for it. */
static int choose_units(vl_packed *p, const vl_model *m, shape *s) {
    const vl_value *in = &m->values[s->op->in[0]], *out = &m->values[s->op->out];
    s->unit = p->finish.quick ? (double)out->scale : 1.0;
    s->zero = p->finish.quick ? (double)out->zero : 0.0;
    vl_dip dip;
    double unit = p->finish.out_u8 ? vl_dip_make(&dip, s->op->act, out->scale, out->zero) : 0.0;
    if (!(unit > 0.0))
        return VEIL_OK;
    shape fine = *s;
    fine.unit = unit;
    for (int32_t o = 0; o < s->out_channels; o++) {
        float mult, add;
        if (!(requant(&fine, in, o, &mult, &add) <= QUICK_BOUND))
            return VEIL_OK;
    }
    p->dip = vl_mem_alloc(1, sizeof *p->dip);
    if (p->dip == NULL)
        return VEIL_E_NOMEM;
    *p->dip = dip;
    p->finish.act = VL_FMT_ACT_NONE;
    p->finish.inv_scale = 1.0f;
    p->finish.zero = 0.0f;
    p->finish.quick = 1;
    p->finish.dip = p->dip;
    s->unit = unit;
    return VEIL_OK;
}

/* mult and add of one chunk's lanes. */
static bool pack_finish(const shape *s, const vl_model *m, vl_packed *p, const vl_packing *k,
                        vl_chunk *c, float *mult, float *add) {
    const vl_value *in = &m->values[s->op->in[0]];
    bool integer = s->op->weights->dtype == VL_FMT_S8;
    for (int32_t i = 0; i < c->blocks * k->lanes; i++) {
        int32_t o = c->first + lane_channel(k, c->blocks, i / k->lanes, i % k->lanes);
        if (o >= s->out_channels)
            continue;
        if (!integer) {
            add[i] = s->op->bias == NULL ? 0.0f : ((const float *)s->op->bias->data)[o];
            continue;
        }
        float bound = requant(s, in, o, &mult[i], &add[i]);
        if (!(bound < FLOAT_BOUND))
            return false;
        if (bound > QUICK_BOUND)
            p->finish.quick = 0; /* the general path clamps first and stays right */
    }
    c->mult = mult;
    c->add = add;
    return true;
}

static int pack_dense(vl_packed *p, const vl_model *m, const shape *s, const vl_packing *k) {
    bool integer = p->kind == VL_CONV_S8;
    p->lanes = k->lanes;
    int32_t blocks = (s->out_channels + k->lanes - 1) / k->lanes;
    if (k->whole)
        blocks = (blocks + k->max_blocks - 1) / k->max_blocks * k->max_blocks;
    int32_t per_k = integer ? 4 : 1;
    size_t n_k = (size_t)(s->op->kh * s->op->kw * ((s->in_channels + per_k - 1) / per_k));
    n_k *= k->split != VL_SPLIT_NONE ? 2 : 1;
    size_t lanes = (size_t)(blocks * k->lanes), bytes;
    size_t item = 4; /* a group of four int8, or a float */
    if (!vl_mem_mul(n_k, lanes, &bytes))
        return VEIL_E_NOMEM;
    p->chunk = vl_mem_alloc((size_t)blocks, sizeof *p->chunk);
    p->weights = vl_mem_alloc(bytes, item);
    p->floats = vl_mem_alloc(lanes, 2 * sizeof(float));
    p->taps = vl_mem_alloc(n_k * (size_t)blocks, sizeof *p->taps);
    if (p->chunk == NULL || p->weights == NULL || p->floats == NULL || p->taps == NULL)
        return VEIL_E_NOMEM;
    uint8_t *w = p->weights;
    float *floats = p->floats;
    vl_tap *taps = p->taps;
    for (int32_t done = 0; done < blocks;) {
        vl_packed_chunk *q = &p->chunk[p->n_chunks++];
        vl_chunk *c = &q->chunk;
        c->blocks = next_blocks(k, blocks - done);
        c->first = done * k->lanes;
        int32_t width = c->blocks * k->lanes;
        c->n = s->out_channels - c->first < width ? s->out_channels - c->first : width;
        c->weights = w;
        q->tap = taps;
        group_writer g = {s, k, c->first, c->blocks, (int8_t *)w, taps, 0};
        if (integer)
            pack_groups(&g, c->alone);
        c->n_k = integer ? g.n : pack_floats(s, k, c->first, c->blocks, (float *)(void *)w, taps);
        if (!pack_finish(s, m, p, k, c, floats, floats + width))
            return VEIL_E_MODEL;
        w += (size_t)(c->n_k * width) * item;
        taps += c->n_k;
        floats += 2 * width;
        done += c->blocks;
    }
    p->bytes = bytes * item + lanes * 2 * sizeof(float) + n_k * (size_t)blocks * sizeof *p->taps;
    return VEIL_OK;
}

static int pack_depthwise(vl_packed *p, const vl_model *m, const shape *s) {
    const vl_packing plain = {.lanes = VL_DSP_BLOCK, .max_blocks = 1};
    int32_t blocks = (s->out_channels + VL_DSP_BLOCK - 1) / VL_DSP_BLOCK;
    int32_t width = blocks * VL_DSP_BLOCK, taps = s->op->kh * s->op->kw;
    bool integer = p->kind == VL_DEPTHWISE_S8;
    size_t n = (size_t)(width * taps), item = integer ? 1 : sizeof(float);
    p->chunk = vl_mem_alloc(1, sizeof *p->chunk);
    p->weights = vl_mem_alloc(n, item);
    p->floats = vl_mem_alloc((size_t)width, 2 * sizeof(float));
    if (p->chunk == NULL || p->weights == NULL || p->floats == NULL)
        return VEIL_E_NOMEM;
    for (int32_t t = 0; t < taps; t++) {
        for (int32_t c = 0; c < s->out_channels; c++) {
            float w = weight_at(s, c, t / s->op->kw, t % s->op->kw, c);
            if (integer)
                ((int8_t *)p->weights)[t * width + c] = (int8_t)w;
            else
                ((float *)p->weights)[t * width + c] = w;
        }
    }
    p->n_chunks = 1;
    vl_chunk *c = &p->chunk[0].chunk;
    *c = (vl_chunk){.n = s->out_channels, .blocks = blocks, .weights = p->weights};
    p->bytes = n * item + (size_t)width * 2 * sizeof(float);
    return pack_finish(s, m, p, &plain, c, p->floats, p->floats + width) ? VEIL_OK : VEIL_E_MODEL;
}

/* The layout of depthwise_four (dsp.h). */
static int pack_depthwise_four(vl_packed *p, const vl_model *m, const shape *s) {
    const vl_value *in = &m->values[s->op->in[0]];
    const int32_t wide = 64, channels = s->out_channels, taps = s->op->kh * s->op->kw;
    const int32_t filled = wide % channels == 0 ? wide : channels; /* with repeats */
    const bool columns = s->op->kh == 3;
    const int32_t chunks = (filled + wide - 1) / wide, fours = columns ? s->op->kw : (taps + 3) / 4;
    const vl_packing order = {.lanes = 16, .max_blocks = 4, .interleaved = 1};
    p->chunk = vl_mem_alloc(1, sizeof *p->chunk);
    p->weights = vl_mem_alloc((size_t)(chunks * fours), (size_t)(4 * wide));
    p->floats = vl_mem_alloc((size_t)(chunks * wide), 2 * sizeof(float));
    if (p->chunk == NULL || p->weights == NULL || p->floats == NULL)
        return VEIL_E_NOMEM;
    float *mult = p->floats, *add = mult + chunks * wide;
    int8_t *w = p->weights;
    for (int32_t i = 0; i < chunks * wide; i++) {
        int32_t c = i / wide * wide + lane_channel(&order, 4, i % wide / 16, i % 16);
        if (c >= filled)
            continue;
        c %= channels;
        for (int32_t t = 0; t < taps; t++) {
            int32_t four = columns ? t % s->op->kw : t / 4, place = columns ? t / s->op->kw : t % 4;
            int32_t at = ((i / wide * fours + four) * wide + i % wide) * 4 + place;
            w[at] = (int8_t)weight_at(s, c, t / s->op->kw, t % s->op->kw, c);
        }
        float bound = requant(s, in, c, &mult[i], &add[i]);
        if (!(bound < FLOAT_BOUND))
            return VEIL_E_MODEL;
        if (bound > QUICK_BOUND)
            p->finish.quick = 0;
    }
    p->n_chunks = 1;
    p->chunk[0].chunk = (vl_chunk){.n = channels, .weights = p->weights, .mult = mult, .add = add};
    p->bytes = (size_t)(chunks * wide) * ((size_t)fours * 4 + 2 * sizeof(float));
    return VEIL_OK;
}

int vl_pack_conv(vl_packed *p, const vl_model *m, const vl_op *op, const vl_dsp *dsp) {
    const vl_value *in = &m->values[op->in[0]], *out = &m->values[op->out];
    shape s = {.op = op, .in_channels = in->channels, .out_channels = out->channels};
    s.in_group = in->channels / op->groups;
    s.out_group = out->channels / op->groups;
    bool integer = op->weights->dtype == VL_FMT_S8;
    bool depthwise = op->groups > 1 && s.in_group == 1 && s.out_group == 1;
    p->kind = depthwise ? (integer ? VL_DEPTHWISE_S8 : VL_DEPTHWISE_F32)
                        : (integer ? VL_CONV_S8 : VL_CONV_F32);
    p->finish = finish_of(op, out, integer);
    int err = choose_units(p, m, &s);
    if (err != VEIL_OK)
        return err;
    if (p->kind == VL_DEPTHWISE_S8 && dsp->depthwise_four)
        err = pack_depthwise_four(p, m, &s);
    else if (depthwise)
        err = pack_depthwise(p, m, &s);
    else
        err = pack_dense(p, m, &s, integer ? &dsp->pack_s8 : &dsp->pack_f32);
    p->bytes += p->dip != NULL ? sizeof *p->dip : 0;
    return err;
}

void vl_pack_free(vl_packed *p) {
    vl_mem_free(p->chunk);
    vl_mem_free(p->weights);
    vl_mem_free(p->floats);
    vl_mem_free(p->taps);
    vl_mem_free(p->dip);
    *p = (vl_packed){.kind = VL_CONV_S8};
}
