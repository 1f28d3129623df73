/* explain_results.c - figures of `veil explain --dataset`: as text, as JSON, and what the report
 * needs of them. */
#include "explain_results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const place_names[N_PLACES] = {"the face", "rest of the person", "other people",
                                                  "elsewhere"};
static const char *const group_names[N_GROUPS] = {"interview, rightly", "background, rightly",
                                                  "interview, wrongly (a bystander shown)",
                                                  "background, wrongly (an interviewee hidden)"};
static const char *const property_names[N_PROPERTIES] = {"size", "distance from the middle",
                                                         "height in the picture", "sharpness"};
static const char *const fit_names[N_FITS] = {"size", "size and position",
                                              "size, position and sharpness"};

const char *results_place(set_place p) {
    return place_names[p];
}

const char *results_group(int g) {
    return group_names[g];
}

int results_group_of(const set_face *f) {
    return f->interview == f->predicted ? !f->predicted : f->predicted ? 2 : 3;
}

static double properties(const set_face *f, int i) {
    return i == 0 ? log(f->size) : i == 1 ? f->distance : i == 2 ? f->low : f->sharp;
}

static double logit(double p) {
    p = fmin(fmax(p, 1e-4), 1 - 1e-4);
    return log(p / (1 - p));
}

static void add_face(group_figures *g, const set_face *f) {
    g->n++;
    g->p += f->p;
    g->size += f->size;
    g->distance += f->distance;
    g->low += f->low;
    g->sharp += f->sharp;
    if (isfinite(f->share[0])) {
        g->n_located++;
        for (int i = 0; i < N_PLACES; i++) {
            g->share[i] += f->share[i];
            g->area[i] += f->area[i];
        }
    }
    for (int d = 0; d < N_DEEDS; d++) {
        if (isnan(f->with[d]))
            continue;
        g->found[d]++;
        g->before[d] += f->p;
        g->after[d] += f->with[d];
        g->turned[d] += (f->with[d] >= 0.5) != f->predicted;
    }
}

static void finish(group_figures *g) {
    double n = g->n ? (double)g->n : NAN, located = g->n_located ? (double)g->n_located : NAN;
    double *const sums[] = {&g->p, &g->size, &g->distance, &g->low, &g->sharp};
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++)
        *sums[i] /= n;
    for (int i = 0; i < N_PLACES; i++) {
        g->share[i] /= located;
        g->area[i] /= located;
    }
    for (int d = 0; d < N_DEEDS; d++) {
        double found = g->found[d] ? (double)g->found[d] : NAN;
        g->before[d] /= found;
        g->after[d] /= found;
        g->turned[d] /= found;
    }
}

int results_make(results *r, const set_table *t) {
    double *y = ev_box_array(NULL, t->n, sizeof *y), *one = ev_box_array(NULL, t->n, sizeof *one);
    double *x = ev_box_array(NULL, t->n * N_PROPERTIES, sizeof *x);
    *r = (results){.n = t->n, .n_pictures = t->n_pictures, .n_lost = t->n_lost};
    int rc = x && y && one ? 0 : evio_say("out of memory");
    for (size_t i = 0; i < t->n && rc == 0; i++) {
        add_face(&r->group[results_group_of(&t->faces[i])], &t->faces[i]);
        y[i] = logit(t->faces[i].p);
    }
    for (int g = 0; g < N_GROUPS && rc == 0; g++)
        finish(&r->group[g]);
    for (int k = 0; k < N_PROPERTIES && rc == 0; k++) {
        for (size_t i = 0; i < t->n; i++)
            one[i] = properties(&t->faces[i], k);
        r->rank[k] = set_spearman(one, y, t->n);
    }
    static const size_t columns[N_FITS] = {1, 3, 4};
    for (int k = 0; k < N_FITS && rc == 0; k++) {
        for (size_t i = 0; i < t->n; i++)
            for (size_t c = 0; c < columns[k]; c++)
                x[i * columns[k] + c] = properties(&t->faces[i], (int)c);
        r->fit[k] = set_fit(x, columns[k], y, t->n);
    }
    free(x);
    free(y);
    free(one);
    return rc;
}

/* ------------------------------------------------------------------ text */

static void print_groups(const results *r) {
    for (int g = 0; g < N_GROUPS; g++) {
        const group_figures *f = &r->group[g];
        if (!f->n)
            continue;
        printf("%s: %zu faces, P(interview) %.2f\n  evidence (share of the picture): ",
               group_names[g], f->n, f->p);
        for (int i = 0; i < N_PLACES; i++)
            printf("%s%s %.0f %% (%.0f %%)", i ? ", " : "", place_names[i], 100 * f->share[i],
                   100 * f->area[i]);
        printf("\n  height %.2f of the short side, %.2f from the middle, at %.2f from the top, "
               "sharpness %.2f\n",
               f->size, f->distance, f->low, f->sharp);
        for (int d = 0; d < N_DEEDS; d++)
            printf("    %-24s P %.2f -> %.2f, class turned for %.0f %%, not found then %.0f %%\n",
                   set_deed_name((set_deed)d), f->before[d], f->after[d], 100 * f->turned[d],
                   100 - 100 * (double)f->found[d] / (double)f->n);
    }
    puts("evidence for interview goes (rank correlation) with:");
    for (int k = 0; k < N_PROPERTIES; k++)
        printf("  %-26s %+.2f\n", property_names[k], r->rank[k]);
    puts("share of its variance that a linear rule explains:");
    for (int k = 0; k < N_FITS; k++)
        printf("  %-30s %.0f %%\n", fit_names[k], 100 * r->fit[k]);
}

