/* explain_report.c - the HTML report of `veil explain --dataset`: plots of where the evidence lies
 * and what changes a class, and example pictures. One file without scripts. It shows faces. */
#include "explain_results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EXAMPLES = 4, THUMB = 256, PLOT_W = 640, PLOT_H = 300 };

static const char style[] =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1120px;margin:2em auto;padding:0 1em;"
    "color:#1c2430;background:#fff}h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}"
    "h3{font-size:1em}table{border-collapse:collapse}td,th{padding:.25em .9em .25em 0;"
    "text-align:left}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}"
    "tr{border-bottom:1px solid #e4e7ec}svg{width:100%;height:auto;max-width:800px}"
    "svg text{font:12px system-ui,sans-serif;fill:#444}.row{display:flex;flex-wrap:wrap;gap:1em}"
    "figure{margin:0;width:256px}figure img{width:256px;border-radius:4px;display:block}"
    "figcaption{font-size:.85em}";

static const char *const place_colours[N_PLACES] = {"#d1495b", "#edae49", "#30638e", "#c4c9d2"};

char *set_thumb(explain_tools *t, const set_face *f) {
    evio_picture p = {0};
    char *url = NULL;
    int w = THUMB, h = (int)lround((double)THUMB * f->height / f->width);
    h = h < 40 ? 40 : h > 2 * THUMB ? 2 * THUMB : h;
    float *map = ev_box_array(NULL, (size_t)w * (size_t)h, sizeof *map);
    uint8_t *rgb = malloc(3 * (size_t)w * (size_t)h);
    int nw, nh, rc = map && rgb ? evio_picture_read(f->path, &p) : evio_say("out of memory");
    if (rc == 0) {
        evnet_shape(&t->options->net_size, p.width, p.height, &nw, &nh);
        rc = tools_size(t, nw, nh);
    }
    if (rc == 0) {
        veil_frame frame = explain_frame(&p);
        veil_explanation x;
        veil_explain_options eo = {.struct_size = sizeof eo,
                                   .target =
                                       f->predicted ? VEIL_CLASS_INTERVIEW : VEIL_CLASS_BACKGROUND,
                                   .method = t->options->method,
                                   .layer = t->options->layer,
                                   .x = (float)f->box.x,
                                   .y = (float)f->box.y,
                                   .w = (float)f->box.w,
                                   .h = (float)f->box.h,
                                   .map = map,
                                   .map_width = w,
                                   .map_height = h};
        rc = veil_explain(t->explainer, &frame, &eo, &x);
        if (rc)
            explain_failed(rc, t->options);
    }
    if (rc == 0) {
        double s = (double)w / f->width;
        explain_shrink(&p, rgb, w, h);
        heat_blend(t->options->colours, map, rgb, w, h, 3 * (ptrdiff_t)w);
        explain_box(rgb, w, h, (ev_box){f->box.x * s, f->box.y * s, f->box.w * s, f->box.h * s}, 2,
                    0xffffff);
        url = evio_png_url(rgb, w, h);
    }
    free(map);
    free(rgb);
    free(p.rgb);
    return url;
}

/* A bar a group, in parts by place; below it a thin one with the parts of the picture. */
static void plot_shares(FILE *f, const results *r) {
    fprintf(f, "<svg viewBox='0 0 %d %d'>", PLOT_W, 70 * N_GROUPS + 30);
    for (int g = 0; g < N_GROUPS; g++) {
        const group_figures *q = &r->group[g];
        double at = 0, below = 0, y = 70 * g;
        fprintf(f, "<text x='0' y='%.0f'>%s (%zu faces)</text>", y + 14, results_group(g), q->n);
        for (int i = 0; i < N_PLACES && q->n_located; i++) {
            fprintf(f,
                    "<rect x='%.1f' y='%.0f' width='%.1f' height='24' fill='%s'/>"
                    "<rect x='%.1f' y='%.0f' width='%.1f' height='6' fill='%s'/>",
                    at * PLOT_W, y + 20, q->share[i] * PLOT_W, place_colours[i], below * PLOT_W,
                    y + 46, q->area[i] * PLOT_W, place_colours[i]);
            if (q->share[i] > 0.06)
                fprintf(f, "<text x='%.1f' y='%.0f' style='fill:#fff'>%.0f %%</text>",
                        at * PLOT_W + 5, y + 37, 100 * q->share[i]);
            at += q->share[i];
            below += q->area[i];
        }
    }
    for (int i = 0; i < N_PLACES; i++)
        fprintf(f,
                "<rect x='%d' y='%d' width='11' height='11' fill='%s'/><text x='%d' y='%d'>%s"
                "</text>",
                160 * i, 70 * N_GROUPS + 8, place_colours[i], 160 * i + 16, 70 * N_GROUPS + 18,
                results_place((set_place)i));
    fputs("</svg><p>Thick: shares of the evidence. Thin: shares of the picture, which evidence "
          "spread evenly would have.</p>",
          f);
}

