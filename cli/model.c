/* model.c - `veil model build | info | verify`: reads and writes the files, says what happened. The
 * work is modelbuild's. */
#include "model.h"

#include "build.h"
#include "cut.h"
#include "engine.h"
#include "verify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MOST = 400 }; /* characters of a model's text that info prints */

static const char usage[] =
    "usage: veil model build IN.onnx -o OUT.veil [options]\n"
    "       veil model info FILE.veil [--size WxH]\n"
    "       veil model verify FILE.veil [--onnx IN.onnx | --with OTHER.veil | --against FILE.npz]\n"
    "\n"
    "build turns an ONNX detector into a model for veil:\n"
    "  -o FILE               where to write it\n"
    "  --precision P         fp32, fp16 (default) or int8\n"
    "  --calibrate PATH      for int8: folder of pictures, a picture, or a list of paths (.txt)\n"
    "  --pictures N          how many of them to use (default 64)\n"
    "  --range M             mse (default), percentile[:99.99], kl or max\n"
    "  --decoder D           veil, yolov5, yolov5-face, yolov8, scrfd, yunet, ultraface or none\n"
    "                        (default: what the file says)\n"
    "  --anchors W,H,...;... boxes of an anchor-based detector, px, a group for each stride\n"
    "  --size WxH            input size, multiples of 32 (default: the file's, else 640x384)\n"
    "  --mean R,G,B --std R,G,B --bgr\n"
    "                        input the network was trained on: (0..255 - mean) / std\n"
    "  --name T --license T  texts for the model\n"
    "  --qdq FILE.onnx       with int8: also write the quantised network as ONNX\n"
    "  --qdq-symmetric       its activations as s8 with zero 0, as TensorRT wants them\n"
    "  -v                    show the difference of every layer\n"
    "\n"
    "verify checks that a model is whole and runs; then, when asked to, how far it is\n"
    "  --onnx IN.onnx        from the network it was built from, in fp32 (--pictures-from PATH)\n"
    "  --with OTHER.veil     from another model\n"
    "  --against FILE.npz    from outputs that training wrote (image, and one array an output)\n"
    "  --tolerance T         with --against: largest difference allowed (default 0.001)\n"
    "  --min-snr DB          with --onnx or --with: least signal over noise allowed (default 20)\n";

typedef struct {
    int argc;
    char **argv;
    int at;
} args;

/* Exit statuses: 0 fine, 1 failed, 2 wrong command line. */
static int complain(const char *format, const char *a, const char *b) {
    fputs("veil model: ", stderr);
    fprintf(stderr, format, a, b);
    fputc('\n', stderr);
    return 2;
}

static int failed(const mb *m, const char *file) {
    fprintf(stderr, "veil model: %s%s%s\n", file ? file : "", file ? ": " : "",
            m->error[0] ? m->error : "failed");
    return 1;
}

/* The whole file, malloc'ed; NULL with the error set. */
static uint8_t *read_file(mb *m, const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    uint8_t *bytes = NULL;
    size_t room = 1 << 16, n = 0;
    *size = 0;
    if (!f) {
        mb_fail(m, "%s", strerror(errno));
        return NULL;
    }
    bool ok = true;
    while (ok) {
        uint8_t *p = !bytes || n == room ? realloc(bytes, room *= 2) : bytes;
        if (!p || n > MB_FILE_LIMIT) {
            mb_fail(m, p ? "larger than 512 MiB" : "out of memory");
            bytes = p ? p : bytes;
            ok = false;
            break;
        }
        bytes = p;
        size_t got = fread(bytes + n, 1, room - n, f);
        n += got;
        if (!got)
            break;
    }
    if (ok && ferror(f)) {
        mb_fail(m, "%s", strerror(errno));
        ok = false;
    }
    fclose(f);
    if (!ok) {
        free(bytes);
        return NULL;
    }
    *size = n;
    return bytes;
}

