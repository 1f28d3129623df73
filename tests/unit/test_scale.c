/* Scaling against a slow reference in double precision, all formats, odd sizes, rotations, ranges;
 * the same bytes from every CPU level and thread count; extremes; memory. */
#include "mem.h"
#include "pool.h"
#include "scale.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "picture.h"

#define GUARD 0x5A

/* ------------------------------------------------------------------ reference */

/* Weight of source sample s in target sample i along one direction. */
static double part_of(int32_t i, int32_t s, double ratio, double len, int32_t n_src) {
    if (ratio >= 1) {
        double from = fmax(s, i * ratio), to = fmin(fmin(s + 1, len), (i + 1) * ratio);
        return to > from ? (to - from) / (fmin((i + 1) * ratio, len) - i * ratio) : 0;
    }
    double pos = fmin(fmax((i + 0.5) * ratio - 0.5, 0), n_src - 1);
    return fmax(0, 1 - fabs(pos - s));
}

/* Channel k at target x, y of a tw x th target as stored, in 8-bit levels. */
static double value_at(const veil_frame *f, int k, int32_t x, int32_t y, int32_t tw, int32_t th) {
    const vl_frame_layout *l = vl_frame_layout_of(f->format);
    double w = f->width / (double)(1 << l->channel[k].x_shift);
    double h = f->height / (double)(1 << l->channel[k].y_shift);
    int32_t nw = picture_channel_width(f, k), nh = picture_channel_height(f, k);
    double rx = w / tw, ry = h / th, sum = 0;
    int32_t x0 = (int32_t)fmax(0, x * rx - 2), x1 = (int32_t)fmin(nw, (x + 1) * rx + 3);
    int32_t y0 = (int32_t)fmax(0, y * ry - 2), y1 = (int32_t)fmin(nh, (y + 1) * ry + 3);
    for (int32_t sy = y0; sy < y1; sy++) {
        double wy = part_of(y, sy, ry, h, nh);
        for (int32_t sx = x0; wy > 0 && sx < x1; sx++)
            sum += wy * part_of(x, sx, rx, w, nw) *
                   fmin(picture_get(f, k, sx, sy), l->bits > 8 ? 1023 : 255);
    }
    return sum / (l->bits > 8 ? 4 : 1);
}

static void reference_rgb(const veil_frame *f, int32_t x, int32_t y, int32_t tw, int32_t th,
                          double rgb[3]) {
    const vl_frame_layout *l = vl_frame_layout_of(f->format);
    double v[3] = {0, 128, 128}, kr, kb;
    for (int k = 0; k < l->n_channels; k++)
        v[k] = value_at(f, k, x, y, tw, th);
    if (l->rgb) {
        memcpy(rgb, v, sizeof v);
        return;
    }
    vl_frame_luma_weights(f, &kr, &kb);
    bool full = f->range == VEIL_RANGE_FULL;
    double luma = full ? v[0] : (v[0] - 16) * 255 / 219;
    double u = (v[1] - 128) * (full ? 1 : 255.0 / 224), w = (v[2] - 128) * (full ? 1 : 255.0 / 224);
    rgb[0] = luma + 2 * (1 - kr) * w;
    rgb[2] = luma + 2 * (1 - kb) * u;
    rgb[1] = luma - (2 * (1 - kb) * kb * u + 2 * (1 - kr) * kr * w) / (1 - kr - kb);
    for (int i = 0; i < 3; i++)
        rgb[i] = fmin(255, fmax(0, rgb[i]));
}

/* Where stored target pixel x, y stands upright. */
static void upright_of(const veil_frame *f, int32_t tw, int32_t th, int32_t x, int32_t y,
                       int32_t *ux, int32_t *uy) {
    vl_rect u = {(float)x, (float)y, 1, 1};
    veil_frame small = {.width = tw, .height = th, .rotation = f->rotation};
    u = vl_frame_to_upright(&small, u);
    *ux = (int32_t)u.x;
    *uy = (int32_t)u.y;
}

/* ------------------------------------------------------------------ comparing */

typedef struct {
    uint8_t *px;
    int32_t w, h;
} target;

/* Fills a guarded target and checks the guard. */
static target fill(vl_scale *s, vl_pool *pool, const veil_frame *f, int32_t w, int32_t h,
                   vl_scale_map *map) {
    target t = {malloc((size_t)w * (size_t)h * 4 + 64), w, h};
    assert_non_null(t.px);
    memset(t.px, GUARD, (size_t)w * (size_t)h * 4 + 64);
    assert_int_equal(vl_scale_fill(s, pool, f, t.px, w, h, map), VEIL_OK);
    for (int i = 0; i < 64; i++)
        assert_int_equal(t.px[(size_t)w * (size_t)h * 4 + (size_t)i], GUARD);
    return t;
}

