/* Compares paths part by part with the table. A path with anything unusual in it matches nothing.
 */
#include "route.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    route_method method;
} methods[] = {
    {"GET", METHOD_GET},         {"HEAD", METHOD_GET},    {"POST", METHOD_POST},
    {"PUT", METHOD_PUT},         {"PATCH", METHOD_PATCH}, {"DELETE", METHOD_DELETE},
    {"OPTIONS", METHOD_OPTIONS},
};

#define N_METHODS (sizeof methods / sizeof methods[0])

route_method route_method_of(const char *name) {
    for (size_t i = 0; i < N_METHODS; i++) {
        if (strcmp(methods[i].name, name) == 0)
            return methods[i].method;
    }
    return METHOD_NONE;
}

void route_allow(unsigned allowed, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < N_METHODS && used < size; i++) {
        if (((allowed | METHOD_OPTIONS) & methods[i].method) == 0)
            continue;
        int n = snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "", methods[i].name);
        used += n > 0 ? (size_t)n : 0;
    }
}

static bool is_id_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Fills id when the pattern has one. */
static bool matches(const char *pattern, const char *path, char *id) {
    while (*pattern != '\0') {
        if (strncmp(pattern, "{id}", 4) == 0) {
            size_t n = 0;
            while (is_id_char(path[n]) && n < ROUTE_ID_MAX - 1)
                n++;
            if (n == 0 || (path[n] != '/' && path[n] != '\0'))
                return false;
            memcpy(id, path, n);
            id[n] = '\0';
            pattern += 4;
            path += n;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == '\0';
}

route_match route_find(const route *table, size_t n, route_method method, const char *path) {
    route_match found = {0};
    for (size_t i = 0; i < n; i++) {
        char id[ROUTE_ID_MAX] = "";
        if (!matches(table[i].path, path, id))
            continue;
        found.allowed |= table[i].method;
        if (table[i].method == method) {
            found.route = &table[i];
            memcpy(found.id, id, sizeof id);
        }
    }
    return found;
}
