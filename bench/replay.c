/* Tracking, decision, look-ahead and drawing on a labelled clip with the network's detections saved
 * once: what another rule of the tracker hides, without running the network again. Figures are
 * those of `veil eval video`, from the pixels, without a codec between. Tunes nothing by itself. */
#include "../cli/eval_clip.h"
#include "../cli/eval_labels.h"
#include "veil_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAVED_SCORE 0.02f /* weaker detections are not saved */

typedef struct {
    veil_detection *d;
    size_t n;
} detections;

typedef struct {
    const char *clip, *labels, *saved, *model, *tracks, *name;
    double lookahead_ms, min_score, low_score;
} settings;

/* A frame on its way: as it came in, and as it will go out. */
typedef struct {
    long index;
    double pts_s;
    int width, height;
    uint8_t *before, *pixels; /* luma; I420 */
} held;

typedef struct {
    const settings *s;
    detections *frames;
    size_t n_frames, cap_frames;
    labels truth;
    size_t next_label;
    ev_leak_state *leaks;
    ev_mask mask;
    veil *v;
    FILE *tracks;
    size_t n_masks; /* hidden faces of all frames, inside the picture */
} replay;

/* ------------------------------------------------------------------ saved detections */

static int add_frame(replay *r, const veil_detection *d, size_t n) {
    if (r->n_frames == r->cap_frames) {
        size_t cap = r->cap_frames * 2 + 256;
        detections *more = realloc(r->frames, cap * sizeof *more);
        if (more == NULL)
            return evio_say("out of memory");
        r->frames = more;
        r->cap_frames = cap;
    }
    detections *f = &r->frames[r->n_frames];
    *f = (detections){malloc(n * sizeof *d + 1), n};
    if (f->d == NULL)
        return evio_say("out of memory");
    if (n > 0)
        memcpy(f->d, d, n * sizeof *d);
    r->n_frames++;
    return 0;
}

static veil_frame frame_of(const held *h) {
    size_t w = (size_t)h->width, luma = w * (size_t)h->height, half = (w + 1) / 2;
    size_t chroma = half * ((size_t)h->height + 1) / 2;
    return (veil_frame){.plane = {h->pixels, h->pixels + luma, h->pixels + luma + chroma},
                        .stride = {h->width, (ptrdiff_t)half, (ptrdiff_t)half},
                        .width = h->width,
                        .height = h->height,
                        .format = VEIL_FORMAT_I420,
                        .pts_ns = (int64_t)llround(h->pts_s * 1e9)};
}

/* The network on every frame, as `veil run` runs it. */
static int save(replay *r) {
    static veil_detection d[VL_TRACK_DET_MAX];
    size_t n = 0, size = 0;
    veil_net *net = NULL;
    char *model = r->s->model ? evio_read_model(r->s->model, &size) : NULL;
    clip *c = r->s->model && !model ? NULL : clip_open(r->s->clip);
    FILE *out = c ? fopen(r->s->saved, "wb") : NULL;
    int rc = out && veil_net_create(&net, model, size, NULL) == VEIL_OK ? 0 : -1, more = 0;
    bool planned = false;
    while (rc == 0 && (more = clip_next(c)) > 0) {
        const AVFrame *a = clip_picture(c);
        veil_frame f = {.plane = {a->data[0], a->data[1], a->data[2]},
                        .stride = {a->linesize[0], a->linesize[1], a->linesize[2]},
                        .width = a->width,
                        .height = a->height,
                        .format = VEIL_FORMAT_I420};
        int32_t w, h;
        vl_detect_input_size(f.width, f.height, &w, &h);
        if (!planned)
            rc = veil_net_set_size(net, w, h);
        planned = true;
        if (rc == 0)
            rc = veil_net_detect(net, &f, SAVED_SCORE, d, VL_TRACK_DET_MAX, &n);
        uint32_t count = (uint32_t)n;
        if (rc == 0)
            rc = fwrite(&count, sizeof count, 1, out) == 1 && fwrite(d, sizeof *d, n, out) == n
                     ? add_frame(r, d, n)
                     : -1;
    }
    if (out && fclose(out) != 0)
        rc = -1;
    veil_net_destroy(net);
    clip_close(c);
    free(model);
    if (rc == 0 && more == 0)
        return 0;
    if (out)
        remove(r->s->saved); /* half a clip would be taken for a whole one the next time */
    return evio_say("%s: cannot save detections", r->s->saved);
}

static int load(replay *r, FILE *f) {
    static veil_detection d[VL_TRACK_DET_MAX];
    uint32_t n;
    int rc = 0;
    while (rc == 0 && fread(&n, sizeof n, 1, f) == 1)
        rc = n <= VL_TRACK_DET_MAX && fread(d, sizeof *d, n, f) == n ? add_frame(r, d, n) : -1;
    fclose(f);
    return rc;
}

