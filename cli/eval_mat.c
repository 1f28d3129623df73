/* eval_mat.c - reads the WIDER FACE lists with libmatio. A cell array of events holds cell arrays
 * of pictures; each picture has n x 4 boxes, n x 1 invalid flags, and for each subset the numbers,
 * from 1, of the faces in it. The files are not trusted: every access is checked. */
#include "eval_mat.h"

#include "eval_io.h"

#include <matio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Cell i of a cell array, NULL when there is none. */
static const matvar_t *cell(const matvar_t *v, size_t i) {
    if (!v || v->class_type != MAT_C_CELL || !v->data || v->data_size == 0 ||
        i >= v->nbytes / (size_t)v->data_size)
        return NULL;
    return ((matvar_t *const *)v->data)[i];
}

static size_t cells(const matvar_t *v) {
    return v && v->class_type == MAT_C_CELL && v->data_size > 0 ? v->nbytes / (size_t)v->data_size
                                                                : 0;
}

static size_t numbers(const matvar_t *v) {
    return v && v->data && v->data_size > 0 && v->class_type != MAT_C_CELL
               ? v->nbytes / (size_t)v->data_size
               : 0;
}

static double number(const matvar_t *v, size_t i) {
    switch (v->data_type) {
    case MAT_T_DOUBLE:
        return ((const double *)v->data)[i];
    case MAT_T_SINGLE:
        return (double)((const float *)v->data)[i];
    case MAT_T_INT32:
        return ((const int32_t *)v->data)[i];
    case MAT_T_UINT32:
        return ((const uint32_t *)v->data)[i];
    case MAT_T_INT16:
        return ((const int16_t *)v->data)[i];
    case MAT_T_UINT16:
        return ((const uint16_t *)v->data)[i];
    case MAT_T_INT8:
        return ((const int8_t *)v->data)[i];
    case MAT_T_UINT8:
        return ((const uint8_t *)v->data)[i];
    default:
        return 0;
    }
}

/* A MATLAB string into at most cap-1 bytes; names here are ASCII. */
static int string(const matvar_t *v, char *out, size_t cap) {
    if (!v || v->class_type != MAT_C_CHAR || !v->data || v->data_size <= 0)
        return -1;
    size_t n = v->nbytes / (size_t)v->data_size;
    if (n + 1 > cap)
        return -1;
    for (size_t i = 0; i < n; i++) {
        unsigned c =
            v->data_size == 1 ? ((const uint8_t *)v->data)[i] : ((const uint16_t *)v->data)[i];
        if (c < 32 || c > 126)
            return -1;
        out[i] = (char)c;
    }
    out[n] = 0;
    return strstr(out, "..") || strchr(out, '/') ? -1 : 0;
}

/* Path of the picture if it is there, with any of the usual endings. */
static char *find_picture(const char *images, const char *event, const char *name) {
    static const char *const endings[] = {"webp", "jpg", "png", "jpeg"};
    char path[4096];
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        int n = snprintf(path, sizeof path, "%s/%s/%s.%s", images, event, name, endings[i]);
        if (n > 0 && (size_t)n < sizeof path && access(path, R_OK) == 0)
            return strdup(path);
    }
    return NULL;
}

typedef struct {
    mat_t *file;
    matvar_t *events, *files, *boxes, *invalid;
    mat_t *set_file[WIDER_SETS];
    matvar_t *set[WIDER_SETS];
} lists;

static matvar_t *open_variable(mat_t **file, const char *path, const char *name) {
    if (!*file)
        *file = Mat_Open(path, MAT_ACC_RDONLY);
    if (!*file) {
        evio_say("%s: not there or not a MATLAB file", path);
        return NULL;
    }
    matvar_t *v = Mat_VarRead(*file, name);
    if (!v)
        evio_say("%s: has no \"%s\"", path, name);
    return v;
}

static void lists_close(lists *l) {
    matvar_t *all[] = {l->events, l->files, l->boxes, l->invalid, l->set[0], l->set[1], l->set[2]};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i])
            Mat_VarFree(all[i]);
    for (int i = 0; i < WIDER_SETS; i++)
        if (l->set_file[i])
            Mat_Close(l->set_file[i]);
    if (l->file)
        Mat_Close(l->file);
}

