/* Frames through libveil. A frame whose call fails is covered by libveil, or the run fails; there
 * is no other way out of this file. */
#include "stage.h"

#include "frame_map.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct stage {
    stage_options options;
    AVFrame **held; /* a ring, oldest at first */
    size_t first, n_held, capacity;
    media_shown *ready; /* of the calls that do not hold */
    int64_t n_out;
    int64_t newest_pts; /* of the frame given last */
    double send_s;      /* that the call for it took */
};

void media_shown_free(media_shown *shown) {
    if (!shown)
        return;
    av_frame_free(&shown->frame);
    free(shown->tracks);
    free(shown);
}

int stage_create(stage **out, const stage_options *options, media_error *err) {
    *out = calloc(1, sizeof **out);
    if (!*out)
        return media_fail(err, "out of memory");
    (*out)->options = *options;
    return 0;
}

void stage_destroy(stage *s) {
    if (!s)
        return;
    for (size_t i = 0; i < s->n_held; i++)
        av_frame_free(&s->held[(s->first + i) % s->capacity]);
    free(s->held);
    media_shown_free(s->ready);
    free(s);
}

static int grow(stage *s) {
    if (s->n_held < s->capacity)
        return 0;
    size_t capacity = s->capacity > 0 ? 2 * s->capacity : 32;
    AVFrame **held = calloc(capacity, sizeof(AVFrame *));
    if (!held)
        return -1;
    for (size_t i = 0; i < s->n_held; i++)
        held[i] = s->held[(s->first + i) % s->capacity];
    free(s->held);
    s->held = held;
    s->capacity = capacity;
    s->first = 0;
    return 0;
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Takes the frame over. */
static media_shown *make_shown(stage *s, AVFrame *frame, const veil_result *result) {
    media_shown *shown = calloc(1, sizeof *shown);
    if (!shown)
        return NULL;
    shown->result = *result;
    shown->index = s->n_out;
    if (s->options.veil && !s->options.masks) {
        size_t n = veil_tracks(s->options.veil, NULL, 0);
        if (n > 0) {
            shown->tracks = calloc(n, sizeof(veil_track));
            if (!shown->tracks) {
                free(shown);
                return NULL;
            }
            size_t now = veil_tracks(s->options.veil, shown->tracks, n);
            shown->n_tracks = now < n ? now : n;
        }
    }
    shown->frame = frame;
    s->n_out++;
    return shown;
}

/* Draws masks the caller knows; covers what the caller does not know. */
static int redact(stage *s, const AVFrame *frame, const veil_frame *vf, veil_result *result) {
    const veil_track *tracks = NULL;
    int n = s->options.masks(s->options.user, s->n_out, frame, &tracks);
    if (n < 0) {
        result->covered = 1;
        result->reason = VEIL_REASON_ERROR;
        return veil_cover_frame(vf);
    }
    for (int i = 0; i < n; i++) {
        if (tracks[i].decision == VEIL_KEEP)
            result->n_kept++;
        else
            result->n_hidden++;
    }
    return veil_redact(s->options.veil, vf, tracks, (size_t)n);
}

static int send_now(stage *s, AVFrame *frame, const veil_frame *vf, media_error *err) {
    veil_result result = {0};
    double before_s = now_s();
    int ret = s->options.masks ? redact(s, frame, vf, &result)
                               : veil_process(s->options.veil, vf, &result);
    if (ret != VEIL_OK) { /* libveil may have covered it; cover it again and be sure */
        if (ret == VEIL_E_ARG || ret == VEIL_E_FORMAT || ret == VEIL_E_SIZE ||
            veil_cover_frame(vf) != VEIL_OK)
            return media_fail(err, "cannot hide faces in a frame of %dx%d: %s", vf->width,
                              vf->height, veil_strerror(ret));
        result = (veil_result){.covered = 1, .reason = VEIL_REASON_ERROR};
    }
    AVFrame *own = av_frame_alloc();
    if (!own)
        return media_fail(err, "out of memory");
    av_frame_move_ref(own, frame);
    s->ready = make_shown(s, own, &result);
    if (!s->ready) {
        av_frame_free(&own);
        return media_fail(err, "out of memory");
    }
    s->ready->work_s = now_s() - before_s;
    return 0;
}

static int send_held(stage *s, AVFrame *frame, veil_frame *vf, media_error *err) {
    AVFrame *own = av_frame_alloc();
    if (!own || grow(s) != 0) {
        av_frame_free(&own);
        return media_fail(err, "out of memory");
    }
    vf->opaque = own;
    double before_s = now_s();
    int ret = veil_send(s->options.veil, vf);
    s->send_s = now_s() - before_s;
    s->newest_pts = frame->pts;
    if (ret != VEIL_OK) {
        av_frame_free(&own);
        if (ret == VEIL_E_AGAIN)
            return 1;
        return media_fail(err, "cannot hide faces in a frame of %dx%d: %s", vf->width, vf->height,
                          veil_strerror(ret));
    }
    av_frame_move_ref(own, frame);
    s->held[(s->first + s->n_held) % s->capacity] = own;
    s->n_held++;
    return 0;
}

int stage_send(stage *s, AVFrame *frame, media_error *err) {
    veil_frame vf;
    if (s->ready)
        return 1;
    frame->time_base = s->options.time_base;
    if (!frame_map_fill(&vf, frame, s->options.time_base, s->options.rotation))
        return media_fail(err, "internal: a frame came unconverted");
    if (frame->width < VEIL_SIZE_MIN || frame->height < VEIL_SIZE_MIN ||
        frame->width > VEIL_SIZE_MAX || frame->height > VEIL_SIZE_MAX)
        return media_fail(err, "the picture is %dx%d px; veil takes %d to %d px each way",
                          frame->width, frame->height, VEIL_SIZE_MIN, VEIL_SIZE_MAX);
    if (s->options.hold && !s->options.masks)
        return send_held(s, frame, &vf, err);
    return send_now(s, frame, &vf, err);
}

int stage_receive(stage *s, media_shown **out, media_error *err) {
    *out = s->ready;
    if (s->ready) {
        s->ready = NULL;
        return 1;
    }
    if (s->n_held == 0)
        return 0;
    veil_frame vf;
    veil_result result = {0};
    double before_s = now_s();
    int ret = veil_receive(s->options.veil, &vf, &result);
    if (ret == VEIL_E_AGAIN)
        return 0;
    if (ret != VEIL_OK)
        return media_fail(err, "the analysis failed: %s", veil_strerror(ret));
    AVFrame *frame = s->held[s->first];
    if (vf.opaque != frame)
        return media_fail(err, "internal: frames came back out of order");
    s->held[s->first] = NULL;
    s->first = (s->first + 1) % s->capacity;
    s->n_held--;
    *out = make_shown(s, frame, &result);
    if (!*out) {
        av_frame_free(&frame);
        return media_fail(err, "out of memory");
    }
    (*out)->held_s = (double)(s->newest_pts - frame->pts) * av_q2d(s->options.time_base);
    (*out)->work_s = s->send_s + now_s() - before_s;
    return 1;
}

int stage_flush(stage *s, media_error *err) {
    if (!s->options.hold || s->options.masks || !s->options.veil)
        return 0;
    int ret = veil_flush(s->options.veil);
    return ret == VEIL_OK ? 0 : media_fail(err, "the analysis failed: %s", veil_strerror(ret));
}

int stage_card(media_shown **out, AVFrame *frame, const AVFrame *card, veil_reason reason,
               media_error *err) {
    veil_frame vf;
    *out = NULL;
    if (!frame_map_fill(&vf, frame, frame->time_base, 0) || veil_cover_frame(&vf) != VEIL_OK)
        return media_fail(err, "a frame of %dx%d cannot be covered", frame->width, frame->height);
    if (card && av_frame_copy(frame, card) < 0)
        return media_fail(err, "internal: the card has another size than the frame");
    media_shown *shown = calloc(1, sizeof *shown);
    AVFrame *own = av_frame_alloc();
    if (!shown || !own) {
        free(shown);
        av_frame_free(&own);
        return media_fail(err, "out of memory");
    }
    av_frame_move_ref(own, frame);
    shown->frame = own;
    shown->result = (veil_result){.covered = 1, .reason = reason};
    *out = shown;
    return 0;
}

media_shown *media_shown_ref(const media_shown *shown) {
    media_shown *again = calloc(1, sizeof *again);
    AVFrame *frame = av_frame_clone(shown->frame);
    if (!again || !frame) {
        free(again);
        av_frame_free(&frame);
        return NULL;
    }
    again->frame = frame;
    again->index = shown->index;
    again->result = shown->result;
    return again;
}

media_shown *stage_repeat(const media_shown *covered, int64_t pts) {
    media_shown *again = covered->result.covered ? media_shown_ref(covered) : NULL;
    if (again)
        again->frame->pts = pts;
    return again;
}
