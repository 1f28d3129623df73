/* An output file that is whole or not there: written beside, renamed when finished. */
#ifndef MEDIA_PART_H
#define MEDIA_PART_H

#include "error.h"

typedef struct part part;

/* Creates PATH.part-XXXXXX. Without overwrite an existing PATH is an error. A PATH that exists and
 * is no regular file (a device, a named pipe) is written directly. */
int part_create(part **out, const char *path, bool overwrite, media_error *err);
/* Where to write. */
const char *part_path(const part *p);
/* Forces the data to disk and gives the file its name. */
int part_commit(part *p, media_error *err);
/* Frees it; removes the file when it was not committed. NULL is fine. */
void part_destroy(part *p);

#endif
