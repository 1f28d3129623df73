/* The model that a user names: one built into the library, or else a file. */
#ifndef CLI_MODEL_FILE_H
#define CLI_MODEL_FILE_H

#include <stddef.h>
#include <stdint.h>

/* A copy of the built-in model of this name, to be freed; NULL where it is none's, then a file is
 * meant (a file of such a name is "./veil-p"). */
uint8_t *model_file_builtin(const char *name, size_t *size);

#endif
