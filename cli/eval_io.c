/* eval_io.c - options, files, pictures, JSON and PNG for `veil eval` and `veil bench`. */
#include "eval_io.h"

#include "model_file.h"

#include "../media/convert.h"
#include "../media/input.h"
#include "../media/orient.h"

#include <errno.h>
#include <libavutil/frame.h>
#include <math.h>
#include <png.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int evio_say(const char *format, ...) {
    char line[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    /* Parts of damaged files may be quoted in it; it stays one line. */
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    fprintf(stderr, "veil: %s\n", line);
    return -1;
}

static int set_option(const evio_option *o, const char *value) {
    if (o->kind == EVIO_TEXT) {
        *(const char **)o->to = value;
        return 0;
    }
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end || !isfinite(number))
        return evio_say("--%s needs a number, not \"%s\"", o->name, value);
    *(double *)o->to = number;
    return 0;
}

static void help(const char *command, const evio_option *options, size_t n, const char *about) {
    printf("usage: veil %s [options]\n%s\n", command, about);
    for (size_t i = 0; i < n; i++) {
        char left[40];
        snprintf(left, sizeof left, "--%s%s", options[i].name,
                 options[i].kind == EVIO_FLAG   ? ""
                 : options[i].kind == EVIO_TEXT ? " X"
                                                : " N");
        printf("  %-20s %s\n", left, options[i].help);
    }
}

int evio_options(const char *command, int argc, char **argv, const evio_option *options, size_t n,
                 const char *about) {
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (!strcmp(arg, "--help") || !strcmp(arg, "-h")) {
            help(command, options, n, about);
            return 1;
        }
        const char *equals = strchr(arg, '=');
        size_t length = equals ? (size_t)(equals - arg) : strlen(arg);
        size_t o = 0;
        while (o < n && (strncmp(arg, "--", 2) != 0 || strlen(options[o].name) + 2 != length ||
                         memcmp(arg + 2, options[o].name, length - 2) != 0))
            o++;
        if (o == n)
            return evio_say("%s: unknown argument \"%s\" (see --help)", command, arg);
        if (options[o].kind == EVIO_FLAG) {
            if (equals)
                return evio_say("--%s takes no value", options[o].name);
            *(int *)options[o].to = 1;
            continue;
        }
        if (!equals && i + 1 == argc)
            return evio_say("--%s needs a value", options[o].name);
        if (set_option(&options[o], equals ? equals + 1 : argv[++i]))
            return -1;
    }
    return 0;
}

char *evio_read(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    char *data = NULL;
    size_t n = 0, cap = 0;
    if (!f) {
        evio_say("%s: %s", path, strerror(errno));
        return NULL;
    }
    for (;;) {
        if (cap - n < 65536) {
            char *bigger = cap < (size_t)1 << 40 ? realloc(data, cap = cap * 2 + 131072) : NULL;
            if (!bigger)
                goto fail;
            data = bigger;
        }
        size_t got = fread(data + n, 1, cap - n - 1, f);
        n += got;
        if (got == 0)
            break;
    }
    if (ferror(f))
        goto fail;
    fclose(f);
    data[n] = 0;
    if (size)
        *size = n;
    return data;
fail:
    evio_say("%s: cannot be read: %s", path, strerror(errno));
    fclose(f);
    free(data);
    return NULL;
}

static char *part_name(const char *path) {
    size_t n = strlen(path) + 6;
    char *name = malloc(n);
    if (name)
        snprintf(name, n, "%s.part", path);
    return name;
}

int evio_is_stdout(const char *path) {
    return path && !strcmp(path, "-");
}

FILE *evio_open_out(const char *path) {
    if (!strcmp(path, "-"))
        return stdout;
    char *part = part_name(path);
    FILE *f = part ? fopen(part, "wb") : NULL;
    if (!f)
        evio_say("%s: %s", path, strerror(errno));
    free(part);
    return f;
}

