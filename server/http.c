/* Connections, limits and checks. Each request passes them in a fixed order before a handler sees
 * it. A watchdog closes connections that take too long over a request; libmicrohttpd itself only
 * closes silent ones. */
#include "http.h"

#include "rate.h"
#include "reply.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS       256
#define THREADS           3
#define REQUESTS_PER_S    300.0
#define LOGINS_PER_S      1.0
#define LOGIN_BURST       10.0
#define IDLE_S            30
#define REQUEST_S         10
#define UPLOAD_GRACE_S    20
#define UPLOAD_BYTES_S    4096 /* slower uploads end after the grace */
#define MEMORY_CONNECTION 32768
#define NS_PER_S          INT64_C(1000000000)

typedef enum { PHASE_HEAD, PHASE_BODY, PHASE_UPLOAD, PHASE_REPLY } phase;

/* One connection, in a list. */
typedef struct peer {
    LIST_ENTRY(peer) others;
    int fd;
    phase phase;
    int64_t since_ns, bytes;
} peer;

struct http {
    http_options options;
    struct MHD_Daemon *daemon;
    int port;
    rate requests, logins;
    pthread_mutex_t lock; /* of the list */
    pthread_cond_t wake;
    LIST_HEAD(, peer) peers;
    size_t n_peers;
    pthread_t watchdog;
    bool has_watchdog, ending, has_locks;
};

int64_t http_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* ---------------------------------------------------------------- connections and watchdog */

static void on_connection(void *user, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code) {
    http *h = user;
    peer *l = *context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        l = calloc(1, sizeof *l);
        *context = l;
        if (!l)
            return;
        l->fd = info ? info->connect_fd : -1;
        l->since_ns = http_now_ns();
        pthread_mutex_lock(&h->lock);
        LIST_INSERT_HEAD(&h->peers, l, others);
        h->n_peers++;
        pthread_mutex_unlock(&h->lock);
    } else if (l) {
        pthread_mutex_lock(&h->lock);
        LIST_REMOVE(l, others);
        h->n_peers--;
        pthread_mutex_unlock(&h->lock);
        free(l);
        *context = NULL;
    }
}

static peer *peer_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void enter(http *h, struct MHD_Connection *connection, phase next) {
    peer *l = peer_of(connection);
    if (!l)
        return;
    pthread_mutex_lock(&h->lock);
    l->phase = next;
    l->since_ns = http_now_ns();
    l->bytes = 0;
    pthread_mutex_unlock(&h->lock);
}

static bool overdue(const http *h, const peer *l, int64_t now_ns) {
    double s = (double)(now_ns - l->since_ns) * 1e-9;
    switch (l->phase) {
    case PHASE_HEAD:
    case PHASE_BODY:
        return s > h->options.request_s;
    case PHASE_UPLOAD:
        return s > UPLOAD_GRACE_S && (double)l->bytes < s * UPLOAD_BYTES_S;
    case PHASE_REPLY:
        break; /* libmicrohttpd's own limit on silence */
    }
    return false;
}

