/* veil redact: hides what an edited track file says, without any analysis. */
#include "commands.h"
#include "edits.h"
#include "work.h"

#include <stdio.h>

static void print_help(void) {
    puts("veil redact - hide faces after a person looked through what was found\n"
         "\n"
         "Usage: veil redact INPUT --edits TRACKS.json -o OUTPUT [options]\n"
         "\n"
         "  veil detect interview.mp4 -o tracks.json\n"
         "  echo '{\"edit\":{\"track\":3,\"decision\":\"keep\"}}' >> tracks.json\n"
         "  echo '{\"edit\":{\"box\":[40,60,200,240],\"from\":2,\"to\":4.5,"
         "\"decision\":\"hide\"}}' >> tracks.json\n"
         "  veil redact interview.mp4 --edits tracks.json -o hidden.mp4\n"
         "\n"
         "A frame that the file says nothing about is covered completely.");
    options_help(CLI_REDACT);
}

typedef struct {
    edits *edits;
} redacter;

static int masks(void *user, int64_t index, const AVFrame *frame, const veil_track **tracks) {
    const redacter *r = user;
    int width, height;
    edits_size(r->edits, &width, &height);
    /* Boxes of another picture size would hide the wrong places. */
    if (width > 0 && (width != frame->width || height != frame->height))
        return -1;
    return edits_frame(r->edits, index, (double)frame->pts * av_q2d(frame->time_base), tracks);
}

static int redact_jobs(const cli_options *o, const jobs *list) {
    session s = {0};
    redacter r = {0};
    int status = CLI_FAILED;
    r.edits = edits_load(o->edits, "redact");
    if (!r.edits)
        goto done;
    status = session_open(&s, o, "redact", NULL, NULL);
    if (status != CLI_OK)
        goto done;
    work w = {.command = "redact", .options = o, .session = &s, .masks = masks, .masks_user = &r};
    status = work_do_all(&w, list);
done:
    session_close(&s);
    edits_free(r.edits);
    return status;
}

int cli_redact(int argc, char **argv) {
    cli_options o;
    jobs list = {0};
    int status = options_parse(&o, CLI_REDACT, argv[0], argc - 1, argv + 1);
    if (status != CLI_OK)
        goto done;
    if (o.help) {
        print_help();
        goto done;
    }
    status = CLI_USAGE;
    if (o.n_inputs != 1 || !o.output || !o.edits) {
        cli_error("redact", "needs one input, --edits FILE and -o OUT");
        goto done;
    }
    media_log_init(o.verbose);
    session_catch_signals();
    status = jobs_make(&list, &o, "redact");
    if (status == CLI_OK)
        status = redact_jobs(&o, &list);
done:
    jobs_free(&list);
    options_free(&o);
    return status;
}
