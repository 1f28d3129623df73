/* Reading edited tracks. A decision that is not the word "keep" hides. */
#include "edits.h"

#include "options.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    bool known;
    veil_track *tracks;
    size_t n;
} frame_tracks;

typedef struct {
    uint32_t track; /* 0: box */
    veil_track box;
    veil_decision decision;
    double from_s, to_s;
} rule;

struct edits {
    int width, height;
    frame_tracks *frames;
    size_t n_frames, frame_capacity;
    rule *rules;
    size_t n_rules, rule_capacity;
    veil_track *scratch;
    size_t scratch_capacity;
};

#define FRAMES_MAX (1 << 26)

static veil_decision decision_of(const json_t *object) {
    const char *word = json_string_value(json_object_get(object, "decision"));
    return word && strcmp(word, "keep") == 0 ? VEIL_KEEP : VEIL_HIDE;
}

static bool read_box(const json_t *array, veil_track *t) {
    double v[4];
    if (json_array_size(array) != 4)
        return false;
    for (size_t i = 0; i < 4; i++) {
        const json_t *number = json_array_get(array, i);
        v[i] = json_number_value(number);
        if (!json_is_number(number) || !isfinite(v[i]) || fabs(v[i]) > 1e6)
            return false;
    }
    t->x = (float)v[0];
    t->y = (float)v[1];
    t->w = (float)v[2];
    t->h = (float)v[3];
    return v[2] > 0 && v[3] > 0;
}

static bool grow_frames(edits *e, size_t frame) {
    if (frame < e->frame_capacity)
        return true;
    size_t capacity = frame * 2 + 256;
    frame_tracks *frames = realloc(e->frames, capacity * sizeof(frame_tracks));
    if (!frames)
        return false;
    memset(frames + e->frame_capacity, 0, (capacity - e->frame_capacity) * sizeof(frame_tracks));
    e->frames = frames;
    e->frame_capacity = capacity;
    return true;
}

/* NULL = fine, else what is wrong. */
static const char *add_frame(edits *e, const json_t *line) {
    json_int_t number = json_integer_value(json_object_get(line, "frame"));
    const json_t *tracks = json_object_get(line, "tracks");
    if (number < 0 || number > FRAMES_MAX)
        return "a frame number is out of range";
    if (!json_is_array(tracks))
        return "a frame has no \"tracks\"";
    if (!grow_frames(e, (size_t)number))
        return "out of memory";
    frame_tracks *f = &e->frames[number];
    if (f->known)
        return "a frame is there twice";
    f->known = true;
    f->n = json_array_size(tracks);
    f->tracks = calloc(f->n + 1, sizeof(veil_track));
    if (!f->tracks)
        return "out of memory";
    for (size_t i = 0; i < f->n; i++) {
        const json_t *t = json_array_get(tracks, i);
        f->tracks[i].id = (uint32_t)json_integer_value(json_object_get(t, "id"));
        f->tracks[i].decision = decision_of(t);
        if (!read_box(json_object_get(t, "box"), &f->tracks[i]))
            return "a track has no box of four numbers";
    }
    if ((size_t)number >= e->n_frames)
        e->n_frames = (size_t)number + 1;
    return NULL;
}

static const char *add_rule(edits *e, const json_t *edit) {
    if (e->n_rules == e->rule_capacity) {
        size_t capacity = e->rule_capacity > 0 ? 2 * e->rule_capacity : 16;
        rule *rules = realloc(e->rules, capacity * sizeof(rule));
        if (!rules)
            return "out of memory";
        e->rules = rules;
        e->rule_capacity = capacity;
    }
    const json_t *from = json_object_get(edit, "from"), *to = json_object_get(edit, "to");
    const json_t *box = json_object_get(edit, "box");
    rule r = {.track = (uint32_t)json_integer_value(json_object_get(edit, "track")),
              .decision = decision_of(edit),
              .from_s = json_is_number(from) ? json_number_value(from) : -INFINITY,
              .to_s = json_is_number(to) ? json_number_value(to) : INFINITY};
    if (!json_object_get(edit, "decision"))
        return "an edit has no \"decision\"";
    if (r.track == 0 && (!box || !read_box(box, &r.box)))
        return "an edit needs a \"track\" or a \"box\" of four numbers";
    r.box.decision = r.decision;
    e->rules[e->n_rules++] = r;
    return NULL;
}

static const char *add_line(edits *e, const json_t *line) {
    const json_t *edit = json_object_get(line, "edit");
    if (edit)
        return add_rule(e, edit);
    if (json_object_get(line, "frame"))
        return add_frame(e, line);
    if (json_object_get(line, "veil")) {
        e->width = (int)json_integer_value(json_object_get(line, "width"));
        e->height = (int)json_integer_value(json_object_get(line, "height"));
        return NULL;
    }
    return "a line is neither a header, a frame nor an edit";
}

static int read_lines(edits *e, FILE *file, const char *path, const char *command) {
    for (int number = 1;; number++) {
        json_error_t why;
        int c = getc(file);
        while (c == '\n' || c == ' ' || c == '\r' || c == '\t')
            c = getc(file);
        if (c == EOF)
            break;
        ungetc(c, file);
        json_t *line = json_loadf(file, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &why);
        const char *problem = line ? add_line(e, line) : why.text;
        if (problem)
            cli_error(command, "'%s', value %d: %s", path, number, problem);
        json_decref(line);
        if (problem)
            return -1;
    }
    if (e->n_frames > 0)
        return 0;
    cli_error(command, "'%s' says nothing about any frame", path);
    return -1;
}

edits *edits_load(const char *path, const char *command) {
    FILE *file = fopen(path, "r");
    if (!file) {
        cli_error(command, "cannot open '%s': %s", path, strerror(errno));
        return NULL;
    }
    edits *e = calloc(1, sizeof *e);
    if (e && read_lines(e, file, path, command) != 0) {
        edits_free(e);
        e = NULL;
    }
    fclose(file);
    return e;
}

void edits_free(edits *e) {
    if (!e)
        return;
    for (size_t i = 0; i < e->frame_capacity; i++)
        free(e->frames[i].tracks);
    free(e->frames);
    free(e->rules);
    free(e->scratch);
    free(e);
}

void edits_size(const edits *e, int *width, int *height) {
    *width = e->width;
    *height = e->height;
}

int edits_frame(edits *e, int64_t frame, double time_s, veil_track **tracks) {
    if (frame < 0 || (size_t)frame >= e->n_frames || !e->frames[frame].known)
        return -1;
    const frame_tracks *f = &e->frames[frame];
    size_t most = f->n + e->n_rules;
    if (most > e->scratch_capacity) {
        veil_track *scratch = realloc(e->scratch, most * sizeof(veil_track));
        if (!scratch)
            return -1; /* covered then */
        e->scratch = scratch;
        e->scratch_capacity = most;
    }
    size_t n = f->n;
    if (n > 0)
        memcpy(e->scratch, f->tracks, n * sizeof(veil_track));
    for (size_t i = 0; i < e->n_rules; i++) { /* later edits win */
        const rule *r = &e->rules[i];
        if (time_s < r->from_s || time_s > r->to_s)
            continue;
        if (r->track == 0 && r->decision == VEIL_HIDE)
            e->scratch[n++] = r->box;
        for (size_t k = 0; r->track != 0 && k < f->n; k++) {
            if (e->scratch[k].id == r->track)
                e->scratch[k].decision = r->decision;
        }
    }
    *tracks = e->scratch;
    return (int)n;
}
