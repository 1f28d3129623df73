/* Convolution, batch norm and ReLU of training, forward and backward, for bfloat16 maps with
 * channels last on CPUs with AMX. Every convolution is a list of runs of channels at constant
 * distances in a zero-padded map, so that one matrix kernel serves the forward pass and the
 * gradient of the input, and another the gradient of the weights. One thread; compiled by conv.py
 * at first use; not part of the program or the library. */
#include "conv.h"

/* The four tiles of sums. gcc's tile loads do not say that they read memory, so ZERO also keeps the
 * compiler from moving stores behind them. */
#define ZERO()                                                                                     \
    do {                                                                                           \
        __asm__ volatile("" ::: "memory");                                                         \
        _tile_zero(0);                                                                             \
        _tile_zero(1);                                                                             \
        _tile_zero(2);                                                                             \
        _tile_zero(3);                                                                             \
    } while (0)
#define STORE(t, stride, b, c, d)                                                                  \
    do {                                                                                           \
        _tile_stored(0, (t), stride);                                                              \
        _tile_stored(1, (t) + (b), stride);                                                        \
        _tile_stored(2, (t) + (c), stride);                                                        \
        _tile_stored(3, (t) + (d), stride);                                                        \
    } while (0)

/* ---- maps with padding ------------------------------------------------------------------- */

/* A block of output rows: rows y0..y0+rows-1 of `pictures` pictures (whole ones if more than one).
 * Its pixels are counted with one padding column a row and one padding row a picture. */
typedef struct {
    long picture, pictures, y0, rows, pitch, pixels;
} Block;

static int next_block(const VeilConv *v, Block *b, size_t bytes_a_pixel, size_t budget) {
    long ho = v->ho;
    long all = b->picture * ho + b->y0 + (b->pictures > 1 ? b->pictures * ho : b->rows);
    b->picture = all / ho, b->y0 = all % ho;
    if (b->picture >= v->n)
        return 0;
    long fit = (long)(budget / bytes_a_pixel) / b->pitch, whole = fit / (ho + 1);
    fit = fit > 1 ? fit : 1;
    if (whole > 1 && b->y0 == 0) {
        b->pictures = whole < v->n - b->picture ? whole : v->n - b->picture;
        b->rows = ho;
    } else {
        long parts = (ho + fit - 1) / fit, rows = (ho + parts - 1) / parts;
        b->pictures = 1;
        b->rows = rows < ho - b->y0 ? rows : ho - b->y0;
    }
    b->pixels = (b->pictures * (b->rows + 1) - 1) * b->pitch;
    return 1;
}

/* Where the padded rows come from: a map, or the gradient behind batch norm and ReLU. */
typedef struct {
    const uint16_t *x, *dy;
    long ld, lddy, height, width, channels;
    const float *scale, *shift, *m, *c;
    float sharp;
} Rows;

static void put_row(const Rows *s, uint16_t *to, long picture, long y) {
    long p = (picture * s->height + y) * s->width;
    const uint16_t *x = s->x + p * s->ld;
    if (s->dy)
        veil_norm_back(x, s->dy + p * s->lddy, s->lddy, to, s->width, s->channels, s->scale,
                       s->shift, s->m, s->c, s->sharp);
    else if (s->ld == s->channels)
        memcpy(to, x, (size_t)(s->width * s->channels) * 2);
    else
        for (long i = 0; i < s->width; i++)
            memcpy(to + i * s->channels, x + i * s->ld, (size_t)s->channels * 2);
}

/* Writes rows y, y+step, ... of every picture of the block, `lead` zero pixels in front of each and
 * zeros up to `pitch`; behind the last picture `extra` rows more and zeros that may be read. */
