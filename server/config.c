/* A table of fields: name, kind, bounds. Nothing is taken unless all of it is right. */
#include "config.h"

#include "words.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum { NUMBER, WHOLE, WORD, COLOUR } kind;

typedef struct {
    const char *name;
    kind kind;
    size_t offset;
    double min, max;
    const char *words; /* of a WORD, separated by | */
} field;

#define AT(name) offsetof(config, name)

static const field fields[] = {
    {"keep", WORD, AT(keep), 0, 0, "auto|none|largest|center|chosen"},
    {"keep_score", NUMBER, AT(keep_score), 0.05, 1, NULL},
    {"style", WORD, AT(style), 0, 0, "blur|mosaic|solid|image|none|weak-blur|weak-mosaic"},
    {"shape", WORD, AT(shape), 0, 0, "ellipse|box|head"},
    {"padding", NUMBER, AT(padding), 0, 2, NULL},
    {"feather", NUMBER, AT(feather), 0, 1, NULL},
    {"cells", NUMBER, AT(cells), 1, 8, NULL},
    {"fill", COLOUR, AT(fill_rgb), 0, 0xffffff, NULL},
    {"min_score", NUMBER, AT(min_score), 0.05, 0.9, NULL},
    {"low_score", NUMBER, AT(low_score), 0.05, 0.9, NULL},
    {"tracker", WORD, AT(tracker), 0, 0, "bytetrack|sort|none"},
    {"detect_every", WHOLE, AT(detect_every), 1, 10, NULL},
    {"hold_ms", WHOLE, AT(hold_ms), 100, 10000, NULL},
    {"lookahead_ms", WHOLE, AT(lookahead_ms), 0, 2000, NULL},
    {"preview_quality", WHOLE, AT(preview_quality), 30, 95, NULL},
};

#define N_FIELDS (sizeof fields / sizeof fields[0])

/* 0.85f as 0.85, as people would write it. */
static double plain(float value) {
    return round((double)value * 1e4) / 1e4;
}

void config_init(config *c) {
    veil_settings set;
    veil_settings_init(&set, sizeof set);
    memset(c, 0, sizeof *c);
    c->keep_score = plain(set.keep_score);
    c->min_score = plain(set.min_score);
    c->low_score = plain(set.low_score);
    c->padding = plain(set.padding);
    c->feather = plain(set.feather);
    c->cells = plain(set.cells);
    c->detect_every = set.detect_every;
    c->hold_ms = (int)(set.hold_ns / 1000000);
    c->lookahead_ms = 250;
    c->preview_quality = 75;
}

static double *number_at(config *c, const field *f) {
    return (double *)(void *)((char *)c + f->offset);
}

static int *whole_at(config *c, const field *f) {
    return (int *)(void *)((char *)c + f->offset);
}

static void word_at(const char *words, int index, char *out, size_t size) {
    const char *p = words;
    while (index-- > 0)
        p += strcspn(p, "|") + 1;
    snprintf(out, size, "%.*s", (int)strcspn(p, "|"), p);
}

static json_t *field_json(const config *c, const field *f) {
    char text[32];
    const char *at = (const char *)c + f->offset;
    double number;
    int whole;
    if (f->kind == NUMBER) {
        memcpy(&number, at, sizeof number);
        return json_real(number);
    }
    memcpy(&whole, at, sizeof whole);
    if (f->kind == WHOLE)
        return json_integer(whole);
    if (f->kind == WORD)
        word_at(f->words, whole, text, sizeof text);
    else
        snprintf(text, sizeof text, "#%06x", (unsigned)whole);
    return json_string(text);
}

