/* Video encoding. Codecs that count time only in frames get frame numbers; their packets get the
 * real times back from a table, so variable rates stay exact with every codec. */
#include "encoder.h"

#include "convert.h"

#include <libavutil/opt.h>
#include <libavutil/parseutils.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMES 2048 /* frames an encoder may hold back; power of two */

struct encoder {
    AVCodecContext *context;
    frame_map_choice formats;
    convert *to_encode; /* when libveil's format is not the encoder's */
    AVFrame *scratch;
    AVRational time_base; /* of the source */
    bool by_number, wants_key;
    int64_t n_sent, first_pts;
    int64_t pts[TIMES], duration[TIMES]; /* by frame number modulo TIMES */
};

const AVCodec *encoder_find(const char *name, media_error *err) {
    static const char *const liked[][2] = {{"h264", "libx264"},   {"hevc", "libx265"},
                                           {"h265", "libx265"},   {"vp8", "libvpx"},
                                           {"vp9", "libvpx-vp9"}, {"av1", "libsvtav1"}};
    if (strcmp(name, "copy") == 0) {
        media_fail(err, "video cannot be copied: every frame has to be analysed");
        return NULL;
    }
    const AVCodec *codec = NULL;
    for (size_t i = 0; i < sizeof liked / sizeof liked[0]; i++) {
        if (strcmp(name, liked[i][0]) == 0)
            codec = avcodec_find_encoder_by_name(liked[i][1]);
    }
    if (!codec)
        codec = avcodec_find_encoder_by_name(name);
    if (!codec) {
        const AVCodecDescriptor *d = avcodec_descriptor_get_by_name(name);
        codec = d ? avcodec_find_encoder(d->id) : NULL;
    }
    if (!codec || codec->type != AVMEDIA_TYPE_VIDEO) {
        media_fail(err, "no video encoder is called '%s' (veil doctor lists them)", name);
        return NULL;
    }
    return codec;
}

/* Others (ASF, MPEG program streams) take H.264 too, but hardly anything reads it from them. */
static bool plays_h264(const AVOutputFormat *container) {
    static const char *const names[] = {"mp4", "mov", "matroska", "mpegts", "flv",       "3gp",
                                        "3g2", "psp", "ipod",     "ismv",   "f4v",       "avi",
                                        "nut", "hls", "rtp",      "rtsp",   "rtp_mpegts"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(container->name, names[i]) == 0)
            return true;
    }
    return false;
}

const AVCodec *encoder_for_container(const AVOutputFormat *container, media_error *err) {
    const AVCodec *codec = NULL;
    if (plays_h264(container))
        codec = avcodec_find_encoder_by_name("libx264");
    if (!codec && container->video_codec == AV_CODEC_ID_VP9)
        codec = avcodec_find_encoder_by_name("libvpx-vp9");
    if (!codec && container->video_codec != AV_CODEC_ID_NONE)
        codec = avcodec_find_encoder(container->video_codec);
    if (!codec)
        media_fail(err, "no video can be put into the format '%s'", container->name);
    return codec;
}

/* These keep their rate control right with any clock. */
static bool takes_any_clock(const char *name) {
    return strncmp(name, "libx264", 7) == 0 || strncmp(name, "libvpx", 6) == 0 ||
           strncmp(name, "libaom", 6) == 0;
}

static bool needs_even_size(enum AVCodecID id) {
    return id == AV_CODEC_ID_H264 || id == AV_CODEC_ID_HEVC;
}

/* YUV4MPEG holds few formats and its encoder lists none. */
static const enum AVPixelFormat y4m_formats[] = {AV_PIX_FMT_YUV420P,     AV_PIX_FMT_YUV422P,
                                                 AV_PIX_FMT_YUV444P,     AV_PIX_FMT_GRAY8,
                                                 AV_PIX_FMT_YUV420P10LE, AV_PIX_FMT_NONE};

static const enum AVPixelFormat *formats_taken(const AVCodec *codec, const encoder_source *source) {
    if (source->container && strcmp(source->container->name, "yuv4mpegpipe") == 0)
        return y4m_formats;
    return codec->pix_fmts;
}

