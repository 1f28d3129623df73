/* Milliseconds of CPU time of scaling and hiding on one core, best of N: plain C, AVX2 (or what the
 * machine has), and libyuv beside us for scaling where it was found at build time. Usage: pix [N]
 */
#include "cpu.h"
#include "frame.h"
#include "redact.h"
#include "scale.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef HAVE_LIBYUV
#include <libyuv.h>
#endif

#define NET_W 640
#define NET_H 384

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int frame_make(veil_frame *f, veil_format format, int32_t w, int32_t h) {
    const vl_frame_layout *l = vl_frame_layout_of(format);
    uint32_t seed = 1;
    *f = (veil_frame){.width = w, .height = h, .format = format};
    for (int p = 0; p < l->n_planes; p++) {
        f->stride[p] = (ptrdiff_t)vl_frame_row_samples(l, p, w) * l->plane[p].sample_bytes;
        size_t bytes = (size_t)f->stride[p] * (size_t)vl_frame_rows(l, p, h);
        f->plane[p] = malloc(bytes);
        if (f->plane[p] == NULL)
            return -1;
        for (size_t i = 0; i < bytes; i++) {
            seed = seed * 1664525u + 1013904223u;
            f->plane[p][i] = (uint8_t)(l->bits > 8 && (i & 1) != 0 ? seed >> 30 : seed >> 24);
        }
    }
    return 0;
}

static void frame_free(veil_frame *f) {
    for (int p = 0; p < 3; p++)
        free(f->plane[p]);
}

static const char *level_name(uint32_t off) {
    return off != 0 ? "c" : (vl_cpu_levels(0) & VEIL_CPU_AVX2) != 0 ? "avx2" : "best";
}

/* ------------------------------------------------------------------ scaling */

static double best_scale(vl_scale *s, const veil_frame *f, uint8_t *dst, bool luma, int n) {
    double best = 1e9;
    for (int i = 0; i < n; i++) {
        double t = now_ms();
        int err = luma ? vl_scale_luma(s, f, dst, 240, 136)
                       : vl_scale_fill(s, NULL, f, dst, NET_W, NET_H, NULL);
        t = now_ms() - t;
        if (err != VEIL_OK)
            return -1;
        best = t < best ? t : best;
    }
    return best;
}

#ifdef HAVE_LIBYUV
/* libyuv's way to the same picture: planes scaled (box filter), then I420 to 32-bit RGB. Its chroma
 * stays halved until the conversion, ours is scaled to full size. */
static void bench_libyuv(const veil_frame *f, uint8_t *dst, int n) {
    int32_t h = NET_W * f->height / f->width;
    static uint8_t y[NET_W * NET_H], u[NET_W * NET_H / 4], v[NET_W * NET_H / 4];
    double best = 1e9;
    for (int i = 0; i < n; i++) {
        double t = now_ms();
        I420Scale(f->plane[0], (int)f->stride[0], f->plane[1], (int)f->stride[1], f->plane[2],
                  (int)f->stride[2], f->width, f->height, y, NET_W, u, NET_W / 2, v, NET_W / 2,
                  NET_W, h, kFilterBox);
        I420ToABGR(y, NET_W, u, NET_W / 2, v, NET_W / 2, dst, NET_W * 4, NET_W, h);
        t = now_ms() - t;
        best = t < best ? t : best;
    }
    printf("scale   i420  %4dx%-4d -> %dx%-3d  libyuv  %7.3f ms\n", f->width, f->height, NET_W, h,
           best);
}
#endif

