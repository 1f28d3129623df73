/* The folder in which the server keeps its settings: one file, replaced as a whole, and a lock so
 * that no second server uses it. */
#ifndef SERVER_STORE_H
#define SERVER_STORE_H

#include "error.h"

#include <jansson.h>

#define STORE_PATH_MAX 1024

typedef struct {
    char folder[STORE_PATH_MAX];
    int lock_fd;
} store;

/* folder NULL: $XDG_STATE_HOME/veil or ~/.local/state/veil. Makes it. */
int store_open(store *s, const char *folder, media_error *err);
void store_close(store *s);
/* Path of something in the folder. Returns -1 when it is too long. */
int store_path(const store *s, const char *name, char *out, size_t size);
/* The saved settings; *out NULL when there are none. A damaged file is an error. */
int store_load(const store *s, json_t **out, media_error *err);
int store_save(const store *s, const json_t *settings, media_error *err);
/* The token kept there; makes one when there is none. */
int store_token(const store *s, char *token, size_t size, media_error *err);

#endif
