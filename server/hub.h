/* One stream to any number of HTTP connections. Each gets whole pieces. A reader that is too far
 * behind, or has just come, goes on at the newest key piece: what lies between is lost for it, so
 * that it slows nobody. A hub with room for one piece gives everybody the newest there is. */
#ifndef SERVER_HUB_H
#define SERVER_HUB_H

#include "http.h"

#define HUB_ROOM_MAX 64

typedef struct hub hub;

/* room: pieces kept for those behind, 1..HUB_ROOM_MAX. NULL when out of memory. */
hub *hub_create(size_t max_readers, size_t room);
void hub_destroy(hub *h);
/* Takes data over (free). key: a reader may begin with it. */
void hub_publish(hub *h, void *data, size_t size, bool key);
/* Another stream begins: those who read the one before come to its end. Everybody gets head first;
 * it is taken over, and may be NULL. */
void hub_begin(hub *h, void *head, size_t size);
/* Readers now. */
size_t hub_readers(hub *h);
/* Whether somebody has waited for a key piece since the last one came. */
bool hub_wants_key(hub *h);
/* Answers with the stream. */
void hub_reply(hub *h, http_request *r, const char *type);
/* Ends all streams; later ones end at once. Before http_stop. */
void hub_end(hub *h);

#endif