static void *watchdog_main(void *user) {
    http *h = user;
    pthread_mutex_lock(&h->lock);
    while (!h->ending) {
        int64_t now_ns = http_now_ns();
        const peer *l;
        LIST_FOREACH(l, &h->peers, others) {
            if (l->fd >= 0 && overdue(h, l, now_ns))
                shutdown(l->fd, SHUT_RDWR); /* closed by its own thread then */
        }
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += 1;
        pthread_cond_timedwait(&h->wake, &h->lock, &until);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

/* ---------------------------------------------------------------- checks */

const char *http_header(const http_request *r, const char *name) {
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

const char *http_query(const http_request *r, const char *name) {
    return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
}

static uint64_t client_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    uint64_t key = 0;
    if (!info || !info->client_addr)
        return 1;
    if (info->client_addr->sa_family == AF_INET6) {
        struct sockaddr_in6 a;
        memcpy(&a, info->client_addr, sizeof a);
        bool mapped = IN6_IS_ADDR_V4MAPPED(&a.sin6_addr);
        memcpy(&key, a.sin6_addr.s6_addr + (mapped ? 8 : 0), sizeof key); /* a /64 is one client */
    } else {
        struct sockaddr_in a;
        memcpy(&a, info->client_addr, sizeof a);
        key = a.sin_addr.s_addr;
    }
    return key | (UINT64_C(1) << 63);
}

typedef struct {
    int host, length, encoding;
} header_count;

static enum MHD_Result count_header(void *user, enum MHD_ValueKind kind, const char *name,
                                    const char *value) {
    header_count *n = user;
    (void)kind;
    (void)value;
    n->host += strcasecmp(name, "Host") == 0;
    n->length += strcasecmp(name, "Content-Length") == 0;
    n->encoding += strcasecmp(name, "Transfer-Encoding") == 0;
    return MHD_YES;
}

/* What no two readers may understand in two ways. */
static bool is_well_formed(http_request *r, const char *version) {
    header_count n = {0};
    MHD_get_connection_values(r->connection, MHD_HEADER_KIND, count_header, &n);
    const char *length = http_header(r, "Content-Length");
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        reply_problem(r, MHD_HTTP_HTTP_VERSION_NOT_SUPPORTED, "this server speaks HTTP/1.1");
    else if (n.host > 1 || n.length > 1 || n.encoding > 1)
        reply_problem(r, MHD_HTTP_BAD_REQUEST, "a header that may come once came twice");
    else if (!guard_framing(http_header(r, "Transfer-Encoding"), length))
        reply_problem(r, MHD_HTTP_BAD_REQUEST, "the length of the body is not clear");
    else if (!r->uri || !guard_path(r->uri))
        reply_problem(r, MHD_HTTP_BAD_REQUEST, "the path holds something unusual");
    else if (!guard_host(http_header(r, "Host"), r->http->options.names, r->http->options.n_names))
        reply_problem(r, MHD_HTTP_MISDIRECTED_REQUEST,
                      "the server is not called so; --name NAME adds a name");
    r->content_length = length && !r->replied ? strtoll(length, NULL, 10) : -1;
    return !r->replied;
}

static bool has_token(const http_request *r) {
    char token[GUARD_TOKEN_MAX];
    const char *wanted = r->http->options.token;
    if (!wanted)
        return true;
    return (guard_bearer(http_header(r, "Authorization"), token) && guard_equal(token, wanted)) ||
           (guard_cookie(http_header(r, "Cookie"), token) && guard_equal(token, wanted));
}

static bool is_allowed(http_request *r) {
    http *h = r->http;
    const char *origin = http_header(r, "Origin");
    bool loose = (r->route->flags & ROUTE_LOOSE) != 0;
    if (!loose && !guard_fetch_site(http_header(r, "Sec-Fetch-Site")))
        reply_problem(r, MHD_HTTP_FORBIDDEN, "another site may not ask this");
    else if (origin && !guard_origin(origin, http_header(r, "Host"), http_is_tls(h)))
        reply_problem(r, MHD_HTTP_FORBIDDEN, "another site may not ask this");
    else if ((r->route->flags & ROUTE_OPEN) == 0 && !has_token(r)) {
        if (http_login_allowed(h, r))
            reply_problem(r, MHD_HTTP_UNAUTHORIZED, "a token is needed: Authorization: Bearer ...");
        else
            reply_problem(r, MHD_HTTP_TOO_MANY_REQUESTS, "too many attempts without a token");
    }
    return !r->replied;
}

static bool has_body(const http_request *r) {
    return r->content_length > 0 || http_header(r, "Transfer-Encoding");
}

static bool body_is_fine(http_request *r) {
    if (!has_body(r) || (r->route->flags & ROUTE_UPLOAD) != 0)
        return true;
    const char *type = http_header(r, "Content-Type");
    /* A form of another site can send text/plain without being asked, but not this. */
    if (!type || strncasecmp(type, "application/json", 16) != 0 ||
        (type[16] != '\0' && type[16] != ';' && type[16] != ' '))
        reply_problem(r, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "the body has to be application/json");
    else if (r->content_length > HTTP_BODY_MAX)
        reply_problem(r, MHD_HTTP_CONTENT_TOO_LARGE, "the body may have %d bytes", HTTP_BODY_MAX);
    return !r->replied;
}

static void find_route(http_request *r, const char *method) {
    const http_options *o = &r->http->options;
    r->method = route_method_of(method);
    r->uri[strcspn(r->uri, "?")] = '\0';
    route_match found = route_find(o->routes, o->n_routes, r->method, r->uri);
    memcpy(r->id, found.id, sizeof r->id);
    r->route = found.route;
    if (r->method == METHOD_NONE)
        reply_problem(r, MHD_HTTP_NOT_IMPLEMENTED, "this method is not known here");
    else if (found.allowed == 0)
        reply_problem(r, MHD_HTTP_NOT_FOUND, "there is nothing here; /api describes what there is");
    else if (!found.route)
        reply_allow(r,
                    r->method == METHOD_OPTIONS ? MHD_HTTP_NO_CONTENT : MHD_HTTP_METHOD_NOT_ALLOWED,
                    found.allowed);
}

/* ---------------------------------------------------------------- requests */

static void *on_uri(void *user, const char *uri, struct MHD_Connection *connection) {
    http_request *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->connection = connection;
    r->http = user;
    r->uri = strdup(uri);
    return r;
}

static void on_completed(void *user, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code) {
    http_request *r = *context;
    (void)code;
    enter(user, connection, PHASE_HEAD);
    if (!r)
        return;
    if (r->upload_done)
        r->upload_done(r->upload);
    free(r->body);
    free(r->uri);
    free(r);
    *context = NULL;
}

/* The head is complete. */
static void begin(http_request *r, const char *method, const char *version) {
    http *h = r->http;
    bool upload;
    r->begun = true;
    r->client = client_of(r->connection);
    r->content_length = -1;
    if (!rate_take(&h->requests, r->client, http_now_ns())) {
        reply_problem(r, MHD_HTTP_TOO_MANY_REQUESTS, "too many requests");
        return;
    }
    if (!is_well_formed(r, version))
        return;
    find_route(r, method);
    if (r->replied || !is_allowed(r) || !body_is_fine(r))
        return;
    upload = (r->route->flags & ROUTE_UPLOAD) != 0;
    enter(h, r->connection, upload ? PHASE_UPLOAD : PHASE_BODY);
    if (r->route->begin)
        r->route->begin(h->options.server, r);
}

/* Bytes of the body. False closes the connection. */
static bool take(http_request *r, const char *data, size_t size) {
    peer *l = peer_of(r->connection);
    if (l) {
        pthread_mutex_lock(&r->http->lock);
        l->bytes += (int64_t)size;
        pthread_mutex_unlock(&r->http->lock);
    }
    if (r->upload_write)
        return r->upload_write(r, data, size);
    if (r->body_size + size > HTTP_BODY_MAX) {
        /* No answer is possible before the end of the body; a little more is read for it. */
        r->too_large = true;
        r->body_size += size;
        return r->body_size < 4 * HTTP_BODY_MAX;
    }
    if (r->body_size + size + 1 > r->body_capacity) {
        size_t capacity = r->body_size + size + 4096;
        char *more = realloc(r->body, capacity);
        if (!more)
            return false;
        r->body = more;
        r->body_capacity = capacity;
    }
    memcpy(r->body + r->body_size, data, size);
    r->body_size += size;
    r->body[r->body_size] = '\0';
    return true;
}

static void finish(http_request *r) {
    if (r->too_large)
        reply_problem(r, MHD_HTTP_CONTENT_TOO_LARGE, "the body may have %d bytes", HTTP_BODY_MAX);
    else if (r->body && strlen(r->body) != r->body_size)
        reply_problem(r, MHD_HTTP_BAD_REQUEST, "the body is not text");
    else if (r->route)
        r->route->handle(r->http->options.server, r);
    if (!r->replied && !r->waiting)
        reply_problem(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **context) {
    http_request *r = *context;
    (void)user;
    (void)url;
    if (!r)
        return MHD_NO;
    if (!r->begun) {
        begin(r, method, version);
        if (r->replied)
            enter(r->http, connection, PHASE_REPLY);
        return MHD_YES;
    }
    if (*size > 0) {
        bool ok = r->replied || take(r, data, *size);
        *size = 0;
        return ok ? MHD_YES : MHD_NO;
    }
    if (!r->replied) {
        enter(r->http, connection, PHASE_REPLY);
        r->waiting = false;
        finish(r);
        return r->replied || r->waiting ? MHD_YES : MHD_NO;
    }
    return MHD_YES;
}

void http_wait(http_request *r) {
    r->waiting = true;
    MHD_suspend_connection(r->connection);
}

void http_note(const http_request *r, int status) {
    const http_options *o = &r->http->options;
    if (o->on_status)
        o->on_status(o->server, status);
}

bool http_login_allowed(http *h, const http_request *r) {
    return rate_take(&h->logins, r->client, http_now_ns());
}

/* ---------------------------------------------------------------- life */

static int listen_on(http *h, media_error *err) {
    const http_options *o = &h->options;
    char port[16];
    struct addrinfo *list = NULL, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    int one = 1, fd = -1;
    snprintf(port, sizeof port, "%d", o->port);
    int ret = getaddrinfo(o->address, port, &hints, &list);
    if (ret != 0)
        return media_fail(err, "cannot listen on '%s': %s", o->address, gai_strerror(ret));
    fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, list->ai_addr, list->ai_addrlen) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &length) != 0) {
        media_fail(err, "cannot listen on %s:%d: %s", o->address, o->port, strerror(errno));
        if (fd >= 0)
            close(fd);
        freeaddrinfo(list);
        return -1;
    }
    freeaddrinfo(list);
    in_port_t number = 0;
    if (bound.ss_family == AF_INET6) {
        struct sockaddr_in6 a;
        memcpy(&a, &bound, sizeof a);
        number = a.sin6_port;
    } else {
        struct sockaddr_in a;
        memcpy(&a, &bound, sizeof a);
        number = a.sin_port;
    }
    h->port = ntohs(number);
    return fd;
}

