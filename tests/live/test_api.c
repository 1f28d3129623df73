/* live.h as the web page uses it: sources that are pushed and replaced, outputs that come and go,
 * previews, covering by hand; and nothing is left behind after many connections.
 * usage: test_api CLIP.ts SHORT.ts    (made by api.sh) */
#include "live.h"

#include <dirent.h>
#include <libavformat/avformat.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND 1000000000LL

static const char *clip, *short_clip;
static char folder[] = "/tmp/veil-api-XXXXXX";

static void doze(int ms) {
    nanosleep(&(struct timespec){ms / 1000, (ms % 1000) * 1000000L}, NULL);
}

static live *begin(live_options *o) {
    if (o->veil.input_width == 0) { /* small enough for sanitizers */
        o->veil.input_width = 192;
        o->veil.input_height = 128;
    }
    media_error err = {0};
    live *s = NULL;
    if (live_create(&s, o, &err) != 0 || live_start(s, &err) != 0)
        fail_msg("%s", err.text);
    return s;
}

static live_state wait_phase(live *s, live_phase phase, live_cover_reason cover) {
    live_state st;
    for (int i = 0; i < 600; i++) {
        live_get_state(s, &st);
        if (st.phase == phase && (phase != LIVE_COVERED || st.cover == cover))
            return st;
        doze(50);
    }
    fail_msg("still %s (%s), not %s: %s", live_phase_text(st.phase), live_cover_text(st.cover),
             live_phase_text(phase), st.problem);
    return st;
}

