/* A second look at a frame, at a smaller size, for the classes alone: who a picture is about shows
 * in the whole of it, and of a smaller picture the network sees more at once. Decides nothing: what
 * it saw goes to vl_detect_set_far. */
#ifndef VL_AGAIN_H
#define VL_AGAIN_H

#include "detect.h"

/* How many frames that the network runs on share one second look. */
#define VL_AGAIN_EVERY 4

typedef struct vl_again vl_again; /* a plan of its own for the same model; one thread at a time */

/* *out is NULL where the model's text "again" (the look's long side, px) is absent. The model and
 * the pool (may be NULL) must live longer. VEIL_E_MODEL: the text is damaged. */
int vl_again_create(vl_again **out, const vl_model *model, vl_pool *pool, uint32_t cpu_off);
void vl_again_destroy(vl_again *a);

/* Looks at f and tells d what it saw, until the next call; where net, whose turn comes next, looks
 * at no more pixels than this would, that is nothing. a may be NULL. On an error d knows nothing
 * either. */
int vl_again_look(vl_again *a, vl_detect *d, const vl_net *net, const veil_frame *f);

#endif