static struct MHD_Daemon *start_daemon(http *h, int fd) {
    const http_options *o = &h->options;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
                     (o->certificate ? (unsigned)MHD_USE_TLS : 0u);
    static const char *const versions = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
    struct MHD_OptionItem tls[4] = {{MHD_OPTION_END, 0, NULL}};
    if (o->certificate) { /* memcpy: the library takes them without const */
        tls[0].option = MHD_OPTION_HTTPS_MEM_CERT;
        memcpy(&tls[0].ptr_value, &o->certificate, sizeof(void *));
        tls[1].option = MHD_OPTION_HTTPS_MEM_KEY;
        memcpy(&tls[1].ptr_value, &o->key, sizeof(void *));
        tls[2].option = MHD_OPTION_HTTPS_PRIORITIES;
        memcpy(&tls[2].ptr_value, &versions, sizeof(void *));
        tls[3].option = MHD_OPTION_END;
    }
    return MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)o->connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)o->connections * 3 / 4, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_CONNECTION, MHD_OPTION_THREAD_POOL_SIZE,
        (unsigned)o->threads, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, on_uri,
        h, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, h, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

static void init_locks(http *h) {
    pthread_condattr_t attributes;
    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&h->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    rate_init(&h->requests, h->options.requests_per_s, 2 * h->options.requests_per_s);
    rate_init(&h->logins, LOGINS_PER_S, LOGIN_BURST);
    h->has_locks = true;
}