static int choose_formats(encoder *e, const encoder_options *options, const encoder_source *source,
                          const AVCodec *codec, media_error *err) {
    const enum AVPixelFormat *takes = formats_taken(codec, source);
    enum AVPixelFormat wanted[2] = {AV_PIX_FMT_NONE, AV_PIX_FMT_NONE};
    if (options->pixel_format) {
        wanted[0] = av_get_pix_fmt(options->pixel_format);
        if (wanted[0] == AV_PIX_FMT_NONE)
            return media_fail(err, "no pixel format is called '%s'", options->pixel_format);
        takes = wanted;
    }
    bool even = needs_even_size(codec->id) && !options->pixel_format;
    e->formats = frame_map_choose((enum AVPixelFormat)source->frame->format, takes,
                                  even && (source->width & 1), even && (source->height & 1));
    if (e->formats.work == AV_PIX_FMT_NONE || e->formats.encode == AV_PIX_FMT_NONE)
        return media_fail(err, "%s has no pixel format near the input's", codec->name);
    if (source->params->codec_id == AV_CODEC_ID_GIF)
        e->formats.note = NULL; /* its transparency only says what stays of the frame before */
    return 0;
}

static bool is_rgb(enum AVPixelFormat format) {
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    return d && (d->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL)) != 0;
}

static void set_colour(AVCodecContext *c, const encoder_source *source, bool rgb_in) {
    const AVFrame *f = source->frame;
    const AVCodecParameters *p = source->params;
    c->color_range = f->color_range;
    c->color_primaries =
        f->color_primaries != AVCOL_PRI_UNSPECIFIED ? f->color_primaries : p->color_primaries;
    c->color_trc = f->color_trc != AVCOL_TRC_UNSPECIFIED ? f->color_trc : p->color_trc;
    c->colorspace = f->colorspace != AVCOL_SPC_UNSPECIFIED ? f->colorspace : p->color_space;
    c->chroma_sample_location = f->chroma_location;
    if (rgb_in && !is_rgb(c->pix_fmt)) { /* what convert.c makes of RGB */
        c->colorspace = source->height >= 720 ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
        c->color_range = AVCOL_RANGE_MPEG;
        c->chroma_sample_location = AVCHROMA_LOC_UNSPECIFIED;
    }
    if (c->pix_fmt == AV_PIX_FMT_YUVJ420P || c->pix_fmt == AV_PIX_FMT_YUVJ422P ||
        c->pix_fmt == AV_PIX_FMT_YUVJ444P)
        c->color_range = AVCOL_RANGE_JPEG;
}

static void set_fields(AVCodecContext *c, const encoder_source *source) {
    if (!source->frame->interlaced_frame) {
        c->field_order = AV_FIELD_PROGRESSIVE;
        return;
    }
    c->field_order = source->params->field_order;
    if (c->field_order == AV_FIELD_UNKNOWN || c->field_order == AV_FIELD_PROGRESSIVE)
        c->field_order = source->frame->top_field_first ? AV_FIELD_TT : AV_FIELD_BB;
    c->flags |= AV_CODEC_FLAG_INTERLACED_DCT | AV_CODEC_FLAG_INTERLACED_ME;
}

static void set_time(encoder *e, const encoder_source *source) {
    AVCodecContext *c = e->context;
    AVRational rate = source->rate.num > 0 ? source->rate : (AVRational){25, 1};
    c->framerate = rate;
    e->by_number = !takes_any_clock(c->codec->name);
    /* Codecs that count frames get at most 240 of them a second and small terms. */
    if (e->by_number && (av_q2d(rate) > 240 || rate.num > 65535 || rate.den > 65535))
        av_reduce(&rate.num, &rate.den, rate.num, rate.den, 60000);
    if (e->by_number && av_q2d(rate) > 240)
        rate = (AVRational){240, 1};
    c->time_base = e->by_number ? av_inv_q(rate) : source->time_base;
    if (e->by_number)
        c->framerate = rate;
}

/* A quality like the better encoders' defaults, where FFmpeg's own would be poor. */
static void set_quality(AVCodecContext *c, const encoder_options *options, AVDictionary **dict) {
    bool quality_given =
        options->crf || options->bit_rate || (options->extra && strstr(options->extra, "q"));
    if (quality_given)
        return;
    if (strcmp(c->codec->name, "libwebp") == 0)
        av_dict_set(dict, "quality", "92", 0);
    else if (c->bit_rate == 200000) { /* FFmpeg's fallback of 200 kbit/s */
        c->flags |= AV_CODEC_FLAG_QSCALE;
        c->global_quality = FF_QP2LAMBDA * (c->codec_id == AV_CODEC_ID_MJPEG ? 2 : 3);
    }
}

