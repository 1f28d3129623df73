/* Addresses without what only their owner may know: passwords, stream keys, tokens. */
#ifndef MEDIA_SECRET_H
#define MEDIA_SECRET_H

#include <stddef.h>

/* Copies a text; in every address in it (scheme://...) the user and password, the last part of an
 * rtmp path and the values of telling query names become "***". out may not be text. */
void secret_mask(char *out, size_t size, const char *text);

#endif
