/* See mask_video.h. The frame is painted black by libveil before anything else, so that nothing of
 * the picture is left whatever happens then. */
#include "mask_video.h"

#include "frame_map.h"

#include <stdlib.h>

struct mask_video {
    veil *veil;
    veil_settings black, white;
};

mask_video *mask_video_open(const session *s, const char *command) {
    mask_video *m = calloc(1, sizeof *m);
    if (!m) {
        cli_error(command, "out of memory");
        return NULL;
    }
    veil_options options = s->options;
    options.fault = NULL;
    options.on_event = NULL;
    options.threads = 1;
    options.lookahead_ns = 0;
    m->white = s->options.settings;
    m->white.style = VEIL_STYLE_SOLID;
    m->white.fill_rgb = 0xffffff;
    m->white.feather = -1;
    m->white.zones = NULL;
    m->white.n_zones = 0;
    m->black = m->white;
    m->black.fill_rgb = 0;
    m->black.shape = VEIL_SHAPE_BOX;
    m->black.padding = -1;
    options.settings = m->black;
    int ret = veil_create(&m->veil, &options);
    if (ret == VEIL_OK)
        return m;
    cli_error(command, "cannot draw masks: %s", veil_strerror(ret));
    free(m);
    return NULL;
}

void mask_video_close(mask_video *m) {
    if (!m)
        return;
    veil_destroy(m->veil);
    free(m);
}

static int fill(mask_video *m, const veil_settings *colour, const veil_frame *f,
                const veil_track *tracks, size_t n) {
    int ret = veil_set_settings(m->veil, colour);
    return ret == VEIL_OK ? veil_redact(m->veil, f, tracks, n) : ret;
}

int mask_video_draw(mask_video *m, const media_shown *shown, media_error *err) {
    veil_frame f;
    if (!frame_map_fill(&f, shown->frame, shown->frame->time_base, 0))
        return media_fail(err, "internal: a frame came unconverted");
    /* number 0: no track, so that its size is not remembered for the masks of one */
    const veil_track all = {.id = 0,
                            .x = -1,
                            .y = -1,
                            .w = (float)f.width + 2,
                            .h = (float)f.height + 2,
                            .decision = VEIL_HIDE};
    int ret = fill(m, &m->black, &f, &all, 1);
    if (ret == VEIL_OK && shown->result.covered) {
        veil_settings white = m->black;
        white.fill_rgb = 0xffffff;
        ret = fill(m, &white, &f, &all, 1);
    } else if (ret == VEIL_OK) {
        ret = fill(m, &m->white, &f, shown->tracks, shown->n_tracks);
    }
    return ret == VEIL_OK ? 0 : media_fail(err, "cannot draw masks: %s", veil_strerror(ret));
}
