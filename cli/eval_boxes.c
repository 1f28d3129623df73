/* eval_boxes.c - reads detections in WIDER FACE's text form. */
#include "eval_boxes.h"

#include "eval_io.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Cuts the next line from *at; NULL at the end. Spaces at its end are dropped. */
static char *next_line(char **at, size_t *number) {
    char *line = *at;
    if (!*line)
        return NULL;
    size_t n = strcspn(line, "\n");
    *at = line[n] ? line + n + 1 : line + n;
    while (n > 0 && (line[n - 1] == '\r' || line[n - 1] == ' '))
        n--;
    line[n] = 0;
    ++*number;
    return line;
}

static void drop_ending(char *name) {
    char *dot = strrchr(name, '.');
    if (dot && (!strcmp(dot, ".jpg") || !strcmp(dot, ".webp") || !strcmp(dot, ".png")))
        *dot = 0;
}

static int read_box(const char *line, ev_found *out) {
    double v[5];
    for (int i = 0; i < 5; i++) {
        char *end;
        v[i] = strtod(line, &end);
        if (end == line || !isfinite(v[i]))
            return -1;
        line = end;
    }
    *out = (ev_found){{v[0], v[1], v[2], v[3]}, v[4]};
    return 0;
}

/* Reads one picture's block whose name line is given. */
static int read_picture(boxes_picture *p, char *name, char **at, size_t *line_number,
                        const char *path) {
    char *line = next_line(at, line_number), *end = line;
    long n = line ? strtol(line, &end, 10) : -1;
    if (n < 0 || n > 1000000 || end == line || *end)
        return evio_say("%s:%zu: expected how many boxes follow", path, *line_number);
    p->found = ev_box_array(NULL, (size_t)n, sizeof *p->found);
    p->name = strdup(name);
    if (!p->found || !p->name)
        return evio_say("out of memory");
    drop_ending(p->name);
    for (; p->n < (size_t)n; p->n++) {
        line = next_line(at, line_number);
        if (!line || read_box(line, &p->found[p->n]))
            return evio_say("%s:%zu: expected \"x y w h score\"", path, *line_number);
    }
    return ev_ap_sort(p->found, p->n) ? evio_say("out of memory") : 0;
}

int boxes_read(boxes_file *out, const char *path) {
    *out = (boxes_file){0};
    char *text = evio_read(path, NULL), *at = text, *line;
    size_t cap = 0, number = 0;
    int rc = text ? 0 : -1;
    while (rc == 0 && (line = next_line(&at, &number))) {
        if (!*line)
            continue;
        void *grown = out->pictures;
        if (ev_box_grow(&grown, out->n, &cap, sizeof *out->pictures)) {
            rc = evio_say("out of memory");
            break;
        }
        out->pictures = grown;
        out->pictures[out->n] = (boxes_picture){0};
        rc = read_picture(&out->pictures[out->n++], line, &at, &number, path);
    }
    free(text);
    if (rc)
        boxes_free(out);
    return rc;
}

void boxes_free(boxes_file *file) {
    for (size_t i = 0; i < file->n; i++) {
        free(file->pictures[i].name);
        free(file->pictures[i].found);
    }
    free(file->pictures);
    *file = (boxes_file){0};
}

static const char *last_part(const char *name) {
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

const boxes_picture *boxes_find(const boxes_file *file, const char *name) {
    for (size_t i = 0; i < file->n; i++)
        if (!strcmp(last_part(file->pictures[i].name), last_part(name)))
            return &file->pictures[i];
    return NULL;
}
