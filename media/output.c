/* Muxing. Still pictures are one packet of their codec in a file of its own, without a muxer. */
#include "output.h"

#include "orient.h"
#include "part.h"

#include <errno.h>
#include <libavutil/avstring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct media_output {
    char *path; /* as people know it */
    const atomic_int *stop;
    part *part;              /* NULL for pipes and addresses */
    AVFormatContext *format; /* NULL for still pictures */
    FILE *picture;
    bool picture_written, header_written, turns, is_file;
    encoder *encoder;
    AVStream *video;
    AVRational video_base; /* of the frames and encoded packets */
    AVRational *bases;     /* of the input's streams */
    int *map;              /* input stream to output stream */
    unsigned n_map;
    AVPacket *packet;
};

static const struct {
    const char *ending, *encoder;
} pictures[] = {
    {"jpg", "mjpeg"}, {"jpeg", "mjpeg"},   {"jpe", "mjpeg"},    {"jfif", "mjpeg"},
    {"png", "png"},   {"webp", "libwebp"}, {"bmp", "bmp"},      {"tif", "tiff"},
    {"tiff", "tiff"}, {"ppm", "ppm"},      {"pgm", "pgm"},      {"pam", "pam"},
    {"tga", "targa"}, {"jxl", "libjxl"},   {"jp2", "jpeg2000"}, {"sgi", "sgi"},
    {"pcx", "pcx"},
};

static const char *picture_encoder(const char *path, const char *format) {
    const char *ending = format;
    if (!ending) {
        ending = strrchr(path, '.');
        if (!ending)
            return NULL;
        ending++;
    }
    for (size_t i = 0; i < sizeof pictures / sizeof pictures[0]; i++) {
        if (av_strcasecmp(ending, pictures[i].ending) == 0)
            return pictures[i].encoder;
    }
    return NULL;
}

bool media_output_is_picture(const char *path, const char *format) {
    return picture_encoder(path, format) != NULL;
}

const AVOutputFormat *media_output_container(const char *path, const char *format,
                                             media_error *err) {
    bool is_pipe = strcmp(path, "-") == 0;
    const char *name = format ? format : is_pipe ? "matroska" : NULL;
    if (name && strcmp(name, "mkv") == 0)
        name = "matroska";
    if (name && strcmp(name, "ts") == 0)
        name = "mpegts";
    if (name && strcmp(name, "y4m") == 0)
        name = "yuv4mpegpipe";
    const AVOutputFormat *f = av_guess_format(name, name ? NULL : path, NULL);
    if (!f && name)
        media_fail(err, "no output format is called '%s'", name);
    else if (!f)
        media_fail(err, "cannot tell the format of '%s' from its ending; say it with -f", path);
    return f;
}

static int is_stopped(void *opaque) {
    const media_output *o = opaque;
    return o->stop && atomic_load_explicit(o->stop, memory_order_relaxed) != 0;
}

static bool is_address(const char *path) {
    return strstr(path, "://") != NULL;
}

static int open_encoder(media_output *o, const media_output_options *options, const media_input *in,
                        const AVFrame *first, const AVOutputFormat *container, media_error *err) {
    const AVStream *video = media_input_video(in);
    const AVCodec *codec = NULL;
    if (options->encoder.codec)
        codec = encoder_find(options->encoder.codec, err);
    else if (container)
        codec = encoder_for_container(container, err);
    else
        codec = encoder_find(picture_encoder(options->path, options->format), err);
    if (!codec)
        return -1;
    if (container && avformat_query_codec(container, codec->id, FF_COMPLIANCE_EXPERIMENTAL) == 0)
        return media_fail(err, "%s video does not fit into %s", codec->name, container->name);
    int rotation = orient_rotation(media_input_matrix(in));
    bool swap = o->turns && (rotation == 90 || rotation == 270);
    encoder_source source = {
        .frame = first,
        .params = video->codecpar,
        .width = swap ? first->height : first->width,
        .height = swap ? first->width : first->height,
        .time_base = video->time_base,
        .rate = media_input_rate(in),
        .container = container,
        .is_picture = container == NULL,
    };
    o->video_base = video->time_base;
    return encoder_open(&o->encoder, &options->encoder, &source, codec, err);
}

