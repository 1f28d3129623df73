/* eval_boxes.h - boxes of a detector for many pictures, as text: the picture's name, how many
 * boxes, then "x y w h score" a line; as WIDER FACE's own files, one after another. */
#ifndef CLI_EVAL_BOXES_H
#define CLI_EVAL_BOXES_H

#include "ap.h"

typedef struct {
    char *name; /**< as in the file, less a picture ending */
    ev_found *found;
    size_t n;
} boxes_picture;

typedef struct {
    boxes_picture *pictures;
    size_t n;
} boxes_file;

/** 0, or -1 after saying why. */
int boxes_read(boxes_file *out, const char *path);
void boxes_free(boxes_file *file);

/** The picture of this name ("event/name" or only "name"), NULL when the file lacks it. */
const boxes_picture *boxes_find(const boxes_file *file, const char *name);

#endif
