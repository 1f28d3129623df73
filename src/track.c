/* See track.h. After ByteTrack (Zhang et al. 2022): first the sure detections are given to the
 * tracks, then the weak ones to the tracks left over. A weak detection continues a track but never
 * starts one, unless it goes on at the picture's edge. Boxes are enlarged before they
 * are compared (C-BIoU, Yang et al. 2023), because a small face moves farther than its own size. */
#include "track.h"

#include "assign.h"
#include "mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_SURE     0.35f /* boxes enlarged by this part on each side */
#define BUFFER_WEAK     0.20f
#define UNMATCHED_SURE  0.90f /* cost: 1 - overlap of enlarged boxes, plus difference in size */
#define UNMATCHED_WEAK  0.65f
#define UNMATCHED_FAR   1.00f /* cost: distance over reach */
#define REACH_OVERLAP   0.45f /* sizes that a face may be off its prediction, beside its doubt: a */
#define REACH_DISTANCE  0.9f  /* larger jump is a new face, which is carried back in time */
#define REACH_DOUBT     3.0f  /* standard deviations of the prediction */
#define RIVAL           0.45f /* a second choice nearer than this makes a match unsure */
#define REACH_MOST      1.5f  /* whatever the doubt: a lost face's mask must not run to another's */
#define PAIRS_PER_TRACK 16
#define PROVEN          0.25f /* score above min_score that proves a face ... */
#define PROVEN_MOST     0.90f
#define LARGE           0.18f     /* of the picture's shorter side: more is large */
#define STANDS_NS       120000000 /* longest time one detection stands for */
#define STANDS_FIRST_NS 33000000
#define SEEDS           64
#define SEED_SCORE      0.20f /* weak detections at the picture's edge that start a track ... */
#define SEED_SUM_S      0.10f /* ... by this sum of scores over time: 400 ms of 0.25 */
#define SEED_EDGE       0.01f /* of the shorter side */
#define ENTER_PER_S     0.02f /* of the shorter side: slower, a camera brings nothing in */
#define SEED_GAP_NS     250000000
#define SEED_OVERLAP    0.3f
#define DAMP_S          0.4f /* a lost face's velocity fades */
#define GROW_START      0.06f
#define GROW_END        0.35f /* part of the size on each side when the hold ends */
#define BEHIND_GROW     0.15f /* of the kept face's box on each side: ears and neck hide as well */
#define BEHIND_HAIR     0.30f /* and above */
#define BEHIND_MOST_NS  2000000000
#define BEHIND_SEEN_NS  200000000 /* ago */
#define NS              1e-9f

/* A place where something is found, too weakly for a track. */
typedef struct {
    vl_rect box;
    float sum_s; /* of scores over time */
    int64_t seen_ns;
} seed;

struct vl_tracker {
    vl_track *tracks; /* [VL_TRACK_MAX] */
    size_t n;
    seed seeds[SEEDS];
    size_t n_seeds;
    uint32_t next_id;
    int64_t pts_ns;
    bool started;
    vl_assign *assign;
    vl_assign_pair *pairs; /* [VL_TRACK_MAX * PAIRS_PER_TRACK] */
    int32_t *row_track;    /* [VL_TRACK_MAX] rows of the assignment problem */
    int32_t *col_det;      /* [VL_TRACK_DET_MAX] its columns, sorted by centre x */
    int32_t *col_of_row;   /* [VL_TRACK_MAX] */
    int32_t *det_of_track; /* [VL_TRACK_MAX] -1: none */
    uint8_t *det_used;     /* [VL_TRACK_DET_MAX] */
    float *best, *second;  /* [VL_TRACK_DET_MAX] cheapest and next cheapest cost of a column */
    float *row_best, *row_second; /* [VL_TRACK_MAX] */
};

vl_rect vl_track_hull(vl_rect a, vl_rect b) {
    float x = fminf(a.x, b.x), y = fminf(a.y, b.y);
    return (vl_rect){x, y, fmaxf(a.x + a.w, b.x + b.w) - x, fmaxf(a.y + a.h, b.y + b.h) - y};
}

