/* Drawing masks: any geometry, format, settings and tracks. Every plane is an allocation of exactly
 * the bytes that the frame has, so that one byte too far is seen. */
#include "fuzz.h"
#include "veil.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const unsigned fuzz_rounds = 1500;

typedef struct {
    const uint8_t *p;
    size_t n;
} bytes;

static uint32_t take(bytes *b, uint32_t below) {
    uint32_t v = 0;
    for (int i = 0; i < 4 && b->n > 0; i++, b->p++, b->n--)
        v = (v << 8) | *b->p;
    return below > 0 ? v % below : v;
}

static float number(bytes *b, float low, float high) {
    uint32_t v = take(b, 0);
    if (v % 64 == 0) {
        static const float odd[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 0.0f, 1e-30f};
        return odd[v / 64 % 7];
    }
    return low + (high - low) * (float)(v % 10007) / 10007.0f;
}

/* Samples across and down in one plane, and bytes a sample. */
static int plane_shape(veil_format f, int i, int32_t w, int32_t h, int32_t *pw, int32_t *ph) {
    int32_t cw = (w + 1) / 2, ch = (h + 1) / 2;
    *pw = w;
    *ph = h;
    switch (f) {
    case VEIL_FORMAT_I420:
    case VEIL_FORMAT_I010:
        if (i > 0)
            *pw = cw, *ph = ch;
        if (f == VEIL_FORMAT_I010)
            *pw *= 2;
        return i < 3;
    case VEIL_FORMAT_NV12:
        if (i > 0)
            *pw = 2 * cw, *ph = ch;
        return i < 2;
    case VEIL_FORMAT_I422:
        if (i > 0)
            *pw = cw;
        return i < 3;
    case VEIL_FORMAT_I444:
        return i < 3;
    case VEIL_FORMAT_YUY2:
    case VEIL_FORMAT_UYVY:
        *pw = 4 * cw;
        return i < 1;
    case VEIL_FORMAT_RGB24:
    case VEIL_FORMAT_BGR24:
        *pw = 3 * w;
        return i < 1;
    case VEIL_FORMAT_RGBA:
    case VEIL_FORMAT_BGRA:
        *pw = 4 * w;
        return i < 1;
    default:
        return i < 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bytes b = {data, size};
    static veil *v;
    if (!v) {
        veil_options o;
        veil_options_init(&o, sizeof o);
        o.threads = 1;
        if (veil_create(&v, &o) != VEIL_OK)
            abort();
    }
    veil_settings c;
    veil_settings_init(&c, sizeof c);
    c.style = (veil_style)take(&b, 7);
    c.force_weak = 1;
    c.shape = (veil_shape)take(&b, 3);
    c.padding = number(&b, -1, 2);
    c.feather = number(&b, -1, 1);
    c.cells = number(&b, 1, 8);
    static uint8_t picture[16 * 16 * 4];
    c.image = picture;
    c.image_width = c.image_height = 16;
    c.image_stride = 64;
    if (veil_set_settings(v, &c) != VEIL_OK)
        return 0;
    veil_frame f = {.format = (veil_format)(1 + take(&b, VEIL_FORMAT_COUNT - 1)),
                    .width = (int32_t)(16 + take(&b, 200)),
                    .height = (int32_t)(16 + take(&b, 120)),
                    .rotation = (int32_t)take(&b, 4) * 90};
    int down = (int)take(&b, 2);
    uint8_t *memory[4] = {0};
    for (int i = 0; i < 4; i++) {
        int32_t w, h;
        if (!plane_shape(f.format, i, f.width, f.height, &w, &h))
            continue;
        ptrdiff_t stride = w + 2 * (ptrdiff_t)take(&b, 9);
        size_t n = (size_t)stride * (size_t)(h - 1) + (size_t)w;
        memory[i] = malloc(n);
        if (!memory[i])
            abort();
        memset(memory[i], (int)take(&b, 256), n);
        f.plane[i] = down ? memory[i] + stride * (h - 1) : memory[i];
        f.stride[i] = down ? -stride : stride;
    }
    veil_track t[12];
    memset(t, 0, sizeof t);
    size_t n = take(&b, 13);
    for (size_t i = 0; i < n; i++) {
        t[i].id = (uint32_t)i + 1;
        t[i].x = number(&b, -300, 300);
        t[i].y = number(&b, -300, 300);
        t[i].w = number(&b, -10, 300);
        t[i].h = number(&b, -10, 300);
        t[i].decision = (veil_decision)take(&b, 3);
    }
    int rc = veil_redact(v, &f, t, n);
    if (rc == VEIL_E_FORMAT || rc == VEIL_E_SIZE)
        abort(); /* both were valid */
    if (veil_cover_frame(&f) != VEIL_OK)
        abort();
    for (int i = 0; i < 4; i++)
        free(memory[i]);
    return 0;
}

uint8_t *fuzz_seed(size_t *size) {
    *size = 512;
    uint8_t *p = malloc(*size);
    if (!p)
        return NULL;
    for (size_t i = 0; i < *size; i++)
        p[i] = (uint8_t)(i * 167 + i / 7 * 13);
    return p;
}