static double worst_error(const veil_frame *f, const target *t, const vl_scale_map *map) {
    bool turned = f->rotation == 90 || f->rotation == 270;
    int32_t tw = turned ? map->height : map->width, th = turned ? map->width : map->height;
    double worst = 0;
    for (int32_t y = 0; y < th; y++)
        for (int32_t x = 0; x < tw; x++) {
            double rgb[3];
            int32_t ux, uy;
            reference_rgb(f, x, y, tw, th, rgb);
            upright_of(f, tw, th, x, y, &ux, &uy);
            const uint8_t *px = t->px + ((size_t)uy * (size_t)t->w + (size_t)ux) * 4;
            for (int k = 0; k < 3; k++)
                worst = fmax(worst, fabs(px[k] - rgb[k]));
            assert_int_equal(px[3], 0);
        }
    return worst;
}

static void check_letterbox(const target *t, const vl_scale_map *map) {
    for (int32_t y = 0; y < t->h; y++)
        for (int32_t x = y < map->height ? map->width : 0; x < t->w; x++) {
            const uint8_t *px = t->px + ((size_t)y * (size_t)t->w + (size_t)x) * 4;
            const uint8_t grey[4] = {114, 114, 114, 0};
            assert_memory_equal(px, grey, 4);
        }
}

static void check_case(picture *p, int32_t w, int32_t h) {
    vl_scale *s = NULL, *plain = NULL;
    vl_scale_map map = {0};
    vl_pool *pool = NULL;
    assert_int_equal(vl_scale_create(&s), VEIL_OK);
    assert_int_equal(vl_scale_create(&plain), VEIL_OK);
    assert_int_equal(vl_pool_create(&pool, 3), VEIL_OK);
    vl_scale_set_cpu(plain, VEIL_CPU_ALL);
    picture before = picture_copy(p);
    target t = fill(s, NULL, &p->frame, w, h, &map);
    target c = fill(plain, NULL, &p->frame, w, h, NULL);
    target threads = fill(plain, pool, &p->frame, w, h, NULL);
    target again = fill(s, pool, &p->frame, w, h, NULL);
    size_t bytes = (size_t)w * (size_t)h * 4;
    assert_memory_equal(t.px, c.px, bytes);
    assert_memory_equal(t.px, threads.px, bytes);
    assert_memory_equal(t.px, again.px, bytes);
    assert_true(picture_same(p, &before));
    check_letterbox(&t, &map);
    double worst = worst_error(&p->frame, &t, &map);
    if (worst > 1)
        fail_msg("%s %dx%d rotation %d to %dx%d: off by %.3f",
                 vl_frame_layout_of(p->frame.format)->name, p->frame.width, p->frame.height,
                 p->frame.rotation, w, h, worst);
    free(t.px);
    free(c.px);
    free(threads.px);
    free(again.px);
    picture_free(&before);
    vl_pool_destroy(pool);
    vl_scale_destroy(plain);
    vl_scale_destroy(s);
}

/* ------------------------------------------------------------------ tests */

static void every_format_and_ratio(void **state) {
    (void)state;
    static const int32_t sizes[][4] = {
        {131, 77, 64, 32},  /* shrinks by a fraction, odd */
        {17, 19, 64, 64},   /* grows, odd */
        {96, 64, 96, 64},   /* as it is */
        {100, 60, 64, 64},  /* chroma grows while luma shrinks */
        {257, 16, 32, 32},  /* flat picture, high letterbox */
        {16, 300, 32, 64},  /* tall picture, wide letterbox */
        {384, 216, 128, 96} /* exactly three to one */
    };
    for (int f = VEIL_FORMAT_NONE + 1; f < VEIL_FORMAT_COUNT; f++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            picture p = picture_make((veil_format)f, sizes[i][0], sizes[i][1], i % 2 != 0);
            picture_noise(&p, (uint64_t)f * 100 + i);
            check_case(&p, sizes[i][2], sizes[i][3]);
            picture_free(&p);
        }
}

static void every_rotation(void **state) {
    (void)state;
    static const veil_format formats[] = {VEIL_FORMAT_I420, VEIL_FORMAT_YUY2, VEIL_FORMAT_RGB24,
                                          VEIL_FORMAT_I010};
    for (size_t i = 0; i < 4; i++)
        for (int32_t rotation = 0; rotation < 360; rotation += 90) {
            picture p = picture_make(formats[i], 201, 99, false);
            picture_noise(&p, i);
            p.frame.rotation = rotation;
            check_case(&p, 96, 64);
            check_case(&p, 64, 96);
            picture_free(&p);
        }
}

