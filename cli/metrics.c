/* Prometheus figures over HTTP. Nothing but GET /metrics and /healthz is answered. */
#include "metrics.h"

#include "live_text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES 16384

struct metrics {
    struct MHD_Daemon *daemon;
    live *session;
};

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *text) {
    struct MHD_Response *r = MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text,
                                                             MHD_RESPMEM_MUST_COPY);
    if (!r)
        return MHD_NO;
    MHD_add_response_header(r, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    enum MHD_Result ret = MHD_queue_response(connection, status, r);
    MHD_destroy_response(r);
    return ret;
}

static enum MHD_Result answer(void *opaque, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **context) {
    const metrics *m = opaque;
    live_state state;
    char text[TEXT_BYTES];
    (void)version;
    (void)data;
    (void)size;
    (void)context;
    if (strcmp(method, "GET") != 0)
        return reply(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET only\n");
    live_get_state(m->session, &state);
    if (strcmp(url, "/metrics") == 0) {
        live_text_metrics(text, sizeof text, &state);
        return reply(connection, MHD_HTTP_OK, text);
    }
    if (strcmp(url, "/healthz") == 0) {
        snprintf(text, sizeof text, "%s\n", live_phase_text(state.phase));
        return reply(connection,
                     state.phase == LIVE_STOPPED ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK,
                     text);
    }
    return reply(connection, MHD_HTTP_NOT_FOUND, "there are /metrics and /healthz\n");
}

/* Returns the family, or 0. */
static int parse_address(const char *where, struct sockaddr_storage *out) {
    char host[64] = "127.0.0.1";
    const char *colon = strrchr(where, ':'), *port = colon ? colon + 1 : where;
    if (colon) {
        size_t n = (size_t)(colon - where);
        if (n >= 2 && where[0] == '[' && where[n - 1] == ']') {
            where++;
            n -= 2;
        }
        if (n >= sizeof host)
            return 0;
        memcpy(host, where, n);
        host[n] = '\0';
    }
    char *end;
    long number = strtol(port, &end, 10);
    if (end == port || *end != '\0' || number < 1 || number > 65535)
        return 0;
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)out;
    memset(out, 0, sizeof *out);
    if (strcmp(host, "localhost") == 0)
        snprintf(host, sizeof host, "127.0.0.1");
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)number);
        return AF_INET;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)number);
        return AF_INET6;
    }
    return 0;
}

int metrics_start(metrics **out, const char *where, live *session, media_error *err) {
    struct sockaddr_storage address;
    int family = parse_address(where, &address);
    *out = NULL;
    if (family == 0)
        return media_fail(err, "'--metrics' takes PORT or ADDR:PORT, not '%s'", where);
    metrics *m = calloc(1, sizeof *m);
    if (!m)
        return media_fail(err, "out of memory");
    m->session = session;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD;
    if (family == AF_INET6)
        flags |= MHD_USE_IPv6;
    m->daemon = MHD_start_daemon(flags, 0, NULL, NULL, answer, m, MHD_OPTION_SOCK_ADDR, &address,
                                 MHD_OPTION_CONNECTION_TIMEOUT, 10u, MHD_OPTION_CONNECTION_LIMIT,
                                 8u, MHD_OPTION_END);
    if (!m->daemon) {
        free(m);
        return media_fail(err, "cannot listen on '%s' for metrics: %s", where, strerror(errno));
    }
    *out = m;
    return 0;
}

void metrics_stop(metrics *m) {
    if (!m)
        return;
    MHD_stop_daemon(m->daemon);
    free(m);
}
