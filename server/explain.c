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

static json_t *base64_json(const void *data, size_t n) {
    size_t size = AV_BASE64_SIZE(n);
    char *text = malloc(size);
    json_t *json = NULL;
    if (text && av_base64_encode(text, (int)size, data, (int)n))
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
        json = base64_json(packet->data, (size_t)packet->size);
done:
    avcodec_free_context(&c);
    av_frame_free(&frame);
    av_packet_free(&packet);
    return json;
}

/* ---------------------------------------------------------------- one picture */

typedef struct {
    veil_detection box;
    const veil_track *track; /* NULL: found in the picture */
} face;

typedef struct {
    const explain *all;
    veil_frame frame;
    veil_explainer *explainer;
    veil_net *net;
    int net_width, net_height, map_width, map_height;
    float *map[2];
    face faces[FACES_MAX]; /* visible ones first, then by size */
    size_t n_faces;
} work;

static int by_weight(const void *a, const void *b) {
    const face *p = a, *q = b;
    bool p_kept = p->track && p->track->decision == VEIL_KEEP;
    bool q_kept = q->track && q->track->decision == VEIL_KEEP;
    float d = q->box.w * q->box.h - p->box.w * p->box.h;
    return p_kept != q_kept ? (p_kept ? -1 : 1) : d > 0 ? 1 : d < 0 ? -1 : 0;
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

/* Both classes, each in its map. VEIL_E_NOT_FOUND: the network sees no face there. */
static int explain_face(work *w, const face *f, bool first, veil_explanation found[2]) {
    int ret = VEIL_OK;
    for (int i = 0; i < 2 && ret == VEIL_OK; i++) {
        veil_explain_options o = {.struct_size = sizeof o,
                                  .target = i == 0 ? VEIL_CLASS_INTERVIEW : VEIL_CLASS_BACKGROUND,
                                  .x = f->box.x,
                                  .y = f->box.y,
                                  .w = f->box.w,
                                  .h = f->box.h,
                                  .map = w->map[i],
                                  .map_width = w->map_width,
                                  .map_height = w->map_height};
        ret = veil_explain(w->explainer, first && i == 0 ? &w->frame : NULL, &o, &found[i]);
    }
    return ret;
}

static json_t *maps_json(const work *w, const veil_explanation found[2]) {
    static const char *const names[] = {"interview", "background"};
    float scale = found[0].peak > found[1].peak ? found[0].peak : found[1].peak;
    json_t *maps = json_array();
    for (int i = 0; i < 2; i++) { /* one scale for both, so that they can be compared */
        float part = scale > 0 ? found[i].peak / scale : 0;
        json_array_append_new(
            maps, json_pack("{s:s, s:f, s:f, s:o}", "class", names[i], "logit",
                            (double)found[i].logit, "peak", (double)found[i].peak, "png",
                            png_json(w->map[i], w->map_width, w->map_height, part)));
    }
    return maps;
}

static json_t *face_json(const work *w, const face *f, const veil_explanation found[2]) {
    double fw = w->frame.width, fh = w->frame.height;
    double score = found ? (double)(f->track ? found[0].score : f->box.score) : 0;
    double interview = found ? (double)(f->track ? found[0].interview : f->box.interview) : 0;
    json_t *json = json_pack("{s:[f,f,f,f], s:f, s:f, s:o}", "box", (double)f->box.x / fw,
                             (double)f->box.y / fh, (double)f->box.w / fw, (double)f->box.h / fh,
                             "score", score, "interview", interview, "maps",
                             found ? maps_json(w, found) : json_array());
    if (f->track)
        json_object_set_new(json, "track", json_integer(f->track->id));
    return json;
}

/* Boxes of tracks into px of the picture, which is smaller than their frame. */
static void take_tracks(work *w, const explain_tracks *tracks) {
    float sx = (float)w->frame.width / (float)(tracks->width > 0 ? tracks->width : 1);
    float sy = (float)w->frame.height / (float)(tracks->height > 0 ? tracks->height : 1);
    for (size_t i = 0; i < tracks->n && i < FACES_MAX; i++) {
        const veil_track *t = &tracks->track[i];
        w->faces[w->n_faces++] =
            (face){{.x = t->x * sx, .y = t->y * sy, .w = t->w * sx, .h = t->h * sy}, t};
    }
}

static int find_faces(work *w) {
    veil_detection found[FACES_MAX];
    int ret = veil_net_detect(w->net, &w->frame, MIN_SCORE, found, FACES_MAX, &w->n_faces);
    w->n_faces = w->n_faces < FACES_MAX ? w->n_faces : FACES_MAX;
    for (size_t i = 0; ret == VEIL_OK && i < w->n_faces; i++)
        w->faces[i] = (face){found[i], NULL};
    return ret;
}

static json_t *explain_frame(work *w, const explain_task *task, char *problem) {
    double longest = w->frame.width > w->frame.height ? w->frame.width : w->frame.height;
    double scale = longest > MAP_PX ? MAP_PX / longest : 1;
    w->map_width = (int)(w->frame.width * scale + 0.5);
    w->map_height = (int)(w->frame.height * scale + 0.5);
    size_t n = (size_t)w->map_width * (size_t)w->map_height;
    w->map[0] = malloc(n * sizeof(float));
    w->map[1] = malloc(n * sizeof(float));
    int ret = w->map[0] && w->map[1] ? open_net(w) : VEIL_E_NOMEM;
    if (ret == VEIL_OK && task->jpeg)
        take_tracks(w, &task->tracks);
    else if (ret == VEIL_OK)
        ret = find_faces(w);
    if (ret != VEIL_OK) {
        snprintf(problem, CONFIG_TEXT_MAX, "%s", veil_strerror(ret));
        return NULL;
    }
    qsort(w->faces, w->n_faces, sizeof w->faces[0], by_weight);
    json_t *faces = json_array();
    bool first = true;
    for (size_t i = 0; i < w->n_faces && json_array_size(faces) < SHOWN_MAX; i++) {
        veil_explanation found[2];
        ret = explain_face(w, &w->faces[i], first, found);
        first = first && ret != VEIL_OK;
        if (ret == VEIL_OK || w->faces[i].track)
            json_array_append_new(faces, face_json(w, &w->faces[i], ret == VEIL_OK ? found : NULL));
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
        task->result = explain_frame(&w, task, task->problem);
        if (task->result && task->jpeg)
            json_object_set_new(task->result, "picture", base64_json(task->jpeg, task->jpeg_size));
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

void explain_end(explain *e) {
    if (!e)
        return;
    pthread_mutex_lock(&e->lock);
    bool first = !e->ending;
    e->ending = true;
    pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->lock);
    if (first)
        pthread_join(e->worker, NULL);
}

void explain_destroy(explain *e) {
    if (!e)
        return;
    explain_end(e);
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
    free(task->jpeg);
    free(task);
}

bool explain_available(const explain *e) {
    return e && e->available;
}
