/* explain.c - `veil explain`: options, the two networks, and the choice of picture, clip or a whole
 * set of labelled pictures. */
#include "explain.h"

#include "commands.h"
#include "levels.h"
#include "options.h"
#include "output.h"

#include <stdlib.h>
#include <string.h>

static const char about[] =
    "What in the picture spoke for a face's class. The pictures it writes show faces.\n"
    "  veil explain PICTURE -o heat.png            the picture beside its heat maps\n"
    "  veil explain CLIP -o heat.mp4 [--face N]    a clip with the map of one track\n"
    "  veil explain --dataset DIR -o report.html   figures over labelled pictures";

static const char *const class_names[] = {"interview", "background", "face", "both"};
static const char *const method_names[] = {"auto",     "gradcam",  "gradcam++",
                                           "hirescam", "eigencam", "occlusion"};

const char *explain_class_name(veil_class c) {
    return class_names[c];
}

const char *explain_method_name(veil_method m) {
    return method_names[m == VEIL_METHOD_AUTO ? VEIL_METHOD_HIRESCAM : m];
}

/* Index of the word, or -1 after saying what words there are. */
static int choice(const char *option, const char *word, const char *const *words, int n) {
    char all[200] = "";
    for (int i = 0; i < n; i++) {
        if (!strcmp(word, words[i]))
            return i;
        strcat(strcat(all, i ? ", " : ""), words[i]);
    }
    return evio_say("explain: --%s is one of %s, not \"%s\"", option, all, word);
}

veil_frame explain_frame(const evio_picture *p) {
    return (veil_frame){.plane = {p->rgb},
                        .stride = {3 * (ptrdiff_t)p->width},
                        .width = p->width,
                        .height = p->height,
                        .format = VEIL_FORMAT_RGB24};
}

int explain_failed(int rc, const explain_options *o) {
    if (rc == VEIL_E_NOT_FOUND && o->layer && strcmp(o->layer, "auto") != 0)
        return evio_say(
            "explain: no such layer \"%s\" (veil model info lists them), or no face there",
            o->layer);
    if (rc == VEIL_E_UNSUPPORTED)
        return evio_say("explain: only models with veil's own decoder can be explained");
    return evio_say("explain: %s", veil_strerror(rc));
}

int tools_open(explain_tools *t, const explain_options *o) {
    *t = (explain_tools){.options = o};
    if (o->model) {
        char *bytes = evio_read_model(o->model, &t->model_size);
        if (!bytes)
            return -1;
        t->model = (uint8_t *)bytes;
    }
    return evnet_open(&t->net, o->model, (int)o->threads);
}

void tools_close(explain_tools *t) {
    veil_explainer_destroy(t->explainer);
    evnet_close(&t->net);
    free(t->model);
    *t = (explain_tools){0};
}

int tools_size(explain_tools *t, int width, int height) {
    if (t->explainer && width == t->width && height == t->height)
        return 0;
    veil_explainer_destroy(t->explainer);
    veil_explainer_options eo;
    veil_explainer_options_init(&eo, sizeof eo);
    eo.model = t->model;
    eo.model_size = t->model_size;
    eo.threads = (int32_t)t->options->threads;
    eo.input_width = width;
    eo.input_height = height;
    t->explainer = NULL;
    if (levels_off(&eo.cpu_off, "explain"))
        return -1;
    int rc = veil_explainer_create(&t->explainer, &eo);
    t->width = width;
    t->height = height;
    return rc ? explain_failed(rc, t->options) : 0;
}

/* Takes the input out of the arguments and turns -o and -y into their long names. */
static int take_input(int argc, char **argv, const evio_option *options, size_t n,
                      explain_options *o, char **out) {
    static char output[] = "--output", overwrite[] = "--overwrite";
    int m = 0;
    out[m++] = argv[0];
    for (int i = 1; i < argc; i++) {
        char *arg = argv[i];
        if (arg[0] != '-' || !arg[1]) {
            if (o->input)
                return evio_say("explain: one input at a time: \"%s\" or \"%s\"", o->input, arg);
            o->input = arg;
            continue;
        }
        arg = !strcmp(arg, "-o") ? output : !strcmp(arg, "-y") ? overwrite : arg;
        out[m++] = arg;
        for (size_t k = 0; k < n && strncmp(arg, "--", 2) == 0; k++)
            if (!strcmp(arg + 2, options[k].name) && options[k].kind != EVIO_FLAG && i + 1 < argc)
                out[m++] = argv[++i];
    }
    return m;
}

