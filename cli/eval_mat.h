/* eval_mat.h - WIDER FACE val as its authors give it (MATLAB files), restricted to the pictures
 * that are present. */
#ifndef CLI_EVAL_MAT_H
#define CLI_EVAL_MAT_H

#include "recall.h"

enum { WIDER_EASY, WIDER_MEDIUM, WIDER_HARD, WIDER_SETS };

typedef struct {
    char *name; /**< event/picture, without the ending */
    char *path;
    ev_box *boxes;
    ev_face *faces; /**< the same boxes, with the annotators' "invalid" */
    unsigned char *wanted[WIDER_SETS];
    size_t n_faces;
} wider_picture;

typedef struct {
    wider_picture *pictures;
    size_t n;
} wider_truth;

/** Reads DIR/eval/wider_*_val.mat and looks for DIR/val/images/EVENT/NAME.(jpg|webp|png). 0, or -1
 * after saying why. */
int wider_read(wider_truth *truth, const char *dir);
void wider_free(wider_truth *truth);

#endif