/* Written beside and renamed when whole, so that no half file is ever found at path. */
static int write_file(mb *m, const char *path, const uint8_t *bytes, size_t size) {
    const char *part = mb_text(m, "%.200s.part%ld", path, (long)getpid());
    if (!part || strlen(path) > 200)
        return mb_fail(m, "the path is too long");
    FILE *f = fopen(part, "wb");
    if (!f)
        return mb_fail(m, "%s", strerror(errno));
    bool ok = fwrite(bytes, 1, size, f) == size;
    ok = fflush(f) == 0 && ok && fsync(fileno(f)) == 0;
    int why = errno;
    ok = fclose(f) == 0 && ok;
    if (ok && rename(part, path) == 0)
        return 0;
    why = ok ? errno : why;
    unlink(part);
    return mb_fail(m, "%s", strerror(why));
}

/* True when the argument is `name`; its value goes to *value, and a missing one leaves it NULL. */
static bool option(args *a, const char *name, const char **value) {
    if (strcmp(a->argv[a->at], name) != 0)
        return false;
    *value = a->at + 1 < a->argc ? a->argv[++a->at] : NULL;
    return true;
}

static bool parse_size(const char *v, int32_t *w, int32_t *h) {
    char end;
    return v && sscanf(v, "%dx%d%c", w, h, &end) == 2 && *w > 0 && *h > 0;
}

static bool parse_three(const char *v, float out[3]) {
    char end;
    return v && sscanf(v, "%f,%f,%f%c", &out[0], &out[1], &out[2], &end) == 3;
}

static bool parse_count(const char *v, size_t *out) {
    char *end = NULL;
    unsigned long n = v ? strtoul(v, &end, 10) : 0;
    *out = n;
    return v && *v >= '0' && *v <= '9' && !*end && n > 0 && n <= 100000;
}

static bool parse_number(const char *v, double *out) {
    char *end = NULL;
    *out = v ? strtod(v, &end) : 0;
    return v && end != v && !*end;
}

static bool parse_precision(const char *v, wr_precision *p) {
    static const char *const names[] = {"fp32", "fp16", "int8"};
    for (int i = 0; v && i < 3; i++)
        if (strcmp(v, names[i]) == 0) {
            *p = (wr_precision)i;
            return true;
        }
    return false;
}

static bool parse_range(const char *v, cb_options *o) {
    double percent = 0;
    if (v && strncmp(v, "percentile:", 11) == 0) {
        o->method = CB_PERCENTILE;
        bool ok = parse_number(v + 11, &percent) && percent > 50 && percent <= 100;
        o->percentile = (float)percent;
        return ok;
    }
    static const char *const names[] = {"mse", "percentile", "kl", "max"};
    for (int i = 0; v && i < 4; i++)
        if (strcmp(v, names[i]) == 0) {
            o->method = (cb_method)i;
            return true;
        }
    return false;
}

typedef struct {
    const char *in, *out, *qdq, *onnx, *with, *against, *pictures_from;
    double tolerance, min_snr;
    bool verbose, help;
    bd_options build;
} choices;

static bool known_decoder(const char *v) {
    for (size_t i = 0; v && ct_decoder(i); i++)
        if (strcmp(v, ct_decoder(i)) == 0)
            return true;
    return v && strcmp(v, "none") == 0;
}

/* 1: taken, 0: not an option of build, -1: its value is wrong. */
static int parse_build(args *a, choices *c) {
    bd_options *b = &c->build;
    const char *v;
    bool ok = true;
    if (option(a, "--precision", &v))
        ok = parse_precision(v, &b->precision);
    else if (option(a, "--calibrate", &b->calibrate.pictures))
        ok = b->calibrate.pictures != NULL;
    else if (option(a, "--pictures", &v))
        ok = parse_count(v, &b->calibrate.count);
    else if (option(a, "--range", &v))
        ok = parse_range(v, &b->calibrate);
    else if (option(a, "--decoder", &b->decoder))
        ok = known_decoder(b->decoder);
    else if (option(a, "--anchors", &b->anchors))
        ok = b->anchors != NULL;
    else if (option(a, "--mean", &v))
        ok = b->own_input = parse_three(v, b->input.mean);
    else if (option(a, "--std", &v))
        ok = b->own_input = parse_three(v, b->input.std);
    else if (strcmp(a->argv[a->at], "--bgr") == 0)
        b->own_input = b->input.bgr = true;
    else if (option(a, "--name", &b->name))
        ok = b->name != NULL;
    else if (option(a, "--license", &b->license))
        ok = b->license != NULL;
    else if (option(a, "--qdq", &c->qdq))
        ok = c->qdq != NULL;
    else if (strcmp(a->argv[a->at], "--qdq-symmetric") == 0)
        b->qdq_symmetric = true;
    else if (option(a, "-o", &c->out))
        ok = c->out != NULL;
    else
        return 0;
    return ok ? 1 : -1;
}

