/* Three threads and two bounded queues. The first failure is kept, the rest of the run is thrown
 * away, and with it the unfinished output. */
#include "pipeline.h"

#include "convert.h"
#include "orient.h"
#include "queue.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Frames between the threads: enough to level out their speeds, little memory. */
#define RAW_FRAMES   6
#define SHOWN_FRAMES 6

/* Towards the output: one of the two. */
typedef struct {
    media_shown *shown;
    AVPacket *packet;
} item;

typedef struct {
    const pipeline_options *options;
    media_input *input;
    media_output *output;
    convert *convert;
    orient *orient;
    stage *stage;
    queue *raw;   /* AVFrame, decoded: to analysis */
    queue *ready; /* item: to the output */
    AVFrame *first;
    pthread_t reader, writer;
    bool has_reader, has_writer;
    atomic_bool reader_done;
    pthread_mutex_t lock; /* of err */
    media_error *err;
    pipeline_result *result;
} pipeline;

static void free_frame(void *pointer) {
    AVFrame *frame = pointer;
    av_frame_free(&frame);
}

static void free_item(void *pointer) {
    item *it = pointer;
    media_shown_free(it->shown);
    av_packet_free(&it->packet);
    free(it);
}

/* Keeps the first failure and stops the other threads. */
static int failed(pipeline *p, const media_error *why) {
    int none = 0;
    pthread_mutex_lock(&p->lock);
    if (atomic_compare_exchange_strong(p->options->stop, &none, PIPELINE_FAILED))
        media_fail(p->err, "%s", why->text);
    pthread_mutex_unlock(&p->lock);
    return -1;
}

static int put_item(pipeline *p, media_shown *shown, AVPacket *packet) {
    item *it = malloc(sizeof *it);
    if (it) {
        *it = (item){shown, packet};
        /* Packets must not wait: the frames they would wait for come from the same reader. */
        if (packet ? queue_put_now(p->ready, it) : queue_put(p->ready, it))
            return 0;
    }
    media_shown_free(shown);
    av_packet_free(&packet);
    free(it);
    return -1;
}

static int forward_packet(pipeline *p, AVPacket *packet) {
    if (!p->output) {
        av_packet_unref(packet);
        return 0;
    }
    AVPacket *own = av_packet_alloc();
    if (!own)
        return -1;
    av_packet_move_ref(own, packet);
    return put_item(p, NULL, own);
}

/* Makes the frame writable and what libveil wants, and hands it on. Takes it over. */
static int forward_frame(pipeline *p, AVFrame *frame, media_error *err) {
    if ((p->orient && orient_frame(p->orient, frame, err) != 0) ||
        convert_frame(p->convert, frame, err) != 0 || !queue_put(p->raw, frame)) {
        av_frame_free(&frame);
        return -1;
    }
    return 0;
}

static int read_all(pipeline *p, media_error *err) {
    AVFrame *frame = p->first;
    AVPacket *packet = av_packet_alloc();
    p->first = NULL;
    int ret = packet ? forward_frame(p, frame, err) : media_fail(err, "out of memory");
    /* Of a picture file there is one frame; what follows would be another file. */
    while (ret == 0 && !media_input_is_picture(p->input)) {
        frame = av_frame_alloc();
        if (!frame) {
            ret = media_fail(err, "out of memory");
            break;
        }
        int kind = media_input_read(p->input, frame, packet, err);
        if (kind == MEDIA_ITEM_FRAME) {
            ret = forward_frame(p, frame, err);
            continue;
        }
        av_frame_free(&frame);
        if (kind == MEDIA_ITEM_END)
            break;
        ret = kind == MEDIA_ITEM_PACKET ? forward_packet(p, packet) : -1;
    }
    av_packet_free(&packet);
    return ret;
}

static void *reader_main(void *pointer) {
    pipeline *p = pointer;
    media_error err = {0};
    if (read_all(p, &err) != 0)
        failed(p, &err);
    queue_end(p->raw);
    atomic_store(&p->reader_done, true);
    return NULL;
}

static void *writer_main(void *pointer) {
    pipeline *p = pointer;
    media_error err = {0};
    void *next;
    while (queue_get(p->ready, &next)) {
        item *it = next;
        int ret = it->shown ? media_output_frame(p->output, it->shown, &err)
                            : media_output_packet(p->output, it->packet, &err);
        free_item(it);
        if (ret != 0) {
            failed(p, &err);
            break;
        }
    }
    return NULL;
}