/* The same rate all through, as far as the demuxer can tell. */
static bool is_constant_rate(const AVStream *st) {
    return st->avg_frame_rate.num > 0 && av_cmp_q(st->avg_frame_rate, st->r_frame_rate) == 0;
}

static int add_video(media_output *o, const media_output_options *options, const media_input *in,
                     media_error *err) {
    const AVStream *from = media_input_video(in);
    const AVCodecContext *c = encoder_context(o->encoder);
    o->video = avformat_new_stream(o->format, NULL);
    if (!o->video || avcodec_parameters_from_context(o->video->codecpar, c) < 0)
        return media_fail(err, "out of memory");
    o->video->sample_aspect_ratio = c->sample_aspect_ratio;
    const char *name = o->format->oformat->name;
    bool counts_frames = strcmp(name, "avi") == 0 || strcmp(name, "yuv4mpegpipe") == 0;
    o->video->time_base = counts_frames ? av_inv_q(c->framerate) : from->time_base;
    if (is_constant_rate(from) || counts_frames)
        o->video->avg_frame_rate = c->framerate;
    if (c->codec_id == AV_CODEC_ID_HEVC && streams_hold_rotation(o->format->oformat))
        o->video->codecpar->codec_tag = MKTAG('h', 'v', 'c', '1'); /* what Apple plays */
    return streams_copy_descriptions(o->format, o->video, media_input_context(in), from, !o->turns,
                                     &options->streams, err);
}

/* Streams keep their order. */
static int add_streams(media_output *o, const media_output_options *options, const media_input *in,
                       media_error *err) {
    AVFormatContext *ic = media_input_context(in);
    o->n_map = ic->nb_streams;
    o->map = calloc(ic->nb_streams, sizeof(int));
    o->bases = calloc(ic->nb_streams, sizeof(AVRational));
    if (!o->map || !o->bases)
        return media_fail(err, "out of memory");
    for (unsigned i = 0; i < ic->nb_streams; i++) {
        AVStream *st = ic->streams[i];
        o->bases[i] = st->time_base;
        o->map[i] = -1;
        int ret = st == media_input_video(in)
                      ? add_video(o, options, in, err)
                      : streams_copy_one(o->format, ic, st, &o->map[i], &options->streams, err);
        if (ret != 0)
            return -1;
    }
    return streams_copy_chapters(o->format, ic, &options->streams, err);
}

static bool is_matroska(const AVOutputFormat *container) {
    return strcmp(container->name, "matroska") == 0 || strcmp(container->name, "webm") == 0;
}

/* Matroska's readers take an Opus stream's delay off its time stamps, and FFmpeg 5's writer does
 * not add it. Returns it in the time base of the file. */
static int64_t delay_to_add(const AVOutputFormat *container, const AVStream *st) {
    if (!is_matroska(container) || st->codecpar->codec_id != AV_CODEC_ID_OPUS)
        return 0;
    return av_rescale_q(st->codecpar->initial_padding, (AVRational){1, 48000}, st->time_base);
}

/* Whether more than such a delay lies before zero. If not, the writer need not move all streams so
 * that none is negative. */
static bool begins_negative(const AVFormatContext *in) {
    for (unsigned i = 0; i < in->nb_streams; i++) {
        const AVStream *st = in->streams[i];
        if (st->start_time == AV_NOPTS_VALUE || st->start_time >= 0)
            continue;
        double delay_s = st->codecpar->sample_rate > 0
                             ? (double)st->codecpar->initial_padding / st->codecpar->sample_rate
                             : 0;
        if ((double)st->start_time * av_q2d(st->time_base) < -delay_s - 0.001)
            return true;
    }
    return false;
}

