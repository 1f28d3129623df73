/* Figures of `veil explain --dataset`: made in explain_results.c, drawn in explain_report.c. */
#ifndef CLI_EXPLAIN_RESULTS_H
#define CLI_EXPLAIN_RESULTS_H

#include "explain_set.h"

/* By decision and label: rightly interview, rightly background, wrongly each. */
enum { N_GROUPS = 4, N_PROPERTIES = 4, N_FITS = 3 };

/* Means. */
typedef struct {
    size_t n, n_located; /* faces; those with any evidence */
    double p, size, distance, low, sharp;
    double share[N_PLACES], area[N_PLACES];
    size_t found[N_DEEDS];
    double before[N_DEEDS], after[N_DEEDS]; /* P(interview) of those found afterwards */
    double turned[N_DEEDS];                 /* share whose class changed */
} group_figures;

typedef struct {
    size_t n, n_pictures, n_lost;
    group_figures group[N_GROUPS];
    double rank[N_PROPERTIES]; /* rank correlation of the evidence with simple properties */
    double fit[N_FITS];        /* share of its variance that they explain */
} results;

int results_make(results *r, const set_table *t);
int results_group_of(const set_face *f);
const char *results_place(set_place p);
const char *results_group(int g);
void results_print(const results *r, const check_figures *check);
json_t *results_json(const results *r, const check_figures *check);

#endif