static int lists_open(lists *l, const char *dir) {
    static const char *const names[WIDER_SETS] = {"easy", "medium", "hard"};
    char path[4096];
    snprintf(path, sizeof path, "%s/eval/wider_face_val.mat", dir);
    if (!(l->events = open_variable(&l->file, path, "event_list")) ||
        !(l->files = open_variable(&l->file, path, "file_list")) ||
        !(l->boxes = open_variable(&l->file, path, "face_bbx_list")) ||
        !(l->invalid = open_variable(&l->file, path, "invalid_label_list")))
        return -1;
    for (int i = 0; i < WIDER_SETS; i++) {
        snprintf(path, sizeof path, "%s/eval/wider_%s_val.mat", dir, names[i]);
        if (!(l->set[i] = open_variable(&l->set_file[i], path, "gt_list")))
            return -1;
    }
    return 0;
}

/* Boxes and flags of picture i of event e. */
static int fill_faces(wider_picture *p, const lists *l, size_t e, size_t i) {
    const matvar_t *boxes = cell(cell(l->boxes, e), i), *bad = cell(cell(l->invalid, e), i);
    size_t n = numbers(boxes) / 4;
    p->n_faces = n;
    p->boxes = ev_box_array(NULL, n, sizeof *p->boxes);
    p->faces = ev_box_array(NULL, n, sizeof *p->faces);
    if (!p->boxes || !p->faces)
        return evio_say("out of memory");
    for (size_t f = 0; f < n; f++) { /* stored column by column */
        p->boxes[f] = (ev_box){number(boxes, f), number(boxes, n + f), number(boxes, 2 * n + f),
                               number(boxes, 3 * n + f)};
        p->faces[f] = (ev_face){p->boxes[f], f < numbers(bad) && number(bad, f) != 0};
    }
    for (int s = 0; s < WIDER_SETS; s++) {
        const matvar_t *keep = cell(cell(l->set[s], e), i);
        if (!(p->wanted[s] = calloc(n ? n : 1, 1)))
            return evio_say("out of memory");
        for (size_t k = 0; k < numbers(keep); k++) {
            double face = number(keep, k);
            if (!(face >= 1 && face <= (double)n))
                return evio_say("%s: the list names face %g of %zu", p->name, face, n);
            p->wanted[s][(size_t)face - 1] = 1;
        }
    }
    return 0;
}

static int add_picture(wider_truth *t, size_t *cap, const lists *l, size_t e, size_t i,
                       const char *images, const char *event) {
    char name[256];
    if (string(cell(cell(l->files, e), i), name, sizeof name))
        return evio_say("the list of WIDER pictures is damaged");
    char *path = find_picture(images, event, name);
    if (!path)
        return 0;
    void *grown = t->pictures;
    if (ev_box_grow(&grown, t->n, cap, sizeof *t->pictures)) {
        free(path);
        return evio_say("out of memory");
    }
    t->pictures = grown;
    wider_picture *p = &t->pictures[t->n++];
    *p = (wider_picture){.path = path, .name = evio_join(event, name)};
    return p->name ? fill_faces(p, l, e, i) : evio_say("out of memory");
}

int wider_read(wider_truth *truth, const char *dir) {
    *truth = (wider_truth){0};
    lists l = {0};
    size_t cap = 0;
    char *images = evio_join(dir, "val/images"), event[256];
    int rc = images ? lists_open(&l, dir) : -1;
    for (size_t e = 0; e < cells(l.events) && rc == 0; e++) {
        if (string(cell(l.events, e), event, sizeof event))
            rc = evio_say("the list of WIDER events is damaged");
        size_t n = cells(cell(l.files, e));
        for (size_t i = 0; i < n && rc == 0; i++)
            rc = add_picture(truth, &cap, &l, e, i, images, event);
    }
    if (rc == 0 && truth->n == 0)
        rc = evio_say("no WIDER val pictures under %s", images);
    lists_close(&l);
    free(images);
    if (rc)
        wider_free(truth);
    return rc;
}

void wider_free(wider_truth *truth) {
    for (size_t i = 0; i < truth->n; i++) {
        wider_picture *p = &truth->pictures[i];
        free(p->name);
        free(p->path);
        free(p->boxes);
        free(p->faces);
        for (int s = 0; s < WIDER_SETS; s++)
            free(p->wanted[s]);
    }
    free(truth->pictures);
    *truth = (wider_truth){0};
}
