/* What the user has set, as JSON and as libveil's settings. Pure: no files, no sockets. */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include "veil.h"

#include <jansson.h>
#include <stdbool.h>

#define CONFIG_ZONES_MAX 64
#define CONFIG_TEXT_MAX  200

typedef struct {
    int keep, style, shape, tracker; /* veil_keep ...; style is never VEIL_STYLE_NONE or _IMAGE */
    bool force_weak;                 /* weak styles may be chosen; the command line says so */
    double keep_score, min_score, low_score, padding, feather, cells;
    int fill_rgb, detect_every, hold_ms, lookahead_ms;
    int preview_quality;
    veil_zone zones[CONFIG_ZONES_MAX];
    int zone_ids[CONFIG_ZONES_MAX];
    size_t n_zones;
    int last_zone_id;
    bool panic;
} config;

void config_init(config *c);
/* NULL when out of memory. */
json_t *config_json(const config *c);
json_t *config_zones_json(const config *c);
/* Changes those that are named. All or nothing: returns false with one line in problem. */
bool config_patch(config *c, const json_t *patch, char problem[CONFIG_TEXT_MAX]);
/* One more zone; returns its id, or 0 with a problem. */
int config_add_zone(config *c, const json_t *zone, char problem[CONFIG_TEXT_MAX]);
/* All of them anew. */
bool config_set_zones(config *c, const json_t *zones, char problem[CONFIG_TEXT_MAX]);
bool config_remove_zone(config *c, int id);
/* Takes a weak style that was saved back, where it may not be chosen now. */
void config_drop_weak(config *c);
/* zones stay c's. */
void config_to_veil(const config *c, veil_settings *out);

/* VEIL_AUTO ..., or -1. */
int config_decision(const char *word);
const char *config_decision_word(veil_decision d);

#endif
