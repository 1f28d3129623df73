/* A frame goes out: the timeline says what holds for it, masks are drawn, events and tracks told.
 * Whatever fails, the frame is covered. */
#include "veil_priv.h"

#include "mem.h"

#include <string.h>

#define BEHIND_RADIUS 0.75f /* of the ellipse in a kept face's box; farther out is beside it */
#define BEHIND_SCORE  0.30f /* by which a kept face must be surer than a weak one behind it */
#define CLEAR_INSET   0.03f /* part of a kept face's box on each side that masks may reach into */

void vl_veil_log(veil *v, int level, const char *text) {
    if (v->log != NULL)
        v->log(v->user, level, text);
}

static void tell(veil *v, int64_t pts_ns, uint32_t track, veil_decision d, veil_reason reason) {
    veil_event e = {.pts_ns = pts_ns, .track = track, .decision = d, .reason = reason};
    if (v->on_event != NULL)
        v->on_event(v->user, &e);
}

/* ------------------------------------------------------------------ masks */

static int reserve_rects(vl_rect **list, size_t *room, size_t n) {
    if (n <= *room)
        return VEIL_OK;
    size_t cap = n * 2 + 64;
    vl_rect *m = vl_mem_alloc(cap, sizeof *m);
    if (m == NULL)
        return VEIL_E_NOMEM;
    if (*room > 0)
        memcpy(m, *list, *room * sizeof *m);
    vl_mem_free(*list);
    *list = m;
    *room = cap;
    return VEIL_OK;
}

static int reserve_masks(veil *v, size_t n) {
    return reserve_rects(&v->masks, &v->cap_masks, n);
}

/* A box of no number does not count as outside: drawing it hides the whole frame. */
static bool outside(const veil_frame *f, vl_rect r) {
    return r.x >= (float)f->width || r.y >= (float)f->height || r.x + r.w <= 0 || r.y + r.h <= 0;
}

static vl_redact_style style_of(const veil_settings *s) {
    return (vl_redact_style){.style = s->style,
                             .shape = s->shape,
                             .feather = s->feather > 0 ? s->feather : 0,
                             .cells = s->cells,
                             .fill_rgb = s->fill_rgb,
                             .image = s->image,
                             .image_width = s->image_width,
                             .image_height = s->image_height,
                             .image_stride = s->image_stride};
}

/* v->masks[0..n) are in px of the frame as stored. */
static int draw(veil *v, const veil_frame *f, size_t n, const vl_redact_style *style,
                const vl_redact_aside *aside) {
    if (vl_fault_hits(&v->fault, "redact"))
        return VEIL_E_INTERNAL;
    if (n == 0 || style->style == VEIL_STYLE_NONE)
        return VEIL_OK;
    return vl_redact_draw_beside(v->redact, f, v->masks, n, style, aside);
}

/* The place of the mask around what must be hidden, upright px: padded, then of a common shape. */
static vl_rect mask_place(vl_steady *steady, uint32_t id, vl_rect need, const vl_settings *set) {
    vl_rect r = vl_track_grown(need, set->s.padding > 0 ? set->s.padding : 0);
    return id != 0 ? vl_steady_mask(steady, id, r) : vl_steady_alone(r);
}

int vl_hide_brought(veil *v, const veil_frame *f, const veil_track *tracks, size_t n,
                    const vl_settings *set) {
    vl_redact_style style = style_of(&set->s);
    vl_motion still = vl_motion_none();
    size_t k = 0;
    int err = reserve_masks(v, n);
    style.settle = true;
    vl_steady_next(v->brought, &still);
    for (size_t i = 0; err == VEIL_OK && i < n; i++) {
        const veil_track *t = &tracks[i];
        if (t->decision != VEIL_HIDE)
            continue;
        vl_rect r = vl_frame_to_upright(f, (vl_rect){t->x, t->y, t->w, t->h});
        r = vl_frame_from_upright(f, mask_place(v->brought, t->id, r, set));
        if (!outside(f, r))
            v->masks[k++] = r;
    }
    if (err == VEIL_OK)
        err = draw(v, f, k, &style, NULL);
    if (err != VEIL_OK)
        vl_redact_cover(f);
    return err;
}

