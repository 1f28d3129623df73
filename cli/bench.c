/* veil bench engine: the network's speed on this machine, whole and layer by layer, beside what the
 * processor can do at most. The measuring is bench/timing.c. */
#include "commands.h"
#include "eval_io.h"
#include "eval_net.h"
#include "levels.h"
#include "options.h"
#include "session.h"
#include "timing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RUNS    100000
#define MAX_THREADS 64
#define MS          1e3

typedef struct {
    const char *model, *size_text, *threads_text, *json, *plot;
    double runs;
    timing_side side[2];
    size_t n_sides;
    timing_job job;
    double peak; /* operations a second, one thread */
} bench;

static double rate(double macs, double seconds) {
    return seconds > 0 ? 2 * macs / seconds : 0;
}

/* Part of the peak of all its threads; 0: no peak. */
static double share(const bench *b, const timing_side *s, double macs, double seconds) {
    return b->peak > 0 ? rate(macs, seconds) / (b->peak * s->threads) : 0;
}

/* ---------------------------------------------------------------- text */

static void print_whole(const bench *b, const timing_side *s) {
    double least = timing_quantile(s, &b->job, 0);
    size_t arena = 0, weights = 0;
    veil_net_memory(s->whole, &arena, &weights);
    printf("%s %dx%d, %d thread%s: least %.3f ms, p50 %.3f, p99 %.3f; %.3f GMAC, %.1f GOP/s",
           b->model ? b->model : "built-in model", b->job.width, b->job.height, s->threads,
           s->threads == 1 ? "" : "s", least * MS, timing_quantile(s, &b->job, 0.5) * MS,
           timing_quantile(s, &b->job, 0.99) * MS, s->macs * 1e-9, rate(s->macs, least) * 1e-9);
    if (b->peak > 0)
        printf(", %.1f %% of %.0f", 100 * share(b, s, s->macs, least), b->peak * s->threads * 1e-9);
    printf("; arena %.2f MB, weights %.2f MB\n", (double)arena * 1e-6, (double)weights * 1e-6);
}

static void print_layers(const bench *b, const timing_side *s) {
    double sum = 0;
    printf("%-22s %-13s %-11s %9s %9s %8s %9s %7s %6s\n", "layer", "operator", "kernel", "channels",
           "out", "MMAC", "us", "GOP/s", "peak");
    veil_layer l;
    for (size_t i = 0; i < s->n_layers && veil_net_layer(s->profiled, i, &l) == VEIL_OK; i++) {
        double macs = (double)l.macs;
        printf("%-22.22s %-13s %-11s %4d>%4d %4dx%-4d %8.2f %9.1f", l.name, l.op, l.kernel,
               l.in_channels, l.out_channels, l.out_width, l.out_height, macs * 1e-6,
               s->layer[i] * 1e6);
        if (l.macs > 0)
            printf(" %7.1f %5.1f%%", rate(macs, s->layer[i]) * 1e-9,
                   100 * share(b, s, macs, s->layer[i]));
        printf("\n");
        sum += s->layer[i];
    }
    printf("sum of the layers' least times: %.3f ms\n", sum * MS);
}

/* ---------------------------------------------------------------- JSON */

static json_t *layers_json(const bench *b, const timing_side *s) {
    json_t *list = json_array();
    veil_layer l;
    for (size_t i = 0; i < s->n_layers && veil_net_layer(s->profiled, i, &l) == VEIL_OK; i++) {
        double macs = (double)l.macs;
        json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:f}", "name", l.name,
                      "op", l.op, "kernel", l.kernel, "in_channels", l.in_channels, "out_channels",
                      l.out_channels, "out_width", l.out_width, "out_height", l.out_height, "mmac",
                      macs * 1e-6, "us", s->layer[i] * 1e6, "gops", rate(macs, s->layer[i]) * 1e-9,
                      "share", share(b, s, macs, s->layer[i])));
    }
    return list;
}

static json_t *side_json(const bench *b, const timing_side *s) {
    double least = timing_quantile(s, &b->job, 0);
    size_t arena = 0, weights = 0;
    veil_net_memory(s->whole, &arena, &weights);
    return json_pack("{s:i, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:o}", "threads", s->threads,
                     "least_ms", least * MS, "p50_ms", timing_quantile(s, &b->job, 0.5) * MS,
                     "p99_ms", timing_quantile(s, &b->job, 0.99) * MS, "gops",
                     rate(s->macs, least) * 1e-9, "share", share(b, s, s->macs, least),
                     "arena_bytes", (json_int_t)arena, "weight_bytes", (json_int_t)weights,
                     "layers", layers_json(b, s));
}

