/* The engine as model building uses it: run a model on a picture, look at its tensors. */
#ifndef VEIL_MODELBUILD_ENGINE_H
#define VEIL_MODELBUILD_ENGINE_H

#include "mb.h"
#include "veil.h"

/* A net planned for width x height; what names it in error lines. NULL with the error set. Free
 * with veil_net_destroy. */
veil_net *en_open(mb *m, const char *what, const uint8_t *model, size_t size, int32_t width,
                  int32_t height, bool keep_all);
int en_run(mb *m, veil_net *net); /* on what is in its input */

bool en_tensor(const veil_net *net, const char *name, veil_tensor *t); /* needs keep_all */
bool en_output(const veil_net *net, const char *name, veil_tensor *t);

/* One pixel's channels as float. */
void en_pixel(const veil_tensor *t, int32_t y, int32_t x, float *out);

/* How far b is from a, summed over any number of calls. */
typedef struct {
    double signal, noise, largest; /* sums of squares; largest absolute difference */
    size_t n;
} en_difference;
int en_compare(mb *m, const veil_tensor *a, const veil_tensor *b, en_difference *d);
double en_decibel(const en_difference *d); /* signal over noise; 200 when equal */

#endif