json_t *config_json(const config *c) {
    json_t *object = json_object();
    for (size_t i = 0; i < N_FIELDS; i++) {
        if (json_object_set_new(object, fields[i].name, field_json(c, &fields[i])) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static bool set_colour(config *c, const field *f, const char *text) {
    char *end = NULL;
    if (text[0] != '#' || strlen(text) != 7 || strspn(text + 1, "0123456789abcdefABCDEF") != 6)
        return false;
    *whole_at(c, f) = (int)strtol(text + 1, &end, 16);
    return true;
}

/* A click must neither switch hiding off, nor make it weak unless the command line allowed that. */
static bool style_ok(const config *c, char *problem) {
    if (c->style == VEIL_STYLE_IMAGE || c->style == VEIL_STYLE_NONE)
        snprintf(problem, CONFIG_TEXT_MAX, "style image and none are for veil run only");
    else if (veil_style_is_weak((veil_style)c->style) && !c->force_weak)
        snprintf(problem, CONFIG_TEXT_MAX,
                 "weak styles leave faces recognisable to those who know them; veil serve "
                 "--force-weak allows them");
    else
        return true;
    return false;
}

void config_drop_weak(config *c) {
    if (c->force_weak)
        return;
    if (c->style == VEIL_STYLE_WEAK_BLUR)
        c->style = VEIL_STYLE_BLUR;
    if (c->style == VEIL_STYLE_WEAK_MOSAIC)
        c->style = VEIL_STYLE_MOSAIC;
}

static bool set_field(config *c, const field *f, const json_t *value, char *problem) {
    double number = json_number_value(value);
    if (f->kind == WORD) {
        int index = json_is_string(value) ? words_index(f->words, json_string_value(value)) : -1;
        if (index >= 0) {
            *whole_at(c, f) = index;
            return true;
        }
        snprintf(problem, CONFIG_TEXT_MAX, "%s is one of %s", f->name, f->words);
    } else if (f->kind == COLOUR) {
        if (json_is_string(value) && set_colour(c, f, json_string_value(value)))
            return true;
        snprintf(problem, CONFIG_TEXT_MAX, "%s is a colour like #1e90ff", f->name);
    } else {
        bool fits = json_is_number(value) && number >= f->min && number <= f->max &&
                    (f->kind == NUMBER || floor(number) == number);
        if (fits && f->kind == NUMBER)
            *number_at(c, f) = number;
        else if (fits)
            *whole_at(c, f) = (int)number;
        if (fits)
            return true;
        snprintf(problem, CONFIG_TEXT_MAX, "%s is a %snumber from %g to %g", f->name,
                 f->kind == WHOLE ? "whole " : "", f->min, f->max);
    }
    return false;
}

bool config_patch(config *c, const json_t *patch, char problem[CONFIG_TEXT_MAX]) {
    config next = *c;
    size_t known = 0;
    problem[0] = '\0';
    if (!json_is_object(patch)) {
        snprintf(problem, CONFIG_TEXT_MAX, "an object of settings is needed");
        return false;
    }
    for (size_t i = 0; i < N_FIELDS; i++) {
        const json_t *value = json_object_get(patch, fields[i].name);
        known += value != NULL;
        if (value && !set_field(&next, &fields[i], value, problem))
            return false;
    }
    if (known != json_object_size(patch)) {
        snprintf(problem, CONFIG_TEXT_MAX, "there is a setting that is not known here");
        return false;
    }
    if (!style_ok(&next, problem))
        return false;
    /* One alone may cross the other; both in one patch have to agree. */
    if (next.low_score > next.min_score) {
        if (json_object_get(patch, "low_score") && json_object_get(patch, "min_score")) {
            snprintf(problem, CONFIG_TEXT_MAX, "low_score may not be above min_score");
            return false;
        }
        if (json_object_get(patch, "low_score"))
            next.min_score = next.low_score;
        else
            next.low_score = next.min_score;
    }
    *c = next;
    return true;
}

int config_decision(const char *word) {
    return word ? words_index("auto|hide|keep", word) : -1;
}

const char *config_decision_word(veil_decision d) {
    return d == VEIL_HIDE ? "hide" : d == VEIL_KEEP ? "keep" : "auto";
}

json_t *config_zones_json(const config *c) {
    json_t *list = json_array();
    for (size_t i = 0; i < c->n_zones; i++) {
        const veil_zone *z = &c->zones[i];
        json_array_append_new(list, json_pack("{s:i, s:f, s:f, s:f, s:f, s:s}", "id",
                                              c->zone_ids[i], "x", (double)z->x, "y", (double)z->y,
                                              "w", (double)z->w, "h", (double)z->h, "decision",
                                              config_decision_word(z->decision)));
    }
    return list;
}

static bool read_zone(const json_t *json, veil_zone *z, char *problem) {
    static const char *const names[] = {"x", "y", "w", "h"};
    double v[4];
    int decision = config_decision(json_string_value(json_object_get(json, "decision")));
    bool ok = decision == VEIL_HIDE || decision == VEIL_KEEP;
    for (size_t i = 0; i < 4; i++) {
        const json_t *value = json_object_get(json, names[i]);
        v[i] = json_number_value(value);
        ok = ok && json_is_number(value) && v[i] >= 0 && v[i] <= 1;
    }
    ok = ok && v[2] > 0 && v[3] > 0 && v[0] < 1 && v[1] < 1;
    if (!ok) {
        snprintf(problem, CONFIG_TEXT_MAX,
                 "a zone has x, y, w, h from 0 to 1 and a decision, hide or keep");
        return false;
    }
    *z = (veil_zone){(float)v[0], (float)v[1], (float)v[2], (float)v[3], (veil_decision)decision};
    return true;
}

int config_add_zone(config *c, const json_t *zone, char problem[CONFIG_TEXT_MAX]) {
    veil_zone z;
    if (!read_zone(zone, &z, problem))
        return 0;
    if (c->n_zones == CONFIG_ZONES_MAX) {
        snprintf(problem, CONFIG_TEXT_MAX, "there are %d zones already", CONFIG_ZONES_MAX);
        return 0;
    }
    c->last_zone_id = c->last_zone_id < 1000000000 ? c->last_zone_id + 1 : 1;
    c->zone_ids[c->n_zones] = c->last_zone_id;
    c->zones[c->n_zones++] = z;
    return c->last_zone_id;
}

bool config_set_zones(config *c, const json_t *zones, char problem[CONFIG_TEXT_MAX]) {
    config next = *c;
    next.n_zones = 0;
    if (!json_is_array(zones)) {
        snprintf(problem, CONFIG_TEXT_MAX, "a list of zones is needed");
        return false;
    }
    for (size_t i = 0; i < json_array_size(zones); i++) {
        if (config_add_zone(&next, json_array_get(zones, i), problem) == 0)
            return false;
    }
    *c = next;
    return true;
}

bool config_remove_zone(config *c, int id) {
    for (size_t i = 0; i < c->n_zones; i++) {
        if (c->zone_ids[i] != id)
            continue;
        size_t left = c->n_zones - i - 1;
        memmove(&c->zones[i], &c->zones[i + 1], left * sizeof c->zones[0]);
        memmove(&c->zone_ids[i], &c->zone_ids[i + 1], left * sizeof c->zone_ids[0]);
        c->n_zones--;
        return true;
    }
    return false;
}

/* libveil takes 0 for "default" and something negative for "none". */
static float or_none(double value) {
    return value > 0 ? (float)value : -1.0f;
}

void config_to_veil(const config *c, veil_settings *out) {
    veil_settings_init(out, sizeof *out);
    out->keep = (veil_keep)c->keep;
    out->style = (veil_style)c->style;
    out->force_weak = c->force_weak;
    out->shape = (veil_shape)c->shape;
    out->tracker = (veil_tracker)c->tracker;
    out->keep_score = (float)c->keep_score;
    out->min_score = (float)c->min_score;
    out->low_score = (float)c->low_score;
    out->padding = or_none(c->padding);
    out->feather = or_none(c->feather);
    out->cells = (float)c->cells;
    out->fill_rgb = (uint32_t)c->fill_rgb;
    out->detect_every = c->detect_every;
    out->hold_ns = (int64_t)c->hold_ms * 1000000;
    out->zones = c->zones;
    out->n_zones = c->n_zones;
}
