/* Copying what goes along with the video. Descriptions pass a list of harmless ones: place, device,
 * date, titles and comments stay behind unless asked for. */
#include "streams.h"

#include <libavcodec/avcodec.h>
#include <libavutil/avstring.h>
#include <stdio.h>
#include <string.h>

#define LEFT_OUT (-1)
#define FAILED   (-2)

static void note(const streams_options *o, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void note(const streams_options *o, const char *format, ...) {
    if (!o->note)
        return;
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    o->note(o->user, text);
}

static bool is_any_of(const char *name, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (av_strcasecmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static int copy_dict(AVDictionary **to, const AVDictionary *from, bool everything,
                     const char *const *kept, size_t n_kept) {
    const AVDictionaryEntry *e = NULL;
    while ((e = av_dict_get(from, "", e, AV_DICT_IGNORE_SUFFIX))) {
        /* What the muxer writes itself, and what describes the old encoding. */
        static const char *const stale[] = {"encoder",
                                            "major_brand",
                                            "minor_version",
                                            "compatible_brands",
                                            "vendor_id",
                                            "duration",
                                            "number_of_frames",
                                            "number_of_bytes",
                                            "bps",
                                            "_statistics_tags",
                                            "_statistics_writing_app",
                                            "_statistics_writing_date_utc"};
        bool take = everything ? !is_any_of(e->key, stale, sizeof stale / sizeof stale[0])
                               : is_any_of(e->key, kept, n_kept);
        if (take && av_dict_set(to, e->key, e->value, 0) < 0)
            return -1;
    }
    return 0;
}

static const char *const kept_of_streams[] = {"language", "title"};
static const char *const kept_of_attachments[] = {"filename", "mimetype"};
static const char *const kept_of_chapters[] = {"title", "language"};

/* A codec tag of another container would be wrong; 0 lets the muxer choose. */
static uint32_t tag_for(const AVOutputFormat *container, const AVCodecParameters *par) {
    if (!container->codec_tag)
        return par->codec_tag;
    unsigned known = 0;
    if (av_codec_get_id(container->codec_tag, par->codec_tag) == par->codec_id ||
        !av_codec_get_tag2(container->codec_tag, par->codec_id, &known))
        return par->codec_tag;
    return 0;
}

static int copy_side_data(AVStream *to, const AVStream *from) {
    for (int i = 0; i < from->nb_side_data; i++) {
        const AVPacketSideData *sd = &from->side_data[i];
        uint8_t *data = av_stream_new_side_data(to, sd->type, sd->size);
        if (!data)
            return -1;
        memcpy(data, sd->data, sd->size);
    }
    return 0;
}

static int copy_stream(AVFormatContext *out, const AVStream *from, const streams_options *o,
                       media_error *err) {
    AVStream *to = avformat_new_stream(out, NULL);
    if (!to || avcodec_parameters_copy(to->codecpar, from->codecpar) < 0 ||
        copy_side_data(to, from) != 0) {
        media_fail(err, "out of memory");
        return FAILED;
    }
    to->codecpar->codec_tag = tag_for(out->oformat, from->codecpar);
    to->time_base = from->time_base;
    to->disposition = from->disposition;
    to->avg_frame_rate = from->avg_frame_rate;
    bool attachment = from->codecpar->codec_type == AVMEDIA_TYPE_ATTACHMENT;
    int ret =
        attachment
            ? copy_dict(&to->metadata, from->metadata, o->keep_metadata, kept_of_attachments, 2)
            : copy_dict(&to->metadata, from->metadata, o->keep_metadata, kept_of_streams, 2);
    if (ret != 0) {
        media_fail(err, "out of memory");
        return FAILED;
    }
    return to->index;
}

/* The text track behind the chapters of an MP4; the muxer writes a new one. */
static bool is_chapter_track(const AVFormatContext *in, const AVStream *st) {
    return in->nb_chapters > 0 && st->codecpar->codec_type == AVMEDIA_TYPE_DATA &&
           st->codecpar->codec_id == AV_CODEC_ID_BIN_DATA &&
           st->codecpar->codec_tag == MKTAG('t', 'e', 'x', 't');
}

/* Attached pictures may show faces, and nobody looks at them here. */
static bool is_picture_attachment(const AVStream *st) {
    const AVDictionaryEntry *mime = av_dict_get(st->metadata, "mimetype", NULL, 0);
    return mime &&
           (av_strstart(mime->value, "image/", NULL) || av_strstart(mime->value, "video/", NULL));
}

/* Sound and subtitles: they fit, or nothing is written. */
static int copy_known(AVFormatContext *out, const AVStream *st, const char *kind,
                      const char *option, const streams_options *o, media_error *err) {
    enum AVCodecID id = st->codecpar->codec_id;
    if (avformat_query_codec(out->oformat, id, FF_COMPLIANCE_EXPERIMENTAL) != 0)
        return copy_stream(out, st, o, err);
    media_fail(err, "%s stream %d (%s) does not fit into %s; take an .mkv output, or %s", kind,
               st->index, avcodec_get_name(id), out->oformat->name, option);
    return FAILED;
}

static bool holds_attachments(const AVOutputFormat *container) {
    return strcmp(container->name, "matroska") == 0;
}

/* Index of the new stream, LEFT_OUT or FAILED. */
static int copy_one(AVFormatContext *out, const AVFormatContext *in, const AVStream *st,
                    const streams_options *o, media_error *err) {
    switch (st->codecpar->codec_type) {
    case AVMEDIA_TYPE_AUDIO:
        return o->no_audio ? LEFT_OUT : copy_known(out, st, "audio", "--no-audio", o, err);
    case AVMEDIA_TYPE_SUBTITLE:
        return o->no_subtitles ? LEFT_OUT
                               : copy_known(out, st, "subtitle", "--no-subtitles", o, err);
    case AVMEDIA_TYPE_ATTACHMENT:
        if (is_picture_attachment(st))
            note(o, "attachment %d is a picture, which is not analysed: left out", st->index);
        else if (!holds_attachments(out->oformat))
            note(o, "attachment %d does not fit into %s: left out", st->index, out->oformat->name);
        else
            return copy_stream(out, st, o, err);
        return LEFT_OUT;
    case AVMEDIA_TYPE_VIDEO:
        note(o, "%s %d is not analysed: left out",
             (st->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0 ? "cover picture"
                                                                  : "further video stream",
             st->index);
        return LEFT_OUT;
    default:
        if (!is_chapter_track(in, st))
            note(o, "data stream %d (%s) may tell place or device: left out", st->index,
                 avcodec_get_name(st->codecpar->codec_id));
        return LEFT_OUT;
    }
}

int streams_copy_one(AVFormatContext *out, const AVFormatContext *in, AVStream *stream, int *index,
                     const streams_options *options, media_error *err) {
    int ret = copy_one(out, in, stream, options, err);
    if (ret == FAILED)
        return -1;
    *index = ret == LEFT_OUT ? -1 : ret;
    if (ret == LEFT_OUT)
        stream->discard = AVDISCARD_ALL;
    return 0;
}

int streams_copy_chapters(AVFormatContext *out, const AVFormatContext *in,
                          const streams_options *options, media_error *err) {
    if (in->nb_chapters == 0)
        return 0;
    out->chapters = av_calloc(in->nb_chapters, sizeof(AVChapter *));
    if (!out->chapters)
        return media_fail(err, "out of memory");
    for (unsigned i = 0; i < in->nb_chapters; i++) {
        const AVChapter *from = in->chapters[i];
        AVChapter *to = av_mallocz(sizeof *to);
        if (!to)
            return media_fail(err, "out of memory");
        out->chapters[out->nb_chapters++] = to;
        to->id = from->id;
        to->time_base = from->time_base;
        to->start = from->start;
        to->end = from->end;
        if (copy_dict(&to->metadata, from->metadata, options->keep_metadata, kept_of_chapters, 2) !=
            0)
            return media_fail(err, "out of memory");
    }
    static const char *const able[] = {"mp4",  "mov", "matroska", "ipod",       "3gp",
                                       "webm", "asf", "ogg",      "ffmetadata", "nut"};
    if (!is_any_of(out->oformat->name, able, sizeof able / sizeof able[0]))
        note(options, "%s holds no chapters: %u left out", out->oformat->name, in->nb_chapters);
    return 0;
}

bool streams_hold_rotation(const AVOutputFormat *container) {
    static const char *const able[] = {"mp4", "mov", "ipod", "3gp", "3g2", "psp", "ismv", "f4v"};
    return is_any_of(container->name, able, sizeof able / sizeof able[0]);
}

int streams_copy_descriptions(AVFormatContext *out, AVStream *to, const AVFormatContext *in,
                              const AVStream *video, bool with_matrix,
                              const streams_options *options, media_error *err) {
    for (int i = 0; i < video->nb_side_data; i++) {
        const AVPacketSideData *sd = &video->side_data[i];
        bool keep = sd->type == AV_PKT_DATA_MASTERING_DISPLAY_METADATA ||
                    sd->type == AV_PKT_DATA_CONTENT_LIGHT_LEVEL ||
                    sd->type == AV_PKT_DATA_STEREO3D || sd->type == AV_PKT_DATA_SPHERICAL ||
                    (with_matrix && sd->type == AV_PKT_DATA_DISPLAYMATRIX);
        if (!keep)
            continue;
        uint8_t *data = av_stream_new_side_data(to, sd->type, sd->size);
        if (!data)
            return media_fail(err, "out of memory");
        memcpy(data, sd->data, sd->size);
    }
    to->disposition = video->disposition;
    if (copy_dict(&to->metadata, video->metadata, options->keep_metadata, kept_of_streams, 1) != 0)
        return media_fail(err, "out of memory");
    if (options->keep_metadata && copy_dict(&out->metadata, in->metadata, true, NULL, 0) != 0)
        return media_fail(err, "out of memory");
    return 0;
}
