/* Builds an ONNX test graph with modelbuild, runs it on the engine and holds the outputs against
 * the plain evaluation. */
#ifndef TESTS_MODEL_CHECK_H
#define TESTS_MODEL_CHECK_H

#include "onnx_make.h"

#define CHECK_HEIGHT 32
#define CHECK_WIDTH  64

/* The test picture: (H,W,4) bytes for the engine, (3,H,W) floats for the plain run. */
void check_picture(uint8_t *in, float *planes);

/* Fails the running cmocka test unless every output named in o is within tolerance of the plain
 * value, relative to the output's largest value. Returns how many operators the model has. */
size_t check_same(om *o, double tolerance);

/* Builds a detector and compares its outputs: output k is named name[k] and equals the plain value
 * map[k], with nothing beside these n. planes: the picture as the ONNX network wants it. Returns
 * the model's text `key`, or NULL. */
const char *check_maps(om *o, const char *decoder, const float *planes, size_t n,
                       const char *const *name, const char *const *map, const char *key);

/* The error line of building it; fails the test when it builds. */
const char *check_error(mb *m, const uint8_t *bytes, size_t size, const char *decoder);

#endif
