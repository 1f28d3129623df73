/* Counting; everything is kept per track and stretch of time, nothing per frame. */
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HIDDEN_ONCE 1u
#define KEPT_ONCE   2u
#define TRACKS_MAX  (1u << 24)

static void mark(report *r, uint32_t id, unsigned what) {
    if (id >= TRACKS_MAX)
        return;
    if (id >= r->n_seen) {
        size_t n = (size_t)id * 2 + 64;
        uint8_t *seen = realloc(r->seen, n);
        if (!seen) {
            r->out_of_memory = true;
            return;
        }
        memset(seen + r->n_seen, 0, n - r->n_seen);
        r->seen = seen;
        r->n_seen = n;
    }
    r->seen[id] = (uint8_t)(r->seen[id] | what);
}

/* Goes on with the range that ended in the frame before, or begins one. */
static void extend(report *r, uint32_t track, veil_reason reason, int64_t frame, double start_s,
                   double end_s) {
    for (size_t i = r->n_ranges; i-- > 0;) {
        report_range *range = &r->ranges[i];
        if (range->track == track && range->last_frame == frame - 1 && range->reason == reason) {
            range->last_frame = frame;
            range->end_s = end_s;
            return;
        }
    }
    if (r->n_ranges == r->capacity) {
        size_t capacity = r->capacity > 0 ? 2 * r->capacity : 32;
        report_range *ranges = realloc(r->ranges, capacity * sizeof(report_range));
        if (!ranges) {
            r->out_of_memory = true;
            return;
        }
        r->ranges = ranges;
        r->capacity = capacity;
    }
    r->ranges[r->n_ranges++] = (report_range){track, start_s, end_s, frame, reason};
}

void report_frame(report *r, const media_shown *shown, AVRational time_base) {
    const veil_result *result = &shown->result;
    double unit_s = av_q2d(time_base);
    double start_s = (double)shown->frame->pts * unit_s;
    double end_s = start_s + (double)shown->frame->pkt_duration * unit_s;
    r->frames++;
    r->hidden_boxes += result->n_hidden;
    r->kept_boxes += result->n_kept;
    r->frames_with_hidden += result->n_hidden > 0;
    r->frames_with_kept += result->n_kept > 0;
    if (result->covered) {
        r->covered++;
        extend(r, 0, result->reason, shown->index, start_s, end_s);
        return;
    }
    for (size_t i = 0; i < shown->n_tracks; i++) {
        const veil_track *t = &shown->tracks[i];
        bool kept = t->decision == VEIL_KEEP;
        mark(r, t->id, kept ? KEPT_ONCE : HIDDEN_ONCE);
        if (kept)
            extend(r, t->id, VEIL_REASON_NONE, shown->index, start_s, end_s);
    }
}

void report_free(report *r) {
    free(r->seen);
    free(r->ranges);
    memset(r, 0, sizeof *r);
}

void report_faces(const report *r, int64_t *hidden, int64_t *kept) {
    *hidden = *kept = 0;
    for (size_t i = 0; i < r->n_seen; i++) {
        *kept += (r->seen[i] & KEPT_ONCE) != 0;
        *hidden += r->seen[i] == HIDDEN_ONCE;
    }
}

static double rounded(double seconds) {
    return round(seconds * 1e6) / 1e6;
}

json_t *report_json(const report *r, const char *input, const char *output, double elapsed_s) {
    int64_t hidden, kept;
    report_faces(r, &hidden, &kept);
    json_t *visible = json_array(), *covered = json_array();
    for (size_t i = 0; i < r->n_ranges; i++) {
        const report_range *g = &r->ranges[i];
        if (g->track > 0)
            json_array_append_new(
                visible, json_pack("{s:I, s:f, s:f}", "track", (json_int_t)g->track, "start",
                                   rounded(g->start_s), "end", rounded(g->end_s)));
        else
            json_array_append_new(
                covered, json_pack("{s:s, s:f, s:f}", "reason", veil_reason_text(g->reason),
                                   "start", rounded(g->start_s), "end", rounded(g->end_s)));
    }
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o, s:o}", "input", input,
                     "output", output, "frames", (json_int_t)r->frames, "faces_hidden",
                     (json_int_t)hidden, "faces_kept", (json_int_t)kept, "frames_with_hidden",
                     (json_int_t)r->frames_with_hidden, "frames_with_kept",
                     (json_int_t)r->frames_with_kept, "boxes_hidden", (json_int_t)r->hidden_boxes,
                     "boxes_kept", (json_int_t)r->kept_boxes, "seconds", rounded(elapsed_s),
                     "visible", visible, "covered", covered);
}

void report_audit(FILE *file, const char *input, const veil_event *event) {
    json_t *line = json_pack(
        "{s:s, s:f, s:I, s:s, s:s}", "input", input, "time", rounded((double)event->pts_ns * 1e-9),
        "track", (json_int_t)event->track, "decision",
        event->decision == VEIL_KEEP ? "keep" : "hide", "reason", veil_reason_text(event->reason));
    if (line) {
        json_dumpf(line, file, JSON_COMPACT | JSON_REAL_PRECISION(12));
        fputc('\n', file);
    }
    json_decref(line);
}
