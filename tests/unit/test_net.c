/* veil_net_*: the public face of the engine. Arguments are checked, a model without faces is still
 * a network, outputs and layers can be asked for. */
#include "nets.h"
#include "veil.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static veil_net *make(net_kind kind, const veil_net_options *o) {
    size_t size;
    uint8_t *bytes = net_make(kind, 2, &size);
    assert_non_null(bytes);
    veil_net *net = NULL;
    assert_int_equal(veil_net_create(&net, bytes, size, o), VEIL_OK);
    free(bytes);
    return net;
}

static void runs(void **state) {
    (void)state;
    veil_net_options o = {.struct_size = sizeof o, .threads = 2, .keep_all = 1};
    veil_net *net = make(NET_INTEGER, &o);
    assert_null(veil_net_input(net));
    assert_int_equal(veil_net_run(net), VEIL_E_STATE);
    assert_int_equal(veil_net_set_size(net, 64, 32), VEIL_OK);
    memset(veil_net_input(net), 90, 64 * 32 * 4);
    assert_int_equal(veil_net_run(net), VEIL_OK);
    assert_int_equal(veil_net_outputs(net), 2);
    veil_tensor t;
    assert_int_equal(veil_net_output(net, 0, &t), VEIL_OK);
    assert_string_equal(t.name, "head");
    assert_int_equal(t.channels, 6);
    assert_int_equal(t.width, 16);
    assert_int_equal(t.height, 8);
    assert_int_equal(t.stride, 4);
    assert_int_equal(t.is_u8, 0);
    assert_int_equal(veil_net_tensor(net, 1, &t), VEIL_OK);
    assert_string_equal(t.name, "stem");
    assert_int_equal(t.is_u8, 1);
    veil_layer l;
    assert_int_equal(veil_net_layer(net, 0, &l), VEIL_OK);
    assert_string_equal(l.name, "stem");
    assert_string_equal(l.op, "conv3x3");
    assert_int_equal(l.output, 1);
    assert_string_equal(veil_net_meta(net, "name"), "test");
    assert_string_equal(veil_net_meta_key(net, 0), "name");
    size_t arena, weights;
    assert_int_equal(veil_net_memory(net, &arena, &weights), VEIL_OK);
    veil_net_destroy(net);
}

static void models_have_names(void **state) {
    (void)state;
    size_t size = 7;
    assert_null(veil_model_builtin("veil-q", &size));
    assert_int_equal(size, 0);
    assert_null(veil_model_builtin(NULL, &size));
    assert_null(veil_model_builtin("veil-n", NULL));
    veil_net *net = NULL;
    if (veil_model_builtin("veil-n", &size) == NULL) { /* a library without models */
        assert_null(veil_model_builtin("veil-p", &size));
        assert_int_equal(veil_net_create(&net, NULL, 0, NULL), VEIL_E_MODEL);
        return;
    }
    static const char *const names[] = {NULL, "veil-n", "veil-p"};
    for (size_t i = 0; i < 3; i++) {
        const void *model = names[i] == NULL ? NULL : veil_model_builtin(names[i], &size);
        assert_int_equal(veil_net_create(&net, model, size, NULL), VEIL_OK);
        assert_string_equal(veil_net_meta(net, "name"), names[i] == NULL ? "veil-n" : names[i]);
        veil_net_destroy(net);
    }
}

static void arguments_are_checked(void **state) {
    (void)state;
    static const uint8_t junk[300] = {1, 2, 3};
    veil_net *net = NULL;
    assert_int_equal(veil_net_create(NULL, junk, sizeof junk, NULL), VEIL_E_ARG);
    assert_int_equal(veil_net_create(&net, junk, sizeof junk, NULL), VEIL_E_MODEL);
    assert_null(net);
    veil_net_options o = {.struct_size = sizeof o, .profile = 1};
    assert_int_equal(veil_net_create(&net, junk, sizeof junk, &o), VEIL_E_ARG); /* no clock */
    o = (veil_net_options){.struct_size = sizeof o, .threads = -1};
    assert_int_equal(veil_net_create(&net, junk, sizeof junk, &o), VEIL_E_ARG);
    o = (veil_net_options){.struct_size = 1};
    assert_int_equal(veil_net_create(&net, junk, sizeof junk, &o), VEIL_E_ARG);
    veil_tensor t;
    assert_int_equal(veil_net_run(NULL), VEIL_E_ARG);
    assert_int_equal(veil_net_set_size(NULL, 64, 64), VEIL_E_ARG);
    assert_int_equal(veil_net_output(NULL, 0, &t), VEIL_E_ARG);
    assert_null(veil_net_input(NULL));
    assert_null(veil_net_meta(NULL, "name"));
    veil_net_destroy(NULL);
    net = make(NET_FLOAT, NULL);
    assert_int_equal(veil_net_output(net, 0, NULL), VEIL_E_ARG);
    assert_int_equal(veil_net_set_size(net, 65, 64), VEIL_E_SIZE);
    assert_null(veil_net_meta(net, "absent"));
    veil_net_destroy(net);
}

/* Its outputs are not a detector's: running works, finding faces is refused. */
static void a_model_without_faces(void **state) {
    (void)state;
    veil_net *net = make(NET_FLOAT, NULL);
    static uint8_t pixels[64 * 64 * 3];
    veil_frame f = {.plane = {pixels},
                    .stride = {64 * 3},
                    .width = 64,
                    .height = 64,
                    .format = VEIL_FORMAT_RGB24};
    veil_detection d[4];
    size_t n = 9;
    assert_int_equal(veil_net_detect(net, &f, 0.5f, d, 4, &n), VEIL_E_MODEL);
    assert_int_equal(n, 0);
    assert_int_equal(veil_net_detect(net, NULL, 0.5f, d, 4, &n), VEIL_E_ARG);
    veil_net_destroy(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs),
        cmocka_unit_test(models_have_names),
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(a_model_without_faces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