int evio_close_out(FILE *file, const char *path) {
    int failed = ferror(file);
    if (file == stdout)
        return fflush(file) || failed ? evio_say("writing to stdout failed") : 0;
    failed |= fclose(file);
    char *part = part_name(path);
    if (!failed && part)
        failed = rename(part, path);
    if (failed && part)
        remove(part);
    free(part);
    return failed ? evio_say("%s: cannot be written: %s", path, strerror(errno)) : 0;
}

char *evio_join(const char *dir, const char *name) {
    size_t n = strlen(dir) + strlen(name) + 2;
    char *path = malloc(n);
    if (path)
        snprintf(path, n, "%s/%s", dir, name);
    return path;
}

const char *evio_data(const char *option) {
    const char *env = getenv("VEIL_DATA");
    return option ? option : env && *env ? env : "../shared/data";
}

int evio_json_next(FILE *f, const char *path, size_t *line, json_t **out) {
    int c;
    while ((c = getc(f)) == ' ' || c == '\n' || c == '\r' || c == '\t')
        *line += c == '\n';
    if (c == EOF)
        return ferror(f) ? evio_say("%s: cannot be read: %s", path, strerror(errno)) : 0;
    ungetc(c, f);
    json_error_t error;
    *out = json_loadf(f, JSON_DISABLE_EOF_CHECK, &error);
    if (!*out)
        return evio_say("%s:%zu: %s", path, *line, error.text);
    *line += (size_t)(error.line > 1 ? error.line - 1 : 0);
    return 1;
}

/* The first frame of a file, turned upright, in frame. */
static int first_frame(const char *path, AVFrame *frame, AVPacket *packet, media_error *err) {
    media_input *in = NULL;
    media_input_options options = {.path = path, .threads = 1, .video_only = true};
    int rc = media_input_open(&in, &options, err);
    if (rc == 0)
        rc = media_input_read(in, frame, packet, err) == MEDIA_ITEM_FRAME
                 ? 0
                 : media_fail(err, "has no picture");
    /* JPEG and WebP are BT.601 whatever their size, and do not say so. */
    if (rc == 0 && frame->colorspace == AVCOL_SPC_UNSPECIFIED)
        frame->colorspace = AVCOL_SPC_SMPTE170M;
    const int32_t *matrix = rc == 0 ? media_input_matrix(in) : NULL;
    if (matrix && orient_needed(matrix)) {
        orient *turn = NULL;
        rc = orient_create(&turn, matrix, err);
        if (rc == 0)
            rc = orient_frame(turn, frame, err);
        orient_destroy(turn);
    }
    media_input_close(in);
    return rc;
}

int evio_picture_read(const char *path, evio_picture *out) {
    media_error err = {0};
    convert *to_rgb = NULL;
    AVFrame *frame = av_frame_alloc();
    AVPacket *packet = av_packet_alloc();
    *out = (evio_picture){0};
    int rc = frame && packet ? first_frame(path, frame, packet, &err) : -1;
    if (rc == 0)
        rc = convert_create(&to_rgb, AV_PIX_FMT_RGB24, frame->width, frame->height, &err);
    if (rc == 0)
        rc = convert_frame(to_rgb, frame, &err);
    if (rc == 0) {
        size_t row = 3 * (size_t)frame->width;
        out->width = frame->width;
        out->height = frame->height;
        out->rgb = malloc(row * (size_t)frame->height);
        rc = out->rgb ? 0 : -1;
        for (int y = 0; y < frame->height && rc == 0; y++)
            memcpy(out->rgb + row * (size_t)y, frame->data[0] + (ptrdiff_t)y * frame->linesize[0],
                   row);
    }
    convert_destroy(to_rgb);
    av_frame_free(&frame);
    av_packet_free(&packet);
    return rc ? evio_say("%s: %s", path, err.text[0] ? err.text : "out of memory") : 0;
}