static int parse_verify(args *a, choices *c) {
    const char *v;
    bool ok = true;
    if (option(a, "--onnx", &c->onnx))
        ok = c->onnx != NULL;
    else if (option(a, "--with", &c->with))
        ok = c->with != NULL;
    else if (option(a, "--against", &c->against))
        ok = c->against != NULL;
    else if (option(a, "--pictures-from", &c->pictures_from))
        ok = c->pictures_from != NULL;
    else if (option(a, "--tolerance", &v))
        ok = parse_number(v, &c->tolerance) && c->tolerance >= 0;
    else if (option(a, "--min-snr", &v))
        ok = parse_number(v, &c->min_snr);
    else if (option(a, "--pictures", &v))
        ok = parse_count(v, &c->build.calibrate.count);
    else
        return 0;
    return ok ? 1 : -1;
}

/* 0, or the exit status. own: the options of one subcommand. */
static int parse(args *a, choices *c, int (*own)(args *, choices *)) {
    const char *v;
    *c = (choices){.tolerance = 1e-3, .min_snr = 20};
    c->build.precision = WR_FP16;
    for (int k = 0; k < 3; k++)
        c->build.input.std[k] = 255;
    for (a->at = 1; a->at < a->argc; a->at++) {
        const char *arg = a->argv[a->at];
        int taken = own ? own(a, c) : 0;
        if (taken < 0)
            return complain("'%s' has a missing or wrong value%s", arg, "");
        if (taken)
            continue;
        if (strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0)
            c->help = true;
        else if (strcmp(arg, "-v") == 0)
            c->verbose = true;
        else if (option(a, "--size", &v) && parse_size(v, &c->build.width, &c->build.height))
            continue;
        else if (arg[0] == '-' && arg[1])
            return complain("'%s' is not an option here, or its value is wrong (see veil model "
                            "--help)%s",
                            arg, "");
        else if (c->in)
            return complain("one file at a time: '%s' and '%s'", c->in, arg);
        else
            c->in = arg;
    }
    if (!c->help && !c->in)
        return complain("which file? (see veil model --help)%s%s", "", "");
    return 0;
}

static void print_result(const bd_network *net, const choices *c, size_t size) {
    int64_t macs = 0, weights = 0;
    for (size_t i = 0; i < net->graph.n_op; i++) {
        macs += gr_macs(&net->graph, &net->graph.op[i]);
        weights += (int64_t)net->graph.op[i].n_weights;
    }
    printf("%s: %zu operators, %.3f M weights, %.3f GMAC at %dx%d, %.2f MB, decoder %s\n", c->out,
           net->graph.n_op, (double)weights / 1e6, (double)macs / 1e9, net->width, net->height,
           (double)size / 1e6, net->decoder ? net->decoder : "none");
}

static int run_build(args *a) {
    choices c;
    int status = parse(a, &c, parse_build);
    if (status || c.help) {
        fputs(c.help ? usage : "", stdout);
        return status;
    }
    if (!c.out)
        return complain("where to? -o OUT.veil is missing%s%s", "", "");
    if (c.qdq && c.build.precision != WR_INT8)
        return complain("--qdq needs --precision int8%s%s", "", "");
    mb m;
    mb_init(&m, stderr);
    m.verbose = c.verbose;
    c.build.qdq = c.qdq != NULL;
    bd_network *net = mb_alloc(&m, 1, sizeof(*net));
    bd_result result = {0};
    size_t size = 0;
    const char *about = c.in;
    uint8_t *onnx = net ? read_file(&m, c.in, &size) : NULL;
    bool ok = onnx && bd_import(&m, net, onnx, size, &c.build) == 0;
    if (ok) {
        ok = bd_build(&m, net, &c.build, &result) == 0;
        about = ok ? c.out : about;
        ok = ok && write_file(&m, c.out, result.model, result.model_size) == 0;
        about = ok && c.qdq ? c.qdq : about;
        ok = ok && (!c.qdq || write_file(&m, c.qdq, result.qdq, result.qdq_size) == 0);
    }
    if (ok)
        print_result(net, &c, result.model_size);
    else
        failed(&m, about);
    free(onnx);
    free(result.model);
    free(result.qdq);
    mb_done(&m);
    return ok ? 0 : 1;
}

