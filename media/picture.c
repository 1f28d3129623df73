/* Loads the first frame of any file as RGBA. */
#include "picture.h"

#include "convert.h"

#include <stdlib.h>
#include <string.h>

int media_picture_load(media_picture *out, const char *path, int max_px, media_error *err) {
    media_input_options options = {.path = path, .video_only = true, .threads = 1};
    return media_picture_load_from(out, &options, max_px, err);
}

int media_picture_load_from(media_picture *out, const media_input_options *options, int max_px,
                            media_error *err) {
    const char *path = options->path;
    memset(out, 0, sizeof *out);
    media_input *in = NULL;
    convert *c = NULL;
    AVFrame *frame = av_frame_alloc();
    AVPacket *packet = av_packet_alloc();
    int ret = -1;
    if (!frame || !packet) {
        media_fail(err, "out of memory");
        goto done;
    }
    if (media_input_open(&in, options, err) != 0)
        goto done;
    if (media_input_read(in, frame, packet, err) != MEDIA_ITEM_FRAME) {
        media_fail(err, "'%s': no picture can be decoded", path);
        goto done;
    }
    if (frame->width > max_px || frame->height > max_px) {
        media_fail(err, "'%s' is %dx%d px; at most %d are taken", path, frame->width, frame->height,
                   max_px);
        goto done;
    }
    if (convert_create(&c, AV_PIX_FMT_RGBA, frame->width, frame->height, err) != 0 ||
        convert_frame(c, frame, err) != 0)
        goto done;
    size_t row = (size_t)frame->width * 4;
    out->pixels = malloc(row * (size_t)frame->height);
    if (!out->pixels) {
        media_fail(err, "out of memory");
        goto done;
    }
    for (int y = 0; y < frame->height; y++)
        memcpy(out->pixels + row * (size_t)y, frame->data[0] + (ptrdiff_t)frame->linesize[0] * y,
               row);
    out->width = frame->width;
    out->height = frame->height;
    out->stride = (ptrdiff_t)row;
    ret = 0;
done:
    convert_destroy(c);
    media_input_close(in);
    av_packet_free(&packet);
    av_frame_free(&frame);
    return ret;
}
