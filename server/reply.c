/* Makes responses. Every one of them says that nothing may be sniffed, framed or kept. */
#include "reply.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STREAM_BLOCK 65536

static const char *const common[][2] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
     "media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
     "form-action 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Permissions-Policy", "camera=(self), microphone=(), geolocation=(), usb=(), payment=()"},
};

static void add(struct MHD_Response *response, const char *name, const char *value) {
    MHD_add_response_header(response, name, value);
}

/* Adds what all have, sends it and lets go of it. cache: NULL = may not be kept. */
static void send_it(http_request *r, int status, struct MHD_Response *response, const char *type,
                    const char *cache) {
    if (!response)
        return; /* the core answers with 500, or closes */
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
        add(response, common[i][0], common[i][1]);
    add(response, "Cache-Control", cache ? cache : "no-store");
    if (type)
        add(response, "Content-Type", type);
    /* After a request that was not understood nobody knows where the next one begins. */
    if (status == MHD_HTTP_BAD_REQUEST || status == MHD_HTTP_CONTENT_TOO_LARGE)
        add(response, "Connection", "close");
    if (!r->replied && MHD_queue_response(r->connection, (unsigned)status, response) == MHD_YES)
        r->replied = true;
    http_note(r, status);
    MHD_destroy_response(response);
}

static struct MHD_Response *of_text(char *text, size_t size) {
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE);
    if (!response)
        free(text);
    return response;
}

static void send_json(http_request *r, int status, json_t *json, const char *type) {
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(json);
    if (text)
        send_it(r, status, of_text(text, strlen(text)), type, NULL);
}

void reply_json(http_request *r, int status, json_t *json) {
    send_json(r, status, json, "application/json");
}

static const char *title_of(int status) {
    const char *title = MHD_get_reason_phrase_for((unsigned)status);
    return title ? title : "Error";
}

void reply_problem(http_request *r, int status, const char *format, ...) {
    char detail[600];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    send_json(r, status,
              json_pack("{s:s, s:s, s:i, s:s+}", "type", "about:blank", "title", title_of(status),
                        "status", status, "detail", detail, ""),
              "application/problem+json");
}

void reply_empty(http_request *r, int status) {
    send_it(r, status, MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT), NULL,
            NULL);
}

void reply_static(http_request *r, const char *type, const void *data, size_t size,
                  const char *etag) {
    const char *known = http_header(r, "If-None-Match");
    bool same = etag && known && strcmp(known, etag) == 0;
    void *bytes;
    memcpy(&bytes, &data, sizeof bytes); /* libmicrohttpd only reads it */
    struct MHD_Response *response =
        MHD_create_response_from_buffer(same ? 0 : size, bytes, MHD_RESPMEM_PERSISTENT);
    if (response && etag)
        add(response, "ETag", etag);
    send_it(r, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, response, type, "no-cache");
}

void reply_bytes(http_request *r, const char *type, void *data, size_t size) {
    send_it(r, MHD_HTTP_OK, of_text(data, size), type, NULL);
}

/* "bytes=A-B", "bytes=A-", "bytes=-N". Returns 1 with a part, 0 for the whole, -1 when there is no
 * such part. */
static int parse_range(const char *text, int64_t size, int64_t *first, int64_t *last) {
    char end;
    if (!text || strncmp(text, "bytes=", 6) != 0 || strlen(text) > 45)
        return 0;
    text += 6;
    if (sscanf(text, "-%" SCNd64 "%c", last, &end) == 1 && *last >= 0) {
        *first = *last < size ? size - *last : 0;
        *last = size - 1;
    } else if (text[0] < '0' || text[0] > '9') {
        return 0;
    } else if (sscanf(text, "%" SCNd64 "-%" SCNd64 "%c", first, last, &end) == 2) {
        if (*last < *first)
            return 0;
        *last = *last < size ? *last : size - 1;
    } else if (sscanf(text, "%" SCNd64 "%c%c", first, &end, &end) == 2 && end == '-') {
        *last = size - 1;
    } else {
        return 0;
    }
    return *first >= 0 && *first < size && *first <= *last ? 1 : -1;
}

void reply_file(http_request *r, int fd, int64_t size, const char *type, const char *name) {
    int64_t first, last;
    char text[128];
    int part = parse_range(http_header(r, "Range"), size, &first, &last);
    if (part == 0) {
        first = 0;
        last = size - 1;
    }
    if (part < 0) {
        close(fd);
        reply_problem(r, MHD_HTTP_RANGE_NOT_SATISFIABLE, "the file has %" PRId64 " bytes", size);
        return;
    }
    struct MHD_Response *response =
        MHD_create_response_from_fd_at_offset64((uint64_t)(last - first + 1), fd, (uint64_t)first);
    if (!response) {
        close(fd);
        return;
    }
    add(response, "Accept-Ranges", "bytes");
    snprintf(text, sizeof text, "attachment; filename=\"%s\"", name);
    add(response, "Content-Disposition", text);
    snprintf(text, sizeof text, "bytes %" PRId64 "-%" PRId64 "/%" PRId64, first, last, size);
    if (part > 0)
        add(response, "Content-Range", text);
    send_it(r, part > 0 ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK, response, type, NULL);
}

void reply_stream(http_request *r, const char *type, MHD_ContentReaderCallback read, void *user,
                  MHD_ContentReaderFreeCallback free_user) {
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read, user, free_user);
    if (!response) {
        free_user(user);
        return;
    }
    add(response, "X-Accel-Buffering", "no"); /* nginx would collect it otherwise */
    send_it(r, MHD_HTTP_OK, response, type, NULL);
}

void reply_cookie(http_request *r, const char *token) {
    char text[256];
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    snprintf(text, sizeof text, "veil=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%d%s",
             token ? token : "", token ? 30 * 24 * 3600 : 0,
             http_is_tls(r->http) ? "; Secure" : "");
    if (response)
        add(response, "Set-Cookie", text);
    send_it(r, MHD_HTTP_NO_CONTENT, response, NULL, NULL);
}

void reply_allow(http_request *r, int status, unsigned methods) {
    char allow[96];
    route_allow(methods, allow, sizeof allow);
    struct MHD_Response *response;
    if (status == MHD_HTTP_NO_CONTENT) {
        response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    } else {
        char text[200];
        snprintf(text, sizeof text,
                 "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,"
                 "\"detail\":\"here one may %s\"}",
                 title_of(status), status, allow);
        response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
    }
    if (response)
        add(response, "Allow", allow);
    send_it(r, status, response, status == MHD_HTTP_NO_CONTENT ? NULL : "application/problem+json",
            NULL);
}
