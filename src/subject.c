/* See subject.h. Each detection votes with the logarithm of its odds, in proportion to the time it
 * stands for, so that any frame rate gives the same decision. A face starts with the odds of a
 * background face; it is shown above one limit and hidden again below a lower one. */
#include "subject.h"

#include <math.h>

#define MS       1000000
#define PRIOR    (-1.735f) /* log odds of P = 0.15 */
#define LOWEST   (-5.0f)
#define HIGHEST  2.5f  /* so that contrary votes hide within a quarter of a second */
#define VOTE_MAX 3.0f  /* P = 0.95 */
#define RATE     6.0f  /* a second */
#define FORGET_S 2.25f /* towards the prior */
/* A vote for interview below this (P = 0.71) is none, and less than 0.26 above it (P = 0.76) lose
 * to forgetting: a network that does not know, or only leans to one side, must uncover nobody,
 * however long it looks. */
#define DEADBAND        0.9f
#define VOTE_MAX_NS     (120 * MS) /* longest time one vote stands for */
#define VOTE_FIRST_NS   (33 * MS)
#define HYSTERESIS      2.5f /* who was shown is not hidden by one doubtful second */
#define VOTES_MIN       4
#define FOR_MIN_NS      (120 * MS)
#define SURE_GAP_NS     (400 * MS) /* a longer gap may hide a change of person */
#define UNSURE_MARGIN   0.4f       /* evidence left above the limit after an unsure match */
#define SMALL_FACE      0.05f      /* of the picture's height: interview faces are larger */
#define SMALL_PENALTY   1.5f
#define RELATIVE_FREE   0.8f /* doublings: faces of over half the size of the largest are equal */
#define RELATIVE_RATE   1.2f
#define RELATIVE_MAX    3.0f
#define CROWD           3 /* more faces kept than this need more evidence */
#define CROWD_PENALTY   1.0f
#define HOLDER_NEW_NS   (300 * MS)
#define HOLDER_SWAP_NS  (500 * MS)
#define HOLDER_BETTER   1.3f
#define HOLDER_FRESH_NS (300 * MS)

static float logit(float p) {
    p = fminf(fmaxf(p, 1e-4f), 1 - 1e-4f);
    return logf(p / (1 - p));
}

float vl_subject_probability(const vl_evidence *e) {
    return 1 / (1 + expf(-(e->started ? e->log_odds : PRIOR)));
}

void vl_subject_user(vl_evidence *e, veil_decision d) {
    e->user = d;
    e->trusted = d == VEIL_KEEP;
}

/* ------------------------------------------------------------------ evidence */

/* The track may be another person now: it has to earn everything again. */
static void distrust(vl_evidence *e) {
    e->log_odds = fminf(e->log_odds, PRIOR);
    e->for_ns = 0;
    e->votes = 0;
    e->trusted = false;
    e->keep = false;
}

static void vote(vl_track *t, int64_t pts_ns, float limit) {
    vl_evidence *e = &t->evidence;
    int64_t dt_ns = e->started ? pts_ns - e->voted_ns : VOTE_FIRST_NS;
    if (!e->started) {
        e->log_odds = PRIOR;
        e->started = true;
    }
    dt_ns = dt_ns < 0 ? 0 : dt_ns > VOTE_MAX_NS ? VOTE_MAX_NS : dt_ns;
    e->voted_ns = pts_ns;
    float v = fminf(fmaxf(logit(t->interview), -VOTE_MAX), VOTE_MAX);
    if (t->gap_ns > SURE_GAP_NS || (t->unsure && v < 0))
        distrust(e);
    else if (t->unsure)
        e->log_odds = fminf(e->log_odds, limit + UNSURE_MARGIN);
    if (v > 0)
        v = fmaxf(v - DEADBAND, 0);
    float quality = fminf(fmaxf((t->score - 0.1f) / 0.4f, 0.2f), 1);
    if (v < 0) /* a doubtful detection speaks against being shown as loudly as a sure one */
        quality = fmaxf(quality, 0.5f);
    float dt_s = (float)dt_ns * 1e-9f;
    e->log_odds += RATE * v * quality * dt_s;
    e->log_odds += (PRIOR - e->log_odds) * (1 - expf(-dt_s / FORGET_S));
    e->log_odds = fminf(fmaxf(e->log_odds, LOWEST), HIGHEST);
    if (v > 0) {
        e->for_ns += dt_ns;
        e->votes++;
    } else {
        e->for_ns = e->for_ns > 2 * dt_ns ? e->for_ns - 2 * dt_ns : 0;
    }
}

/* ------------------------------------------------------------------ limits */

typedef struct {
    float tallest; /* height of the tallest face that is shown or nearly so, px */
    uint32_t n_kept;
} context;

static context look_around(const vl_track *tracks, size_t n, float limit) {
    context c = {0};
    for (size_t i = 0; i < n; i++) {
        const vl_track *t = &tracks[i];
        if (!t->evidence.keep && t->evidence.log_odds < limit - 0.5f)
            continue;
        c.n_kept += t->evidence.keep;
        if (t->evidence.started)
            c.tallest = fmaxf(c.tallest, t->box.h);
    }
    return c;
}

/* Evidence that a face of this size needs: never less than the base. */
static float limit_of(const vl_track *t, const vl_subject_rules *r, const context *c, float base) {
    float limit = base;
    float part = t->box.h / (float)r->height;
    if (part < SMALL_FACE)
        limit += SMALL_PENALTY * (SMALL_FACE - part) / SMALL_FACE;
    if (t->box.h > 0 && c->tallest > t->box.h) {
        float doublings = log2f(c->tallest / t->box.h) - RELATIVE_FREE;
        limit += fminf(fmaxf(RELATIVE_RATE * doublings, 0), RELATIVE_MAX);
    }
    if (c->n_kept >= CROWD && !t->evidence.keep)
        limit += CROWD_PENALTY;
    return limit;
}

