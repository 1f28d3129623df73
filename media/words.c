/* See words.h. */
#include "words.h"

#include <string.h>

int words_index(const char *words, const char *word) {
    size_t n = strlen(word);
    int i = 0;
    for (const char *p = words; n > 0; i++) {
        size_t length = strcspn(p, "|");
        if (length == n && memcmp(p, word, n) == 0)
            return i;
        if (p[length] == '\0')
            break;
        p += length + 1;
    }
    return -1;
}
