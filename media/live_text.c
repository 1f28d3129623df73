/* Formatting of live states. Nothing is measured here. */
#include "live_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MIB (1024.0 * 1024.0)

typedef live_text_writer writer;

static void add(writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(writer *w, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n =
        w->used + 1 < w->size ? vsnprintf(w->text + w->used, w->size - w->used, format, args) : 0;
    va_end(args);
    w->used += n > 0 ? (size_t)n : 0;
    if (w->used + 1 > w->size)
        w->used = w->size - 1;
}

void live_text_line(char *out, size_t size, const live_state *s) {
    writer w = {out, size, 0};
    int seconds = (int)s->uptime_s;
    add(&w, "%d:%02d:%02d %s", seconds / 3600, seconds / 60 % 60, seconds % 60,
        live_phase_text(s->phase));
    if (s->cover != LIVE_COVER_NONE)
        add(&w, " (%s)", live_cover_text(s->cover));
    add(&w, "  in %.1f out %.1f fps  latency p50 %.0f p99 %.0f ms  faces: %d hidden, %d kept",
        s->fps_in, s->fps_out, s->latency_p50_ms, s->latency_p99_ms, s->hidden, s->kept);
    add(&w, "  dropped %lld covered %lld  load %.2f cores %.0f MiB", (long long)s->frames_dropped,
        (long long)s->frames_covered, s->cpu, (double)s->rss_bytes / MIB);
    if (s->overload > 0)
        add(&w, "  overload %d", s->overload);
    for (size_t i = 0; i < s->n_outputs; i++) {
        const live_output_state *o = &s->outputs[i];
        if (!o->up)
            add(&w, "  output %d %s", o->id, o->failed ? "failed" : "down");
    }
    if (s->phase == LIVE_COVERED && s->problem[0] != '\0')
        add(&w, "  [%s]", s->problem);
}

static json_t *output_json(const live_output_state *o) {
    return json_pack("{s:i, s:b, s:b, s:s, s:s, s:I, s:I, s:I, s:I, s:s}", "id", o->id, "up", o->up,
                     "failed", o->failed, "url", o->url, "encoder", o->encoder, "frames",
                     (json_int_t)o->frames, "bytes", (json_int_t)o->bytes, "dropped",
                     (json_int_t)o->dropped, "reconnects", (json_int_t)o->reconnects, "problem",
                     o->problem);
}

json_t *live_text_json(const live_state *s) {
    json_t *outputs = json_array();
    for (size_t i = 0; outputs && i < s->n_outputs; i++)
        json_array_append_new(outputs, output_json(&s->outputs[i]));
    json_t *input = json_pack("{s:b, s:s, s:s, s:s, s:i, s:i, s:f}", "up", s->input_up, "url",
                              s->input, "codec", s->input_codec, "decoder", s->decoder, "width",
                              s->input_width, "height", s->input_height, "fps", s->input_fps);
    json_t *all = json_pack(
        "{s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:i, "
        "s:f, s:I, s:f, s:f}",
        "state", live_phase_text(s->phase), "reason", live_cover_text(s->cover), "uptime_s",
        s->uptime_s, "fps_in", s->fps_in, "fps_out", s->fps_out, "latency_p50_ms",
        s->latency_p50_ms, "latency_p99_ms", s->latency_p99_ms, "lookahead_ms", s->lookahead_ms,
        "hidden", s->hidden, "kept", s->kept, "frames_in", (json_int_t)s->frames_in, "frames_out",
        (json_int_t)s->frames_out, "covered", (json_int_t)s->frames_covered, "dropped",
        (json_int_t)s->frames_dropped, "reconnects", (json_int_t)s->reconnects, "lost_packets",
        (json_int_t)s->lost_packets, "overload", s->overload, "cpu", s->cpu, "rss_bytes",
        (json_int_t)s->rss_bytes, "latency_all_p50_ms", s->latency_all_p50_ms, "latency_all_p99_ms",
        s->latency_all_p99_ms);
    json_t *output = json_pack("{s:i, s:i, s:f, s:b}", "width", s->width, "height", s->height,
                               "fps", s->fps, "audio", s->audio);
    json_t *stages = json_object();
    for (int i = 0; stages && i < LIVE_STAGES; i++)
        json_object_set_new(stages, live_stage_text((live_stage)i),
                            json_pack("[f, f]", s->stage_p50_ms[i], s->stage_p99_ms[i]));
    if (!all || !input || !output || !outputs || json_object_set(all, "input", input) != 0 ||
        json_object_set(all, "output", output) != 0 ||
        json_object_set(all, "outputs", outputs) != 0 ||
        json_object_set(all, "stages_ms", stages) != 0 ||
        json_object_set_new(all, "problem", json_string(s->problem)) != 0) {
        json_decref(all);
        all = NULL;
    }
    json_decref(input);
    json_decref(output);
    json_decref(outputs);
    json_decref(stages);
    return all;
}

void live_text_figure(writer *w, const char *name, const char *type, const char *help,
                      double value) {
    add(w, "# HELP veil_%s %s\n# TYPE veil_%s %s\nveil_%s %.10g\n", name, help, name, type, name,
        value);
}

static void output_figures(writer *w, const live_state *s) {
    static const struct {
        const char *name, *type, *help;
    } kinds[] = {{"output_up", "gauge", "1 while the output is open"},
                 {"output_bytes_total", "counter", "Bytes of packets written"},
                 {"output_dropped_total", "counter", "Frames dropped for a slow output"},
                 {"output_reconnects_total", "counter", "Times the output was opened again"}};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0] && s->n_outputs > 0; k++) {
        add(w, "# HELP veil_%s %s\n# TYPE veil_%s %s\n", kinds[k].name, kinds[k].help,
            kinds[k].name, kinds[k].type);
        for (size_t i = 0; i < s->n_outputs; i++) {
            const live_output_state *o = &s->outputs[i];
            const double values[] = {o->up, (double)o->bytes, (double)o->dropped,
                                     (double)o->reconnects};
            add(w, "veil_%s{output=\"%d\"} %.10g\n", kinds[k].name, o->id, values[k]);
        }
    }
}

