/* Pixel format mapping. Says nothing about how conversion is done (convert.c). */
#include "frame_map.h"

#include <libavutil/mathematics.h>
#include <libavutil/pixdesc.h>
#include <string.h>

static const struct {
    enum AVPixelFormat av;
    veil_format veil;
} map[] = {
    {AV_PIX_FMT_YUV420P, VEIL_FORMAT_I420},  {AV_PIX_FMT_YUVJ420P, VEIL_FORMAT_I420},
    {AV_PIX_FMT_NV12, VEIL_FORMAT_NV12},     {AV_PIX_FMT_YUV422P, VEIL_FORMAT_I422},
    {AV_PIX_FMT_YUVJ422P, VEIL_FORMAT_I422}, {AV_PIX_FMT_YUV444P, VEIL_FORMAT_I444},
    {AV_PIX_FMT_YUVJ444P, VEIL_FORMAT_I444}, {AV_PIX_FMT_YUYV422, VEIL_FORMAT_YUY2},
    {AV_PIX_FMT_UYVY422, VEIL_FORMAT_UYVY},  {AV_PIX_FMT_RGB24, VEIL_FORMAT_RGB24},
    {AV_PIX_FMT_BGR24, VEIL_FORMAT_BGR24},   {AV_PIX_FMT_RGBA, VEIL_FORMAT_RGBA},
    {AV_PIX_FMT_BGRA, VEIL_FORMAT_BGRA},     {AV_PIX_FMT_RGB0, VEIL_FORMAT_RGBA},
    {AV_PIX_FMT_BGR0, VEIL_FORMAT_BGRA},     {AV_PIX_FMT_YUV420P10LE, VEIL_FORMAT_I010},
    {AV_PIX_FMT_GRAY8, VEIL_FORMAT_GRAY8},
};

#define N_MAP (sizeof map / sizeof map[0])

veil_format frame_map_veil(enum AVPixelFormat format) {
    for (size_t i = 0; i < N_MAP; i++) {
        if (map[i].av == format)
            return map[i].veil;
    }
    return VEIL_FORMAT_NONE;
}

static bool is_rgb(enum AVPixelFormat format) {
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    return d && (d->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL)) != 0;
}

enum AVPixelFormat frame_map_nearest(enum AVPixelFormat format) {
    if (frame_map_veil(format) != VEIL_FORMAT_NONE)
        return format;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    if (!d)
        return AV_PIX_FMT_NONE;
    bool alpha = (d->flags & (AV_PIX_FMT_FLAG_ALPHA | AV_PIX_FMT_FLAG_PAL)) != 0;
    if (alpha)
        return AV_PIX_FMT_RGBA;
    if (is_rgb(format))
        return AV_PIX_FMT_RGB24;
    if (d->nb_components < 3)
        return AV_PIX_FMT_GRAY8;
    /* More than 8 bits matter more than full chroma: banding is seen at once. */
    if (d->comp[0].depth > 8)
        return AV_PIX_FMT_YUV420P10LE;
    if (d->log2_chroma_w == 0)
        return AV_PIX_FMT_YUV444P;
    return d->log2_chroma_h == 0 ? AV_PIX_FMT_YUV422P : AV_PIX_FMT_YUV420P;
}

static bool in_list(const enum AVPixelFormat *list, enum AVPixelFormat format) {
    if (!list)
        return true;
    for (; *list != AV_PIX_FMT_NONE; list++) {
        if (*list == format)
            return true;
    }
    return false;
}

/* What the encoder should get, or the source format when it takes that. */
static enum AVPixelFormat choose_encode(enum AVPixelFormat work, enum AVPixelFormat source,
                                        const enum AVPixelFormat *takes) {
    if (in_list(takes, work))
        return work;
    /* Films from RGB sources should play everywhere, so 4:2:0 rather than 4:4:4. */
    if (is_rgb(source) && in_list(takes, AV_PIX_FMT_YUV420P))
        return AV_PIX_FMT_YUV420P;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(source);
    bool alpha = d && (d->flags & AV_PIX_FMT_FLAG_ALPHA) != 0;
    return avcodec_find_best_pix_fmt_of_list(takes, source, alpha, NULL);
}

