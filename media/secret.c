/* Masking of secrets in texts for people. Knows addresses only, not bare passwords. */
#include "secret.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define MASK "***"

typedef struct {
    char *text;
    size_t size, n; /* n < size, room for the end */
} sink;

static void put(sink *s, const char *text, size_t n) {
    if (n > s->size - 1 - s->n)
        n = s->size - 1 - s->n;
    memcpy(s->text + s->n, text, n);
    s->n += n;
}

static bool is_secret_name(const char *name, size_t n) {
    static const char *const exact[] = {"key", "cid", "auth", "streamid", "pwd", "psk"};
    static const char *const begins[] = {"pass",       "token",  "sig",     "secret",
                                         "stream_key", "apikey", "api_key", "access"};
    for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++) {
        if (strlen(exact[i]) == n && strncasecmp(exact[i], name, n) == 0)
            return true;
    }
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        if (n >= strlen(begins[i]) && strncasecmp(begins[i], name, strlen(begins[i])) == 0)
            return true;
    }
    return false;
}

/* name=value&name=value */
static void put_query(sink *s, const char *p, const char *end) {
    while (p < end) {
        const char *stop = p;
        while (stop < end && *stop != '&' && *stop != ';')
            stop++;
        const char *equals = memchr(p, '=', (size_t)(stop - p));
        if (equals && is_secret_name(p, (size_t)(equals - p))) {
            put(s, p, (size_t)(equals + 1 - p));
            put(s, MASK, 3);
        } else {
            put(s, p, (size_t)(stop - p));
        }
        if (stop < end)
            put(s, stop, 1);
        p = stop + 1;
    }
}

/* /app/key: the last part, when there are two or more. */
static void put_path(sink *s, const char *p, const char *end, bool has_key) {
    const char *last = NULL;
    for (const char *q = p + 1; q < end; q++) {
        if (*q == '/')
            last = q;
    }
    if (has_key && last && last + 1 < end) {
        put(s, p, (size_t)(last + 1 - p));
        put(s, MASK, 3);
    } else {
        put(s, p, (size_t)(end - p));
    }
}

/* p is behind "://". */
static void put_address(sink *s, const char *p, const char *end, bool has_key) {
    const char *slash = p, *query;
    while (slash < end && *slash != '/' && *slash != '?')
        slash++;
    const char *at = NULL;
    for (const char *q = p; q < slash; q++) {
        if (*q == '@')
            at = q;
    }
    if (at) {
        put(s, MASK, 3);
        p = at;
    }
    put(s, p, (size_t)(slash - p));
    query = memchr(slash, '?', (size_t)(end - slash));
    if (slash < end && *slash == '/')
        put_path(s, slash, query ? query : end, has_key);
    if (query) {
        put(s, query, 1);
        put_query(s, query + 1, end);
    }
}

void secret_mask(char *out, size_t size, const char *text) {
    sink s = {out, size, 0};
    if (size == 0)
        return;
    for (const char *p = text; *p != '\0';) {
        const char *mark = strstr(p, "://");
        if (!mark) {
            put(&s, p, strlen(p));
            break;
        }
        const char *scheme = mark, *end = mark + 3;
        while (scheme > p && isalnum((unsigned char)scheme[-1]))
            scheme--;
        while (*end != '\0' && *end != '\n' && *end != ' ' && *end != '\'' && *end != '"')
            end++;
        put(&s, p, (size_t)(mark + 3 - p));
        put_address(&s, mark + 3, end, strncasecmp(scheme, "rtmp", 4) == 0);
        p = end;
    }
    out[s.n] = '\0';
}
