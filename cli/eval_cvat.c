/* eval_cvat.c - labels from "CVAT for video" XML: tracks of boxes. Between two boxes of a track the
 * box moves in a straight line; after one marked "outside" the face is gone. The label's name is
 * the class: "interview" or anything else. */
#include "eval_io.h"
#include "eval_labels.h"

#include <expat.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    labels *out;
    const char *path;
    int id, in_track;
    ev_class class;
    int have_last, last_outside;
    long last_frame;
    ev_truth_face last;
    size_t n_tracks;
    int failed, in_size;
    char size_text[16];
    size_t size_length;
} reader;

static const char *attribute(const XML_Char **attributes, const char *name) {
    for (; attributes[0]; attributes += 2)
        if (!strcmp(attributes[0], name))
            return attributes[1];
    return "";
}

static double number(const XML_Char **attributes, const char *name) {
    return strtod(attribute(attributes, name), NULL);
}

static int put(reader *r, long frame, const ev_truth_face *face) {
    return labels_dense(r->out, (size_t)frame + 1) || labels_add(&r->out->frames[frame], face);
}

/* Fills the frames between the last box of the track and this one. */
static int between(reader *r, const ev_truth_face *face, long frame) {
    if (!r->have_last || r->last_outside)
        return 0;
    for (long f = r->last_frame + 1; f < frame; f++) {
        double t = (double)(f - r->last_frame) / (double)(frame - r->last_frame);
        ev_truth_face mid = r->last;
        mid.box.x += t * (face->box.x - mid.box.x);
        mid.box.y += t * (face->box.y - mid.box.y);
        mid.box.w += t * (face->box.w - mid.box.w);
        mid.box.h += t * (face->box.h - mid.box.h);
        if (put(r, f, &mid))
            return -1;
    }
    return 0;
}

static int add_box(reader *r, const XML_Char **a) {
    double frame = number(a, "frame");
    double x = number(a, "xtl"), y = number(a, "ytl");
    ev_truth_face face = {.id = r->id,
                          .class = r->class,
                          .box = {x, y, number(a, "xbr") - x, number(a, "ybr") - y},
                          .occluded = !strcmp(attribute(a, "occluded"), "1") ? 0.5 : 0};
    int outside = !strcmp(attribute(a, "outside"), "1");
    if (!(frame >= 0 && frame < LABELS_MAX_FRAMES) || !isfinite(face.box.x + face.box.y) ||
        !isfinite(face.box.w + face.box.h) || (r->have_last && (long)frame <= r->last_frame))
        return evio_say("%s: a box of track %d without a sensible frame or corners", r->path,
                        r->id);
    if (between(r, &face, (long)frame) || (!outside && put(r, (long)frame, &face)))
        return -1;
    r->have_last = 1;
    r->last_outside = outside;
    r->last_frame = (long)frame;
    r->last = face;
    return 0;
}

static void XMLCALL start(void *user, const XML_Char *name, const XML_Char **a) {
    reader *r = user;
    if (r->failed)
        return;
    if (!strcmp(name, "track")) {
        const char *label = attribute(a, "label");
        r->id = atoi(attribute(a, "id"));
        r->class = !strcmp(label, "interview") ? EV_INTERVIEW : EV_BACKGROUND;
        r->in_track = 1;
        r->have_last = 0;
        r->n_tracks++;
    } else if (r->in_track && !strcmp(name, "box")) {
        r->failed = add_box(r, a);
    } else if (!strcmp(name, "size")) {
        r->in_size = 1;
    }
}

/* Frames without any face are known only from the size of the task. */
static void XMLCALL end(void *user, const XML_Char *name) {
    reader *r = user;
    if (!strcmp(name, "track"))
        r->in_track = 0;
    if (r->in_size && !strcmp(name, "size")) {
        long n = strtol(r->size_text, NULL, 10);
        r->in_size = 0;
        if (n > 0 && n <= LABELS_MAX_FRAMES && !r->failed)
            r->failed = labels_dense(r->out, (size_t)n);
    }
}

static void XMLCALL text_in(void *user, const XML_Char *s, int n) {
    reader *r = user;
    for (int i = 0; r->in_size && i < n && r->size_length + 1 < sizeof r->size_text; i++)
        r->size_text[r->size_length++] = s[i];
}

int labels_read_cvat(labels *out, const char *path, const char *text, size_t size) {
    reader r = {.out = out, .path = path};
    if (size > 1u << 30)
        return evio_say("%s: too large", path);
    XML_Parser parser = XML_ParserCreate(NULL);
    if (!parser)
        return evio_say("out of memory");
    XML_SetUserData(parser, &r);
    XML_SetElementHandler(parser, start, end);
    XML_SetCharacterDataHandler(parser, text_in);
    int rc = 0;
    if (XML_Parse(parser, text, (int)size, 1) != XML_STATUS_OK && !r.failed)
        rc = evio_say("%s:%lu: %s", path, (unsigned long)XML_GetCurrentLineNumber(parser),
                      XML_ErrorString(XML_GetErrorCode(parser)));
    else if (r.failed)
        rc = -1; /* said */
    else if (r.n_tracks == 0)
        rc = evio_say("%s: has no tracks (\"CVAT for video\" is needed)", path);
    XML_ParserFree(parser);
    return rc;
}
