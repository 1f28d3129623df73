/* Speed of the engine on one model: whole runs (least, median, 99th percentile) and, layer by
 * layer, the rate and its share of what this processor can do at most, measured in the same run.
 *
 * bench_engine MODEL.veil [WIDTHxHEIGHT [THREADS [RUNS [CPU_OFF]]]] */
#include "peak.h"
#include "veil.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LAYERS 4096

static int64_t clock_ns(void) {
    return (int64_t)(peak_now() * 1e9);
}

static uint8_t *read_file(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return NULL;
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    uint8_t *bytes = n > 0 ? malloc((size_t)n) : NULL;
    if (bytes != NULL && fread(bytes, 1, (size_t)n, f) != (size_t)n) {
        free(bytes);
        bytes = NULL;
    }
    fclose(f);
    *size = (size_t)n;
    return bytes;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct {
    const char *path;
    int width, height, threads, runs;
    uint32_t cpu_off;
    double peak; /* operations a second, one thread */
} job;

static veil_net *make_net(const job *j, const uint8_t *bytes, size_t size, int profile) {
    veil_net *net = NULL;
    veil_net_options o = {.struct_size = sizeof o,
                          .threads = j->threads,
                          .cpu_off = j->cpu_off,
                          .profile = profile,
                          .clock_ns = profile ? clock_ns : NULL};
    int err = veil_net_create(&net, bytes, size, &o);
    if (err == VEIL_OK)
        err = veil_net_set_size(net, j->width, j->height);
    if (err != VEIL_OK) {
        fprintf(stderr, "%s: %s\n", j->path, veil_strerror(err));
        veil_net_destroy(net);
        return NULL;
    }
    uint8_t *in = veil_net_input(net);
    for (size_t i = 0; i < (size_t)j->width * (size_t)j->height * 4; i++)
        in[i] = (uint8_t)(i * 2654435761u >> 13);
    return net;
}

static double total_macs(const veil_net *net) {
    double macs = 0;
    veil_layer l;
    for (size_t i = 0; veil_net_layer(net, i, &l) == VEIL_OK; i++)
        macs += (double)l.macs;
    return macs;
}

static void whole(const job *j, veil_net *net, double *times) {
    for (int i = 0; i < j->runs; i++) {
        double start = peak_now();
        veil_net_run(net);
        times[i] = peak_now() - start;
    }
    qsort(times, (size_t)j->runs, sizeof *times, by_value);
    double ops = 2.0 * total_macs(net);
    size_t arena, weights;
    veil_net_memory(net, &arena, &weights);
    printf("%s %dx%d, %d thread(s): least %.3f ms, median %.3f, p99 %.3f; %.2f GOP, %.1f GOP/s",
           j->path, j->width, j->height, j->threads, times[0] * 1e3, times[j->runs / 2] * 1e3,
           times[j->runs * 99 / 100] * 1e3, ops * 1e-9, ops / times[0] * 1e-9);
    if (j->peak > 0)
        printf(", %.1f %% of %.0f", ops / times[0] / (j->peak * j->threads) * 100,
               j->peak * j->threads * 1e-9);
    printf("; arena %.2f MB, weights %.2f MB\n", (double)arena * 1e-6, (double)weights * 1e-6);
}

static void layers(const job *j, veil_net *net) {
    static int64_t least[MAX_LAYERS];
    size_t n = veil_net_layers(net);
    int64_t sum = 0;
    veil_layer l;
    for (int r = 0; r < j->runs; r++) {
        veil_net_run(net);
        for (size_t i = 0; i < n && i < MAX_LAYERS; i++) {
            veil_net_layer(net, i, &l);
            if (r == 0 || l.time_ns < least[i])
                least[i] = l.time_ns;
        }
    }
    printf("%-22s %-13s %-11s %9s %9s %8s %7s %6s\n", "layer", "operator", "kernel", "channels",
           "out", "us", "GOP/s", "peak");
    for (size_t i = 0; i < n && i < MAX_LAYERS; i++) {
        veil_net_layer(net, i, &l);
        double rate = least[i] > 0 ? 2.0 * (double)l.macs / ((double)least[i] * 1e-9) : 0;
        printf("%-22.22s %-13s %-11s %4d>%4d %4dx%-4d %8.1f", l.name, l.op, l.kernel, l.in_channels,
               l.out_channels, l.out_width, l.out_height, (double)least[i] * 1e-3);
        if (l.macs > 0)
            printf(" %7.1f %5.1f%%", rate * 1e-9,
                   j->peak > 0 ? rate / j->peak / j->threads * 100 : 0);
        printf("\n");
        sum += least[i];
    }
    printf("sum of the layers' least times: %.3f ms\n", (double)sum * 1e-6);
}

static double best_peak(const job *j, int integer) {
    static const uint32_t order[] = {VEIL_CPU_AVX512VNNI, VEIL_CPU_AVX512, VEIL_CPU_AVXVNNI,
                                     VEIL_CPU_AVX2};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        double rate = integer ? peak_int8(order[i]) : peak_float(order[i]);
        if ((order[i] & j->cpu_off) == 0 && rate > 0)
            return rate;
    }
    return 0.0;
}

int main(int argc, char **argv) {
    job j = {.width = 640, .height = 384, .threads = 1, .runs = 100};
    if (argc < 2) {
        fprintf(stderr, "usage: bench_engine MODEL.veil [WxH [THREADS [RUNS [CPU_OFF]]]]\n");
        return 2;
    }
    j.path = argv[1];
    if (argc > 2 && sscanf(argv[2], "%dx%d", &j.width, &j.height) != 2)
        return 2;
    j.threads = argc > 3 ? atoi(argv[3]) : 1;
    j.runs = argc > 4 ? atoi(argv[4]) : 100;
    j.cpu_off = argc > 5 ? (uint32_t)strtoul(argv[5], NULL, 0) : 0;
    size_t size = 0;
    uint8_t *bytes = read_file(j.path, &size);
    double *times = calloc((size_t)(j.runs > 0 ? j.runs : 1), sizeof *times);
    veil_net *net = bytes == NULL || times == NULL ? NULL : make_net(&j, bytes, size, 0);
    veil_net *profiled = net == NULL ? NULL : make_net(&j, bytes, size, 1);
    int status = profiled == NULL || j.runs < 1;
    if (status == 0) {
        const char *precision = veil_net_meta(net, "precision");
        j.peak = best_peak(&j, precision != NULL && strcmp(precision, "int8") == 0);
        whole(&j, net, times);
        layers(&j, profiled);
    } else if (bytes == NULL) {
        perror(j.path);
    }
    veil_net_destroy(net);
    veil_net_destroy(profiled);
    free(times);
    free(bytes);
    return status;
}
