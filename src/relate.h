/* The comparison of faces: P(interview) of each one, given all other faces of the frame. The
 * weights come with the model (text "relation"); a model without them keeps what the network said.
 * Knows nothing of time. */
#ifndef VL_RELATE_H
#define VL_RELATE_H

#include "nn/nn.h"

typedef struct vl_relate vl_relate; /* weights; read only once created, any number of threads */

/* *out stays NULL where the model has no such text. VEIL_E_MODEL: the text is damaged. */
int vl_relate_create(vl_relate **out, const vl_model *model);

/* The same from a text: the widths of the two hidden layers, then weights and biases of every layer
 * as integers in units of 1/4096, separated by single spaces. */
int vl_relate_read(vl_relate **out, const char *text);

void vl_relate_destroy(vl_relate *r);

/* ln(p / (1 - p)), p of 0..1 no surer than one in a thousand. */
float vl_relate_log_odds(float p);

/* Judges d[n] anew, in place; boxes in px of a picture of width x height. r NULL: does nothing. */
void vl_relate_apply(const vl_relate *r, int32_t width, int32_t height, veil_detection *d,
                     size_t n);

#endif