/* libveil refuses such sizes too, but only after memory was spent on them. */
static int check_size(int width, int height, media_error *err) {
    if (width >= VEIL_SIZE_MIN && height >= VEIL_SIZE_MIN && width <= VEIL_SIZE_MAX &&
        height <= VEIL_SIZE_MAX)
        return 0;
    return media_fail(err, "the picture is %dx%d px; veil takes %d to %d px each way", width,
                      height, VEIL_SIZE_MIN, VEIL_SIZE_MAX);
}

static void report_no_frame(const pipeline *p, media_error *err) {
    const char *path = p->options->input.path;
    const char *format = media_input_context(p->input)->iformat->name;
    /* An index at the end cannot be reached in a pipe, and by then the frames have gone by. */
    if (strcmp(path, "-") == 0 && strncmp(format, "mov,", 4) == 0)
        media_fail(err, "this MP4 cannot be read from a pipe, since its index comes last; name the "
                        "file, or make it with -movflags +faststart");
    else
        media_fail_av(err, AVERROR_INVALIDDATA, "'%s': no frame can be decoded",
                      strcmp(path, "-") == 0 ? "standard input" : path);
}

/* Opens everything that needs to have seen the first frame; packets before it are kept. */
static int begin(pipeline *p, media_error *err) {
    const pipeline_options *o = p->options;
    AVPacket *packet = av_packet_alloc();
    AVPacket **early = NULL;
    size_t n_early = 0, capacity = 0;
    int ret = -1;
    p->first = av_frame_alloc();
    if (!packet || !p->first) {
        media_fail(err, "out of memory");
        goto done;
    }
    const AVCodecParameters *par = media_input_video(p->input)->codecpar;
    if (check_size(par->width, par->height, err) != 0)
        goto done;
    int kind;
    while ((kind = media_input_read(p->input, p->first, packet, err)) == MEDIA_ITEM_PACKET) {
        if (n_early == capacity) {
            capacity = capacity > 0 ? 2 * capacity : 64;
            AVPacket **more = realloc(early, capacity * sizeof(AVPacket *));
            if (!more) {
                media_fail(err, "out of memory");
                goto done;
            }
            early = more;
        }
        early[n_early] = av_packet_clone(packet);
        av_packet_unref(packet);
        if (!early[n_early++]) {
            media_fail(err, "out of memory");
            goto done;
        }
    }
    if (kind != MEDIA_ITEM_FRAME) {
        report_no_frame(p, err);
        goto done;
    }
    if (check_size(p->first->width, p->first->height, err) != 0)
        goto done;
    if (o->output && media_output_open(&p->output, o->output, p->input, p->first, err) != 0)
        goto done;
    for (size_t i = 0; i < n_early; i++) {
        if (forward_packet(p, early[i]) != 0)
            goto done;
    }
    ret = 0;
done:
    for (size_t i = 0; i < n_early; i++)
        av_packet_free(&early[i]);
    free(early);
    av_packet_free(&packet);
    return ret;
}

static int make_stages(pipeline *p, pipeline_start *start, media_error *err) {
    const pipeline_options *o = p->options;
    const AVStream *video = media_input_video(p->input);
    const int32_t *matrix = media_input_matrix(p->input);
    enum AVPixelFormat format = p->output ? media_output_format(p->output)
                                          : frame_map_nearest((enum AVPixelFormat)p->first->format);
    bool turns = p->output && media_output_turns(p->output);
    int rotation = orient_rotation(matrix);
    bool swap = turns && (rotation == 90 || rotation == 270);
    *start = (pipeline_start){
        .width = swap ? p->first->height : p->first->width,
        .height = swap ? p->first->width : p->first->height,
        .rotation = turns ? 0 : rotation,
        .turned = turns ? rotation : 0,
        .mirrored = turns && orient_mirrors(matrix),
        .time_base = video->time_base,
        .rate = media_input_rate(p->input),
        .expected_frames = media_input_expected_frames(p->input),
        .is_picture = media_input_is_picture(p->input),
        .codec = p->output ? media_output_codec(p->output) : NULL,
        .loss = p->output ? media_output_loss(p->output) : NULL,
    };
    stage_options so = {.veil = o->veil,
                        .time_base = video->time_base,
                        .rotation = start->rotation,
                        .hold = o->hold && !start->is_picture,
                        .masks = o->masks,
                        .user = o->user};
    if (turns && orient_create(&p->orient, matrix, err) != 0)
        return -1;
    if (convert_create(&p->convert, format, start->width, start->height, err) != 0)
        return -1;
    return stage_create(&p->stage, &so, err);
}

