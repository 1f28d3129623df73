/* Answers: JSON, problems (RFC 9457), bytes, files, streams; with the headers all of them carry. */
#ifndef SERVER_REPLY_H
#define SERVER_REPLY_H

#include "http.h"

#include <jansson.h>

/* Takes json over. NULL json means out of memory. */
void reply_json(http_request *r, int status, json_t *json);
/* One sentence of detail. */
void reply_problem(http_request *r, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void reply_empty(http_request *r, int status);
/* Bytes that live as long as the program. etag may be NULL. */
void reply_static(http_request *r, const char *type, const void *data, size_t size,
                  const char *etag);
/* Takes data over (free). */
void reply_bytes(http_request *r, const char *type, void *data, size_t size);
/* Sends a part of it when asked for a range. Takes fd over. name: what browsers save it as. */
void reply_file(http_request *r, int fd, int64_t size, const char *type, const char *name);
/* Takes user over: free_user is always called. */
void reply_stream(http_request *r, const char *type, MHD_ContentReaderCallback read, void *user,
                  MHD_ContentReaderFreeCallback free_user);
/* 204 with a cookie of the page's token; NULL takes it back. */
void reply_cookie(http_request *r, const char *token);
/* 204 to OPTIONS, or 405: both tell the methods there are. */
void reply_allow(http_request *r, int status, unsigned methods);

#endif
