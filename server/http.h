/* The HTTP server's core on libmicrohttpd: connections and their limits, checks before any handler,
 * bodies. What is served is in api_*.c and page.c. */
#ifndef SERVER_HTTP_H
#define SERVER_HTTP_H

#include "error.h"
#include "guard.h"
#include "route.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_BODY_MAX 65536 /* bytes, of a body that is no upload */

typedef struct http http;

typedef struct http_request {
    struct MHD_Connection *connection;
    http *http;
    const route *route;
    route_method method;
    char id[ROUTE_ID_MAX];
    char *body; /* NUL-terminated, NULL when empty; not of uploads */
    size_t body_size;
    int64_t content_length; /* -1 = not told */
    uint64_t client;        /* tells addresses apart */
    bool replied;

    /* Set by a route's begin. write returns false after replying or to give up. Called from one
     * thread at a time; done is always called, when the request is over. */
    void *upload;
    bool (*upload_write)(struct http_request *r, const char *data, size_t size);
    void (*upload_done)(void *upload);

    /* the core's own */
    char *uri;
    size_t body_capacity;
    bool begun, too_large, waiting;
} http_request;

typedef struct {
    const char *address; /* host name or address */
    int port;            /* 0 = any free one */
    const char *token;   /* NULL = none needed */
    const char *const *names;
    size_t n_names;
    const char *certificate, *key; /* PEM texts, both or none */
    const route *routes;
    size_t n_routes;
    struct server *server;
    /* May be NULL. Any thread. */
    void (*on_status)(struct server *s, int status);
    /* Limits; 0 = default. */
    int connections, threads;
    double requests_per_s;
    int request_s; /* for the head, and for a body that is no upload */
} http_options;

int http_start(http **out, const http_options *options, media_error *err);
/* Streams must have been ended before. NULL is fine. */
void http_stop(http *h);
int http_port(const http *h);
bool http_is_tls(const http *h);
/* Connections now open. */
size_t http_connections(http *h);
/* A failed login: false when there were too many. */
bool http_login_allowed(http *h, const http_request *r);
/* Of a clock that only goes forward. */
int64_t http_now_ns(void);

/* No answer yet: the connection sleeps until MHD_resume_connection, then the handler is called
 * again. */
void http_wait(http_request *r);

/* An answer of this status is on its way. */
void http_note(const http_request *r, int status);

/* A header's value or NULL. */
const char *http_header(const http_request *r, const char *name);
/* A query parameter's value or NULL. */
const char *http_query(const http_request *r, const char *name);

#endif
