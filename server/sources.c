/* Which sources and outputs may be named from outside. No path is taken: a device is one that is
 * there, a file one in the folder of media, a recording gets a name of our own. */
#include "inside.h"

#include "devices.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#define FILES_MAX 500

static const char *const in_schemes[] = {"rtmp", "rtmps", "rtsp", "rtsps", "srt",
                                         "http", "https", "udp",  "rtp",   "tcp"};
static const char *const out_schemes[] = {"rtmp", "rtmps", "rtsp", "srt", "udp", "rtp", "tcp"};

bool sources_url_ok(const char *url, bool output) {
    const char *const *list = output ? out_schemes : in_schemes;
    size_t n = output ? sizeof out_schemes / sizeof out_schemes[0]
                      : sizeof in_schemes / sizeof in_schemes[0];
    const char *colon = strstr(url, "://");
    size_t length = colon ? (size_t)(colon - url) : 0;
    bool known = false;
    for (size_t i = 0; i < n && colon; i++)
        known = known || (strlen(list[i]) == length && strncasecmp(url, list[i], length) == 0);
    for (const char *p = url; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c <= ' ' || c >= 0x7f || strchr("\"'\\<>`|^{}", c))
            return false; /* a blank begins options in some of FFmpeg's addresses */
    }
    return known && colon[3] != '\0' && strlen(url) < URL_MAX;
}

static bool device_exists(const char *path) {
    devices_camera camera;
    for (size_t i = 0; devices_find_camera(i, &camera); i++) {
        if (camera.captures && strcmp(camera.path, path) == 0)
            return true;
    }
    return false;
}

/* A plain name of a regular file that lies right in the folder. */
static bool file_exists(const server *s, const char *name) {
    char path[STORE_PATH_MAX + URL_MAX];
    struct stat st;
    if (!s->options.media || name[0] == '.' || name[0] == '\0' || strchr(name, '/'))
        return false;
    snprintf(path, sizeof path, "%s/%s", s->options.media, name);
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool fail(char *problem, const char *text) {
    snprintf(problem, CONFIG_TEXT_MAX, "%s", text);
    return false;
}

static const char *text_of(const json_t *json, const char *key) {
    const char *text = json_string_value(json_object_get(json, key));
    return text && strlen(text) < URL_MAX ? text : NULL;
}

bool sources_parse(const server *s, const json_t *json, source_choice *out,
                   char problem[CONFIG_TEXT_MAX]) {
    const char *url = text_of(json, "url"), *device = text_of(json, "device");
    const char *file = text_of(json, "file"), *browser = text_of(json, "browser");
    memset(out, 0, sizeof *out);
    if (!json_is_object(json) || !url + !device + !file + !browser != 3)
        return fail(problem, "a source has one of url, device, file, browser");
    out->loop = json_is_true(json_object_get(json, "loop"));
    out->listen = json_is_true(json_object_get(json, "listen"));
    const char *text = url ? url : device ? device : file ? file : browser;
    snprintf(out->text, sizeof out->text, "%s", text);
    if (url) {
        out->kind = SOURCE_URL;
        return sources_url_ok(url, false) ||
               fail(problem, "an address begins with rtmp://, rtsp://, srt://, http:// (HLS), "
                             "udp://, rtp:// or tcp:// and has no blanks");
    }
    if (device) {
        out->kind = SOURCE_DEVICE;
        return device_exists(device) || fail(problem, "there is no such camera");
    }
    if (file) {
        out->kind = SOURCE_FILE;
        return file_exists(s, file) || fail(problem, "there is no such file in the media folder");
    }
    out->kind = SOURCE_BROWSER;
    if (strncmp(browser, "video/webm", 10) == 0 || strncmp(browser, "video/mp4", 9) == 0)
        return true;
    return fail(problem, "a browser sends video/webm or video/mp4");
}

json_t *sources_json(const source_choice *c, bool secrets) {
    static const char *const keys[] = {"none", "url", "device", "file", "browser"};
    char text[URL_MAX];
    if (c->kind == SOURCE_NONE)
        return json_null();
    if (secrets || c->kind != SOURCE_URL)
        snprintf(text, sizeof text, "%s", c->text);
    else
        live_mask(text, sizeof text, c->text);
    return json_pack("{s:s, s:b, s:b}", keys[c->kind], text, "loop", c->loop, "listen", c->listen);
}

static void add_files(json_t *list, const char *folder) {
    DIR *d = folder ? opendir(folder) : NULL;
    const struct dirent *e;
    struct stat st;
    while (d && json_array_size(list) < FILES_MAX && (e = readdir(d))) {
        if (e->d_name[0] != '.' && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode))
            json_array_append_new(list, json_string(e->d_name)); /* NULL, not UTF-8: left out */
    }
    if (d)
        closedir(d);
}

json_t *sources_list(const server *s) {
    json_t *devices = json_array(), *files = json_array();
    devices_camera camera;
    for (size_t i = 0; devices_find_camera(i, &camera); i++) {
        if (camera.captures)
            json_array_append_new(
                devices, json_pack("{s:s, s:s+}", "device", camera.path, "name", camera.name, ""));
    }
    add_files(files, s->options.media);
    return json_pack("{s:o, s:o}", "devices", devices, "files", files);
}

void sources_name_recording(output_choice *out, const char *format) {
    struct tm t;
    time_t now = time(NULL);
    char stamp[32];
    localtime_r(&now, &t);
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &t);
    snprintf(out->text, sizeof out->text, "veil-%s.%s", stamp, format);
}

bool sources_output_parse(const json_t *json, output_choice *out, char problem[CONFIG_TEXT_MAX]) {
    const char *url = text_of(json, "url"), *format = text_of(json, "format");
    bool record = json_is_true(json_object_get(json, "record"));
    memset(out, 0, sizeof *out);
    out->on = true;
    out->no_audio = json_is_true(json_object_get(json, "no_audio"));
    out->recording = record;
    if (record == (url != NULL))
        return fail(problem, "an output has a url, or record: true");
    if (url) {
        snprintf(out->text, sizeof out->text, "%s", url);
        return sources_url_ok(url, true) ||
               fail(problem, "an address begins with rtmp://, rtmps://, rtsp://, srt://, udp://, "
                             "rtp:// or tcp:// and has no blanks");
    }
    if (format && strcmp(format, "mkv") != 0 && strcmp(format, "mp4") != 0)
        return fail(problem, "a recording's format is mkv or mp4");
    sources_name_recording(out, format ? format : "mkv");
    return true;
}
