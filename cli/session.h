/* A veil made from command line options: model file, zones, picture to draw, settings. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "encoder.h"
#include "options.h"
#include "picture.h"
#include "veil.h"

#include <stdatomic.h>

typedef struct {
    veil *veil;
    veil_options options;
    uint8_t *model;
    media_picture image;
    veil_zone zones[64];
    const char *fault_stage; /* a test's: which stage fails, */
    size_t fault_length;
    int fault_at, fault_calls; /* at which of its calls; 0 = at each */
    char problem[300];         /* the library's last error message */
    bool verbose;
    void (*on_event)(void *user, const veil_event *event);
    void *user; /* of on_event */
} session;

/* Everything but the veil itself: what veil_create needs is in options. Returns CLI_OK, or another
 * status after one line on stderr. session_close in both cases. */
int session_prepare(session *s, const cli_options *o, const char *command);
/* The same and the veil. on_event may be NULL. Returns CLI_OK, or another status after one line on
 * stderr. */
int session_open(session *s, const cli_options *o, const char *command,
                 void (*on_event)(void *user, const veil_event *event), void *user);
/* A fresh veil with the same options, after a failed run left frames in the old one. */
int session_reopen(session *s, const char *command);
void session_close(session *s);

/* What the options say about the video encoder. */
encoder_options session_encoder(const cli_options *o);
/* Reads a whole file; NULL after one line on stderr. free() it. */
uint8_t *session_read_file(const char *path, size_t *size, const char *command);
/* The same of a model: a built-in one's name, or a file. */
uint8_t *session_read_model(const char *name, size_t *size, const char *command);
/* --model, or $VEIL_MODEL, or NULL for the built-in one. */
const char *session_model_path(const cli_options *o);

/* Set by SIGINT, SIGTERM and SIGHUP, and by a failed pipeline. */
extern atomic_int session_stop;
/* Installs the handlers; the wake signal ends a blocking read of another thread. */
void session_catch_signals(void);
int session_wake_signal(void);

#endif