int http_start(http **out, const http_options *options, media_error *err) {
    *out = NULL;
    http *h = calloc(1, sizeof *h);
    if (!h)
        return media_fail(err, "out of memory");
    http_options *o = &h->options;
    *o = *options;
    o->connections = o->connections > 0 ? o->connections : CONNECTIONS;
    o->threads = o->threads > 0 ? o->threads : THREADS;
    o->requests_per_s = o->requests_per_s > 0 ? o->requests_per_s : REQUESTS_PER_S;
    o->request_s = o->request_s > 0 ? o->request_s : REQUEST_S;
    init_locks(h);
    int fd = listen_on(h, err);
    if (fd < 0)
        goto fail;
    h->daemon = start_daemon(h, fd);
    if (!h->daemon) {
        close(fd);
        media_fail(err, o->certificate ? "cannot start: are certificate and key PEM files that "
                                         "belong together?"
                                       : "the HTTP server cannot start");
        goto fail;
    }
    h->has_watchdog = pthread_create(&h->watchdog, NULL, watchdog_main, h) == 0;
    if (!h->has_watchdog) {
        media_fail(err, "a thread could not be started");
        goto fail;
    }
    *out = h;
    return 0;
fail:
    http_stop(h);
    return -1;
}

void http_stop(http *h) {
    if (!h)
        return;
    if (h->daemon)
        MHD_stop_daemon(h->daemon);
    if (h->has_watchdog) {
        pthread_mutex_lock(&h->lock);
        h->ending = true;
        pthread_cond_signal(&h->wake);
        pthread_mutex_unlock(&h->lock);
        pthread_join(h->watchdog, NULL);
    }
    if (h->has_locks) {
        rate_destroy(&h->requests);
        rate_destroy(&h->logins);
        pthread_cond_destroy(&h->wake);
        pthread_mutex_destroy(&h->lock);
    }
    free(h);
}

int http_port(const http *h) {
    return h->port;
}

bool http_is_tls(const http *h) {
    return h->options.certificate != NULL;
}

size_t http_connections(http *h) {
    pthread_mutex_lock(&h->lock);
    size_t n = h->n_peers;
    pthread_mutex_unlock(&h->lock);
    return n;
}
