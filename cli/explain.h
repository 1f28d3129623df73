/* What the parts of `veil explain` share. */
#ifndef CLI_EXPLAIN_H
#define CLI_EXPLAIN_H

#include "eval_io.h"
#include "eval_net.h"
#include "heat.h"
#include "veil.h"

typedef struct {
    /* as given */
    const char *input, *output, *model, *class_name, *method_name, *layer, *colours_name, *size;
    const char *npy, *json, *dataset, *list, *against, *grey;
    double face, threads, limit, min_score, patch, check_faces;
    int overwrite, check;
    /* as understood */
    veil_class targets[2];
    size_t n_targets;
    veil_method method;
    heat_colours colours;
    evnet_size net_size;
} explain_options;

/* The two networks: the model as it is, for boxes and scores, and its explainer. */
typedef struct {
    evnet net;
    veil_explainer *explainer;
    int width, height; /* input of the explainer, px; 0 = none yet */
    const explain_options *options;
    uint8_t *model;
    size_t model_size;
} explain_tools;

const char *explain_class_name(veil_class c);
const char *explain_method_name(veil_method m);

/* 0, or -1 after saying why. tools_close accepts a half-open one. */
int tools_open(explain_tools *t, const explain_options *o);
void tools_close(explain_tools *t);

/* Explainer for a network input of this size. 0, or -1 after saying why. */
int tools_size(explain_tools *t, int width, int height);

/* Frame of RGB pixels. */
veil_frame explain_frame(const evio_picture *p);

/* Says what went wrong in veil_explain, with what to do. Returns -1. */
int explain_failed(int rc, const explain_options *o);

/* ------------------------------------------------------------------ drawing, explain_draw.c */

typedef struct {
    const float *map; /* as large as the picture, in parts of `scale`; NULL: the picture alone */
    const char *title;
} explain_panel;

/* Panels side by side with titles, boxes (the chosen one marked) and a colour bar for 0..scale.
 * 0 and rgb to free, or -1 after saying why. */
int explain_draw(const evio_picture *p, const explain_panel *panels, size_t n,
                 const veil_detection *faces, size_t n_faces, size_t chosen, double scale,
                 heat_colours colours, evio_picture *out);

/* The picture in w x h px: the mean of what lies under each px; nearest when growing. */
void explain_shrink(const evio_picture *p, uint8_t *out, int w, int h);

/* A frame of `line` px around a box. */
void explain_box(uint8_t *rgb, int width, int height, ev_box b, int line, uint32_t colour);

/* ------------------------------------------------------------------ the other parts */

int explain_picture(const explain_options *o);
int explain_clip(const explain_options *o);
int explain_dataset(const explain_options *o);

#endif