static int64_t frames_of(const char *path, int *width) {
    AVFormatContext *f = NULL;
    AVPacket *p = av_packet_alloc();
    int64_t n = 0;
    if (avformat_open_input(&f, path, NULL, NULL) == 0) {
        avformat_find_stream_info(f, NULL);
        int v = av_find_best_stream(f, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
        while (av_read_frame(f, p) >= 0) {
            n += p->stream_index == v;
            av_packet_unref(p);
        }
        if (v >= 0 && width)
            *width = f->streams[v]->codecpar->width;
        avformat_close_input(&f);
    }
    av_packet_free(&p);
    return n;
}

static int flatness(const live_picture *p) {
    int least = 255, most = 0;
    for (int y = 0; y < p->height; y++) {
        for (int x = 0; x < p->width; x++) {
            int v = p->plane[0][y * p->stride[0] + x];
            least = v < least ? v : least;
            most = v > most ? v : most;
        }
    }
    return most - least;
}

static void test_preview(void **state) {
    (void)state;
    live_options o;
    media_error err = {0};
    live_preview *p, *q;
    live_picture a, b;
    live_options_init(&o);
    o.source = (live_source){.url = clip, .realtime = true, .loop = true};
    live *s = begin(&o);
    assert_int_equal(live_preview_open(&p, s, 320, 1000, 0, &err), 0);
    assert_int_equal(live_preview_open(&q, s, 160, 160, 80, &err), 0);
    wait_phase(s, LIVE_PROTECTING, LIVE_COVER_NONE);
    assert_int_equal(live_preview_next(p, 10 * SECOND, &a, &err), 1);
    assert_int_equal(a.width, 320);
    assert_int_equal(a.height, 180);
    assert_int_equal(a.frame_width, 640);
    assert_true(flatness(&a) > 50);
    assert_true(a.n_tracks > 0); /* the clip is full of faces */
    assert_int_equal(a.result.n_hidden + a.result.n_kept > 0, 1);
    uint64_t serial = a.serial;
    assert_int_equal(live_preview_next(p, 10 * SECOND, &b, &err), 1);
    assert_true(b.serial > serial);
    assert_int_equal(live_preview_next(q, 10 * SECOND, &b, &err), 1);
    assert_true(b.width == 160 && b.height == 90 && b.jpeg_size > 500);
    assert_true(b.jpeg[0] == 0xff && b.jpeg[1] == 0xd8 && b.jpeg[b.jpeg_size - 1] == 0xd9);
    /* A viewer that sleeps misses frames and slows nothing. */
    live_state before, after;
    live_get_state(s, &before);
    doze(1000);
    live_get_state(s, &after);
    assert_true(after.frames_out - before.frames_out >= 15);

    live_cover(s, true);
    wait_phase(s, LIVE_COVERED, LIVE_COVER_PANIC);
    do
        assert_int_equal(live_preview_next(p, 10 * SECOND, &a, &err), 1);
    while (!a.result.covered);
    assert_true(flatness(&a) < 8);
    live_cover(s, false);
    wait_phase(s, LIVE_PROTECTING, LIVE_COVER_NONE);
    live_stop(s);
    assert_true(live_wait(s, 20 * SECOND));
    while (live_preview_next(p, SECOND, &a, &err) > 0)
        ;
    assert_int_equal(live_preview_next(p, SECOND, &a, &err), -1);
    live_preview_close(p);
    live_preview_close(q);
    assert_int_equal(live_result(s, &err), 0);
    live_destroy(s);
}

typedef struct {
    FILE *f;
    atomic_int closed;
} pushed;

/* At about the speed of the clip, as a browser's camera would come. */
static int read_pushed(void *user, uint8_t *data, int size, bool (*cancelled)(void *session),
                       void *session) {
    pushed *p = user;
    if (cancelled(session))
        return -1;
    doze(20);
    return (int)fread(data, 1, (size_t)(size < 8192 ? size : 8192), p->f);
}

static void close_pushed(void *user) {
    pushed *p = user;
    fclose(p->f);
    atomic_fetch_add(&p->closed, 1);
}

static void test_pushed_source_and_outputs(void **state) {
    (void)state;
    live_options o;
    media_error err = {0};
    pushed p = {.f = fopen(clip, "rb")};
    char first[64], second[64];
    assert_non_null(p.f);
    snprintf(first, sizeof first, "%s/first.mkv", folder);
    snprintf(second, sizeof second, "%s/second.mp4", folder);
    live_output out = {.url = first, .overwrite = true};
    live_options_init(&o);
    o.source = (live_source){.read = read_pushed, .close = close_pushed, .user = &p};
    o.outputs = &out;
    o.n_outputs = 1;
    o.stay = true;
    live *s = begin(&o);
    live_state st = wait_phase(s, LIVE_PROTECTING, LIVE_COVER_NONE);
    assert_int_equal(st.width, 640);

    out.url = second;
    int id = live_add_output(s, &out, &err);
    assert_true(id > 1);
    doze(1500);
    live_get_state(s, &st);
    assert_int_equal(st.n_outputs, 2);
    assert_true(st.outputs[1].up);
    assert_int_equal(live_remove_output(s, id, &err), 0);
    assert_true(frames_of(second, NULL) > 10); /* whole by now */
    assert_int_equal(live_remove_output(s, id, &err), -1);

    wait_phase(s, LIVE_COVERED, LIVE_COVER_INPUT); /* it has ended; the session stays */
    live_source other = {.url = short_clip, .realtime = true, .loop = true};
    assert_int_equal(live_set_source(s, &other, &err), 0);
    st = wait_phase(s, LIVE_PROTECTING, LIVE_COVER_NONE);
    assert_int_equal(atomic_load(&p.closed), 1);
    assert_string_equal(st.input, short_clip);
    assert_int_equal(st.width, 640); /* of the outputs, whatever the source */
    doze(500);
    live_stop(s);
    assert_true(live_wait(s, 20 * SECOND));
    assert_int_equal(live_result(s, &err), 0);
    live_destroy(s);
    int width = 0;
    assert_true(frames_of(first, &width) > 60);
    assert_int_equal(width, 640);
    assert_int_equal(atomic_load(&p.closed), 1);
    unlink(first);
    unlink(second);
}

static int entries(const char *path) {
    DIR *d = opendir(path);
    int n = 0;
    while (d && readdir(d))
        n++;
    closedir(d);
    return n;
}

/* 200 connections, and 200 failed ones: no descriptor, no thread stays. */
static void test_nothing_is_left(void **state) {
    (void)state;
    live_options o;
    media_error err = {0};
    live_state st;
    live_options_init(&o);
    o.veil.lookahead_ns = 0;
    o.veil.input_width = o.veil.input_height = 64;
    o.threads = 1;
    o.source = (live_source){.url = short_clip, .loop = true};
    live *s = begin(&o);
    int64_t of_one = frames_of(short_clip, NULL);
    int descriptors = 0, threads = 0;
    do {
        doze(20);
        live_get_state(s, &st);
        if (descriptors == 0 && st.frames_in > 20 * of_one) {
            descriptors = entries("/proc/self/fd");
            threads = entries("/proc/self/task");
        }
    } while (st.frames_in < 220 * of_one);
    assert_in_range(entries("/proc/self/fd"), 1, descriptors + 1);
    assert_int_equal(entries("/proc/self/task"), threads);

    live_source gone = {.url = "tcp://127.0.0.1:9"};
    live_destroy(s);
    o.source = gone;
    o.retry_min_ns = o.retry_max_ns = SECOND / 1000;
    s = begin(&o);
    descriptors = entries("/proc/self/fd");
    do {
        doze(20);
        live_get_state(s, &st);
    } while (st.reconnects < 200);
    assert_in_range(entries("/proc/self/fd"), 1, descriptors + 2);
    assert_true(st.problem[0] != '\0');
    live_destroy(s);
    (void)err;
}

static void test_wrong_use(void **state) {
    (void)state;
    live_options o;
    media_error err = {0};
    live *s = NULL;
    live_output bad = {.url = "x.nothing"};
    live_options_init(&o);
    o.outputs = &bad;
    o.n_outputs = 1;
    assert_int_equal(live_create(&s, &o, &err), -1);
    assert_null(s);
    assert_true(err.text[0] != '\0');
    o.n_outputs = 0;
    o.width = 33;
    o.height = 20;
    err.text[0] = '\0';
    assert_int_equal(live_create(&s, &o, &err), -1);
    o.width = o.height = 0;
    err.text[0] = '\0';
    if (live_create(&s, &o, &err) != 0) /* waits for a source */
        fail_msg("%s", err.text);
    live_destroy(s); /* never started */
    live_destroy(NULL);
    live_preview_close(NULL);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_use),
        cmocka_unit_test(test_preview),
        cmocka_unit_test(test_pushed_source_and_outputs),
        cmocka_unit_test(test_nothing_is_left),
    };
    if (argc != 3 || !mkdtemp(folder))
        return 2;
    clip = argv[1];
    short_clip = argv[2];
    media_log_init(false);
    int ret = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return ret;
}
