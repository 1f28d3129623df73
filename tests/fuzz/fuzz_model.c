/* Fuzzes the model parser and whatever it lets through: the input is a model file whose size and
 * checksum are made right, then parsed, planned and run on a small picture. */
#include "mutate.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size + 1);
    if (copy == NULL)
        return 0;
    memcpy(copy, data, size);
    mutate_seal(copy, size);
    mutate_try(copy, size);
    free(copy);
    return 0;
}
