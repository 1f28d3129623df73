/* See steady.h. Sizes are rungs of a ladder of one proportion; each axis is placed by itself. Size
 * and place are even numbers of px, so that chroma moves with luma and cells keep their sizes. */
#include "steady.h"

#include "mem.h"
#include "veil.h"

#include <math.h>

/* One proportion for all: a box as wide as this face tells something of whose it is. Faces are
 * about 0.75 as wide as high. */
#define WIDTH_PART 0.8f
#define RUNG_FIRST 12.0f /* height, px */
#define RUNG_STEP  1.25f
#define RUNGS      64
#define SLACK      0.03f /* of what is needed, on each side, that a new mask is larger */
#define LARGE_MOST 12    /* frames in which a smaller mask would have done */
#define FAR_PX     1e6f

typedef struct {
    float at, size; /* px */
    float rest;     /* own movement (zoom, turn) that at has not made yet */
} axis;

typedef struct {
    uint32_t id;
    bool used;  /* asked for in this frame */
    float rung; /* height before rounding, px */
    int large;  /* frames in which less would have done */
    axis x, y;
} anchor;

struct vl_steady {
    anchor *list;
    size_t n, cap;
    float rest_x, rest_y; /* shift of the whole picture that the masks have not made yet */
};

int vl_steady_create(vl_steady **out) {
    *out = vl_mem_alloc(1, sizeof **out);
    return *out != NULL ? VEIL_OK : VEIL_E_NOMEM;
}

void vl_steady_destroy(vl_steady *s) {
    if (s == NULL)
        return;
    vl_mem_free(s->list);
    vl_mem_free(s);
}

void vl_steady_reset(vl_steady *s) {
    s->n = 0;
    s->rest_x = s->rest_y = 0;
}

static float even_down(float v) {
    return 2 * floorf(v / 2);
}

static float even_up(float v) {
    return 2 * ceilf(v / 2);
}

/* ------------------------------------------------------------------ one axis */

/* The even part of what has summed up. */
static float step_of(float *rest, float by) {
    *rest += by;
    float step = 2 * roundf(*rest / 2);
    *rest -= step;
    return step;
}

/* ------------------------------------------------------------------ sizes */

static void rung_size(float raw, float *w, float *h) {
    *h = even_up(raw);
    *w = even_up(*h * WIDTH_PART);
}

/* Lowest rung that holds this; a place on even px may cost two more. Its height before rounding. */
static float rung_for(float need_w, float need_h) {
    float raw = RUNG_FIRST, w, h;
    for (int i = 0; i < RUNGS; i++, raw *= RUNG_STEP) {
        rung_size(raw, &w, &h);
        if (w >= need_w + 2 && h >= need_h + 2)
            break;
    }
    return raw;
}

static void place(axis *a, float from, float to, float size) {
    a->size = size;
    a->at = even_down(from - (size - to + from) / 2);
    if (to > a->at + size) /* even_down took too much */
        a->at = even_up(to - size);
    a->rest = 0;
}

/* Moved only when it does not hold from..to any more: into the middle, so that it stays a while. */
static void follow(axis *a, float from, float to) {
    if (from < a->at || to > a->at + a->size)
        place(a, from, to, a->size);
}

static float roomy_rung(vl_rect need) {
    return rung_for(need.w * (1 + 2 * SLACK), need.h * (1 + 2 * SLACK));
}

static void lay(anchor *a, vl_rect need) {
    float w, h;
    a->rung = roomy_rung(need);
    a->large = 0;
    rung_size(a->rung, &w, &h);
    place(&a->x, need.x, need.x + need.w, w);
    place(&a->y, need.y, need.y + need.h, h);
}

static void hold(anchor *a, vl_rect need) {
    a->large = roomy_rung(need) < a->rung ? a->large + 1 : 0;
    if (rung_for(need.w, need.h) > a->rung || a->large > LARGE_MOST) {
        lay(a, need);
        return;
    }
    follow(&a->x, need.x, need.x + need.w);
    follow(&a->y, need.y, need.y + need.h);
}

/* ------------------------------------------------------------------ masks */

/* Where the camera's movement takes a point, less the point. */
static void shift_at(const vl_motion *m, float x, float y, float shift[2]) {
    shift[0] = m->a * x - m->b * y + m->tx - x;
    shift[1] = m->b * x + m->a * y + m->ty - y;
}

/* All masks make the same steps while the camera only pans, so that those that are joined keep
 * their common shape. */
void vl_steady_next(vl_steady *s, const vl_motion *camera) {
    size_t kept = 0;
    float x = 0, y = 0, all[2], own[2];
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].used)
            s->list[kept++] = s->list[i];
    s->n = kept;
    for (size_t i = 0; i < kept; i++) {
        x += (s->list[i].x.at + s->list[i].x.size / 2) / (float)kept;
        y += (s->list[i].y.at + s->list[i].y.size / 2) / (float)kept;
    }
    shift_at(camera, x, y, all);
    float dx = step_of(&s->rest_x, all[0]), dy = step_of(&s->rest_y, all[1]);
    for (size_t i = 0; i < kept; i++) {
        anchor *a = &s->list[i];
        shift_at(camera, a->x.at + a->x.size / 2, a->y.at + a->y.size / 2, own);
        a->x.at += dx + step_of(&a->x.rest, own[0] - all[0]);
        a->y.at += dy + step_of(&a->y.rest, own[1] - all[1]);
        a->used = false;
    }
}

static anchor *find(vl_steady *s, uint32_t id) {
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].id == id)
            return &s->list[i];
    return NULL;
}

static anchor *add(vl_steady *s, uint32_t id) {
    if (s->n == s->cap) {
        size_t cap = s->cap * 2 + 32;
        anchor *list = vl_mem_alloc(cap, sizeof *list);
        if (list == NULL)
            return NULL;
        for (size_t i = 0; i < s->n; i++)
            list[i] = s->list[i];
        vl_mem_free(s->list);
        s->list = list;
        s->cap = cap;
    }
    anchor *a = &s->list[s->n++];
    *a = (anchor){.id = id};
    return a;
}

static bool is_place(vl_rect r) {
    return fabsf(r.x) < FAR_PX && fabsf(r.y) < FAR_PX && r.w > 0 && r.w < FAR_PX && r.h > 0 &&
           r.h < FAR_PX;
}

static vl_rect mask_of(const anchor *a) {
    return (vl_rect){a->x.at, a->y.at, a->x.size, a->y.size};
}

vl_rect vl_steady_alone(vl_rect need) {
    if (!is_place(need))
        return need;
    anchor a;
    lay(&a, need);
    return mask_of(&a);
}

vl_rect vl_steady_mask(vl_steady *s, uint32_t id, vl_rect need) {
    if (!is_place(need))
        return need;
    anchor *a = find(s, id);
    bool known = a != NULL && is_place(mask_of(a));
    if (a == NULL)
        a = add(s, id);
    if (a == NULL)
        return vl_steady_alone(need);
    (known ? hold : lay)(a, need);
    a->used = true;
    return mask_of(a);
}
