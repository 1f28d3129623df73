/* Whole or not there. The random name is made by mkstemp. */
#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct part {
    char *path;   /* final, links resolved */
    char *beside; /* NULL when path is written directly */
    bool overwrite, committed;
};

/* mkstemp makes files for their owner only; the output gets what any new file gets. */
static void usual_mode(int fd) {
    mode_t mask = umask(0);
    umask(mask);
    (void)fchmod(fd, 0666 & ~mask);
}

int part_create(part **out, const char *path, bool overwrite, media_error *err) {
    *out = NULL;
    struct stat st;
    bool exists = stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode))
        return media_fail(err, "cannot write '%s': Is a directory", path);
    if (exists && S_ISREG(st.st_mode) && !overwrite)
        return media_fail(err, "'%s' exists already; -y overwrites it", path);
    part *p = calloc(1, sizeof *p);
    if (!p)
        return media_fail(err, "out of memory");
    p->overwrite = overwrite;
    p->path = exists ? realpath(path, NULL) : strdup(path);
    if (!p->path) {
        media_fail(err, "cannot write '%s': %s", path, strerror(errno));
        goto fail;
    }
    if (!exists || S_ISREG(st.st_mode)) {
        if (asprintf(&p->beside, "%s.part-XXXXXX", p->path) < 0) {
            p->beside = NULL;
            media_fail(err, "out of memory");
            goto fail;
        }
        int fd = mkstemp(p->beside);
        if (fd < 0) {
            media_fail(err, "cannot write '%s': %s", path, strerror(errno));
            free(p->beside);
            p->beside = NULL;
            goto fail;
        }
        usual_mode(fd);
        close(fd);
    }
    *out = p;
    return 0;
fail:
    part_destroy(p);
    return -1;
}

const char *part_path(const part *p) {
    return p->beside ? p->beside : p->path;
}

static int sync_path(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int ret = fsync(fd);
    close(fd);
    return ret;
}

int part_commit(part *p, media_error *err) {
    if (!p->beside) {
        p->committed = true;
        return 0;
    }
    if (sync_path(p->beside, O_RDWR) != 0)
        return media_fail(err, "cannot write '%s': %s", p->path, strerror(errno));
    /* Without -y a file that appeared meanwhile is not replaced. */
    int ret = p->overwrite ? rename(p->beside, p->path) : link(p->beside, p->path);
    if (ret != 0 && !p->overwrite && errno != EEXIST) /* a file system without hard links */
        ret = rename(p->beside, p->path);
    else if (ret == 0 && !p->overwrite)
        unlink(p->beside);
    if (ret != 0)
        return media_fail(err, "cannot write '%s': %s", p->path, strerror(errno));
    p->committed = true;
    char *copy = strdup(p->path);
    if (copy)
        (void)sync_path(dirname(copy), O_RDONLY | O_DIRECTORY);
    free(copy);
    return 0;
}

void part_destroy(part *p) {
    if (!p)
        return;
    if (p->beside && !p->committed)
        unlink(p->beside);
    free(p->beside);
    free(p->path);
    free(p);
}
