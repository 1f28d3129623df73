/* Which handler a method and a path mean. Pure: no sockets, so that it can be fuzzed. */
#ifndef SERVER_ROUTE_H
#define SERVER_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

typedef enum {
    METHOD_NONE = 0,
    METHOD_GET = 1, /* HEAD too */
    METHOD_POST = 2,
    METHOD_PUT = 4,
    METHOD_PATCH = 8,
    METHOD_DELETE = 16,
    METHOD_OPTIONS = 32
} route_method;

#define ROUTE_OPEN   1u /* needs no token */
#define ROUTE_UPLOAD 2u /* the body is a file, handed on piece by piece */
#define ROUTE_LOOSE  4u /* may be navigated to from elsewhere */

#define ROUTE_ID_MAX 40

struct server;
struct http_request;

/* {id} in a path stands for one part of 1..ROUTE_ID_MAX - 1 lower-case letters and digits. */
typedef struct {
    route_method method;
    unsigned flags;
    const char *path;
    void (*handle)(struct server *s, struct http_request *r);
    /* ROUTE_UPLOAD: at the end of the headers; may reply, then no more comes. */
    void (*begin)(struct server *s, struct http_request *r);
} route;

typedef struct {
    const route *route; /* NULL: none */
    unsigned allowed;   /* methods the path has, 0 = no such path */
    char id[ROUTE_ID_MAX];
} route_match;

/* METHOD_NONE for what we do not know. */
route_method route_method_of(const char *name);
/* "GET, HEAD, OPTIONS" into text. */
void route_allow(unsigned methods, char *text, size_t size);
/* path without the query. */
route_match route_find(const route *table, size_t n, route_method method, const char *path);

#endif