void evio_cut(const evio_picture *p, ev_box b, uint8_t *out, int side) {
    double span = fmax(64, 3 * fmax(b.w, b.h)), line = span / side * 2;
    double left = b.x + b.w / 2 - span / 2, top = b.y + b.h / 2 - span / 2;
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            double sx = left + (x + 0.5) * span / side, sy = top + (y + 0.5) * span / side;
            uint8_t *q = out + 3 * ((size_t)y * (size_t)side + (size_t)x);
            int inside = sx >= 0 && sy >= 0 && sx < p->width && sy < p->height;
            for (size_t c = 0; c < 3; c++)
                q[c] = inside ? p->rgb[3 * ((size_t)sy * (size_t)p->width + (size_t)sx) + c] : 230;
            int outer = sx > b.x - line && sx < b.x + b.w + line && sy > b.y - line &&
                        sy < b.y + b.h + line;
            int inner = sx > b.x && sx < b.x + b.w && sy > b.y && sy < b.y + b.h;
            if (outer && !inner)
                memcpy(q, "\xd7\x26\x3d", 3);
        }
}

uint8_t *evio_png(const uint8_t *rgb, int width, int height, size_t *size) {
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)width,
                       .height = (png_uint_32)height,
                       .format = PNG_FORMAT_RGB};
    png_alloc_size_t bytes = 0;
    uint8_t *out = NULL;
    if (png_image_write_to_memory(&image, NULL, &bytes, 0, rgb, 0, NULL) && (out = malloc(bytes)) &&
        png_image_write_to_memory(&image, out, &bytes, 0, rgb, 0, NULL)) {
        *size = bytes;
        return out;
    }
    free(out);
    return NULL;
}

char *evio_png_url(const uint8_t *rgb, int width, int height) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char head[] = "data:image/png;base64,";
    size_t n = 0, at = sizeof head - 1;
    uint8_t *png = evio_png(rgb, width, height, &n);
    char *url = png ? malloc(sizeof head + 4 * (n / 3 + 1)) : NULL;
    if (url) {
        memcpy(url, head, at);
        for (size_t i = 0; i < n; i += 3) {
            uint32_t v = (uint32_t)png[i] << 16 | (i + 1 < n ? (uint32_t)png[i + 1] << 8 : 0) |
                         (i + 2 < n ? png[i + 2] : 0u);
            url[at++] = digits[v >> 18];
            url[at++] = digits[v >> 12 & 63];
            url[at++] = i + 1 < n ? digits[v >> 6 & 63] : '=';
            url[at++] = i + 2 < n ? digits[v & 63] : '=';
        }
        url[at] = 0;
    }
    free(png);
    return url;
}

void evio_html(FILE *f, const char *s) {
    for (; *s; s++) {
        if (*s == '<')
            fputs("&lt;", f);
        else if (*s == '>')
            fputs("&gt;", f);
        else if (*s == '&')
            fputs("&amp;", f);
        else if (*s == '"')
            fputs("&quot;", f);
        else
            fputc(*s, f);
    }
}

int evio_png_write(const char *path, const uint8_t *rgb, int width, int height) {
    size_t size = 0;
    uint8_t *png = evio_png(rgb, width, height, &size);
    if (!png)
        return evio_say("%s: no memory for the picture", path);
    FILE *f = evio_open_out(path);
    int rc = f ? 0 : -1;
    if (f) {
        fwrite(png, 1, size, f);
        rc = evio_close_out(f, path);
    }
    free(png);
    return rc;
}

int evio_json_write(const char *path, json_t *root) {
    FILE *f = root ? evio_open_out(path) : NULL;
    int rc = root ? f ? 0 : -1 : evio_say("%s: no memory for the figures", path);
    if (f) {
        rc = json_dumpf(root, f, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
        fputc('\n', f);
        rc |= evio_close_out(f, path);
    }
    json_decref(root);
    return rc;
}

int evio_plot_write(const char *path, ev_plot *plot) {
    int width, height;
    const uint8_t *rgb = ev_plot_pixels(plot, &width, &height);
    int rc = evio_png_write(path, rgb, width, height);
    ev_plot_free(plot);
    return rc;
}

double evio_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

char *evio_read_model(const char *name, size_t *size) {
    uint8_t *bytes = model_file_builtin(name, size);
    return bytes ? (char *)bytes : evio_read(name, size);
}
