/* Drawn at most ten times a second, JSON once a second. */
#include "progress.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BAR_CELLS 24

double progress_now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void progress_begin(progress *p, progress_mode mode, const char *name, int64_t expected) {
    memset(p, 0, sizeof *p);
    if (mode == PROGRESS_AUTO)
        mode = isatty(STDERR_FILENO) ? PROGRESS_BAR : PROGRESS_NONE;
    p->mode = mode;
    p->name = name;
    p->expected = expected;
    p->started_s = progress_now_s();
}

static void draw_bar(progress *p, int64_t frames, double fps, double eta_s, double speed) {
    char bar[BAR_CELLS + 1];
    double part = p->expected > 0 ? (double)frames / (double)p->expected : 0;
    if (part > 1)
        part = 1;
    int full = (int)(part * BAR_CELLS);
    memset(bar, '-', BAR_CELLS);
    memset(bar, '#', (size_t)full);
    bar[BAR_CELLS] = '\0';
    if (p->expected > 0)
        fprintf(stderr, "\r[%s] %3.0f%% %lld/%lld frames %.0f fps %.2fx ETA %d:%02d \033[K", bar,
                part * 100, (long long)frames, (long long)p->expected, fps, speed, (int)eta_s / 60,
                (int)eta_s % 60);
    else
        fprintf(stderr, "\r%lld frames %.0f fps %.2fx \033[K", (long long)frames, fps, speed);
    fflush(stderr);
    p->on_screen = true;
}

static void write_json(const progress *p, int64_t frames, double fps, double eta_s, double speed,
                       double media_s, int64_t hidden, int64_t kept) {
    json_t *line = json_pack("{s:s, s:I, s:f, s:f, s:f, s:I, s:I}", "input", p->name, "frame",
                             (json_int_t)frames, "time", media_s, "fps", fps, "speed", speed,
                             "hidden", (json_int_t)hidden, "kept", (json_int_t)kept);
    if (!line)
        return;
    if (p->expected > 0) {
        json_object_set_new(line, "frames", json_integer((json_int_t)p->expected));
        json_object_set_new(line, "eta_s", json_real(eta_s));
    }
    char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(6));
    if (text)
        fprintf(stderr, "%s\n", text);
    free(text);
    json_decref(line);
}

void progress_update(progress *p, int64_t frames, double media_s, int64_t hidden, int64_t kept) {
    if (p->mode == PROGRESS_NONE)
        return;
    double now_s = progress_now_s();
    if (now_s - p->shown_s < (p->mode == PROGRESS_JSON ? 1.0 : 0.1))
        return;
    p->shown_s = now_s;
    double elapsed_s = now_s - p->started_s;
    double fps = elapsed_s > 0 ? (double)frames / elapsed_s : 0;
    double left = (double)(p->expected > frames ? p->expected - frames : 0);
    double eta_s = fps > 0 ? left / fps : 0;
    double speed = elapsed_s > 0 ? media_s / elapsed_s : 0;
    if (p->mode == PROGRESS_JSON)
        write_json(p, frames, fps, eta_s, speed, media_s, hidden, kept);
    else
        draw_bar(p, frames, fps, eta_s, speed);
}

void progress_end(progress *p) {
    if (p->on_screen)
        fputs("\r\033[K", stderr);
    p->on_screen = false;
}
