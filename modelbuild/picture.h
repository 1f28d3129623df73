/* Picture files for calibration and comparison: any format FFmpeg decodes, as the engine's input.
 * Not for video, and not part of the way frames take when faces are hidden. */
#ifndef VEIL_MODELBUILD_PICTURE_H
#define VEIL_MODELBUILD_PICTURE_H

#include "mb.h"

/* Paths of at most `cap` pictures, spread evenly over all that there are. `from` is a folder
 * (searched through), a picture, or a text file (.txt, .lst) of paths, relative to that file. */
int pc_list(mb *m, const char *from, size_t cap, const char ***paths, size_t *n);

/* Fills (H,W,4) bytes R,G,B,0: the picture fitted in at the top left, the rest grey 114. -1 with
 * the error set. */
int pc_load(mb *m, const char *path, int32_t width, int32_t height, uint8_t *out);

#endif
