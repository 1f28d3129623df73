/* Who may ask: Host and Origin checks, the token, the shape of a request. Pure functions. */
#ifndef SERVER_GUARD_H
#define SERVER_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#define GUARD_TOKEN_MAX 129

/* Names under which the server may be called, besides localhost and bare addresses. A page from
 * elsewhere that points its own name at us (DNS rebinding) calls us by that name. */
bool guard_host(const char *host, const char *const *names, size_t n_names);
/* Whether an Origin header names the same host and port as Host. */
bool guard_origin(const char *origin, const char *host, bool tls);
/* Sec-Fetch-Site as browsers send it; NULL (no browser) is fine. */
bool guard_fetch_site(const char *site);
/* Whether a path, with its query, is made of harmless characters, and has no ".." before the query.
 */
bool guard_path(const char *path);
/* Transfer-Encoding and Content-Length as one server and any proxy before it read them alike. NULL
 * = absent. */
bool guard_framing(const char *transfer_encoding, const char *content_length);
/* Takes the same time wherever the texts differ. */
bool guard_equal(const char *a, const char *b);
/* The token of "Bearer TOKEN", or of the cookie veil=TOKEN. False when there is none. */
bool guard_bearer(const char *authorization, char token[GUARD_TOKEN_MAX]);
bool guard_cookie(const char *cookie, char token[GUARD_TOKEN_MAX]);
/* 32 random letters and digits. False when the system gives no random bytes. */
bool guard_make_id(char *text, size_t letters);
/* Whether an address is the machine itself. */
bool guard_is_loopback(const char *address);
/* 16..128 letters, digits, '-', '_'. */
bool guard_token_ok(const char *token);

#endif
