/* What the parts of `veil explain --dataset` share: one row a face. */
#ifndef CLI_EXPLAIN_SET_H
#define CLI_EXPLAIN_SET_H

#include "explain.h"

/* Where evidence lies. The person is estimated from the face: three widths across, half a height
 * above it to five below. */
typedef enum { AT_FACE, AT_PERSON, AT_OTHERS, AT_REST, N_PLACES } set_place;

/* What is done to the picture, and how the class then changes. */
typedef enum {
    DO_PERSON_GREY,
    DO_OTHERS_GREY,
    DO_PERSON_ALONE,
    DO_FACE_ALONE,
    DO_HALF_SIZE,
    DO_DOUBLE_SIZE,
    DO_TO_EDGE,
    DO_TO_MIDDLE,
    DO_BLURRED,
    DO_MIRRORED,
    DO_EYES_GREY,
    DO_MOUTH_GREY,
    N_DEEDS
} set_deed;

typedef struct {
    char *path;
    ev_box box;               /* as found, px of the picture */
    int width, height;        /* of the picture, px */
    int interview, predicted; /* label and decision: 1 = interview */
    double p;                 /* P(interview) of the model as it is */
    double score;
    double share[N_PLACES], area[N_PLACES]; /* of the evidence and of the picture, 0..1 */
    double size;                            /* height by the picture's short side */
    double distance;      /* of its centre from the picture's, by half a diagonal */
    double low;           /* height of its centre in the picture, 0 top .. 1 bottom */
    double sharp;         /* log of the mean square of the Laplacian in the face at 48 px height */
    double with[N_DEEDS]; /* P(interview) after each deed; NaN: not found then */
} set_face;

typedef struct {
    set_face *faces;
    size_t n, cap, n_pictures;
    size_t n_lost; /* labelled faces of at least 16 px that the network did not find */
} set_table;

/* P(interview) after each deed. others: all faces found, of which `own` is this one. 0 or -1. */
int set_deeds(explain_tools *t, const evio_picture *p, const veil_detection *all, size_t n,
              size_t own, double *with);
const char *set_deed_name(set_deed d);

/* Sharpness of a box of a picture. */
double set_sharpness(const evio_picture *p, ev_box b);

/* Ranks, 1-based, of n numbers, equal ones sharing their mean; NULL without memory. */
double *set_ranks(const double *x, size_t n);
/* Rank correlation and plain correlation; NaN when one does not vary. */
double set_spearman(const double *x, const double *y, size_t n);
double set_pearson(const double *x, const double *y, size_t n);
/* Share of the variance of y that a linear fit of k columns (x[i * k + j]) explains; NaN: none. */
double set_fit(const double *x, size_t k, const double *y, size_t n);

/* ------------------------------------------------------------------ tests of the maps */

enum { CHECK_MAPS = 7, CHECK_RANDOMISED = 4 };
extern const char *const check_map_names[CHECK_MAPS];
extern const int check_randomised[CHECK_RANDOMISED]; /* convolutions from the end; 0 = all */

typedef struct {
    size_t n[2];                                              /* faces by predicted class */
    double deletion[2][CHECK_MAPS], insertion[2][CHECK_MAPS]; /* mean areas */
    double occlusion; /* mean rank correlation of hirescam with occlusion */
    size_t n_occlusion;
    double randomised[CHECK_RANDOMISED]; /* mean correlation with the true network's map */
    double other; /* mean correlation with the map of options->against; NaN: not asked */
    size_t n_random, n_other;
} check_figures;

typedef struct checker checker;
/* 0, or -1 after saying why. checker_destroy accepts NULL. */
int checker_create(checker **out, const explain_options *o);
void checker_destroy(checker *c);
/* Tests the map of one face, whose picture the detector has just seen. */
int checker_face(checker *c, explain_tools *t, const evio_picture *p, const veil_detection *d,
                 int interview);
/* True when it wants no more faces of this class. */
int checker_full(const checker *c, int interview);
check_figures checker_figures(const checker *c);

/* ------------------------------------------------------------------ results */

int set_write(const explain_options *o, explain_tools *t, const set_table *table,
              const check_figures *check);

/* The map of a face over its picture, small, as text for an HTML image; NULL after saying why. */
char *set_thumb(explain_tools *t, const set_face *f);

#endif
