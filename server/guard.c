/* Checks that keep other sites, other machines and malformed requests out. */
#include "guard.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#define HOST_MAX 256

/* Host without port, brackets and letter case; false when it is malformed. */
static bool bare_host(const char *host, char out[HOST_MAX]) {
    size_t n = strcspn(host, ":");
    const char *rest = host + n;
    if (host[0] == '[') {
        const char *end = strchr(host, ']');
        if (!end)
            return false;
        host++;
        n = (size_t)(end - host);
        rest = end + 1;
    }
    if (n == 0 || n >= HOST_MAX)
        return false;
    if (*rest != '\0') {
        size_t digits = strspn(rest + 1, "0123456789");
        if (*rest != ':' || digits == 0 || digits > 5 || rest[1 + digits] != '\0')
            return false;
    }
    memcpy(out, host, n);
    out[n] = '\0';
    return true;
}

static bool is_address(const char *text) {
    unsigned char bytes[16];
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

bool guard_host(const char *host, const char *const *names, size_t n_names) {
    char bare[HOST_MAX];
    if (!host || !bare_host(host, bare))
        return false;
    if (is_address(bare) || strcasecmp(bare, "localhost") == 0)
        return true;
    for (size_t i = 0; i < n_names; i++) {
        if (strcasecmp(bare, names[i]) == 0)
            return true;
    }
    return false;
}

bool guard_origin(const char *origin, const char *host, bool tls) {
    const char *scheme = tls ? "https://" : "http://";
    size_t n = strlen(scheme);
    if (!host)
        return false;
    if (strncmp(origin, scheme, n) == 0)
        return strcasecmp(origin + n, host) == 0;
    /* Behind a proxy that does TLS the page's scheme is https, ours http. */
    return strncmp(origin, "https://", 8) == 0 && strcasecmp(origin + 8, host) == 0;
}

bool guard_fetch_site(const char *site) {
    return !site || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0;
}

bool guard_path(const char *path) {
    bool query = false;
    if (path[0] != '/')
        return false;
    for (const char *p = path; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  strchr("/-_.~?&=%+,:", c);
        if (!ok || (!query && c == '.' && p[1] == '.'))
            return false;
        query = query || c == '?';
    }
    return true;
}

bool guard_framing(const char *transfer_encoding, const char *content_length) {
    if (transfer_encoding)
        return !content_length && strcasecmp(transfer_encoding, "chunked") == 0;
    if (!content_length)
        return true;
    size_t digits = strspn(content_length, "0123456789");
    return digits > 0 && digits <= 18 && content_length[digits] == '\0';
}

bool guard_equal(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    unsigned different = n != m;
    for (size_t i = 0; i < n; i++)
        different |= (unsigned)(unsigned char)a[i] ^ (unsigned char)(m > 0 ? b[i % m] : 0);
    return different == 0;
}

static bool is_token_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static size_t token_length(const char *text) {
    size_t n = 0;
    while (is_token_char(text[n]))
        n++;
    return n;
}

static bool copy_token(const char *text, char token[GUARD_TOKEN_MAX]) {
    size_t n = token_length(text);
    if (n == 0 || n >= GUARD_TOKEN_MAX)
        return false;
    memcpy(token, text, n);
    token[n] = '\0';
    return true;
}

bool guard_bearer(const char *authorization, char token[GUARD_TOKEN_MAX]) {
    return authorization && strncasecmp(authorization, "Bearer ", 7) == 0 &&
           copy_token(authorization + 7, token);
}

bool guard_cookie(const char *cookie, char token[GUARD_TOKEN_MAX]) {
    for (const char *p = cookie; p && *p != '\0';) {
        p += strspn(p, "; ");
        if (strncmp(p, "veil=", 5) == 0)
            return copy_token(p + 5, token);
        p = strchr(p, ';');
    }
    return false;
}

bool guard_make_id(char *text, size_t letters) {
    static const char set[] = "abcdefghijklmnopqrstuvwxyz234567"; /* 32: no bias */
    unsigned char bytes[128];
    if (letters > sizeof bytes || getrandom(bytes, letters, 0) != (ssize_t)letters)
        return false;
    for (size_t i = 0; i < letters; i++)
        text[i] = set[bytes[i] & 31];
    text[letters] = '\0';
    return true;
}

bool guard_is_loopback(const char *address) {
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 ||
           strcasecmp(address, "localhost") == 0;
}

bool guard_token_ok(const char *token) {
    size_t n = token_length(token);
    return token[n] == '\0' && n >= 16 && n < GUARD_TOKEN_MAX;
}
