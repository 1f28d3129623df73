/* The public functions of a veil: arguments are checked, stages called, frames given back hidden or
 * covered. What happens to a frame is in analyse.c and hide.c. */
#include "veil_priv.h"

#include "cpu.h"
#include "mem.h"
#include "net.h"

#include <sched.h>
#include <string.h>

#define HELD_DEFAULT     256
#define HELD_MAX         4096
#define LOOKAHEAD_MAX_NS 5000000000LL
#define WISHES_MAX       65536
#define THREADS_MAX      64

/* ------------------------------------------------------------------ texts */

uint32_t veil_version(void) {
    return VEIL_VERSION_MAJOR << 16 | VEIL_VERSION_MINOR << 8 | VEIL_VERSION_PATCH;
}

const char *veil_strerror(int err) {
    switch (err) {
    case VEIL_OK:
        return "no error";
#define ERROR_CASE(name, value, text)                                                              \
    case value:                                                                                    \
        return text;
        VEIL_ERRORS(ERROR_CASE)
#undef ERROR_CASE
    default:
        return "unknown error";
    }
}

const char *veil_reason_text(veil_reason r) {
    switch (r) {
    case VEIL_REASON_NONE:
        return "none";
    case VEIL_REASON_NEW:
        return "new face";
    case VEIL_REASON_CLASS:
        return "evidence";
    case VEIL_REASON_USER:
        return "user";
    case VEIL_REASON_ZONE:
        return "zone";
    case VEIL_REASON_RULE:
        return "rule";
    case VEIL_REASON_LOST:
        return "lost";
    case VEIL_REASON_START:
        return "start";
    case VEIL_REASON_ERROR:
        return "error";
    case VEIL_REASON_LATE:
        return "late";
    case VEIL_REASON_PANIC:
        return "panic";
    case VEIL_REASON_CUT:
        return "cut";
    }
    return "unknown";
}

uint32_t veil_cpu_levels(void) {
    return vl_cpu_levels(0);
}

/* ------------------------------------------------------------------ life */

void veil_options_init(veil_options *opt, size_t struct_size) {
    if (opt == NULL || struct_size < sizeof opt->struct_size)
        return;
    memset(opt, 0, struct_size);
    opt->struct_size = struct_size;
    if (struct_size >= sizeof *opt)
        veil_settings_init(&opt->settings, sizeof opt->settings);
}

static bool size_valid(int32_t px) {
    return px == 0 || (px >= 32 && px <= 4096 && px % 32 == 0);
}

/* A larger structure comes from a later version: fields that we do not know must be zero. */
static bool options_valid(const veil_options *o) {
    if (o->struct_size < sizeof *o || o->struct_size > 8192)
        return false;
    const unsigned char *p = (const unsigned char *)o;
    for (size_t i = sizeof *o; i < o->struct_size; i++)
        if (p[i] != 0)
            return false;
    return (o->model != NULL || o->model_size == 0) && o->threads >= 0 &&
           o->threads <= THREADS_MAX && size_valid(o->input_width) && size_valid(o->input_height) &&
           (o->input_width == 0) == (o->input_height == 0) && o->lookahead_ns >= 0 &&
           o->lookahead_ns <= LOOKAHEAD_MAX_NS && o->max_held >= 0 && o->max_held <= HELD_MAX;
}

static int create_network(veil *v, const veil_options *o) {
    if (vl_fault_hits(&v->fault, "model"))
        return VEIL_E_MODEL;
    int err = vl_net_parse_model(&v->model, o->model, o->model_size);
    if (err == VEIL_OK)
        err = vl_net_create(&v->net, v->model, v->pool, o->cpu_off, 0);
    if (err == VEIL_OK)
        err = vl_detect_create(&v->detect, v->model);
    if (err == VEIL_OK)
        err = vl_again_create(&v->again, v->model, v->pool, o->cpu_off);
    return err;
}

