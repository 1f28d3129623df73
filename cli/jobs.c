/* Inputs may be files, "-", addresses, folders (walked, by file name endings) and patterns. */
#include "jobs.h"

#include "output.h"

#include <errno.h>
#include <fts.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static const char *const video_endings[] = {
    "mp4", "m4v", "mov", "mkv", "webm", "avi", "ts",  "mts",  "m2ts", "mpg", "mpeg", "wmv", "flv",
    "3gp", "3g2", "ogv", "mxf", "vob",  "gif", "y4m", "h264", "hevc", "dv",  "asf",  "f4v"};

static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

bool jobs_same_file(const char *a, const char *b) {
    struct stat sa, sb;
    return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
           sa.st_ino == sb.st_ino && S_ISREG(sa.st_mode);
}

static bool is_media_name(const char *path) {
    const char *dot = strrchr(path, '.');
    if (!dot || strstr(path, ".part-"))
        return false;
    if (media_output_is_picture(path, NULL))
        return true;
    for (size_t i = 0; i < sizeof video_endings / sizeof video_endings[0]; i++) {
        if (strcasecmp(dot + 1, video_endings[i]) == 0)
            return true;
    }
    return false;
}

/* The ending of the output: the input's where we can write that, mp4 otherwise. */
static const char *ending_for(const char *input, const cli_options *o, char *space, size_t size) {
    media_error ignored = {0};
    const char *slash = strrchr(input, '/');
    const char *dot = strrchr(slash ? slash : input, '.');
    if (o->format) {
        const AVOutputFormat *f = media_output_container("x", o->format, &ignored);
        if (media_output_is_picture("x", o->format) || !f || !f->extensions)
            return o->format;
        snprintf(space, size, "%.*s", (int)strcspn(f->extensions, ","), f->extensions);
        return space;
    }
    if (!dot || strcasecmp(dot, ".gif") == 0)
        return "mp4";
    if (media_output_is_picture(input, NULL))
        return dot + 1;
    const AVOutputFormat *f = media_output_container(input, NULL, &ignored);
    return f && f->video_codec != AV_CODEC_ID_NONE ? dot + 1 : "mp4";
}

static int add(jobs *j, const char *input, const char *output) {
    if (j->n == j->capacity) {
        size_t capacity = j->capacity > 0 ? 2 * j->capacity : 16;
        job *list = realloc(j->list, capacity * sizeof(job));
        if (!list)
            return -1;
        j->list = list;
        j->capacity = capacity;
    }
    job *new = &j->list[j->n];
    new->input = strdup(input);
    new->output = strdup(output);
    j->n++;
    return new->input &&new->output ? 0 : -1;
}

/* name: path below the output folder, with the input's ending. */
static int add_in_folder(jobs *j, const char *input, const char *name, const cli_options *o) {
    char space[32];
    const char *ending = ending_for(input, o, space, sizeof space);
    const char *slash = strrchr(name, '/');
    const char *dot = strrchr(slash ? slash : name, '.');
    int stem = dot ? (int)(dot - name) : (int)strlen(name);
    size_t length = strlen(o->output);
    const char *between = length > 0 && o->output[length - 1] == '/' ? "" : "/";
    char *output;
    if (asprintf(&output, "%s%s%.*s.%s", o->output, between, stem, name, ending) < 0)
        return -1;
    int ret = add(j, input, output);
    free(output);
    return ret;
}

