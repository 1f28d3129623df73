/* See timeline.h. The slots are a ring; the window of the oldest frame is every held frame of its
 * epoch. Positions are carried between frames along the camera's movement, so that a shaking camera
 * does not bend an interpolated path. */
#include "timeline.h"

#include "mem.h"
#include "subject.h"

#include <math.h>
#include <string.h>

#define ENTRIES_FIRST   32
#define BACKFILL_NS     800000000 /* a birth is carried back at most so long */
#define VELOCITY_NS     200000000 /* detections after birth that give its velocity */
#define VELOCITY_MIN_NS 60000000  /* a shorter path says nothing */
#define BACK_GROW       0.06f     /* of the size on each side, one frame back */
#define BACK_GROW_MAX   0.50f     /* at BACKFILL_NS */
#define GAP_GROW        0.08f     /* interpolated boxes */
#define NEAR_SIZES      0.5f      /* a neighbour nearer than this is covered where it was */
#define WEAK_OVERLAP    0.25f /* of boxes enlarged by WEAK_BUFFER: a weak detection is the face */
#define WEAK_BUFFER     0.2f
#define JUMP            1.5f /* sizes between a back-filled and a standing box to cover both */

struct vl_timeline {
    int64_t lookahead_ns;
    int32_t max_held;
    vl_slot *slots; /* [max_held] ring */
    int32_t first, n;
    vl_entries *spare; /* [2 * max_held] memory of slots that left, for those that come */
    int32_t n_spare;
    vl_entries fixed; /* of the oldest frame */
    bool is_fixed;
    vl_entries past; /* of the frame that left last */
    uint32_t past_epoch;
    int64_t past_pts_ns;
};

int vl_timeline_create(vl_timeline **out, int64_t lookahead_ns, int32_t max_held) {
    *out = NULL;
    vl_timeline *t = vl_mem_alloc(1, sizeof *t);
    if (t == NULL)
        return VEIL_E_NOMEM;
    t->lookahead_ns = lookahead_ns;
    t->max_held = max_held;
    t->slots = vl_mem_alloc((size_t)max_held, sizeof *t->slots);
    t->spare = vl_mem_alloc((size_t)max_held, 2 * sizeof *t->spare);
    if (t->slots == NULL || t->spare == NULL) {
        vl_timeline_destroy(t);
        return VEIL_E_NOMEM;
    }
    *out = t;
    return VEIL_OK;
}

void vl_timeline_destroy(vl_timeline *t) {
    if (t == NULL)
        return;
    for (int32_t i = 0; t->slots != NULL && i < t->max_held; i++) {
        vl_mem_free(t->slots[i].entries.e);
        vl_mem_free(t->slots[i].weak.e);
    }
    for (int32_t i = 0; i < t->n_spare; i++)
        vl_mem_free(t->spare[i].e);
    vl_mem_free(t->slots);
    vl_mem_free(t->spare);
    vl_mem_free(t->fixed.e);
    vl_mem_free(t->past.e);
    vl_mem_free(t);
}

/* ------------------------------------------------------------------ lists */

static int reserve(vl_entries *list, size_t n) {
    if (n <= list->cap)
        return VEIL_OK;
    size_t cap = list->cap > 0 ? list->cap : ENTRIES_FIRST;
    while (cap < n)
        cap *= 2;
    vl_entry *e = vl_mem_alloc(cap, sizeof *e);
    if (e == NULL)
        return VEIL_E_NOMEM;
    if (list->n > 0)
        memcpy(e, list->e, list->n * sizeof *e);
    vl_mem_free(list->e);
    list->e = e;
    list->cap = cap;
    return VEIL_OK;
}