static bool earned(const vl_evidence *e, float limit) {
    if (e->keep && e->reason == VEIL_REASON_CLASS)
        return e->log_odds >= limit - HYSTERESIS;
    return e->log_odds >= limit && e->votes >= VOTES_MIN && e->for_ns >= FOR_MIN_NS;
}

/* ------------------------------------------------------------------ one face by rule */

static float merit(const vl_track *t, const vl_subject_rules *r) {
    if (r->keep == VEIL_KEEP_LARGEST)
        return t->box.w * t->box.h;
    float dx = t->box.x + t->box.w / 2 - (float)r->width / 2;
    float dy = t->box.y + t->box.h / 2 - (float)r->height / 2;
    return 1 / (0.05f + hypotf(dx, dy) / hypotf((float)r->width, (float)r->height));
}

static void choose_holder(vl_subject *s, const vl_subject_rules *r, int64_t pts_ns,
                          const vl_track *tracks, size_t n) {
    const vl_track *best = NULL, *holder = NULL;
    for (size_t i = 0; i < n; i++) {
        const vl_track *t = &tracks[i];
        if (t->evidence.user == VEIL_HIDE)
            continue;
        if (t->id == s->holder && !(t->gap_ns > SURE_GAP_NS))
            holder = t;
        if (pts_ns - t->seen_ns <= HOLDER_FRESH_NS &&
            (best == NULL || merit(t, r) > merit(best, r)))
            best = t;
    }
    if (holder == NULL)
        s->holder = 0;
    bool better = best != NULL && best != holder &&
                  (holder == NULL || merit(best, r) > HOLDER_BETTER * merit(holder, r));
    if (!better) {
        s->challenger = 0;
        return;
    }
    if (s->challenger != best->id) {
        s->challenger = best->id;
        s->since_ns = pts_ns;
    }
    if (pts_ns - s->since_ns >= (holder != NULL ? HOLDER_SWAP_NS : HOLDER_NEW_NS))
        s->holder = best->id;
}

/* ------------------------------------------------------------------ decisions */

/* HIDE when the centre is in any hide zone, KEEP when it is in a keep zone, else AUTO. */
static veil_decision zone_of(const vl_track *t, const vl_subject_rules *r) {
    float x = (t->box.x + t->box.w / 2) / (float)r->width;
    float y = (t->box.y + t->box.h / 2) / (float)r->height;
    veil_decision d = VEIL_AUTO;
    for (size_t i = 0; i < r->n_zones; i++) {
        const veil_zone *z = &r->zones[i];
        if (!(x >= z->x && x <= z->x + z->w && y >= z->y && y <= z->y + z->h))
            continue;
        if (z->decision == VEIL_HIDE)
            return VEIL_HIDE;
        if (z->decision == VEIL_KEEP)
            d = VEIL_KEEP;
    }
    return d;
}

static void set(vl_evidence *e, bool keep, veil_reason reason) {
    e->keep = keep;
    e->reason = reason;
}

static void decide(const vl_subject *s, const vl_subject_rules *r, vl_track *t, float limit) {
    vl_evidence *e = &t->evidence;
    veil_decision zone = zone_of(t, r);
    bool by_class = e->started && earned(e, limit);
    if (e->user == VEIL_KEEP && !e->trusted && by_class)
        e->trusted = true; /* proven again */
    if (zone == VEIL_HIDE)
        set(e, false, VEIL_REASON_ZONE);
    else if (r->keep == VEIL_KEEP_NONE)
        set(e, false, VEIL_REASON_RULE);
    else if (e->user == VEIL_HIDE)
        set(e, false, VEIL_REASON_USER);
    else if (e->user == VEIL_KEEP && e->trusted)
        set(e, true, VEIL_REASON_USER);
    else if (zone == VEIL_KEEP)
        set(e, true, VEIL_REASON_ZONE);
    else if (r->keep == VEIL_KEEP_AUTO)
        set(e, by_class, by_class || e->votes + 8 < t->hits ? VEIL_REASON_CLASS : VEIL_REASON_NEW);
    else if (r->keep == VEIL_KEEP_LARGEST || r->keep == VEIL_KEEP_CENTER)
        set(e, t->id == s->holder, VEIL_REASON_RULE);
    else
        set(e, false, VEIL_REASON_RULE);
    if (!e->keep && !t->detected && e->reason != VEIL_REASON_USER && e->reason != VEIL_REASON_ZONE)
        e->reason = VEIL_REASON_LOST;
}

void vl_subject_step(vl_subject *s, const vl_subject_rules *r, int64_t pts_ns, vl_track *tracks,
                     size_t n) {
    /* evidence ends at HIGHEST: what asks for more must stay within reach */
    float base = fminf(logit(r->keep_score), HIGHEST - 0.25f);
    context around = look_around(tracks, n, base);
    for (size_t i = 0; i < n; i++)
        if (tracks[i].detected)
            vote(&tracks[i], pts_ns, limit_of(&tracks[i], r, &around, base));
    if (r->keep == VEIL_KEEP_LARGEST || r->keep == VEIL_KEEP_CENTER)
        choose_holder(s, r, pts_ns, tracks, n);
    else
        *s = (vl_subject){0};
    around = look_around(tracks, n, base);
    for (size_t i = 0; i < n; i++)
        decide(s, r, &tracks[i], limit_of(&tracks[i], r, &around, base));
}
