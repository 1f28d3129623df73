/* The newest of something, to any number of HTTP connections: each gets whole pieces, and misses
 * those that came while it was still busy with one before. So a slow reader slows nobody. */
#ifndef SERVER_HUB_H
#define SERVER_HUB_H

#include "http.h"

typedef struct hub hub;

/* NULL when out of memory. */
hub *hub_create(size_t max_readers);
void hub_destroy(hub *h);
/* Takes data over (free). */
void hub_publish(hub *h, void *data, size_t size);
/* Readers now. */
size_t hub_readers(hub *h);
/* Answers with the stream, beginning with the newest piece there is. */
void hub_reply(hub *h, http_request *r, const char *type);
/* Ends all streams; later ones end at once. Before http_stop. */
void hub_end(hub *h);

#endif