static int deliver(pipeline *p, media_shown *shown, media_error *err) {
    const pipeline_options *o = p->options;
    p->result->n_frames++;
    if (shown->result.covered)
        p->result->n_covered++;
    if (o->on_frame && o->on_frame(o->user, shown, err) != 0) {
        media_shown_free(shown);
        return -1;
    }
    if (!p->output) {
        media_shown_free(shown);
        return 0;
    }
    return put_item(p, shown, NULL);
}

static int receive_all(pipeline *p, media_error *err) {
    media_shown *shown;
    int ret;
    while ((ret = stage_receive(p->stage, &shown, err)) == 1) {
        if (deliver(p, shown, err) != 0)
            return -1;
    }
    return ret;
}

static int analyse(pipeline *p, media_error *err) {
    void *next;
    while (queue_get(p->raw, &next)) {
        AVFrame *frame = next;
        int ret = stage_send(p->stage, frame, err);
        if (ret == 1) { /* full: make room, then it must fit */
            ret = receive_all(p, err) == 0 ? stage_send(p->stage, frame, err) : -1;
            if (ret == 1)
                ret = media_fail(err, "internal: libveil is full and gives nothing back");
        }
        av_frame_free(&frame);
        if (ret != 0 || receive_all(p, err) != 0)
            return -1;
    }
    if (atomic_load(p->options->stop) != 0)
        return -1;
    return stage_flush(p->stage, err) == 0 ? receive_all(p, err) : -1;
}

static void join_reader(pipeline *p) {
    /* A read that waits for data ends when a signal comes. */
    while (p->options->wake_signal != 0 && atomic_load(p->options->stop) != 0 &&
           !atomic_load(&p->reader_done)) {
        pthread_kill(p->reader, p->options->wake_signal);
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    pthread_join(p->reader, NULL);
}

static int run_threads(pipeline *p, media_error *err) {
    p->has_writer = p->output && pthread_create(&p->writer, NULL, writer_main, p) == 0;
    p->has_reader = pthread_create(&p->reader, NULL, reader_main, p) == 0;
    int ret;
    if (!p->has_reader || (p->output && !p->has_writer))
        ret = media_fail(err, "a thread could not be started");
    else
        ret = analyse(p, err);
    if (ret != 0)
        failed(p, err);
    queue_end(p->ready);
    if (p->has_reader)
        join_reader(p);
    if (p->has_writer)
        pthread_join(p->writer, NULL);
    return atomic_load(p->options->stop) != 0 ? -1 : 0;
}

static int finish(pipeline *p, media_error *err) {
    pipeline_result *r = p->result;
    r->n_lost = media_input_lost(p->input);
    r->n_mended = media_input_mended(p->input);
    if (media_input_truncated(p->input, &r->cut) && !p->options->allow_truncated)
        return media_fail(err, "'%s' is truncated: %s; --allow-truncated takes what there is",
                          p->options->input.path, r->cut);
    return p->output ? media_output_finish(p->output, err) : 0;
}

int pipeline_run(const pipeline_options *options, pipeline_result *result, media_error *err) {
    *result = (pipeline_result){0};
    pipeline p = {.options = options, .err = err, .result = result};
    media_error local = {0};
    pipeline_start start;
    int ret = -1;
    pthread_mutex_init(&p.lock, NULL);
    p.raw = queue_create(RAW_FRAMES, free_frame, options->stop);
    p.ready = queue_create(SHOWN_FRAMES, free_item, options->stop);
    if (!p.raw || !p.ready)
        media_fail(&local, "out of memory");
    else if (media_input_open(&p.input, &options->input, &local) == 0 && begin(&p, &local) == 0 &&
             make_stages(&p, &start, &local) == 0 &&
             (!options->on_start || options->on_start(options->user, &start, &local) == 0) &&
             run_threads(&p, &local) == 0 && finish(&p, &local) == 0)
        ret = 0;
    if (ret != 0)
        failed(&p, &local);
    av_frame_free(&p.first);
    stage_destroy(p.stage);
    queue_destroy(p.raw);
    queue_destroy(p.ready);
    convert_destroy(p.convert);
    orient_destroy(p.orient);
    media_output_close(p.output);
    media_input_close(p.input);
    pthread_mutex_destroy(&p.lock);
    return ret;
}