vl_entry *vl_timeline_find(const vl_entries *list, uint32_t id) {
    size_t low = 0, high = list->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (list->e[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low < list->n && list->e[low].id == id ? &list->e[low] : NULL;
}

static vl_slot *slot_at(const vl_timeline *t, int32_t i) {
    return &t->slots[(t->first + i) % t->max_held];
}

int64_t vl_timeline_lookahead_ns(const vl_timeline *t) {
    return t->lookahead_ns;
}

size_t vl_timeline_held(const vl_timeline *t) {
    return (size_t)t->n;
}

bool vl_timeline_full(const vl_timeline *t) {
    return t->n == t->max_held;
}

vl_slot *vl_timeline_add(vl_timeline *t, const veil_frame *f) {
    if (vl_timeline_full(t))
        return NULL;
    vl_slot *s = slot_at(t, t->n++);
    vl_entries entries = t->n_spare > 0 ? t->spare[--t->n_spare] : (vl_entries){0};
    vl_entries weak = t->n_spare > 0 ? t->spare[--t->n_spare] : (vl_entries){0};
    *s = (vl_slot){.frame = *f,
                   .camera = vl_motion_none(),
                   .covered = true,
                   .reason = VEIL_REASON_START,
                   .entries = entries,
                   .weak = weak};
    t->is_fixed = false;
    return s;
}

static void retire_list(vl_timeline *t, vl_entries *list) {
    if (list->e != NULL)
        t->spare[t->n_spare++] = (vl_entries){.e = list->e, .cap = list->cap};
    *list = (vl_entries){0};
}

/* A slot leaves: its memory is kept for the next. Empty slots own none, so that there are never
 * more than two spare lists a slot. */
static void retire(vl_timeline *t, vl_slot *s) {
    retire_list(t, &s->weak);
    retire_list(t, &s->entries);
}

int vl_timeline_add_weak(vl_slot *slot, const veil_detection *d) {
    int err = reserve(&slot->weak, slot->weak.n + 1);
    if (err == VEIL_OK)
        slot->weak.e[slot->weak.n++] = (vl_entry){.box = {d->x, d->y, d->w, d->h}};
    return err;
}

int vl_timeline_fill(vl_slot *slot, const vl_track *tracks, size_t n) {
    slot->entries.n = 0;
    int err = reserve(&slot->entries, n);
    if (err != VEIL_OK)
        return err;
    for (size_t i = 0; i < n; i++) {
        const vl_track *k = &tracks[i];
        slot->entries.e[i] = (vl_entry){.id = k->id,
                                        .box = k->box,
                                        .cover = k->cover,
                                        .score = k->score,
                                        .interview = vl_subject_probability(&k->evidence),
                                        .age = k->age,
                                        .lost = k->lost,
                                        .detected = k->detected,
                                        .keep = k->evidence.keep,
                                        .reason = k->evidence.reason};
    }
    slot->entries.n = n;
    return VEIL_OK;
}

vl_slot *vl_timeline_oldest(vl_timeline *t) {
    return t->n > 0 ? slot_at(t, 0) : NULL;
}

bool vl_timeline_ready(const vl_timeline *t, bool flush) {
    if (t->n == 0)
        return false;
    const vl_slot *oldest = slot_at(t, 0), *newest = slot_at(t, t->n - 1);
    if (flush || t->n == t->max_held)
        return true;
    int64_t gap_ns = newest->frame.pts_ns - oldest->frame.pts_ns;
    return gap_ns >= t->lookahead_ns || gap_ns < 0; /* time jumped back: nothing more will come */
}

void vl_timeline_pop(vl_timeline *t) {
    if (t->n == 0)
        return;
    vl_slot *s = slot_at(t, 0);
    vl_entries old = t->past;
    if (t->is_fixed) {
        t->past = t->fixed;
        t->fixed = old;
    }
    t->fixed.n = 0;
    if (!t->is_fixed)
        t->past.n = 0;
    t->past_epoch = s->epoch;
    t->past_pts_ns = s->frame.pts_ns;
    t->is_fixed = false;
    retire(t, s);
    t->first = (t->first + 1) % t->max_held;
    t->n--;
}

const vl_entries *vl_timeline_past(const vl_timeline *t) {
    return &t->past;
}

void vl_timeline_clear(vl_timeline *t) {
    for (int32_t i = 0; i < t->n; i++)
        retire(t, slot_at(t, i));
    t->first = t->n = 0;
    t->is_fixed = false;
    t->fixed.n = t->past.n = 0;
}

/* ------------------------------------------------------------------ geometry over time */

static vl_rect moved(vl_rect r, const vl_motion *m) {
    float s = hypotf(m->a, m->b);
    float x = r.x + r.w / 2, y = r.y + r.h / 2, w = r.w * s, h = r.h * s;
    return (vl_rect){m->a * x - m->b * y + m->tx - w / 2, m->b * x + m->a * y + m->ty - h / 2, w,
                     h};
}

static vl_rect between(vl_rect a, vl_rect b, float part) {
    return (vl_rect){a.x + (b.x - a.x) * part, a.y + (b.y - a.y) * part, a.w + (b.w - a.w) * part,
                     a.h + (b.h - a.h) * part};
}

static float size_of(vl_rect r) {
    return sqrtf(fmaxf(r.w * r.h, 1));
}

static float distance(vl_rect a, vl_rect b) {
    return hypotf(a.x + a.w / 2 - b.x - b.w / 2, a.y + a.h / 2 - b.y - b.h / 2);
}

/* Frames of the oldest frame's epoch that are held, itself included. */
static int32_t window_of(const vl_timeline *t) {
    uint32_t epoch = slot_at(t, 0)->epoch;
    int32_t n = 1;
    while (n < t->n && slot_at(t, n)->epoch == epoch)
        n++;
    return n;
}

/* A track that is not shown now, or stops being shown later in the window, is hidden. One that
 * starts to be shown in the window is shown from here on. */
static bool shown(const vl_timeline *t, int32_t from, int32_t window, uint32_t id,
                  veil_reason *why) {
    bool keep = false;
    for (int32_t i = from; i < window; i++) {
        const vl_entry *e = vl_timeline_find(&slot_at(t, i)->entries, id);
        if (e == NULL)
            continue;
        if (keep && !e->keep) {
            *why = e->reason;
            return false;
        }
        keep = e->keep;
        *why = e->reason;
    }
    return keep;
}

/* ------------------------------------------------------------------ gaps and neighbours */

/* The track is predicted in the oldest frame. When the window shows where it went, its place is on
 * the path between the frame before and there. */
static void interpolate(const vl_timeline *t, int32_t window, vl_entry *e) {
    const vl_slot *now = slot_at(t, 0);
    const vl_entry *before = t->past_epoch == now->epoch ? vl_timeline_find(&t->past, e->id) : NULL;
    if (before == NULL)
        return;
    vl_motion path = vl_motion_none();
    for (int32_t i = 1; i < window; i++) {
        const vl_slot *s = slot_at(t, i);
        path = vl_motion_then(path, s->camera);
        const vl_entry *later = vl_timeline_find(&s->entries, e->id);
        if (later == NULL)
            return;
        if (!later->detected)
            continue;
        int64_t all_ns = s->frame.pts_ns - t->past_pts_ns;
        int64_t part_ns = now->frame.pts_ns - t->past_pts_ns;
        if (all_ns <= 0)
            return;
        vl_motion back = vl_motion_inverse(path);
        vl_rect a = moved(before->box, &now->camera), b = moved(later->box, &back);
        e->box = between(a, b, (float)part_ns / (float)all_ns);
        vl_rect grown = vl_track_grown(e->box, GAP_GROW);
        bool both = vl_frame_overlap(grown, e->cover) > 0.2f;
        e->cover = both ? vl_track_hull(grown, e->cover) : grown;
        return;
    }
}

/* Also covers where the face is one frame earlier and later: a detector's box jitters, and a face
 * moves while the shutter is open. */
static void add_neighbour(vl_entry *e, vl_rect box, vl_rect compensated) {
    bool near = distance(box, e->box) < NEAR_SIZES * size_of(e->box);
    e->cover = vl_track_hull(e->cover, near ? box : compensated);
}

static void unite(const vl_timeline *t, int32_t window, vl_entry *e) {
    const vl_slot *now = slot_at(t, 0);
    const vl_entry *before = t->past_epoch == now->epoch ? vl_timeline_find(&t->past, e->id) : NULL;
    if (before != NULL)
        add_neighbour(e, before->box, moved(before->box, &now->camera));
    if (window < 2)
        return;
    const vl_slot *next = slot_at(t, 1);
    const vl_entry *after = vl_timeline_find(&next->entries, e->id);
    if (after != NULL && after->detected) {
        vl_motion back = vl_motion_inverse(next->camera);
        add_neighbour(e, after->box, moved(after->box, &back));
    }
}

/* ------------------------------------------------------------------ births */

/* Velocity of a new track over its first detections, px/s in the coordinates of its birth frame;
 * the camera's movement is taken out. Zero when the path is too short to tell. */
static void birth_velocity(const vl_timeline *t, int32_t birth, int32_t window,
                           const vl_entry *born, float v[2]) {
    const int64_t start_ns = slot_at(t, birth)->frame.pts_ns;
    double stt = 0, stx = 0, sty = 0;
    int64_t last_ns = 0;
    vl_motion path = vl_motion_none();
    for (int32_t i = birth + 1; i < window; i++) {
        const vl_slot *s = slot_at(t, i);
        path = vl_motion_then(path, s->camera);
        int64_t dt_ns = s->frame.pts_ns - start_ns;
        if (dt_ns > VELOCITY_NS)
            break;
        const vl_entry *e = vl_timeline_find(&s->entries, born->id);
        if (e == NULL || !e->detected)
            continue;
        vl_motion back = vl_motion_inverse(path);
        vl_rect r = moved(e->box, &back);
        double dt = (double)dt_ns * 1e-9;
        stt += dt * dt;
        stx += dt * (double)(r.x + r.w / 2 - born->box.x - born->box.w / 2);
        sty += dt * (double)(r.y + r.h / 2 - born->box.y - born->box.h / 2);
        last_ns = dt_ns;
    }
    bool known = last_ns >= VELOCITY_MIN_NS && stt > 0;
    v[0] = known ? (float)(stx / stt) : 0;
    v[1] = known ? (float)(sty / stt) : 0;
}

/* The weak detection of a slot that a face at r most likely is; NULL: none. */
static const vl_entry *weak_near(const vl_slot *s, vl_rect r) {
    const vl_entry *best = NULL;
    float most = WEAK_OVERLAP;
    for (size_t i = 0; i < s->weak.n; i++) {
        vl_rect w = s->weak.e[i].box;
        float o = vl_frame_overlap(vl_track_grown(r, WEAK_BUFFER), vl_track_grown(w, WEAK_BUFFER));
        if (o > most) {
            most = o;
            best = &s->weak.e[i];
        }
    }
    return best;
}

/* The track is born in a later frame of the window: where was it in the oldest one? Goes back frame
 * by frame with the camera and the track's own velocity, and from weak detection to weak detection
 * where there are some. False: too long ago to tell. */
static bool carried_back(const vl_timeline *t, int32_t birth, int32_t window, const vl_entry *born,
                         vl_entry *e) {
    float v[2];
    birth_velocity(t, birth, window, born, v);
    vl_rect moving = born->box, standing = born->box;
    int64_t anchor_ns = slot_at(t, birth)->frame.pts_ns; /* where the place was last seen */
    for (int32_t i = birth; i > 0; i--) {
        const vl_slot *s = slot_at(t, i), *before = slot_at(t, i - 1);
        float dt = (float)(s->frame.pts_ns - before->frame.pts_ns) * 1e-9f;
        vl_motion back = vl_motion_inverse(s->camera);
        moving.x -= v[0] * dt;
        moving.y -= v[1] * dt;
        moving = moved(moving, &back);
        standing = moved(standing, &back);
        const vl_entry *weak = weak_near(before, moving);
        if (weak == NULL)
            weak = weak_near(before, standing);
        if (weak != NULL) {
            moving = standing = weak->box;
            anchor_ns = before->frame.pts_ns;
        }
    }
    int64_t back_ns = anchor_ns - slot_at(t, 0)->frame.pts_ns;
    if (back_ns > BACKFILL_NS)
        return false;
    *e = *born;
    e->box = moving;
    float part = fminf((float)back_ns / (float)BACKFILL_NS, 1);
    vl_rect grown = vl_track_grown(moving, BACK_GROW + (BACK_GROW_MAX - BACK_GROW) * part);
    bool both = distance(moving, standing) < JUMP * size_of(standing);
    e->cover = both ? vl_track_hull(grown, standing) : grown;
    e->detected = false;
    e->score = 0;
    e->age = 0;
    e->lost = 0;
    return true;
}

static int add_births(vl_timeline *t, int32_t window) {
    const vl_slot *now = slot_at(t, 0);
    const vl_entries *last = &now->entries;
    uint32_t known = last->n > 0 ? last->e[last->n - 1].id : 0;
    for (int32_t i = 1; i < window; i++) {
        const vl_slot *s = slot_at(t, i);
        for (size_t j = s->entries.n; j-- > 0 && s->entries.e[j].id > known;) {
            /* found from the newest down; sorted below */
            int err = reserve(&t->fixed, t->fixed.n + 1);
            if (err != VEIL_OK)
                return err;
            vl_entry e;
            if (!carried_back(t, i, window, &s->entries.e[j], &e))
                continue;
            e.keep = shown(t, i, window, e.id, &e.reason);
            t->fixed.e[t->fixed.n++] = e;
        }
        if (s->entries.n > 0 && s->entries.e[s->entries.n - 1].id > known)
            known = s->entries.e[s->entries.n - 1].id;
    }
    return VEIL_OK;
}

/* Births were added from the newest down within each frame: insertion sort of a nearly sorted tail.
 */
static void sort_by_id(vl_entries *list) {
    for (size_t i = 1; i < list->n; i++) {
        vl_entry e = list->e[i];
        size_t j = i;
        for (; j > 0 && list->e[j - 1].id > e.id; j--)
            list->e[j] = list->e[j - 1];
        list->e[j] = e;
    }
}

const vl_entries *vl_timeline_fix(vl_timeline *t, int *err) {
    *err = VEIL_OK;
    if (t->n == 0) {
        *err = VEIL_E_AGAIN;
        return NULL;
    }
    const vl_slot *now = slot_at(t, 0);
    int32_t window = window_of(t);
    t->fixed.n = 0;
    *err = reserve(&t->fixed, now->entries.n + 1);
    if (*err != VEIL_OK)
        return NULL;
    for (size_t i = 0; i < now->entries.n; i++) {
        vl_entry e = now->entries.e[i];
        e.keep = shown(t, 0, window, e.id, &e.reason);
        if (!e.detected)
            interpolate(t, window, &e);
        unite(t, window, &e);
        t->fixed.e[t->fixed.n++] = e;
    }
    *err = add_births(t, window);
    if (*err != VEIL_OK)
        return NULL;
    sort_by_id(&t->fixed);
    t->is_fixed = true;
    return &t->fixed;
}
