/* Class activation maps: from the values of a layer and their gradients to one number a place. */
#ifndef VL_CAM_H
#define VL_CAM_H

#include "nn/grad.h"
#include "veil.h"

/* Fills map (height * width of a, rows without gaps) with numbers from 0. g may be empty (nothing
 * depends on the layer: all 0) and is not used by EIGENCAM. method is one of GRADCAM, GRADCAMPP,
 * HIRESCAM, EIGENCAM. */
int vl_cam_map(veil_method method, const veil_tensor *a, const vl_gradient *g, float *map);

/* Half-pixel centres, edges repeat: the value of a w x h map at (x, y), in cells. */
float vl_cam_sample(const float *map, int32_t w, int32_t h, float x, float y);

#endif
