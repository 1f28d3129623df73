/* From options to a veil, and signals. */
#include "session.h"

#include "levels.h"
#include "model_file.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MODEL_BYTES_MAX (512L << 20)
#define IMAGE_PX_MAX    4096
#define NS_PER_MS       1000000.0

atomic_int session_stop;

static void on_stop_signal(int number) {
    int none = 0;
    atomic_compare_exchange_strong(&session_stop, &none, number);
}

static void on_wake_signal(int number) {
    (void)number;
}

void session_catch_signals(void) {
    struct sigaction stop = {.sa_handler = on_stop_signal}; /* no SA_RESTART: reads shall end */
    struct sigaction wake = {.sa_handler = on_wake_signal};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    static const int stopping[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof stopping / sizeof stopping[0]; i++) {
        struct sigaction before;
        /* nohup and shells' background jobs have some of them ignored, and mean it. */
        if (sigaction(stopping[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(stopping[i], &stop, NULL);
    }
    sigaction(SIGUSR1, &wake, NULL);
    sigaction(SIGPIPE, &ignore, NULL); /* write errors are reported as errors */
    sigaction(SIGXFSZ, &ignore, NULL);
}

int session_wake_signal(void) {
    return SIGUSR1;
}

uint8_t *session_read_file(const char *path, size_t *size, const char *command) {
    FILE *f = fopen(path, "rb");
    struct stat st;
    uint8_t *bytes = NULL;
    if (!f || fstat(fileno(f), &st) != 0) {
        cli_error(command, "cannot open '%s': %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode) || st.st_size > MODEL_BYTES_MAX) {
        cli_error(command, "cannot read '%s': not a file of a usable size", path);
    } else {
        *size = (size_t)st.st_size;
        bytes = malloc(*size + 1);
        if (bytes && fread(bytes, 1, *size, f) != *size) {
            cli_error(command, "cannot read '%s': %s", path, strerror(errno));
            free(bytes);
            bytes = NULL;
        } else if (!bytes) {
            cli_error(command, "out of memory");
        }
    }
    if (f)
        fclose(f);
    return bytes;
}

uint8_t *session_read_model(const char *name, size_t *size, const char *command) {
    uint8_t *bytes = model_file_builtin(name, size);
    return bytes ? bytes : session_read_file(name, size, command);
}

encoder_options session_encoder(const cli_options *o) {
    return (encoder_options){.codec = o->codec,
                             .preset = o->preset,
                             .tune = o->tune,
                             .crf = o->crf,
                             .bit_rate = o->bit_rate,
                             .pixel_format = o->pixel_format,
                             .extra = o->encoder_options,
                             .gop = o->gop};
}

const char *session_model_path(const cli_options *o) {
    const char *from_environment = getenv("VEIL_MODEL");
    if (o->model)
        return o->model;
    return from_environment && from_environment[0] != '\0' ? from_environment : NULL;
}

static void on_log(void *user, int level, const char *text) {
    session *s = user;
    if (level == 0)
        snprintf(s->problem, sizeof s->problem, "%s", text);
    if (s->verbose)
        fprintf(stderr, "veil: %s\n", text);
}

/* $VEIL_TEST_FAULT is STAGE, or STAGE:N for its N-th call: the tests see to it that such frames
 * come out covered. It can only make things fail. */
static int fault(void *user, const char *stage) {
    session *s = user;
    if (strlen(stage) != s->fault_length || strncmp(stage, s->fault_stage, s->fault_length) != 0)
        return 0;
    return s->fault_at == 0 || ++s->fault_calls == s->fault_at;
}

static void set_fault(session *s) {
    const char *text = getenv("VEIL_TEST_FAULT");
    if (!text || text[0] == '\0')
        return;
    s->fault_stage = text;
    s->fault_length = strcspn(text, ":");
    s->fault_at = text[s->fault_length] == ':' ? atoi(text + s->fault_length + 1) : 0;
    s->options.fault = fault;
}

static void pass_event(void *user, const veil_event *event) {
    const session *s = user;
    s->on_event(s->user, event);
}

static int parse_zone(veil_zone *z, const char *text, veil_decision decision, const char *command) {
    int end = 0;
    z->decision = decision;
    if (sscanf(text, "%f,%f,%f,%f%n", &z->x, &z->y, &z->w, &z->h, &end) == 4 && text[end] == '\0' &&
        z->x >= 0 && z->y >= 0 && z->w > 0 && z->h > 0 && z->x < 1 && z->y < 1)
        return CLI_OK;
    cli_error(command, "a zone is X,Y,W,H in parts of the picture, like 0.5,0,0.5,1, not '%s'",
              text);
    return CLI_USAGE;
}

static int set_zones(session *s, const cli_options *o, const char *command) {
    size_t n = 0;
    int ret = CLI_OK;
    for (size_t i = 0; i < o->n_keep_zones && ret == CLI_OK; i++)
        ret = parse_zone(&s->zones[n++], o->keep_zones[i], VEIL_KEEP, command);
    for (size_t i = 0; i < o->n_hide_zones && ret == CLI_OK; i++)
        ret = parse_zone(&s->zones[n++], o->hide_zones[i], VEIL_HIDE, command);
    s->options.settings.zones = s->zones;
    s->options.settings.n_zones = n;
    return ret;
}

static int set_drawing(session *s, const cli_options *o, const char *command) {
    veil_settings *set = &s->options.settings;
    int style = o->style >= 0 ? o->style : o->replace_with;
    if (style >= 0)
        set->style = (veil_style)style;
    else if (o->replace_image)
        set->style = VEIL_STYLE_IMAGE;
    if (o->shape >= 0)
        set->shape = (veil_shape)o->shape;
    else if (o->boxes)
        set->shape = VEIL_SHAPE_BOX;
    double padding = o->mask_scale >= 0 ? (o->mask_scale - 1) / 2 : o->padding;
    if (o->mask_scale >= 0 || o->padding >= 0)
        set->padding = padding > 0 ? (float)padding : -1.0f;
    if (o->feather >= 0)
        set->feather = o->feather > 0 ? (float)o->feather : -1.0f;
    set->cells = (float)o->cells;
    set->force_weak = o->force_weak;
    if (veil_style_is_weak(set->style) && !o->force_weak) {
        cli_error(command,
                  "--style weak-blur and weak-mosaic leave faces recognisable to those who "
                  "know them; use blur or mosaic, or add --force-weak");
        return CLI_USAGE;
    }
    if (o->fill) {
        char *end;
        unsigned long rgb = strtoul(o->fill[0] == '#' ? o->fill + 1 : o->fill, &end, 16);
        if (*end != '\0' || rgb > 0xffffff || end - o->fill < 6) {
            cli_error(command, "'--fill' takes a colour like ff8000, not '%s'", o->fill);
            return CLI_USAGE;
        }
        set->fill_rgb = (uint32_t)rgb;
    }
    if (set->style != VEIL_STYLE_IMAGE)
        return CLI_OK;
    if (!o->replace_image) {
        cli_error(command, "the style image needs --replaceimg FILE");
        return CLI_USAGE;
    }
    media_error err = {0};
    if (media_picture_load(&s->image, o->replace_image, IMAGE_PX_MAX, &err) != 0) {
        cli_error(command, "%s", err.text);
        return CLI_FAILED;
    }
    set->image = s->image.pixels;
    set->image_width = s->image.width;
    set->image_height = s->image.height;
    set->image_stride = s->image.stride;
    return CLI_OK;
}

static void set_analysis(session *s, const cli_options *o) {
    veil_settings *set = &s->options.settings;
    set->min_score = (float)o->thresh;
    set->low_score = (float)o->low_thresh;
    if (o->thresh > 0 && o->low_thresh <= 0 && o->thresh < 0.10)
        set->low_score = (float)o->thresh;
    set->keep_score = (float)o->keep_score;
    if (o->keep >= 0)
        set->keep = (veil_keep)o->keep;
    if (o->tracker >= 0)
        set->tracker = (veil_tracker)o->tracker;
    set->detect_every = o->detect_every;
    set->hold_ns = (int64_t)llround(o->hold_ms * NS_PER_MS);
    s->options.threads = o->threads;
    s->options.input_width = o->scale_width;
    s->options.input_height = o->scale_height;
    double lookahead_ms = o->lookahead_ms >= 0 ? o->lookahead_ms : 1000;
    s->options.lookahead_ns = (int64_t)llround(lookahead_ms * NS_PER_MS);
}

static int create(session *s, const char *model_path, const char *command) {
    s->problem[0] = '\0';
    int ret = veil_create(&s->veil, &s->options);
    if (ret == VEIL_OK)
        return CLI_OK;
    const char *why = s->problem[0] != '\0' ? s->problem : veil_strerror(ret);
    if (ret == VEIL_E_MODEL && model_path)
        cli_error(command, "cannot use the model '%s': %s", model_path, why);
    else if (ret == VEIL_E_MODEL)
        cli_error(command, "no usable model is built in (--model FILE names one): %s", why);
    else
        cli_error(command, "cannot start: %s", why);
    return CLI_FAILED;
}

int session_prepare(session *s, const cli_options *o, const char *command) {
    memset(s, 0, sizeof *s);
    s->verbose = o->verbose;
    veil_options_init(&s->options, sizeof s->options);
    int ret = set_zones(s, o, command);
    if (ret == CLI_OK)
        ret = set_drawing(s, o, command);
    if (ret == CLI_OK)
        ret = levels_off(&s->options.cpu_off, command);
    if (ret != CLI_OK)
        return ret;
    set_analysis(s, o);
    s->options.log = on_log;
    s->options.user = s;
    set_fault(s);
    const char *path = session_model_path(o);
    if (path) {
        s->model = session_read_model(path, &s->options.model_size, command);
        if (!s->model)
            return CLI_FAILED;
        s->options.model = s->model;
    }
    return CLI_OK;
}

int session_open(session *s, const cli_options *o, const char *command,
                 void (*on_event)(void *user, const veil_event *event), void *user) {
    int ret = session_prepare(s, o, command);
    if (ret != CLI_OK)
        return ret;
    s->on_event = on_event;
    s->user = user;
    s->options.on_event = on_event ? pass_event : NULL;
    return create(s, session_model_path(o), command);
}

int session_reopen(session *s, const char *command) {
    veil_destroy(s->veil);
    s->veil = NULL;
    return create(s, NULL, command);
}

void session_close(session *s) {
    veil_destroy(s->veil);
    free(s->model);
    free(s->image.pixels);
    memset(s, 0, sizeof *s);
}
