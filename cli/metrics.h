/* A tiny HTTP server that answers /metrics, for Prometheus. */
#ifndef CLI_METRICS_H
#define CLI_METRICS_H

#include "error.h"
#include "live.h"

typedef struct metrics metrics;

/* where: PORT, ADDR:PORT or [ADDR]:PORT; loopback without ADDR. */
int metrics_start(metrics **out, const char *where, live *session, media_error *err);
/* Before the session is destroyed. NULL is fine. */
void metrics_stop(metrics *m);

#endif