static int make_dict(AVDictionary **dict, const AVCodec *codec, const encoder_options *o,
                     media_error *err) {
    const char *const pairs[][2] = {
        {"preset", o->preset}, {"tune", o->tune}, {"crf", o->crf}, {"b", o->bit_rate}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (pairs[i][1])
            av_dict_set(dict, pairs[i][0], pairs[i][1], 0);
    }
    if (o->gop > 0)
        av_dict_set_int(dict, "g", o->gop, 0);
    if (strcmp(codec->name, "libx265") == 0) /* it writes to stderr by itself */
        av_dict_set(dict, "x265-params", "log-level=error", 0);
    if (o->extra && av_dict_parse_string(dict, o->extra, "=", ":", 0) < 0)
        return media_fail(err, "encoder options must look like name=value:name=value, not '%s'",
                          o->extra);
    return 0;
}

/* x264 and x265 print such mistakes themselves; this way there is one line, and it is ours. */
static int check_preset(const AVCodec *codec, const encoder_options *o, media_error *err) {
    static const char presets[] = " ultrafast superfast veryfast faster fast medium slow slower "
                                  "veryslow placebo ";
    bool x264 = strncmp(codec->name, "libx264", 7) == 0;
    char word[32];
    if (!o->preset || (!x264 && strcmp(codec->name, "libx265") != 0))
        return 0;
    snprintf(word, sizeof word, " %s ", o->preset);
    if (strstr(presets, word) && !strchr(o->preset, ' '))
        return 0;
    return media_fail(err, "%s has no preset '%s'; it has%s", codec->name, o->preset, presets);
}

static int check_tune(const AVCodec *codec, const char *tune, media_error *err) {
    static const char *const tunes[] = {"film", "animation", "grain",      "stillimage",
                                        "psnr", "ssim",      "fastdecode", "zerolatency"};
    if (!tune || strncmp(codec->name, "libx264", 7) != 0)
        return 0;
    for (const char *p = tune; p;) { /* several, separated by commas */
        size_t n = strcspn(p, ",");
        bool known = false;
        for (size_t i = 0; i < sizeof tunes / sizeof tunes[0]; i++)
            known = known || (strlen(tunes[i]) == n && strncmp(tunes[i], p, n) == 0);
        if (!known)
            return media_fail(err, "%s has no tuning '%.*s'", codec->name, (int)n, p);
        p = p[n] == ',' ? p + n + 1 : NULL;
    }
    return 0;
}

static int open_context(encoder *e, const encoder_options *options, const encoder_source *source,
                        const AVCodec *codec, media_error *err) {
    AVDictionary *dict = NULL;
    e->context = avcodec_alloc_context3(codec);
    if (!e->context)
        return media_fail(err, "out of memory");
    AVCodecContext *c = e->context;
    c->width = source->width;
    c->height = source->height;
    c->pix_fmt = e->formats.encode;
    c->sample_aspect_ratio = source->frame->sample_aspect_ratio;
    c->strict_std_compliance = FF_COMPLIANCE_UNOFFICIAL;
    c->thread_count = source->is_picture ? 1 : options->threads;
    set_colour(c, source, is_rgb((enum AVPixelFormat)source->frame->format));
    set_fields(c, source);
    set_time(e, source);
    set_quality(c, options, &dict);
    if (source->global_header ||
        (source->container && (source->container->flags & AVFMT_GLOBALHEADER) != 0))
        c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    if (source->container && strcmp(source->container->name, "avi") == 0)
        c->max_b_frames = 0; /* AVI has no presentation times */
    int ret = make_dict(&dict, codec, options, err);
    if (ret == 0) {
        media_log_forget();
        int code = avcodec_open2(c, codec, &dict);
        const AVDictionaryEntry *unknown = av_dict_get(dict, "", NULL, AV_DICT_IGNORE_SUFFIX);
        if (code < 0)
            ret = media_fail_av(err, code, "the encoder %s cannot be opened", codec->name);
        else if (unknown)
            ret = media_fail(err, "the encoder %s has no option '%s'", codec->name, unknown->key);
    }
    av_dict_free(&dict);
    return ret;
}

int encoder_open(encoder **out, const encoder_options *options, const encoder_source *source,
                 const AVCodec *codec, media_error *err) {
    *out = NULL;
    encoder *e = calloc(1, sizeof *e);
    if (!e)
        return media_fail(err, "out of memory");
    e->time_base = source->time_base;
    e->scratch = av_frame_alloc();
    if (!e->scratch) {
        media_fail(err, "out of memory");
        goto fail;
    }
    if (check_preset(codec, options, err) != 0 || check_tune(codec, options->tune, err) != 0)
        goto fail;
    if (choose_formats(e, options, source, codec, err) != 0 ||
        open_context(e, options, source, codec, err) != 0)
        goto fail;
    if (e->formats.work != e->formats.encode &&
        convert_create(&e->to_encode, e->formats.encode, source->width, source->height, err) != 0)
        goto fail;
    *out = e;
    return 0;
fail:
    encoder_close(e);
    return -1;
}

