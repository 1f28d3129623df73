/* The clock: hands hidden frames to the encoders and previews in rising time, and covers when none
 * come. It is the watchdog too: what stands still anywhere before it is seen here. */
#include "live_priv.h"

#include "picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_NS (10 * MS_NS)
#define SOUND_LATE_NS                                                                              \
    (400 * MS_NS) /* sound that has not come so long after its frames: silence                     \
                   */
#define CARD_PX_MAX     8192
#define AS_SOUND(ticks) av_rescale((ticks), SOUND_HZ, TICKS)

typedef struct {
    live *s;
    media_shown *card;
    int64_t base_ticks, base_ns; /* the last frame that was no card: when it was sent, its time */
    int64_t n_cards;             /* since then */
    int64_t late_ns;             /* since when every frame came late, 0 = not so */
    int64_t first_ticks;
    bool sound_started, analysed;
    live_phase phase;
    live_cover_reason cover;
} beat;

static AVFrame *load_card(fit *f, const char *path, media_error *err) {
    media_picture picture;
    if (media_picture_load(&picture, path, CARD_PX_MAX, err) != 0)
        return NULL;
    AVFrame *frame = av_frame_alloc();
    if (!frame) {
        free(picture.pixels);
        return NULL;
    }
    frame->format = AV_PIX_FMT_RGBA;
    frame->width = picture.width;
    frame->height = picture.height;
    frame->data[0] = picture.pixels;
    frame->linesize[0] = (int)picture.stride;
    if (fit_frame(f, frame, err) != 0)
        av_frame_free(&frame);
    free(picture.pixels);
    return frame;
}

/* Made once; every cover is the same picture at another time. */
static int make_card(beat *b, media_error *err) {
    live *s = b->s;
    fit *f;
    if (fit_create(&f, s->width, s->height, err) != 0)
        return -1;
    AVFrame *picture = s->o.card ? load_card(f, s->o.card, err) : NULL;
    AVFrame *frame = fit_blank(f);
    int ret = -1;
    if (frame && (picture || !s->o.card)) {
        frame->time_base = (AVRational){1, TICKS};
        frame->pkt_duration = s->step;
        frame->color_range = AVCOL_RANGE_MPEG;
        ret = stage_card(&b->card, frame, picture, VEIL_REASON_START, err);
    } else {
        media_fail(err, "out of memory");
    }
    av_frame_free(&frame);
    av_frame_free(&picture);
    fit_destroy(f);
    return ret;
}

static void set_phase(beat *b, live_phase phase, live_cover_reason cover) {
    live *s = b->s;
    if (phase == b->phase && cover == b->cover)
        return;
    b->phase = phase;
    b->cover = cover;
    pthread_mutex_lock(&s->lock);
    s->st.phase = phase;
    s->st.cover = cover;
    pthread_mutex_unlock(&s->lock);
    char text[96];
    snprintf(text, sizeof text, "%s%s%s", live_phase_text(phase),
             cover != LIVE_COVER_NONE ? ": " : "",
             cover != LIVE_COVER_NONE ? live_cover_text(cover) : "");
    live_event_send(s, LIVE_EVENT_PHASE, 0, text, NULL);
}

static void keep_newest(live *s, const media_shown *shown) {
    AVFrame *frame = av_frame_clone(shown->frame);
    veil_track *tracks = NULL;
    if (!frame)
        return;
    if (shown->n_tracks > 0) {
        tracks = malloc(shown->n_tracks * sizeof *tracks);
        if (tracks)
            memcpy(tracks, shown->tracks, shown->n_tracks * sizeof *tracks);
    }
    pthread_mutex_lock(&s->lock);
    AVFrame *old = s->newest;
    veil_track *old_tracks = s->tracks;
    s->newest = frame;
    s->tracks = tracks;
    s->n_tracks = tracks ? shown->n_tracks : 0;
    s->newest_result = shown->result;
    s->serial++;
    s->st.frames_out++;
    s->st.frames_covered += shown->result.covered != 0;
    s->st.hidden = shown->result.n_hidden;
    s->st.kept = shown->result.n_kept;
    s->st.faces_hidden += shown->result.n_hidden;
    s->st.faces_kept += shown->result.n_kept;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    av_frame_free(&old);
    free(old_tracks);
}

