/* Faces first, then for each of the largest what spoke for and against its class. The maps are
 * small pictures of colour and opacity that a page lays over its own copy. */
#include "explain.h"

#include "heat.h"
#include "job_run.h"
#include "picture.h"

#include <libavcodec/avcodec.h>
#include <libavutil/base64.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAITING_MAX 4
#define FACES_MAX   64
#define SHOWN_MAX   4
#define MAP_PX      320 /* long side of a map */
#define PICTURE_PX  4096
#define NET_LONG    640
#define MIN_SCORE   0.35f

struct explain {
    const void *model;
    size_t model_size;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    explain_task *first;
    pthread_t worker;
    bool ending, available;
};

/* ---------------------------------------------------------------- PNG */

static json_t *base64_json(const AVPacket *packet) {
    size_t size = AV_BASE64_SIZE((size_t)packet->size);
    char *text = malloc(size);
    json_t *json = NULL;
    if (text && av_base64_encode(text, (int)size, packet->data, packet->size))
        json = json_string(text);
    free(text);
    return json;
}

/* Colour by value, opacity too: where nothing spoke, nothing is seen. */
static void paint(AVFrame *frame, const float *map, float scale) {
    for (int y = 0; y < frame->height; y++) {
        uint8_t *row = frame->data[0] + (ptrdiff_t)frame->linesize[0] * y;
        for (int x = 0; x < frame->width; x++) {
            float v = map[(size_t)y * (size_t)frame->width + (size_t)x] * scale;
            heat_colour(HEAT_TURBO, v, row + 4 * x);
            row[4 * x + 3] = (uint8_t)(v <= 0 ? 0 : v >= 0.75f ? 190 : v / 0.75f * 190);
        }
    }
}

static json_t *png_json(const float *map, int width, int height, float scale) {
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_PNG);
    AVCodecContext *c = codec ? avcodec_alloc_context3(codec) : NULL;
    AVFrame *frame = av_frame_alloc();
    AVPacket *packet = av_packet_alloc();
    json_t *json = NULL;
    if (!c || !frame || !packet)
        goto done;
    c->width = frame->width = width;
    c->height = frame->height = height;
    c->pix_fmt = AV_PIX_FMT_RGBA;
    c->time_base = (AVRational){1, 1};
    frame->format = AV_PIX_FMT_RGBA;
    if (av_frame_get_buffer(frame, 0) < 0)
        goto done;
    paint(frame, map, scale);
    if (avcodec_open2(c, codec, NULL) == 0 && avcodec_send_frame(c, frame) == 0 &&
        avcodec_receive_packet(c, packet) == 0)
        json = base64_json(packet);
done:
    avcodec_free_context(&c);
    av_frame_free(&frame);
    av_packet_free(&packet);
    return json;
}

/* ---------------------------------------------------------------- one picture */

typedef struct {
    const explain *all;
    veil_frame frame;
    veil_explainer *explainer;
    veil_net *net;
    int net_width, net_height, map_width, map_height;
    float *map[2];
    veil_detection faces[FACES_MAX]; /* largest first */
    size_t n_faces;
} work;

static int larger(const void *a, const void *b) {
    const veil_detection *p = a, *q = b;
    float d = q->w * q->h - p->w * p->h;
    return d > 0 ? 1 : d < 0 ? -1 : 0;
}

static int to_32(double px) {
    int n = (int)(px / 32 + 0.5) * 32;
    return n < 64 ? 64 : n > NET_LONG ? NET_LONG : n;
}

static int open_net(work *w) {
    double longest = w->frame.width > w->frame.height ? w->frame.width : w->frame.height;
    veil_net_options no = {.struct_size = sizeof no, .threads = 1};
    veil_explainer_options eo;
    w->net_width = to_32(w->frame.width / longest * NET_LONG);
    w->net_height = to_32(w->frame.height / longest * NET_LONG);
    veil_explainer_options_init(&eo, sizeof eo);
    eo.model = w->all->model;
    eo.model_size = w->all->model_size;
    eo.threads = 1;
    eo.input_width = w->net_width;
    eo.input_height = w->net_height;
    int ret = veil_net_create(&w->net, w->all->model, w->all->model_size, &no);
    if (ret == VEIL_OK)
        ret = veil_net_set_size(w->net, w->net_width, w->net_height);
    if (ret == VEIL_OK)
        ret = veil_explainer_create(&w->explainer, &eo);
    return ret;
}

static json_t *face_json(work *w, const veil_detection *d, bool first) {
    static const char *const names[] = {"interview", "background"};
    veil_explanation found[2];
    float scale = 0;
    for (int i = 0; i < 2; i++) {
        veil_explain_options o = {.struct_size = sizeof o,
                                  .target = i == 0 ? VEIL_CLASS_INTERVIEW : VEIL_CLASS_BACKGROUND,
                                  .x = d->x,
                                  .y = d->y,
                                  .w = d->w,
                                  .h = d->h,
                                  .map = w->map[i],
                                  .map_width = w->map_width,
                                  .map_height = w->map_height};
        if (veil_explain(w->explainer, first && i == 0 ? &w->frame : NULL, &o, &found[i]) !=
            VEIL_OK)
            return NULL;
        scale = found[i].peak > scale ? found[i].peak : scale;
    }
    json_t *maps = json_array();
    for (int i = 0; i < 2; i++) { /* one scale for both, so that they can be compared */
        float part = scale > 0 ? found[i].peak / scale : 0;
        json_array_append_new(
            maps, json_pack("{s:s, s:f, s:f, s:o}", "class", names[i], "logit",
                            (double)found[i].logit, "peak", (double)found[i].peak, "png",
                            png_json(w->map[i], w->map_width, w->map_height, part)));
    }
    double fw = w->frame.width, fh = w->frame.height;
    return json_pack("{s:[f,f,f,f], s:f, s:f, s:o}", "box", (double)d->x / fw, (double)d->y / fh,
                     (double)d->w / fw, (double)d->h / fh, "score", (double)d->score, "interview",
                     (double)d->interview, "maps", maps);
}

