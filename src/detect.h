/* From the network's outputs to faces: decoders by model family, overlap suppression, mapping back
 * to the picture. Knows nothing of time. A value that is not a number is an error, never "no
 * faces". */
#ifndef VL_DETECT_H
#define VL_DETECT_H

#include "fault.h"
#include "nn/nn.h"
#include "scale.h"

#define VL_DETECT_MAX     2000  /* candidates kept before overlap suppression, best first */
#define VL_DETECT_IOU     0.45f /* overlap from which two boxes are one face */
#define VL_DETECT_FAR_MAX 128   /* faces of a further look, and how many such looks count */
#define VL_DETECT_LOOKS   4

typedef struct vl_detect vl_detect; /* decoder and scratch memory; one thread at a time */

/* Chooses the decoder by the model's text "decoder" (absent: "veil") and reads its parameters.
 * VEIL_E_MODEL: no such decoder or damaged parameters. */
int vl_detect_create(vl_detect **out, const vl_model *model);
void vl_detect_destroy(vl_detect *d);

/* After vl_net_set_size: do the outputs have the shapes that the decoder needs? VEIL_E_MODEL. */
int vl_detect_check(const vl_detect *d, const vl_net *net);

/* Network input for a picture of width x height upright px, so that a face of 24 px is still 8 px
 * or more. Multiples of 32. */
void vl_detect_input_size(int32_t width, int32_t height, int32_t *net_width, int32_t *net_height);

/* Network input of a longer side of net_long px, rounded up to multiples of 32, 32 to 4096, in the
 * shape of a picture of width x height upright px. */
void vl_detect_fit_size(int64_t net_long, int32_t width, int32_t height, int32_t *net_width,
                        int32_t *net_height);

/* Decodes the outputs of the last run; boxes in input px, best first, at most cap. min_score is in
 * 0..1. VEIL_E_INTERNAL when an output is not a number or absurd. */
int vl_detect_decode(vl_detect *d, const vl_net *net, float min_score, veil_detection *out,
                     size_t cap, size_t *n);

/* Scales, runs, decodes; boxes in px of the upright picture, best first. f must have passed
 * vl_frame_check, net must have been planned. fault may be NULL. The classes are the network's own
 * word. */
int vl_detect_look(vl_detect *d, vl_net *net, vl_scale *scale, vl_pool *pool, const veil_frame *f,
                   float min_score, veil_detection *out, size_t cap, size_t *n, vl_scale_map *map,
                   const vl_fault *fault);

/* What a further look at this scene saw (again.h), upright px: the first VL_DETECT_FAR_MAX faces of
 * the first VL_DETECT_LOOKS looks count. */
void vl_detect_add_far(vl_detect *d, const veil_detection *far, size_t n);
void vl_detect_forget_far(vl_detect *d);

/* As vl_detect_look; then each class is the mean, in log odds, of this look and of those that
 * vl_detect_add_far told of and that saw the same face, and the faces are compared with each other
 * (relate.h). map may be NULL. */
int vl_detect_frame(vl_detect *d, vl_net *net, vl_scale *scale, vl_pool *pool, const veil_frame *f,
                    float min_score, veil_detection *out, size_t cap, size_t *n, vl_scale_map *map,
                    const vl_fault *fault);

/* Upright boxes to boxes of the frame as stored, in place. */
void vl_detect_to_stored(const veil_frame *f, veil_detection *d, size_t n);

#endif