/* P(interview) of every face over its size. */
static void plot_size(FILE *f, const set_table *t) {
    const int left = 40, bottom = PLOT_H - 30;
    fprintf(f, "<svg viewBox='0 0 %d %d'>", PLOT_W, PLOT_H);
    for (int i = 0; i <= 4; i++)
        fprintf(f,
                "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' stroke='#e4e7ec'/>"
                "<text x='0' y='%.1f'>%.2f</text>",
                left, PLOT_W, bottom - i * (bottom - 10) / 4.0, bottom - i * (bottom - 10) / 4.0,
                bottom - i * (bottom - 10) / 4.0 + 4, i / 4.0);
    for (double s = 0.02; s < 0.9; s *= 2)
        fprintf(f, "<text x='%.1f' y='%d'>%.2f</text>",
                left + (PLOT_W - left) * log(s / 0.015) / log(0.9 / 0.015), PLOT_H - 12, s);
    for (size_t i = 0; i < t->n; i++) {
        const set_face *q = &t->faces[i];
        double x = log(fmin(fmax(q->size, 0.015), 0.9) / 0.015) / log(0.9 / 0.015);
        fprintf(f, "<circle cx='%.1f' cy='%.1f' r='3' fill='%s' fill-opacity='.6'/>",
                left + (PLOT_W - left) * x, bottom - q->p * (bottom - 10),
                q->interview ? "#d1495b" : "#30638e");
    }
    fputs("</svg><p>P(interview) of each face over its height (part of the picture's short side). "
          "Red: labelled interview, blue: background.</p>",
          f);
}

/* A figure, or a dash when there is none. */
static void cell(FILE *f, const char *format, double v) {
    if (isfinite(v))
        fprintf(f, format, v);
    else
        fputs("&ndash;", f);
}

static void write_deeds(FILE *f, const results *r) {
    fputs("<table><tr><th>the picture changed</th>", f);
    for (int g = 0; g < 2; g++)
        fprintf(f, "<th class=n>%s: P(interview)</th><th class=n>class turned</th>",
                results_group(g));
    fputs("</tr>", f);
    for (int d = 0; d < N_DEEDS; d++) {
        fprintf(f, "<tr><td>%s</td>", set_deed_name((set_deed)d));
        for (int g = 0; g < 2; g++) {
            fputs("<td class=n>", f);
            cell(f, "%.2f &rarr; ", r->group[g].before[d]);
            cell(f, "%.2f", r->group[g].after[d]);
            fputs("</td><td class=n>", f);
            cell(f, "%.0f %%", 100 * r->group[g].turned[d]);
            fputs("</td>", f);
        }
        fputs("</tr>", f);
    }
    fputs("</table>", f);
}

static void write_properties(FILE *f, const results *r) {
    fputs("<table><tr><th></th><th class=n>faces</th><th class=n>P(interview)</th>"
          "<th class=n>height / short side</th><th class=n>distance from the middle</th>"
          "<th class=n>from the top</th><th class=n>sharpness</th></tr>",
          f);
    for (int g = 0; g < N_GROUPS; g++) {
        const group_figures *q = &r->group[g];
        if (!q->n)
            continue;
        fprintf(f,
                "<tr><td>%s</td><td class=n>%zu</td><td class=n>%.2f</td><td class=n>%.3f</td>"
                "<td class=n>%.2f</td><td class=n>%.2f</td><td class=n>%.2f</td></tr>",
                results_group(g), q->n, q->p, q->size, q->distance, q->low, q->sharp);
    }
    fputs("</table><p>Share of the variance of the evidence that a linear rule explains, of size "
          "alone: ",
          f);
    cell(f, "%.0f %%", 100 * r->fit[0]);
    fputs(", of size and position: ", f);
    cell(f, "%.0f %%", 100 * r->fit[1]);
    fputs(", with sharpness: ", f);
    cell(f, "%.0f %%", 100 * r->fit[2]);
    fputs(".</p>", f);
}

