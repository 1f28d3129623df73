/* eval_net.c - runs the network through the public functions, as any user of the library would. */
#include "eval_net.h"

#include "levels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int evnet_size_parse(const char *text, evnet_size *out) {
    int a = 0, b = 0;
    char rest;
    *out = (evnet_size){0};
    if (!strcmp(text, "source"))
        return 0;
    int n = sscanf(text, "%dx%d%c", &a, &b, &rest);
    if (n == 2 && a >= 32 && b >= 32 && a <= 4096 && b <= 4096 && a % 32 == 0 && b % 32 == 0) {
        out->width = a;
        out->height = b;
        return 0;
    }
    if (sscanf(text, "%d%c", &a, &rest) == 1 && a >= 32 && a <= 4096) {
        out->long_side = a;
        return 0;
    }
    return evio_say("--size is 32..4096, WxH in multiples of 32, or \"source\", not \"%s\"", text);
}

static int up_to_32(double px) {
    int n = (int)lround(px);
    n = n < 1 ? 1 : n;
    n = (n + 31) / 32 * 32;
    return n > 4096 ? 4096 : n;
}

void evnet_shape(const evnet_size *size, int width, int height, int *net_width, int *net_height) {
    if (size->width) {
        *net_width = size->width;
        *net_height = size->height;
        return;
    }
    double scale =
        size->long_side ? (double)size->long_side / (width > height ? width : height) : 1;
    *net_width = up_to_32(width * scale);
    *net_height = up_to_32(height * scale);
}

int evnet_open(evnet *e, const char *model, int threads) {
    *e = (evnet){0};
    size_t size = 0;
    char *bytes = NULL;
    veil_net_options options = {.struct_size = sizeof options, .threads = threads};
    if (levels_off(&options.cpu_off, "eval") || (model && !(bytes = evio_read_model(model, &size))))
        return -1;
    int rc = veil_net_create(&e->net, bytes, size, &options);
    free(bytes);
    return rc ? evio_say("%s: %s", model ? model : "built-in model", veil_strerror(rc)) : 0;
}

void evnet_close(evnet *e) {
    veil_net_destroy(e->net);
    *e = (evnet){0};
}

int evnet_detect(evnet *e, const evio_picture *picture, const evnet_size *size, double min_score,
                 veil_detection *out, size_t cap, size_t *n) {
    int width, height;
    evnet_shape(size, picture->width, picture->height, &width, &height);
    if (width != e->width || height != e->height) {
        int rc = veil_net_set_size(e->net, width, height);
        if (rc)
            return evio_say("network input %dx%d: %s", width, height, veil_strerror(rc));
        e->width = width;
        e->height = height;
    }
    veil_frame frame = {.plane = {picture->rgb},
                        .stride = {3 * (ptrdiff_t)picture->width},
                        .width = picture->width,
                        .height = picture->height,
                        .format = VEIL_FORMAT_RGB24};
    double start = evio_seconds();
    int rc = veil_net_detect(e->net, &frame, (float)min_score, out, cap, n);
    e->seconds += evio_seconds() - start;
    e->n_runs++;
    return rc ? evio_say("detecting failed: %s", veil_strerror(rc)) : 0;
}
