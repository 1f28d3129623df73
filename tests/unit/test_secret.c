/* secret.c: nothing that only its owner may know is left in a text for people. */
#include "secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void check(const char *text, const char *expected) {
    char out[256];
    secret_mask(out, sizeof out, text);
    assert_string_equal(out, expected);
}

static void test_addresses(void **state) {
    (void)state;
    check("rtsp://admin:pa:ss@10.0.0.2:554/stream1", "rtsp://***@10.0.0.2:554/stream1");
    check("rtsp://admin:p@ss@cam/1", "rtsp://***@cam/1");
    check("rtmp://host/live/key", "rtmp://host/live/***");
    check("rtmps://host:443/app/inst/key?a=1", "rtmps://host:443/app/inst/***?a=1");
    check("rtmp://host/live", "rtmp://host/live");
    check("srt://h:9?mode=caller&passphrase=abc&latency=120",
          "srt://h:9?mode=caller&passphrase=***&latency=120");
    check("srt://h:9?streamid=publish:x:y", "srt://h:9?streamid=***");
    check("https://h/x.m3u8?Token=a&TOKEN2=b&v=3", "https://h/x.m3u8?Token=***&TOKEN2=***&v=3");
    check("udp://239.0.0.1:5000", "udp://239.0.0.1:5000");
    check("file.mp4", "file.mp4");
    check("", "");
}

static void test_inside_texts(void **state) {
    (void)state;
    check("cannot open 'rtmp://h/a/key': Connection refused",
          "cannot open 'rtmp://h/a/***': Connection refused");
    check("from rtsp://u:p@h/1 to srt://h:1?pass=x twice",
          "from rtsp://***@h/1 to srt://h:1?pass=*** twice");
    check("://", "://");
    check("x://@", "x://***@");
}

static void test_short_room(void **state) {
    const char *text = "rtmp://user:secret@host/live/key?token=abc";
    (void)state;
    for (size_t size = 0; size < 60; size++) {
        char out[61];
        memset(out, 'x', sizeof out);
        secret_mask(out, size, text);
        if (size > 0)
            assert_true(strlen(out) < size);
        else
            assert_int_equal(out[0], 'x');
        assert_int_equal(out[size], 'x');
        out[size] = '\0';
        assert_null(strstr(out, "secret"));
        assert_null(strstr(out, "key"));
        assert_null(strstr(out, "abc"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_inside_texts),
        cmocka_unit_test(test_short_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