static json_t *explain_frame(work *w, char *problem) {
    double longest = w->frame.width > w->frame.height ? w->frame.width : w->frame.height;
    double scale = longest > MAP_PX ? MAP_PX / longest : 1;
    w->map_width = (int)(w->frame.width * scale + 0.5);
    w->map_height = (int)(w->frame.height * scale + 0.5);
    size_t n = (size_t)w->map_width * (size_t)w->map_height;
    w->map[0] = malloc(n * sizeof(float));
    w->map[1] = malloc(n * sizeof(float));
    int ret = w->map[0] && w->map[1] ? open_net(w) : VEIL_E_NOMEM;
    if (ret == VEIL_OK)
        ret = veil_net_detect(w->net, &w->frame, MIN_SCORE, w->faces, FACES_MAX, &w->n_faces);
    if (ret != VEIL_OK) {
        snprintf(problem, CONFIG_TEXT_MAX, "%s", veil_strerror(ret));
        return NULL;
    }
    w->n_faces = w->n_faces < FACES_MAX ? w->n_faces : FACES_MAX;
    qsort(w->faces, w->n_faces, sizeof w->faces[0], larger);
    json_t *faces = json_array();
    bool first = true;
    for (size_t i = 0; i < w->n_faces && json_array_size(faces) < SHOWN_MAX; i++) {
        json_t *one = face_json(w, &w->faces[i], first);
        if (one && json_array_append_new(faces, one) == 0)
            first = false;
    }
    return json_pack("{s:i, s:i, s:I, s:o}", "width", w->frame.width, "height", w->frame.height,
                     "found", (json_int_t)w->n_faces, "faces", faces);
}

static void run(const explain *e, explain_task *task) {
    media_picture picture = {0};
    media_error err = {0};
    work w = {.all = e};
    media_input_options in = {.path = task->path,
                              .video_only = true,
                              .threads = 1,
                              .protocols = job_run_protocols,
                              .formats = job_run_formats};
    if (media_picture_load_from(&picture, &in, PICTURE_PX, &err) != 0) {
        snprintf(task->problem, sizeof task->problem, "this is no picture that can be read");
    } else {
        w.frame = (veil_frame){.plane = {picture.pixels},
                               .stride = {picture.stride},
                               .width = picture.width,
                               .height = picture.height,
                               .format = VEIL_FORMAT_RGBA};
        task->result = explain_frame(&w, task->problem);
    }
    veil_explainer_destroy(w.explainer);
    veil_net_destroy(w.net);
    free(w.map[0]);
    free(w.map[1]);
    free(picture.pixels);
}

/* ---------------------------------------------------------------- queue */

static void *worker_main(void *user) {
    explain *e = user;
    pthread_mutex_lock(&e->lock);
    for (;;) {
        explain_task *task = e->first;
        if (!task && e->ending)
            break;
        if (!task) {
            pthread_cond_wait(&e->wake, &e->lock);
            continue;
        }
        bool ending = e->ending;
        e->first = task->next;
        pthread_mutex_unlock(&e->lock);
        if (ending)
            snprintf(task->problem, sizeof task->problem, "the server ends");
        else
            run(e, task);
        unlink(task->path);
        task->done(task->user);
        pthread_mutex_lock(&e->lock);
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

explain *explain_create(const void *model, size_t model_size) {
    explain *e = calloc(1, sizeof *e);
    veil_explainer *test = NULL;
    veil_explainer_options o;
    if (!e)
        return NULL;
    veil_explainer_options_init(&o, sizeof o);
    o.model = model;
    o.model_size = model_size;
    o.threads = 1;
    e->model = model;
    e->model_size = model_size;
    e->available = veil_explainer_create(&test, &o) == VEIL_OK;
    veil_explainer_destroy(test);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->wake, NULL);
    if (pthread_create(&e->worker, NULL, worker_main, e) == 0)
        return e;
    pthread_cond_destroy(&e->wake);
    pthread_mutex_destroy(&e->lock);
    free(e);
    return NULL;
}

void explain_destroy(explain *e) {
    if (!e)
        return;
    pthread_mutex_lock(&e->lock);
    e->ending = true;
    pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->lock);
    pthread_join(e->worker, NULL);
    pthread_cond_destroy(&e->wake);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

bool explain_submit(explain *e, explain_task *task) {
    size_t n = 0;
    pthread_mutex_lock(&e->lock);
    explain_task **at = &e->first;
    for (; *at; at = &(*at)->next)
        n++;
    bool room = n < WAITING_MAX && !e->ending;
    if (room) {
        task->submitted = true;
        task->next = NULL;
        *at = task;
        pthread_cond_signal(&e->wake);
    }
    pthread_mutex_unlock(&e->lock);
    return room;
}

void explain_task_free(explain_task *task) {
    if (!task)
        return;
    if (task->fd >= 0)
        close(task->fd);
    if (!task->submitted)
        unlink(task->path);
    json_decref(task->result);
    free(task);
}

bool explain_available(const explain *e) {
    return e && e->available;
}