static void every_matrix_and_range(void **state) {
    (void)state;
    for (int m = VEIL_MATRIX_AUTO; m <= VEIL_MATRIX_BT2020; m++)
        for (int r = VEIL_RANGE_AUTO; r <= VEIL_RANGE_FULL; r++)
            for (int f = 0; f < 3; f++) {
                picture p = picture_make(f == 0   ? VEIL_FORMAT_I444
                                         : f == 1 ? VEIL_FORMAT_NV12
                                                  : VEIL_FORMAT_I010,
                                         48, 40, false);
                picture_noise(&p, (uint64_t)(m * 10 + r));
                p.frame.matrix = (veil_matrix)m;
                p.frame.range = (veil_range)r;
                check_case(&p, 48, 40);
                picture_free(&p);
            }
}

static void extremes_stay_in_range(void **state) {
    (void)state;
    static const int32_t sizes[][4] = {{8192, 16, 32, 32}, {16, 8192, 32, 32}, {16, 16, 640, 384}};
    for (size_t i = 0; i < 3; i++)
        for (int v = 0; v < 2; v++) {
            picture p = picture_make(VEIL_FORMAT_I010, sizes[i][0], sizes[i][1], false);
            for (int k = 0; k < 3; k++) /* 65535: more than 10 bits, counts as white */
                for (int32_t y = 0; y < picture_channel_height(&p.frame, k); y++)
                    for (int32_t x = 0; x < picture_channel_width(&p.frame, k); x++)
                        picture_set(&p.frame, k, x, y, k > 0 ? 512 : v != 0 ? 65535 : 0);
            vl_scale *s = NULL;
            vl_scale_map map;
            assert_int_equal(vl_scale_create(&s), VEIL_OK);
            target t = fill(s, NULL, &p.frame, sizes[i][2], sizes[i][3], &map);
            for (int32_t y = 0; y < map.height; y++)
                for (int32_t x = 0; x < map.width * 4; x++)
                    assert_int_equal(t.px[y * t.w * 4 + x], x % 4 == 3 || v == 0 ? 0 : 255);
            free(t.px);
            vl_scale_destroy(s);
            picture_free(&p);
        }
}

/* One bright pixel, wherever it is, makes the whole target brighter by about its share. */
static void each_pixel_counts(void **state) {
    (void)state;
    picture p = picture_make(VEIL_FORMAT_GRAY8, 250, 150, false);
    p.frame.range = VEIL_RANGE_FULL;
    for (int32_t y = 0; y < 150; y++)
        memset(p.frame.plane[0] + y * p.frame.stride[0], 0, 250);
    vl_scale *s = NULL;
    assert_int_equal(vl_scale_create(&s), VEIL_OK);
    for (int32_t y = 0; y < 150; y += 7)
        for (int32_t x = 0; x < 250; x += 11) {
            /* Shrunk by 2.5: 255 spread over 6.25 px. */
            picture_set(&p.frame, 0, x, y, 255);
            target t = fill(s, NULL, &p.frame, 100, 60, NULL);
            int32_t sum = 0;
            for (int32_t i = 0; i < 100 * 60; i++)
                sum += t.px[4 * i];
            assert_in_range(sum, 39, 43);
            free(t.px);
            picture_set(&p.frame, 0, x, y, 0);
        }
    vl_scale_destroy(s);
    picture_free(&p);
}

static void map_keeps_the_aspect(void **state) {
    (void)state;
    picture p = picture_make(VEIL_FORMAT_I420, 1920, 1080, false);
    picture_noise(&p, 1);
    vl_scale *s = NULL;
    vl_scale_map map;
    assert_int_equal(vl_scale_create(&s), VEIL_OK);
    target t = fill(s, NULL, &p.frame, 640, 384, &map);
    assert_int_equal(map.width, 640);
    assert_int_equal(map.height, 360);
    assert_float_equal(map.scale_x, 3, 1e-6);
    assert_float_equal(map.scale_y, 3, 1e-6);
    free(t.px);
    p.frame.rotation = 90;
    t = fill(s, NULL, &p.frame, 640, 384, &map);
    assert_int_equal(map.width, 216);
    assert_int_equal(map.height, 384);
    free(t.px);
    vl_scale_destroy(s);
    picture_free(&p);
}