/* The size a model was built for, unless another was asked for. */
static void model_size(const veil_net *net, int32_t *w, int32_t *h) {
    if (!*w && !parse_size(veil_net_meta(net, "size"), w, h)) {
        *w = 640;
        *h = 384;
    }
}

static veil_net *open_model(mb *m, const uint8_t *bytes, size_t size, int32_t *w, int32_t *h) {
    veil_net_options o = {.struct_size = sizeof(o)};
    veil_net *net = NULL;
    int err = veil_net_create(&net, bytes, size, &o);
    if (err == VEIL_OK) {
        model_size(net, w, h);
        err = veil_net_set_size(net, *w, *h);
    }
    if (err == VEIL_OK)
        return net;
    mb_fail(m, "%s", veil_strerror(err));
    veil_net_destroy(net);
    return NULL;
}

static void print_info(const veil_net *net, size_t size, int32_t w, int32_t h) {
    const char *key;
    veil_layer l;
    veil_tensor t;
    int64_t macs = 0;
    size_t arena = 0, weights = 0;
    for (size_t i = 0; (key = veil_net_meta_key(net, i)); i++) {
        const char *text = veil_net_meta(net, key);
        int is_long = strlen(text) > TEXT_MOST; /* weights, for one */
        printf("%-12s %.*s%s\n", key, TEXT_MOST, text, is_long ? " ..." : "");
    }
    printf("\n%-28s %-10s %-12s %9s %11s %10s\n", "layer", "operator", "kernel", "channels", "out",
           "MMAC");
    for (size_t i = 0; veil_net_layer(net, i, &l) == VEIL_OK; i++) {
        printf("%-28.28s %-10s %-12s %4d>%4d %5dx%-5d %10.3f\n", l.name, l.op, l.kernel,
               l.in_channels, l.out_channels, l.out_width, l.out_height, (double)l.macs / 1e6);
        macs += l.macs;
    }
    printf("\n");
    for (size_t i = 0; veil_net_output(net, i, &t) == VEIL_OK; i++)
        printf("output %-10s stride %-3d %dx%dx%d\n", t.name, t.stride, t.width, t.height,
               t.channels);
    veil_net_memory(net, &arena, &weights);
    printf("\n%.3f GMAC at %dx%d, file %.2f MB, packed weights %.2f MB, arena %.2f MB\n",
           (double)macs / 1e9, w, h, (double)size / 1e6, (double)weights / 1e6,
           (double)arena / 1e6);
}

static int run_info(args *a) {
    choices c;
    int status = parse(a, &c, NULL);
    if (status || c.help) {
        fputs(c.help ? usage : "", stdout);
        return status;
    }
    mb m;
    mb_init(&m, NULL);
    size_t size = 0;
    int32_t w = c.build.width, h = c.build.height;
    uint8_t *bytes = read_file(&m, c.in, &size);
    veil_net *net = bytes ? open_model(&m, bytes, size, &w, &h) : NULL;
    if (net)
        print_info(net, size, w, h);
    else
        status = failed(&m, c.in);
    veil_net_destroy(net);
    free(bytes);
    mb_done(&m);
    return status;
}