vl_rect vl_track_grown(vl_rect r, float part) {
    return (vl_rect){r.x - r.w * part, r.y - r.h * part, r.w * (1 + 2 * part),
                     r.h * (1 + 2 * part)};
}

int vl_track_create(vl_tracker **out) {
    *out = NULL;
    vl_tracker *t = vl_mem_alloc(1, sizeof *t);
    if (t == NULL)
        return VEIL_E_NOMEM;
    int err = vl_assign_create(&t->assign);
    if (err != VEIL_OK)
        goto fail;
    err = VEIL_E_NOMEM;
    t->tracks = vl_mem_alloc(VL_TRACK_MAX, sizeof *t->tracks);
    t->pairs = vl_mem_alloc(VL_TRACK_MAX * PAIRS_PER_TRACK, sizeof *t->pairs);
    t->row_track = vl_mem_alloc(VL_TRACK_MAX, sizeof *t->row_track);
    t->col_det = vl_mem_alloc(VL_TRACK_DET_MAX, sizeof *t->col_det);
    t->col_of_row = vl_mem_alloc(VL_TRACK_MAX, sizeof *t->col_of_row);
    t->det_of_track = vl_mem_alloc(VL_TRACK_MAX, sizeof *t->det_of_track);
    t->det_used = vl_mem_alloc(VL_TRACK_DET_MAX, sizeof *t->det_used);
    t->best = vl_mem_alloc(VL_TRACK_DET_MAX, sizeof *t->best);
    t->second = vl_mem_alloc(VL_TRACK_DET_MAX, sizeof *t->second);
    t->row_best = vl_mem_alloc(VL_TRACK_MAX, sizeof *t->row_best);
    t->row_second = vl_mem_alloc(VL_TRACK_MAX, sizeof *t->row_second);
    if (!t->tracks || !t->pairs || !t->row_track || !t->col_det || !t->col_of_row ||
        !t->det_of_track || !t->det_used || !t->best || !t->second || !t->row_best ||
        !t->row_second)
        goto fail;
    t->next_id = 1;
    *out = t;
    return VEIL_OK;
fail:
    vl_track_destroy(t);
    return err;
}

void vl_track_destroy(vl_tracker *t) {
    if (t == NULL)
        return;
    vl_assign_destroy(t->assign);
    vl_mem_free(t->tracks);
    vl_mem_free(t->pairs);
    vl_mem_free(t->row_track);
    vl_mem_free(t->col_det);
    vl_mem_free(t->col_of_row);
    vl_mem_free(t->det_of_track);
    vl_mem_free(t->det_used);
    vl_mem_free(t->best);
    vl_mem_free(t->second);
    vl_mem_free(t->row_best);
    vl_mem_free(t->row_second);
    vl_mem_free(t);
}

void vl_track_reset(vl_tracker *t) {
    t->n = t->n_seeds = 0;
    t->started = false;
}

vl_track *vl_track_list(vl_tracker *t, size_t *n) {
    *n = t->n;
    return t->tracks;
}

bool vl_track_used(const vl_tracker *t, size_t det) {
    return t->det_used[det] != 0;
}

/* ------------------------------------------------------------------ prediction */

static void predict(vl_tracker *t, const vl_track_rules *rules, int64_t pts_ns,
                    const vl_motion *camera) {
    float dt = t->started ? (float)(pts_ns - t->pts_ns) * NS : 0;
    dt = fminf(fmaxf(dt, 0), 1);
    for (size_t i = 0; i < t->n; i++) {
        vl_track *k = &t->tracks[i];
        vl_kalman_predict(&k->k, dt);
        if (rules->kind == VEIL_TRACKER_BYTETRACK)
            vl_kalman_camera(&k->k, camera);
        if (k->lost > 0)
            vl_kalman_damp(&k->k, expf(-dt / DAMP_S));
        k->age++;
        k->lost++;
        k->detected = false;
        k->unsure = false;
        k->score = 0;
        k->gap_ns = 0;
        k->box = vl_kalman_box(&k->k);
        t->det_of_track[i] = -1;
    }
    t->pts_ns = pts_ns;
    t->started = true;
}

/* ------------------------------------------------------------------ association */

