/* Further looks at a frame, at smaller sizes, for the classes alone: who a picture is about shows
 * in the whole of it, and of a smaller picture the network sees more at once. Decides nothing: what
 * it saw goes to vl_detect_add_far. */
#ifndef VL_AGAIN_H
#define VL_AGAIN_H

#include "detect.h"

/* How many frames that the network runs on share the further looks. */
#define VL_AGAIN_EVERY 4

typedef struct vl_again vl_again; /* plans of its own for the same model; one thread at a time */

/* *out is NULL where the model's text "again" is absent: the looks' long sides, px, with commas
 * between. The model and the pool (may be NULL) must live longer. VEIL_E_MODEL: the text is
 * damaged. */
int vl_again_create(vl_again **out, const vl_model *model, vl_pool *pool, uint32_t cpu_off);
void vl_again_destroy(vl_again *a);

/* Looks at f and tells d what it saw, in place of what it saw before. A look that has no fewer
 * pixels than net, whose turn comes next, is left out. a may be NULL. On an error d knows
 * nothing. */
int vl_again_look(vl_again *a, vl_detect *d, const vl_net *net, const veil_frame *f);

#endif