static void write_check(FILE *f, const check_figures *c) {
    fputs("<h2>Are the maps true?</h2><table><tr><th>map</th><th class=n>interview: deletion</th>"
          "<th class=n>insertion</th><th class=n>background: deletion</th><th class=n>insertion"
          "</th></tr>",
          f);
    for (int i = 0; i < CHECK_MAPS; i++) {
        fprintf(f, "<tr><td>%s</td>", check_map_names[i]);
        for (int k = 0; k < 2; k++) {
            fputs("<td class=n>", f);
            cell(f, "%.3f", c->deletion[k][i]);
            fputs("</td><td class=n>", f);
            cell(f, "%.3f", c->insertion[k][i]);
            fputs("</td>", f);
        }
        fputs("</tr>", f);
    }
    fputs("</table><p>Areas under P(face and class) while the places a map calls important are "
          "greyed first (deletion, less is better) or shown first (insertion, more is better). "
          "Rank correlation with occlusion: ",
          f);
    cell(f, "%.2f", c->occlusion);
    fputs(".</p>", f);
}

/* How far a face's shares are from its group's. */
static double oddness(const results *r, const set_face *f) {
    const group_figures *g = &r->group[results_group_of(f)];
    double sum = 0;
    for (int i = 0; i < N_PLACES; i++)
        sum += (f->share[i] - g->share[i]) * (f->share[i] - g->share[i]);
    return sum;
}

/* Examples of a group: the surest mistakes, or the most (least) usual. */
static void write_examples(FILE *f, explain_tools *t, const set_table *table, const results *r,
                           int group, int odd) {
    char *used = calloc(table->n + 1, 1);
    fputs("<div class=row>", f);
    for (int k = 0; k < EXAMPLES && used; k++) {
        size_t best = table->n;
        double most = -INFINITY;
        for (size_t i = 0; i < table->n; i++) {
            const set_face *q = &table->faces[i];
            if (results_group_of(q) != group || used[i] || !isfinite(q->share[0]))
                continue;
            double v = group >= 2 ? fabs(q->p - 0.5) : odd ? oddness(r, q) : -oddness(r, q);
            if (v > most) {
                most = v;
                best = i;
            }
        }
        if (best == table->n)
            break;
        used[best] = 1;
        const set_face *q = &table->faces[best];
        char *url = set_thumb(t, q);
        if (url)
            fprintf(f,
                    "<figure><img src='%s' alt=''><figcaption>P(interview) %.2f; evidence: face "
                    "%.0f %%, person %.0f %%, others %.0f %%, elsewhere %.0f %%</figcaption>"
                    "</figure>",
                    url, q->p, 100 * q->share[0], 100 * q->share[1], 100 * q->share[2],
                    100 * q->share[3]);
        free(url);
    }
    fputs("</div>", f);
    free(used);
}

static void write_page(FILE *f, explain_tools *t, const set_table *table, const results *r,
                       const check_figures *check) {
    fprintf(f,
            "<!doctype html><html lang=en><meta charset=utf-8><title>What veil's network looks at"
            "</title><style>%s</style><h1>What the network looks at</h1><p>%zu labelled faces in "
            "%zu pictures; %zu more were not found. Model: ",
            style, r->n, r->n_pictures, r->n_lost);
    evio_html(f, t->options->model ? t->options->model : "built in");
    fprintf(f, "; map: %s. This page shows faces: it is for you, not for publishing.</p>",
            explain_method_name(t->options->method));
    fputs("<h2>Where the evidence lies</h2>", f);
    plot_shares(f, r);
    fputs("<h2>What changes a class</h2>", f);
    write_deeds(f, r);
    fputs("<h2>Size, position, sharpness</h2>", f);
    plot_size(f, table);
    write_properties(f, r);
    if (check)
        write_check(f, check);
    for (int g = 0; g < N_GROUPS; g++) {
        fprintf(f, "<h2>%s</h2>", results_group(g));
        fputs(g >= 2 ? "<h3>the surest</h3>" : "<h3>most typical</h3>", f);
        write_examples(f, t, table, r, g, 0);
        if (g < 2) {
            fputs("<h3>least typical</h3>", f);
            write_examples(f, t, table, r, g, 1);
        }
    }
    fputs("</html>\n", f);
}

int set_write(const explain_options *o, explain_tools *t, const set_table *table,
              const check_figures *check) {
    results r;
    int rc = results_make(&r, table);
    if (rc == 0 && !evio_is_stdout(o->json))
        results_print(&r, check);
    if (rc == 0 && o->json)
        rc = evio_json_write(o->json, results_json(&r, check));
    FILE *f = rc == 0 && o->output ? evio_open_out(o->output) : NULL;
    if (f) {
        write_page(f, t, table, &r, check);
        rc = evio_close_out(f, o->output);
    } else if (rc == 0 && o->output) {
        rc = -1;
    }
    return rc;
}
