/* eval_video.c - `veil eval video`: labels of a clip against the tracks of a detector, or against
 * the pixels of the clip that came out. */
#include "eval_video.h"

#include "eval.h"
#include "eval_clip.h"
#include "eval_io.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A labelled frame waits here until the next one says how long it is shown. */
typedef struct {
    ev_leak_state *leaks;
    video_result *r;
    const video_settings *s;
    int waiting;
    size_t index;
    const ev_track_box *tracks;
    size_t n_tracks;
    ev_mask mask;
} feed;

static int feed_out(feed *f, double next_s) {
    if (!f->waiting)
        return 0;
    const label_frame *l = &f->r->truth.frames[f->index];
    double length = next_s - f->r->start_s[f->index];
    /* The last frame, or labels far apart: a label speaks for a second at most. */
    if (!(length > 0))
        length = 1 / f->s->fps;
    f->r->length_s[f->index] = fmin(length, 1);
    f->waiting = 0;
    if (ev_leak_add(f->leaks, (size_t)l->frame, f->r->start_s[f->index], f->r->length_s[f->index],
                    l->faces, l->n, f->tracks, f->n_tracks, &f->mask))
        return evio_say("out of memory");
    return 0;
}

/* The mask is drawn into f->mask by the caller afterwards. */
static int feed_in(feed *f, size_t index, double start_s, const ev_track_box *tracks, size_t n) {
    if (feed_out(f, start_s))
        return -1;
    f->r->start_s[index] = start_s;
    f->r->measured[index] = 1;
    f->waiting = 1;
    f->index = index;
    f->tracks = tracks;
    f->n_tracks = n;
    return 0;
}

/* ---------------------------------------------------------------- tracks */

static void extent(ev_box b, double *width, double *height) {
    *width = fmax(*width, b.x + b.w);
    *height = fmax(*height, b.y + b.h);
}

