/* A frame comes in: camera movement, faces, tracks, who is who, all written into its slot of the
 * timeline. The slot stays covered unless every step succeeded. */
#include "veil_priv.h"

#include <math.h>
#include <string.h>

#define JUMP_NS      1000000000LL /* a longer pause starts new tracks */
#define SKIP_MAX     64           /* faces left out of the camera estimate */
#define WISHES_PRUNE 256
#define EARLY_NS     150000000 /* look-ahead that makes early births needless */
#define EARLY_PART   0.45f     /* of min_score */

static void new_scene(veil *v) {
    vl_track_reset(v->tracker);
    v->subject = (vl_subject){0};
    v->epoch++;
    v->has_small = false;
    v->since_detect = v->since_again = -1;
}

static void take_settings(veil *v) {
    pthread_mutex_lock(&v->lock);
    v->now = v->set;
    pthread_mutex_unlock(&v->lock);
}

/* ------------------------------------------------------------------ geometry */

static int plan(veil *v, int32_t width, int32_t height) {
    if (v->detector != NULL) {
        v->planned = true;
        return VEIL_OK;
    }
    int32_t net_w = v->input_width, net_h = v->input_height;
    if (net_w == 0)
        vl_detect_input_size(width, height, &net_w, &net_h);
    v->planned = false;
    if (vl_fault_hits(&v->fault, "alloc"))
        return VEIL_E_NOMEM;
    int err = VEIL_OK;
    if (vl_net_width(v->net) != net_w || vl_net_height(v->net) != net_h)
        err = vl_net_set_size(v->net, net_w, net_h);
    if (err == VEIL_OK)
        err = vl_detect_check(v->detect, v->net);
    v->planned = err == VEIL_OK;
    return err;
}

static int follow_geometry(veil *v, const veil_frame *f) {
    int32_t w = vl_frame_upright_width(f), h = vl_frame_upright_height(f);
    if (w != v->width || h != v->height || f->rotation != v->rotation) {
        new_scene(v);
        v->width = w;
        v->height = h;
        v->rotation = f->rotation;
        v->planned = false;
        float scale = fminf((float)VL_MOTION_WIDTH / (float)w, (float)VL_MOTION_HEIGHT / (float)h);
        scale = fminf(scale, 1);
        v->small_width = (int32_t)((float)w * scale + 0.5f);
        v->small_height = (int32_t)((float)h * scale + 0.5f);
    }
    return v->planned ? VEIL_OK : plan(v, w, h);
}

static void follow_time(veil *v, int64_t pts_ns) {
    if (v->has_last && (pts_ns < v->last_pts_ns || pts_ns - v->last_pts_ns > JUMP_NS))
        new_scene(v);
    v->last_pts_ns = pts_ns;
    v->has_last = true;
}

/* ------------------------------------------------------------------ camera */

static size_t faces_to_skip(veil *v, vl_motion_area *skip) {
    size_t n_tracks, n = 0;
    const vl_track *tracks = vl_track_list(v->tracker, &n_tracks);
    float sx = (float)v->small_width / (float)v->width;
    float sy = (float)v->small_height / (float)v->height;
    for (size_t i = 0; i < n_tracks && n < SKIP_MAX; i++) {
        vl_rect r = vl_track_grown(tracks[i].box, 0.3f);
        skip[n++] = (vl_motion_area){r.x * sx, r.y * sy, r.w * sx, r.h * sy};
    }
    return n;
}

static int estimate_camera(veil *v, const veil_frame *f, vl_motion *camera) {
    *camera = vl_motion_none();
    if (v->small_width < 32 || v->small_height < 32)
        return VEIL_OK; /* too narrow to tell */
    int32_t next = 1 - v->small_now;
    int err = vl_scale_luma(v->scale, f, v->small[next], v->small_width, v->small_height);
    if (err != VEIL_OK)
        return err;
    if (v->has_small) {
        vl_motion_picture before = {v->small[v->small_now], v->small_width, v->small_height,
                                    v->small_width};
        vl_motion_picture now = before;
        now.data = v->small[next];
        vl_motion_area skip[SKIP_MAX];
        size_t n_skip = faces_to_skip(v, skip);
        *camera = vl_motion_estimate(&before, &now, skip, n_skip);
        *camera = vl_motion_scaled(*camera, (float)v->width / (float)v->small_width,
                                   (float)v->height / (float)v->small_height);
    }
    v->small_now = next;
    v->has_small = true;
    if (camera->cut) {
        new_scene(v);
        v->has_small = true; /* this frame's picture starts the new scene */
        *camera = vl_motion_none();
    }
    return VEIL_OK;
}

/* ------------------------------------------------------------------ faces */

/* False for what is no place in a picture; comparisons with NaN are false. */
static bool is_place(const veil_detection *d) {
    return fabsf(d->x) < 1e6f && fabsf(d->y) < 1e6f && d->w > 0 && d->w < 1e6f && d->h > 0 &&
           d->h < 1e6f && d->score >= 0 && d->score <= 1 && d->interview >= 0 && d->interview <= 1;
}

/* Now and then only: what a picture is about changes slowly, and a cut starts anew. */
static int look_again(veil *v, const veil_frame *f) {
    if (v->since_again >= 0 && v->since_again + 1 < VL_AGAIN_EVERY) {
        v->since_again++;
        return VEIL_OK;
    }
    v->since_again = -1; /* unless it succeeds */
    int err = vl_again_look(v->again, v->detect, v->net, f);
    if (err == VEIL_OK)
        v->since_again = 0;
    return err;
}

