/* See model_file.h. Reading files is left to the callers, who word their errors differently. */
#include "model_file.h"

#include "veil.h"

#include <stdlib.h>
#include <string.h>

uint8_t *model_file_builtin(const char *name, size_t *size) {
    const void *bytes = veil_model_builtin(name, size);
    uint8_t *copy = bytes ? malloc(*size) : NULL;
    if (copy)
        memcpy(copy, bytes, *size);
    return copy;
}
