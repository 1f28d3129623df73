/* Files of the server, readable by its user only, because addresses of streams hold keys. */
#include "store.h"

#include "guard.h"
#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int default_folder(char *out, size_t size, media_error *err) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n;
    if (state && state[0] == '/')
        n = snprintf(out, size, "%s/veil", state);
    else if (home && home[0] == '/')
        n = snprintf(out, size, "%s/.local/state/veil", home);
    else
        return media_fail(err, "where to keep settings? HOME is not set; --data FOLDER tells it");
    return n > 0 && (size_t)n < size ? 0 : media_fail(err, "the path of the data is too long");
}

static int make_folders(const char *path, media_error *err) {
    char above[STORE_PATH_MAX];
    snprintf(above, sizeof above, "%s", path);
    for (char *p = above + 1; *p != '\0'; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        mkdir(above, 0700); /* the last one tells */
        *p = '/';
    }
    struct stat st;
    if ((mkdir(above, 0700) == 0 || errno == EEXIST) && stat(above, &st) == 0 &&
        S_ISDIR(st.st_mode))
        return 0;
    return media_fail(err, "cannot make the folder '%s': %s", path, strerror(errno));
}

int store_path(const store *s, const char *name, char *out, size_t size) {
    int n = snprintf(out, size, "%s/%s", s->folder, name);
    return n > 0 && (size_t)n < size ? 0 : -1;
}

int store_open(store *s, const char *folder, media_error *err) {
    char path[STORE_PATH_MAX];
    memset(s, 0, sizeof *s);
    s->lock_fd = -1;
    if (folder && (folder[0] == '\0' || strlen(folder) > STORE_PATH_MAX - 64))
        return media_fail(err, "'%.40s' is no usable folder", folder);
    if (folder)
        snprintf(s->folder, sizeof s->folder, "%s", folder);
    else if (default_folder(s->folder, sizeof s->folder - 64, err) != 0)
        return -1;
    if (make_folders(s->folder, err) != 0)
        return -1;
    if (store_path(s, "lock", path, sizeof path) != 0)
        return media_fail(err, "the path of the data is too long");
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        return media_fail(err, "cannot write in '%s': %s", s->folder, strerror(errno));
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return media_fail(err, "another veil serve uses '%s'; --data FOLDER names another one",
                          s->folder);
    return 0;
}

void store_close(store *s) {
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    s->lock_fd = -1;
}

int store_load(const store *s, json_t **out, media_error *err) {
    char path[STORE_PATH_MAX];
    json_error_t why;
    *out = NULL;
    if (store_path(s, "settings.json", path, sizeof path) != 0)
        return media_fail(err, "the path of the data is too long");
    if (access(path, F_OK) != 0)
        return 0;
    *out = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    if (*out)
        return 0;
    return media_fail(err, "'%s' cannot be read: line %d: %s; mend or remove it", path, why.line,
                      why.text);
}

static int write_all(const char *name, const char *path, const char *text, media_error *err) {
    part *p = NULL;
    FILE *f = NULL;
    int ret = -1;
    if (part_create(&p, path, true, err) != 0)
        return -1;
    chmod(part_path(p), 0600);
    f = fopen(part_path(p), "w");
    if (!f || fputs(text, f) < 0) {
        media_fail(err, "cannot write %s: %s", name, strerror(errno));
        goto done;
    }
    int closed = fclose(f);
    f = NULL;
    if (closed != 0)
        media_fail(err, "cannot write %s: %s", name, strerror(errno));
    else
        ret = part_commit(p, err);
done:
    if (f)
        fclose(f);
    part_destroy(p);
    return ret;
}

int store_save(const store *s, const json_t *settings, media_error *err) {
    char path[STORE_PATH_MAX];
    char *text = json_dumps(settings, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    int ret = -1;
    if (!text)
        media_fail(err, "out of memory");
    else if (store_path(s, "settings.json", path, sizeof path) != 0)
        media_fail(err, "the path of the data is too long");
    else
        ret = write_all("the settings", path, text, err);
    free(text);
    return ret;
}

int store_token(const store *s, char *token, size_t size, media_error *err) {
    char path[STORE_PATH_MAX], text[40] = "";
    if (store_path(s, "token", path, sizeof path) != 0)
        return media_fail(err, "the path of the data is too long");
    FILE *f = fopen(path, "r");
    if (f) {
        char *line = fgets(token, (int)size, f);
        fclose(f);
        if (line) {
            token[strcspn(token, "\r\n")] = '\0';
            if (guard_token_ok(token))
                return 0;
        }
        return media_fail(err, "'%s' holds no usable token; remove it to get a new one", path);
    }
    if (!guard_make_id(text, 32))
        return media_fail(err, "the system gives no random numbers");
    snprintf(token, size, "%s", text);
    return write_all("the token", path, text, err);
}
