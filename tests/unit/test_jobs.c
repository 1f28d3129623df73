/* jobs.c: what was brought and what came of it are gone when their time is over, also while another
 * job is at work; what is kept never takes more room than it may. */
#include "jobs.h"

#include "http.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define KEEP_S 1
#define SIDE   64
#define MS     1000000

#define UPLOAD_BYTES (54 + 3 * SIDE * SIDE)

typedef struct {
    char folder[64];
    jobs *jobs;
    pthread_t caller;
    atomic_bool hold; /* the worker stands still before and after a job */
} fixture;

static void nap(long ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * MS}, NULL);
}

static void on_changed(void *user) {
    fixture *f = user;
    while (atomic_load(&f->hold) && !pthread_equal(pthread_self(), f->caller))
        nap(5);
}

static int set_up_with(void **state, int64_t disk_max) {
    fixture *f = calloc(1, sizeof *f);
    media_error err = {0};
    f->caller = pthread_self();
    snprintf(f->folder, sizeof f->folder, "/tmp/veil-jobs-XXXXXX");
    jobs_options o = {.folder = mkdtemp(f->folder),
                      .upload_max = 1 << 20,
                      .disk_max = disk_max,
                      .waiting_max = 4,
                      .keep_s = KEEP_S,
                      .changed = on_changed,
                      .user = f};
    *state = f;
    return o.folder && jobs_create(&f->jobs, &o, &err) == 0 ? 0 : -1;
}

static int set_up(void **state) {
    return set_up_with(state, 1 << 24);
}

static int set_up_small(void **state) {
    return set_up_with(state, UPLOAD_BYTES * 3 / 2);
}

static int tear_down(void **state) {
    fixture *f = *state;
    atomic_store(&f->hold, false);
    jobs_destroy(f->jobs);
    int left = rmdir(f->folder); /* fails while there is a file in it */
    free(f);
    return left;
}

static size_t count_files(const fixture *f, const char *id) {
    size_t n = 0;
    DIR *d = opendir(f->folder);
    const struct dirent *e;
    while (d && (e = readdir(d)))
        n += strncmp(e->d_name, id, strlen(id)) == 0;
    closedir(d);
    return n;
}

static void put(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* A BMP picture of grey stripes. */
static void upload(fixture *f, char id[JOBS_ID_SIZE]) {
    static uint8_t bytes[UPLOAD_BYTES];
    char problem[CONFIG_TEXT_MAX] = "";
    config settings;
    jobs_upload *u;
    memcpy(bytes, "BM", 2);
    put(bytes + 2, sizeof bytes);
    put(bytes + 10, 54);
    put(bytes + 14, 40);
    put(bytes + 18, SIDE);
    put(bytes + 22, SIDE);
    put(bytes + 26, 1 | 24 << 16);
    for (size_t i = 54; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i / 3 % SIDE * 4);
    config_init(&settings);
    assert_int_equal(jobs_begin(f->jobs, "a.bmp", &settings, sizeof bytes, &u, problem), 0);
    assert_int_equal(jobs_write(u, (const char *)bytes, sizeof bytes, problem), 0);
    assert_int_equal(jobs_commit(u, id, problem), 0);
    jobs_upload_free(u);
}

static bool is(fixture *f, const char *id, const char *wanted) {
    json_t *json = jobs_one_json(f->jobs, id);
    const char *word = json_string_value(json_object_get(json, "state"));
    bool same = word && strcmp(word, wanted) == 0;
    json_decref(json);
    return same;
}

static void wait_until(fixture *f, const char *id, const char *wanted) {
    for (int i = 0; i < 6000 && !is(f, id, wanted); i++)
        nap(10);
}

static int open_it(fixture *f, const char *id, bool report) {
    jobs_file file;
    int status = jobs_open(f->jobs, id, report, &file);
    if (file.fd >= 0)
        close(file.fd);
    return status;
}

static void test_results_go_by_themselves(void **state) {
    fixture *f = *state;
    char id[JOBS_ID_SIZE];
    int64_t begun_ns = http_now_ns();
    upload(f, id);
    wait_until(f, id, "done");
    assert_int_equal(count_files(f, id), 2); /* result and report; what was brought is gone */
    assert_true(is(f, id, "done"));
    assert_int_equal(open_it(f, id, false), 0);
    assert_int_equal(open_it(f, id, true), 0);
    for (int i = 0; i < 6000 && count_files(f, id) > 0; i++)
        nap(10); /* nobody asks: the worker does it */
    assert_int_equal(count_files(f, id), 0);
    assert_true(http_now_ns() - begun_ns >= KEEP_S * INT64_C(1000000000));
    assert_null(jobs_one_json(f->jobs, id));
    assert_int_equal(open_it(f, id, false), MHD_HTTP_NOT_FOUND);
}

static void test_another_job_does_not_prolong_it(void **state) {
    fixture *f = *state;
    char first[JOBS_ID_SIZE], second[JOBS_ID_SIZE];
    upload(f, first);
    wait_until(f, first, "done");
    atomic_store(&f->hold, true); /* the next one takes for ever */
    upload(f, second);
    nap(KEEP_S * 1000 + 50);
    assert_int_equal(open_it(f, first, false), MHD_HTTP_NOT_FOUND);
    assert_int_equal(count_files(f, first), 0);
}

/* One upload and a half fit. */
static void test_room_is_limited(void **state) {
    static const char bytes[UPLOAD_BYTES] = "BM";
    fixture *f = *state;
    char id[JOBS_ID_SIZE], problem[CONFIG_TEXT_MAX] = "";
    config settings;
    jobs_upload *u;
    config_init(&settings);
    atomic_store(&f->hold, true);
    upload(f, id);
    assert_int_equal(jobs_begin(f->jobs, "b", &settings, sizeof bytes, &u, problem),
                     MHD_HTTP_INSUFFICIENT_STORAGE);
    assert_null(u);
    /* one that does not say how large it is */
    assert_int_equal(jobs_begin(f->jobs, "b", &settings, -1, &u, problem), 0);
    assert_int_equal(jobs_write(u, bytes, sizeof bytes, problem), MHD_HTTP_INSUFFICIENT_STORAGE);
    assert_string_equal(problem, "the room for results is full");
    jobs_upload_free(u);
    assert_int_equal(count_files(f, id), 1); /* of the first one alone, and nothing else */
    assert_int_equal(count_files(f, ""), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_results_go_by_themselves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_job_does_not_prolong_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_room_is_limited, set_up_small, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
