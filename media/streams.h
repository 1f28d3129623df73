/* What goes along with the video: sound, subtitles, chapters, attachments, descriptions. */
#ifndef MEDIA_STREAMS_H
#define MEDIA_STREAMS_H

#include "error.h"

#include <libavformat/avformat.h>

typedef struct {
    bool no_audio, no_subtitles, keep_metadata;
    void (*note)(void *user, const char *text); /* one line for people; may be NULL */
    void *user;
} streams_options;

/* Adds a stream to out for one of in that is not the video. *index is its place there, or -1 when
 * it is left out. Sound and subtitles that do not fit are an error, the rest is a note. */
int streams_copy_one(AVFormatContext *out, const AVFormatContext *in, AVStream *stream, int *index,
                     const streams_options *options, media_error *err);
int streams_copy_chapters(AVFormatContext *out, const AVFormatContext *in,
                          const streams_options *options, media_error *err);
/* Descriptions of the file, and of the video stream with the side data that says how to show it
 * (rotation, mastering display). with_matrix: the rotation is kept as a display matrix. */
int streams_copy_descriptions(AVFormatContext *out, AVStream *to, const AVFormatContext *in,
                              const AVStream *video, bool with_matrix,
                              const streams_options *options, media_error *err);
/* True when files of this kind can say that the picture is to be turned. */
bool streams_hold_rotation(const AVOutputFormat *container);

#endif
