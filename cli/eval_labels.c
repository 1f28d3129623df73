/* eval_labels.c - reads labels (JSON lines, MOT) and result tracks (JSON lines). */
#include "eval_labels.h"

#include "eval_io.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int labels_dense(labels *l, size_t n) {
    if (n <= l->n)
        return 0;
    if (n > LABELS_MAX_FRAMES)
        return evio_say("labels for more than %d frames", LABELS_MAX_FRAMES);
    if (n > l->cap) {
        size_t cap = n > 2 * l->cap ? n : 2 * l->cap;
        label_frame *bigger = ev_box_array(l->frames, cap, sizeof *bigger);
        if (!bigger)
            return evio_say("out of memory");
        l->frames = bigger;
        l->cap = cap;
    }
    for (; l->n < n; l->n++)
        l->frames[l->n] = (label_frame){.frame = (long)l->n, .pts_s = NAN};
    return 0;
}

int labels_add(label_frame *frame, const ev_truth_face *face) {
    void *grown = frame->faces;
    if (ev_box_grow(&grown, frame->n, &frame->cap, sizeof *frame->faces))
        return evio_say("out of memory");
    frame->faces = grown;
    frame->faces[frame->n++] = *face;
    return 0;
}

void labels_free(labels *l) {
    for (size_t i = 0; i < l->n; i++)
        free(l->frames[i].faces);
    free(l->frames);
    *l = (labels){0};
}

/* Is the id in a list such as "3,7"? */
static int listed(const char *list, long id) {
    for (const char *p = list; p && *p;) {
        char *end;
        long v = strtol(p, &end, 10);
        if (end == p)
            return 0;
        if (v == id)
            return 1;
        p = *end == ',' ? end + 1 : end + strlen(end);
    }
    return 0;
}

/* ---------------------------------------------------------------- JSON lines */

/* [x, y, w, h] of finite numbers. */
static int read_box(const json_t *box, ev_box *out) {
    double v[4];
    if (json_array_size(box) != 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        const json_t *n = json_array_get(box, i);
        v[i] = json_number_value(n);
        if (!json_is_number(n) || !isfinite(v[i]))
            return -1;
    }
    *out = (ev_box){v[0], v[1], v[2], v[3]};
    return 0;
}

static int read_face(const json_t *face, ev_truth_face *out) {
    const json_t *id = json_object_get(face, "id"), *occluded = json_object_get(face, "occluded");
    const char *class = json_string_value(json_object_get(face, "class"));
    *out = (ev_truth_face){.id = (int)json_integer_value(id),
                           .class =
                               class && !strcmp(class, "interview") ? EV_INTERVIEW : EV_BACKGROUND,
                           .occluded = json_is_true(occluded) ? 1 : json_number_value(occluded)};
    if (!json_is_integer(id) || read_box(json_object_get(face, "box"), &out->box))
        return -1;
    return class && strcmp(class, "interview") != 0 && strcmp(class, "background") != 0 ? -1 : 0;
}

static double pts_of(const json_t *line) {
    const json_t *pts = json_object_get(line, "pts");
    return json_is_number(pts) ? json_number_value(pts) : NAN;
}

static int add_label_line(labels *out, const json_t *line, const char *path, size_t number,
                          const labels_rules *rules) {
    const json_t *frame = json_object_get(line, "frame"), *faces = json_object_get(line, "faces");
    if (json_is_object(line) && !frame && !faces)
        return 0; /* a line about the whole file */
    if (!json_is_integer(frame) || json_integer_value(frame) < 0 || !json_is_array(faces))
        return evio_say("%s:%zu: expected {\"frame\":N,\"faces\":[...]}", path, number);
    void *grown = out->frames;
    if (ev_box_grow(&grown, out->n, &out->cap, sizeof *out->frames))
        return evio_say("out of memory");
    out->frames = grown;
    label_frame *f = &out->frames[out->n++];
    *f = (label_frame){.frame = (long)json_integer_value(frame), .pts_s = pts_of(line)};
    if (out->n > 1 && f[-1].frame >= f->frame)
        return evio_say("%s:%zu: frame numbers must rise", path, number);
    for (size_t i = 0; i < json_array_size(faces); i++) {
        ev_truth_face face;
        if (read_face(json_array_get(faces, i), &face))
            return evio_say("%s:%zu: face %zu needs id, class (background or interview) and box "
                            "[x,y,w,h]",
                            path, number, i + 1);
        if (listed(rules->interview_ids, face.id))
            face.class = EV_INTERVIEW;
        if (labels_add(f, &face))
            return -1;
    }
    return 0;
}

static int read_json_labels(labels *out, FILE *f, const char *path, const labels_rules *rules) {
    json_t *line = NULL;
    size_t number = 1;
    int more, rc = 0;
    while (rc == 0 && (more = evio_json_next(f, path, &number, &line)) != 0) {
        rc = more < 0 ? -1 : add_label_line(out, line, path, number, rules);
        if (more > 0)
            json_decref(line);
    }
    return rc;
}

/* ---------------------------------------------------------------- MOT */

/* frame,id,left,top,width,height[,valid[,class[,visibility]]]; frames from 1. Class 2 and listed
 * ids are interview. valid 0 means: do not count. 0, -1: not such a line, -2: failed, and said why.
 */