static const char *loss_note(enum AVPixelFormat source, enum AVPixelFormat result) {
    const AVPixFmtDescriptor *s = av_pix_fmt_desc_get(source);
    const AVPixFmtDescriptor *r = av_pix_fmt_desc_get(result);
    if (!s || !r || (s->flags & AV_PIX_FMT_FLAG_PAL) != 0)
        return NULL;
    if (r->comp[0].depth < s->comp[0].depth)
        return "fewer bits a sample than the input";
    if (!is_rgb(source) && !is_rgb(result) && s->nb_components > 2 &&
        (r->log2_chroma_w > s->log2_chroma_w || r->log2_chroma_h > s->log2_chroma_h))
        return "less colour detail than the input";
    if ((s->flags & AV_PIX_FMT_FLAG_ALPHA) != 0 && (r->flags & AV_PIX_FMT_FLAG_ALPHA) == 0)
        return "transparency is lost";
    return NULL;
}

static bool subsampled(enum AVPixelFormat format, bool x, bool y) {
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    if (!d || d->nb_components < 3 || is_rgb(format))
        return false;
    return (x && d->log2_chroma_w > 0) || (y && d->log2_chroma_h > 0);
}

frame_map_choice frame_map_choose(enum AVPixelFormat source,
                                  const enum AVPixelFormat *encoder_takes, bool no_subsampling_x,
                                  bool no_subsampling_y) {
    frame_map_choice c = {.work = frame_map_nearest(source), .encode = AV_PIX_FMT_NONE};
    if (c.work == AV_PIX_FMT_NONE)
        return c;
    c.encode = choose_encode(c.work, source, encoder_takes);
    if (subsampled(c.encode, no_subsampling_x, no_subsampling_y) &&
        in_list(encoder_takes, AV_PIX_FMT_YUV444P)) {
        c.encode = AV_PIX_FMT_YUV444P;
        c.note = "odd size: encoded as 4:4:4, which some players cannot show";
    }
    if (frame_map_veil(c.encode) != VEIL_FORMAT_NONE)
        c.work = c.encode; /* one conversion at most, before libveil */
    if (!c.note)
        c.note = loss_note(source, c.encode);
    if (!c.note)
        c.note = loss_note(source, c.work);
    return c;
}

static veil_matrix matrix_of(enum AVColorSpace space) {
    switch (space) {
    case AVCOL_SPC_BT709:
        return VEIL_MATRIX_BT709;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
        return VEIL_MATRIX_BT601;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
        return VEIL_MATRIX_BT2020;
    default:
        return VEIL_MATRIX_AUTO;
    }
}

static veil_range range_of(const AVFrame *frame) {
    switch ((enum AVPixelFormat)frame->format) {
    case AV_PIX_FMT_YUVJ420P:
    case AV_PIX_FMT_YUVJ422P:
    case AV_PIX_FMT_YUVJ444P:
        return VEIL_RANGE_FULL;
    case AV_PIX_FMT_GRAY8: /* FFmpeg treats untagged gray as full range */
        return frame->color_range == AVCOL_RANGE_MPEG ? VEIL_RANGE_LIMITED : VEIL_RANGE_FULL;
    default:
        return frame->color_range == AVCOL_RANGE_JPEG ? VEIL_RANGE_FULL : VEIL_RANGE_LIMITED;
    }
}

bool frame_map_fill(veil_frame *out, const AVFrame *frame, AVRational time_base, int rotation) {
    memset(out, 0, sizeof *out);
    out->format = frame_map_veil((enum AVPixelFormat)frame->format);
    if (out->format == VEIL_FORMAT_NONE)
        return false;
    for (int i = 0; i < 4; i++) {
        out->plane[i] = frame->data[i];
        out->stride[i] = frame->linesize[i];
    }
    out->width = frame->width;
    out->height = frame->height;
    out->matrix = matrix_of(frame->colorspace);
    out->range = range_of(frame);
    out->rotation = rotation;
    out->pts_ns = frame->pts == AV_NOPTS_VALUE
                      ? 0
                      : av_rescale_q(frame->pts, time_base, (AVRational){1, 1000000000});
    return true;
}