static void print_check(const check_figures *c) {
    puts("tests of the maps:");
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < CHECK_MAPS && c->n[k]; i++)
            printf(
                "  %-10s %-9s (%zu faces) deletion %.3f (%+.0f %% of random's), insertion %.3f\n",
                k ? "background" : "interview", check_map_names[i], c->n[k], c->deletion[k][i],
                100 * (c->deletion[k][i] / c->deletion[k][0] - 1), c->insertion[k][i]);
    printf("  rank correlation with occlusion: %.2f (%zu faces)\n", c->occlusion, c->n_occlusion);
    for (int i = 0; i < CHECK_RANDOMISED; i++)
        printf("  with random weights in %s%.0d convolutions: correlation %.2f (%zu faces)\n",
               check_randomised[i] ? "the last " : "all", check_randomised[i], c->randomised[i],
               c->n_random);
    if (c->n_other)
        printf("  correlation with the maps of the other model: %.4f (%zu faces)\n", c->other,
               c->n_other);
}

void results_print(const results *r, const check_figures *check) {
    printf("%zu faces in %zu labelled test pictures; %zu labelled faces not found\n", r->n,
           r->n_pictures, r->n_lost);
    print_groups(r);
    if (check)
        print_check(check);
}

/* ------------------------------------------------------------------ JSON */

static json_t *number(double v) {
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *group_json(const group_figures *g) {
    json_t *share = json_object(), *area = json_object(), *deeds = json_object();
    for (int i = 0; i < N_PLACES; i++) {
        json_object_set_new(share, place_names[i], number(g->share[i]));
        json_object_set_new(area, place_names[i], number(g->area[i]));
    }
    for (int d = 0; d < N_DEEDS; d++)
        json_object_set_new(deeds, set_deed_name((set_deed)d),
                            json_pack("{s:I, s:o, s:o, s:o}", "found", (json_int_t)g->found[d],
                                      "before", number(g->before[d]), "after", number(g->after[d]),
                                      "turned", number(g->turned[d])));
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "faces", (json_int_t)g->n,
                     "p_interview", number(g->p), "size", number(g->size), "distance",
                     number(g->distance), "height", number(g->low), "sharpness", number(g->sharp),
                     "evidence", share, "area", area, "deeds", deeds);
}

static json_t *check_json(const check_figures *c) {
    json_t *o = json_object(), *random = json_array();
    for (int k = 0; k < 2; k++) {
        json_t *maps = json_object();
        for (int i = 0; i < CHECK_MAPS; i++)
            json_object_set_new(maps, check_map_names[i],
                                json_pack("{s:o, s:o}", "deletion", number(c->deletion[k][i]),
                                          "insertion", number(c->insertion[k][i])));
        json_object_set_new(o, k ? "background" : "interview",
                            json_pack("{s:I, s:o}", "faces", (json_int_t)c->n[k], "maps", maps));
    }
    for (int i = 0; i < CHECK_RANDOMISED; i++)
        json_array_append_new(random, json_pack("{s:i, s:o}", "convolutions", check_randomised[i],
                                                "correlation", number(c->randomised[i])));
    json_object_set_new(o, "occlusion_rank_correlation", number(c->occlusion));
    json_object_set_new(o, "randomised", random);
    json_object_set_new(o, "other_model_correlation", number(c->other));
    return o;
}

json_t *results_json(const results *r, const check_figures *check) {
    json_t *groups = json_object(), *ranks = json_object(), *fits = json_object();
    for (int g = 0; g < N_GROUPS; g++)
        json_object_set_new(groups, group_names[g], group_json(&r->group[g]));
    for (int k = 0; k < N_PROPERTIES; k++)
        json_object_set_new(ranks, property_names[k], number(r->rank[k]));
    for (int k = 0; k < N_FITS; k++)
        json_object_set_new(fits, fit_names[k], number(r->fit[k]));
    json_t *o = json_pack("{s:I, s:I, s:I, s:o, s:o, s:o}", "pictures", (json_int_t)r->n_pictures,
                          "faces", (json_int_t)r->n, "not_found", (json_int_t)r->n_lost, "groups",
                          groups, "rank_correlation", ranks, "explained_variance", fits);
    if (check)
        json_object_set_new(o, "check", check_json(check));
    return o;
}
