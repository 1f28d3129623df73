/* eval_report.c - the HTML report of `veil eval video`: figures, a timeline with a row for each
 * person, and every leak. One file without scripts and without anything from elsewhere. */
#include "eval_io.h"
#include "eval_video.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROW = 22, LEFT = 120, WIDTH = 1080 }; /* of the timeline, px */

static const char style[] =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1120px;margin:2em auto;padding:0 1em;"
    "color:#1c2430;background:#fff}h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}"
    "table{border-collapse:collapse}td,th{padding:.25em .9em .25em 0;text-align:left;"
    "vertical-align:top}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}"
    "tr{border-bottom:1px solid #e4e7ec}svg{width:100%;height:auto}svg text{font:12px "
    "system-ui,sans-serif;fill:#444}.key span{display:inline-block;width:.9em;height:.9em;"
    "margin:0 .35em 0 1.1em;vertical-align:-.1em;border-radius:2px}.leaks{display:grid;"
    "grid-template-columns:repeat(auto-fill,minmax(170px,1fr));gap:1em}figure{margin:0}"
    "figure img,figure .none{width:160px;height:160px;border-radius:4px;display:block;"
    "background:#eef0f3}figcaption{font-size:.85em}.bad{color:#b3122b;font-weight:600}"
    ".good{color:#23723f;font-weight:600}";

/* What a person's face was in a frame, with its colour in the timeline. */
typedef enum { ABSENT, UNCOUNTED, HIDDEN, EXPOSED, VISIBLE, HIDDEN_SPEAKER, UNMEASURED } state;
static const char *const colours[] = {"",        "#d5d9e0", "#7bb58a", "#d7263d",
                                      "#6c9bd2", "#f0a202", "#ffffff"};

static double percent(size_t part, size_t whole) {
    return whole ? 100.0 * (double)part / (double)whole : 100;
}

static void write_figures(FILE *f, const video_settings *s, const video_result *r) {
    const ev_leak_figures *g = &r->figures;
    fprintf(f, "<table><tr><th></th><th class=n>all faces</th><th class=n>%g px or more</th></tr>",
            s->rules.big_px);
    fprintf(f,
            "<tr><td>bystander face frames</td><td class=n>%zu</td><td class=n>%zu</td></tr>"
            "<tr><td>of these hidden</td><td class=n>%.2f %%</td><td class=n>%.2f %%</td></tr>",
            g->faces, g->big_faces, percent(g->faces_hidden, g->faces),
            percent(g->big_faces_hidden, g->big_faces));
    fprintf(f,
            "<tr><td>exposed face frames a minute</td><td class=n>%.1f</td><td class=n>%.1f</td>"
            "</tr><tr><td>longest leak</td><td class=n>%.0f ms</td><td class=n>%.0f ms</td></tr>",
            g->exposed_per_minute, g->big_exposed_per_minute, g->longest_leak_ms,
            g->big_longest_leak_ms);
    fprintf(f,
            "</table><table><tr><td>speaker face frames hidden by mistake</td><td class=n>%zu of "
            "%zu</td></tr><tr><td>mask IoU with the frame before: mean, 5 %% below, lowest</td>"
            "<td class=n>%.3f, %.3f, %.3f</td></tr>",
            g->speaker_hidden, g->speaker, g->mask_iou_mean, g->mask_iou_p5, g->mask_iou_min);
    if (s->result)
        fprintf(f, "<tr><td>id switches</td><td class=n>%zu</td></tr>", g->id_switches);
    if (r->n_latency)
        fprintf(f, "<tr><td>latency p50, p95, p99</td><td class=n>%.1f, %.1f, %.1f ms</td></tr>",
                r->latency_ms[0], r->latency_ms[1], r->latency_ms[2]);
    if (r->n_covered)
        fprintf(f, "<tr><td>frames wholly covered</td><td class=n>%zu</td></tr>", r->n_covered);
    if (r->n_missing)
        fprintf(f, "<tr><td class=bad>labelled frames missing</td><td class=n>%zu</td></tr>",
                r->n_missing);
    fputs("</table>\n", f);
}

static state state_of(const video_settings *s, const video_result *r, size_t i, int id,
                      ev_class *class) {
    const label_frame *l = &r->truth.frames[i];
    for (size_t k = 0; k < l->n; k++) {
        const ev_truth_face *face = &l->faces[k];
        if (face->id != id)
            continue;
        *class = face->class;
        int hidden = ev_leak_hidden(&s->rules, face);
        if (!r->measured[i])
            return UNMEASURED;
        if (!ev_leak_counts(&s->rules, face))
            return UNCOUNTED;
        if (face->class == EV_INTERVIEW)
            return hidden ? HIDDEN_SPEAKER : VISIBLE;
        return hidden ? HIDDEN : EXPOSED;
    }
    return ABSENT;
}

static void bar(FILE *f, double x0, double x1, int row, state is) {
    if (is == ABSENT || is == UNMEASURED)
        return;
    fprintf(f, "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>", x0,
            row * ROW + 4, fmax(x1 - x0, is == EXPOSED ? 2 : 0.5), ROW - 8, colours[is]);
}

/* One row: neighbouring frames in the same state become one bar. */
static void write_row(FILE *f, const video_settings *s, const video_result *r, int id, int row,
                      double first_s, double px_per_s) {
    ev_class class = EV_BACKGROUND;
    state open = ABSENT;
    double from = 0, to = 0;
    for (size_t i = 0; i < r->truth.n; i++) {
        state is = state_of(s, r, i, id, &class);
        double x0 = LEFT + (r->start_s[i] - first_s) * px_per_s;
        if (is != open) {
            bar(f, from, to, row, open);
            open = is;
            from = x0;
        }
        to = x0 + r->length_s[i] * px_per_s;
    }
    bar(f, from, to, row, open);
    fprintf(f, "<text x=\"0\" y=\"%d\">%s %d</text>\n", row * ROW + ROW / 2 + 4,
            class == EV_INTERVIEW ? "speaker" : "bystander", id);
}