static void fill(const Rows *s, const Block *b, uint16_t *to, long y, long step, long lead,
                 long pitch, long extra) {
    long c = s->channels;
    for (long j = 0; j < b->pictures; j++)
        for (long r = 0; r <= b->rows + (j + 1 == b->pictures ? extra : 0); r++) {
            uint16_t *row = to + (j * (b->rows + 1) + r) * pitch * c;
            long at = y + r * step;
            if (at < 0 || at >= s->height) {
                memset(row, 0, (size_t)(pitch * c) * 2);
                continue;
            }
            memset(row, 0, (size_t)(lead * c) * 2);
            put_row(s, row + lead * c, b->picture + j, at);
            memset(row + (lead + s->width) * c, 0, (size_t)((pitch - lead - s->width) * c) * 2);
        }
    long end = (b->pictures * (b->rows + 1) + extra) * pitch;
    memset(to + end * c, 0, (size_t)((pitch + 2 * SLACK) * c) * 2);
}

static size_t padded_size(const Block *b, long pitch, long c) {
    return (size_t)(((b->pictures * (b->rows + 1) + 2) * pitch + 2 * SLACK) * c) * 2;
}

/* The padded input: one map, or for stride 2 its even and odd rows; for the stem, 2x2 pixels make
 * one. */
typedef struct {
    const uint16_t *plane[2];
    long ld;
} Input;

static Input padded_input(const VeilConv *v, const Block *b) {
    Input in = {{NULL, NULL}, v->s * v->ci};
    Rows rows = {.x = v->x, .ld = v->ldx, .height = v->h, .width = v->w, .channels = v->ci};
    for (int i = 0; i < (v->s == 2 && !v->stem ? 2 : 1); i++) {
        long pitch = v->stem ? b->pitch : v->s * b->pitch, c = v->stem ? 16 : v->ci;
        uint16_t *to = veil_scratch(i, padded_size(b, pitch, c));
        if (v->stem)
            veil_stem_rows(v, b->picture, b->pictures, b->y0, b->rows, pitch, to);
        else if (v->s == 1)
            fill(&rows, b, to, b->y0 - 1, 1, 1, pitch, 1);
        else
            fill(&rows, b, to, 2 * b->y0 + i - 1, 2, 1, pitch, 0);
        in.plane[i] = to;
    }
    if (v->stem)
        in.ld = 16;
    return in;
}

/* ---- weights as matrices ------------------------------------------------------------------ */

/* For every k of the inner dimension, where its weight lies from the first (-1: none, a zero), and
 * for every chunk of k where its input lies from `base` for the first pixel. */
typedef struct {
    long chunks, kc;
    const uint16_t *base;
    int *at;
    long *off;
} Plan;

static Plan new_plan(const uint16_t *base, long chunks, long kc) {
    Plan p = {0, kc, base, NULL, NULL};
    p.off = veil_scratch(2, (size_t)chunks * (sizeof *p.off + (size_t)kc * sizeof *p.at));
    p.at = (int *)(void *)(p.off + chunks);
    return p;
}

/* Adds a run of `length` values from `off`; the caller then says where their weights lie. */
static int *add_run(Plan *p, const uint16_t *base, long off, long length) {
    int *at = p->at + p->chunks * p->kc;
    long chunks = (length + p->kc - 1) / p->kc;
    off += ((intptr_t)base - (intptr_t)p->base) / 2;
    for (long i = 0; i < chunks; i++)
        p->off[p->chunks++] = off + i * p->kc;
    for (long i = 0; i < chunks * p->kc; i++)
        at[i] = -1;
    return at;
}

static Plan plan_forward(const VeilConv *v, const Input *in, long pitch) {
    if (v->k == 1) {
        long kc = v->ci % 32 ? 16 : 32;
        Plan p = new_plan(v->x, v->ci / kc, kc);
        int *at = add_run(&p, v->x, 0, v->ci);
        for (long i = 0; i < v->ci; i++)
            at[i] = (int)(i * v->wi);
        return p;
    }
    long length = v->stem ? 32 : 3 * v->ci, two = v->s == 2 && !v->stem;
    Plan p = new_plan(in->plane[0], 3 * ((length + 31) / 32), 32);
    for (long a = 0; a < (v->stem ? 2 : 3); a++) {
        long plane = two ? a & 1 : 0, row = two ? a >> 1 : a;
        int *at = add_run(&p, in->plane[plane], row * pitch * in->ld, length);
        for (long t = 0; t < length; t++)
            at[t] = v->stem ? veil_stem_weight(v, a, t / 16, t % 16)
                            : (int)(a * v->wy + t / v->ci * v->wx + t % v->ci * v->wi);
    }
    return p;
}