void encoder_close(encoder *e) {
    if (!e)
        return;
    avcodec_free_context(&e->context);
    convert_destroy(e->to_encode);
    av_frame_free(&e->scratch);
    free(e);
}

const AVCodecContext *encoder_context(const encoder *e) {
    return e->context;
}

frame_map_choice encoder_formats(const encoder *e) {
    return e->formats;
}

/* Camera models, places and serial numbers travel beside frames too; only these may pass. */
static void keep_harmless_side_data(AVFrame *frame) {
    static const enum AVFrameSideDataType kept[] = {
        AV_FRAME_DATA_A53_CC,
        AV_FRAME_DATA_STEREO3D,
        AV_FRAME_DATA_AFD,
        AV_FRAME_DATA_MASTERING_DISPLAY_METADATA,
        AV_FRAME_DATA_CONTENT_LIGHT_LEVEL,
        AV_FRAME_DATA_ICC_PROFILE,
    };
    for (int i = frame->nb_side_data - 1; i >= 0; i--) {
        bool keep = false;
        for (size_t k = 0; k < sizeof kept / sizeof kept[0]; k++)
            keep = keep || frame->side_data[i]->type == kept[k];
        if (!keep)
            av_frame_remove_side_data(frame, frame->side_data[i]->type);
    }
    av_dict_free(&frame->metadata);
}

static void note_time(encoder *e, AVFrame *frame) {
    int slot = (int)(e->n_sent & (TIMES - 1));
    if (e->n_sent == 0)
        e->first_pts = frame->pts;
    e->pts[slot] = frame->pts;
    e->duration[slot] = frame->pkt_duration;
    if (e->by_number) {
        frame->pts = e->n_sent;
        frame->pkt_duration = 1;
    }
    e->n_sent++;
}

int encoder_send(encoder *e, const media_shown *shown, media_error *err) {
    AVFrame *frame = NULL;
    if (shown) {
        frame = e->scratch;
        if (av_frame_ref(frame, shown->frame) < 0)
            return media_fail(err, "out of memory");
        /* The encoder chooses, not the input. */
        frame->pict_type = e->wants_key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
        e->wants_key = false;
        frame->key_frame = 0;
        frame->quality = e->context->global_quality;
        keep_harmless_side_data(frame);
        if (e->to_encode && convert_frame(e->to_encode, frame, err) != 0)
            return -1;
        note_time(e, frame);
    }
    int ret = avcodec_send_frame(e->context, frame);
    av_frame_unref(e->scratch);
    if (ret < 0 && ret != AVERROR_EOF)
        return media_fail_av(err, ret, "the encoder %s failed", e->context->codec->name);
    return 0;
}

void encoder_request_key(encoder *e) {
    e->wants_key = true;
}

static int64_t real_time(const encoder *e, int64_t number) {
    int64_t oldest = e->n_sent > TIMES ? e->n_sent - TIMES : 0;
    if (number >= oldest && number < e->n_sent)
        return e->pts[number & (TIMES - 1)];
    /* Before the first frame: decoding starts a few frames early. */
    int64_t step = av_rescale_q(1, av_inv_q(e->context->framerate), e->time_base);
    return e->first_pts + number * (step > 0 ? step : 1);
}

static int64_t duration_at(const encoder *e, int64_t pts) {
    int64_t n = e->n_sent < TIMES ? e->n_sent : TIMES;
    for (int64_t i = 1; i <= n; i++) {
        int slot = (int)((e->n_sent - i) & (TIMES - 1));
        if (e->pts[slot] == pts)
            return e->duration[slot];
    }
    return 0;
}

int encoder_receive(encoder *e, AVPacket *packet, media_error *err) {
    int ret = avcodec_receive_packet(e->context, packet);
    if (ret == AVERROR(EAGAIN) || ret == AVERROR_EOF)
        return 0;
    if (ret < 0)
        return media_fail_av(err, ret, "the encoder %s failed", e->context->codec->name);
    if (e->by_number) {
        packet->pts = real_time(e, packet->pts);
        packet->dts = real_time(e, packet->dts);
    }
    packet->duration = duration_at(e, packet->pts);
    packet->time_base = e->time_base;
    return 1;
}
