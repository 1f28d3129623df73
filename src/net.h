/* What the objects that run a network by itself share (net.c, explain.c). */
#ifndef VL_NET_H
#define VL_NET_H

#include "nn/nn.h"

/* model NULL: the one built into the library; VEIL_E_MODEL when there is none. */
int vl_net_parse_model(vl_model **out, const void *model, size_t size);

/* wanted 0: one a core, at most 4. */
int32_t vl_net_threads(int32_t wanted);

#endif
