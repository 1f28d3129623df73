/* leak.c - leak figures. A bystander's face frame is exposed when less than `cover` of the face is
 * hidden; exposed frames of one person in a row are one leak, as long as these frames are shown.
 * A frame in which the person is absent or too covered to count ends the leak. */
#include "leak.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS = 24 }; /* sample points across a face */

/* The library's ellipse goes through the corners of the padded box's inner 4/5. */
#define ELLIPSE_GROW (0.8 * 1.41421356)

/* What is remembered of one labelled person. */
typedef struct {
    int id;
    long track; /* id of the track that followed it last, when followed */
    int followed;
    size_t seen;     /* number of the add call that saw it last */
    size_t matched;  /* number of the add call that gave it a track last */
    size_t open_run; /* 1 + index of its leak that still runs, 0 = none */
} person;

struct ev_leak_state {
    ev_leak_rules rules;
    ev_leak_figures f;
    size_t adds;
    person *people;
    size_t n_people, cap_people;
    ev_leak_run *runs;
    size_t cap_runs;
    double *ious;
    size_t n_ious, cap_ious;
    ev_mask last_mask;
    int have_mask;
    size_t mask_frame; /* number of the frame of last_mask */
};

void ev_leak_rules_init(ev_leak_rules *rules) {
    *rules = (ev_leak_rules){
        .cover = 0.5, .max_occluded = 0.7, .padding = 0.20, .big_px = 24, .ellipse = 1};
}

ev_leak_state *ev_leak_new(const ev_leak_rules *rules) {
    ev_leak_state *s = calloc(1, sizeof *s);
    if (s)
        s->rules = *rules;
    return s;
}

void ev_leak_free(ev_leak_state *state) {
    if (!state)
        return;
    free(state->people);
    free(state->runs);
    free(state->ious);
    free(state);
}

int ev_leak_counts(const ev_leak_rules *rules, const ev_truth_face *face) {
    return face->box.w > 0 && face->box.h > 0 && face->occluded <= rules->max_occluded;
}

int ev_leak_hidden(const ev_leak_rules *rules, const ev_truth_face *face) {
    return face->hidden >= rules->cover;
}

/* How much wider than the box the mask is. */
static double growth(const ev_leak_rules *rules) {
    return (1 + 2 * rules->padding) * (rules->ellipse ? ELLIPSE_GROW : 1);
}

/* Is the point inside the mask that this track draws? */
static int inside_mask(const ev_leak_rules *rules, const ev_track_box *t, double x, double y) {
    if (!t->hide || t->box.w <= 0 || t->box.h <= 0)
        return 0;
    double grow = growth(rules);
    double dx = (x - (t->box.x + t->box.w / 2)) / (t->box.w * grow / 2);
    double dy = (y - (t->box.y + t->box.h / 2)) / (t->box.h * grow / 2);
    return rules->ellipse ? dx * dx + dy * dy <= 1 : fabs(dx) <= 1 && fabs(dy) <= 1;
}

static int inside_any(const ev_leak_rules *rules, const ev_track_box *tracks, size_t n, double x,
                      double y) {
    for (size_t i = 0; i < n; i++)
        if (inside_mask(rules, &tracks[i], x, y))
            return 1;
    return 0;
}

void ev_leak_cover(const ev_leak_rules *rules, ev_truth_face *faces, size_t n_faces,
                   const ev_track_box *tracks, size_t n_tracks, int covered) {
    for (size_t i = 0; i < n_faces; i++) {
        int total = 0, hit = 0;
        ev_box b = faces[i].box;
        for (int r = 0; r < CELLS; r++)
            for (int c = 0; c < CELLS; c++) {
                double u = (c + 0.5) / CELLS, v = (r + 0.5) / CELLS;
                if ((u - 0.5) * (u - 0.5) + (v - 0.5) * (v - 0.5) > 0.25)
                    continue;
                total++;
                hit += inside_any(rules, tracks, n_tracks, b.x + u * b.w, b.y + v * b.h);
            }
        faces[i].hidden = covered ? 1 : (double)hit / total;
    }
}

