/* eval_misses.h - a sheet of the largest faces that a detector did not find. */
#ifndef CLI_EVAL_MISSES_H
#define CLI_EVAL_MISSES_H

#include "box.h"

#include <stddef.h>

typedef struct {
    const char *path; /**< of the picture, borrowed */
    ev_box box;
} eval_miss;

/** Sorts them, largest first, and writes the first 50 as PNG. 0, or -1 after saying why. */
int eval_misses_write(const char *out, eval_miss *misses, size_t n);

#endif