static void send_sound(beat *b, int64_t ticks) {
    live *s = b->s;
    if (!s->audio)
        return;
    if (!b->sound_started) {
        sound_start(s->sound, AS_SOUND(ticks));
        b->sound_started = true;
    }
    int64_t due = AS_SOUND(ticks + s->step);
    int64_t overdue = due - av_rescale(SOUND_LATE_NS, SOUND_HZ, SECOND_NS);
    for (;;) {
        AVFrame *frame = sound_take(s->sound, due, false);
        if (!frame)
            frame = sound_take(s->sound, overdue, true);
        if (!frame)
            return;
        pthread_mutex_lock(&s->feed);
        for (size_t i = 0; i < LIVE_OUTPUTS_MAX; i++) {
            if (s->encs[i])
                live_enc_audio(s->encs[i], frame);
        }
        pthread_mutex_unlock(&s->feed);
        av_frame_free(&frame);
    }
}

static void send(beat *b, const media_shown *shown) {
    live *s = b->s;
    if (b->first_ticks < 0)
        b->first_ticks = shown->frame->pts;
    atomic_store(&s->last_ticks, shown->frame->pts);
    live_stamp(shown->frame->opaque_ref, LIVE_STAGE_SEND, live_now(s));
    keep_newest(s, shown);
    pthread_mutex_lock(&s->feed);
    for (size_t i = 0; i < LIVE_OUTPUTS_MAX; i++) {
        if (s->encs[i])
            live_enc_video(s->encs[i], shown);
    }
    pthread_mutex_unlock(&s->feed);
    send_sound(b, shown->frame->pts);
    if (s->o.duration_ns > 0 && av_rescale(shown->frame->pts + s->step - b->first_ticks, SECOND_NS,
                                           TICKS) >= s->o.duration_ns)
        live_stop(s);
}

static void judge(beat *b, const veil_result *r) {
    if (!r->covered) {
        b->analysed = true;
        set_phase(b, LIVE_PROTECTING, LIVE_COVER_NONE);
        return;
    }
    switch (r->reason) {
    case VEIL_REASON_PANIC:
        set_phase(b, LIVE_COVERED, LIVE_COVER_PANIC);
        break;
    case VEIL_REASON_LATE:
        set_phase(b, LIVE_COVERED, LIVE_COVER_OVERLOAD);
        break;
    case VEIL_REASON_START:
        set_phase(b, b->analysed ? LIVE_COVERED : LIVE_STARTING, LIVE_COVER_START);
        break;
    default:
        set_phase(b, LIVE_COVERED, LIVE_COVER_ERROR);
    }
}

static void take_shown(beat *b, media_shown *shown) {
    live *s = b->s;
    /* Whoever asked for the end, or for so much, gets no more. */
    bool over = live_stopping(s) && s->o.duration_ns > 0 && b->first_ticks >= 0 &&
                av_rescale(shown->frame->pts + s->step - b->first_ticks, SECOND_NS, TICKS) >
                    s->o.duration_ns + 20 * MS_NS;
    if (over || shown->frame->pts <= atomic_load(&s->last_ticks)) {
        pthread_mutex_lock(&s->lock);
        s->st.frames_dropped += !over;
        pthread_mutex_unlock(&s->lock);
        int64_t now = live_now(s);
        if (b->late_ns == 0)
            b->late_ns = now;
        if (now - b->late_ns > SECOND_NS && !over) { /* they would be for ever */
            atomic_store(&s->remap, true);
            b->late_ns = now;
        }
    } else {
        b->late_ns = 0;
        judge(b, &shown->result);
        send(b, shown);
        b->base_ticks = shown->frame->pts;
        b->base_ns = live_now(s);
        b->n_cards = 0;
        atomic_store(&s->covering, false);
    }
    media_shown_free(shown);
}