/* First cell whose centre lies at or after x of a picture with this many px a cell. */
static int first_cell(double x, double px_per_cell, int cells) {
    double c = ceil(x / px_per_cell - 0.5);
    return c < 0 ? 0 : c > cells ? cells : (int)c;
}

void ev_leak_draw(const ev_leak_rules *rules, ev_mask *mask, const ev_track_box *tracks,
                  size_t n_tracks, int covered, double width, double height) {
    memset(mask, covered ? 1 : 0, sizeof *mask);
    double cell_w = width / EV_MASK_COLS, cell_h = height / EV_MASK_ROWS;
    for (size_t i = 0; i < n_tracks && !covered; i++) {
        ev_box b = tracks[i].box;
        double out = (growth(rules) - 1) / 2, px = b.w * out, py = b.h * out;
        int c0 = first_cell(b.x - px, cell_w, EV_MASK_COLS);
        int c1 = first_cell(b.x + b.w + px, cell_w, EV_MASK_COLS);
        int r0 = first_cell(b.y - py, cell_h, EV_MASK_ROWS);
        int r1 = first_cell(b.y + b.h + py, cell_h, EV_MASK_ROWS);
        for (int r = r0; r < r1; r++)
            for (int c = c0; c < c1; c++)
                if (inside_mask(rules, &tracks[i], (c + 0.5) * cell_w, (r + 0.5) * cell_h))
                    mask->cell[r][c] = 1;
    }
}

static person *find_person(ev_leak_state *s, int id) {
    for (size_t i = 0; i < s->n_people; i++)
        if (s->people[i].id == id)
            return &s->people[i];
    void *p = s->people;
    if (ev_box_grow(&p, s->n_people, &s->cap_people, sizeof *s->people))
        return NULL;
    s->people = p;
    person *new = &s->people[s->n_people++];
    *new = (person){.id = id};
    return new;
}

static int add_exposed(ev_leak_state *s, person *who, const ev_truth_face *face, size_t frame,
                       double pts_s, double length_s) {
    if (!who->open_run) {
        void *p = s->runs;
        if (ev_box_grow(&p, s->f.n_runs, &s->cap_runs, sizeof *s->runs))
            return -1;
        s->runs = p;
        s->runs[s->f.n_runs++] = (ev_leak_run){.id = face->id, .first = frame, .start_s = pts_s};
        who->open_run = s->f.n_runs;
    }
    ev_leak_run *run = &s->runs[who->open_run - 1];
    run->last = frame;
    run->length_ms += length_s * 1000;
    if (face->box.h > run->height_px) {
        run->height_px = face->box.h;
        run->box = face->box;
        run->at = frame;
    }
    s->f.exposed++;
    return 0;
}

static int add_background(ev_leak_state *s, const ev_truth_face *face, size_t frame, double pts_s,
                          double length_s) {
    int hidden = ev_leak_hidden(&s->rules, face), big = face->box.h >= s->rules.big_px;
    person *who = find_person(s, face->id);
    if (!who)
        return -1;
    if (who->seen + 1 != s->adds)
        who->open_run = 0;
    who->seen = s->adds;
    s->f.faces++;
    s->f.faces_hidden += (size_t)hidden;
    s->f.big_faces += (size_t)big;
    s->f.big_faces_hidden += (size_t)(big && hidden);
    if (!hidden)
        return add_exposed(s, who, face, frame, pts_s, length_s);
    who->open_run = 0;
    return 0;
}

/* The free track that fits the face best (IoU at least 0.5); the one it had before comes first. */
static size_t match(const person *who, ev_box box, const ev_track_box *tracks,
                    const unsigned char *taken, size_t n) {
    size_t which = n;
    double best = 0.5;
    for (size_t i = 0; i < n; i++) {
        double iou = taken[i] ? 0 : ev_box_iou(box, tracks[i].box);
        if (iou >= 0.5 && who->followed && tracks[i].id == who->track)
            return i;
        if (iou >= best) {
            best = iou;
            which = i;
        }
    }
    return which;
}

