/* The models that are built into the library, by name. Where the build left them out, there are
 * none. */
#include "builtin.h"

#include "veil.h"

#include <string.h>

#ifdef VEIL_HAVE_BUILTIN_MODEL
extern const unsigned char vl_builtin_veil_n[], vl_builtin_veil_n_end[];
extern const unsigned char vl_builtin_veil_p[], vl_builtin_veil_p_end[];

static const struct {
    const char *name;
    const unsigned char *bytes, *end;
} MODELS[] = {
    {VL_BUILTIN_DEFAULT, vl_builtin_veil_n, vl_builtin_veil_n_end},
    {"veil-p", vl_builtin_veil_p, vl_builtin_veil_p_end},
};
#endif

const void *veil_model_builtin(const char *name, size_t *size) {
    if (name == NULL || size == NULL)
        return NULL;
    *size = 0;
#ifdef VEIL_HAVE_BUILTIN_MODEL
    for (size_t i = 0; i < sizeof MODELS / sizeof *MODELS; i++)
        if (strcmp(name, MODELS[i].name) == 0) {
            *size = (size_t)(MODELS[i].end - MODELS[i].bytes);
            return MODELS[i].bytes;
        }
#endif
    return NULL;
}
