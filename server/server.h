/* The server behind `veil serve`: web page, HTTP interface, one live session, jobs. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct server server;

/* Texts live as long as the server. */
typedef struct {
    const char *address; /* NULL = 127.0.0.1 */
    int port;
    const char *token;        /* NULL: none on loopback, elsewhere one of its own, kept in data */
    const char *const *names; /* the server may be called so */
    size_t n_names;
    const char *certificate, *key; /* PEM texts */
    const char *data;              /* folder; NULL = the user's state folder */
    const char *media;             /* folder of files that may be played; NULL = none */
    const char *recordings;        /* folder; NULL = in data */
    const void *model;
    size_t model_size;
    int keep_minutes;           /* of results; 0 = 60 */
    int64_t upload_mb, disk_mb; /* 0 = 2048, 8192 */
    int jobs_max;               /* waiting; 0 = 32 */
    int preview_width;          /* px; 0 = 1280 */
    double requests_per_s;      /* of a client; 0 = default */
    int wake_signal;            /* see pipeline.h */
    bool force_weak;            /* weak styles may be chosen */
    bool fresh;                 /* does not start the source that ran last time */
    const char *version;
    void (*log)(void *user, const char *line); /* any thread; may be NULL */
    void *user;
} server_options;

int server_start(server **out, const server_options *options, media_error *err);
void server_stop(server *s);
int server_port(const server *s);
/* NULL: none is needed. */
const char *server_token(const server *s);

#endif