static int write_json(const bench *b) {
    json_t *sides = json_array(), *levels = json_array();
    uint32_t level, on = veil_cpu_levels() & ~b->job.cpu_off;
    for (size_t i = 0; levels_word(i, &level); i++)
        if ((on & level) != 0)
            json_array_append_new(levels, json_string(levels_word(i, &level)));
    for (size_t k = 0; k < b->n_sides; k++)
        json_array_append_new(sides, side_json(b, &b->side[k]));
    const char *precision = veil_net_meta(b->side[0].whole, "precision");
    json_t *root = json_pack("{s:s, s:s, s:i, s:i, s:i, s:f, s:f, s:o, s:o}", "model",
                             b->model ? b->model : "built in", "precision",
                             precision ? precision : "", "width", b->job.width, "height",
                             b->job.height, "runs", b->job.runs, "gmac", b->side[0].macs * 1e-9,
                             "peak_gops", b->peak * 1e-9, "levels", levels, "sides", sides);
    return evio_json_write(b->json, root);
}

/* ---------------------------------------------------------------- plot */

typedef struct {
    const char *prefix, *label;
    uint32_t rgb;
} op_look;

static const op_look looks[] = {{"conv3x3", "3x3 convolutions", 0x1f5fbf},
                                {"conv1x1", "1x1 convolutions", 0x2a9d8f},
                                {"depthwise", "depthwise", 0xe9a23b},
                                {"", "others", 0xbf3f1f}};
#define N_LOOKS (sizeof looks / sizeof looks[0])

static size_t look_of(const char *op) {
    size_t i = 0;
    while (strncmp(op, looks[i].prefix, strlen(looks[i].prefix)) != 0)
        i++;
    return i;
}

/* A whole number of round steps for an axis of 0..most; *end is where it ends. */
static int round_steps(double most, double *end) {
    static const double steps[] = {1, 2, 5};
    for (double unit = 1e-6; unit < 1e9; unit *= 10)
        for (size_t i = 0; i < 3; i++)
            if (most <= 12 * unit * steps[i]) {
                int n = (int)ceil(most / (unit * steps[i]));
                *end = (n > 0 ? n : 1) * unit * steps[i];
                return n > 0 ? n : 1;
            }
    *end = most;
    return 10;
}

/* The layers side by side: as wide as they take time, as high as they use the processor. */
static int write_plot(const bench *b) {
    const timing_side *s = &b->side[0];
    double sum = 0, at = 0, spent[N_LOOKS] = {0};
    veil_layer l;
    for (size_t i = 0; i < s->n_layers; i++)
        sum += s->layer[i] * MS;
    char title[120], label[80];
    snprintf(title, sizeof title, "%.40s %dx%d, %d thread%s, least %.2f ms, %.0f %% of the peak",
             b->model ? b->model : "built-in model", b->job.width, b->job.height, s->threads,
             s->threads == 1 ? "" : "s", timing_quantile(s, &b->job, 0) * MS,
             100 * share(b, s, s->macs, timing_quantile(s, &b->job, 0)));
    ev_plot_axes axes = {
        title, "time, ms, layer after layer", "% of the processor's peak", 0, sum, 0, 100, 10, 10};
    axes.x_ticks = round_steps(sum, &axes.x1);
    ev_plot *plot = ev_plot_new(1400, 700, &axes);
    if (!plot)
        return evio_say("out of memory");
    for (size_t i = 0; i < s->n_layers && veil_net_layer(s->profiled, i, &l) == VEIL_OK; i++) {
        double t = s->layer[i] * MS, y = 100 * share(b, s, (double)l.macs, s->layer[i]);
        size_t k = look_of(l.op);
        spent[k] += t;
        ev_plot_bar(plot, at, 0, at + t, y > 0 ? y : 1, looks[k].rgb, NULL);
        at += t;
    }
    for (size_t k = 0; k < N_LOOKS; k++) {
        snprintf(label, sizeof label, "%s: %.2f ms", looks[k].label, spent[k]);
        if (spent[k] > 0)
            ev_plot_bar(plot, 0, 0, 0, 0, looks[k].rgb, label);
    }
    return evio_plot_write(b->plot, plot);
}

