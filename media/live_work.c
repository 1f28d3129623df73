/* The analysis thread: raw frames through the stage, what to do under overload, and covers for
 * frames whose analysis fails. */
#include "live_priv.h"

#include <stdio.h>
#include <string.h>

#define LOOK_NS  (20 * MS_NS)
#define BACKLOG  4               /* frames waiting: the machine does not keep up */
#define RAISE_NS (300 * MS_NS)   /* so long, and the next level of overload begins */
#define LOWER_NS (4 * SECOND_NS) /* without a backlog so long: back to the level before */

typedef struct {
    live *s;
    stage *stage;
    int held;
    int64_t high_ns, low_ns; /* since when there is (no) backlog; 0 = it is not so */
    int applied;             /* detect_every in force */
} worker;

void live_free_frame(void *frame) {
    AVFrame *f = frame;
    av_frame_free(&f);
}

void live_free_shown(void *shown) {
    media_shown_free(shown);
}

static void deliver(worker *w, media_shown *shown) {
    live_stamp(shown->frame->opaque_ref, LIVE_STAGE_HOLD, live_now(w->s));
    if (!queue_put(w->s->shown, shown))
        media_shown_free(shown);
}

static int receive_all(worker *w) {
    media_shown *shown;
    media_error err = {0};
    int ret;
    while ((ret = stage_receive(w->stage, &shown, &err)) == 1) {
        w->held--;
        deliver(w, shown);
    }
    if (ret < 0) {
        atomic_store(&w->s->broken, true);
        live_note_problem(w->s, err.text);
    }
    return ret;
}

static void flush(worker *w) {
    media_error err = {0};
    if (w->held <= 0 || atomic_load(&w->s->broken))
        return;
    if (stage_flush(w->stage, &err) != 0) {
        atomic_store(&w->s->broken, true);
        live_note_problem(w->s, err.text);
    } else {
        receive_all(w);
    }
    w->held = 0;
}

static void cover(worker *w, AVFrame *frame, veil_reason reason) {
    media_shown *shown;
    media_error err = {0};
    flush(w); /* order */
    frame->time_base = (AVRational){1, TICKS};
    if (stage_card(&shown, frame, NULL, reason, &err) == 0)
        deliver(w, shown);
    else
        live_note_problem(w->s, err.text); /* and nothing is shown */
}

static void analyse(worker *w, AVFrame *frame) {
    live *s = w->s;
    media_error err = {0};
    int64_t now = live_now(s);
    const AVBufferRef *times = frame->opaque_ref; /* it moves with the frame */
    atomic_store(&s->busy_ns, now);
    live_stamp(times, LIVE_STAGE_WAIT, now);
    int ret = stage_send(w->stage, frame, &err);
    if (ret == 1) /* full */
        ret = receive_all(w) == 0 ? stage_send(w->stage, frame, &err) : -1;
    if (ret == 0) {
        live_stamp(times, LIVE_STAGE_ANALYSE, live_now(s));
        w->held++;
        receive_all(w);
    } else {
        live_note_problem(s, err.text[0] != '\0' ? err.text : "the analysis is full");
        cover(w, frame, VEIL_REASON_ERROR);
    }
    atomic_store(&s->busy_ns, 0);
}

/* What the user wants, with detection thinned out under overload. */
static void apply_settings(worker *w) {
    live *s = w->s;
    int level = atomic_load(&s->overload);
    int least = level >= 2 ? 3 : level == 1 ? 2 : 1;
    veil_zone zones[sizeof s->zones / sizeof s->zones[0]];
    pthread_mutex_lock(&s->apply); /* an image of settings that were replaced may be gone */
    pthread_mutex_lock(&s->lock);
    veil_settings set = s->settings;
    memcpy(zones, s->zones, sizeof zones);
    int every = set.detect_every > least ? set.detect_every : least;
    bool due = s->settings_changed || every != w->applied;
    set.detect_every = every;
    s->settings_changed = false;
    pthread_mutex_unlock(&s->lock);
    set.zones = zones;
    int ret = due ? veil_set_settings(s->veil, &set) : VEIL_OK;
    pthread_mutex_unlock(&s->apply);
    if (ret != VEIL_OK)
        live_note_problem(s, veil_strerror(ret));
    w->applied = every;
}

static void set_level(worker *w, int level) {
    static const char *const texts[] = {"none", "detection on every 2nd frame",
                                        "detection on every 3rd frame", "half the frame rate",
                                        "covered"};
    char text[96];
    atomic_store(&w->s->overload, level);
    snprintf(text, sizeof text, "%s", texts[level]);
    live_event_send(w->s, LIVE_EVENT_OVERLOAD, 0, text, NULL);
}

static void watch_load(worker *w, const AVFrame *frame) {
    live *s = w->s;
    if (!atomic_load(&s->paced))
        return;
    int64_t now = live_now(s);
    int level = atomic_load(&s->overload);
    bool behind = queue_count(s->raw) >= BACKLOG && now - frame->pkt_pos > RAISE_NS / 2;
    if (behind) {
        w->low_ns = 0;
        if (w->high_ns == 0)
            w->high_ns = now;
        if (level < 4 && now - w->high_ns > RAISE_NS) {
            set_level(w, level + 1);
            w->high_ns = now;
        }
    } else {
        w->high_ns = 0;
        if (w->low_ns == 0)
            w->low_ns = now;
        if (level > 0 && now - w->low_ns > LOWER_NS) {
            set_level(w, level - 1);
            w->low_ns = now;
        }
    }
}

static void handle(worker *w, AVFrame *frame) {
    live *s = w->s;
    if (frame->width == 0) {
        flush(w);
    } else {
        watch_load(w, frame);
        apply_settings(w);
        if (atomic_load(&s->broken))
            cover(w, frame, VEIL_REASON_ERROR);
        else if (atomic_load(&s->overload) >= 4)
            cover(w, frame, VEIL_REASON_LATE);
        else
            analyse(w, frame);
    }
    av_frame_free(&frame);
}

void *live_worker_main(void *opaque) {
    live *s = opaque;
    worker w = {.s = s};
    stage_options so = {
        .veil = s->veil, .time_base = {1, TICKS}, .hold = s->o.veil.lookahead_ns > 0};
    media_error err = {0};
    if (stage_create(&w.stage, &so, &err) != 0)
        live_fail(s, &err);
    void *item;
    int ret;
    while (w.stage && (ret = queue_get_within(s->raw, &item, LOOK_NS)) >= 0) {
        if (ret == 1)
            handle(&w, item);
        else if (atomic_load(&s->paced) &&
                 live_now(s) - atomic_load(&s->last_frame_ns) > s->o.input_silence_ns / 2)
            flush(&w); /* the source is silent: what is held need not wait for more */
    }
    if (w.stage)
        flush(&w);
    stage_destroy(w.stage);
    queue_end(s->shown);
    return NULL;
}