static float center_x(const veil_detection *d) {
    return d->x + d->w / 2;
}

/* Columns: unused detections with low <= score < high, sorted by centre x (insertion into a sorted
 * prefix would be quadratic; heap sort is not and needs no context). */
static void sift(const veil_detection *d, int32_t *c, size_t n, size_t i) {
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n)
            return;
        if (child + 1 < n && center_x(&d[c[child + 1]]) > center_x(&d[c[child]]))
            child++;
        if (center_x(&d[c[child]]) <= center_x(&d[c[i]]))
            return;
        int32_t s = c[i];
        c[i] = c[child];
        c[child] = s;
        i = child;
    }
}

static int32_t choose_columns(vl_tracker *t, const veil_detection *dets, size_t n_dets, float low,
                              float high) {
    size_t n = 0;
    for (size_t i = 0; i < n_dets; i++)
        if (!t->det_used[i] && dets[i].score >= low && dets[i].score < high)
            t->col_det[n++] = (int32_t)i;
    for (size_t i = n / 2; i-- > 0;)
        sift(dets, t->col_det, n, i);
    for (size_t k = n; k > 1; k--) {
        int32_t s = t->col_det[0];
        t->col_det[0] = t->col_det[k - 1];
        t->col_det[k - 1] = s;
        sift(dets, t->col_det, k - 1, 0);
    }
    return (int32_t)n;
}

static int64_t min_ns(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static float side_px(const vl_track_rules *rules) {
    return fminf(rules->width_px, rules->height_px);
}

/* Clothes and stairs give weak detections without end; a network that sees a face so large mostly
 * becomes sure of it. Small faces it may never be sure of: nothing is asked of them. */
static bool is_large(vl_rect r, const vl_track_rules *rules) {
    return r.h > LARGE * side_px(rules);
}

/* Rows: tracks without a detection so far; weak: of those that weak ones may carry on. */
static int32_t choose_rows(vl_tracker *t, bool weak) {
    int32_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        const vl_track *k = &t->tracks[i];
        bool ends = weak && k->doubtful && t->pts_ns - k->sure_ns > VL_TRACK_DOUBTFUL_NS;
        if (t->det_of_track[i] < 0 && !ends)
            t->row_track[n++] = (int32_t)i;
    }
    return n;
}

typedef enum { BY_OVERLAP, BY_DISTANCE } measure;

/* Cost of giving detection d to track k; HUGE_VALF: impossible. */
static float cost_of(const vl_track *k, const veil_detection *d, measure by, float buffer) {
    vl_rect a = k->box, b = vl_frame_rect(d);
    float ratio = fabsf(logf((b.w * b.h) / fmaxf(a.w * a.h, 1e-6f))); /* of the areas */
    if (ratio > 1.8f)
        return HUGE_VALF;
    float dist = hypotf(a.x + a.w / 2 - b.x - b.w / 2, a.y + a.h / 2 - b.y - b.h / 2);
    float size = sqrtf(fmaxf(a.w * a.h, b.w * b.h)), doubt = vl_kalman_spread_px(&k->k);
    float reach = (by == BY_OVERLAP ? REACH_OVERLAP : REACH_DISTANCE) * size + REACH_DOUBT * doubt;
    reach = fminf(reach, REACH_MOST * size);
    if (!(dist < reach))
        return HUGE_VALF;
    if (by == BY_OVERLAP) {
        float o = vl_frame_overlap(vl_track_grown(a, buffer), vl_track_grown(b, buffer));
        return o > 0 ? fmaxf(1 - o, 0) + 0.1f * ratio : HUGE_VALF; /* rounding may give o > 1 */
    }
    return dist / reach + 0.2f * ratio;
}

