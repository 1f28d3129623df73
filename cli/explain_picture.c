/* explain_picture.c - one picture: its faces, the maps of one of them, as picture, NPY and JSON. */
#include "explain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FACES = 200, GREY = 114 };

typedef struct {
    evio_picture picture;
    veil_detection faces[MAX_FACES]; /* left to right */
    size_t n_faces, chosen;
    float *maps[2]; /* raw values, as large as the picture */
    veil_explanation found[2];
} result;

static int by_x(const void *a, const void *b) {
    const veil_detection *p = a, *q = b;
    return p->x < q->x ? -1 : p->x > q->x;
}

static int find_faces(explain_tools *t, result *r) {
    const explain_options *o = t->options;
    if (evnet_detect(&t->net, &r->picture, &o->net_size, o->min_score, r->faces, MAX_FACES,
                     &r->n_faces))
        return -1;
    r->n_faces = r->n_faces < MAX_FACES ? r->n_faces : MAX_FACES;
    if (r->n_faces == 0)
        return evio_say("explain: no face found in '%s' (--min-score lowers the bar)", o->input);
    float best = r->faces[0].w * r->faces[0].h;
    veil_detection largest = r->faces[0];
    for (size_t i = 1; i < r->n_faces; i++)
        if (r->faces[i].w * r->faces[i].h > best) {
            best = r->faces[i].w * r->faces[i].h;
            largest = r->faces[i];
        }
    qsort(r->faces, r->n_faces, sizeof *r->faces, by_x);
    if (o->face > (double)r->n_faces)
        return evio_say("explain: there are %zu faces, numbered from 1; none is %g", r->n_faces,
                        o->face);
    r->chosen = o->face >= 1 ? (size_t)o->face - 1 : 0;
    for (size_t i = 0; i < r->n_faces && o->face < 1; i++)
        if (memcmp(&r->faces[i], &largest, sizeof largest) == 0)
            r->chosen = i;
    return 0;
}

static int make_maps(explain_tools *t, result *r) {
    const explain_options *o = t->options;
    const veil_detection *d = &r->faces[r->chosen];
    veil_frame frame = explain_frame(&r->picture);
    size_t n = (size_t)r->picture.width * (size_t)r->picture.height;
    if (tools_size(t, t->net.width, t->net.height))
        return -1;
    for (size_t i = 0; i < o->n_targets; i++) {
        r->maps[i] = malloc(n * sizeof *r->maps[i]);
        if (!r->maps[i])
            return evio_say("out of memory");
        veil_explain_options eo = {.struct_size = sizeof eo,
                                   .target = o->targets[i],
                                   .method = o->method,
                                   .layer = o->layer,
                                   .x = d->x,
                                   .y = d->y,
                                   .w = d->w,
                                   .h = d->h,
                                   .patch = (int32_t)o->patch,
                                   .map = r->maps[i],
                                   .map_width = r->picture.width,
                                   .map_height = r->picture.height};
        int rc = veil_explain(t->explainer, i == 0 ? &frame : NULL, &eo, &r->found[i]);
        if (rc)
            return explain_failed(rc, o);
        for (size_t k = 0; k < n; k++)
            r->maps[i][k] *= r->found[i].peak;
    }
    return 0;
}

/* One scale for all maps, so that their strengths can be compared. */
static int write_picture(const explain_options *o, result *r) {
    explain_panel panels[3] = {{NULL, NULL}};
    char titles[3][80];
    double scale = 0;
    size_t n = (size_t)r->picture.width * (size_t)r->picture.height;
    const veil_detection *d = &r->faces[r->chosen];
    snprintf(titles[0], sizeof titles[0], "face %zu: %.2f  interview %.2f", r->chosen + 1,
             (double)d->score, (double)d->interview);
    panels[0].title = titles[0];
    for (size_t i = 0; i < o->n_targets; i++)
        scale = fmax(scale, (double)r->found[i].peak);
    for (size_t i = 0; i < o->n_targets; i++) {
        snprintf(titles[i + 1], sizeof titles[0], "for %s (%s)", explain_class_name(o->targets[i]),
                 explain_method_name(o->method));
        for (size_t k = 0; k < n && scale > 0; k++)
            r->maps[i][k] /= (float)scale;
        panels[i + 1] = (explain_panel){r->maps[i], titles[i + 1]};
    }
    evio_picture drawn;
    if (explain_draw(&r->picture, panels, o->n_targets + 1, r->faces, r->n_faces, r->chosen, scale,
                     o->colours, &drawn))
        return -1;
    int rc = evio_png_write(o->output, drawn.rgb, drawn.width, drawn.height);
    free(drawn.rgb);
    return rc;
}

