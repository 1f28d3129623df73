/* What strangers say to `veil serve`: methods, paths, headers and JSON through the router, the
 * guards and the settings. Invariants are checked, not only crashes. */
#include "config.h"
#include "fuzz.h"
#include "guard.h"
#include "inside.h"
#include "route.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const unsigned fuzz_rounds = 20000;

static const char seed[] =
    "PATCH\n/jobs/abcdefghij234567/result?name=a.jpg\nlocalhost:8080\n"
    "http://localhost:8080\nveil=abcdefghijklmnop; x=y\nchunked\n12\n"
    "rtmp://host.example/app/key\n"
    "{\"keep\":\"chosen\",\"style\":\"solid\",\"fill\":\"#a0b1c2\",\"cells\":4,"
    "\"min_score\":0.4,\"low_score\":0.2,\"zones\":[{\"x\":0.1,\"y\":0.2,"
    "\"w\":0.3,\"h\":0.4,\"decision\":\"keep\"}],\"url\":\"srt://a:1\"}";

#define LINES 8

static void require(bool ok) {
    if (!ok)
        abort();
}

/* Up to LINES lines; what is left is the body. */
static void split(char *text, const char *lines[LINES], const char **body) {
    for (int i = 0; i < LINES; i++) {
        lines[i] = text;
        char *end = strchr(text, '\n');
        if (end) {
            *end = '\0';
            text = end + 1;
        } else {
            text += strlen(text);
        }
    }
    *body = text;
}

static void try_route(const char *method, const char *path) {
    route_match m = route_find(api_routes, api_n_routes, route_method_of(method), path);
    char allow[96];
    route_allow(m.allowed, allow, sizeof allow);
    require(!m.route || (m.allowed & m.route->method) != 0);
    require(strspn(m.id, "abcdefghijklmnopqrstuvwxyz0123456789") == strlen(m.id));
    /* nothing that is served lies behind an unusual path */
    require(!m.route || (guard_path(path) && !strstr(path, "..") && !strchr(path, '%')));
}

static void try_guards(const char *const *line) {
    static const char *const names[] = {"veil.example"};
    char token[GUARD_TOKEN_MAX];
    bool host = guard_host(line[2], names, 1);
    require(!host || !strstr(line[2], "@"));
    require(!guard_origin(line[3], line[2], true) || strncmp(line[3], "https://", 8) == 0);
    if (guard_cookie(line[4], token) || guard_bearer(line[4], token))
        require(strlen(token) > 0 && !guard_equal(token, "a token nobody can have"));
    require(!(guard_framing(line[5], line[6]) && strchr(line[5], ',')));
    require(guard_equal(line[4], line[4]));
    if (sources_url_ok(line[7], true))
        require(sources_url_ok(line[7], false) && !strpbrk(line[7], " \t\"'|") &&
                strncasecmp(line[7], "file", 4) != 0);
}

static void try_settings(const char *body, size_t size) {
    char problem[CONFIG_TEXT_MAX];
    config c, before;
    veil_settings settings;
    json_t *json = json_loadb(body, size, JSON_REJECT_DUPLICATES, NULL);
    config_init(&c);
    before = c;
    if (!config_patch(&c, json, problem))
        require(memcmp(&c, &before, sizeof c) == 0 && problem[0] != '\0');
    before = c;
    if (!config_set_zones(&c, json_object_get(json, "zones"), problem))
        require(memcmp(&c, &before, sizeof c) == 0);
    config_add_zone(&c, json, problem);
    config_to_veil(&c, &settings);
    require(settings.style != VEIL_STYLE_NONE && settings.n_zones <= CONFIG_ZONES_MAX);
    require(settings.min_score > 0 && settings.low_score <= settings.min_score);
    /* what was set can be saved and is the same when it is loaded */
    json_t *saved = config_json(&c);
    before = c;
    require(saved && config_patch(&c, saved, problem));
    require(memcmp(&c, &before, sizeof c) == 0);
    json_decref(saved);
    output_choice output;
    if (sources_output_parse(json, &output, problem))
        require(output.recording ? !strchr(output.text, '/') : sources_url_ok(output.text, true));
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    const char *line[LINES], *body;
    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    split(text, line, &body);
    guard_path(line[1]);
    try_route(line[0], line[1]);
    try_guards(line);
    try_settings(body, strlen(body));
    free(text);
    return 0;
}

uint8_t *fuzz_seed(size_t *size) {
    uint8_t *copy = malloc(sizeof seed - 1);
    *size = sizeof seed - 1;
    if (copy)
        memcpy(copy, seed, sizeof seed - 1);
    return copy;
}