static int create_memory(veil *v) {
    if (vl_fault_hits(&v->fault, "alloc"))
        return VEIL_E_NOMEM;
    v->dets = vl_mem_alloc(VL_TRACK_DET_MAX, sizeof *v->dets);
    for (int i = 0; i < 2; i++)
        v->small[i] = vl_mem_alloc(VL_MOTION_WIDTH, VL_MOTION_HEIGHT);
    if (v->dets == NULL || v->small[0] == NULL || v->small[1] == NULL)
        return VEIL_E_NOMEM;
    if (pthread_mutex_init(&v->lock, NULL) != 0)
        return VEIL_E_THREAD;
    v->has_lock = true;
    if (pthread_mutex_init(&v->draw, NULL) != 0)
        return VEIL_E_THREAD;
    v->has_draw = true;
    return VEIL_OK;
}

static int create_stages(veil *v, const veil_options *o) {
    int32_t held = o->max_held > 0 ? o->max_held : HELD_DEFAULT;
    int err = vl_scale_create(&v->scale);
    if (err == VEIL_OK)
        err = vl_redact_create(&v->redact);
    if (err == VEIL_OK)
        err = vl_steady_create(&v->steady);
    if (err == VEIL_OK)
        err = vl_steady_create(&v->brought);
    if (err == VEIL_OK)
        err = vl_track_create(&v->tracker);
    if (err == VEIL_OK)
        err = vl_timeline_create(&v->timeline, o->lookahead_ns, held);
    if (err == VEIL_OK) {
        vl_scale_set_cpu(v->scale, o->cpu_off);
        vl_redact_set_cpu(v->redact, o->cpu_off);
    }
    return err;
}

/* 0 means one per core that this process may use, at most 4. */
static int32_t threads_of(const veil_options *o) {
    if (o->threads > 0)
        return o->threads;
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < 1 ? 1 : n > 4 ? 4 : n;
}

int vl_veil_create(veil **out, const veil_options *opt, vl_detector fn, void *user) {
    if (out == NULL)
        return VEIL_E_ARG;
    *out = NULL;
    veil_options o;
    veil_options_init(&o, sizeof o);
    if (opt != NULL) {
        if (!options_valid(opt))
            return VEIL_E_ARG;
        o = *opt;
    }
    veil *v = vl_mem_alloc(1, sizeof *v);
    if (v == NULL)
        return VEIL_E_NOMEM;
    v->fault = (vl_fault){o.fault, o.user};
    v->detector = fn;
    v->detector_user = user;
    v->input_width = o.input_width;
    v->input_height = o.input_height;
    v->on_event = o.on_event;
    v->log = o.log;
    v->user = o.user;
    v->since_detect = v->since_again = -1;
    atomic_init(&v->cover, 0);
    int err = vl_settings_take(&v->set, &o.settings);
    if (err == VEIL_OK)
        err = create_memory(v);
    if (err == VEIL_OK)
        err = vl_fault_hits(&v->fault, "thread") ? VEIL_E_THREAD
                                                 : vl_pool_create(&v->pool, threads_of(&o));
    if (err == VEIL_OK)
        err = create_stages(v, &o);
    if (err == VEIL_OK && fn == NULL)
        err = create_network(v, &o);
    if (err != VEIL_OK) {
        veil_destroy(v);
        return err;
    }
    *out = v;
    return VEIL_OK;
}

int veil_create(veil **out, const veil_options *opt) {
    return vl_veil_create(out, opt, NULL, NULL);
}