static int find(void *user, const veil_frame *f, veil_detection *out, size_t cap, size_t *n) {
    const replay *r = user;
    const held *h = f->opaque;
    float low = r->v->now.s.low_score;
    *n = 0;
    if ((size_t)h->index >= r->n_frames)
        return VEIL_E_INTERNAL;
    const detections *d = &r->frames[h->index];
    for (size_t i = 0; i < d->n && *n < cap; i++)
        if (d->d[i].score >= low)
            out[(*n)++] = d->d[i];
    return VEIL_OK;
}

/* ------------------------------------------------------------------ frames out */

static void release(held *h) {
    if (h == NULL)
        return;
    free(h->before);
    free(h->pixels);
    free(h);
}

/* The labelled face that a track most overlaps; NULL: none by a quarter. */
static const ev_truth_face *face_at(const label_frame *l, const veil_track *t) {
    const ev_truth_face *best = NULL;
    float most = 0.25f;
    for (size_t i = 0; l != NULL && i < l->n; i++) {
        ev_box b = l->faces[i].box;
        vl_rect truth = {(float)b.x, (float)b.y, (float)b.w, (float)b.h};
        float o = vl_frame_overlap(truth, (vl_rect){t->x, t->y, t->w, t->h});
        if (o > most) {
            most = o;
            best = &l->faces[i];
        }
    }
    return best;
}

/* One line a frame: labelled faces with the hidden share, tracks with the label they are at. */
static void write_tracks(replay *r, const held *h, const label_frame *l) {
    size_t n = veil_tracks(r->v, NULL, 0);
    veil_track *t = malloc(n * sizeof *t + 1);
    if (t == NULL)
        return;
    n = veil_tracks(r->v, t, n);
    for (size_t i = 0; i < n; i++)
        r->n_masks += t[i].decision == VEIL_HIDE && t[i].x + t[i].w / 2 >= 0 &&
                      t[i].y + t[i].h / 2 >= 0 && t[i].x + t[i].w / 2 < (float)h->width &&
                      t[i].y + t[i].h / 2 < (float)h->height;
    for (size_t i = 0; r->tracks && i < n; i++) {
        const ev_truth_face *f = face_at(l, &t[i]);
        fprintf(r->tracks,
                "{\"frame\": %ld, \"track\": %u, \"box\": [%.1f, %.1f, %.1f, %.1f], \"score\": "
                "%.3f, \"interview\": %.3f, \"age\": %u, \"lost\": %u, \"keep\": %d, \"label\": "
                "%d}\n",
                h->index, t[i].id, t[i].x, t[i].y, t[i].w, t[i].h, t[i].score, t[i].interview,
                t[i].age, t[i].lost, t[i].decision == VEIL_KEEP, f ? f->id : -1);
    }
    for (size_t i = 0; r->tracks && l && i < l->n; i++)
        fprintf(r->tracks,
                "{\"frame\": %ld, \"face\": %d, \"box\": [%.1f, %.1f, %.1f, %.1f], \"class\": %d, "
                "\"occluded\": %.2f, \"hidden\": %.2f}\n",
                h->index, l->faces[i].id, l->faces[i].box.x, l->faces[i].box.y, l->faces[i].box.w,
                l->faces[i].box.h, l->faces[i].class, l->faces[i].occluded, l->faces[i].hidden);
    free(t);
}

static int frame_out(replay *r, held *h) {
    while (r->next_label < r->truth.n && r->truth.frames[r->next_label].frame < h->index)
        r->next_label++;
    label_frame *l = r->next_label < r->truth.n ? &r->truth.frames[r->next_label] : NULL;
    if (l != NULL && l->frame != h->index)
        l = NULL;
    ev_luma before = {h->before, h->width, h->width, h->height};
    ev_luma after = {h->pixels, h->width, h->width, h->height};
    int rc = 0;
    if (l != NULL) {
        ev_pixels_hidden(before, after, 3, l->faces, l->n);
        ev_pixels_draw(before, after, 3, &r->mask);
        double length_s = 0.04;
        if (r->next_label + 1 < r->truth.n)
            length_s = l[1].pts_s - l->pts_s;
        rc = ev_leak_add(r->leaks, (size_t)h->index, l->pts_s, length_s > 0 ? length_s : 0.04,
                         l->faces, l->n, NULL, 0, &r->mask);
    }
    write_tracks(r, h, l);
    return rc;
}

static int receive(replay *r) {
    veil_frame got;
    veil_result result;
    int err;
    while ((err = veil_receive(r->v, &got, &result)) == VEIL_OK) {
        int rc = frame_out(r, got.opaque);
        release(got.opaque);
        if (rc != 0 || result.covered)
            return evio_say("frame covered");
    }
    return 0;
}