static int count_switches(ev_leak_state *s, const ev_truth_face *faces, size_t n_faces,
                          const ev_track_box *tracks, size_t n_tracks) {
    unsigned char *taken = calloc(n_tracks ? n_tracks : 1, 1);
    if (!taken)
        return -1;
    /* First the faces that still have their track, so that nobody else is given it. */
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < n_faces; i++) {
            person *who = find_person(s, faces[i].id);
            if (!who) {
                free(taken);
                return -1;
            }
            size_t t = match(who, faces[i].box, tracks, taken, n_tracks);
            int same = t < n_tracks && who->followed && tracks[t].id == who->track;
            if (t == n_tracks || !ev_leak_counts(&s->rules, &faces[i]) || same != (pass == 0) ||
                who->matched == s->adds)
                continue;
            if (!same && who->followed)
                s->f.id_switches++;
            who->followed = 1;
            who->matched = s->adds;
            who->track = tracks[t].id;
            taken[t] = 1;
        }
    free(taken);
    return 0;
}

/* Only frames that follow each other are compared. */
static int add_mask(ev_leak_state *s, size_t frame, const ev_mask *mask) {
    size_t both = 0, either = 0;
    for (int r = 0; r < EV_MASK_ROWS; r++)
        for (int c = 0; c < EV_MASK_COLS; c++) {
            both += mask->cell[r][c] && s->last_mask.cell[r][c];
            either += mask->cell[r][c] || s->last_mask.cell[r][c];
        }
    int compare = s->have_mask && either > 0 && s->mask_frame + 1 == frame;
    s->mask_frame = frame;
    s->last_mask = *mask;
    s->have_mask = 1;
    if (!compare)
        return 0;
    void *p = s->ious;
    if (ev_box_grow(&p, s->n_ious, &s->cap_ious, sizeof *s->ious))
        return -1;
    s->ious = p;
    s->ious[s->n_ious++] = (double)both / (double)either;
    return 0;
}

int ev_leak_add(ev_leak_state *state, size_t frame, double pts_s, double length_s,
                const ev_truth_face *faces, size_t n_faces, const ev_track_box *tracks,
                size_t n_tracks, const ev_mask *mask) {
    state->adds++;
    state->f.n_frames++;
    state->f.seconds += length_s;
    for (size_t i = 0; i < n_faces; i++) {
        if (!ev_leak_counts(&state->rules, &faces[i]))
            continue;
        if (faces[i].class == EV_INTERVIEW) {
            state->f.speaker++;
            state->f.speaker_hidden += (size_t)ev_leak_hidden(&state->rules, &faces[i]);
        } else if (add_background(state, &faces[i], frame, pts_s, length_s)) {
            return -1;
        }
    }
    if (tracks && count_switches(state, faces, n_faces, tracks, n_tracks))
        return -1;
    return mask ? add_mask(state, frame, mask) : 0;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

ev_leak_figures ev_leak_result(ev_leak_state *state) {
    ev_leak_figures f = state->f;
    double minutes = f.seconds / 60;
    if (minutes > 0) {
        f.exposed_per_minute = (double)f.exposed / minutes;
        f.big_exposed_per_minute = (double)(f.big_faces - f.big_faces_hidden) / minutes;
    }
    for (size_t i = 0; i < f.n_runs; i++) {
        f.longest_leak_ms = fmax(f.longest_leak_ms, state->runs[i].length_ms);
        if (state->runs[i].height_px >= state->rules.big_px)
            f.big_longest_leak_ms = fmax(f.big_longest_leak_ms, state->runs[i].length_ms);
    }
    f.runs = state->runs;
    f.mask_pairs = state->n_ious;
    f.mask_iou_mean = f.mask_iou_p5 = f.mask_iou_min = 1;
    if (state->n_ious) {
        double sum = 0;
        for (size_t i = 0; i < state->n_ious; i++)
            sum += state->ious[i];
        f.mask_iou_mean = sum / (double)state->n_ious;
        qsort(state->ious, state->n_ious, sizeof *state->ious, ascending);
        f.mask_iou_min = state->ious[0];
        f.mask_iou_p5 = state->ious[(state->n_ious - 1) * 5 / 100];
    }
    return f;
}