static int find_faces(veil *v, const veil_frame *f) {
    const veil_settings *s = &v->now.s;
    float low = s->tracker == VEIL_TRACKER_BYTETRACK ? s->low_score : s->min_score;
    int err;
    v->n_dets = 0;
    if (v->detector != NULL) {
        static const char *const stages[] = {"scale", "infer", "decode"};
        for (size_t i = 0; i < 3; i++)
            if (vl_fault_hits(&v->fault, stages[i]))
                return VEIL_E_INTERNAL;
        err = v->detector(v->detector_user, f, v->dets, VL_TRACK_DET_MAX, &v->n_dets);
    } else {
        err = look_again(v, f);
        if (err == VEIL_OK)
            err = vl_detect_frame(v->detect, v->net, v->scale, v->pool, f, low, v->dets,
                                  VL_TRACK_DET_MAX, &v->n_dets, NULL, &v->fault);
    }
    if (err != VEIL_OK)
        return err;
    if (v->n_dets > VL_TRACK_DET_MAX)
        return VEIL_E_INTERNAL;
    for (size_t i = 0; i < v->n_dets; i++)
        if (!is_place(&v->dets[i]))
            return VEIL_E_INTERNAL;
    /* The list is full of faces: there may be more. */
    if (v->n_dets == VL_TRACK_DET_MAX && v->dets[v->n_dets - 1].score >= s->min_score)
        return VEIL_E_SIZE;
    return VEIL_OK;
}

/* Tells the tracks what the user wished since the last frame. */
static void grant_wishes(veil *v) {
    size_t n;
    vl_track *tracks = vl_track_list(v->tracker, &n);
    pthread_mutex_lock(&v->lock);
    for (size_t w = 0; w < v->n_wishes; w++) {
        vl_wish *wish = &v->wishes[w];
        for (size_t i = 0; wish->fresh && i < n; i++)
            if (tracks[i].id == wish->track)
                vl_subject_user(&tracks[i].evidence, wish->decision);
        wish->fresh = false;
    }
    if (n > 0 && tracks[n - 1].id > v->last_id)
        v->last_id = tracks[n - 1].id;
    /* Wishes for tracks that ended long ago are dropped: ids only grow, and no held frame can know
     * a track that is older than every living one by so many. */
    if (v->n_wishes > WISHES_PRUNE && vl_timeline_held(v->timeline) <= 1) {
        size_t kept = 0;
        for (size_t w = 0; w < v->n_wishes; w++)
            for (size_t i = 0; i < n; i++)
                if (tracks[i].id == v->wishes[w].track)
                    v->wishes[kept++] = v->wishes[w];
        v->n_wishes = kept;
    }
    pthread_mutex_unlock(&v->lock);
}

/* Births are carried back over a look-ahead. Where there is hardly one, they must come early. */
static float early_score(const veil *v) {
    const veil_settings *s = &v->now.s;
    if (vl_timeline_lookahead_ns(v->timeline) >= EARLY_NS || s->tracker != VEIL_TRACKER_BYTETRACK)
        return 0;
    return fmaxf(EARLY_PART * s->min_score, s->low_score);
}

static int follow_faces(veil *v, vl_slot *slot, const veil_detection *dets) {
    const veil_settings *s = &v->now.s;
    vl_track_rules rules = {.kind = s->tracker,
                            .min_score = s->min_score,
                            .low_score = s->low_score,
                            .early_score = early_score(v),
                            .hold_ns = s->hold_ns,
                            .width_px = (float)v->width,
                            .height_px = (float)v->height};
    int err =
        vl_fault_hits(&v->fault, "track")
            ? VEIL_E_INTERNAL
            : vl_track_step(v->tracker, &rules, slot->frame.pts_ns, &slot->camera, dets, v->n_dets);
    if (err != VEIL_OK) {
        new_scene(v);
        return err;
    }
    grant_wishes(v);
    size_t n;
    vl_track *tracks = vl_track_list(v->tracker, &n);
    vl_subject_rules who = {s->keep, s->keep_score, v->now.zones, s->n_zones, v->width, v->height};
    vl_subject_step(&v->subject, &who, slot->frame.pts_ns, tracks, n);
    return VEIL_OK;
}

int vl_analyse_frame(veil *v, vl_slot *slot) {
    const veil_frame *f = &slot->frame;
    slot->covered = true;
    slot->reason = VEIL_REASON_ERROR;
    take_settings(v);
    follow_time(v, f->pts_ns);
    int err = follow_geometry(v, f);
    if (err == VEIL_OK)
        err = estimate_camera(v, f, &slot->camera);
    slot->epoch = v->epoch;
    bool look = v->since_detect < 0 || v->since_detect + 1 >= v->now.s.detect_every;
    if (err == VEIL_OK && look)
        err = find_faces(v, f);
    if (err != VEIL_OK) {
        /* Tracks go on blindly, so that the faces they hold stay hidden when the network is back.
         */
        v->since_detect = -1;
        v->n_dets = 0;
        (void)follow_faces(v, slot, NULL);
        slot->epoch = v->epoch;
        return err;
    }
    v->since_detect = look ? 0 : v->since_detect + 1;
    if (!look)
        v->n_dets = 0;
    err = follow_faces(v, slot, look ? v->dets : NULL);
    if (err != VEIL_OK) {
        slot->epoch = v->epoch;
        return err;
    }
    size_t n;
    const vl_track *tracks = vl_track_list(v->tracker, &n);
    err = vl_fault_hits(&v->fault, "alloc") ? VEIL_E_NOMEM : vl_timeline_fill(slot, tracks, n);
    for (size_t i = 0; look && i < v->n_dets && err == VEIL_OK; i++)
        if (!vl_track_used(v->tracker, i))
            err = vl_timeline_add_weak(slot, &v->dets[i]);
    if (err != VEIL_OK)
        return err;
    slot->detected = look;
    slot->covered = false;
    slot->reason = VEIL_REASON_NONE;
    return VEIL_OK;
}
