/* See picture.h. */
#include "picture.h"

#include <dirent.h>
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define GREY      114 /* as the engine's own scaler fills */
#define MAX_PATHS 1000000u
#define MAX_DEPTH 16

typedef struct {
    mb *m;
    const char **paths;
    size_t n, room;
} list;

static const char *ending(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && !strchr(dot, '/') ? dot + 1 : "";
}

static bool is_picture(const char *path) {
    static const char *const known[] = {"jpg", "jpeg", "png", "webp", "bmp", "ppm", "tif", "tiff"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcasecmp(ending(path), known[i]) == 0)
            return true;
    return false;
}

static int add_path(list *l, const char *path) {
    void *items = l->paths;
    if (l->n == MAX_PATHS)
        return 0;
    if (!mb_grow(l->m, &items, l->n, &l->room, sizeof(*l->paths)))
        return -1;
    l->paths = items;
    l->paths[l->n] = mb_copy(l->m, path);
    return l->paths[l->n++] ? 0 : -1;
}

static const char *joined(mb *m, const char *folder, const char *name) {
    size_t a = strlen(folder), b = strlen(name) + 1;
    char *p = mb_alloc(m, a + 1 + b, 1);
    if (p) {
        memcpy(p, folder, a);
        p[a] = '/';
        memcpy(p + a + 1, name, b);
    }
    return p;
}

/* Depth-limited, so recursion is bounded whatever the folders hold. */
static int add_folder(list *l, const char *folder, int depth) {
    struct dirent **entry = NULL;
    int n = scandir(folder, &entry, NULL, alphasort), r = 0;
    if (n < 0)
        return mb_fail(l->m, "%s: %s", folder, strerror(errno));
    for (int i = 0; i < n; i++) {
        const char *name = entry[i]->d_name, *path = NULL;
        struct stat st;
        if (r == 0 && name[0] != '.' && !(path = joined(l->m, folder, name)))
            r = -1;
        if (path && stat(path, &st) == 0) {
            if (S_ISDIR(st.st_mode) && depth < MAX_DEPTH)
                r = add_folder(l, path, depth + 1);
            else if (S_ISREG(st.st_mode) && is_picture(name))
                r = add_path(l, path);
        }
        free(entry[i]);
    }
    free(entry);
    return r;
}

static int add_lines(list *l, const char *file) {
    FILE *f = fopen(file, "r");
    if (!f)
        return mb_fail(l->m, "%s: %s", file, strerror(errno));
    const char *folder = mb_copy(l->m, file);
    char line[4096];
    int r = folder ? 0 : -1;
    if (folder) {
        char *slash = strrchr(folder, '/'); /* in the copy */
        if (slash)
            *slash = '\0';
        else
            folder = ".";
    }
    while (r == 0 && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (!line[0])
            continue;
        const char *path = line[0] == '/' ? line : joined(l->m, folder, line);
        r = path ? add_path(l, path) : -1;
    }
    fclose(f);
    return r;
}

int pc_list(mb *m, const char *from, size_t cap, const char ***paths, size_t *n) {
    list l = {.m = m};
    struct stat st;
    if (stat(from, &st) != 0)
        return mb_fail(m, "%s: %s", from, strerror(errno));
    bool is_list = strcasecmp(ending(from), "txt") == 0 || strcasecmp(ending(from), "lst") == 0;
    int r = S_ISDIR(st.st_mode) ? add_folder(&l, from, 0)
            : is_list           ? add_lines(&l, from)
                                : add_path(&l, from);
    if (r < 0)
        return -1;
    if (!l.n)
        return mb_fail(m, "%s: no pictures there", from);
    if (l.n > cap) {
        for (size_t i = 0; i < cap; i++)
            l.paths[i] = l.paths[i * l.n / cap];
        l.n = cap;
    }
    *paths = l.paths;
    *n = l.n;
    return 0;
}

typedef struct {
    AVFormatContext *file;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
} reader;

/* First frame of the file into r->frame; negative AVERROR. */
static int decode(reader *r, const char *path) {
    int err = avformat_open_input(&r->file, path, NULL, NULL);
    if (err < 0 || (err = avformat_find_stream_info(r->file, NULL)) < 0)
        return err;
    const AVCodec *codec = NULL;
    int stream = av_find_best_stream(r->file, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    if (stream < 0)
        return stream;
    r->codec = avcodec_alloc_context3(codec);
    r->packet = av_packet_alloc();
    r->frame = av_frame_alloc();
    if (!r->codec || !r->packet || !r->frame)
        return AVERROR(ENOMEM);
    r->codec->thread_count = 1;
    if ((err = avcodec_parameters_to_context(r->codec, r->file->streams[stream]->codecpar)) < 0 ||
        (err = avcodec_open2(r->codec, codec, NULL)) < 0)
        return err;
    for (;;) {
        err = avcodec_receive_frame(r->codec, r->frame);
        if (err != AVERROR(EAGAIN))
            return err;
        do {
            av_packet_unref(r->packet);
            err = av_read_frame(r->file, r->packet);
        } while (err >= 0 && r->packet->stream_index != stream);
        err = avcodec_send_packet(r->codec, err >= 0 ? r->packet : NULL);
        if (err < 0)
            return err;
    }
}

static int fit(const AVFrame *f, int32_t width, int32_t height, uint8_t *out) {
    double s = fmin((double)width / f->width, (double)height / f->height);
    int w = (int)lround(f->width * s), h = (int)lround(f->height * s);
    w = w < 1 ? 1 : w > width ? width : w;
    h = h < 1 ? 1 : h > height ? height : h;
    struct SwsContext *sws =
        sws_getContext(f->width, f->height, (enum AVPixelFormat)f->format, w, h, AV_PIX_FMT_RGB0,
                       s < 1 ? SWS_AREA : SWS_BILINEAR, NULL, NULL, NULL);
    if (!sws)
        return AVERROR(ENOSYS);
    for (size_t i = 0, n = (size_t)width * (size_t)height * 4; i < n; i++)
        out[i] = i % 4 == 3 ? 0 : GREY;
    int stride = 4 * width;
    int err = sws_scale(sws, (const uint8_t *const *)f->data, f->linesize, 0, f->height,
                        (uint8_t *const[]){out}, &stride);
    sws_freeContext(sws);
    return err < 0 ? err : 0;
}

int pc_load(mb *m, const char *path, int32_t width, int32_t height, uint8_t *out) {
    reader r = {0};
    char text[AV_ERROR_MAX_STRING_SIZE];
    av_log_set_level(AV_LOG_FATAL);
    int err = decode(&r, path);
    if (err >= 0)
        err = fit(r.frame, width, height, out);
    if (err < 0)
        mb_fail(m, "%s: %s", path, av_make_error_string(text, sizeof(text), err));
    av_frame_free(&r.frame);
    av_packet_free(&r.packet);
    avcodec_free_context(&r.codec);
    avformat_close_input(&r.file);
    return err < 0 ? -1 : 0;
}