static void luma_is_upright_and_plain(void **state) {
    (void)state;
    for (int f = VEIL_FORMAT_NONE + 1; f < VEIL_FORMAT_COUNT; f++)
        for (int32_t rotation = 0; rotation < 360; rotation += 90) {
            picture p = picture_make((veil_format)f, 163, 91, f % 2 != 0);
            picture_noise(&p, (uint64_t)f);
            p.frame.rotation = rotation;
            bool turned = rotation % 180 != 0;
            const int32_t w = turned ? 30 : 60, h = turned ? 60 : 30; /* upright */
            uint8_t out[60 * 30 + 8];
            memset(out, GUARD, sizeof out);
            vl_scale *s = NULL;
            assert_int_equal(vl_scale_create(&s), VEIL_OK);
            assert_int_equal(vl_scale_luma(s, &p.frame, out, w, h), VEIL_OK);
            for (int i = 0; i < 8; i++)
                assert_int_equal(out[60 * 30 + i], GUARD);
            for (int32_t y = 0; y < 30; y++)
                for (int32_t x = 0; x < 60; x++) {
                    double want = value_at(&p.frame, 0, x, y, 60, 30);
                    if (vl_frame_layout_of(p.frame.format)->rgb)
                        want = 0.299 * want + 0.587 * value_at(&p.frame, 1, x, y, 60, 30) +
                               0.114 * value_at(&p.frame, 2, x, y, 60, 30);
                    int32_t ux, uy;
                    upright_of(&p.frame, 60, 30, x, y, &ux, &uy);
                    assert_true(fabs(out[uy * w + ux] - want) < 1.2);
                }
            vl_scale_destroy(s);
            picture_free(&p);
        }
}

static void bad_arguments_are_refused(void **state) {
    (void)state;
    picture p = picture_make(VEIL_FORMAT_I420, 64, 48, false);
    uint8_t out[32 * 32 * 4];
    vl_scale *s = NULL;
    assert_int_equal(vl_scale_create(&s), VEIL_OK);
    assert_int_equal(vl_scale_fill(s, NULL, &p.frame, NULL, 32, 32, NULL), VEIL_E_ARG);
    assert_int_equal(vl_scale_fill(NULL, NULL, &p.frame, out, 32, 32, NULL), VEIL_E_ARG);
    assert_int_equal(vl_scale_fill(s, NULL, &p.frame, out, 0, 32, NULL), VEIL_E_SIZE);
    assert_int_equal(vl_scale_fill(s, NULL, &p.frame, out, 32, 8193, NULL), VEIL_E_SIZE);
    assert_int_equal(vl_scale_luma(s, &p.frame, out, -1, 8), VEIL_E_SIZE);
    p.frame.format = VEIL_FORMAT_NONE;
    assert_int_equal(vl_scale_fill(s, NULL, &p.frame, out, 32, 32, NULL), VEIL_E_FORMAT);
    vl_scale_destroy(s);
    vl_scale_destroy(NULL);
    picture_free(&p);
}

/* ------------------------------------------------------------------ memory */

static int allocations, fail_at;

static int count_allocation(void) {
    allocations++;
    return allocations == fail_at;
}

/* Every allocation fails once: an error, no leak, and the next call works. */
static void memory_may_fail(void **state) {
    (void)state;
    picture p = picture_make(VEIL_FORMAT_NV12, 64, 48, false);
    picture_noise(&p, 1);
    uint8_t out[32 * 32 * 4];
    vl_mem_fail = count_allocation;
    bool failed = true;
    for (fail_at = 1; failed; fail_at++) {
        vl_scale *s = NULL;
        allocations = 0;
        int err = vl_scale_create(&s);
        if (err == VEIL_OK)
            err = vl_scale_fill(s, NULL, &p.frame, out, 32, 32, NULL);
        failed = allocations >= fail_at;
        assert_int_equal(err, failed ? VEIL_E_NOMEM : VEIL_OK);
        if (s != NULL) /* it recovers */
            assert_int_equal(vl_scale_fill(s, NULL, &p.frame, out, 32, 32, NULL), VEIL_OK);
        vl_scale_destroy(s);
    }
    assert_true(fail_at > 10);
    vl_mem_fail = NULL;
    picture_free(&p);
}

static void steady_work_allocates_nothing(void **state) {
    (void)state;
    picture p = picture_make(VEIL_FORMAT_I420, 640, 360, false);
    picture_noise(&p, 1);
    static uint8_t out[320 * 192 * 4], luma[64 * 36];
    vl_scale *s = NULL;
    assert_int_equal(vl_scale_create(&s), VEIL_OK);
    vl_mem_fail = count_allocation;
    fail_at = -1;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(vl_scale_fill(s, NULL, &p.frame, out, 320, 192, NULL), VEIL_OK);
        assert_int_equal(vl_scale_luma(s, &p.frame, luma, 64, 36), VEIL_OK);
        if (i == 0)
            allocations = 0;
    }
    assert_int_equal(allocations, 0);
    vl_mem_fail = NULL;
    vl_scale_destroy(s);
    picture_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_and_ratio),
        cmocka_unit_test(every_rotation),
        cmocka_unit_test(every_matrix_and_range),
        cmocka_unit_test(extremes_stay_in_range),
        cmocka_unit_test(each_pixel_counts),
        cmocka_unit_test(map_keeps_the_aspect),
        cmocka_unit_test(luma_is_upright_and_plain),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(memory_may_fail),
        cmocka_unit_test(steady_work_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