static int by_name(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int add_folder(jobs *j, const char *folder, const cli_options *o, const char *command) {
    char *start = strdup(folder);
    char *const roots[] = {start, NULL};
    struct stat out = {0};
    bool has_out = o->output && stat(o->output, &out) == 0;
    FTS *walk = start ? fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name) : NULL;
    size_t before = j->n, skip = start ? strlen(start) : 0;
    int ret = walk ? CLI_OK : CLI_FAILED;
    FTSENT *e;
    while (ret == CLI_OK && (e = fts_read(walk))) {
        if (e->fts_info == FTS_D && has_out && e->fts_statp->st_ino == out.st_ino &&
            e->fts_statp->st_dev == out.st_dev && e->fts_level > 0)
            fts_set(walk, e, FTS_SKIP); /* results of a former run are no inputs */
        if (e->fts_info == FTS_D && e->fts_level > 0 && e->fts_name[0] == '.')
            fts_set(walk, e, FTS_SKIP);
        if (e->fts_info != FTS_F || e->fts_name[0] == '.' || !is_media_name(e->fts_name))
            continue;
        const char *name = e->fts_path + skip;
        name += strspn(name, "/");
        if (!o->output ? add(j, e->fts_path, "") != 0 : add_in_folder(j, e->fts_path, name, o) != 0)
            ret = CLI_FAILED;
    }
    if (walk)
        fts_close(walk);
    free(start);
    if (ret == CLI_OK && j->n == before) {
        cli_error(command, "no video or picture in the folder '%s'", folder);
        ret = CLI_FAILED;
    }
    return ret;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int add_file(jobs *j, const char *input, bool to_folder, const cli_options *o) {
    if (to_folder)
        return add_in_folder(j, input, strcmp(input, "-") == 0 ? "stdin" : base_name(input), o);
    return add(j, input, o->output ? o->output : "");
}

static int add_input(jobs *j, const char *input, bool to_folder, const cli_options *o,
                     const char *command) {
    int ret = CLI_OK;
    bool plain = strcmp(input, "-") == 0 || strstr(input, "://") != NULL || exists(input);
    if (is_folder(input)) {
        if (to_folder || !o->output)
            return add_folder(j, input, o, command);
        cli_error(command, "'%s' is a folder, so the output must be one too: -o FOLDER/", input);
        return CLI_USAGE;
    }
    if (plain || !strpbrk(input, "*?[")) {
        ret = add_file(j, input, to_folder, o) == 0 ? CLI_OK : CLI_FAILED;
    } else {
        glob_t found;
        if (glob(input, 0, NULL, &found) != 0) {
            cli_error(command, "no file matches '%s'", input);
            return CLI_FAILED;
        }
        for (size_t i = 0; i < found.gl_pathc && ret == CLI_OK; i++)
            ret = add_file(j, found.gl_pathv[i], to_folder, o) == 0 ? CLI_OK : CLI_FAILED;
        globfree(&found);
    }
    if (ret != CLI_OK)
        cli_error(command, "out of memory");
    return ret;
}

static int compare_outputs(const void *a, const void *b) {
    return strcmp((*(const job *const *)a)->output, (*(const job *const *)b)->output);
}

/* Two inputs must not become one output. */
static int check_twins(const jobs *j, const char *command) {
    const job **sorted = calloc(j->n, sizeof(job *));
    if (!sorted)
        return CLI_FAILED;
    for (size_t i = 0; i < j->n; i++)
        sorted[i] = &j->list[i];
    qsort(sorted, j->n, sizeof(job *), compare_outputs);
    int ret = CLI_OK;
    for (size_t i = 1; i < j->n && ret == CLI_OK; i++) {
        if (strcmp(sorted[i - 1]->output, sorted[i]->output) == 0) {
            cli_error(command, "'%s' and '%s' would both be written to '%s'", sorted[i - 1]->input,
                      sorted[i]->input, sorted[i]->output);
            ret = CLI_USAGE;
        }
    }
    free(sorted);
    return ret;
}

int jobs_make(jobs *j, const cli_options *o, const char *command) {
    memset(j, 0, sizeof *j);
    size_t length = o->output ? strlen(o->output) : 0;
    bool to_folder = length > 0 && (o->output[length - 1] == '/' || is_folder(o->output));
    int ret = CLI_OK;
    for (size_t i = 0; i < o->n_inputs && ret == CLI_OK; i++)
        ret = add_input(j, o->inputs[i], to_folder, o, command);
    if (ret == CLI_OK && j->n > 1 && o->output && !to_folder) {
        cli_error(command, "%zu inputs need a folder to go to: -o FOLDER/", j->n);
        ret = CLI_USAGE;
    }
    if (ret == CLI_OK && j->n > 1 && o->output)
        ret = check_twins(j, command);
    for (size_t i = 0; i < j->n && ret == CLI_OK; i++) {
        if (jobs_same_file(j->list[i].input, j->list[i].output)) {
            cli_error(command, "'%s' is both input and output", j->list[i].input);
            ret = CLI_USAGE;
        }
    }
    return ret;
}

void jobs_free(jobs *j) {
    for (size_t i = 0; i < j->n; i++) {
        free(j->list[i].input);
        free(j->list[i].output);
    }
    free(j->list);
    memset(j, 0, sizeof *j);
}

int jobs_make_folders(const char *path, const char *command) {
    char *copy = strdup(path);
    int ret = copy ? CLI_OK : CLI_FAILED;
    for (char *p = copy ? strchr(copy + 1, '/') : NULL; p && ret == CLI_OK;
         p = strchr(p + 1, '/')) {
        *p = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST) {
            cli_error(command, "cannot make the folder '%s': %s", copy, strerror(errno));
            ret = CLI_FAILED;
        }
        *p = '/';
    }
    free(copy);
    return ret;
}