/* Ids in order of appearance, at most cap. */
static size_t find_ids(const labels *l, int *ids, size_t cap) {
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        for (size_t k = 0; k < l->frames[i].n; k++) {
            size_t j = 0;
            while (j < n && ids[j] != l->frames[i].faces[k].id)
                j++;
            if (j == n && n < cap)
                ids[n++] = l->frames[i].faces[k].id;
        }
    return n;
}

static void write_timeline(FILE *f, const video_settings *s, const video_result *r) {
    enum { MAX_ROWS = 200 };
    int ids[MAX_ROWS];
    size_t n = find_ids(&r->truth, ids, MAX_ROWS), last = r->truth.n - 1;
    double first_s = r->start_s[0];
    while (last > 0 && !r->measured[last])
        last--;
    double seconds = r->start_s[last] + r->length_s[last] - first_s;
    double px_per_s = (WIDTH - LEFT) / fmax(seconds, 1e-3);
    fputs("<h2>Timeline</h2><p class=key>", f);
    fprintf(f,
            "<span style=\"background:%s\"></span>bystander hidden<span style=\"background:%s\">"
            "</span>bystander exposed<span style=\"background:%s\"></span>speaker visible<span "
            "style=\"background:%s\"></span>speaker hidden<span style=\"background:%s\"></span>"
            "covered by something, does not count</p>\n",
            colours[HIDDEN], colours[EXPOSED], colours[VISIBLE], colours[HIDDEN_SPEAKER],
            colours[UNCOUNTED]);
    int low = (int)n * ROW;
    fprintf(f, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"timeline\">\n", WIDTH,
            low + 26);
    for (int i = 0; i <= 10; i++) {
        double x = LEFT + (WIDTH - LEFT - 1) * i / 10.0;
        fprintf(f,
                "<line x1=\"%.1f\" y1=\"0\" x2=\"%.1f\" y2=\"%d\" stroke=\"#e4e7ec\"/><text "
                "x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">%.2f s</text>\n",
                x, x, low, x, low + 18, i == 10 ? "end" : "middle", first_s + seconds * i / 10);
    }
    for (size_t i = 0; i < n; i++)
        write_row(f, s, r, ids[i], (int)i, first_s, px_per_s);
    fputs("</svg>\n", f);
    if (n == MAX_ROWS)
        fprintf(f, "<p>Only the first %d people are drawn.</p>\n", MAX_ROWS);
}

static void write_leaks(FILE *f, const video_result *r, char **thumbs) {
    const ev_leak_figures *g = &r->figures;
    if (g->n_runs == 0) {
        fputs("<h2>Leaks</h2><p class=good>None.</p>\n", f);
        return;
    }
    fprintf(f, "<h2>Leaks</h2><p class=bad>%zu</p><div class=leaks>\n", g->n_runs);
    for (size_t i = 0; i < g->n_runs; i++) {
        const ev_leak_run *run = &g->runs[i];
        if (thumbs && thumbs[i])
            fprintf(f, "<figure><img src=\"%s\" alt=\"leak %zu\">", thumbs[i], i + 1);
        else
            fputs("<figure><div class=none></div>", f);
        fprintf(f,
                "<figcaption>bystander %d, %.2f s<br>%.0f ms, frames %zu to %zu<br>face %.0f px "
                "high</figcaption></figure>\n",
                run->id, run->start_s, run->length_ms, run->first, run->last, run->height_px);
    }
    fputs("</div>\n", f);
    if (g->n_runs > VIDEO_MAX_THUMBS)
        fprintf(f, "<p>Only the first %d have pictures.</p>\n", VIDEO_MAX_THUMBS);
}

static void write_page(FILE *f, const video_settings *s, const video_result *r, char **thumbs) {
    fprintf(f,
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
            "content=\"width=device-width\"><title>veil: leaks</title><style>%s</style>\n"
            "<h1>Leaks of bystanders' faces</h1><p>Labels ",
            style);
    evio_html(f, s->truth);
    fputs(s->result ? ", tracks " : ", original ", f);
    evio_html(f, s->result ? s->result : s->original);
    if (!s->result) {
        fputs(", result ", f);
        evio_html(f, s->redacted);
    }
    fprintf(f,
            ". %zu labelled frames, %.1f s. A face counts as hidden when at least %.0f %% of it "
            "is hidden; faces that something covers by more than %.0f %% do not count.</p>\n",
            r->figures.n_frames, r->figures.seconds, 100 * s->rules.cover,
            100 * s->rules.max_occluded);
    write_figures(f, s, r);
    write_timeline(f, s, r);
    write_leaks(f, r, thumbs);
    if (thumbs && r->figures.n_runs && !s->show_faces)
        fputs("<p>All labelled faces in these pictures were blurred for the report.</p>\n", f);
    fputs("</html>\n", f);
}

int video_report(const video_settings *s, const video_result *r) {
    const char *clip = s->redacted && !s->result ? s->redacted : s->clip ? s->clip : s->original;
    char **thumbs = NULL;
    if (clip && r->figures.n_runs && video_thumbs(clip, r, s->show_faces, &thumbs))
        return -1;
    FILE *f = evio_open_out(s->html);
    int rc = f ? 0 : -1;
    if (f) {
        write_page(f, s, r, thumbs);
        rc = evio_close_out(f, s->html);
    }
    video_thumbs_free(thumbs, r->figures.n_runs);
    return rc;
}
