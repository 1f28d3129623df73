/* {"keep": "auto", "keep-score": 0.7, "style": "blur", "shape": "ellipse", "padding": 0.2,
 * "feather": 0.12, "cells": 6, "fill": "000000", "thresh": 0.35, "low-thresh": 0.1, "hold": 800,
 * "detect-every": 1, "tracker": "bytetrack", "zones": [{"x": 0, "y": 0, "w": 0.5, "h": 1,
 * "decision": "keep"}]} */
#include "settings_file.h"

#include "words.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum { WORD, NUMBER, COUNT, MS } kind;

typedef struct {
    const char *name;
    kind kind;
    size_t offset;
    double min, max;
    const char *words; /* separated by |, in the order of the enum */
} field;

#define AT(member) offsetof(veil_settings, member)

static const field fields[] = {
    {"keep", WORD, AT(keep), 0, 0, "auto|none|largest|center|chosen"},
    {"style", WORD, AT(style), 0, 0, "blur|mosaic|solid"},
    {"shape", WORD, AT(shape), 0, 0, "ellipse|box|head"},
    {"tracker", WORD, AT(tracker), 0, 0, "bytetrack|sort|none"},
    {"keep-score", NUMBER, AT(keep_score), 0.01, 1, NULL},
    {"thresh", NUMBER, AT(min_score), 0.01, 1, NULL},
    {"low-thresh", NUMBER, AT(low_score), 0.01, 1, NULL},
    {"padding", NUMBER, AT(padding), 0, 4, NULL},
    {"feather", NUMBER, AT(feather), 0, 1, NULL},
    {"cells", NUMBER, AT(cells), 1, 8, NULL},
    {"detect-every", COUNT, AT(detect_every), 1, 60, NULL},
    {"hold", MS, AT(hold_ns), 1, 60000, NULL},
};

static int set_field(veil_settings *set, const field *f, const json_t *value, media_error *err) {
    char *at = (char *)set + f->offset;
    if (f->kind == WORD) {
        int index = json_is_string(value) ? words_index(f->words, json_string_value(value)) : -1;
        if (index < 0)
            return media_fail(err, "'%s' takes one of %s", f->name, f->words);
        *(int *)(void *)at = index;
        return 0;
    }
    double v = json_number_value(value);
    if (!json_is_number(value) || !(v >= f->min && v <= f->max))
        return media_fail(err, "'%s' takes a number from %g to %g", f->name, f->min, f->max);
    if (f->kind == COUNT)
        *(int32_t *)(void *)at = (int32_t)v;
    else if (f->kind == MS)
        *(int64_t *)(void *)at = (int64_t)llround(v * 1e6);
    else /* for padding and feather zero means the default, and none is negative */
        *(float *)(void *)at = v > 0 ? (float)v : -1.0f;
    return 0;
}

static int set_zones(veil_settings *set, veil_zone *zones, const json_t *list, media_error *err) {
    if (!json_is_array(list) || json_array_size(list) > 64)
        return media_fail(err, "'zones' takes a list of at most 64 zones");
    size_t n = json_array_size(list);
    for (size_t i = 0; i < n; i++) {
        const char *decision = NULL;
        double x, y, w, h;
        if (json_unpack(json_array_get(list, i), "{s:F, s:F, s:F, s:F, s:s}", "x", &x, "y", &y, "w",
                        &w, "h", &h, "decision", &decision) != 0 ||
            !(x >= 0 && y >= 0 && w > 0 && h > 0 && x < 1 && y < 1) ||
            (strcmp(decision, "keep") != 0 && strcmp(decision, "hide") != 0))
            return media_fail(err,
                              "zone %zu needs x, y, w, h in parts of the picture and a "
                              "decision, keep or hide",
                              i + 1);
        zones[i] = (veil_zone){(float)x, (float)y, (float)w, (float)h,
                               strcmp(decision, "keep") == 0 ? VEIL_KEEP : VEIL_HIDE};
    }
    set->zones = zones;
    set->n_zones = n;
    return 0;
}

static int set_one(veil_settings *set, veil_zone *zones, const char *name, const json_t *value,
                   media_error *err) {
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strcmp(fields[i].name, name) == 0)
            return set_field(set, &fields[i], value, err);
    }
    if (strcmp(name, "zones") == 0)
        return set_zones(set, zones, value, err);
    if (strcmp(name, "fill") == 0 && json_is_string(value)) {
        char *end;
        const char *text = json_string_value(value);
        unsigned long rgb = strtoul(text, &end, 16);
        if (strlen(text) == 6 && *end == '\0') {
            set->fill_rgb = (uint32_t)rgb;
            return 0;
        }
    }
    return media_fail(err, "no setting is called '%s', or its value is unusable", name);
}

int settings_file_load(const char *path, veil_settings *set, veil_zone *zones, media_error *err) {
    json_error_t bad;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &bad);
    if (!root)
        return media_fail(err, "cannot read the settings in '%s': line %d: %s", path, bad.line,
                          bad.text);
    veil_settings changed = *set;
    media_error why = {0};
    const char *name;
    json_t *value;
    int ret = json_is_object(root) ? 0 : media_fail(&why, "it is not an object");
    json_object_foreach(root, name, value) {
        if (ret == 0)
            ret = set_one(&changed, zones, name, value, &why);
    }
    json_decref(root);
    if (ret != 0)
        return media_fail(err, "cannot use the settings in '%s': %s", path, why.text);
    *set = changed;
    return 0;
}
