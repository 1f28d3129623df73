/* Runs a model on N frames with one thread, for counting instructions under qemu.
 * frames MODEL.veil|- WIDTH HEIGHT N CPU_OFF     "-": the built-in model */
#include "veil.h"

#include <stdio.h>
#include <stdlib.h>

static void *read_file(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    const size_t room = (size_t)64 << 20;
    void *bytes = f != NULL ? malloc(room) : NULL;
    *size = bytes != NULL ? fread(bytes, 1, room, f) : 0;
    if (f != NULL)
        fclose(f);
    return bytes;
}

int main(int argc, char **argv) {
    if (argc != 6) {
        fprintf(stderr, "usage: frames MODEL.veil|- WIDTH HEIGHT N CPU_OFF\n");
        return 2;
    }
    size_t size = 0;
    void *bytes = argv[1][0] == '-' ? NULL : read_file(argv[1], &size);
    veil_net *net = NULL;
    veil_net_options o = {
        .struct_size = sizeof o, .threads = 1, .cpu_off = (uint32_t)strtoul(argv[5], NULL, 0)};
    int err = veil_net_create(&net, bytes, size, &o);
    if (err == VEIL_OK)
        err = veil_net_set_size(net, atoi(argv[2]), atoi(argv[3]));
    for (int i = 0; i < atoi(argv[4]) && err == VEIL_OK; i++)
        err = veil_net_run(net);
    if (err != VEIL_OK)
        fprintf(stderr, "frames: %s\n", veil_strerror(err));
    veil_net_destroy(net);
    free(bytes);
    return err != VEIL_OK;
}