/* ---------------------------------------------------------------- command */

static int add_side(bench *b, int threads) {
    int err = timing_open(&b->side[b->n_sides++], &b->job, threads);
    if (err == VEIL_E_SIZE)
        return evio_say("bench engine: the model does not take an input of %dx%d", b->job.width,
                        b->job.height);
    return err ? evio_say("bench engine: %s: %s", b->model ? b->model : "built-in model",
                          veil_strerror(err))
               : 0;
}

static int open_sides(bench *b) {
    char *end;
    long n = strtol(b->threads_text, &end, 10);
    if (!strcmp(b->threads_text, "both"))
        return add_side(b, 1) || add_side(b, 2) ? 1 : 0;
    if (*end || n < 1 || n > MAX_THREADS) {
        evio_say("bench engine: --threads is 1..%d or \"both\", not \"%s\"", MAX_THREADS,
                 b->threads_text);
        return 2;
    }
    return add_side(b, (int)n) ? 1 : 0;
}

static int measure(bench *b) {
    int status = open_sides(b);
    if (status)
        return status;
    timing_measure(b->side, b->n_sides, &b->job, &b->peak);
    for (size_t k = 0; k < b->n_sides && !evio_is_stdout(b->json); k++) {
        print_whole(b, &b->side[k]);
        print_layers(b, &b->side[k]);
    }
    if (b->n_sides == 2 && !evio_is_stdout(b->json))
        printf("two threads are %.2f times as fast as one (least times)\n",
               timing_quantile(&b->side[0], &b->job, 0) / timing_quantile(&b->side[1], &b->job, 0));
    if (b->json && write_json(b))
        return 1;
    return b->plot && write_plot(b) ? 1 : 0;
}

static int bench_engine(int argc, char **argv) {
    bench b = {.size_text = "640x384", .threads_text = "1", .runs = 100};
    const evio_option options[] = {
        {"model", EVIO_TEXT, &b.model, "veil-n (default), veil-p or a model file"},
        {"size", EVIO_TEXT, &b.size_text, "input WxH, multiples of 32 (640x384)"},
        {"threads", EVIO_TEXT, &b.threads_text, "a number, or \"both\": one and two in turn (1)"},
        {"runs", EVIO_NUMBER, &b.runs, "whole runs, and as many with a profile (100)"},
        {"json", EVIO_TEXT, &b.json, "write the figures as JSON (- = stdout)"},
        {"plot", EVIO_TEXT, &b.plot, "write time and use of the processor by layer as PNG"},
    };
    int rc = evio_options("bench engine", argc, argv, options, sizeof options / sizeof options[0],
                          "Speed of the network, whole and by layer. $VEIL_CPU lists CPU levels to "
                          "use.");
    if (rc)
        return rc > 0 ? CLI_OK : CLI_USAGE;
    evnet_size size;
    if (evnet_size_parse(b.size_text, &size))
        return CLI_USAGE;
    if (size.width == 0 || b.runs < 1 || b.runs > MAX_RUNS) {
        evio_say("bench engine: --size is WxH, --runs 1..%d", MAX_RUNS);
        return CLI_USAGE;
    }
    b.job = (timing_job){.width = size.width, .height = size.height, .runs = (int)b.runs};
    if (levels_off(&b.job.cpu_off, "bench") != CLI_OK)
        return CLI_USAGE;
    uint8_t *bytes = NULL;
    if (b.model && !(bytes = session_read_model(b.model, &b.job.size, "bench")))
        return CLI_FAILED;
    b.job.model = bytes;
    int status = measure(&b);
    for (size_t k = 0; k < b.n_sides; k++)
        timing_close(&b.side[k]);
    free(bytes);
    return status;
}

int cli_bench(int argc, char **argv) {
    static const char usage[] =
        "usage: veil bench engine [options]   (veil bench engine --help)\n"
        "  engine   the network alone: time, rate, share of the processor's peak, by layer\n";
    const char *name = argc > 1 ? argv[1] : "";
    if (!strcmp(name, "engine"))
        return bench_engine(argc - 1, argv + 1);
    if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
        fputs(usage, stdout);
        return CLI_OK;
    }
    if (*name)
        evio_say("bench: there is no part \"%s\"; there is engine", name);
    else
        fputs(usage, stderr);
    return CLI_USAGE;
}
