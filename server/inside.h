/* What the parts of the server share. Only server/ includes it. */
#ifndef SERVER_INSIDE_H
#define SERVER_INSIDE_H

#include "config.h"
#include "explain.h"
#include "feed.h"
#include "hub.h"
#include "jobs.h"
#include "live.h"
#include "server.h"
#include "store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define OUTPUTS_MAX  8
#define URL_MAX      1024
#define UNDO_MAX     32
#define UNDO_JOIN_NS INT64_C(1500000000)
#define CHOICES_MAX  256
#define NOTES_MAX    40

typedef enum {
    SOURCE_NONE = 0,
    SOURCE_URL,
    SOURCE_DEVICE,
    SOURCE_FILE,
    SOURCE_BROWSER
} source_kind;

typedef struct {
    source_kind kind;
    char text[URL_MAX]; /* address, device, name in the media folder, MIME type of a browser */
    bool loop, listen;
    char feed_id[ROUTE_ID_MAX];
    feed *feed; /* for the session that is to be started; taken over by it */
} source_choice;

typedef struct {
    int id;         /* 0 = free slot */
    bool recording; /* text is a file's name in the folder of recordings */
    bool no_audio, on, removed;
    char text[URL_MAX];
    int live_id; /* in the session, 0 = not there */
    char problem[LIVE_TEXT_MAX];
} output_choice;

typedef struct {
    bool track; /* else config */
    uint32_t id;
    veil_decision decision;
    config config;
} undo_step;

typedef struct {
    uint32_t track;
    veil_decision decision;
} user_choice;

typedef struct {
    int64_t time; /* s since 1970 */
    char text[LIVE_TEXT_MAX];
} note;

/* A picture that went out, and the faces as treated in it. */
typedef struct {
    char *jpeg;
    size_t size;
    int64_t made_ns;
    explain_tracks tracks;
} snapshot;

struct server {
    server_options options;
    char token[GUARD_TOKEN_MAX];
    char recordings[STORE_PATH_MAX];
    store store;
    http *http;
    jobs *jobs;
    explain *explain;                /* may be NULL */
    hub *pictures, *videos, *events; /* what is watched */
    int64_t started_ns;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;  /* something is wanted or has ended */
    config config;
    undo_step undo[UNDO_MAX];
    size_t n_undo;
    char undo_what[32]; /* of the last step */
    int64_t undo_ns;
    user_choice choices[CHOICES_MAX]; /* the last ones, in a ring */
    size_t n_choices;
    source_choice source;
    uint64_t source_serial; /* of the source wanted */
    bool running;           /* wanted */
    output_choice outputs[OUTPUTS_MAX];
    int last_output_id;
    bool save, ending, pulse_ending;
    char problem[LIVE_TEXT_MAX]; /* why the last session ended or did not begin */
    bool has_preview;            /* the pulse holds one of this session */
    feed *feed;                  /* of the browser that sends */
    char feed_id[ROUTE_ID_MAX];

    pthread_rwlock_t live_lock; /* after lock, where both are held */
    live *live;                 /* read lock to use it; only the control thread sets it */

    pthread_mutex_t notes_lock; /* of these; threads of the session take it */
    FILE *audit;
    note notes[NOTES_MAX]; /* what happened, a ring */
    uint64_t n_notes;

    pthread_mutex_t snapshot_lock; /* of these */
    pthread_cond_t snapshot_there;
    snapshot snapshot; /* the newest preview picture */
    int64_t snapshot_wanted_ns;

    pthread_t control, pulse;
    bool has_control, has_pulse;
    atomic_llong n_requests, n_refused, n_events, n_pictures;
};

/* control.c: makes what runs agree with what is wanted. */
void *control_main(void *server_pointer);
/* With the lock: settings are to be saved, or wanted state has changed. */
void control_wake(server *s);
/* Takes the new settings over for the live picture, at once. With the lock. */
void control_apply(server *s);

/* pulse.c: previews and events for those who watch. */
void *pulse_main(void *server_pointer);

/* state.c */
json_t *state_json(server *s);
json_t *state_tracks_json(server *s, const veil_track *tracks, size_t n, int width, int height);
/* Saved settings to and from the server's state. With the lock. */
json_t *state_save(const server *s);
bool state_load(server *s, const json_t *saved, char problem[CONFIG_TEXT_MAX]);
char *state_metrics(server *s);

/* sources.c: from JSON to what may be opened, and back. */
bool sources_parse(const server *s, const json_t *json, source_choice *out,
                   char problem[CONFIG_TEXT_MAX]);
json_t *sources_json(const source_choice *c, bool secrets);
/* What there is to choose from. */
json_t *sources_list(const server *s);
bool sources_output_parse(const json_t *json, output_choice *out, char problem[CONFIG_TEXT_MAX]);
/* A file name of this second. */
void sources_name_recording(output_choice *out, const char *format);
/* Whether an address has a scheme and characters that are taken. */
bool sources_url_ok(const char *url, bool output);

/* api.c */
extern const route api_routes[];
extern const size_t api_n_routes;

/* Remembers for undo. With the lock. */
void undo_remember_config(server *s);

void server_log(const server *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
