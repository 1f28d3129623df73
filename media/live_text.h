/* The state of a live session as texts: a line for people, JSON, Prometheus figures. */
#ifndef MEDIA_LIVE_TEXT_H
#define MEDIA_LIVE_TEXT_H

#include "live.h"

#include <jansson.h>

/* One line without a newline. */
void live_text_line(char *out, size_t size, const live_state *s);
/* NULL when out of memory. */
json_t *live_text_json(const live_state *s);
/* Prometheus' text format; returns the length, at most size - 1. */
size_t live_text_metrics(char *out, size_t size, const live_state *s);

/* Text that is written piece by piece; what does not fit is left out. */
typedef struct {
    char *text;
    size_t size, used;
} live_text_writer;
/* One more figure in Prometheus' format, called veil_NAME; type is gauge or counter. */
void live_text_figure(live_text_writer *w, const char *name, const char *type, const char *help,
                      double value);

#endif
