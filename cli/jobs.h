/* From what was named on the command line to pairs of one input and one output: files, folders,
 * patterns. */
#ifndef CLI_JOBS_H
#define CLI_JOBS_H

#include "options.h"

typedef struct {
    char *input, *output;
} job;

typedef struct {
    job *list;
    size_t n, capacity;
} jobs;

/* Returns CLI_OK, or another status after one line on stderr. Outputs' folders are not made yet. */
int jobs_make(jobs *j, const cli_options *o, const char *command);
void jobs_free(jobs *j);
/* Makes the folders above a path. */
int jobs_make_folders(const char *path, const char *command);
/* True when both paths are one file. */
bool jobs_same_file(const char *a, const char *b);

#endif