static int write_header(media_output *o, const media_output_options *options, const media_input *in,
                        media_error *err) {
    AVFormatContext *f = o->format;
    AVDictionary *dict = NULL;
    bool is_mov = streams_hold_rotation(f->oformat);
    if (is_mov && options->streams.keep_metadata)
        av_dict_set(&dict, "movflags", "+use_metadata_tags", AV_DICT_APPEND);
    if (is_mov && !o->part)
        av_dict_set(&dict, "movflags", "+frag_keyframe+empty_moov+default_base_moof",
                    AV_DICT_APPEND);
    /* Where a track begins late, MP4 says when in this unit; the usual millisecond is too coarse.
     */
    if (is_mov && o->video_base.num == 1 && o->video_base.den > 1000 &&
        o->video_base.den <= 1000000)
        av_dict_set_int(&dict, "movie_timescale", o->video_base.den, 0);
    if (is_matroska(f->oformat) && !begins_negative(media_input_context(in)))
        f->avoid_negative_ts = AVFMT_AVOID_NEG_TS_DISABLED;
    f->strict_std_compliance = FF_COMPLIANCE_EXPERIMENTAL;
    f->interrupt_callback = (AVIOInterruptCB){is_stopped, o};
    media_log_forget();
    int ret = 0;
    if ((f->oformat->flags & AVFMT_NOFILE) == 0)
        ret = avio_open2(&f->pb, f->url, AVIO_FLAG_WRITE, &f->interrupt_callback, NULL);
    if (ret >= 0)
        ret = avformat_write_header(f, &dict);
    av_dict_free(&dict);
    if (ret < 0)
        return media_fail_av(err, ret, "cannot write '%s'", o->path);
    o->header_written = true;
    return 0;
}

static int open_muxer(media_output *o, const media_output_options *options, const media_input *in,
                      const AVFrame *first, media_error *err) {
    const AVOutputFormat *container = media_output_container(options->path, options->format, err);
    if (!container)
        return -1;
    if (strcmp(container->name, "image2") == 0)
        return media_fail(err, "a film cannot become the picture '%s'", o->path);
    o->turns = orient_needed(media_input_matrix(in)) && !streams_hold_rotation(container);
    if (open_encoder(o, options, in, first, container, err) != 0)
        return -1;
    if (avformat_alloc_output_context2(&o->format, container, NULL, NULL) < 0)
        return media_fail(err, "out of memory");
    if (add_streams(o, options, in, err) != 0)
        return -1;
    if (strcmp(options->path, "-") == 0) {
        o->format->url = av_strdup("pipe:1");
    } else if (is_address(options->path)) {
        o->format->url = av_strdup(options->path);
    } else {
        if (part_create(&o->part, options->path, options->overwrite, err) != 0)
            return -1;
        o->format->url = av_asprintf("file:%s", part_path(o->part));
    }
    if (!o->format->url)
        return media_fail(err, "out of memory");
    return write_header(o, options, in, err);
}

static int open_picture(media_output *o, const media_output_options *options, const media_input *in,
                        const AVFrame *first, media_error *err) {
    o->turns = orient_needed(media_input_matrix(in));
    if (options->streams.keep_metadata && options->streams.note)
        options->streams.note(options->streams.user,
                              "the metadata of pictures cannot be kept: removed");
    if (open_encoder(o, options, in, first, NULL, err) != 0)
        return -1;
    if (strcmp(options->path, "-") == 0) {
        o->picture = stdout;
        return 0;
    }
    if (part_create(&o->part, options->path, options->overwrite, err) != 0)
        return -1;
    o->picture = fopen(part_path(o->part), "wb");
    if (!o->picture)
        return media_fail(err, "cannot write '%s': %s", o->path, strerror(errno));
    return 0;
}

int media_output_open(media_output **out, const media_output_options *options,
                      const media_input *in, const AVFrame *first, media_error *err) {
    *out = NULL;
    media_output *o = calloc(1, sizeof *o);
    if (!o)
        return media_fail(err, "out of memory");
    o->path = strdup(strcmp(options->path, "-") == 0 ? "standard output" : options->path);
    o->packet = av_packet_alloc();
    o->stop = options->stop;
    int ret = -1;
    if (!o->path || !o->packet)
        media_fail(err, "out of memory");
    else if (!media_output_is_picture(options->path, options->format))
        ret = open_muxer(o, options, in, first, err);
    else if (!media_input_is_picture(in))
        media_fail(err, "a film cannot become the picture '%s'", o->path);
    else
        ret = open_picture(o, options, in, first, err);
    if (ret != 0) {
        media_output_close(o);
        return -1;
    }
    *out = o;
    return 0;
}

