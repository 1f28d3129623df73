/* Handlers of the HTTP interface, and the table of all routes. docs/openapi.yaml describes them. */
#include "api.h"

#include "page.h"
#include "reply.h"

#include <stdlib.h>
#include <string.h>

#define BODY_MISSING "the body has to be a JSON object"

json_t *api_body(http_request *r) {
    json_error_t why;
    json_t *json = r->body ? json_loadb(r->body, r->body_size, JSON_REJECT_DUPLICATES, &why) : NULL;
    if (json_is_object(json) || json_is_array(json))
        return json;
    if (r->body && !json)
        reply_problem(r, MHD_HTTP_BAD_REQUEST, "broken JSON: %s", why.text);
    else
        reply_problem(r, MHD_HTTP_BAD_REQUEST, BODY_MISSING);
    json_decref(json);
    return NULL;
}

/* ---------------------------------------------------------------- undo */

static undo_step *next_step(server *s) {
    if (s->n_undo == UNDO_MAX)
        memmove(&s->undo[0], &s->undo[1], --s->n_undo * sizeof s->undo[0]);
    undo_step *u = &s->undo[s->n_undo++];
    memset(u, 0, sizeof *u);
    return u;
}

void undo_remember_config(server *s) {
    next_step(s)->config = s->config;
}

/* Zones of one drag, sliders on their way: what comes within a moment is one step. */
static void remember_config(server *s, const char *what) {
    int64_t now_ns = http_now_ns();
    bool same = strcmp(s->undo_what, what) == 0 && now_ns - s->undo_ns < UNDO_JOIN_NS;
    snprintf(s->undo_what, sizeof s->undo_what, "%s", what);
    s->undo_ns = now_ns;
    if (!same || s->n_undo == 0)
        undo_remember_config(s);
}

/* With the lock. Returns a veil_error. */
static int decide(server *s, uint32_t track, veil_decision d, veil_decision *before) {
    int ret = VEIL_E_NOT_FOUND;
    size_t n = s->n_choices < CHOICES_MAX ? s->n_choices : CHOICES_MAX, i = 0;
    pthread_rwlock_rdlock(&s->live_lock);
    if (s->live)
        ret = veil_set_decision(live_veil(s->live), track, d);
    pthread_rwlock_unlock(&s->live_lock);
    if (ret != VEIL_OK)
        return ret;
    while (i < n && s->choices[i].track != track)
        i++;
    *before = i < n ? s->choices[i].decision : VEIL_AUTO;
    if (i == n)
        i = s->n_choices++ % CHOICES_MAX;
    s->choices[i] = (user_choice){track, d};
    return VEIL_OK;
}

static void post_undo(server *s, http_request *r) {
    veil_decision before;
    pthread_mutex_lock(&s->lock);
    bool any = s->n_undo > 0;
    if (any) {
        const undo_step *u = &s->undo[--s->n_undo];
        if (u->track) {
            decide(s, u->id, u->decision, &before);
        } else {
            bool panic = s->config.panic; /* is never undone by the way */
            int last_zone_id = s->config.last_zone_id;
            s->config = u->config;
            s->config.panic = panic;
            s->config.last_zone_id = last_zone_id;
            control_apply(s);
        }
        s->undo_what[0] = '\0';
    }
    pthread_mutex_unlock(&s->lock);
    if (any)
        reply_json(r, MHD_HTTP_OK, state_json(s));
    else
        reply_problem(r, MHD_HTTP_CONFLICT, "there is nothing to undo");
}

/* ---------------------------------------------------------------- state and settings */

static void get_health(server *s, http_request *r) {
    (void)s;
    reply_json(r, MHD_HTTP_OK, json_pack("{s:s}", "status", "ok"));
}

static void get_state(server *s, http_request *r) {
    reply_json(r, MHD_HTTP_OK, state_json(s));
}

static void get_config(server *s, http_request *r) {
    pthread_mutex_lock(&s->lock);
    json_t *json = config_json(&s->config);
    pthread_mutex_unlock(&s->lock);
    reply_json(r, MHD_HTTP_OK, json);
}

