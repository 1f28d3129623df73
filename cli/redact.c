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

/* From the picture as stored, width x height, to the one turned clockwise. */
static void turn_box(veil_track *t, int degrees, float width, float height) {
    veil_track old = *t;
    if (degrees == 90) {
        t->x = height - old.y - old.h;
        t->y = old.x;
    } else if (degrees == 180) {
        t->x = width - old.x - old.w;
        t->y = height - old.y - old.h;
    } else if (degrees == 270) {
        t->x = old.y;
        t->y = width - old.x - old.w;
    }
    if (degrees == 90 || degrees == 270) {
        t->w = old.h;
        t->h = old.w;
    }
}

/* Boxes of another picture size would hide the wrong places; such frames are covered. */
static int masks(void *user, int64_t index, const AVFrame *frame, const pipeline_start *start,
                 const veil_track **tracks) {
    const redacter *r = user;
    bool swapped = start->turned == 90 || start->turned == 270;
    int stored_width = swapped ? frame->height : frame->width;
    int stored_height = swapped ? frame->width : frame->height;
    int width, height;
    edits_size(r->edits, &width, &height);
    if (width > 0 && (width != stored_width || height != stored_height))
        return -1;
    if (start->mirrored)
        return -1;
    veil_track *own = NULL;
    int n = edits_frame(r->edits, index, (double)frame->pts * av_q2d(frame->time_base), &own);
    for (int i = 0; i < n; i++)
        turn_box(&own[i], start->turned, (float)stored_width, (float)stored_height);
    *tracks = own;
    return n;
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