/* First column whose centre is at x or right of it. */
static int32_t first_column(const vl_tracker *t, const veil_detection *dets, int32_t n, float x) {
    int32_t low = 0, high = n;
    while (low < high) {
        int32_t mid = (low + high) / 2;
        if (center_x(&dets[t->col_det[mid]]) < x)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Keeps the cheapest PAIRS_PER_TRACK pairs of a row. */
static size_t add_pair(vl_assign_pair *row, size_t n, vl_assign_pair p) {
    if (n < PAIRS_PER_TRACK) {
        row[n] = p;
        return n + 1;
    }
    size_t worst = 0;
    for (size_t i = 1; i < n; i++)
        if (row[i].cost > row[worst].cost)
            worst = i;
    if (p.cost < row[worst].cost)
        row[worst] = p;
    return n;
}

static void note_rivals(vl_tracker *t, const vl_assign_pair *p) {
    float *best[2] = {&t->best[p->col], &t->row_best[p->row]};
    float *second[2] = {&t->second[p->col], &t->row_second[p->row]};
    for (int i = 0; i < 2; i++) {
        if (p->cost < *best[i]) {
            *second[i] = *best[i];
            *best[i] = p->cost;
        } else if (p->cost < *second[i]) {
            *second[i] = p->cost;
        }
    }
}

static size_t make_pairs(vl_tracker *t, const veil_detection *dets, int32_t rows, int32_t cols,
                         measure by, float buffer, float limit) {
    size_t n = 0;
    float widest = 0;
    for (int32_t c = 0; c < cols; c++) {
        widest = fmaxf(widest, fmaxf(dets[t->col_det[c]].w, dets[t->col_det[c]].h));
        t->best[c] = t->second[c] = HUGE_VALF;
    }
    for (int32_t r = 0; r < rows; r++) {
        const vl_track *k = &t->tracks[t->row_track[r]];
        float x = k->box.x + k->box.w / 2;
        float far = by == BY_OVERLAP ? (k->box.w + widest) * (0.5f + buffer)
                                     : REACH_DISTANCE * fmaxf(widest, sqrtf(k->box.w * k->box.h)) +
                                           REACH_DOUBT * vl_kalman_spread_px(&k->k);
        size_t in_row = 0;
        t->row_best[r] = t->row_second[r] = HUGE_VALF;
        for (int32_t c = first_column(t, dets, cols, x - far); c < cols; c++) {
            const veil_detection *d = &dets[t->col_det[c]];
            if (center_x(d) > x + far)
                break;
            vl_assign_pair p = {r, c, cost_of(k, d, by, buffer)};
            if (p.cost < limit) {
                in_row = add_pair(t->pairs + n, in_row, p);
                note_rivals(t, &p);
            }
        }
        n += in_row;
    }
    return n;
}

/* One round of matching: with sure detections or with the weak ones, by overlap or far. */
typedef enum { SURE, WEAK, FAR } matching;

static int associate(vl_tracker *t, const vl_track_rules *rules, const veil_detection *dets,
                     size_t n_dets, matching round) {
    float low = round == WEAK ? rules->low_score : rules->min_score;
    float high = round == WEAK ? rules->min_score : HUGE_VALF;
    float buffer = round == SURE ? BUFFER_SURE : round == WEAK ? BUFFER_WEAK : 0;
    float limit = round == SURE ? UNMATCHED_SURE : round == WEAK ? UNMATCHED_WEAK : UNMATCHED_FAR;
    measure by = round == FAR ? BY_DISTANCE : BY_OVERLAP;
    int32_t cols = choose_columns(t, dets, n_dets, low, high);
    int32_t rows = choose_rows(t, round == WEAK);
    if (rows == 0 || cols == 0)
        return VEIL_OK;
    size_t n = make_pairs(t, dets, rows, cols, by, buffer, limit);
    int err = vl_assign_solve(t->assign, rows, cols, t->pairs, n, limit, t->col_of_row);
    if (err != VEIL_OK)
        return err;
    for (int32_t r = 0; r < rows; r++) {
        int32_t c = t->col_of_row[r];
        if (c < 0)
            continue;
        vl_track *k = &t->tracks[t->row_track[r]];
        t->det_of_track[t->row_track[r]] = t->col_det[c];
        t->det_used[t->col_det[c]] = 1;
        k->unsure = round == FAR || t->second[c] < t->best[c] + RIVAL ||
                    t->row_second[r] < t->row_best[r] + RIVAL;
    }
    return VEIL_OK;
}

/* ------------------------------------------------------------------ life of a track */

static void see(vl_track *k, const vl_track_rules *rules, const veil_detection *d, int64_t pts_ns) {
    bool weak = d->score < rules->min_score;
    vl_rect b = vl_frame_rect(d);
    vl_kalman_update(&k->k, b, weak ? 3.0f : 1.0f);
    k->box = b;
    k->gap_ns = k->hits > 0 ? pts_ns - k->seen_ns : 0;
    k->score = d->score;
    k->interview = d->interview;
    k->detected = true;
    k->lost = 0;
    k->hits++;
    k->seen_ns = pts_ns;
    k->behind_ns = 0;
    if (!weak) {
        k->sure_ns = pts_ns;
        k->sure = true;
    }
    k->proven = k->proven || d->score >= fminf(rules->min_score + PROVEN, PROVEN_MOST);
    k->doubtful = !k->proven && is_large(b, rules);
}

static int start(vl_tracker *t, const vl_track_rules *rules, const veil_detection *d,
                 int64_t pts_ns) {
    if (t->n == VL_TRACK_MAX || t->next_id == UINT32_MAX)
        return VEIL_E_SIZE;
    vl_track *k = &t->tracks[t->n++];
    *k = (vl_track){.id = t->next_id++, .born_ns = pts_ns, .sure_ns = pts_ns};
    vl_kalman_start(&k->k, vl_frame_rect(d));
    see(k, rules, d, pts_ns);
    return VEIL_OK;
}

/* Lost where a larger face is that is seen and kept: it is behind it, and the time there does not
 * count, so that it is still hidden when it comes out. */
static bool is_behind(const vl_tracker *t, const vl_track *k, int64_t pts_ns) {
    float x = k->box.x + k->box.w / 2, y = k->box.y + k->box.h / 2;
    for (size_t i = 0; i < t->n; i++) {
        const vl_track *o = &t->tracks[i];
        vl_rect r = vl_track_grown(o->box, BEHIND_GROW);
        r.y -= BEHIND_HAIR * o->box.h;
        r.h += BEHIND_HAIR * o->box.h;
        if (o != k && pts_ns - o->seen_ns <= BEHIND_SEEN_NS && o->evidence.keep &&
            o->box.w * o->box.h > k->box.w * k->box.h && x > r.x && x < r.x + r.w && y > r.y &&
            y < r.y + r.h)
            return true;
    }
    return false;
}

static void wait_behind(vl_tracker *t, int64_t pts_ns, int64_t dt_ns) {
    for (size_t i = 0; i < t->n; i++) {
        vl_track *k = &t->tracks[i];
        if (k->lost > 0 && !k->evidence.keep && k->behind_ns < BEHIND_MOST_NS &&
            is_behind(t, k, pts_ns))
            k->behind_ns += dt_ns;
    }
}

static int64_t lost_ns(const vl_track *k, int64_t pts_ns) {
    return pts_ns - k->seen_ns - k->behind_ns;
}

/* A detection is hidden together with where the filter takes the face to be; a lost face more the
 * longer it is lost. */
static void set_cover(vl_track *k, int64_t pts_ns, int64_t hold_ns) {
    if (k->detected) {
        k->cover = vl_track_hull(k->box, vl_kalman_box(&k->k));
        return;
    }
    float part = hold_ns > 0 ? (float)lost_ns(k, pts_ns) / (float)hold_ns : 0;
    part = fminf(fmaxf(part, 0), 1);
    float size = sqrtf(fmaxf(k->box.w * k->box.h, 1));
    float spread = fminf(vl_kalman_spread_px(&k->k) / size, GROW_END);
    k->cover = vl_track_grown(k->box, fmaxf(GROW_START + (GROW_END - GROW_START) * part, spread));
}

static int64_t held_ns(const vl_track *k, const vl_track_rules *rules) {
    if (!k->sure)
        return min_ns(rules->hold_ns, VL_TRACK_EARLY_NS);
    return k->doubtful ? min_ns(rules->hold_ns, VL_TRACK_DOUBTFUL_NS) : rules->hold_ns;
}

static void drop(vl_tracker *t, const vl_track_rules *rules, int64_t pts_ns) {
    size_t kept = 0;
    for (size_t i = 0; i < t->n; i++) {
        const vl_track *k = &t->tracks[i];
        bool gone = k->lost > 0 &&
                    (rules->kind == VEIL_TRACKER_NONE || lost_ns(k, pts_ns) > held_ns(k, rules));
        if (!gone)
            t->tracks[kept++] = *k;
    }
    t->n = kept;
}

/* ------------------------------------------------------------------ weak but steady */

static void move_seeds(vl_tracker *t, const vl_motion *m, int64_t pts_ns) {
    size_t kept = 0;
    for (size_t i = 0; i < t->n_seeds; i++) {
        seed s = t->seeds[i];
        float x = s.box.x + s.box.w / 2, y = s.box.y + s.box.h / 2;
        vl_motion_point(m, &x, &y);
        s.box.x = x - s.box.w / 2;
        s.box.y = y - s.box.h / 2;
        if (pts_ns - s.seen_ns <= SEED_GAP_NS)
            t->seeds[kept++] = s;
    }
    t->n_seeds = kept;
}

static float edge_px(const vl_track_rules *rules) {
    return SEED_EDGE * side_px(rules);
}

static bool at_edge(vl_rect b, const vl_track_rules *rules) {
    float near = edge_px(rules);
    return b.x < near || b.y < near || b.x + b.w > rules->width_px - near ||
           b.y + b.h > rules->height_px - near;
}

/* Part of a face that is followed already? */
static bool at_track(const vl_tracker *t, vl_rect b) {
    float x = b.x + b.w / 2, y = b.y + b.h / 2;
    for (size_t i = 0; i < t->n; i++) {
        vl_rect r = t->tracks[i].box;
        if ((x > r.x && x < r.x + r.w && y > r.y && y < r.y + r.h) || vl_frame_overlap(r, b) > 0.1f)
            return true;
    }
    return false;
}

/* The seed at this place, or a new one; NULL: there is no room. */
static seed *seed_at(vl_tracker *t, vl_rect b, int64_t pts_ns) {
    seed *best = NULL;
    float most = SEED_OVERLAP;
    for (size_t i = 0; i < t->n_seeds; i++) {
        float o = t->seeds[i].seen_ns < pts_ns ? vl_frame_overlap(t->seeds[i].box, b) : 0;
        if (o > most) {
            most = o;
            best = &t->seeds[i];
        }
    }
    if (best == NULL && t->n_seeds < SEEDS) {
        best = &t->seeds[t->n_seeds++];
        *best = (seed){.seen_ns = pts_ns - STANDS_FIRST_NS};
    }
    return best;
}

/* Of a face that the picture's edge cuts the network never becomes sure. Weak detections that go on
 * at one place there start a track late; look-ahead carries it back over them. Large ones are left
 * out: they are arms and coats more often than faces. */
static int start_steady(vl_tracker *t, const vl_track_rules *rules, const veil_detection *dets,
                        size_t n, int64_t pts_ns) {
    for (size_t i = 0; i < n; i++) {
        const veil_detection *d = &dets[i];
        vl_rect b = vl_frame_rect(d);
        if (t->det_used[i] || d->score < SEED_SCORE || d->score >= rules->min_score ||
            !at_edge(b, rules) || is_large(b, rules) || at_track(t, b))
            continue;
        seed *s = seed_at(t, b, pts_ns);
        if (s == NULL)
            continue;
        s->sum_s += d->score * (float)min_ns(pts_ns - s->seen_ns, STANDS_NS) * NS;
        s->seen_ns = pts_ns;
        s->box = b;
        if (s->sum_s < SEED_SUM_S)
            continue;
        *s = t->seeds[--t->n_seeds];
        t->det_used[i] = 1;
        int err = start(t, rules, d, pts_ns);
        if (err != VEIL_OK)
            return err;
        t->tracks[t->n - 1].sure = true; /* by having gone on */
    }
    return VEIL_OK;
}

/* Does the camera's movement bring this place into the picture, at the edge where it lies? Large
 * ones are left out, as start_steady does, except for slivers of a face. */
static bool is_coming_in(vl_rect b, const vl_track_rules *rules, const vl_motion *camera,
                         int64_t dt_ns) {
    float side = side_px(rules), near = edge_px(rules);
    float least = ENTER_PER_S * side * (float)dt_ns * NS; /* px */
    float x = b.x + b.w / 2, y = b.y + b.h / 2, to_x = x, to_y = y;
    if (dt_ns <= 0 || fminf(b.w, b.h) > LARGE * side)
        return false;
    vl_motion_point(camera, &to_x, &to_y);
    return (b.x < near && to_x - x > least) || (b.y < near && to_y - y > least) ||
           (b.x + b.w > rules->width_px - near && x - to_x > least) ||
           (b.y + b.h > rules->height_px - near && y - to_y > least);
}

/* Where no frame waits for the next ones, a face must be hidden before the network is sure of it;
 * one that a moving camera brings in, as soon as there is anything of it. What is taken for one in
 * passing goes as soon as it does. */
static int start_early(vl_tracker *t, const vl_track_rules *rules, const veil_detection *dets,
                       size_t n, const vl_motion *camera, int64_t pts_ns, int64_t dt_ns) {
    for (size_t i = 0; i < n && dets[i].score >= rules->low_score; i++) {
        vl_rect b = vl_frame_rect(&dets[i]);
        if (t->det_used[i] ||
            (dets[i].score < rules->early_score && !is_coming_in(b, rules, camera, dt_ns)) ||
            at_track(t, b))
            continue;
        t->det_used[i] = 1;
        int err = start(t, rules, &dets[i], pts_ns);
        if (err != VEIL_OK)
            return err;
    }
    return VEIL_OK;
}

static int match_all(vl_tracker *t, const vl_track_rules *rules, const veil_detection *dets,
                     size_t n) {
    if (rules->kind == VEIL_TRACKER_NONE)
        return VEIL_OK;
    int err = associate(t, rules, dets, n, SURE);
    if (rules->kind == VEIL_TRACKER_SORT)
        return err;
    if (err == VEIL_OK)
        err = associate(t, rules, dets, n, WEAK);
    if (err == VEIL_OK)
        err = associate(t, rules, dets, n, FAR);
    return err;
}

int vl_track_step(vl_tracker *t, const vl_track_rules *rules, int64_t pts_ns,
                  const vl_motion *camera, const veil_detection *dets, size_t n_dets) {
    if (n_dets > VL_TRACK_DET_MAX)
        return VEIL_E_SIZE;
    int64_t dt_ns = t->started && pts_ns > t->pts_ns ? pts_ns - t->pts_ns : 0;
    predict(t, rules, pts_ns, camera);
    move_seeds(t, camera, pts_ns);
    if (dets != NULL) {
        memset(t->det_used, 0, VL_TRACK_DET_MAX);
        int err = match_all(t, rules, dets, n_dets);
        if (err != VEIL_OK)
            return err;
        for (size_t i = 0; i < t->n; i++) {
            if (t->det_of_track[i] < 0)
                continue;
            see(&t->tracks[i], rules, &dets[t->det_of_track[i]], pts_ns);
        }
        wait_behind(t, pts_ns, dt_ns);
        drop(t, rules, pts_ns);
        for (size_t i = 0; i < n_dets; i++) {
            if (t->det_used[i] || dets[i].score < rules->min_score)
                continue;
            t->det_used[i] = 1;
            err = start(t, rules, &dets[i], pts_ns);
            if (err != VEIL_OK)
                return err;
        }
        if (rules->kind == VEIL_TRACKER_BYTETRACK)
            err = start_steady(t, rules, dets, n_dets, pts_ns);
        if (err == VEIL_OK && rules->early_score > 0)
            err = start_early(t, rules, dets, n_dets, camera, pts_ns, dt_ns);
        if (err != VEIL_OK)
            return err;
    }
    if (dets == NULL)
        wait_behind(t, pts_ns, dt_ns);
    for (size_t i = 0; i < t->n; i++)
        set_cover(&t->tracks[i], pts_ns, rules->hold_ns);
    return VEIL_OK;
}
