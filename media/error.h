/* One line of text for people about what went wrong, and FFmpeg's own log kept quiet. */
#ifndef MEDIA_ERROR_H
#define MEDIA_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

typedef struct {
    char text[512]; /* one line, no newline, "" = nothing set */
} media_error;

/* Both set err->text (when err is not NULL and holds nothing yet) and return -1. */
int media_fail(media_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds ": " and what FFmpeg's code means, or what FFmpeg said last when that tells more. */
int media_fail_av(media_error *err, int av_code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Silences FFmpeg's log, keeping its last complaint for media_fail_av. With verbose it is printed
 * to stderr. Once, before anything else of media. */
void media_log_init(bool verbose);
/* Forgets what FFmpeg said. */
void media_log_forget(void);
/* True when FFmpeg complained with this text since media_log_forget. */
bool media_log_said_truncated(void);

#endif