void media_output_close(media_output *o) {
    if (!o)
        return;
    encoder_close(o->encoder);
    if (o->format && (o->format->oformat->flags & AVFMT_NOFILE) == 0)
        avio_closep(&o->format->pb);
    avformat_free_context(o->format);
    if (o->picture && o->picture != stdout)
        fclose(o->picture);
    part_destroy(o->part);
    av_packet_free(&o->packet);
    free(o->map);
    free(o->bases);
    free(o->path);
    free(o);
}

bool media_output_turns(const media_output *o) {
    return o->turns;
}

enum AVPixelFormat media_output_format(const media_output *o) {
    return encoder_formats(o->encoder).work;
}

const char *media_output_loss(const media_output *o) {
    return encoder_formats(o->encoder).note;
}

const char *media_output_codec(const media_output *o) {
    return encoder_context(o->encoder)->codec->name;
}

static int write_failed(const media_output *o, int code, media_error *err) {
    return media_fail_av(err, code, "cannot write '%s'", o->path);
}

static int write_picture(media_output *o, media_error *err) {
    size_t size = (size_t)o->packet->size;
    if (o->picture_written)
        return 0;
    if (fwrite(o->packet->data, 1, size, o->picture) != size)
        return write_failed(o, AVERROR(errno), err);
    o->picture_written = true;
    return 0;
}

static int write_video(media_output *o, media_error *err) {
    o->packet->stream_index = o->video->index;
    av_packet_rescale_ts(o->packet, o->video_base, o->video->time_base);
    int ret = av_interleaved_write_frame(o->format, o->packet);
    return ret < 0 ? write_failed(o, ret, err) : 0;
}

static int drain(media_output *o, media_error *err) {
    for (;;) {
        int ret = encoder_receive(o->encoder, o->packet, err);
        if (ret <= 0)
            return ret;
        ret = o->picture ? write_picture(o, err) : write_video(o, err);
        av_packet_unref(o->packet);
        if (ret != 0)
            return -1;
    }
}

int media_output_frame(media_output *o, const media_shown *shown, media_error *err) {
    if (encoder_send(o->encoder, shown, err) != 0)
        return -1;
    return drain(o, err);
}

int media_output_packet(media_output *o, AVPacket *packet, media_error *err) {
    int from = packet->stream_index;
    if (!o->format || from < 0 || (unsigned)from >= o->n_map || o->map[from] < 0) {
        av_packet_unref(packet);
        return 0;
    }
    const AVStream *to = o->format->streams[o->map[from]];
    if (to == o->video) {
        av_packet_unref(packet);
        return media_fail(err, "internal: a raw video packet came to the output");
    }
    packet->stream_index = to->index;
    packet->pos = -1;
    if (packet->dts == AV_NOPTS_VALUE)
        packet->dts = packet->pts;
    av_packet_rescale_ts(packet, o->bases[from], to->time_base);
    int64_t delay = delay_to_add(o->format->oformat, to);
    if (delay != 0 && packet->pts != AV_NOPTS_VALUE) {
        packet->pts += delay;
        packet->dts += delay;
    }
    int ret = av_interleaved_write_frame(o->format, packet);
    return ret < 0 ? write_failed(o, ret, err) : 0;
}

static int finish_picture(media_output *o, media_error *err) {
    if (!o->picture_written)
        return media_fail(err, "cannot write '%s': the encoder made nothing", o->path);
    int ret = o->picture == stdout ? fflush(stdout) : fclose(o->picture);
    o->picture = NULL;
    return ret != 0 ? write_failed(o, AVERROR(errno), err) : 0;
}

static int finish_muxer(media_output *o, media_error *err) {
    int ret = av_write_trailer(o->format);
    if (ret >= 0 && o->format->pb && o->format->pb->error < 0)
        ret = o->format->pb->error;
    int closed = 0;
    if ((o->format->oformat->flags & AVFMT_NOFILE) == 0)
        closed = avio_closep(&o->format->pb);
    if (ret >= 0 && closed < 0)
        ret = closed;
    return ret < 0 ? write_failed(o, ret, err) : 0;
}

int media_output_finish(media_output *o, media_error *err) {
    if (encoder_send(o->encoder, NULL, err) != 0 || drain(o, err) != 0)
        return -1;
    if ((o->format ? finish_muxer(o, err) : finish_picture(o, err)) != 0)
        return -1;
    return o->part ? part_commit(o->part, err) : 0;
}
