/* See levels.h. */
#include "levels.h"

#include "options.h"
#include "veil.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    uint32_t level;
    const char *name, *word;
} all[] = {{VEIL_CPU_AVX2, "AVX2", "avx2"},
           {VEIL_CPU_AVXVNNI, "AVX-VNNI", "avxvnni"},
           {VEIL_CPU_AVX512, "AVX-512", "avx512"},
           {VEIL_CPU_AVX512VNNI, "AVX-512 VNNI", "avx512vnni"},
           {VEIL_CPU_AMX, "AMX", "amx"},
           {VEIL_CPU_NEON, "NEON", "neon"},
           {VEIL_CPU_DOTPROD, "NEON dot product", "dotprod"}};

#define N_LEVELS (sizeof all / sizeof all[0])

const char *levels_name(size_t i, uint32_t *level) {
    if (i >= N_LEVELS)
        return NULL;
    *level = all[i].level;
    return all[i].name;
}

const char *levels_word(size_t i, uint32_t *level) {
    return levels_name(i, level) != NULL ? all[i].word : NULL;
}

int levels_off(uint32_t *off, const char *command) {
    const char *text = getenv("VEIL_CPU");
    uint32_t on = 0, every = 0;
    *off = 0;
    if (text == NULL || text[0] == '\0')
        return CLI_OK;
    for (size_t i = 0; i < N_LEVELS; i++)
        every |= all[i].level;
    while (text[0] != '\0') {
        size_t n = strcspn(text, ","), i = 0;
        while (i < N_LEVELS && (strlen(all[i].word) != n || strncmp(all[i].word, text, n) != 0))
            i++;
        if (i == N_LEVELS && !(n == 1 && text[0] == 'c')) {
            cli_error(command,
                      "VEIL_CPU: no level is called '%.*s'; there are c, avx2, avxvnni, avx512, "
                      "avx512vnni, amx, neon, dotprod",
                      (int)n, text);
            return CLI_USAGE;
        }
        on |= i < N_LEVELS ? all[i].level : 0;
        text += text[n] == ',' ? n + 1 : n;
    }
    *off = every & ~on;
    return CLI_OK;
}
