/* Handlers for the live picture: sources, outputs, the browser's camera, preview and events. */
#include "api.h"

#include "reply.h"
#include "video.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define PIECE_BYTES_MAX  (4 << 20)
#define SNAPSHOT_AGE_NS  INT64_C(500000000)
#define SNAPSHOT_WAIT_MS 700

/* ---------------------------------------------------------------- sources */

void api_get_sources(server *s, http_request *r) {
    json_t *json = sources_list(s);
    pthread_mutex_lock(&s->lock);
    json_object_set_new(json, "current", sources_json(&s->source, false));
    json_object_set_new(json, "running", json_boolean(s->running));
    pthread_mutex_unlock(&s->lock);
    reply_json(r, MHD_HTTP_OK, json);
}

/* With the lock. Ends the feed of a browser that sent until now. */
static void end_feed(server *s) {
    feed_end(s->feed);
    s->feed = NULL;
    s->feed_id[0] = '\0';
    if (s->source.feed) /* nobody came to read it */
        feed_close(s->source.feed);
    s->source.feed = NULL;
}

void api_post_source(server *s, http_request *r) {
    char problem[CONFIG_TEXT_MAX], id[ROUTE_ID_MAX] = "";
    source_choice choice;
    json_t *body = api_body(r);
    if (!body)
        return;
    bool again = json_is_true(json_object_get(body, "again")); /* the one chosen before */
    bool ok = again || sources_parse(s, body, &choice, problem);
    json_decref(body);
    pthread_mutex_lock(&s->lock);
    if (again) {
        choice = s->source;
        choice.feed = NULL;
        ok = choice.kind != SOURCE_NONE && choice.kind != SOURCE_BROWSER;
        snprintf(problem, sizeof problem, "no source was chosen yet that could start again");
    }
    if (ok) {
        end_feed(s);
        if (choice.kind == SOURCE_BROWSER) {
            choice.feed = s->feed = feed_create();
            ok = choice.feed && guard_make_id(s->feed_id, 26);
            snprintf(problem, sizeof problem, "out of memory");
        }
    }
    if (ok) {
        memcpy(id, s->feed_id, sizeof id);
        s->source = choice;
        s->source_serial++;
        s->running = true;
        s->problem[0] = '\0';
        control_wake(s);
    }
    pthread_mutex_unlock(&s->lock);
    if (!ok)
        reply_problem(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s", problem);
    else if (id[0] != '\0')
        reply_json(r, MHD_HTTP_ACCEPTED, json_pack("{s:b, s:s}", "running", 1, "id", id));
    else
        reply_json(r, MHD_HTTP_ACCEPTED, json_pack("{s:b}", "running", 1));
}

void api_delete_source(server *s, http_request *r) {
    pthread_mutex_lock(&s->lock);
    end_feed(s);
    s->running = false;
    s->problem[0] = '\0';
    control_wake(s);
    pthread_mutex_unlock(&s->lock);
    reply_empty(r, MHD_HTTP_NO_CONTENT);
}

/* ---------------------------------------------------------------- the browser's camera */

/* A piece is collected, then handed on whole: a broken one shall not reach the decoder. */
typedef struct {
    size_t size, capacity;
    char *bytes;
} piece;

static void free_piece(void *user) {
    piece *p = user;
    free(p->bytes);
    free(p);
}

static bool write_piece(http_request *r, const char *data, size_t size) {
    piece *p = r->upload;
    if (p->size + size > PIECE_BYTES_MAX)
        return false;
    if (p->size + size > p->capacity) {
        size_t capacity = (p->size + size) * 2;
        char *more = realloc(p->bytes, capacity);
        if (!more)
            return false;
        p->bytes = more;
        p->capacity = capacity;
    }
    memcpy(p->bytes + p->size, data, size);
    p->size += size;
    return true;
}

/* Uploads are no JSON; that they come from our page a type shows that forms cannot send. */
bool api_has_media_type(http_request *r) {
    const char *type = http_header(r, "Content-Type");
    if (type && (strncasecmp(type, "video/", 6) == 0 || strncasecmp(type, "image/", 6) == 0 ||
                 strcasecmp(type, "application/octet-stream") == 0))
        return true;
    reply_problem(r, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
                  "the body has to be video/..., image/... or application/octet-stream");
    return false;
}

void api_begin_piece(server *s, http_request *r) {
    (void)s;
    if (!api_has_media_type(r))
        return;
    if (r->content_length > PIECE_BYTES_MAX) {
        reply_problem(r, MHD_HTTP_CONTENT_TOO_LARGE, "a piece may have %d bytes", PIECE_BYTES_MAX);
        return;
    }
    r->upload = calloc(1, sizeof(piece));
    if (!r->upload)
        return;
    r->upload_write = write_piece;
    r->upload_done = free_piece;
}

void api_post_piece(server *s, http_request *r) {
    const piece *p = r->upload;
    if (!p)
        return;
    pthread_mutex_lock(&s->lock);
    bool known = s->feed && guard_equal(r->id, s->feed_id);
    bool ok = known && feed_push(s->feed, p->bytes, p->size);
    pthread_mutex_unlock(&s->lock);
    if (ok)
        reply_empty(r, MHD_HTTP_NO_CONTENT);
    else if (known)
        reply_problem(r, MHD_HTTP_CONFLICT, "the session has ended or does not keep up");
    else
        reply_problem(r, MHD_HTTP_NOT_FOUND, "this camera is not the source any more");
}

/* ---------------------------------------------------------------- outputs */

void api_get_outputs(server *s, http_request *r) {
    json_t *state = state_json(s), *list = json_incref(json_object_get(state, "outputs"));
    json_decref(state);
    reply_json(r, MHD_HTTP_OK, json_pack("{s:o}", "outputs", list));
}

void api_post_output(server *s, http_request *r) {
    char problem[CONFIG_TEXT_MAX];
    output_choice choice;
    json_t *body = api_body(r);
    if (!body)
        return;
    bool ok = sources_output_parse(body, &choice, problem);
    json_decref(body);
    pthread_mutex_lock(&s->lock);
    output_choice *slot = NULL;
    for (int i = 0; i < OUTPUTS_MAX && !slot; i++)
        slot = s->outputs[i].id == 0 ? &s->outputs[i] : NULL;
    if (ok && !slot)
        snprintf(problem, sizeof problem, "there are %d outputs already", OUTPUTS_MAX);
    ok = ok && slot;
    if (ok) {
        choice.id = ++s->last_output_id;
        *slot = choice;
        control_wake(s);
    }
    pthread_mutex_unlock(&s->lock);
    if (ok)
        reply_json(r, MHD_HTTP_CREATED, json_pack("{s:i}", "id", choice.id));
    else
        reply_problem(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s", problem);
}

/* With the lock. */
static output_choice *find_output(server *s, const char *id) {
    int number = atoi(id);
    for (int i = 0; i < OUTPUTS_MAX; i++) {
        if (number > 0 && s->outputs[i].id == number && !s->outputs[i].removed)
            return &s->outputs[i];
    }
    return NULL;
}

static void reply_output(http_request *r, const output_choice *found) {
    if (found)
        reply_empty(r, MHD_HTTP_NO_CONTENT);
    else
        reply_problem(r, MHD_HTTP_NOT_FOUND, "there is no such output");
}

void api_patch_output(server *s, http_request *r) {
    json_t *body = api_body(r);
    if (!body)
        return;
    const json_t *on = json_object_get(body, "on");
    bool is_bool = json_is_boolean(on), value = json_is_true(on);
    json_decref(body);
    if (!is_bool) {
        reply_problem(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "on is true or false");
        return;
    }
    pthread_mutex_lock(&s->lock);
    output_choice *c = find_output(s, r->id);
    if (c) {
        if (c->recording && value && !c->on) /* each recording has a file of its own */
            sources_name_recording(c, strstr(c->text, ".mp4") ? "mp4" : "mkv");
        c->on = value;
        c->problem[0] = '\0';
        control_wake(s);
    }
    pthread_mutex_unlock(&s->lock);
    reply_output(r, c);
}

void api_delete_output(server *s, http_request *r) {
    pthread_mutex_lock(&s->lock);
    output_choice *c = find_output(s, r->id);
    if (c) {
        c->on = false;
        c->removed = true;
        control_wake(s);
    }
    pthread_mutex_unlock(&s->lock);
    reply_output(r, c);
}

/* ---------------------------------------------------------------- watching */

void api_get_stream(server *s, http_request *r) {
    hub_reply(s->pictures, r, "multipart/x-mixed-replace; boundary=veilframe");
}

void api_get_video(server *s, http_request *r) {
    if (video_possible())
        hub_reply(s->videos, r, "video/mp4");
    else
        reply_problem(r, MHD_HTTP_NOT_IMPLEMENTED, "there is no H.264 encoder; /stream sends JPEG");
}

void api_get_events(server *s, http_request *r) {
    hub_reply(s->events, r, "text/event-stream");
}

/* Waits a moment for the pulse to make one, when nobody has been watching. */
bool api_take_snapshot(server *s, http_request *r, int64_t age_ns, snapshot *out) {
    struct timespec until;
    memset(out, 0, sizeof *out);
    pthread_rwlock_rdlock(&s->live_lock);
    bool runs = s->live != NULL;
    pthread_rwlock_unlock(&s->live_lock);
    if (!runs) {
        reply_problem(r, MHD_HTTP_CONFLICT, "nothing runs");
        return false;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += SNAPSHOT_WAIT_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    int64_t oldest_ns = http_now_ns() - age_ns;
    pthread_mutex_lock(&s->snapshot_lock);
    s->snapshot_wanted_ns = http_now_ns();
    int ret = 0;
    while (ret == 0 && (!s->snapshot.jpeg || s->snapshot.made_ns < oldest_ns))
        ret = pthread_cond_timedwait(&s->snapshot_there, &s->snapshot_lock, &until);
    char *copy = ret == 0 ? malloc(s->snapshot.size) : NULL;
    if (copy) {
        *out = s->snapshot;
        out->jpeg = memcpy(copy, s->snapshot.jpeg, s->snapshot.size);
    }
    pthread_mutex_unlock(&s->snapshot_lock);
    if (!copy)
        reply_problem(r, MHD_HTTP_SERVICE_UNAVAILABLE, "there is no picture yet");
    return copy != NULL;
}

void api_get_snapshot(server *s, http_request *r) {
    snapshot picture;
    if (api_take_snapshot(s, r, SNAPSHOT_AGE_NS, &picture))
        reply_bytes(r, "image/jpeg", picture.jpeg, picture.size);
}