static int bench_scale(int n) {
    static const struct {
        int32_t w, h;
        veil_format format;
    } cases[] = {
        {1920, 1080, VEIL_FORMAT_I420}, {1920, 1080, VEIL_FORMAT_NV12},
        {1920, 1080, VEIL_FORMAT_YUY2}, {1920, 1080, VEIL_FORMAT_RGB24},
        {1920, 1080, VEIL_FORMAT_BGRA}, {1920, 1080, VEIL_FORMAT_I010},
        {1280, 720, VEIL_FORMAT_I420},  {1280, 720, VEIL_FORMAT_NV12},
        {3840, 2160, VEIL_FORMAT_I420},
    };
    uint8_t *dst = malloc((size_t)NET_W * NET_H * 4);
    vl_scale *s = NULL;
    int err = dst == NULL ? VEIL_E_NOMEM : vl_scale_create(&s);
    for (size_t i = 0; err == VEIL_OK && i < sizeof cases / sizeof *cases; i++) {
        veil_frame f;
        if (frame_make(&f, cases[i].format, cases[i].w, cases[i].h) != 0)
            return VEIL_E_NOMEM;
        const char *name = vl_frame_layout_of(f.format)->name;
        for (uint32_t off = VEIL_CPU_ALL;; off = 0) {
            vl_scale_set_cpu(s, off);
            printf("scale   %-5s %4dx%-4d -> %dx%-3d  %-6s  %7.3f ms\n", name, f.width, f.height,
                   NET_W, NET_H, level_name(off), best_scale(s, &f, dst, false, n));
            if (off == 0)
                break;
        }
        printf("luma    %-5s %4dx%-4d -> 240x136  %-6s  %7.3f ms\n", name, f.width, f.height,
               level_name(0), best_scale(s, &f, dst, true, n));
#ifdef HAVE_LIBYUV
        if (f.format == VEIL_FORMAT_I420)
            bench_libyuv(&f, dst, n);
#endif
        frame_free(&f);
    }
    vl_scale_destroy(s);
    free(dst);
    return err;
}

/* ------------------------------------------------------------------ hiding */

/* Faces of face_px with the default padding of a fifth on each side, apart from each other. */
static size_t faces(vl_rect *box, size_t n, float face_px) {
    float w = face_px * 1.4f, h = w * 1.25f;
    for (size_t i = 0; i < n; i++)
        box[i] = (vl_rect){40.3f + (float)(i % 10) * 185, 100.7f + (float)(i / 10) * 400, w, h};
    return n;
}

static double best_draw(vl_redact *r, const veil_frame *f, const vl_rect *box, size_t n_box,
                        const vl_redact_style *style, int n) {
    double best = 1e9;
    for (int i = 0; i < n; i++) {
        double t = now_ms();
        int err = vl_redact_draw(r, f, box, n_box, style);
        t = now_ms() - t;
        if (err != VEIL_OK)
            return -1;
        best = t < best ? t : best;
    }
    return best;
}

static int bench_redact(int n) {
    static const veil_format formats[] = {VEIL_FORMAT_I420, VEIL_FORMAT_NV12, VEIL_FORMAT_YUY2,
                                          VEIL_FORMAT_BGRA, VEIL_FORMAT_I010};
    static const char *const styles[] = {"blur", "mosaic", "solid", "image"};
    static const struct {
        size_t n;
        float px;
    } cases[] = {{20, 60}, {1, 500}};
    static uint8_t image[128 * 128 * 4];
    for (size_t k = 0; k < sizeof image; k++)
        image[k] = k % 4 == 3 ? 255 : 200;
    vl_redact *r = NULL;
    int err = vl_redact_create(&r);
    for (size_t i = 0; err == VEIL_OK && i < sizeof formats / sizeof *formats; i++) {
        veil_frame f;
        if (frame_make(&f, formats[i], 1920, 1080) != 0)
            return VEIL_E_NOMEM;
        for (int k = 0; k < 2 * 4 * 2; k++) {
            int c = k / 8, s = k / 2 % 4;
            uint32_t off = k % 2 == 0 ? VEIL_CPU_ALL : 0;
            if (i > 0 && s > 0)
                continue;
            vl_rect box[20];
            size_t n_box = faces(box, cases[c].n, cases[c].px);
            vl_redact_style style = {.style = (veil_style)s,
                                     .feather = 0.12f,
                                     .cells = 6,
                                     .image = image,
                                     .image_width = 128,
                                     .image_height = 128,
                                     .image_stride = 128 * 4};
            vl_redact_set_cpu(r, off);
            printf("redact  %-5s 1920x1080  %2zu faces of %3.0f px  %-6s  %-6s  %7.3f ms\n",
                   vl_frame_layout_of(formats[i])->name, n_box, (double)cases[c].px, styles[s],
                   level_name(off), best_draw(r, &f, box, n_box, &style, n));
        }
        frame_free(&f);
    }
    vl_redact_destroy(r);
    return err;
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 50;
    if (n < 1) {
        fprintf(stderr, "usage: %s [repetitions]\n", argv[0]);
        return 2;
    }
    int err = bench_scale(n);
    if (err == VEIL_OK)
        err = bench_redact(n);
    if (err != VEIL_OK)
        fprintf(stderr, "pix: %s\n", err == VEIL_E_NOMEM ? "out of memory" : "failed");
    return err == VEIL_OK ? 0 : 1;
}
