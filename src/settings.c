/* See settings.h. Anything that is not a number, out of range or of another version is refused, so
 * that a mistake never loosens what is hidden. */
#include "settings.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define HOLD_DEFAULT_NS 800000000LL
#define HOLD_MAX_NS     60000000000LL
#define EVERY_MAX       1000
#define IMAGE_MAX_PX    4096

static const veil_settings defaults = {
    .struct_size = sizeof(veil_settings),
    .min_score = 0.35f,
    .low_score = 0.10f,
    .keep_score = 0.85f,
    .padding = 0.20f,
    .feather = 0.12f,
    .cells = 6.0f,
    .detect_every = 1,
    .hold_ns = HOLD_DEFAULT_NS,
};

void veil_settings_init(veil_settings *s, size_t struct_size) {
    if (s == NULL || struct_size < sizeof s->struct_size)
        return;
    memset(s, 0, struct_size);
    size_t known = struct_size < sizeof *s ? struct_size : sizeof *s;
    memcpy(s, &defaults, known);
    s->struct_size = struct_size;
}

static bool unit_or_default(float *x, float otherwise) {
    if (!(*x >= 0 && *x <= 1)) /* false for NaN */
        return false;
    if (*x == 0)
        *x = otherwise;
    return true;
}

/* 0 is the default, negative is none. */
static bool part_or_default(float *x, float otherwise) {
    if (!(*x >= -10 && *x <= 10))
        return false;
    if (*x == 0)
        *x = otherwise;
    else if (*x < 0)
        *x = -1;
    return true;
}

static bool enums_valid(const veil_settings *s) {
    return s->keep >= VEIL_KEEP_AUTO && s->keep <= VEIL_KEEP_CHOSEN &&
           s->style >= VEIL_STYLE_BLUR && s->style <= VEIL_STYLE_WEAK_MOSAIC &&
           s->shape >= VEIL_SHAPE_ELLIPSE && s->shape <= VEIL_SHAPE_HEAD &&
           s->tracker >= VEIL_TRACKER_BYTETRACK && s->tracker <= VEIL_TRACKER_NONE;
}

static bool image_valid(const veil_settings *s) {
    if (s->style != VEIL_STYLE_IMAGE)
        return true;
    return s->image != NULL && s->image_width >= 1 && s->image_width <= IMAGE_MAX_PX &&
           s->image_height >= 1 && s->image_height <= IMAGE_MAX_PX &&
           (s->image_stride >= 4 * (ptrdiff_t)s->image_width ||
            s->image_stride <= -4 * (ptrdiff_t)s->image_width);
}

static bool zone_valid(const veil_zone *z) {
    return fabsf(z->x) <= 10 && fabsf(z->y) <= 10 && z->w >= 0 && z->w <= 20 && z->h >= 0 &&
           z->h <= 20 && z->decision >= VEIL_AUTO && z->decision <= VEIL_KEEP;
}

int veil_style_is_weak(veil_style style) {
    return style == VEIL_STYLE_WEAK_BLUR || style == VEIL_STYLE_WEAK_MOSAIC;
}

/* A caller built against a later version may use fields that we do not know only when they are
 * zero. */
static bool size_valid(const veil_settings *s) {
    if (s->struct_size < sizeof *s || s->struct_size > 4096)
        return false;
    const unsigned char *p = (const unsigned char *)s;
    for (size_t i = sizeof *s; i < s->struct_size; i++)
        if (p[i] != 0)
            return false;
    return true;
}

int vl_settings_take(vl_settings *out, const veil_settings *in) {
    if (in == NULL || !size_valid(in))
        return VEIL_E_ARG;
    veil_settings s = *in;
    s.struct_size = sizeof s;
    if (!enums_valid(&s) || !image_valid(&s) || s.n_zones > VL_SETTINGS_ZONES ||
        (s.n_zones > 0 && s.zones == NULL) || !unit_or_default(&s.min_score, defaults.min_score) ||
        !unit_or_default(&s.low_score, defaults.low_score) ||
        !unit_or_default(&s.keep_score, defaults.keep_score) ||
        !part_or_default(&s.padding, defaults.padding) ||
        !part_or_default(&s.feather, defaults.feather))
        return VEIL_E_ARG;
    if (veil_style_is_weak(s.style) && s.force_weak != 1)
        return VEIL_E_WEAK;
    if (s.cells == 0)
        s.cells = defaults.cells;
    if (!(s.cells >= 1 && s.cells <= 8))
        return VEIL_E_ARG;
    if (s.detect_every < 0 || s.detect_every > EVERY_MAX || s.hold_ns < 0 ||
        s.hold_ns > HOLD_MAX_NS)
        return VEIL_E_ARG;
    if (s.detect_every == 0)
        s.detect_every = 1;
    if (s.hold_ns == 0)
        s.hold_ns = HOLD_DEFAULT_NS;
    if (s.low_score > s.min_score)
        s.low_score = s.min_score;
    for (size_t i = 0; i < s.n_zones; i++)
        if (!zone_valid(&s.zones[i]))
            return VEIL_E_ARG;
    if (s.n_zones > 0)
        memmove(out->zones, s.zones, s.n_zones * sizeof *s.zones);
    s.zones = NULL;
    out->s = s;
    return VEIL_OK;
}
