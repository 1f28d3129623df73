/* veil doctor: what this machine and this build offer, what is missing and what to do. */
#include "commands.h"
#include "devices.h"
#include "error.h"
#include "levels.h"
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int n_missing;

static void missing(const char *what, const char *remedy) {
    printf("  missing: %s\n           %s\n", what, remedy);
    n_missing++;
}

static void show_cpu(void) {
    uint32_t levels = veil_cpu_levels(), level;
    printf("Processor\n  levels:  ");
    for (size_t i = 0; levels_name(i, &level); i++) {
        if ((levels & level) != 0)
            printf("%s ", levels_name(i, &level));
    }
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    printf("%s\n  cores:   %ld (the network uses %ld unless --threads says otherwise)\n",
           levels == 0 ? "none (plain C only, slow)" : "", cores, cores < 4 ? cores : 4);
}

static int show_net(const char *path, const void *model, size_t size) {
    veil_net *net = NULL;
    veil_net_options options = {.struct_size = sizeof options, .threads = 1};
    int ret = veil_net_create(&net, model, size, &options);
    if (ret != VEIL_OK) {
        printf("  %s: %s\n", path ? path : "built in", veil_strerror(ret));
        if (path)
            missing("a usable model", "name another file with --model or VEIL_MODEL");
        else
            missing("a built-in model",
                    "build with models/veil-n.veil in place, or name a file with --model FILE");
        return CLI_FAILED;
    }
    printf("  from:    %s\n", path ? path : "built in");
    for (size_t i = 0; veil_net_meta_key(net, i); i++) {
        const char *key = veil_net_meta_key(net, i);
        const char *text = veil_net_meta(net, key);
        printf("  %-8s %.100s%s\n", key, text ? text : "", text && strlen(text) > 100 ? "..." : "");
    }
    veil_net_destroy(net);
    return CLI_OK;
}

static int show_model(void) {
    cli_options none = {0};
    const char *path = session_model_path(&none);
    size_t size = 0;
    printf("\nModel\n");
    uint8_t *bytes = path ? session_read_file(path, &size, "doctor") : NULL;
    int status = path && !bytes ? CLI_FAILED : show_net(path, bytes, size);
    free(bytes);
    return status;
}

static void show_ffmpeg(void) {
    char text[64];
    printf("\nFFmpeg %s\n  ", devices_ffmpeg_version());
    for (size_t i = 0; devices_library(i, text, sizeof text); i++)
        printf("%s%s", i > 0 ? ", " : "", text);
    static const char *const encoders[] = {
        "libx264",    "libx265",    "libvpx-vp9", "libsvtav1",    "libaom-av1", "ffv1", "mpeg4",
        "h264_vaapi", "h264_nvenc", "h264_qsv",   "h264_v4l2m2m", "mjpeg",      "png",  "libwebp"};
    printf("\n  video encoders: ");
    for (size_t i = 0; i < sizeof encoders / sizeof encoders[0]; i++) {
        if (devices_has_encoder(encoders[i]))
            printf("%s ", encoders[i]);
    }
    static const char *const protocols[] = {"file",  "pipe", "http", "https", "rtmp",
                                            "rtmps", "rtp",  "srt",  "udp",   "tcp"};
    printf("\n  protocols:      ");
    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++) {
        if (devices_has_protocol(protocols[i]))
            printf("%s ", protocols[i]);
    }
    printf("\n");
    if (!devices_has_encoder("libx264"))
        missing("the encoder libx264", "apt install libavcodec-extra, or name another with -c:v");
    if (!devices_has_decoder("h264"))
        missing("the decoder h264", "apt install libavcodec-extra");
    if (!devices_has_encoder("libwebp"))
        missing("the encoder libwebp", "WebP pictures cannot be written; write .png instead");
}

static void show_cameras(void) {
    devices_camera camera;
    size_t n = 0;
    printf("\nCameras\n");
    for (; devices_find_camera(n, &camera); n++) {
        if (!camera.readable)
            printf("  %s: no permission; add yourself to the group video\n", camera.path);
        else
            printf("  %s: %s (%s)%s%s\n", camera.path, camera.name, camera.driver,
                   camera.captures ? " camera" : "", camera.plays ? " virtual camera" : "");
    }
    if (n == 0)
        printf("  none (no /dev/video*)\n");
}

int cli_doctor(int argc, char **argv) {
    cli_options o;
    int status = options_parse(&o, CLI_DOCTOR, argv[0], argc - 1, argv + 1);
    if (status == CLI_OK && o.n_inputs > 0) {
        cli_error("doctor", "takes no input, but got '%s'", o.inputs[0]);
        status = CLI_USAGE;
    }
    if (status != CLI_OK || o.help) {
        if (o.help) {
            puts("veil doctor - what this machine and this build offer, and what is missing\n\n"
                 "Usage: veil doctor");
            options_help(CLI_DOCTOR);
        }
        options_free(&o);
        return status;
    }
    media_log_init(o.verbose);
    uint32_t v = veil_version();
    printf("veil %s, library %u.%u.%u\n\n", PROGRAM_VERSION, v >> 16 & 255, v >> 8 & 255, v & 255);
    show_cpu();
    status = show_model();
    show_ffmpeg();
    show_cameras();
    if (n_missing == 0)
        printf("\nNothing is missing.\n");
    else
        printf("\n%d thing%s missing, see above.\n", n_missing, n_missing == 1 ? " is" : "s are");
    options_free(&o);
    return status;
}
