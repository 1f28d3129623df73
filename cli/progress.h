/* Progress on stderr: a bar with the time left on a terminal, or JSON lines. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum { PROGRESS_AUTO, PROGRESS_BAR, PROGRESS_JSON, PROGRESS_NONE } progress_mode;

typedef struct {
    progress_mode mode;
    const char *name;
    int64_t expected; /* frames, 0 = unknown */
    double started_s, shown_s;
    bool on_screen;
} progress;

/* AUTO becomes a bar on a terminal and nothing elsewhere. */
void progress_begin(progress *p, progress_mode mode, const char *name, int64_t expected);
/* media_s: time stamp of the frame, seconds from the first. */
void progress_update(progress *p, int64_t frames, double media_s, int64_t hidden, int64_t kept);
/* Clears the bar. */
void progress_end(progress *p);

/* Seconds of a clock that only goes forward. */
double progress_now_s(void);

#endif