void veil_destroy(veil *v) {
    if (v == NULL)
        return;
    vl_timeline_destroy(v->timeline);
    vl_track_destroy(v->tracker);
    vl_redact_destroy(v->redact);
    vl_scale_destroy(v->scale);
    vl_again_destroy(v->again);
    vl_detect_destroy(v->detect);
    vl_net_destroy(v->net);
    vl_model_destroy(v->model);
    vl_pool_destroy(v->pool);
    if (v->has_draw)
        pthread_mutex_destroy(&v->draw);
    if (v->has_lock)
        pthread_mutex_destroy(&v->lock);
    vl_mem_free(v->small[0]);
    vl_mem_free(v->small[1]);
    vl_mem_free(v->dets);
    vl_mem_free(v->masks);
    vl_mem_free(v->aside);
    vl_steady_destroy(v->steady);
    vl_steady_destroy(v->brought);
    vl_mem_free(v->wishes);
    vl_mem_free(v->out);
    vl_mem_free(v);
}

/* ------------------------------------------------------------------ frames */

int veil_process(veil *v, const veil_frame *frame, veil_result *result) {
    if (v == NULL || frame == NULL)
        return VEIL_E_ARG;
    int err = vl_frame_check(frame);
    if (err != VEIL_OK)
        return err;
    if (vl_timeline_held(v->timeline) > 0)
        return VEIL_E_STATE;
    vl_slot *slot = vl_timeline_add(v->timeline, frame); /* not NULL: nothing is held */
    int analysed = vl_analyse_frame(v, slot);
    int drawn = vl_hide_frame(v, result);
    err = analysed != VEIL_OK ? analysed : drawn;
    /* By now the frame is covered, which these codes would deny: they are of frames refused. */
    if (err == VEIL_E_SIZE || err == VEIL_E_ARG || err == VEIL_E_FORMAT || err == VEIL_E_STATE)
        err = VEIL_E_INTERNAL;
    return err;
}

int veil_send(veil *v, const veil_frame *frame) {
    if (v == NULL || frame == NULL)
        return VEIL_E_ARG;
    int err = vl_frame_check(frame);
    if (err != VEIL_OK)
        return err;
    size_t held = vl_timeline_held(v->timeline);
    if (v->flushing && held > 0)
        return VEIL_E_AGAIN;
    v->flushing = false;
    vl_slot *slot = vl_timeline_add(v->timeline, frame);
    if (slot == NULL)
        return VEIL_E_AGAIN;
    (void)vl_analyse_frame(v, slot); /* on failure the frame comes back covered */
    return VEIL_OK;
}

int veil_receive(veil *v, veil_frame *frame, veil_result *result) {
    if (v == NULL || frame == NULL)
        return VEIL_E_ARG;
    if (!vl_timeline_ready(v->timeline, v->flushing))
        return VEIL_E_AGAIN;
    *frame = vl_timeline_oldest(v->timeline)->frame;
    (void)vl_hide_frame(v, result); /* covered on failure */
    return VEIL_OK;
}

int veil_flush(veil *v) {
    if (v == NULL)
        return VEIL_E_ARG;
    v->flushing = true;
    v->has_last = false;
    v->width = v->height = 0; /* the next frame starts a new stream, whatever its time */
    return VEIL_OK;
}

int veil_reset(veil *v) {
    if (v == NULL)
        return VEIL_E_ARG;
    if (vl_timeline_held(v->timeline) > 0)
        return VEIL_E_STATE;
    vl_timeline_clear(v->timeline);
    vl_track_reset(v->tracker);
    v->subject = (vl_subject){0};
    v->epoch++;
    v->has_last = v->has_small = v->flushing = v->last_covered = false;
    v->since_detect = v->since_again = -1;
    pthread_mutex_lock(&v->lock);
    v->n_wishes = 0;
    v->n_out = 0;
    pthread_mutex_unlock(&v->lock);
    return VEIL_OK;
}

int veil_cover_frame(const veil_frame *frame) {
    if (frame == NULL)
        return VEIL_E_ARG;
    int err = vl_frame_check(frame);
    if (err == VEIL_OK)
        vl_redact_cover(frame);
    return err;
}

