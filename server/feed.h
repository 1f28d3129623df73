/* Bytes of a stream that a browser sends piece by piece, and a live session reads. */
#ifndef SERVER_FEED_H
#define SERVER_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FEED_BYTES_MAX (16u << 20) /* not read yet */

typedef struct feed feed;

/* Two own it: who pushes, and who reads (feed_read, then feed_close). NULL when out of memory. */
feed *feed_create(void);
/* False when the reader has gone, or is too far behind. */
bool feed_push(feed *f, const char *data, size_t size);
/* No more comes; lets go of the pusher's share. NULL is fine. */
void feed_end(feed *f);

/* For live_source. */
int feed_read(void *user, uint8_t *data, int size, bool (*cancelled)(void *session), void *session);
void feed_close(void *user);

#endif