/* Why nothing comes; NONE = it may still come in time. */
static live_cover_reason silence(const beat *b, int64_t now) {
    live *s = b->s;
    int64_t step_ns = av_rescale(s->step, SECOND_NS, TICKS);
    int64_t busy = atomic_load(&s->busy_ns);
    if (b->n_cards == 0 && now - b->base_ns < step_ns + s->o.stall_ns)
        return LIVE_COVER_NONE;
    if (busy != 0 && now - busy > s->o.stall_ns)
        return LIVE_COVER_STALL;
    if (!atomic_load(&s->input_up))
        return b->analysed ? LIVE_COVER_INPUT : LIVE_COVER_START;
    if (now - atomic_load(&s->last_frame_ns) > s->o.input_silence_ns)
        return LIVE_COVER_INPUT;
    /* Frames come in, none comes out, and none is in work. */
    bool began = b->n_cards > 0;
    return began || now - b->base_ns > s->o.input_silence_ns + s->o.veil.lookahead_ns
               ? (began ? b->cover : LIVE_COVER_STALL)
               : LIVE_COVER_NONE;
}

static void cover_gaps(beat *b) {
    live *s = b->s;
    int64_t now = live_now(s);
    if (live_stopping(s) || !atomic_load(&s->paced))
        return;
    live_cover_reason why = silence(b, now);
    if (why == LIVE_COVER_NONE)
        return;
    int64_t step_ns = av_rescale(s->step, SECOND_NS, TICKS);
    if (b->n_cards == 0) { /* the time waited so far is left out: frames that come are not late */
        b->base_ticks =
            atomic_load(&s->last_ticks) >= 0 ? atomic_load(&s->last_ticks) : b->base_ticks;
        b->base_ns = now - step_ns;
        atomic_store(&s->covering, true);
    }
    while (b->base_ns + (b->n_cards + 1) * step_ns <= now && !live_stopping(s)) {
        b->n_cards++;
        media_shown *card = stage_repeat(b->card, b->base_ticks + b->n_cards * s->step);
        if (!card)
            return;
        set_phase(b, b->analysed ? LIVE_COVERED : LIVE_STARTING, why);
        send(b, card);
        media_shown_free(card);
    }
}

/* Nothing can be sent before the first frame has told size and rate. False when none will. */
static bool wait_for_format(live *s) {
    pthread_mutex_lock(&s->lock);
    while (!atomic_load(&s->known) && !atomic_load(&s->reader_done)) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec++;
        pthread_cond_timedwait(&s->changed, &s->lock, &until);
    }
    pthread_mutex_unlock(&s->lock);
    return atomic_load(&s->known);
}

int live_clock_run(live *s, media_error *err) {
    beat b = {.s = s, .first_ticks = -1, .phase = LIVE_STOPPED};
    set_phase(&b, LIVE_STARTING, LIVE_COVER_START);
    bool known = wait_for_format(s);
    int failed = known ? make_card(&b, err) : 0;
    if (failed)
        live_fail(s, err);
    b.base_ns = live_now(s);
    b.base_ticks = av_rescale(b.base_ns, TICKS, SECOND_NS);
    void *item;
    int ret;
    while ((ret = queue_get_within(s->shown, &item, LOOK_NS)) >= 0) {
        if (ret == 1 && !failed)
            take_shown(&b, item);
        else if (ret == 1)
            media_shown_free(item);
        else if (known && !failed)
            cover_gaps(&b);
    }
    media_shown_free(b.card);
    set_phase(&b, LIVE_STOPPED, LIVE_COVER_NONE);
    return failed;
}