/* NumPy's format, version 1.0; little-endian machines. */
static int write_npy(const explain_options *o, const result *r) {
    char head[128];
    int w = r->picture.width, h = r->picture.height;
    memset(head, ' ', sizeof head);
    memcpy(head, "\x93NUMPY\x01\x00\x76\x00", 10);
    int n = snprintf(head + 10, sizeof head - 10,
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %d, %d), }",
                     o->n_targets, h, w);
    head[10 + n] = ' ';
    head[sizeof head - 1] = '\n';
    FILE *f = evio_open_out(o->npy);
    if (!f)
        return -1;
    fwrite(head, 1, sizeof head, f);
    for (size_t i = 0; i < o->n_targets; i++)
        fwrite(r->maps[i], sizeof(float), (size_t)w * (size_t)h, f);
    return evio_close_out(f, o->npy);
}

static json_t *box_json(float x, float y, float w, float h) {
    return json_pack("[f,f,f,f]", (double)x, (double)y, (double)w, (double)h);
}

static int write_json(const explain_options *o, const result *r) {
    json_t *faces = json_array(), *maps = json_array();
    for (size_t i = 0; i < r->n_faces; i++) {
        const veil_detection *d = &r->faces[i];
        json_array_append_new(
            faces, json_pack("{s:o, s:f, s:f}", "box", box_json(d->x, d->y, d->w, d->h), "score",
                             (double)d->score, "interview", (double)d->interview));
    }
    for (size_t i = 0; i < o->n_targets; i++) {
        const veil_explanation *x = &r->found[i];
        json_array_append_new(
            maps,
            json_pack("{s:s, s:o, s:f, s:f, s:f, s:f, s:s, s:[i,i], s:[i,i]}", "class",
                      explain_class_name(o->targets[i]), "box", box_json(x->x, x->y, x->w, x->h),
                      "score", (double)x->score, "interview", (double)x->interview, "logit",
                      (double)x->logit, "peak", (double)x->peak, "layer", x->layer, "layer_size",
                      x->layer_width, x->layer_height, "input", x->net_width, x->net_height));
    }
    return evio_json_write(o->json,
                           json_pack("{s:s, s:i, s:i, s:s, s:I, s:o, s:o}", "input", o->input,
                                     "width", r->picture.width, "height", r->picture.height,
                                     "method", explain_method_name(o->method), "face",
                                     (json_int_t)(r->chosen + 1), "faces", faces, "maps", maps));
}

static void print(const explain_options *o, const result *r) {
    for (size_t i = 0; i < r->n_faces; i++) {
        const veil_detection *d = &r->faces[i];
        printf("%c face %zu at %.0f,%.0f, %.0fx%.0f px: face %.2f, interview %.2f\n",
               i == r->chosen ? '*' : ' ', i + 1, (double)d->x, (double)d->y, (double)d->w,
               (double)d->h, (double)d->score, (double)d->interview);
    }
    for (size_t i = 0; i < o->n_targets; i++)
        printf("  for %s: evidence %.2f (interview %.2f before the other faces are compared), "
               "strongest %.3g at %s%s\n",
               explain_class_name(o->targets[i]), (double)r->found[i].logit,
               (double)r->found[i].interview, (double)r->found[i].peak,
               *r->found[i].layer ? "layer " : "the mask", r->found[i].layer);
}

/* An experiment: what if this was not there? */
static int grey_out(const explain_options *o, const evio_picture *p) {
    int x, y, w, h;
    char rest;
    if (sscanf(o->grey, "%d,%d,%d,%d%c", &x, &y, &w, &h, &rest) != 4 || w < 1 || h < 1)
        return evio_say("explain: --grey takes X,Y,W,H in px, not \"%s\"", o->grey);
    for (int py = y > 0 ? y : 0; py < p->height && py - y < h; py++)
        for (int px = x > 0 ? x : 0; px < p->width && px - x < w; px++)
            memset(p->rgb + 3 * ((size_t)py * (size_t)p->width + (size_t)px), GREY, 3);
    return 0;
}

int explain_picture(const explain_options *o) {
    explain_tools t = {0};
    result r = {0};
    int rc = evio_picture_read(o->input, &r.picture);
    if (rc == 0 && o->grey)
        rc = grey_out(o, &r.picture);
    if (rc == 0)
        rc = tools_open(&t, o);
    if (rc == 0)
        rc = find_faces(&t, &r);
    if (rc == 0)
        rc = make_maps(&t, &r);
    if (rc == 0 && !evio_is_stdout(o->json))
        print(o, &r);
    if (rc == 0 && o->npy)
        rc = write_npy(o, &r);
    if (rc == 0 && o->json)
        rc = write_json(o, &r);
    if (rc == 0 && o->output)
        rc = write_picture(o, &r);
    tools_close(&t);
    free(r.maps[0]);
    free(r.maps[1]);
    free(r.picture.rgb);
    return rc;
}