/* Hide zones, px of f as stored, to out, which has room for all; returns how many. */
static size_t zones_of(const veil_frame *f, const vl_settings *set, vl_rect *out) {
    float w = (float)vl_frame_upright_width(f), h = (float)vl_frame_upright_height(f);
    size_t n = 0;
    for (size_t i = 0; i < set->s.n_zones; i++) {
        const veil_zone *z = &set->zones[i];
        vl_rect r = {z->x * w, z->y * h, z->w * w, z->h * h};
        r = vl_frame_from_upright(f, r);
        if (z->decision == VEIL_HIDE && r.w > 0 && r.h > 0 && !outside(f, r))
            out[n++] = r;
    }
    return n;
}

/* ------------------------------------------------------------------ what is told */

/* The user's HIDE reaches frames that were analysed before it was said. Under lock. */
static void obey_hide(veil *v, const vl_entries *list) {
    for (size_t i = 0; i < v->n_wishes; i++) {
        vl_entry *e = vl_timeline_find(list, v->wishes[i].track);
        if (e != NULL && v->wishes[i].decision == VEIL_HIDE) {
            e->keep = false;
            e->reason = VEIL_REASON_USER;
        }
    }
}

static void report_events(veil *v, const vl_entries *list, int64_t pts_ns) {
    const vl_entries *past = vl_timeline_past(v->timeline);
    for (size_t i = 0; i < list->n; i++) {
        const vl_entry *e = &list->e[i];
        const vl_entry *before = v->last_covered ? NULL : vl_timeline_find(past, e->id);
        bool was = before != NULL && before->keep;
        if (e->keep && !was)
            tell(v, pts_ns, e->id, VEIL_KEEP, e->reason);
        else if (!e->keep && was)
            tell(v, pts_ns, e->id, VEIL_HIDE, e->reason);
    }
}

/* Under lock. */
static int publish(veil *v, const veil_frame *f, const vl_entries *list) {
    v->n_out = 0;
    if (list->n > v->cap_out) {
        size_t cap = list->n * 2 + 32;
        veil_track *out = vl_mem_alloc(cap, sizeof *out);
        if (out == NULL)
            return VEIL_E_NOMEM;
        vl_mem_free(v->out);
        v->out = out;
        v->cap_out = cap;
    }
    for (size_t i = 0; i < list->n; i++) {
        const vl_entry *e = &list->e[i];
        vl_rect r = vl_frame_from_upright(f, e->box);
        v->out[i] = (veil_track){.id = e->id,
                                 .x = r.x,
                                 .y = r.y,
                                 .w = r.w,
                                 .h = r.h,
                                 .score = e->score,
                                 .interview = e->interview,
                                 .age = e->age,
                                 .lost = e->lost,
                                 .decision = e->keep ? VEIL_KEEP : VEIL_HIDE,
                                 .reason = e->reason};
    }
    v->n_out = list->n;
    return VEIL_OK;
}

/* ------------------------------------------------------------------ the frame */

static void cover(veil *v, const veil_frame *f, veil_reason reason, veil_result *r) {
    vl_redact_cover(f);
    if (!v->last_covered)
        tell(v, f->pts_ns, 0, VEIL_HIDE, reason);
    if (!v->last_covered && reason == VEIL_REASON_ERROR)
        vl_veil_log(v, 0, "the analysis failed: frames are covered");
    v->last_covered = true;
    r->covered = 1;
    r->reason = reason;
}

/* Seen in this very frame and kept: nothing but its own face is where it is. */
static bool is_clear(const vl_entry *k, float min_score) {
    return k->keep && k->detected && k->score >= min_score;
}

/* A hidden face that is not surely seen in this frame, and whose centre lies well inside the
 * ellipse of a larger face that is seen and kept, is behind it: whoever is nearer is larger. Its
 * mask would only hide the kept face. */
static bool is_behind(const vl_entry *e, const vl_entries *list, float min_score) {
    float x = e->box.x + e->box.w / 2, y = e->box.y + e->box.h / 2;
    if (e->detected && e->score >= min_score)
        return false;
    for (size_t i = 0; i < list->n; i++) {
        const vl_entry *k = &list->e[i];
        float u = 2 * (x - k->box.x) / k->box.w - 1, v = 2 * (y - k->box.y) / k->box.h - 1;
        if (is_clear(k, min_score) && k->score >= e->score + BEHIND_SCORE &&
            k->box.w * k->box.h > e->box.w * e->box.h &&
            u * u + v * v < BEHIND_RADIUS * BEHIND_RADIUS)
            return true;
    }
    return false;
}

