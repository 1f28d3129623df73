/* Dense integer convolutions with AMX: the same implicit GEMM and the same packed weights as
 * avx512vnni.c, sixteen pixels by sixteen channels by up to 64 input bytes an instruction.
 *
 * An input tile is sixteen pixels' bytes of a few taps that follow each other in memory: the
 * channels of one tap, or of a whole row of taps where no other tensor's channels lie between. What
 * has no such stretches, or too few pixels, goes to avx512vnni.c.
 *
 * The tiles' shapes are set at the beginning of each call and released at its end; nothing stays in
 * the thread's state. */
#include "nn/x86/avx512vnni.h"

#define PIXELS 32   /* of a tile pair */
#define ROWS   16   /* pixels of a tile */
#define SUMS   4096 /* that are finished together: a third of the first cache */

/* How a convolution is cut up. */
typedef struct {
    int32_t groups; /* of four bytes, a part */
    int32_t parts;
    int32_t virtual_width; /* pixels from an output row to the next in the input's memory */
} cut;

static int32_t common_divisor(int32_t a, int32_t b) {
    while (b != 0) {
        int32_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* Parts of equal length whose bytes follow each other; false: too short to be worth it. */
static bool cut_taps(const vl_chunk *k, cut *t) {
    int32_t run = 0, common = 0;
    for (int32_t i = 0; i < k->n_k; i++) {
        run++;
        if (i + 1 == k->n_k || k->offset[i + 1] != k->offset[i] + 4) {
            common = common_divisor(common, run);
            run = 0;
        }
    }
    t->groups = common < 16 ? common : 16;
    while (t->groups > 0 && common % t->groups != 0)
        t->groups--;
    t->parts = t->groups > 0 ? k->n_k / t->groups : 0;
    return t->groups >= 3;
}

/* With a margin around the input, rows are one long row with a few pixels too many between them:
 * less work than filling up each row to whole tiles. */
static bool cut_rows(const vl_conv *c, int32_t rows, cut *t) {
    int64_t apart = (c->width + ROWS - 1) / ROWS * (int64_t)rows, joined = INT64_MAX;
    if (c->in_row % c->in_pixel == 0 && c->in_row / c->in_pixel >= c->width)
        joined = (c->in_row / c->in_pixel * (rows - 1) + c->width + ROWS - 1) / ROWS;
    t->virtual_width = joined <= apart ? (int32_t)(c->in_row / c->in_pixel) : 0;
    if (joined <= apart)
        return (int64_t)t->virtual_width * (rows - 1) + c->width >= ROWS;
    return c->width >= ROWS;
}

static void set_shapes(const cut *t) {
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.bytes[i] = (uint16_t)(i == 4 || i == 5 ? 4 * t->groups : 64);
        config.rows[i] = (uint8_t)(i >= 6 ? t->groups : ROWS);
    }
    __asm__ volatile("" : : "m"(config)); /* gcc 12 says of the next that it reads 8 bytes */
    _tile_loadconfig(&config);
}

/* The sums of 16 pixels, or of those and 16 from pixel `second` on, for one or two vectors of
 * channels, to sums[pixel][vector][lane]. */
VL_INLINE void multiply(const vl_conv *c, const vl_chunk *k, const cut *t, const uint8_t *in,
                        int32_t block, int32_t *sums, int32_t second, const int tiles,
                        const int blocks) {
    const ptrdiff_t step = c->in_pixel;
    const size_t row = 64 * (size_t)k->blocks; /* bytes of a group of weights, of a pixel's sums */
    const uint8_t *w = (const uint8_t *)k->weights + 64 * block;
    _tile_zero(0);
    if (blocks == 2)
        _tile_zero(1);
    if (tiles == 2) {
        _tile_zero(2);
        if (blocks == 2)
            _tile_zero(3);
    }
    for (int32_t p = 0; p < t->parts; p++, w += row * (size_t)t->groups) {
        const uint8_t *x = in + k->offset[p * t->groups];
        _tile_loadd(6, w, row);
        _tile_loadd(4, x, step);
        _tile_dpbusd(0, 4, 6);
        if (blocks == 2) {
            _tile_loadd(7, w + 64, row);
            _tile_dpbusd(1, 4, 7);
        }
        if (tiles == 2) {
            _tile_loadd(5, x + second * step, step);
            _tile_dpbusd(2, 5, 6);
            if (blocks == 2)
                _tile_dpbusd(3, 5, 7);
        }
    }
    uint8_t *to = (uint8_t *)sums + 64 * block;
    _tile_stored(0, to, row);
    if (blocks == 2)
        _tile_stored(1, to + 64, row);
    if (tiles == 2) {
        _tile_stored(2, to + (size_t)second * row, row);
        if (blocks == 2)
            _tile_stored(3, to + (size_t)second * row + 64, row);
    }
}

static void multiply_all(const vl_conv *c, const vl_chunk *k, const cut *t, const uint8_t *in,
                         int32_t *sums, int32_t second) {
    const bool two = second > 0;
    int32_t b = 0;
    for (; b + 2 <= k->blocks; b += 2) {
        if (two)
            multiply(c, k, t, in, b, sums, second, 2, 2);
        else
            multiply(c, k, t, in, b, sums, 0, 1, 2);
    }
    if (b < k->blocks && two)
        multiply(c, k, t, in, b, sums, second, 2, 1);
    else if (b < k->blocks)
        multiply(c, k, t, in, b, sums, 0, 1, 1);
}

/* Virtual pixels v0 to v1 from row y on; sums begins with pixel `begin`. Those between two rows are
 * left out. */
static void finish_rows(const vl_conv *c, const vl_chunk *k, int32_t y, int32_t virtual_width,
                        const int32_t *sums, int32_t begin, int32_t v0, int32_t v1) {
    const uint8_t *res = c->finish.residual;
    while (v0 < v1) {
        int32_t row = y + v0 / virtual_width, x = v0 % virtual_width, n = c->width - x;
        if (n > 0) {
            n = n < v1 - v0 ? n : v1 - v0;
            vl_finish_sums_512(
                c, k, sums + 16 * (v0 - begin) * k->blocks,
                c->out + row * c->out_row + x * c->out_pixel,
                res == NULL ? NULL : res + row * c->finish.res_row + x * c->finish.res_pixel, n);
        }
        v0 += virtual_width - x < v1 - v0 ? virtual_width - x : v1 - v0;
    }
}

/* n virtual pixels from row y on, at least one tile's. The last tiles reach back over pixels that
 * were done before instead of beyond the input; less than two tiles overlap. Sums are finished many
 * at a time: tile instructions and others hardly overlap, and each change between them costs. */
static void span(const vl_conv *c, const vl_chunk *k, const cut *t, int32_t y, int32_t n,
                 int32_t virtual_width) {
    _Alignas(64) int32_t sums[SUMS];
    const uint8_t *in = c->in + y * c->in_row;
    const int32_t room = SUMS / (16 * k->blocks);
    for (int32_t v = 0; v < n;) {
        int32_t first = v, begin = v, filled = 0, take;
        do {
            take = n - v <= ROWS ? ROWS : n < PIXELS ? n : PIXELS;
            int32_t from = v + take <= n ? v : n - take;
            if (filled == 0)
                begin = from;
            multiply_all(c, k, t, in + from * c->in_pixel, sums + 16 * (from - begin) * k->blocks,
                         take - ROWS);
            filled = from + take - begin;
            v = from + take;
        } while (v < n && filled + PIXELS <= room);
        finish_rows(c, k, y, virtual_width, sums, begin, first, v);
    }
}

static void conv_s8_amx(const vl_conv *c, int32_t y0, int32_t y1) {
    cut t;
    if (y1 <= y0 || !cut_taps(&c->chunk[0], &t) || !cut_rows(c, y1 - y0, &t)) {
        vl_conv_s8_avx512vnni(c, y0, y1);
        return;
    }
    set_shapes(&t);
    for (int32_t i = 0; i < c->n_chunks; i++) {
        const vl_chunk *k = &c->chunk[i];
        if (t.virtual_width > 0)
            span(c, k, &t, y0, t.virtual_width * (y1 - y0 - 1) + c->width, t.virtual_width);
        for (int32_t y = y0; y < y1 && t.virtual_width == 0; y++)
            span(c, k, &t, y, c->width, c->width);
    }
    _tile_release();
}

void vl_dsp_init_amx(vl_dsp *dsp) {
    dsp->conv_s8_level = "amx";
    dsp->conv_s8 = conv_s8_amx;
}