static int add_mot_line(labels *out, const char *line, const labels_rules *rules) {
    double v[9] = {0, 0, 0, 0, 0, 0, 1, 1, 1};
    int n = 0;
    for (const char *p = line; n < 9; n++) {
        char *end;
        v[n] = strtod(p, &end);
        if (end == p || !isfinite(v[n]))
            break;
        p = end + strspn(end, ", \t");
    }
    if (n < 6 || v[0] < 1 || v[0] > LABELS_MAX_FRAMES || fabs(v[1]) > 1e9)
        return -1;
    size_t frame = (size_t)v[0] - 1;
    if (labels_dense(out, frame + 1))
        return -2;
    double hidden = 1 - fmin(1, fmax(0, v[8]));
    ev_truth_face face = {.id = (int)v[1],
                          .class = (int)v[7] == 2 || listed(rules->interview_ids, (long)v[1])
                                       ? EV_INTERVIEW
                                       : EV_BACKGROUND,
                          .box = {v[2], v[3], v[4], v[5]},
                          .occluded = v[6] == 0 ? 1 : hidden};
    return labels_add(&out->frames[frame], &face) ? -2 : 0;
}

static int read_mot(labels *out, char *text, const char *path, const labels_rules *rules) {
    size_t number = 0;
    for (char *line = text; *line;) {
        size_t n = strcspn(line, "\n");
        int last = line[n] == 0;
        line[n] = 0;
        number++;
        int rc = line[strspn(line, " \t\r")] && line[0] != '#' ? add_mot_line(out, line, rules) : 0;
        if (rc)
            return rc == -2 ? -1
                            : evio_say("%s:%zu: expected frame,id,left,top,width,height,...", path,
                                       number);
        line += last ? n : n + 1;
    }
    return 0;
}

int labels_read(labels *out, const char *path, const labels_rules *rules) {
    *out = (labels){0};
    size_t size = 0;
    char *text = evio_read(path, &size);
    if (!text)
        return -1;
    const char *first = text + strspn(text, " \t\r\n\xef\xbb\xbf");
    int rc;
    if (*first == '{') {
        FILE *f = fopen(path, "r");
        rc = f ? read_json_labels(out, f, path, rules) : evio_say("%s: %s", path, strerror(errno));
        if (f)
            fclose(f);
    } else if (*first == '<') {
        rc = labels_read_cvat(out, path, text, size);
    } else {
        rc = read_mot(out, text, path, rules);
    }
    free(text);
    if (rc == 0 && out->n == 0)
        rc = evio_say("%s: has no labelled frame", path);
    if (rc)
        labels_free(out);
    return rc;
}

/* ---------------------------------------------------------------- results */

static int read_track(const json_t *t, ev_track_box *out) {
    const json_t *id = json_object_get(t, "id");
    const char *decision = json_string_value(json_object_get(t, "decision"));
    *out = (ev_track_box){.id = (long)json_integer_value(id)};
    if (!json_is_integer(id) || !decision || read_box(json_object_get(t, "box"), &out->box))
        return -1;
    out->hide = !strcmp(decision, "hide");
    return out->hide || !strcmp(decision, "keep") ? 0 : -1;
}

static int add_result_line(result_tracks *out, const json_t *line, const char *path,
                           size_t number) {
    const json_t *frame = json_object_get(line, "frame"), *list = json_object_get(line, "tracks");
    if (json_is_object(line) && !frame && !list) { /* a line about the whole file */
        out->width = json_number_value(json_object_get(line, "width"));
        out->height = json_number_value(json_object_get(line, "height"));
        return 0;
    }
    if (!json_is_integer(frame) || json_integer_value(frame) < 0 || !json_is_array(list))
        return evio_say("%s:%zu: expected {\"frame\":N,\"tracks\":[...]}", path, number);
    void *grown = out->frames;
    if (ev_box_grow(&grown, out->n, &out->cap, sizeof *out->frames))
        return evio_say("out of memory");
    out->frames = grown;
    result_frame *f = &out->frames[out->n++];
    const json_t *covered = json_object_get(line, "covered");
    const json_t *latency = json_object_get(line, "latency_ms");
    *f = (result_frame){.frame = (long)json_integer_value(frame), .pts_s = pts_of(line)};
    /* The reason as text, or a plain true. */
    f->covered = json_is_string(covered) || json_is_true(covered);
    f->latency_ms = json_is_number(latency) ? json_number_value(latency) : NAN;
    f->tracks = ev_box_array(NULL, json_array_size(list), sizeof *f->tracks);
    if (!f->tracks)
        return evio_say("out of memory");
    if (out->n > 1 && f[-1].frame >= f->frame)
        return evio_say("%s:%zu: frame numbers must rise", path, number);
    for (; f->n < json_array_size(list); f->n++)
        if (read_track(json_array_get(list, f->n), &f->tracks[f->n]))
            return evio_say("%s:%zu: track %zu needs id, box [x,y,w,h] and decision (hide or keep)",
                            path, number, f->n + 1);
    return 0;
}

int result_read(result_tracks *out, const char *path) {
    *out = (result_tracks){0};
    FILE *f = fopen(path, "r");
    if (!f)
        return evio_say("%s: %s", path, strerror(errno));
    json_t *line = NULL;
    size_t number = 1;
    int more, rc = 0;
    while (rc == 0 && (more = evio_json_next(f, path, &number, &line)) != 0) {
        rc = more < 0 ? -1 : add_result_line(out, line, path, number);
        if (more > 0)
            json_decref(line);
    }
    fclose(f);
    if (rc)
        result_free(out);
    return rc;
}

void result_free(result_tracks *r) {
    for (size_t i = 0; i < r->n; i++)
        free(r->frames[i].tracks);
    free(r->frames);
    *r = (result_tracks){0};
}

const result_frame *result_find(const result_tracks *r, long frame) {
    size_t low = 0, high = r->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->frames[middle].frame < frame)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->n && r->frames[low].frame == frame ? &r->frames[low] : NULL;
}