size_t live_text_metrics(char *out, size_t size, const live_state *s) {
    writer w = {out, size, 0};
    live_text_figure(&w, "protecting", "gauge", "1 while frames come in and faces are hidden",
                     s->phase == LIVE_PROTECTING);
    live_text_figure(&w, "covered", "gauge", "1 while covers are sent", s->phase == LIVE_COVERED);
    live_text_figure(&w, "fps_in", "gauge", "Frames decoded a second", s->fps_in);
    live_text_figure(&w, "fps_out", "gauge", "Frames sent a second", s->fps_out);
    live_text_figure(&w, "latency_p50_seconds", "gauge", "Decoded to encoded, median",
                     s->latency_p50_ms * 1e-3);
    live_text_figure(&w, "latency_p99_seconds", "gauge", "Decoded to encoded, 99th percentile",
                     s->latency_p99_ms * 1e-3);
    live_text_figure(&w, "faces_hidden", "gauge", "Faces hidden in the newest frame", s->hidden);
    live_text_figure(&w, "faces_kept", "gauge", "Faces visible in the newest frame", s->kept);
    live_text_figure(&w, "frames_in_total", "counter", "Frames decoded", (double)s->frames_in);
    live_text_figure(&w, "frames_out_total", "counter", "Frames sent, covers included",
                     (double)s->frames_out);
    live_text_figure(&w, "frames_covered_total", "counter", "Covers sent",
                     (double)s->frames_covered);
    live_text_figure(&w, "frames_dropped_total", "counter", "Frames dropped late or for overload",
                     (double)s->frames_dropped);
    live_text_figure(&w, "source_reconnects_total", "counter", "Times the source was opened again",
                     (double)s->reconnects);
    live_text_figure(&w, "overload", "gauge", "Level of overload, 0 to 4", s->overload);
    live_text_figure(&w, "cpu_cores", "gauge", "Cores used by this process", s->cpu);
    live_text_figure(&w, "resident_bytes", "gauge", "Memory of this process", (double)s->rss_bytes);
    output_figures(&w, s);
    return w.used;
}