static void patch_config(server *s, http_request *r) {
    char problem[CONFIG_TEXT_MAX];
    json_t *patch = api_body(r);
    if (!patch)
        return;
    pthread_mutex_lock(&s->lock);
    config next = s->config;
    bool ok = config_patch(&next, patch, problem);
    if (ok) {
        const char *first = json_object_iter_key(json_object_iter(patch));
        remember_config(s, first ? first : "config");
        s->config = next;
        control_apply(s);
    }
    pthread_mutex_unlock(&s->lock);
    json_decref(patch);
    if (ok)
        get_config(s, r);
    else
        reply_problem(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s", problem);
}

static void get_metrics(server *s, http_request *r) {
    char *text = state_metrics(s);
    if (text)
        reply_bytes(r, "text/plain; version=0.0.4", text, strlen(text));
}

static void post_panic(server *s, http_request *r) {
    json_t *body = api_body(r);
    const json_t *on = json_object_get(body, "on");
    if (body && !json_is_boolean(on))
        reply_problem(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "on is true or false");
    if (body && json_is_boolean(on)) {
        pthread_mutex_lock(&s->lock);
        s->config.panic = json_is_true(on);
        control_apply(s);
        pthread_mutex_unlock(&s->lock);
        reply_json(r, MHD_HTTP_OK, json_pack("{s:b}", "on", json_is_true(on)));
    }
    json_decref(body);
}

/* ---------------------------------------------------------------- tracks */

static void get_tracks(server *s, http_request *r) {
    veil_track tracks[256];
    live_state *l = calloc(1, sizeof *l);
    size_t n = 0;
    if (!l)
        return;
    pthread_rwlock_rdlock(&s->live_lock);
    if (s->live) {
        live_get_state(s->live, l);
        n = veil_tracks(live_veil(s->live), tracks, 256);
    }
    pthread_rwlock_unlock(&s->live_lock);
    n = n < 256 ? n : 256;
    json_t *list = state_tracks_json(s, tracks, n, l->input_width, l->input_height);
    free(l);
    reply_json(r, MHD_HTTP_OK, json_pack("{s:o}", "tracks", list));
}

static void put_track(server *s, http_request *r) {
    veil_decision before = VEIL_AUTO;
    json_t *body = api_body(r);
    if (!body)
        return;
    int d = config_decision(json_string_value(json_object_get(body, "decision")));
    json_decref(body);
    char *end;
    unsigned long id = strtoul(r->id, &end, 10);
    if (*end != '\0' || id == 0 || id > UINT32_MAX) {
        reply_problem(r, MHD_HTTP_NOT_FOUND, "there is no such face");
        return;
    }
    if (d < 0) {
        reply_problem(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "decision is one of auto, hide, keep");
        return;
    }
    pthread_mutex_lock(&s->lock);
    int ret = decide(s, (uint32_t)id, (veil_decision)d, &before);
    if (ret == VEIL_OK) {
        undo_step *u = next_step(s);
        u->track = true;
        u->id = (uint32_t)id;
        u->decision = before;
        s->undo_what[0] = '\0';
    }
    pthread_mutex_unlock(&s->lock);
    if (ret == VEIL_OK)
        reply_json(r, MHD_HTTP_OK,
                   json_pack("{s:I, s:s}", "id", (json_int_t)id, "decision",
                             config_decision_word((veil_decision)d)));
    else
        reply_problem(r, ret == VEIL_E_NOT_FOUND ? MHD_HTTP_NOT_FOUND : MHD_HTTP_CONFLICT,
                      "there is no such face now");
}

/* ---------------------------------------------------------------- zones */

static void get_zones(server *s, http_request *r) {
    pthread_mutex_lock(&s->lock);
    json_t *list = config_zones_json(&s->config);
    pthread_mutex_unlock(&s->lock);
    reply_json(r, MHD_HTTP_OK, json_pack("{s:o}", "zones", list));
}

static void put_zones(server *s, http_request *r) {
    char problem[CONFIG_TEXT_MAX] = "";
    json_t *body = api_body(r);
    if (!body)
        return;
    const json_t *list = json_is_array(body) ? body : json_object_get(body, "zones");
    pthread_mutex_lock(&s->lock);
    config next = s->config;
    bool ok = config_set_zones(&next, list, problem);
    if (ok) {
        remember_config(s, "zones");
        s->config = next;
        control_apply(s);
    }
    pthread_mutex_unlock(&s->lock);
    json_decref(body);
    if (ok)
        get_zones(s, r);
    else
        reply_problem(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s", problem);
}

static void post_zone(server *s, http_request *r) {
    char problem[CONFIG_TEXT_MAX] = "";
    json_t *body = api_body(r);
    if (!body)
        return;
    pthread_mutex_lock(&s->lock);
    config next = s->config;
    int id = config_add_zone(&next, body, problem);
    if (id > 0) {
        undo_remember_config(s);
        s->config = next;
        control_apply(s);
    }
    pthread_mutex_unlock(&s->lock);
    json_decref(body);
    if (id > 0)
        reply_json(r, MHD_HTTP_CREATED, json_pack("{s:i}", "id", id));
    else
        reply_problem(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s", problem);
}

static void delete_zone(server *s, http_request *r) {
    pthread_mutex_lock(&s->lock);
    config next = s->config;
    bool ok = config_remove_zone(&next, atoi(r->id));
    if (ok) {
        undo_remember_config(s);
        s->config = next;
        control_apply(s);
    }
    pthread_mutex_unlock(&s->lock);
    if (ok)
        reply_empty(r, MHD_HTTP_NO_CONTENT);
    else
        reply_problem(r, MHD_HTTP_NOT_FOUND, "there is no such zone");
}

/* ---------------------------------------------------------------- login */

static void post_login(server *s, http_request *r) {
    json_t *body = api_body(r);
    if (!body)
        return;
    const char *given = json_string_value(json_object_get(body, "token"));
    const char *wanted = server_token(s);
    if (!http_login_allowed(s->http, r))
        reply_problem(r, MHD_HTTP_TOO_MANY_REQUESTS, "too many attempts; wait a little");
    else if (!wanted)
        reply_empty(r, MHD_HTTP_NO_CONTENT);
    else if (given && guard_equal(given, wanted))
        reply_cookie(r, wanted);
    else
        reply_problem(r, MHD_HTTP_UNAUTHORIZED, "this is not the token");
    json_decref(body);
}

static void post_logout(server *s, http_request *r) {
    (void)s;
    reply_cookie(r, NULL);
}

/* ---------------------------------------------------------------- table */

const route api_routes[] = {
    {METHOD_GET, ROUTE_OPEN, "/health", get_health, NULL},
    {METHOD_GET, 0, "/state", get_state, NULL},
    {METHOD_GET, 0, "/config", get_config, NULL},
    {METHOD_PATCH, 0, "/config", patch_config, NULL},
    {METHOD_GET, 0, "/metrics", get_metrics, NULL},
    {METHOD_POST, 0, "/panic", post_panic, NULL},
    {METHOD_POST, 0, "/undo", post_undo, NULL},
    {METHOD_GET, 0, "/tracks", get_tracks, NULL},
    {METHOD_PUT, 0, "/tracks/{id}", put_track, NULL},
    {METHOD_GET, 0, "/zones", get_zones, NULL},
    {METHOD_PUT, 0, "/zones", put_zones, NULL},
    {METHOD_POST, 0, "/zones", post_zone, NULL},
    {METHOD_DELETE, 0, "/zones/{id}", delete_zone, NULL},
    {METHOD_POST, ROUTE_OPEN, "/login", post_login, NULL},
    {METHOD_POST, ROUTE_OPEN, "/logout", post_logout, NULL},
    {METHOD_GET, 0, "/sources", api_get_sources, NULL},
    {METHOD_POST, 0, "/sources", api_post_source, NULL},
    {METHOD_DELETE, 0, "/sources", api_delete_source, NULL},
    {METHOD_POST, ROUTE_UPLOAD, "/sources/browser/{id}", api_post_piece, api_begin_piece},
    {METHOD_GET, 0, "/outputs", api_get_outputs, NULL},
    {METHOD_POST, 0, "/outputs", api_post_output, NULL},
    {METHOD_PATCH, 0, "/outputs/{id}", api_patch_output, NULL},
    {METHOD_DELETE, 0, "/outputs/{id}", api_delete_output, NULL},
    {METHOD_GET, 0, "/stream", api_get_stream, NULL},
    {METHOD_GET, 0, "/video", api_get_video, NULL},
    {METHOD_GET, 0, "/snapshot", api_get_snapshot, NULL},
    {METHOD_GET, 0, "/events", api_get_events, NULL},
    {METHOD_GET, 0, "/jobs", api_get_jobs, NULL},
    {METHOD_POST, ROUTE_UPLOAD, "/jobs", api_post_job, api_begin_job},
    {METHOD_GET, 0, "/jobs/{id}", api_get_job, NULL},
    {METHOD_DELETE, 0, "/jobs/{id}", api_delete_job, NULL},
    {METHOD_GET, 0, "/jobs/{id}/result", api_get_result, NULL},
    {METHOD_GET, 0, "/jobs/{id}/report", api_get_report, NULL},
    {METHOD_GET, 0, "/explain", api_get_explain, NULL},
    {METHOD_POST, ROUTE_UPLOAD, "/explain", api_post_explain, api_begin_explain},
    {METHOD_POST, 0, "/explain/live", api_post_explain_live, NULL},
    {METHOD_GET, ROUTE_OPEN, "/api", page_get_api, NULL},
    {METHOD_GET, ROUTE_OPEN | ROUTE_LOOSE, "/", page_get, NULL},
    PAGE_ROUTES};

const size_t api_n_routes = sizeof api_routes / sizeof api_routes[0];
