/* veil serve: the web page and the HTTP interface. */
#include "commands.h"
#include "session.h"

#include "server.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAMES_MAX 16

typedef struct {
    server_options server;
    const char *names[NAMES_MAX];
    char address[256];
    const char *model, *certificate, *key, *token_file;
    int upload_mb, disk_mb, rate;
    bool quiet, help, verbose;
} serve_options;

typedef enum { FLAG, TEXT, WHOLE, LISTEN, NAME } kind;

typedef struct {
    const char *name;
    kind kind;
    size_t offset;
    long min, max;
    const char *argument, *help;
} option;

#define AT(field) offsetof(serve_options, field)

static const option table[] = {
    {"listen", LISTEN, 0, 0, 0, "ADDRESS:PORT", "where to listen (127.0.0.1:8080)"},
    {"token-file", TEXT, AT(token_file), 0, 0, "FILE",
     "the token to ask for; without, one is made where one is needed"},
    {"name", NAME, 0, 0, 0, "NAME", "a name the server is called by, as behind a proxy"},
    {"cert", TEXT, AT(certificate), 0, 0, "FILE", "certificate for https, PEM"},
    {"key", TEXT, AT(key), 0, 0, "FILE", "its key, PEM"},
    {"data", TEXT, AT(server.data), 0, 0, "FOLDER",
     "settings, log of decisions, uploads (~/.local/state/veil)"},
    {"media", TEXT, AT(server.media), 0, 0, "FOLDER", "files in it may be chosen as source"},
    {"recordings", TEXT, AT(server.recordings), 0, 0, "FOLDER", "where recordings go (in data)"},
    {"model", TEXT, AT(model), 0, 0, "MODEL",
     "veil-p (quicker, less accurate) or a file, instead of veil-n"},
    {"keep-minutes", WHOLE, AT(server.keep_minutes), 1, 10080, "N",
     "results of uploads are deleted after so long (60)"},
    {"max-upload", WHOLE, AT(upload_mb), 1, 1000000, "MB", "size of an upload (2048)"},
    {"max-disk", WHOLE, AT(disk_mb), 1, 10000000, "MB", "room for uploads and results (8192)"},
    {"max-jobs", WHOLE, AT(server.jobs_max), 1, 1000, "N", "uploads that may wait (32)"},
    {"max-rate", WHOLE, AT(rate), 1, 1000000, "N", "requests a second of one client (300)"},
    {"preview-width", WHOLE, AT(server.preview_width), 160, 3840, "PX",
     "size of the picture on the page (1280)"},
    {"force-weak", FLAG, AT(server.force_weak), 0, 0, NULL,
     "the page may choose styles that leave faces recognisable"},
    {"fresh", FLAG, AT(server.fresh), 0, 0, NULL, "do not start the source that ran last time"},
    {"quiet", FLAG, AT(quiet), 0, 0, NULL, "errors only"},
    {"verbose", FLAG, AT(verbose), 0, 0, NULL, "also show FFmpeg's messages"},
    {"help", FLAG, AT(help), 0, 0, NULL, "this text"},
};

#define N_TABLE (sizeof table / sizeof table[0])

static void print_help(void) {
    puts("veil serve - watch, click, stream and try it in a browser\n"
         "\n"
         "Usage: veil serve [options]\n"
         "\n"
         "Opens a page at http://127.0.0.1:8080/ with the hidden live picture; the raw one is "
         "never\n"
         "served. Only this machine can reach it, unless --listen says otherwise: then a token is\n"
         "needed, which is printed. GET /api describes the HTTP interface.\n");
    for (size_t i = 0; i < N_TABLE; i++) {
        char left[80];
        snprintf(left, sizeof left, "  --%s%s%s", table[i].name, table[i].argument ? " " : "",
                 table[i].argument ? table[i].argument : "");
        printf("%-30s%s\n", left, table[i].help);
    }
}

static int set_listen(serve_options *o, const char *value) {
    const char *colon = strrchr(value, ':'), *end = colon;
    char *rest;
    if (!colon) {
        cli_error("serve", "--listen takes ADDRESS:PORT, like 0.0.0.0:8080, not '%s'", value);
        return CLI_USAGE;
    }
    long port = strtol(colon + 1, &rest, 10);
    if (value[0] == '[' && colon > value + 1 && colon[-1] == ']') {
        value++;
        end--;
    }
    if (*rest != '\0' || !isdigit((unsigned char)colon[1]) || port > 65535 || end == value ||
        end - value >= (ptrdiff_t)sizeof o->address || memchr(value, ' ', (size_t)(end - value))) {
        cli_error("serve", "--listen takes ADDRESS:PORT, like 0.0.0.0:8080");
        return CLI_USAGE;
    }
    snprintf(o->address, sizeof o->address, "%.*s", (int)(end - value), value);
    o->server.port = (int)port;
    return CLI_OK;
}

static int set_option(serve_options *o, const option *p, const char *value) {
    char *end = NULL;
    void *at = (char *)o + p->offset;
    switch (p->kind) {
    case FLAG:
        *(bool *)at = true;
        return CLI_OK;
    case TEXT:
        *(const char **)at = value;
        return CLI_OK;
    case LISTEN:
        return set_listen(o, value);
    case NAME:
        if (o->server.n_names == NAMES_MAX) {
            cli_error("serve", "at most %d names are taken", NAMES_MAX);
            return CLI_USAGE;
        }
        o->names[o->server.n_names++] = value;
        return CLI_OK;
    case WHOLE:
        break;
    }
    errno = 0;
    long number = strtol(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || number < p->min || number > p->max) {
        cli_error("serve", "--%s takes a number from %ld to %ld, not '%s'", p->name, p->min, p->max,
                  value);
        return CLI_USAGE;
    }
    *(int *)at = (int)number;
    return CLI_OK;
}