/* Builds the fp32 counterpart in memory and compares. */
static int verify_onnx(mb *m, const choices *c, const vf_model *model, const bd_options *like,
                       double *worst) {
    size_t size = 0;
    bd_options o = *like;
    int32_t w = o.width, h = o.height;
    bd_network *net = mb_alloc(m, 1, sizeof(*net));
    bd_result result = {0};
    uint8_t *onnx = net ? read_file(m, c->onnx, &size) : NULL;
    int r = onnx ? bd_import(m, net, onnx, size, &o) : -1;
    if (r == 0)
        r = bd_build(m, net, &o, &result);
    vf_model reference = {result.model, result.model_size, "the ONNX network"};
    if (r == 0)
        r = vf_compare(m, &reference, model, w, h, c->pictures_from, c->build.calibrate.count,
                       c->verbose, stdout, worst);
    free(onnx);
    free(result.model);
    return r;
}

static int verify_with(mb *m, const choices *c, const vf_model *model, int32_t w, int32_t h,
                       double *worst) {
    size_t size = 0;
    uint8_t *other = read_file(m, c->with, &size);
    vf_model reference = {other, size, c->with};
    int r = other ? vf_compare(m, &reference, model, w, h, c->pictures_from,
                               c->build.calibrate.count, c->verbose, stdout, worst)
                  : -1;
    free(other);
    return r;
}

static int verify_against(mb *m, const choices *c, const vf_model *model) {
    size_t size = 0;
    double largest = 0;
    uint8_t *npz = read_file(m, c->against, &size);
    int r = npz ? vf_parity(m, model, npz, size, stdout, &largest) : -1;
    free(npz);
    if (r == 0 && !(largest <= c->tolerance))
        return mb_fail(m, "differs from %s by up to %g, more than %g", c->against, largest,
                       c->tolerance);
    return r;
}

static int verify(mb *m, const choices *c, const uint8_t *bytes, size_t size) {
    int32_t w = c->build.width, h = c->build.height;
    veil_net *net = open_model(m, bytes, size, &w, &h);
    if (!net)
        return -1;
    bd_options like = {.precision = WR_FP32, .width = w, .height = h};
    const char *decoder = veil_net_meta(net, "decoder"), *order = veil_net_meta(net, "order");
    like.decoder = mb_copy(m, decoder ? decoder : "none");
    like.own_input = parse_three(veil_net_meta(net, "mean"), like.input.mean) &&
                     parse_three(veil_net_meta(net, "std"), like.input.std);
    like.input.bgr = order && strcmp(order, "bgr") == 0;
    memset(veil_net_input(net), 114, (size_t)w * (size_t)h * 4);
    int r = like.decoder ? en_run(m, net) : -1;
    veil_net_destroy(net);
    vf_model model = {bytes, size, c->in};
    double worst = 200;
    if (r == 0)
        printf("%s: whole, and runs at %dx%d\n", c->in, w, h);
    if (r == 0 && c->against)
        r = verify_against(m, c, &model);
    if (r == 0 && c->with)
        r = verify_with(m, c, &model, w, h, &worst);
    if (r == 0 && c->onnx)
        r = verify_onnx(m, c, &model, &like, &worst);
    if (r == 0 && worst < c->min_snr)
        return mb_fail(m, "an output is only %.1f dB above the noise, less than %.1f", worst,
                       c->min_snr);
    return r;
}

static int run_verify(args *a) {
    choices c;
    int status = parse(a, &c, parse_verify);
    if (status || c.help) {
        fputs(c.help ? usage : "", stdout);
        return status;
    }
    mb m;
    mb_init(&m, stderr);
    size_t size = 0;
    uint8_t *bytes = read_file(&m, c.in, &size);
    if (!bytes || verify(&m, &c, bytes, size) < 0)
        status = failed(&m, c.in);
    free(bytes);
    mb_done(&m);
    return status;
}

int cli_model(int argc, char **argv) {
    args a = {argc - 1, argv + 1, 0};
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "build") == 0)
        return run_build(&a);
    if (strcmp(what, "info") == 0)
        return run_info(&a);
    if (strcmp(what, "verify") == 0)
        return run_verify(&a);
    if (strcmp(what, "-h") == 0 || strcmp(what, "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (!*what) {
        fputs(usage, stderr);
        return 2;
    }
    return complain("'%s' is not build, info or verify%s", what, "");
}