/* The gradient of the input at rows and columns of parity py, px (stride 2), or at all (0, 0). */
static Plan plan_back(const VeilConv *v, const uint16_t *dz, long pitch, int py, int px) {
    if (v->k == 1) {
        long kc = v->co % 32 ? 16 : 32;
        Plan p = new_plan(dz, v->co / kc, kc);
        int *at = add_run(&p, dz, 0, v->co);
        for (long o = 0; o < v->co; o++)
            at[o] = (int)(o * v->wo_);
        return p;
    }
    long rows = v->s == 1 ? 3 : 1 + py, cols = v->s == 1 ? 3 : 1 + px, length = cols * v->co;
    Plan p = new_plan(dz, rows * ((length + 31) / 32), 32);
    for (long r = 0; r < rows; r++) {
        int *at = add_run(&p, dz, r * pitch * v->co, length);
        long ky = rows == 1 ? 1 : 2 - r * v->s;
        for (long t = 0; t < length; t++) {
            long kx = cols == 1 ? 1 : 2 - t / v->co * v->s;
            at[t] = (int)(ky * v->wy + kx * v->wx + t % v->co * v->wo_);
        }
    }
    return p;
}

/* Weights in pairs of k: [16 columns' block][chunk][k/2][column][2]. */
static const uint16_t *pack(int slot, const Plan *p, const float *w, long columns, long stride) {
    long per = p->kc / 2 * 32;
    uint16_t *all = veil_scratch(slot, (size_t)(columns / 16 * p->chunks * per) * 2), *to = all;
    __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    lane = _mm512_mullo_epi32(lane, _mm512_set1_epi32((int)stride));
    for (long n = 0; n < columns; n += 16)
        for (long k = 0; k < p->chunks * p->kc; k += 2, to += 32) {
            __m512 v[2];
            for (int i = 0; i < 2; i++) {
                int at = p->at[k + i];
                v[i] = at < 0 ? _mm512_setzero_ps()
                              : _mm512_i32gather_ps(lane, w + at + n * stride, 4);
            }
            __m512i a = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(v[0]));
            __m512i b = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(v[1]));
            _mm512_storeu_si512(to, _mm512_or_si512(a, _mm512_slli_epi32(b, 16)));
        }
    return all;
}

/* ---- the matrix kernel of maps ------------------------------------------------------------ */

typedef struct {
    const Plan *plan;
    long first, ld;    /* pixel where the block begins, distance of pixels */
    const uint16_t *b; /* packed weights */
    long columns, m;   /* output channels, pixels */
    const int *to;     /* output pixel of every pixel, -1: none; NULL: the same */
    uint16_t *out;
    long ldo;
    const uint16_t *plus; /* added to the output, or NULL */
    long ldplus;
    float *sums; /* sums, then squares of every channel, or NULL */
    int direct;  /* nothing behind the last pixel may be read */
} Gemm;

static void config(long kc) {
    uint8_t c[64] __attribute__((aligned(64))) = {1};
    for (int t = 0; t < 8; t++) {
        c[48 + t] = (uint8_t)(t < 6 ? 16 : kc / 2);
        c[16 + 2 * t] = (uint8_t)(t == 4 || t == 5 ? 2 * kc : 64);
    }
    __asm__ volatile("" ::: "memory");
    _tile_loadconfig(c);
}

