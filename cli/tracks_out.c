/* See tracks_out.h. Boxes are px of the picture as stored in every format. MOT's class is 2 for a
 * face that stays visible and 1 for a hidden one, its confidence the score of this very frame. */
#include "tracks_out.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

static int cannot_write(media_error *err) {
    return media_fail(err, "cannot write the tracks: %s", strerror(errno));
}

static double rounded(double value, double steps) {
    return round(value * steps) / steps;
}

static int write_line(FILE *out, json_t *line, media_error *err) {
    int ret = -1;
    if (line)
        ret = json_dumpf(line, out, JSON_COMPACT | JSON_REAL_PRECISION(10));
    json_decref(line);
    return ret != 0 || fputc('\n', out) == EOF ? cannot_write(err) : 0;
}

int tracks_out_head(FILE *out, tracks_format format, const char *input, bool first,
                    const pipeline_start *start, media_error *err) {
    if (format == TRACKS_MOT || (format == TRACKS_CSV && !first))
        return 0;
    if (format == TRACKS_CSV)
        return fputs("input,frame,pts,id,x,y,width,height,score,interview,decision,reason\n", out) <
                       0
                   ? cannot_write(err)
                   : 0;
    char base[32], rate[32];
    snprintf(base, sizeof base, "%d/%d", start->time_base.num, start->time_base.den);
    snprintf(rate, sizeof rate, "%d/%d", start->rate.num, start->rate.den);
    return write_line(out,
                      json_pack("{s:s, s:s, s:i, s:i, s:i, s:s, s:s}", "veil", PROGRAM_VERSION,
                                "input", input, "width", start->width, "height", start->height,
                                "rotation", start->rotation, "time_base", base, "frame_rate", rate),
                      err);
}

static json_t *track_json(const veil_track *t) {
    return json_pack(
        "{s:I, s:[f,f,f,f], s:f, s:f, s:s, s:s}", "id", (json_int_t)t->id, "box",
        rounded((double)t->x, 100), rounded((double)t->y, 100), rounded((double)t->w, 100),
        rounded((double)t->h, 100), "score", rounded((double)t->score, 1e4), "interview",
        rounded((double)t->interview, 1e4), "decision", t->decision == VEIL_KEEP ? "keep" : "hide",
        "reason", veil_reason_text(t->reason));
}

static int frame_json(FILE *out, const media_shown *shown, double time_s, bool latency,
                      media_error *err) {
    json_t *tracks = json_array();
    for (size_t i = 0; i < shown->n_tracks; i++)
        json_array_append_new(tracks, track_json(&shown->tracks[i]));
    json_t *line = json_pack("{s:I, s:f, s:o}", "frame", (json_int_t)shown->index, "pts",
                             rounded(time_s, 1e6), "tracks", tracks);
    if (shown->result.covered)
        json_object_set_new(line, "covered", json_string(veil_reason_text(shown->result.reason)));
    if (latency)
        json_object_set_new(line, "latency_ms",
                            json_real(rounded((shown->held_s + shown->work_s) * 1e3, 100)));
    return write_line(out, line, err);
}

/* A field of a table in quotes where it needs them. */
static int put_field(FILE *out, const char *text) {
    if (!strpbrk(text, ",\"\r\n"))
        return fputs(text, out);
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    return fputc('"', out);
}

static int track_csv(FILE *out, const char *input, int64_t frame, double time_s,
                     const veil_track *t) {
    if (put_field(out, input) == EOF)
        return -1;
    return fprintf(out, ",%lld,%.6f,%u,%.2f,%.2f,%.2f,%.2f,%.4f,%.4f,%s,%s\n", (long long)frame,
                   time_s, t->id, (double)t->x, (double)t->y, (double)t->w, (double)t->h,
                   (double)t->score, (double)t->interview,
                   t->decision == VEIL_KEEP ? "keep" : "hide", veil_reason_text(t->reason));
}

static int track_mot(FILE *out, int64_t frame, const veil_track *t) {
    return fprintf(out, "%lld,%u,%.2f,%.2f,%.2f,%.2f,%.4f,%d,1\n", (long long)frame + 1, t->id,
                   (double)t->x, (double)t->y, (double)t->w, (double)t->h, (double)t->score,
                   t->decision == VEIL_KEEP ? 2 : 1);
}

int tracks_out_frame(FILE *out, tracks_format format, const char *input, const media_shown *shown,
                     double time_s, bool latency, media_error *err) {
    if (format == TRACKS_JSONL)
        return frame_json(out, shown, time_s, latency, err);
    for (size_t i = 0; i < shown->n_tracks; i++) {
        const veil_track *t = &shown->tracks[i];
        int n = format == TRACKS_MOT ? track_mot(out, shown->index, t)
                                     : track_csv(out, input, shown->index, time_s, t);
        if (n < 0)
            return cannot_write(err);
    }
    return 0;
}
