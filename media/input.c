/* Demuxing and decoding. Hands on whatever the decoder makes of damaged data, because everything
 * is analysed afterwards; counts what was lost. */
#include "input.h"

#include "exif.h"
#include "orient.h"
#include "secret.h"
#include "whole.h"

#include <errno.h>
#include <libavutil/avstring.h>
#include <libavutil/hwcontext.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct media_input {
    char *path; /* as people know it */
    AVFormatContext *format;
    AVStream *video;
    AVCodecContext *decoder;
    AVPacket *packet;
    const atomic_int *stop;
    AVRational rate;
    bool video_only, is_picture, ended, last_corrupt, live;
    bool (*cancelled)(void *user);
    int (*read)(void *user, uint8_t *data, int size);
    void *user;
    AVIOContext *io; /* around read */
    AVBufferRef *hw; /* device, NULL = software */
    enum AVPixelFormat hw_format;
    AVFrame *in_hardware;
    const char *cut; /* why the file is thought to be truncated */
    int32_t matrix[9];
    bool has_matrix;
    int64_t last_pts, last_step; /* of the last frame, in the stream's time base */
    int64_t n_packets, n_frames, n_lost, n_mended;
    int64_t arrived_ns, decode_ns; /* of the newest packet and frame */
};

static int is_stopped(void *opaque) {
    const media_input *in = opaque;
    return (in->stop && atomic_load_explicit(in->stop, memory_order_relaxed) != 0) ||
           (in->cancelled && in->cancelled(in->user));
}

static int read_bytes(void *opaque, uint8_t *data, int size) {
    media_input *in = opaque;
    if (is_stopped(in))
        return AVERROR_EXIT;
    int n = in->read(in->user, data, size);
    return n > 0 ? n : n == 0 ? AVERROR_EOF : AVERROR(EIO);
}

#define IO_BYTES 32768

static int open_callback(media_input *in, media_error *err) {
    uint8_t *buffer = av_malloc(IO_BYTES);
    in->io = buffer ? avio_alloc_context(buffer, IO_BYTES, 0, in, read_bytes, NULL, NULL) : NULL;
    if (!in->io) {
        av_free(buffer);
        return media_fail(err, "out of memory");
    }
    in->io->seekable = 0;
    in->format->pb = in->io;
    return 0;
}

static bool is_device(const char *path) {
    return strncmp(path, "/dev/video", 10) == 0;
}

/* What each kind of stream needs to begin soon and to keep little back. */
static void set_live(AVDictionary **dict, const char *path) {
    av_dict_set(dict, "analyzeduration", "1000000", 0);
    av_dict_set(dict, "fpsprobesize", "8", 0);
    if (strncmp(path, "rtsp", 4) == 0 && !strstr(path, "?udp"))
        av_dict_set(dict, "rtsp_transport", "tcp", 0);
    if (strncmp(path, "rtmps:", 6) == 0 || strncmp(path, "https:", 6) == 0)
        av_dict_set(dict, "tls_verify", "1", 0); /* FFmpeg would listen to anybody */
    if (strncmp(path, "udp:", 4) == 0 || strncmp(path, "rtp:", 4) == 0)
        av_dict_set(dict, "buffer_size", "4194304", 0);
}

static bool is_address(const char *path) {
    return strstr(path, "://") != NULL;
}

