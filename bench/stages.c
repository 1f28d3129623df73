/* What everything but the network costs: comparison of the faces, camera motion, tracking,
 * decision, look-ahead and drawing, at 1920x1080, with a scripted detector. usage: bench_stages
 * [faces [lookahead_ms]]; processor time of this thread, milliseconds a frame */
#include "net.h"
#include "relate.h"
#include "veil_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define W      1920
#define H      1080
#define FRAMES 300
#define WARM   60

static int n_faces = 20;
static vl_relate *relation; /* the shipped one */

/* Faces on a grid, each swaying on its own. */
static int detect(void *user, const veil_frame *f, veil_detection *out, size_t cap, size_t *n) {
    (void)user;
    float t = (float)(f->pts_ns / 33333333), size = n_faces > 60 ? 22.0f : 60.0f;
    int columns = (int)ceilf(sqrtf((float)n_faces * 16 / 9));
    *n = 0;
    for (int i = 0; i < n_faces && *n < cap; i++) {
        float x = ((float)(i % columns) + 0.5f) * W / (float)columns;
        float y = ((float)(i / columns) + 0.5f) * H * (float)columns / (float)(n_faces + columns);
        out[(*n)++] = (veil_detection){x + 5 * sinf(t * 0.3f + (float)i) - size / 2,
                                       y + 4 * cosf(t * 0.2f + (float)i) - size / 2,
                                       size,
                                       size * 1.2f,
                                       0.8f,
                                       0.1f};
    }
    vl_relate_apply(relation, f->width, f->height, out, *n);
    return VEIL_OK;
}

static int open_relation(void) {
    vl_model *model = NULL;
    int err = vl_net_parse_model(&model, NULL, 0);
    if (err == VEIL_OK)
        err = vl_relate_create(&relation, model);
    vl_model_destroy(model);
    return err;
}

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int measure(veil_style style, int lookahead_ms, uint8_t *pixels) {
    static double ms[FRAMES];
    veil_options o;
    veil_options_init(&o, sizeof o);
    o.threads = 1;
    o.lookahead_ns = (int64_t)lookahead_ms * 1000000;
    o.settings.style = style;
    veil *v;
    if (vl_veil_create(&v, &o, detect, NULL) != VEIL_OK)
        return 1;
    veil_frame f = {.plane = {pixels, pixels + W * H, pixels + W * H * 5 / 4},
                    .stride = {W, W / 2, W / 2},
                    .width = W,
                    .height = H,
                    .format = VEIL_FORMAT_I420};
    for (int i = 0; i < FRAMES; i++) {
        f.pts_ns = i * 33333333LL;
        double start = now_ms();
        veil_frame got;
        if (veil_send(v, &f) != VEIL_OK)
            return 1;
        while (veil_receive(v, &got, NULL) == VEIL_OK) {
        }
        ms[i] = now_ms() - start;
    }
    qsort(ms + WARM, FRAMES - WARM, sizeof *ms, by_value);
    printf("%-8s %4d faces, look-ahead %4d ms: median %.3f ms, 99 %% below %.3f ms\n",
           style == VEIL_STYLE_NONE ? "analysis" : "and blur", n_faces, lookahead_ms,
           ms[WARM + (FRAMES - WARM) / 2], ms[WARM + (FRAMES - WARM) * 99 / 100]);
    veil_destroy(v);
    return 0;
}

int main(int argc, char **argv) {
    n_faces = argc > 1 ? atoi(argv[1]) : 20;
    int lookahead_ms = argc > 2 ? atoi(argv[2]) : 250;
    uint8_t *pixels = malloc(W * H * 2);
    if (pixels == NULL || n_faces < 1 || n_faces > VL_TRACK_DET_MAX || open_relation() != VEIL_OK)
        return 1;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            pixels[y * W + x] = (uint8_t)(128 + 60 * sinf((float)x * 0.03f + (float)y * 0.05f) +
                                          40 * sinf((float)x * 0.11f - (float)y * 0.07f));
    memset(pixels + W * H, 128, W * H);
    int err = measure(VEIL_STYLE_NONE, lookahead_ms, pixels) +
              measure(VEIL_STYLE_BLUR, lookahead_ms, pixels);
    vl_relate_destroy(relation);
    free(pixels);
    return err;
}