static int unknown(const char *given) {
    const char *words[N_TABLE];
    for (size_t i = 0; i < N_TABLE; i++)
        words[i] = table[i].name;
    const char *near = options_nearest(given + strspn(given, "-"), words, N_TABLE);
    if (near)
        cli_error("serve", "unknown option '%s'; did you mean '--%s'?", given, near);
    else
        cli_error("serve", "unknown option '%s' (veil help serve lists them)", given);
    return CLI_USAGE;
}

/* The option that an argument names, "--name" or "--name=value". */
static const option *find(const char *argument) {
    if (strcmp(argument, "-h") == 0)
        argument = "--help";
    if (strncmp(argument, "--", 2) != 0)
        return NULL;
    size_t length = strcspn(argument + 2, "=");
    for (size_t i = 0; i < N_TABLE; i++) {
        if (strlen(table[i].name) == length && strncmp(table[i].name, argument + 2, length) == 0)
            return &table[i];
    }
    return NULL;
}

static int parse(serve_options *o, int argc, char **argv) {
    snprintf(o->address, sizeof o->address, "127.0.0.1");
    o->server.port = 8080;
    for (int i = 1; i < argc; i++) {
        const option *found = find(argv[i]);
        const char *value = strchr(argv[i], '=');
        if (!found || (found->kind == FLAG && value))
            return unknown(argv[i]);
        if (value)
            value++;
        else if (found->kind != FLAG && i + 1 < argc)
            value = argv[++i];
        if (found->kind != FLAG && !value) {
            cli_error("serve", "--%s needs a value: %s", found->name, found->argument);
            return CLI_USAGE;
        }
        int ret = set_option(o, found, value);
        if (ret != CLI_OK)
            return ret;
    }
    if (!o->certificate != !o->key) {
        cli_error("serve", "--cert and --key go together");
        return CLI_USAGE;
    }
    return CLI_OK;
}

static void print_log(void *user, const char *line) {
    const serve_options *o = user;
    char stamp[32];
    struct tm t;
    time_t now = time(NULL);
    if (o->quiet)
        return;
    localtime_r(&now, &t);
    strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &t);
    fprintf(stderr, "%s %s\n", stamp, line);
}

/* Files named on the command line, read before anything starts. */
typedef struct {
    char *certificate, *key, *token;
    uint8_t *model;
} files;

static int read_text(char **out, const char *path) {
    size_t size = 0;
    if (!path)
        return CLI_OK;
    *out = (char *)session_read_file(path, &size, "serve");
    if (!*out)
        return CLI_FAILED;
    (*out)[size] = '\0'; /* it leaves room for this */
    return CLI_OK;
}

static int read_files(files *f, serve_options *o) {
    cli_options model = {.model = o->model};
    const char *path = session_model_path(&model);
    if (read_text(&f->certificate, o->certificate) != CLI_OK ||
        read_text(&f->key, o->key) != CLI_OK || read_text(&f->token, o->token_file) != CLI_OK)
        return CLI_FAILED;
    if (path) {
        f->model = session_read_model(path, &o->server.model_size, "serve");
        if (!f->model)
            return CLI_FAILED;
    }
    if (f->token)
        f->token[strcspn(f->token, " \r\n")] = '\0';
    o->server.certificate = f->certificate;
    o->server.key = f->key;
    o->server.token = f->token;
    o->server.model = f->model;
    return CLI_OK;
}

static void print_address(const serve_options *o, const server *s) {
    const char *token = server_token(s);
    bool v6 = strchr(o->address, ':') != NULL;
    printf("veil serve: %s://%s%s%s:%d/%s%s\n", o->server.certificate ? "https" : "http",
           v6 ? "[" : "", o->address, v6 ? "]" : "", server_port(s), token ? "#token=" : "",
           token ? token : "");
    fflush(stdout);
}

/* Signals are waited for in short naps, because any thread may get them. */
static void wait_for_signal(void) {
    while (atomic_load(&session_stop) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
}

static int serve(serve_options *o) {
    files f = {0};
    server *s = NULL;
    media_error err = {0};
    int status = read_files(&f, o);
    if (status != CLI_OK)
        goto done;
    server_options *so = &o->server;
    so->address = o->address;
    so->names = o->names;
    so->upload_mb = o->upload_mb;
    so->disk_mb = o->disk_mb;
    so->requests_per_s = o->rate;
    so->wake_signal = session_wake_signal();
    so->version = PROGRAM_VERSION;
    so->log = print_log;
    so->user = o;
    if (server_start(&s, so, &err) != 0) {
        cli_error("serve", "%s", err.text);
        status = CLI_FAILED;
        goto done;
    }
    print_address(o, s);
    wait_for_signal();
    server_stop(s);
done:
    free(f.certificate);
    free(f.key);
    free(f.token);
    free(f.model);
    return status;
}

int cli_serve(int argc, char **argv) {
    serve_options o = {0};
    int status = parse(&o, argc, argv);
    if (status != CLI_OK)
        return status;
    if (o.help) {
        print_help();
        return CLI_OK;
    }
    umask(077); /* settings hold keys of streams, recordings people */
    media_log_init(o.verbose);
    session_catch_signals();
    return serve(&o);
}
