/* eval_net.h - a detector run picture by picture, planned anew only when the input shape changes.
 */
#ifndef CLI_EVAL_NET_H
#define CLI_EVAL_NET_H

#include "eval_io.h"
#include "veil.h"

/** Input size: the long side, or a fixed width and height; all 0 = the picture's own size. */
typedef struct {
    int long_side, width, height; /**< px */
} evnet_size;

/** Reads "640", "640x384" or "source". 0, or -1 after saying why. */
int evnet_size_parse(const char *text, evnet_size *out);

/** Network input for a picture: padded right and below to multiples of 32. */
void evnet_shape(const evnet_size *size, int width, int height, int *net_width, int *net_height);

typedef struct {
    veil_net *net;
    int width, height; /**< planned, px; 0 = not yet */
    double seconds;    /**< spent in veil_net_detect (scaling, network, boxes) */
    size_t n_runs;
} evnet;

/** model NULL = built in; threads 0 = all. 0, or -1 after saying why. */
int evnet_open(evnet *e, const char *model, int threads);
void evnet_close(evnet *e);

/** Scales, runs, decodes: *n boxes in px of the picture, best first. 0, or -1 after saying why. */
int evnet_detect(evnet *e, const evio_picture *picture, const evnet_size *size, double min_score,
                 veil_detection *out, size_t cap, size_t *n);

#endif
