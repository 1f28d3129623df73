/* See motion.h. A coarse search for the whole picture's shift on a quarter-size picture, then block
 * matching of textured 16x16 blocks around it, then a similarity fitted to the blocks by RANSAC
 * with a fixed seed and least squares on those that agree. A cut is a new histogram with blocks
 * that match nowhere. */
#include "motion.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#endif

#define BLOCK         16 /* px */
#define GRID_X        12 /* most blocks across, down */
#define GRID_Y        9
#define BLOCKS_MAX    (GRID_X * GRID_Y)
#define SEARCH        4      /* px around the coarse shift */
#define COARSE_SEARCH 6      /* quarter px */
#define TEXTURE_MIN   (2.0f) /* mean absolute gradient in both directions */
#define AGREE_PX      0.8f
#define RANSAC_ROUNDS 64
#define BLOCKS_MIN    6
#define SURE_MIN      0.25f
#define STILL_PX      0.06f /* movement below this is noise */
#define HALF_SIZE     ((VL_MOTION_WIDTH / 2) * (VL_MOTION_HEIGHT / 2))
#define QUARTER_SIZE  ((VL_MOTION_WIDTH / 4) * (VL_MOTION_HEIGHT / 4))
#define BINS          32

typedef struct {
    float x, y;   /* centre before */
    float dx, dy; /* movement */
    float misfit; /* residual over texture */
} match;

/* ------------------------------------------------------------------ pictures */

static void halve(const vl_motion_picture *in, uint8_t *out, vl_motion_picture *half) {
    *half = (vl_motion_picture){out, in->width / 2, in->height / 2, in->width / 2};
    for (int32_t y = 0; y < half->height; y++) {
        const uint8_t *a = in->data + 2 * y * in->stride, *b = a + in->stride;
        uint8_t *o = out + y * half->stride;
        for (int32_t x = 0; x < half->width; x++)
            o[x] = (uint8_t)((a[2 * x] + a[2 * x + 1] + b[2 * x] + b[2 * x + 1] + 2) >> 2);
    }
}

/* Mean and standard deviation of the brightness. */
static void brightness(const vl_motion_picture *p, float *mean, float *deviation) {
    uint64_t sum = 0, squares = 0;
    for (int32_t y = 0; y < p->height; y++) {
        const uint8_t *a = p->data + y * p->stride;
        uint32_t s = 0, q = 0;
        for (int32_t x = 0; x < p->width; x++) {
            s += a[x];
            q += (uint32_t)a[x] * a[x];
        }
        sum += s;
        squares += q;
    }
    double n = (double)p->width * p->height, m = (double)sum / n;
    *mean = (float)m;
    *deviation = (float)sqrt(fmax((double)squares / n - m * m, 0));
}

/* The earlier picture in the light of the later one, so that a change of exposure or a flash is not
 * taken for movement. p_small, q_small: the same pictures, smaller. */