static int understand(explain_options *o) {
    int c = choice("class", o->class_name, class_names, 4);
    int m = choice("method", o->method_name, method_names, 6);
    if (c < 0 || m < 0)
        return -1;
    static const char *const colours[] = {"turbo", "viridis"};
    int k = choice("colours", o->colours_name, colours, 2);
    if (k < 0 || evnet_size_parse(o->size, &o->net_size))
        return -1;
    o->method = (veil_method)m;
    o->colours = (heat_colours)k;
    o->n_targets = c == 3 ? 2 : 1;
    o->targets[0] = c == 3 ? VEIL_CLASS_INTERVIEW : (veil_class)c;
    o->targets[1] = VEIL_CLASS_BACKGROUND;
    if (o->face < 0 || o->threads < 0 || o->threads > 64 || o->limit < 0 || o->check_faces < 0)
        return evio_say("explain: numbers of faces, threads and pictures are not negative");
    if (o->patch != 0 && (o->patch < 8 || o->patch > 1024 || (int)o->patch % 2))
        return evio_say("explain: --patch is an even number from 8 to 1024 px");
    if (!o->dataset && !o->input)
        return evio_say("explain: no input; try: veil explain PICTURE -o heat.png");
    if (o->dataset && o->input)
        return evio_say("explain: either --dataset or an input, not both");
    if (!o->output && !o->npy && !o->json)
        return evio_say("explain: no output; say where to write with -o, --npy or --json");
    return 0;
}

/* No file is written over by accident, and no input over itself. */
static int may_write(const explain_options *o) {
    const char *const paths[] = {o->output, o->npy, o->json};
    for (int i = 0; i < 3; i++) {
        if (!paths[i] || !strcmp(paths[i], "-"))
            continue;
        FILE *f = o->overwrite ? NULL : fopen(paths[i], "rb");
        if (f) {
            fclose(f);
            return evio_say("explain: '%s' exists; -y overwrites it", paths[i]);
        }
        if (o->input && !strcmp(paths[i], o->input))
            return evio_say("explain: '%s' is both input and output", o->input);
    }
    return 0;
}

int cli_explain(int argc, char **argv) {
    explain_options o = {.class_name = "both",
                         .method_name = "auto",
                         .colours_name = "turbo",
                         .size = "640",
                         .min_score = 0.3,
                         .check_faces = 16};
    const evio_option options[] = {
        {"output", EVIO_TEXT, &o.output, "picture, clip or HTML report to write (also -o)"},
        {"face", EVIO_NUMBER, &o.face, "which face, numbered in the picture; of a clip: track id"},
        {"class", EVIO_TEXT, &o.class_name, "interview, background, face or both (both)"},
        {"method", EVIO_TEXT, &o.method_name,
         "gradcam, gradcam++, hirescam, eigencam, occlusion (auto = hirescam)"},
        {"layer", EVIO_TEXT, &o.layer, "layer by name (auto: the end of the trunk)"},
        {"patch", EVIO_NUMBER, &o.patch, "side of the occluding mask, px of the input (by face)"},
        {"grey", EVIO_TEXT, &o.grey, "grey this part of a picture first: X,Y,W,H px"},
        {"npy", EVIO_TEXT, &o.npy, "write the maps as float32 (classes, H, W)"},
        {"json", EVIO_TEXT, &o.json, "write faces, scores and figures as JSON (- = stdout)"},
        {"colours", EVIO_TEXT, &o.colours_name, "turbo or viridis (turbo)"},
        {"size", EVIO_TEXT, &o.size, "input: long side (640), WxH, or \"source\""},
        {"min-score", EVIO_NUMBER, &o.min_score, "face score to be found (0.3)"},
        {"model", EVIO_TEXT, &o.model, "veil-n (default), veil-p or a model file"},
        {"threads", EVIO_NUMBER, &o.threads, "threads (0 = all)"},
        {"dataset", EVIO_TEXT, &o.dataset, "folder of labelled pictures"},
        {"list", EVIO_TEXT, &o.list, "its JSON lines (default DIR/train.jsonl)"},
        {"limit", EVIO_NUMBER, &o.limit, "so many of its pictures, evenly spread (0 = all)"},
        {"check", EVIO_FLAG, &o.check, "with --dataset: test the maps themselves"},
        {"check-faces", EVIO_NUMBER, &o.check_faces, "on so many faces of each class (16)"},
        {"against", EVIO_TEXT, &o.against, "with --check: compare with the maps of this model"},
        {"overwrite", EVIO_FLAG, &o.overwrite, "overwrite outputs that exist (also -y)"},
    };
    const size_t n = sizeof options / sizeof options[0];
    char **args = calloc((size_t)argc + 1, sizeof *args);
    if (!args)
        return CLI_FAILED;
    int m = take_input(argc, argv, options, n, &o, args), rc = m < 0 ? -1 : 0;
    if (rc == 0)
        rc = evio_options("explain", m, args, options, n, about);
    free(args);
    if (rc)
        return rc > 0 ? CLI_OK : CLI_USAGE;
    if (understand(&o) || may_write(&o))
        return CLI_USAGE;
    media_log_init(false);
    if (o.dataset)
        rc = explain_dataset(&o);
    else if (o.output && !media_output_is_picture(o.output, NULL))
        return explain_clip(&o);
    else
        rc = explain_picture(&o);
    return rc ? CLI_FAILED : CLI_OK;
}