int veil_redact(veil *v, const veil_frame *frame, const veil_track *tracks, size_t n) {
    if (v == NULL || frame == NULL || (tracks == NULL && n > 0) || n > VL_TRACK_MAX * 8)
        return VEIL_E_ARG;
    int err = vl_frame_check(frame);
    if (err != VEIL_OK)
        return err;
    pthread_mutex_lock(&v->draw);
    pthread_mutex_lock(&v->lock);
    vl_settings set = v->set;
    pthread_mutex_unlock(&v->lock);
    if (atomic_load(&v->cover) != 0)
        vl_redact_cover(frame);
    else
        err = vl_hide_brought(v, frame, tracks, n, &set);
    pthread_mutex_unlock(&v->draw);
    return err;
}

/* ------------------------------------------------------------------ from any thread */

size_t veil_tracks(veil *v, veil_track *out, size_t cap) {
    if (v == NULL)
        return 0;
    pthread_mutex_lock(&v->lock);
    size_t n = v->n_out;
    size_t k = out == NULL ? 0 : n < cap ? n : cap;
    if (k > 0)
        memcpy(out, v->out, k * sizeof *out);
    pthread_mutex_unlock(&v->lock);
    return n;
}

/* A wish slot for the track; NULL: no memory. Under lock. */
static vl_wish *wish_of(veil *v, uint32_t track) {
    for (size_t i = 0; i < v->n_wishes; i++)
        if (v->wishes[i].track == track)
            return &v->wishes[i];
    if (v->n_wishes == v->cap_wishes) {
        size_t cap = v->cap_wishes > 0 ? v->cap_wishes * 2 : 32;
        vl_wish *w = cap <= WISHES_MAX ? vl_mem_alloc(cap, sizeof *w) : NULL;
        if (w == NULL)
            return NULL;
        if (v->n_wishes > 0)
            memcpy(w, v->wishes, v->n_wishes * sizeof *w);
        vl_mem_free(v->wishes);
        v->wishes = w;
        v->cap_wishes = cap;
    }
    vl_wish *w = &v->wishes[v->n_wishes++];
    *w = (vl_wish){.track = track};
    return w;
}

int veil_set_decision(veil *v, uint32_t track, veil_decision d) {
    if (v == NULL || d < VEIL_AUTO || d > VEIL_KEEP)
        return VEIL_E_ARG;
    int err = VEIL_OK;
    pthread_mutex_lock(&v->lock);
    if (track == 0 || track > v->last_id) {
        err = VEIL_E_NOT_FOUND;
    } else {
        vl_wish *w = wish_of(v, track);
        if (w == NULL) {
            err = VEIL_E_NOMEM;
        } else {
            w->decision = d;
            w->fresh = true;
        }
    }
    pthread_mutex_unlock(&v->lock);
    return err;
}

int veil_set_settings(veil *v, const veil_settings *s) {
    if (v == NULL)
        return VEIL_E_ARG;
    vl_settings taken = {0};
    int err = vl_settings_take(&taken, s);
    if (err != VEIL_OK)
        return err;
    pthread_mutex_lock(&v->draw); /* a replaced image must not be in use when this returns */
    pthread_mutex_lock(&v->lock);
    v->set = taken;
    pthread_mutex_unlock(&v->lock);
    pthread_mutex_unlock(&v->draw);
    return VEIL_OK;
}

int veil_get_settings(veil *v, veil_settings *s) {
    if (v == NULL || s == NULL || s->struct_size < sizeof *s)
        return VEIL_E_ARG;
    size_t struct_size = s->struct_size;
    pthread_mutex_lock(&v->lock);
    *s = v->set.s;
    s->zones = v->set.s.n_zones > 0 ? v->set.zones : NULL;
    pthread_mutex_unlock(&v->lock);
    s->struct_size = struct_size;
    return VEIL_OK;
}

int veil_cover(veil *v, int on) {
    if (v == NULL)
        return VEIL_E_ARG;
    atomic_store(&v->cover, on != 0);
    return VEIL_OK;
}