static void adapt(vl_motion_picture *p, const vl_motion_picture *p_small,
                  const vl_motion_picture *q_small, uint8_t *copy) {
    float mean_p, mean_q, dev_p, dev_q;
    brightness(p_small, &mean_p, &dev_p);
    brightness(q_small, &mean_q, &dev_q);
    float gain = dev_p > 1 && dev_q > 1 ? fminf(fmaxf(dev_q / dev_p, 0.4f), 2.5f) : 1;
    if (fabsf(gain - 1) < 0.03f && fabsf(mean_p - mean_q) < 1.5f)
        return;
    uint8_t table[256];
    for (int32_t i = 0; i < 256; i++) {
        float v = mean_q + ((float)i - mean_p) * gain + 0.5f;
        table[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
    for (int32_t y = 0; y < p->height; y++)
        for (int32_t x = 0; x < p->width; x++)
            copy[y * p->width + x] = table[p->data[y * p->stride + x]];
    p->data = copy;
    p->stride = p->width;
}

/* Sum of absolute differences of rows of 16 bytes; each instruction set here is the base of its
 * processors, so nothing is chosen at run time. */
static uint32_t difference(const uint8_t *a, ptrdiff_t sa, const uint8_t *b, ptrdiff_t sb,
                           int32_t rows) {
#if defined(__SSE2__)
    __m128i sum = _mm_setzero_si128();
    for (int32_t y = 0; y < rows; y++, a += sa, b += sb)
        sum = _mm_add_epi64(sum, _mm_sad_epu8(_mm_loadu_si128((const __m128i *)(const void *)a),
                                              _mm_loadu_si128((const __m128i *)(const void *)b)));
    return (uint32_t)(_mm_cvtsi128_si32(sum) + _mm_cvtsi128_si32(_mm_srli_si128(sum, 8)));
#elif defined(__ARM_NEON) && defined(__aarch64__)
    uint32x4_t sum = vdupq_n_u32(0);
    for (int32_t y = 0; y < rows; y++, a += sa, b += sb)
        sum = vpadalq_u16(sum, vpaddlq_u8(vabdq_u8(vld1q_u8(a), vld1q_u8(b))));
    return vaddvq_u32(sum);
#else
    uint32_t sum = 0;
    for (int32_t y = 0; y < rows; y++, a += sa, b += sb)
        for (int32_t x = 0; x < 16; x++)
            sum += (uint32_t)abs(a[x] - b[x]);
    return sum;
#endif
}

/* Mean difference of the picture's inner part when the earlier one is shifted by (dx, dy), at most
 * (mx, my). */
static float shifted_difference(const vl_motion_picture *p, const vl_motion_picture *q, int32_t mx,
                                int32_t my, int32_t dx, int32_t dy) {
    int32_t w = p->width - 2 * mx, h = p->height - 2 * my;
    uint32_t sum = 0;
    int32_t columns = 0;
    for (; columns + 16 <= w; columns += 16)
        sum += difference(q->data + my * q->stride + mx + columns, q->stride,
                          p->data + (my - dy) * p->stride + mx - dx + columns, p->stride, h);
    for (int32_t y = my; columns == 0 && y < my + h; y++) /* narrower than one vector */
        for (int32_t x = mx; x < mx + w; x++)
            sum +=
                (uint32_t)abs(q->data[y * q->stride + x] - p->data[(y - dy) * p->stride + x - dx]);
    return (float)sum / (float)((columns > 0 ? columns : w) * h);
}

/* Returns the mean difference that is left. */
static float coarse_shift(const vl_motion_picture *p, const vl_motion_picture *q, int32_t *dx,
                          int32_t *dy) {
    float best = HUGE_VALF, left = 0;
    int32_t rx = p->width / 4 < COARSE_SEARCH ? p->width / 4 : COARSE_SEARCH;
    int32_t ry = p->height / 4 < COARSE_SEARCH ? p->height / 4 : COARSE_SEARCH;
    for (int32_t y = -ry; y <= ry; y++) {
        for (int32_t x = -rx; x <= rx; x++) {
            /* A far shift must be better by more than chance. */
            float d = shifted_difference(p, q, rx, ry, x, y);
            float cost = d * (1 + 0.01f * (float)(abs(x) + abs(y)));
            if (cost < best) {
                best = cost;
                left = d;
                *dx = x;
                *dy = y;
            }
        }
    }
    return left;
}

/* ------------------------------------------------------------------ blocks */

/* Mean gradient in the weaker direction: blocks on one straight edge slide along it. */
static float texture(const uint8_t *p, ptrdiff_t stride) {
    int32_t across = 0, down = 0;
    for (int32_t y = 0; y < BLOCK - 1; y++, p += stride) {
        for (int32_t x = 0; x < BLOCK - 1; x++) {
            across += abs(p[x + 1] - p[x]);
            down += abs(p[x + stride] - p[x]);
        }
    }
    return (float)(across < down ? across : down) / (float)((BLOCK - 1) * (BLOCK - 1));
}

static bool skipped(int32_t x, int32_t y, const vl_motion_area *skip, size_t n) {
    float x0 = (float)x, y0 = (float)y, size = (float)BLOCK;
    for (size_t i = 0; i < n; i++) {
        const vl_motion_area *s = &skip[i];
        float w = fminf(x0 + size, s->x + s->w) - fmaxf(x0, s->x);
        float h = fminf(y0 + size, s->y + s->h) - fmaxf(y0, s->y);
        if (w > 0 && h > 0 && w * h > 0.3f * size * size)
            return true;
    }
    return false;
}

/* Offset -0.5..0.5 of the minimum of a parabola through three values, the middle one least. */
static float parabola(float left, float mid, float right) {
    float curve = left - 2 * mid + right;
    return curve > 0 ? 0.5f * (left - right) / curve : 0;
}

static bool match_block(const vl_motion_picture *p, const vl_motion_picture *q, int32_t x,
                        int32_t y, int32_t gx, int32_t gy, match *m) {
    const uint8_t *from = p->data + y * p->stride + x;
    enum { SIDE = 2 * SEARCH + 1 };
    uint32_t d[SIDE][SIDE], best = UINT32_MAX;
    int32_t bx = 0, by = 0;
    int32_t x0 = x + gx - SEARCH, y0 = y + gy - SEARCH;
    if (x0 < 0 || y0 < 0 || x0 + 2 * SEARCH + BLOCK > q->width ||
        y0 + 2 * SEARCH + BLOCK > q->height)
        return false;
    for (int32_t j = 0; j < SIDE; j++) {
        for (int32_t i = 0; i < SIDE; i++) {
            d[j][i] = difference(from, p->stride, q->data + (y0 + j) * q->stride + x0 + i,
                                 q->stride, BLOCK);
            if (d[j][i] < best) {
                best = d[j][i];
                bx = i;
                by = j;
            }
        }
    }
    float sub_x = 0, sub_y = 0;
    if (bx > 0 && bx < SIDE - 1)
        sub_x = parabola((float)d[by][bx - 1], (float)best, (float)d[by][bx + 1]);
    if (by > 0 && by < SIDE - 1)
        sub_y = parabola((float)d[by - 1][bx], (float)best, (float)d[by + 1][bx]);
    m->x = (float)x + BLOCK / 2.0f;
    m->y = (float)y + BLOCK / 2.0f;
    m->dx = (float)(gx - SEARCH + bx) + sub_x;
    m->dy = (float)(gy - SEARCH + by) + sub_y;
    m->misfit = (float)best / (BLOCK * BLOCK);
    return true;
}

static size_t match_blocks(const vl_motion_picture *p, const vl_motion_picture *q,
                           const vl_motion_area *skip, size_t n_skip, int32_t gx, int32_t gy,
                           match *out) {
    size_t n = 0;
    int32_t nx = p->width / BLOCK < GRID_X ? p->width / BLOCK : GRID_X;
    int32_t ny = p->height / BLOCK < GRID_Y ? p->height / BLOCK : GRID_Y;
    for (int32_t j = 0; j < ny; j++) {
        for (int32_t i = 0; i < nx; i++) {
            int32_t x = SEARCH + (nx > 1 ? i * (p->width - BLOCK - 2 * SEARCH) / (nx - 1) : 0);
            int32_t y = SEARCH + (ny > 1 ? j * (p->height - BLOCK - 2 * SEARCH) / (ny - 1) : 0);
            float t = texture(p->data + y * p->stride + x, p->stride);
            if (t < TEXTURE_MIN || skipped(x, y, skip, n_skip))
                continue;
            if (match_block(p, q, x, y, gx, gy, &out[n])) {
                out[n].misfit /= t;
                n++;
            }
        }
    }
    return n;
}

/* ------------------------------------------------------------------ fit */

static bool agrees(const vl_motion *v, const match *m) {
    float x = m->x, y = m->y;
    vl_motion_point(v, &x, &y);
    x = x - m->x - m->dx;
    y = y - m->y - m->dy;
    return x * x + y * y < AGREE_PX * AGREE_PX;
}

/* Similarity through the matches chosen by use (NULL: all), least squares. False: degenerate. */
static bool fit(const match *m, size_t n, const vl_motion *use, vl_motion *out) {
    double k = 0, sx = 0, sy = 0, su = 0, sv = 0;
    for (size_t i = 0; i < n; i++) {
        if (use != NULL && !agrees(use, &m[i]))
            continue;
        k += 1;
        sx += m[i].x;
        sy += m[i].y;
        su += m[i].x + m[i].dx;
        sv += m[i].y + m[i].dy;
    }
    if (k < 2)
        return false;
    sx /= k, sy /= k, su /= k, sv /= k;
    double rr = 0, dot = 0, cross = 0;
    for (size_t i = 0; i < n; i++) {
        if (use != NULL && !agrees(use, &m[i]))
            continue;
        double x = m[i].x - sx, y = m[i].y - sy;
        double u = m[i].x + m[i].dx - su, v = m[i].y + m[i].dy - sv;
        rr += x * x + y * y;
        dot += x * u + y * v;
        cross += x * v - y * u;
    }
    if (rr < 1)
        return false;
    double a = dot / rr, b = cross / rr;
    *out = (vl_motion){.a = (float)a,
                       .b = (float)b,
                       .tx = (float)(su - a * sx + b * sy),
                       .ty = (float)(sv - b * sx - a * sy)};
    return a > 0.75 && a < 1.3 && fabs(b) < 0.25;
}

static size_t count_agreeing(const match *m, size_t n, const vl_motion *v) {
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        k += agrees(v, &m[i]);
    return k;
}

static vl_motion fit_robustly(const match *m, size_t n) {
    vl_motion best = vl_motion_none();
    size_t most = count_agreeing(m, n, &best); /* standing still is the first guess */
    uint32_t seed = 12345;
    for (int32_t round = 0; round < RANSAC_ROUNDS; round++) {
        seed = seed * 1664525u + 1013904223u;
        size_t i = (seed >> 8) % n;
        seed = seed * 1664525u + 1013904223u;
        size_t j = (seed >> 8) % n;
        match pair[2] = {m[i], m[j]};
        vl_motion guess;
        if (i == j || !fit(pair, 2, NULL, &guess))
            continue;
        size_t k = count_agreeing(m, n, &guess);
        if (k > most) {
            most = k;
            best = guess;
        }
    }
    for (int32_t round = 0; round < 2; round++) {
        vl_motion better;
        if (!fit(m, n, &best, &better))
            break;
        size_t k = count_agreeing(m, n, &better);
        if (k < most)
            break;
        most = k;
        best = better;
    }
    best.sure = (float)most / (float)n;
    best.cut = false;
    return best;
}

/* ------------------------------------------------------------------ cuts */

/* Part of the pixels that changed their brightness class, 0..1. */
static float histogram_change(const vl_motion_picture *p, const vl_motion_picture *q) {
    int32_t h[BINS] = {0};
    for (int32_t y = 0; y < p->height; y++) {
        const uint8_t *a = p->data + y * p->stride, *b = q->data + y * q->stride;
        for (int32_t x = 0; x < p->width; x++) {
            h[a[x] * BINS / 256]++;
            h[b[x] * BINS / 256]--;
        }
    }
    int32_t sum = 0;
    for (int32_t i = 0; i < BINS; i++)
        sum += abs(h[i]);
    return (float)sum / (2.0f * (float)(p->width * p->height));
}

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static float median_misfit(const match *m, size_t n) {
    float v[BLOCKS_MAX];
    for (size_t i = 0; i < n; i++)
        v[i] = m[i].misfit;
    qsort(v, n, sizeof *v, by_value);
    return n > 0 ? v[n / 2] : 0;
}

static bool is_cut(float change, float misfit, size_t n, float sure, float difference) {
    if (n < BLOCKS_MIN)
        return change > 0.6f && difference > 30;
    return misfit > 1.1f && sure < 0.35f && difference > 12 && (change > 0.12f || misfit > 1.8f);
}

/* ------------------------------------------------------------------ all together */

static bool is_still(const vl_motion *m, int32_t width, int32_t height) {
    for (int32_t i = 0; i < 4; i++) {
        float x = (i & 1) ? (float)width : 0, y = (i & 2) ? (float)height : 0;
        float dx = x, dy = y;
        vl_motion_point(m, &dx, &dy);
        dx -= x;
        dy -= y;
        if (dx * dx + dy * dy > 4 * STILL_PX * STILL_PX)
            return false;
    }
    return true;
}

vl_motion vl_motion_estimate(const vl_motion_picture *before, const vl_motion_picture *now,
                             const vl_motion_area *skip, size_t n_skip) {
    vl_motion none = vl_motion_none();
    int32_t w = now->width, h = now->height;
    if (before->data == NULL || now->data == NULL || before->width != w || before->height != h ||
        w < 32 || h < 32 || w > VL_MOTION_WIDTH || h > VL_MOTION_HEIGHT)
        return none;
    uint8_t half_p[HALF_SIZE], half_q[HALF_SIZE], quarter_p[QUARTER_SIZE], quarter_q[QUARTER_SIZE];
    vl_motion_picture hp, hq, qp, qq;
    halve(before, half_p, &hp);
    halve(now, half_q, &hq);
    halve(&hp, quarter_p, &qp);
    halve(&hq, quarter_q, &qq);
    float change = histogram_change(&qp, &qq);
    uint8_t adapted[VL_MOTION_WIDTH * VL_MOTION_HEIGHT], adapted_quarter[QUARTER_SIZE];
    vl_motion_picture p = *before, small = qp;
    adapt(&p, &small, &qq, adapted);
    adapt(&qp, &small, &qq, adapted_quarter);
    int32_t gx = 0, gy = 0;
    float difference = coarse_shift(&qp, &qq, &gx, &gy);
    match m[BLOCKS_MAX];
    size_t n = match_blocks(&p, now, skip, n_skip, 4 * gx, 4 * gy, m);
    vl_motion v = n >= BLOCKS_MIN ? fit_robustly(m, n) : none;
    none.cut = is_cut(change, median_misfit(m, n), n, v.sure, difference);
    if (none.cut || v.sure < SURE_MIN)
        return none;
    if (is_still(&v, w, h)) {
        none.sure = v.sure;
        return none;
    }
    return v;
}

vl_motion vl_motion_scaled(vl_motion m, float scale_x, float scale_y) {
    m.tx *= scale_x;
    m.ty *= scale_y;
    return m;
}

vl_motion vl_motion_then(vl_motion m, vl_motion n) {
    return (vl_motion){.a = n.a * m.a - n.b * m.b,
                       .b = n.b * m.a + n.a * m.b,
                       .tx = n.a * m.tx - n.b * m.ty + n.tx,
                       .ty = n.b * m.tx + n.a * m.ty + n.ty,
                       .sure = fminf(m.sure, n.sure),
                       .cut = m.cut || n.cut};
}

vl_motion vl_motion_inverse(vl_motion m) {
    float d = m.a * m.a + m.b * m.b;
    float a = m.a / d, b = -m.b / d;
    return (vl_motion){.a = a,
                       .b = b,
                       .tx = -(a * m.tx - b * m.ty),
                       .ty = -(b * m.tx + a * m.ty),
                       .sure = m.sure,
                       .cut = m.cut};
}
