/* Hides all faces in a PPM picture (P6, 8 bits): minimal IN.ppm OUT.ppm [MODEL.veil]
 *
 *   cc minimal.c $(pkg-config --cflags --libs veil) -o minimal
 *
 * The output is written only when the picture was analysed: on any error there is none. */
#include <veil.h>

#include <stdio.h>
#include <stdlib.h>

static int fail(const char *what, const char *why) {
    fprintf(stderr, "minimal: %s: %s\n", what, why);
    return 1;
}

/* The whole file in memory; NULL when that fails. */
static void *read_file(const char *name, size_t *size) {
    FILE *in = fopen(name, "rb");
    unsigned char *data = NULL;
    long n;
    if (in != NULL && fseek(in, 0, SEEK_END) == 0 && (n = ftell(in)) > 0) {
        rewind(in);
        *size = (size_t)n;
        data = malloc(*size + 1);
        if (data != NULL && fread(data, 1, *size, in) != *size) {
            free(data);
            data = NULL;
        }
        if (data != NULL)
            data[*size] = 0; /* sscanf below stops here */
    }
    if (in != NULL)
        fclose(in);
    return data;
}

int main(int argc, char **argv) {
    if (argc != 3 && argc != 4)
        return fail("usage", "minimal IN.ppm OUT.ppm [MODEL.veil]");
    size_t size = 0, model_size = 0;
    unsigned char *ppm = read_file(argv[1], &size);
    int w, h, header = 0;
    if (ppm == NULL)
        return fail(argv[1], "cannot be read");
    if (sscanf((char *)ppm, "P6 %5d %5d 255%n", &w, &h, &header) != 2 || header == 0 || w < 1 ||
        h < 1 || w > VEIL_SIZE_MAX || h > VEIL_SIZE_MAX ||
        size < (size_t)header + 1 + (size_t)w * (size_t)h * 3)
        return fail(argv[1], "is not a whole P6 picture of 8 bits");

    veil_options options;
    veil_options_init(&options, sizeof options);
    options.settings.keep = VEIL_KEEP_NONE;
    if (argc == 4 && (options.model = read_file(argv[3], &model_size)) == NULL)
        return fail(argv[3], "cannot be read");
    options.model_size = model_size;

    veil *v = NULL;
    veil_result result;
    veil_frame frame = {.width = w, .height = h, .format = VEIL_FORMAT_RGB24};
    frame.plane[0] = ppm + header + 1;
    frame.stride[0] = (ptrdiff_t)w * 3;
    int err = veil_create(&v, &options);
    if (err == VEIL_OK)
        err = veil_process(v, &frame, &result);
    veil_destroy(v);
    if (err != VEIL_OK)
        return fail(argv[1], veil_strerror(err));

    FILE *out = fopen(argv[2], "wb");
    if (out == NULL || fprintf(out, "P6\n%d %d\n255\n", w, h) < 0 ||
        fwrite(frame.plane[0], 3 * (size_t)w, (size_t)h, out) != (size_t)h || fclose(out) != 0) {
        remove(argv[2]);
        return fail(argv[2], "cannot be written");
    }
    fprintf(stderr, "%d faces hidden%s\n", (int)result.n_hidden,
            result.covered ? "; the whole picture is covered" : "");
    free(ppm);
    return 0;
}
