/* Error texts, and the catcher of FFmpeg's log. The catcher may run on any thread. */
#include "error.h"

#include "secret.h"

#include <libavutil/error.h>
#include <libavutil/log.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_last[256]; /* last complaint, under log_lock */
static atomic_bool log_truncated;
static bool log_verbose;

static int fail_v(media_error *err, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static int fail_v(media_error *err, const char *format, va_list args) {
    if (err && err->text[0] == '\0') {
        char raw[sizeof err->text];
        vsnprintf(raw, sizeof raw, format, args);
        secret_mask(err->text, sizeof err->text, raw);
        for (char *p = err->text; *p != '\0'; p++) {
            if (*p == '\n' || *p == '\r')
                *p = ' ';
        }
    }
    return -1;
}

int media_fail(media_error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int ret = fail_v(err, format, args);
    va_end(args);
    return ret;
}

/* FFmpeg's generic codes say little; what it logged just before says more. */
static bool is_vague(int av_code) {
    return av_code == AVERROR_INVALIDDATA || av_code == AVERROR_EXTERNAL ||
           av_code == AVERROR_UNKNOWN || av_code == AVERROR(EINVAL) || av_code == AVERROR_BUG ||
           av_code == AVERROR_PATCHWELCOME;
}

int media_fail_av(media_error *err, int av_code, const char *format, ...) {
    if (!err || err->text[0] != '\0')
        return -1;
    va_list args;
    va_start(args, format);
    fail_v(err, format, args);
    va_end(args);
    char reason[256] = "";
    if (is_vague(av_code)) {
        pthread_mutex_lock(&log_lock);
        memcpy(reason, log_last, sizeof reason);
        pthread_mutex_unlock(&log_lock);
    }
    if (av_code == AVERROR_EOF)
        snprintf(reason, sizeof reason, "the data ends too early");
    else if (reason[0] == '\0')
        av_strerror(av_code, reason, sizeof reason);
    size_t used = strlen(err->text);
    char masked[sizeof reason];
    secret_mask(masked, sizeof masked, reason);
    snprintf(err->text + used, sizeof err->text - used, ": %s", masked);
    return -1;
}

/* Messages by which FFmpeg's demuxers tell that a file was cut off. */
static bool tells_truncation(const char *line) {
    static const char *const texts[] = {"ended prematurely", "partial file"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strstr(line, texts[i]))
            return true;
    }
    return false;
}

static void print_log(void *source, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void print_log(void *source, int level, const char *format, ...) {
    va_list args;
    va_start(args, format);
    av_log_default_callback(source, level, format, args);
    va_end(args);
}

static void catch_log(void *source, int level, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static void catch_log(void *source, int level, const char *format, va_list args) {
    if (log_verbose) {
        va_list copy;
        char raw[1024], masked[1024];
        va_copy(copy, args);
        if (level <= av_log_get_level()) {
            vsnprintf(raw, sizeof raw, format, copy);
            secret_mask(masked, sizeof masked, raw);
            print_log(source, level, "%s", masked);
        }
        va_end(copy);
    }
    if (level > AV_LOG_ERROR)
        return;
    char line[256];
    vsnprintf(line, sizeof line, format, args);
    size_t n = strcspn(line, "\r\n");
    line[n] = '\0';
    if (n == 0)
        return;
    if (tells_truncation(line))
        atomic_store(&log_truncated, true);
    pthread_mutex_lock(&log_lock);
    memcpy(log_last, line, sizeof line);
    pthread_mutex_unlock(&log_lock);
}

void media_log_init(bool verbose) {
    if (!verbose)
        setenv("SVT_LOG", "1", 0); /* SVT-AV1 writes to stderr by itself; 1 = errors */
    log_verbose = verbose;
    av_log_set_level(verbose ? AV_LOG_INFO : AV_LOG_ERROR);
    av_log_set_callback(catch_log);
}

void media_log_forget(void) {
    pthread_mutex_lock(&log_lock);
    log_last[0] = '\0';
    pthread_mutex_unlock(&log_lock);
    atomic_store(&log_truncated, false);
}

bool media_log_said_truncated(void) {
    return atomic_load(&log_truncated);
}