/* Plain files are checked first, because the system's reasons are the clearest. */
static int check_file(const char *path, media_error *err) {
    struct stat st;
    if (stat(path, &st) != 0)
        return media_fail(err, "cannot open '%s': %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return media_fail(err, "cannot open '%s': Is a directory", path);
    if (S_ISREG(st.st_mode) && st.st_size == 0)
        return media_fail(err, "cannot open '%s': the file is empty", path);
    return 0;
}

/* FFmpeg renders plain text as a film of a terminal; nobody means that here. */
static bool is_text_demuxer(const char *name) {
    static const char *const names[] = {"tty", "bin", "xbin", "idf", "adf", "rpl"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

static bool is_picture_demuxer(const char *name) {
    size_t n = strlen(name);
    return strcmp(name, "image2") == 0 || (n > 5 && strcmp(name + n - 5, "_pipe") == 0);
}

static int open_format(media_input *in, const media_input_options *options, media_error *err) {
    const char *path = options->path;
    bool is_stdin = path && strcmp(path, "-") == 0;
    if (!in->read && !is_stdin && !is_address(path) && check_file(path, err) != 0)
        return -1;
    const AVInputFormat *demuxer = NULL;
    if (options->format) {
        demuxer = av_find_input_format(options->format);
        if (!demuxer)
            return media_fail(err, "no input format is called '%s'", options->format);
    }
    in->format = avformat_alloc_context();
    if (!in->format)
        return media_fail(err, "out of memory");
    in->format->interrupt_callback = (AVIOInterruptCB){is_stopped, in};
    AVDictionary *dict = NULL;
    av_dict_set(&dict, "pattern_type", "none", 0); /* '%' in a picture's name means itself */
    av_dict_set(&dict, "scan_all_pmts", "1", 0);
    av_dict_set(&dict, "protocol_whitelist", options->protocols, 0); /* NULL leaves it out */
    av_dict_set(&dict, "format_whitelist", options->formats, 0);
    if (in->live)
        set_live(&dict, in->path);
    if (options->options && av_dict_parse_string(&dict, options->options, "=", ":", 0) < 0) {
        av_dict_free(&dict);
        return media_fail(err, "input options must look like name=value:name=value, not '%s'",
                          options->options);
    }
    if (!demuxer && !in->read && is_device(path))
        demuxer = av_find_input_format("v4l2");
    if (in->read && open_callback(in, err) != 0) {
        av_dict_free(&dict);
        return -1;
    }
    char *url = in->read           ? NULL
                : is_device(path)  ? av_strdup(path)
                : is_stdin         ? av_strdup("pipe:0")
                : is_address(path) ? av_strdup(path)
                                   : av_asprintf("file:%s", path);
    int ret =
        url || in->read ? avformat_open_input(&in->format, url, demuxer, &dict) : AVERROR(ENOMEM);
    av_free(url);
    av_dict_free(&dict);
    if (ret < 0)
        return media_fail_av(err, ret, "cannot open '%s'", in->path);
    if (!options->format && is_text_demuxer(in->format->iformat->name))
        return media_fail(err, "cannot open '%s': this is text, not video", in->path);
    in->is_picture = is_picture_demuxer(in->format->iformat->name);
    ret = avformat_find_stream_info(in->format, NULL);
    if (ret < 0)
        return media_fail_av(err, ret, "cannot read '%s'", in->path);
    return 0;
}

static int find_video(media_input *in, media_error *err) {
    int best = av_find_best_stream(in->format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (best >= 0 && (in->format->streams[best]->disposition & AV_DISPOSITION_ATTACHED_PIC) == 0) {
        in->video = in->format->streams[best];
        return 0;
    }
    bool audio = av_find_best_stream(in->format, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0) >= 0;
    if (in->format->nb_streams == 0)
        return media_fail(err, "'%s' has no video: it is not a media file, or it is damaged",
                          in->path);
    return media_fail(err, "'%s' has no video%s", in->path, audio ? ", only sound" : "");
}

static enum AVPixelFormat choose_hw(AVCodecContext *c, const enum AVPixelFormat *list) {
    const media_input *in = c->opaque;
    for (const enum AVPixelFormat *p = list; *p != AV_PIX_FMT_NONE; p++) {
        if (*p == in->hw_format)
            return *p;
    }
    return avcodec_default_get_format(c, list); /* the device cannot decode this: software */
}

/* Finds the decoder for a device; leaves in->hw NULL where there is none. */
static const AVCodec *find_hardware(media_input *in, const AVCodec *software, const char *name) {
    char text[64];
    if (!name)
        return software;
    if (strcmp(name, "v4l2m2m") == 0) {
        snprintf(text, sizeof text, "%s_v4l2m2m", software->name);
        const AVCodec *own = avcodec_find_decoder_by_name(text);
        return own ? own : software;
    }
    enum AVHWDeviceType type = av_hwdevice_find_type_by_name(name);
    for (int i = 0; type != AV_HWDEVICE_TYPE_NONE; i++) {
        const AVCodecHWConfig *config = avcodec_get_hw_config(software, i);
        if (!config)
            break;
        if ((config->methods & AV_CODEC_HW_CONFIG_METHOD_HW_DEVICE_CTX) != 0 &&
            config->device_type == type &&
            av_hwdevice_ctx_create(&in->hw, type, NULL, NULL, 0) >= 0) {
            in->hw_format = config->pix_fmt;
            break;
        }
    }
    return software;
}

static int try_decoder(media_input *in, const AVCodec *codec, int threads) {
    in->decoder = avcodec_alloc_context3(codec);
    if (!in->decoder)
        return AVERROR(ENOMEM);
    int ret = avcodec_parameters_to_context(in->decoder, in->video->codecpar);
    if (ret < 0)
        return ret;
    in->decoder->pkt_timebase = in->video->time_base;
    in->decoder->framerate = in->rate;
    in->decoder->thread_count = in->is_picture ? 1 : threads;
    /* Decoding frames side by side holds back one for each thread. */
    in->decoder->thread_type = in->live ? FF_THREAD_SLICE : FF_THREAD_FRAME | FF_THREAD_SLICE;
    if (!in->live) /* of a stream, what lacks its key frame is left out instead */
        in->decoder->flags |= AV_CODEC_FLAG_OUTPUT_CORRUPT;
    if (in->hw) {
        in->decoder->hw_device_ctx = av_buffer_ref(in->hw);
        in->decoder->get_format = choose_hw;
        in->decoder->opaque = in;
    }
    return avcodec_open2(in->decoder, codec, NULL);
}

static int open_decoder(media_input *in, const media_input_options *options, media_error *err) {
    const AVCodecParameters *par = in->video->codecpar;
    const AVCodec *software = avcodec_find_decoder(par->codec_id);
    if (!software)
        return media_fail(err, "'%s': no decoder for %s", in->path,
                          avcodec_get_name(par->codec_id));
    if (par->width <= 0 || par->height <= 0)
        return media_fail(err, "'%s': the size of the video is not known: the file is damaged",
                          in->path);
    const AVCodec *codec = find_hardware(in, software, options->hardware);
    int ret = try_decoder(in, codec, options->threads);
    if (ret < 0 && (codec != software || in->hw)) {
        avcodec_free_context(&in->decoder);
        av_buffer_unref(&in->hw);
        ret = try_decoder(in, software, options->threads);
    }
    if (ret < 0)
        return media_fail_av(err, ret, "'%s': cannot decode %s", in->path, software->name);
    return 0;
}

void media_input_decoder(const media_input *in, char *text, size_t size) {
    const char *device =
        in->hw ? av_hwdevice_get_type_name(((AVHWDeviceContext *)(void *)in->hw->data)->type)
               : NULL;
    snprintf(text, size, "%s%s%s%s", in->decoder->codec->name, device ? " (" : "",
             device ? device : "", device ? ")" : "");
}

static void find_matrix(media_input *in) {
    size_t size = 0;
    const uint8_t *data = av_stream_get_side_data(in->video, AV_PKT_DATA_DISPLAYMATRIX, &size);
    if (data && size >= sizeof in->matrix) {
        memcpy(in->matrix, data, sizeof in->matrix);
        in->has_matrix = true;
    }
}

int media_input_open(media_input **out, const media_input_options *options, media_error *err) {
    *out = NULL;
    media_log_forget();
    media_input *in = calloc(1, sizeof *in);
    if (!in)
        return media_fail(err, "out of memory");
    const char *path = options->path ? options->path : "what was sent";
    char shown[512];
    secret_mask(shown, sizeof shown, strcmp(path, "-") == 0 ? "standard input" : path);
    in->path = strdup(shown);
    in->packet = av_packet_alloc();
    in->stop = options->stop;
    in->video_only = options->video_only;
    in->live = options->live;
    in->cancelled = options->ended;
    in->read = options->read;
    in->user = options->user;
    in->last_pts = AV_NOPTS_VALUE;
    if (!in->path || !in->packet) {
        media_fail(err, "out of memory");
        goto fail;
    }
    if (open_format(in, options, err) != 0 || find_video(in, err) != 0)
        goto fail;
    in->rate = av_guess_frame_rate(in->format, in->video, NULL);
    if (in->rate.num <= 0 || in->rate.den <= 0)
        in->rate = (AVRational){0, 1};
    find_matrix(in);
    for (unsigned i = 0; i < in->format->nb_streams; i++) {
        AVStream *st = in->format->streams[i];
        if (in->video_only && st != in->video)
            st->discard = AVDISCARD_ALL;
    }
    if (open_decoder(in, options, err) != 0)
        goto fail;
    *out = in;
    return 0;
fail:
    media_input_close(in);
    return -1;
}

void media_input_close(media_input *in) {
    if (!in)
        return;
    avcodec_free_context(&in->decoder);
    avformat_close_input(&in->format);
    if (in->io)
        av_freep(&in->io->buffer);
    avio_context_free(&in->io);
    av_buffer_unref(&in->hw);
    av_frame_free(&in->in_hardware);
    av_packet_free(&in->packet);
    free(in->path);
    free(in);
}

static int64_t frame_step(const media_input *in, const AVFrame *frame) {
    int64_t step = frame->pkt_duration;
    if (step <= 0 && in->rate.num > 0)
        step = av_rescale_q(1, av_inv_q(in->rate), in->video->time_base);
    return step > 0 ? step : 1;
}

/* Encoders need every time stamp to be there and to rise. */
static int settle_time(media_input *in, AVFrame *frame, media_error *err) {
    int64_t pts = frame->best_effort_timestamp;
    bool first = in->last_pts == AV_NOPTS_VALUE;
    if (pts == AV_NOPTS_VALUE) {
        pts = first ? 0 : in->last_pts + in->last_step;
        in->n_mended += in->is_picture ? 0 : 1;
    } else if (!first && pts <= in->last_pts) {
        double back_s = (double)(in->last_pts - pts) * av_q2d(in->video->time_base);
        if (back_s > 1.0 && in->live)
            goto done;
        if (back_s > 1.0)
            return media_fail(err, "'%s': the time stamps jump back by %.1f s after frame %lld",
                              in->path, back_s, (long long)in->n_frames);
        pts = in->last_pts + 1;
        in->n_mended++;
    }
done:
    frame->pts = pts;
    in->last_pts = pts;
    in->last_step = frame_step(in, frame);
    frame->pkt_duration = in->last_step;
    return 0;
}

static void find_frame_matrix(media_input *in, AVFrame *frame) {
    const AVFrameSideData *side = av_frame_get_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX);
    if (in->is_picture && !in->has_matrix && side && side->size >= sizeof in->matrix) {
        memcpy(in->matrix, side->data, sizeof in->matrix);
        in->has_matrix = true;
    }
}

#define WANTS_MORE 1000 /* beside the media_items: the decoder needs another packet */

/* From the device's memory into ours. */
static int fetch(media_input *in, AVFrame *frame, media_error *err) {
    if (!in->in_hardware && !(in->in_hardware = av_frame_alloc()))
        return media_fail(err, "out of memory");
    av_frame_move_ref(in->in_hardware, frame);
    int ret = av_hwframe_transfer_data(frame, in->in_hardware, 0);
    if (ret >= 0)
        ret = av_frame_copy_props(frame, in->in_hardware);
    av_frame_unref(in->in_hardware);
    return ret < 0 ? media_fail_av(err, ret, "cannot read a frame back from the device") : 0;
}

static int64_t clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int receive(media_input *in, AVFrame *frame, media_error *err) {
    int ret = avcodec_receive_frame(in->decoder, frame);
    if (ret == AVERROR(EAGAIN))
        return WANTS_MORE;
    if (ret == AVERROR_EOF) {
        in->ended = true;
        return MEDIA_ITEM_END;
    }
    if (ret == AVERROR(ENOMEM))
        return media_fail(err, "out of memory");
    if (ret < 0) { /* this frame is lost, the next may be whole */
        in->n_lost++;
        return WANTS_MORE;
    }
    if (frame->hw_frames_ctx && fetch(in, frame, err) != 0)
        return -1;
    find_frame_matrix(in, frame);
    if (settle_time(in, frame, err) != 0)
        return -1;
    in->n_frames++;
    in->decode_ns = clock_ns() - in->arrived_ns;
    return MEDIA_ITEM_FRAME;
}

/* What a demuxer knows of the number of packets to come, 0 = nothing. */
static int64_t indexed_packets(const media_input *in) {
    const char *name = in->format->iformat->name;
    if (strncmp(name, "mov,", 4) == 0)
        return avformat_index_get_entries_count(in->video);
    /* AVI writers count frames that were dropped, or stand for a delay. */
    return strcmp(name, "avi") == 0 ? in->video->nb_frames - 3 - in->video->nb_frames / 100 : 0;
}

static void note_end(media_input *in, int code) {
    if (code != AVERROR_EOF)
        in->cut = "reading stopped with an error";
    else if (in->n_packets < indexed_packets(in))
        in->cut = "there are fewer frames than its index says";
    else if (in->last_corrupt || media_log_said_truncated())
        in->cut = "its last part is missing";
}

static void note_picture(media_input *in) {
    if (!whole_picture(in->packet->data, (size_t)in->packet->size))
        in->cut = "its last part is missing";
    int orientation = exif_orientation(in->packet->data, (size_t)in->packet->size);
    if (orientation > 1 && !in->has_matrix) {
        orient_from_exif(in->matrix, orientation);
        in->has_matrix = true;
    }
}

/* Gives the decoder the packet, or the end of the stream (NULL). */
static int feed(media_input *in, AVPacket *packet, media_error *err) {
    int ret = avcodec_send_packet(in->decoder, packet);
    if (packet)
        av_packet_unref(packet);
    if (ret == AVERROR(ENOMEM))
        return media_fail(err, "out of memory");
    if (ret < 0 && ret != AVERROR_EOF) {
        in->n_lost++;
        if (in->is_picture)
            return media_fail_av(err, ret, "'%s': the picture is damaged", in->path);
    }
    return 0;
}

int media_input_read(media_input *in, AVFrame *frame, AVPacket *packet, media_error *err) {
    while (!in->ended) {
        int ret = receive(in, frame, err);
        if (ret != WANTS_MORE)
            return ret;
        ret = av_read_frame(in->format, in->packet);
        if (is_stopped(in)) {
            av_packet_unref(in->packet);
            return media_fail(err, "stopped");
        }
        if (ret == AVERROR(EAGAIN))
            continue;
        if (ret < 0) {
            note_end(in, ret);
            if (feed(in, NULL, err) != 0)
                return -1;
            continue;
        }
        if (in->packet->stream_index == in->video->index) {
            in->n_packets++;
            in->arrived_ns = clock_ns();
            in->last_corrupt = (in->packet->flags & AV_PKT_FLAG_CORRUPT) != 0;
            if (in->is_picture)
                note_picture(in);
            if (feed(in, in->packet, err) != 0)
                return -1;
        } else if (in->video_only) {
            av_packet_unref(in->packet);
        } else {
            av_packet_move_ref(packet, in->packet);
            return MEDIA_ITEM_PACKET;
        }
    }
    return MEDIA_ITEM_END;
}

AVFormatContext *media_input_context(const media_input *in) {
    return in->format;
}

AVStream *media_input_video(const media_input *in) {
    return in->video;
}

bool media_input_is_picture(const media_input *in) {
    return in->is_picture;
}

AVRational media_input_rate(const media_input *in) {
    return in->rate;
}

int64_t media_input_expected_frames(const media_input *in) {
    if (in->is_picture)
        return 1;
    if (in->video->nb_frames > 0)
        return in->video->nb_frames;
    if (in->rate.num <= 0)
        return 0;
    double seconds = 0;
    if (in->video->duration > 0)
        seconds = (double)in->video->duration * av_q2d(in->video->time_base);
    else if (in->format->duration > 0)
        seconds = (double)in->format->duration / AV_TIME_BASE;
    return (int64_t)(seconds * av_q2d(in->rate) + 0.5);
}

const int32_t *media_input_matrix(const media_input *in) {
    return in->has_matrix ? in->matrix : NULL;
}

bool media_input_truncated(const media_input *in, const char **why) {
    *why = in->cut;
    return in->cut != NULL;
}

int64_t media_input_decode_ns(const media_input *in) {
    return in->decode_ns;
}

int64_t media_input_lost(const media_input *in) {
    return in->n_lost;
}

int64_t media_input_mended(const media_input *in) {
    return in->n_mended;
}
