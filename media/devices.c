/* Asks FFmpeg what it was built with, and the kernel for V4L2 devices. Opens no camera's stream. */
#include "devices.h"

#include <fcntl.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libswscale/swscale.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

const char *devices_library(size_t i, char *text, size_t size) {
    const struct {
        const char *name;
        unsigned version;
    } libraries[] = {{"libavformat", avformat_version()},
                     {"libavcodec", avcodec_version()},
                     {"libavutil", avutil_version()},
                     {"libswscale", swscale_version()}};
    if (i >= sizeof libraries / sizeof libraries[0])
        return NULL;
    unsigned v = libraries[i].version;
    snprintf(text, size, "%s %u.%u.%u", libraries[i].name, AV_VERSION_MAJOR(v), AV_VERSION_MINOR(v),
             AV_VERSION_MICRO(v));
    return text;
}

const char *devices_ffmpeg_version(void) {
    return av_version_info();
}

bool devices_has_encoder(const char *name) {
    return avcodec_find_encoder_by_name(name) != NULL;
}

bool devices_has_decoder(const char *name) {
    return avcodec_find_decoder_by_name(name) != NULL;
}

bool devices_has_protocol(const char *name) {
    void *state = NULL;
    const char *p;
    while ((p = avio_enum_protocols(&state, 0))) {
        if (strcmp(p, name) == 0)
            return true;
    }
    return false;
}

bool devices_has_input(const char *name) {
    return av_find_input_format(name) != NULL;
}

const char *devices_video_encoder(size_t i) {
    void *state = NULL;
    const AVCodec *c;
    while ((c = av_codec_iterate(&state))) {
        if (av_codec_is_encoder(c) && c->type == AVMEDIA_TYPE_VIDEO && i-- == 0)
            return c->name;
    }
    return NULL;
}

bool devices_find_camera(size_t i, devices_camera *out) {
    for (int number = 0; number < 64; number++) {
        memset(out, 0, sizeof *out);
        snprintf(out->path, sizeof out->path, "/dev/video%d", number);
        struct stat st;
        if (stat(out->path, &st) != 0 || !S_ISCHR(st.st_mode) || i-- > 0)
            continue;
        int fd = open(out->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        out->readable = fd >= 0;
        struct v4l2_capability cap;
        memset(&cap, 0, sizeof cap);
        if (fd >= 0 && ioctl(fd, VIDIOC_QUERYCAP, &cap) == 0) {
            unsigned caps =
                (cap.capabilities & V4L2_CAP_DEVICE_CAPS) != 0 ? cap.device_caps : cap.capabilities;
            out->captures = (caps & V4L2_CAP_VIDEO_CAPTURE) != 0;
            out->plays = (caps & V4L2_CAP_VIDEO_OUTPUT) != 0;
            snprintf(out->name, sizeof out->name, "%s", (const char *)cap.card);
            snprintf(out->driver, sizeof out->driver, "%s", (const char *)cap.driver);
        }
        if (fd >= 0)
            close(fd);
        return true;
    }
    return false;
}