/* The picture's size, or when no file says it, the part of it where anything is. */
static void find_extent(const labels *l, const result_tracks *t, double *width, double *height) {
    *width = t->width;
    *height = t->height;
    if (t->width > 0 && t->height > 0)
        return;
    *width = *height = 16;
    for (size_t i = 0; i < l->n; i++)
        for (size_t k = 0; k < l->frames[i].n; k++)
            extent(l->frames[i].faces[k].box, width, height);
    for (size_t i = 0; i < t->n; i++)
        for (size_t k = 0; k < t->frames[i].n; k++)
            extent(t->frames[i].tracks[k].box, width, height);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int measure_latency(video_result *r, const result_tracks *t) {
    static const double parts[3] = {0.50, 0.95, 0.99};
    double *ms = ev_box_array(NULL, t->n, sizeof *ms);
    if (!ms)
        return evio_say("out of memory");
    for (size_t i = 0; i < t->n; i++)
        if (!isnan(t->frames[i].latency_ms))
            ms[r->n_latency++] = t->frames[i].latency_ms;
    if (r->n_latency) {
        qsort(ms, r->n_latency, sizeof *ms, ascending);
        for (int i = 0; i < 3; i++) { /* nearest rank */
            size_t rank = (size_t)ceil(parts[i] * (double)r->n_latency);
            r->latency_ms[i] = ms[rank ? rank - 1 : 0];
        }
    }
    free(ms);
    return 0;
}

static int from_tracks(feed *f, const result_tracks *t) {
    labels *l = &f->r->truth;
    double width, height;
    find_extent(l, t, &width, &height);
    for (size_t i = 0; i < l->n; i++) {
        label_frame *frame = &l->frames[i];
        const result_frame *result = result_find(t, frame->frame);
        const ev_track_box *tracks = result ? result->tracks : NULL;
        size_t n = result ? result->n : 0;
        int covered = result ? result->covered : 0;
        double start = !isnan(frame->pts_s)              ? frame->pts_s
                       : result && !isnan(result->pts_s) ? result->pts_s
                                                         : (double)frame->frame / f->s->fps;
        static const ev_track_box none[1];
        if (feed_in(f, i, start, tracks ? tracks : none, n))
            return -1;
        f->r->n_missing += !result;
        f->r->n_covered += covered != 0;
        ev_leak_cover(&f->s->rules, frame->faces, frame->n, tracks, n, covered);
        ev_leak_draw(&f->s->rules, &f->mask, tracks, n, covered, width, height);
    }
    return feed_out(f, NAN) || measure_latency(f->r, t) ? -1 : 0;
}

/* ---------------------------------------------------------------- pixels */

static int compare_frame(feed *f, size_t index, const clip *a, const clip *b) {
    label_frame *frame = &f->r->truth.frames[index];
    ev_luma before = clip_luma(a), after = clip_luma(b);
    if (before.width != after.width || before.height != after.height)
        return evio_say("the clips differ in size: %dx%d and %dx%d", before.width, before.height,
                        after.width, after.height);
    if (feed_in(f, index, isnan(frame->pts_s) ? clip_pts(b) : frame->pts_s, NULL, 0))
        return -1;
    double noise = ev_pixels_noise(before, after, frame->faces, frame->n);
    ev_pixels_hidden(before, after, noise, frame->faces, frame->n);
    ev_pixels_draw(before, after, noise, &f->mask);
    return 0;
}

static int from_clips(feed *f, clip *a, clip *b) {
    labels *l = &f->r->truth;
    size_t next = 0;
    int more_a = 1, more_b = 1;
    while (more_a > 0 || more_b > 0) {
        if (more_a > 0 && (more_a = clip_next(a)) > 0)
            f->r->n_original++;
        if (more_b > 0 && (more_b = clip_next(b)) > 0)
            f->r->n_redacted++;
        if (more_a < 0 || more_b < 0)
            return -1;
        if (more_a && more_b && next < l->n && l->frames[next].frame == clip_frame(b))
            if (compare_frame(f, next++, a, b))
                return -1;
    }
    f->r->n_missing = l->n - next;
    return feed_out(f, NAN);
}

/* ---------------------------------------------------------------- output */

static double percent(size_t part, size_t whole) {
    return whole ? 100.0 * (double)part / (double)whole : 100;
}

static void print_figures(const video_settings *s, const video_result *r) {
    const ev_leak_figures *f = &r->figures;
    printf("%s: %zu labelled frames, %.1f s, against %s%s%s\n", s->truth, f->n_frames, f->seconds,
           s->result ? "tracks of " : "the pixels of ", s->result ? s->result : s->redacted, "");
    printf("bystanders: %zu face frames, %.2f %% hidden; of %g px or more %zu, %.2f %% hidden\n",
           f->faces, percent(f->faces_hidden, f->faces), s->rules.big_px, f->big_faces,
           percent(f->big_faces_hidden, f->big_faces));
    printf(
        "exposed:    %zu face frames, %.1f a minute, longest leak %.0f ms; of %g px or more %zu, "
        "%.1f a minute, %.0f ms\n",
        f->exposed, f->exposed_per_minute, f->longest_leak_ms, s->rules.big_px,
        f->big_faces - f->big_faces_hidden, f->big_exposed_per_minute, f->big_longest_leak_ms);
    printf("speaker:    %zu face frames, %zu hidden by mistake (%.2f %%)\n", f->speaker,
           f->speaker_hidden, f->speaker ? percent(f->speaker_hidden, f->speaker) : 0);
    if (s->result)
        printf("tracks:     %zu id switches\n", f->id_switches);
    printf("flicker:    mask IoU with the frame before: mean %.3f, 5 %% below %.3f, lowest %.3f\n",
           f->mask_iou_mean, f->mask_iou_p5, f->mask_iou_min);
    if (r->n_latency)
        printf("latency:    p50 %.1f ms, p95 %.1f ms, p99 %.1f ms\n", r->latency_ms[0],
               r->latency_ms[1], r->latency_ms[2]);
    if (r->n_covered)
        printf("covered:    %zu frames wholly\n", r->n_covered);
    if (r->n_missing)
        printf("missing:    %zu labelled frames are not in the result%s\n", r->n_missing,
               s->result ? ", their faces count as exposed" : "");
    if (r->n_original != r->n_redacted)
        printf("frames:     %ld in the original, %ld in the result\n", r->n_original,
               r->n_redacted);
}

static json_t *runs_json(const ev_leak_figures *f) {
    json_t *list = json_array();
    for (size_t i = 0; i < f->n_runs; i++) {
        const ev_leak_run *run = &f->runs[i];
        json_array_append_new(
            list, json_pack("{s:i, s:I, s:I, s:f, s:f, s:f, s:[f,f,f,f]}", "id", run->id, "first",
                            (json_int_t)run->first, "last", (json_int_t)run->last, "start_s",
                            run->start_s, "length_ms", run->length_ms, "height_px", run->height_px,
                            "box", run->box.x, run->box.y, run->box.w, run->box.h));
    }
    return list;
}

static json_t *figures_json(const video_settings *s, const video_result *r) {
    const ev_leak_figures *f = &r->figures;
    json_t *o = json_pack(
        "{s:I, s:f, s:I, s:I, s:f, s:f, s:f, s:I, s:I, s:f, s:f, s:I, s:I}", "frames",
        (json_int_t)f->n_frames, "seconds", f->seconds, "bystander_faces", (json_int_t)f->faces,
        "bystander_faces_hidden", (json_int_t)f->faces_hidden, "big_px", s->rules.big_px,
        "exposed_per_minute", f->exposed_per_minute, "longest_leak_ms", f->longest_leak_ms,
        "big_faces", (json_int_t)f->big_faces, "big_faces_hidden", (json_int_t)f->big_faces_hidden,
        "big_exposed_per_minute", f->big_exposed_per_minute, "big_longest_leak_ms",
        f->big_longest_leak_ms, "speaker_faces", (json_int_t)f->speaker, "speaker_faces_hidden",
        (json_int_t)f->speaker_hidden);
    json_object_set_new(o, "mask_iou",
                        json_pack("{s:f, s:f, s:f}", "mean", f->mask_iou_mean, "p5", f->mask_iou_p5,
                                  "min", f->mask_iou_min));
    if (s->result)
        json_object_set_new(o, "id_switches", json_integer((json_int_t)f->id_switches));
    if (r->n_latency)
        json_object_set_new(o, "latency_ms",
                            json_pack("{s:f, s:f, s:f}", "p50", r->latency_ms[0], "p95",
                                      r->latency_ms[1], "p99", r->latency_ms[2]));
    json_object_set_new(o, "covered_frames", json_integer((json_int_t)r->n_covered));
    json_object_set_new(o, "missing_frames", json_integer((json_int_t)r->n_missing));
    json_object_set_new(o, "leaks", runs_json(f));
    return o;
}

static int write_json(const video_settings *s, const video_result *r) {
    return evio_json_write(s->json, figures_json(s, r));
}

static int measure(feed *f) {
    const video_settings *s = f->s;
    if (s->result) {
        result_tracks t;
        if (result_read(&t, s->result))
            return -1;
        int rc = from_tracks(f, &t);
        result_free(&t);
        return rc;
    }
    clip *a = clip_open(s->original), *b = a ? clip_open(s->redacted) : NULL;
    int rc = a && b ? from_clips(f, a, b) : -1;
    clip_close(a);
    clip_close(b);
    return rc;
}

static int prepare(feed *f) {
    video_result *r = f->r;
    const labels_rules rules = {.interview_ids = f->s->interview_ids};
    if (labels_read(&r->truth, f->s->truth, &rules))
        return -1;
    r->start_s = calloc(r->truth.n, sizeof *r->start_s);
    r->length_s = calloc(r->truth.n, sizeof *r->length_s);
    r->measured = calloc(r->truth.n, 1);
    f->leaks = ev_leak_new(&f->s->rules);
    return r->start_s && r->length_s && r->measured && f->leaks ? 0 : evio_say("out of memory");
}

static int run(const video_settings *s) {
    video_result r = {0};
    feed *f = calloc(1, sizeof *f);
    if (!f)
        return evio_say("out of memory");
    f->r = &r;
    f->s = s;
    int rc = prepare(f);
    if (rc == 0)
        rc = measure(f);
    if (rc == 0) {
        r.figures = ev_leak_result(f->leaks);
        if (!evio_is_stdout(s->json))
            print_figures(s, &r);
    }
    if (rc == 0 && s->json)
        rc = write_json(s, &r);
    if (rc == 0 && s->html)
        rc = video_report(s, &r);
    if (rc == 0 && s->strict && (r.figures.big_faces > r.figures.big_faces_hidden || r.n_missing))
        rc =
            evio_say("faces of %g px or more were exposed, or frames are missing", s->rules.big_px);
    ev_leak_free(f->leaks);
    free(f);
    labels_free(&r.truth);
    free(r.start_s);
    free(r.length_s);
    free(r.measured);
    return rc;
}

static int check(video_settings *s) {
    if (!s->truth)
        return evio_say("eval video needs --truth LABELS");
    if (!s->result == !(s->original && s->redacted))
        return evio_say("eval video needs --result TRACKS, or --original and --redacted clips");
    if (!(s->fps > 0) || !(s->cover > 0 && s->cover <= 1) || !(s->padding >= 0))
        return evio_say("--fps and --cover must be above 0 (--cover at most 1), --padding not "
                        "below 0");
    s->rules.cover = s->cover;
    s->rules.max_occluded = s->max_occluded;
    s->rules.padding = s->padding;
    s->rules.big_px = s->big_px;
    s->rules.ellipse = !s->box;
    return 0;
}

int eval_video(int argc, char **argv) {
    video_settings s = {.fps = 25};
    ev_leak_rules_init(&s.rules);
    s.cover = s.rules.cover;
    s.max_occluded = s.rules.max_occluded;
    s.padding = s.rules.padding;
    s.big_px = s.rules.big_px;
    const evio_option options[] = {
        {"truth", EVIO_TEXT, &s.truth, "labels: our JSON lines, MOT, or CVAT XML (video)"},
        {"result", EVIO_TEXT, &s.result, "JSON lines of `veil detect`"},
        {"original", EVIO_TEXT, &s.original, "compare the pixels of this clip ..."},
        {"redacted", EVIO_TEXT, &s.redacted, "... with what came out"},
        {"clip", EVIO_TEXT, &s.clip, "clip for the report's pictures (with --result)"},
        {"json", EVIO_TEXT, &s.json, "write the figures as JSON (- = stdout)"},
        {"html", EVIO_TEXT, &s.html, "write a report with a timeline and every leak"},
        {"show-faces", EVIO_FLAG, &s.show_faces, "do not blur the faces in the report"},
        {"strict", EVIO_FLAG, &s.strict, "fail when a big face was exposed"},
        {"fps", EVIO_NUMBER, &s.fps, "frames a second where nothing says (25)"},
        {"cover", EVIO_NUMBER, &s.cover, "share of a face that must be hidden (0.5)"},
        {"max-occluded", EVIO_NUMBER, &s.max_occluded, "faces covered more do not count (0.7)"},
        {"padding", EVIO_NUMBER, &s.padding, "masks reach over the box by this part (0.20)"},
        {"box", EVIO_FLAG, &s.box, "masks are boxes, not ellipses"},
        {"big", EVIO_NUMBER, &s.big_px, "height of a big face, px (24)"},
        {"interview-ids", EVIO_TEXT, &s.interview_ids, "labels 3,7 are interview"},
    };
    int rc = evio_options("eval video", argc, argv, options, sizeof options / sizeof options[0],
                          "How well a video hides bystanders, measured against labels.");
    if (rc)
        return rc > 0 ? 0 : 2;
    if (check(&s))
        return 2;
    return run(&s) ? 1 : 0;
}