/* Padding, growth and the places of neighbouring frames are where a face might be. Where a kept
 * face is seen it is not: there only the hidden face's own box counts. Room for all is reserved. */
static vl_redact_aside clear_faces(veil *v, const veil_frame *f, const vl_entries *list,
                                   float min_score) {
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++)
        if (is_clear(&list->e[i], min_score))
            v->aside[n++] = vl_frame_from_upright(f, vl_track_grown(list->e[i].box, -CLEAR_INSET));
    return (vl_redact_aside){.clear = v->aside, .n_clear = n, .core = v->aside + n};
}

/* Faces and zones are drawn at once, so that nothing of one is taken to paint the other. */

static int hide_faces(veil *v, const veil_frame *f, const vl_entries *list, const vl_settings *set,
                      veil_result *r) {
    size_t room = list->n + set->s.n_zones;
    int err = reserve_masks(v, room);
    if (err == VEIL_OK)
        err = reserve_rects(&v->aside, &v->cap_aside, room);
    if (err != VEIL_OK)
        return err;
    vl_redact_aside aside = clear_faces(v, f, list, set->s.min_score);
    vl_rect *core = v->aside + aside.n_clear;
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        const vl_entry *e = &list->e[i];
        r->n_kept += e->keep;
        r->n_hidden += !e->keep;
        if (e->keep || is_behind(e, list, set->s.min_score))
            continue;
        vl_rect mask = vl_frame_from_upright(f, mask_place(v->steady, e->id, e->cover, set));
        if (outside(f, mask))
            continue;
        v->masks[n++] = mask;
        core[aside.n_core++] = vl_frame_from_upright(f, e->box);
    }
    aside.n_zones = zones_of(f, set, v->masks + n);
    for (size_t i = 0; i < aside.n_zones; i++)
        core[aside.n_core++] = v->masks[n + i]; /* nobody who is kept is spared in a zone */
    vl_redact_style style = style_of(&set->s);
    style.settle = true;
    err = draw(v, f, n + aside.n_zones, &style, &aside);
    if (err != VEIL_OK)
        vl_redact_cover(f);
    return err;
}

static int fix_and_draw(veil *v, const vl_slot *slot, veil_result *r) {
    const veil_frame *f = &slot->frame;
    int err;
    const vl_entries *list = vl_timeline_fix(v->timeline, &err);
    if (list == NULL)
        return err;
    vl_settings set;
    pthread_mutex_lock(&v->lock);
    set = v->set;
    obey_hide(v, list);
    err = publish(v, f, list);
    pthread_mutex_unlock(&v->lock);
    if (err != VEIL_OK)
        return err;
    if (v->steady_epoch != slot->epoch || v->last_covered) {
        vl_steady_reset(v->steady);
        vl_redact_forget(v->redact);
    }
    v->steady_epoch = slot->epoch;
    vl_steady_next(v->steady, &slot->camera);
    err = hide_faces(v, f, list, &set, r);
    if (err != VEIL_OK)
        return err;
    report_events(v, list, f->pts_ns);
    v->last_covered = false;
    return VEIL_OK;
}

int vl_hide_frame(veil *v, veil_result *result) {
    const vl_slot *slot = vl_timeline_oldest(v->timeline);
    veil_result r = {.detected = slot->detected};
    int err = VEIL_OK;
    pthread_mutex_lock(&v->draw);
    if (atomic_load(&v->cover) != 0) {
        cover(v, &slot->frame, VEIL_REASON_PANIC, &r);
    } else if (slot->covered) {
        cover(v, &slot->frame, slot->reason, &r);
    } else {
        err = fix_and_draw(v, slot, &r);
        if (err != VEIL_OK) {
            r.n_hidden = r.n_kept = 0;
            cover(v, &slot->frame, VEIL_REASON_ERROR, &r);
        }
    }
    if (r.covered) {
        pthread_mutex_lock(&v->lock);
        v->n_out = 0;
        pthread_mutex_unlock(&v->lock);
    }
    pthread_mutex_unlock(&v->draw);
    vl_timeline_pop(v->timeline);
    if (result != NULL)
        *result = r;
    return err;
}