static held *take(const clip *c) {
    const AVFrame *a = clip_picture(c);
    held *h = calloc(1, sizeof *h);
    if (h == NULL)
        return NULL;
    *h = (held){.index = clip_frame(c), .pts_s = clip_pts(c), .width = a->width};
    h->height = a->height;
    size_t w = (size_t)a->width, n = w * (size_t)a->height;
    h->before = malloc(n);
    h->pixels = malloc(n * 2 + 2 * (w + (size_t)a->height) + 4);
    if (h->before == NULL || h->pixels == NULL) {
        release(h);
        return NULL;
    }
    veil_frame f = frame_of(h);
    for (int p = 0; p < 3; p++)
        for (int y = 0; y < (p ? (h->height + 1) / 2 : h->height); y++)
            memcpy(f.plane[p] + y * f.stride[p], a->data[p] + (ptrdiff_t)y * a->linesize[p],
                   (size_t)f.stride[p]);
    memcpy(h->before, h->pixels, n);
    return h;
}

static int play(replay *r) {
    veil_options o;
    veil_options_init(&o, sizeof o);
    o.threads = 1;
    o.lookahead_ns = (int64_t)(r->s->lookahead_ms * 1e6);
    o.settings.style = VEIL_STYLE_SOLID;
    o.settings.fill_rgb = 0x00ff00;
    o.settings.min_score = (float)r->s->min_score;
    o.settings.low_score = (float)r->s->low_score;
    clip *c = clip_open(r->s->clip);
    if (c == NULL || vl_veil_create(&r->v, &o, find, r) != VEIL_OK)
        return -1;
    int rc = 0, more = 0;
    while (rc == 0 && (more = clip_next(c)) > 0) {
        held *h = take(c);
        veil_frame f;
        if (h == NULL)
            return -1;
        f = frame_of(h);
        f.opaque = h;
        rc = veil_send(r->v, &f) == VEIL_OK ? receive(r) : -1;
    }
    if (rc == 0)
        rc = veil_flush(r->v) == VEIL_OK ? receive(r) : -1;
    clip_close(c);
    veil_destroy(r->v);
    return rc == 0 && more == 0 ? 0 : evio_say("%s: cannot be replayed", r->s->clip);
}

/* ------------------------------------------------------------------ figures */

static void print(replay *r) {
    ev_leak_figures f = ev_leak_result(r->leaks);
    printf("%-22s %5zu faces, %6.2f %% hidden, 24 px+ %5zu exposed, longest %4.0f ms; speaker %3zu "
           "of %4zu hidden; %6zu masks, IoU %.3f\n",
           r->s->name ? r->s->name : r->s->clip, f.faces,
           f.faces ? 100.0 * (double)f.faces_hidden / (double)f.faces : 100,
           f.big_faces - f.big_faces_hidden, f.big_longest_leak_ms, f.speaker_hidden, f.speaker,
           r->n_masks, f.mask_iou_mean);
}

int main(int argc, char **argv) {
    settings s = {.lookahead_ms = 1000};
    const evio_option options[] = {
        {"clip", EVIO_TEXT, &s.clip, "the clip"},
        {"labels", EVIO_TEXT, &s.labels, "its labels; without: masks are counted only"},
        {"saved", EVIO_TEXT, &s.saved, "detections; made with --model when there is no such file"},
        {"model", EVIO_TEXT, &s.model, "a veil model; without: the one built in"},
        {"tracks", EVIO_TEXT, &s.tracks, "write tracks and labels frame by frame, JSON lines"},
        {"name", EVIO_TEXT, &s.name, "printed before the figures"},
        {"lookahead", EVIO_NUMBER, &s.lookahead_ms, "ms"},
        {"min-score", EVIO_NUMBER, &s.min_score, "as of veil run"},
        {"low-score", EVIO_NUMBER, &s.low_score, "as of veil run"}};
    int more = evio_options("replay", argc, argv, options, sizeof options / sizeof *options,
                            "Replays saved detections through everything but the network.");
    if (more != 0)
        return more < 0;
    if (!s.clip || !s.saved)
        return evio_say("replay needs --clip and --saved") != 0;
    replay *r = calloc(1, sizeof *r);
    ev_leak_rules rules;
    ev_leak_rules_init(&rules);
    FILE *saved = r ? fopen(s.saved, "rb") : NULL;
    const labels_rules by_class = {0};
    if (r == NULL || (r->leaks = ev_leak_new(&rules)) == NULL)
        return evio_say("out of memory") != 0;
    r->s = &s;
    r->tracks = s.tracks ? fopen(s.tracks, "w") : NULL;
    int rc = s.labels ? labels_read(&r->truth, s.labels, &by_class) : 0;
    if (rc == 0)
        rc = saved ? load(r, saved) : save(r);
    if (rc == 0)
        rc = play(r);
    if (rc == 0)
        print(r);
    if (r->tracks && fclose(r->tracks) != 0)
        rc = evio_say("cannot write '%s'", s.tracks);
    for (size_t i = 0; i < r->n_frames; i++)
        free(r->frames[i].d);
    free(r->frames);
    labels_free(&r->truth);
    ev_leak_free(r->leaks);
    free(r);
    return rc != 0;
}