static inline __m512 widened(const uint16_t *p) {
    __m256i h = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

static inline __attribute__((always_inline)) void emit(const Gemm *g, const float *t, long q,
                                                       long n, int wide, long count, int sums) {
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, q0 = s0, q1 = s0;
    for (long r = 0; r < count; r++) {
        long at = g->to ? g->to[q + r] : q + r;
        if (at < 0)
            continue;
        uint16_t *o = g->out + at * g->ldo + n;
        __m512 a = _mm512_load_ps(t + r * (wide ? 32 : 16));
        const uint16_t *plus = !sums && g->plus ? g->plus + at * g->ldplus + n : NULL;
        if (plus)
            a = _mm512_add_ps(a, widened(plus));
        if (sums)
            s0 = _mm512_add_ps(s0, a), q0 = _mm512_fmadd_ps(a, a, q0);
        if (wide) {
            __m512 b = _mm512_load_ps(t + r * 32 + 16);
            if (plus)
                b = _mm512_add_ps(b, widened(plus + 16));
            if (sums)
                s1 = _mm512_add_ps(s1, b), q1 = _mm512_fmadd_ps(b, b, q1);
            _mm512_storeu_si512(o, (__m512i)_mm512_cvtne2ps_pbh(b, a));
        } else {
            _mm256_storeu_si256((__m256i *)(void *)o, (__m256i)_mm512_cvtneps_pbh(a));
        }
    }
    if (!sums)
        return;
    float *s = g->sums + n, *p = s + g->columns;
    _mm512_storeu_ps(s, _mm512_add_ps(_mm512_loadu_ps(s), s0));
    _mm512_storeu_ps(p, _mm512_add_ps(_mm512_loadu_ps(p), q0));
    if (wide) {
        _mm512_storeu_ps(s + 16, _mm512_add_ps(_mm512_loadu_ps(s + 16), s1));
        _mm512_storeu_ps(p + 16, _mm512_add_ps(_mm512_loadu_ps(p + 16), q1));
    }
}

/* Pixels q.. as rows that may all be read: where the map ends, a copy. */
static const uint16_t *tail(const Gemm *g, long q, long rows, long *ld) {
    const uint16_t *x = g->plan->base + (g->first + q) * g->ld;
    if (!g->direct || q + rows <= g->m)
        return x;
    long k = g->plan->chunks * g->plan->kc;
    uint16_t *copy = veil_scratch(4, (size_t)(rows * k) * 2);
    memset(copy, 0, (size_t)(rows * k) * 2);
    for (long r = 0; q + r < g->m; r++)
        memcpy(copy + r * k, x + r * g->ld, (size_t)k * 2);
    *ld = k;
    return copy;
}

/* Of `rows` rows those that there are; a copy of the loop for each way, since it is the hot one. */
static inline __attribute__((always_inline)) void emit_rows(const Gemm *g, const float *t, long q,
                                                            long n, int wide, long rows) {
    long count = g->m - q < rows ? g->m - q : rows;
    if (g->sums)
        emit(g, t, q, n, wide, count, 1);
    else
        emit(g, t, q, n, wide, count, 0);
}

static void gemm_wide(const Gemm *g, long n) {
    float t[32 * 32] __attribute__((aligned(64)));
    const Plan *p = g->plan;
    long per = p->kc / 2 * 32, chunks = p->chunks;
    const long *off = p->off;
    const uint16_t *b0 = g->b + n / 16 * chunks * per, *b1 = b0 + chunks * per;
    for (long q = 0; q < g->m; q += 32) {
        long ld = g->ld;
        const uint16_t *x = tail(g, q, 32, &ld);
        ZERO();
        for (long c = 0; c < chunks; c++) {
            const uint16_t *a = x + off[c];
            _tile_loadd(4, a, 2 * ld);
            _tile_loadd(6, b0 + c * per, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, b1 + c * per, 64);
            _tile_dpbf16ps(1, 4, 7);
            _tile_loadd(5, a + 16 * ld, 2 * ld);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        STORE(t, 128, 16, 512, 528);
        emit_rows(g, t, q, n, 1, 32);
    }
}

static void gemm_narrow(const Gemm *g, long n) {
    float t[64 * 16] __attribute__((aligned(64)));
    const Plan *p = g->plan;
    long per = p->kc / 2 * 32, chunks = p->chunks;
    const long *off = p->off;
    const uint16_t *b = g->b + n / 16 * chunks * per;
    for (long q = 0; q < g->m; q += 64) {
        long ld = g->ld;
        const uint16_t *x = tail(g, q, 64, &ld);
        ZERO();
        for (long c = 0; c < chunks; c++) {
            const uint16_t *a = x + off[c];
            _tile_loadd(6, b + c * per, 64);
            _tile_loadd(4, a, 2 * ld);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(5, a + 16 * ld, 2 * ld);
            _tile_dpbf16ps(1, 5, 6);
            _tile_loadd(4, a + 32 * ld, 2 * ld);
            _tile_dpbf16ps(2, 4, 6);
            _tile_loadd(5, a + 48 * ld, 2 * ld);
            _tile_dpbf16ps(3, 5, 6);
        }
        STORE(t, 64, 256, 512, 768);
        emit_rows(g, t, q, n, 0, 64);
    }
}

static void gemm(const Gemm *g) {
    long n = 0;
    for (; n + 32 <= g->columns; n += 32)
        gemm_wide(g, n);
    if (n < g->columns)
        gemm_narrow(g, n);
}

/* Output pixels of a block, counted from its first; columns may be `step` apart. */
static int *targets(const Block *b, long width, long image, long row, long step) {
    int *to = veil_scratch(5, (size_t)(b->pixels + b->pitch + SLACK) * sizeof *to), *t = to;
    for (long j = 0; j < b->pictures; j++)
        for (long r = 0; r <= b->rows; r++)
            for (long x = 0; x < b->pitch; x++)
                *t++ = x < width && r < b->rows ? (int)(j * image + r * row + x * step) : -1;
    return to;
}

/* ---- forward ------------------------------------------------------------------------------ */

static void flush(float *sums, double *total, long n) {
    for (long i = 0; i < n; i++)
        total[i] += (double)sums[i], sums[i] = 0;
}

static void convolve_1x1(const VeilConv *v, float *sums, double *total) {
    long co = v->co, all = v->n * v->h * v->w, step = 262144 / (2 * (v->ci + co)) / 64 * 64 + 64;
    Plan p = plan_forward(v, NULL, 0);
    const uint16_t *w = pack(3, &p, v->weight, co, v->wo_);
    config(p.kc);
    for (long q = 0; q < all; q += step) {
        Gemm g = {.plan = &p,
                  .first = q,
                  .ld = v->ldx,
                  .b = w,
                  .columns = co,
                  .ldo = co,
                  .out = v->z + q * co,
                  .sums = sums,
                  .direct = 1,
                  .m = all - q < step ? all - q : step};
        gemm(&g);
        flush(sums, total, 2 * co);
    }
}

static void convolve_3x3(const VeilConv *v, float *sums, double *total) {
    long co = v->co;
    Block b = {.pitch = v->wo + 1};
    size_t bytes = (size_t)(v->stem ? 112 : (4 * v->s * v->s * v->ci + 2 * co));
    const uint16_t *w = NULL;
    config(32);
    while (next_block(v, &b, bytes, 786432)) {
        Input in = padded_input(v, &b);
        Plan p = plan_forward(v, &in, b.pitch);
        if (!w)
            w = pack(3, &p, v->weight, co, v->wo_);
        Gemm g = {.plan = &p,
                  .ld = in.ld,
                  .b = w,
                  .columns = co,
                  .m = b.pixels,
                  .ldo = co,
                  .sums = sums,
                  .to = targets(&b, v->wo, v->ho * v->wo, v->wo, 1),
                  .out = v->z + (b.picture * v->ho + b.y0) * v->wo * co};
        gemm(&g);
        flush(sums, total, 2 * co);
    }
}

/* z = convolution, y = relu(batch norm(z)) + add; `params` keeps what the way back needs. */
void veil_conv_forward(const VeilConv *v) {
    long co = v->co;
    double n = (double)(v->n * v->ho * v->wo);
    double *total = veil_scratch(7, (size_t)(2 * co) * sizeof *total);
    float *sums = veil_scratch(6, (size_t)(2 * co) * sizeof *sums);
    memset(total, 0, (size_t)(2 * co) * sizeof *total);
    memset(sums, 0, (size_t)(2 * co) * sizeof *sums);
    (v->k == 1 ? convolve_1x1 : convolve_3x3)(v, sums, total);
    _tile_release();
    float *scale = v->params, *shift = scale + 2 * co, *mean = shift + 2 * co, *inv = mean + co;
    for (long c = 0; c < co; c++) {
        double m = total[c] / n, var = total[co + c] / n - m * m;
        var = var > 0 ? var : 0;
        if (v->mean_out) {
            float k = v->momentum;
            v->mean_out[c] = v->mean_out[c] * (1 - k) + (float)m * k;
            v->var_out[c] = v->var_out[c] * (1 - k) + (float)(var * (n / (n > 1 ? n - 1 : 1))) * k;
        }
        mean[c] = (float)m;
        inv[c] = (float)(1 / sqrt(var + (double)v->eps));
        scale[c] = scale[co + c] = v->gamma[c] * inv[c];
        shift[c] = shift[co + c] = v->beta[c] - mean[c] * scale[c];
    }
    veil_norm(v->z, v->add, v->ldadd, v->y, v->ldy, v->n * v->ho * v->wo, co, scale, shift,
              v->sharp);
}

/* ---- gradient of the weights -------------------------------------------------------------- */

/* A column block of the product: 16 input channels under one tap. */
typedef struct {
    int plane, block, at[16];
    long off;
    const uint16_t *pairs;
} Column;

static int columns_of(const VeilConv *v, long pitch, Column *c) {
    int n = 0, two = v->s == 2 && !v->stem;
    long blocks = v->stem ? 1 : v->ci / 16, taps = v->stem ? 2 : v->k;
    for (long a = 0; a < taps; a++)
        for (long b = 0; b < taps; b++)
            for (long i = 0; i < blocks; i++, n++) {
                c[n].plane = two ? (int)(a & 1) : 0;
                c[n].block = (int)(i + (two ? (b & 1) * blocks : 0));
                c[n].off = two ? (a >> 1) * pitch + (b >> 1) : a * pitch + b;
                for (int l = 0; l < 16; l++)
                    c[n].at[l] = v->stem ? veil_stem_weight(v, a, b, l)
                                         : (int)(a * v->wy + b * v->wx + (i * 16 + l) * v->wi);
            }
    return n;
}

/* Makes the pairs of pixels that the columns need from the padded input (or the map itself). */
static void make_columns(Column *c, int n, const Input *in, long pixels, int direct) {
    long blocks = in->ld / 16, most = 0;
    for (int i = 0; i < n; i++)
        most = c[i].off > most ? c[i].off : most;
    long pairs = (pixels + 31) / 32 * 16 + most / 2 + 1;
    uint16_t *all = veil_scratch(8, (size_t)(4 * blocks * pairs * 32) * 2);
    char *made = veil_scratch(9, (size_t)(4 * blocks));
    memset(made, 0, (size_t)(4 * blocks));
    for (int i = 0; i < n; i++) {
        long version = c[i].off & 1, id = (c[i].plane * blocks + c[i].block) * 2 + version;
        uint16_t *to = all + id * pairs * 32;
        c[i].pairs = to + c[i].off / 2 * 32;
        if (!made[id])
            veil_pairs(in->plane[c[i].plane] + version * in->ld + c[i].block * 16, in->ld,
                       direct ? pixels : 2 * pairs, pairs, to);
        made[id] = 1;
    }
}

static void add_tile(float *to, const float *t) {
    for (long e = 0; e < 256; e += 16)
        _mm512_storeu_ps(to + e, _mm512_add_ps(_mm512_loadu_ps(to + e), _mm512_load_ps(t + e)));
}

/* One or two blocks of output channels with one or two columns, summed over all pixels. */
static void product(const uint16_t *dz, long blocks, long o, const Column *c, int cols, long steps,
                    float *sum, long row) {
    float t[1024] __attribute__((aligned(64)));
    int two = o + 1 < blocks, both = cols > 1;
    const uint16_t *a = dz + o * 512, *b0 = c[0].pairs, *b1 = c[both].pairs;
    ZERO();
    if (two && both)
        for (long k = 0; k < steps; k++, a += blocks * 512) {
            _tile_loadd(4, a, 64);
            _tile_loadd(6, b0 + k * 512, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, b1 + k * 512, 64);
            _tile_dpbf16ps(1, 4, 7);
            _tile_loadd(5, a + 512, 64);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    else
        for (long k = 0; k < steps; k++, a += blocks * 512) {
            _tile_loadd(4, a, 64);
            _tile_loadd(6, b0 + k * 512, 64);
            _tile_dpbf16ps(0, 4, 6);
            if (both) {
                _tile_loadd(7, b1 + k * 512, 64);
                _tile_dpbf16ps(1, 4, 7);
            }
            if (two) {
                _tile_loadd(5, a + 512, 64);
                _tile_dpbf16ps(2, 5, 6);
            }
        }
    STORE(t, 64, 256, 512, 768);
    for (int i = 0; i < 4; i++)
        if ((i < 2 || two) && (!(i & 1) || both))
            add_tile(sum + (i & 1) * row + (o + (i >> 1)) * 256, t + i * 256);
}

/* One block of output channels with four columns. */
static void product4(const uint16_t *dz, const Column *c, long steps, float *sum, long row) {
    float t[1024] __attribute__((aligned(64)));
    const uint16_t *b0 = c[0].pairs, *b1 = c[1].pairs, *b2 = c[2].pairs, *b3 = c[3].pairs;
    ZERO();
    for (long k = 0; k < steps * 512; k += 512) {
        _tile_loadd(4, dz + k, 64);
        _tile_loadd(6, b0 + k, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b1 + k, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(6, b2 + k, 64);
        _tile_dpbf16ps(2, 4, 6);
        _tile_loadd(7, b3 + k, 64);
        _tile_dpbf16ps(3, 4, 7);
    }
    STORE(t, 64, 256, 512, 768);
    for (int i = 0; i < 4; i++)
        add_tile(sum + i * row, t + i * 256);
}

static void weights_back(const VeilConv *v, const uint16_t *dz, long pixels, const Column *c, int n,
                         float *sum) {
    long blocks = v->co / 16, steps = (pixels + 31) / 32, row = blocks * 256;
    uint16_t *t = veil_scratch(19, (size_t)(steps * blocks * 512) * 2);
    veil_transposed(dz, v->co, pixels, t);
    int i = 0;
    if (blocks == 1)
        for (; i + 4 <= n; i += 4)
            product4(t, c + i, steps, sum + i * row, row);
    for (; i < n; i += 2)
        for (long o = 0; o < blocks; o += 2)
            product(t, blocks, o, c + i, n - i, steps, sum + i * row, row);
}

static void put_weights(const VeilConv *v, const Column *c, int n, const float *sum) {
    for (int i = 0; i < n; i++)
        for (long o = 0; o < v->co; o++, sum += 16)
            for (int l = 0; l < 16; l++)
                if (c[i].at[l] >= 0)
                    v->dw[c[i].at[l] + o * v->wo_] = sum[l];
}

/* ---- backward ----------------------------------------------------------------------------- */

static void back_1x1(const VeilConv *v, const Rows *s, Column *c, int n, float *sum) {
    long all = v->n * v->h * v->w, co = v->co;
    long step = 524288 / (8 * co + 6 * v->ci) / 64 * 64 + 64;
    uint16_t *dz = veil_scratch(10, (size_t)((step + 64) * co) * 2);
    Plan p = plan_back(v, dz, 0, 0, 0);
    const uint16_t *w = v->dx ? pack(3, &p, v->weight, v->ci, v->wi) : NULL;
    for (long q = 0; q < all; q += step) {
        long m = all - q < step ? all - q : step;
        Input in = {{v->x + q * v->ldx, NULL}, v->ldx};
        veil_norm_back(s->x + q * s->ld, s->dy + q * s->lddy, s->lddy, dz, m, co, s->scale,
                       s->shift, s->m, s->c, s->sharp);
        memset(dz + m * co, 0, (size_t)(64 * co) * 2);
        config(32);
        make_columns(c, n, &in, m, 1);
        weights_back(v, dz, m, c, n, sum);
        if (!v->dx)
            continue;
        config(p.kc);
        Gemm g = {.plan = &p,
                  .ld = co,
                  .b = w,
                  .columns = v->ci,
                  .m = m,
                  .ldo = v->lddx,
                  .out = v->dx + q * v->lddx,
                  .plus = v->plus ? v->plus + q * v->ldplus : NULL,
                  .ldplus = v->ldplus};
        gemm(&g);
    }
}

static void input_back(const VeilConv *v, const Block *b, const uint16_t *dz, const uint16_t **w) {
    Gemm g = {.ld = v->co, .columns = v->ci, .m = b->pixels, .ldo = v->lddx, .ldplus = v->ldplus};
    long first = (b->picture * v->h + b->y0 * v->s) * v->w;
    g.to = targets(b, v->wo, v->h * v->w, v->s * v->w, v->s);
    for (int py = 0; py < v->s; py++)
        for (int px = 0; px < v->s; px++) {
            Plan p = plan_back(v, dz, b->pitch, py, px);
            int i = 2 * py + px;
            if (!w[i])
                w[i] = pack(13 + i, &p, v->weight, v->ci, v->wi);
            g.plan = &p;
            g.b = w[i];
            long pixel = first + py * v->w + px;
            g.out = v->dx + pixel * v->lddx;
            g.plus = v->plus ? v->plus + pixel * v->ldplus : NULL;
            gemm(&g);
        }
}

static void back_3x3(const VeilConv *v, const Rows *s, Column *c, int n, float *sum) {
    Block b = {.pitch = v->wo + 1};
    long co = v->co, lead = v->s == 1;
    const uint16_t *w[4] = {NULL, NULL, NULL, NULL};
    size_t bytes = (size_t)(8 * co + (v->stem ? 160 : v->s * v->s * 10 * v->ci));
    config(32);
    while (next_block(v, &b, bytes, 1048576)) {
        uint16_t *dz = veil_scratch(10, padded_size(&b, b.pitch, co));
        fill(s, &b, dz, b.y0 - lead, 1, lead, b.pitch, lead);
        Input in = padded_input(v, &b);
        make_columns(c, n, &in, b.pixels, 0);
        weights_back(v, dz + lead * (b.pitch + 1) * co, b.pixels, c, n, sum);
        if (v->dx)
            input_back(v, &b, dz, w);
    }
}

/* Gradients of the weights, of batch norm and (dx not NULL) of the input, from dy. */
void veil_conv_backward(const VeilConv *v) {
    long co = v->co, n = v->n * v->ho * v->wo;
    const float *scale = v->params, *shift = scale + 2 * co, *mean = shift + 2 * co;
    const float *inv = mean + co;
    float *m = veil_scratch(6, (size_t)(4 * co) * sizeof *m), *c = m + 2 * co;
    double *total = veil_scratch(7, (size_t)(2 * co) * sizeof *total);
    veil_norm_sums(v->z, v->dy, v->lddy, n, co, scale, shift, v->sharp, total);
    for (long i = 0; i < co; i++) {
        double s = total[i], dg = (total[co + i] - (double)mean[i] * s) * (double)inv[i];
        /* dz = scale * (g - s/n - xhat * dg/n), xhat = (z - mean) * inv */
        double k = -(double)scale[i] * (double)inv[i] * dg / (double)n;
        m[i] = m[co + i] = (float)k;
        c[i] = c[co + i] = (float)(-(double)scale[i] * s / (double)n - k * (double)mean[i]);
        v->dgamma[i] = (float)dg;
        v->dbeta[i] = (float)s;
    }
    Rows rows = {.x = v->z,
                 .ld = co,
                 .dy = v->dy,
                 .lddy = v->lddy,
                 .height = v->ho,
                 .width = v->wo,
                 .channels = co,
                 .scale = scale,
                 .shift = shift,
                 .m = m,
                 .c = c,
                 .sharp = v->sharp};
    long most = v->stem ? 4 : v->k * v->k * v->ci / 16;
    Column *columns = veil_scratch(11, (size_t)most * sizeof *columns);
    int count = columns_of(v, v->wo + 1, columns);
    float *sum = veil_scratch(12, (size_t)(count * 16 * co) * sizeof *sum);
    memset(sum, 0, (size_t)(count * 16 * co) * sizeof *sum);
    (v->k == 1 ? back_1x1 : back_3x3)(v, &rows, columns, count, sum);
    _tile_release();
    put_weights(v, columns, count, sum);
}
