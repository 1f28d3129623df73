/* ONNX operators computed straight from their specification, one loop each, on (1,C,H,W) floats:
 * what the engine's answers are held against. Shares no code with modelbuild/ but the protobuf
 * structures. */
#ifndef TESTS_MODEL_PLAIN_H
#define TESTS_MODEL_PLAIN_H

#include "onnx.pb-c.h"

#include <stddef.h>

typedef struct {
    size_t rank;
    long d[6];
    float *v;  /* whole numbers too */
    int is_s8; /* a stored s8 tensor, for the range of QuantizeLinear */
} plain;

/* Runs the model on one picture; returns the named value. Ends the program
 * with a message when an operator it does not know lies on the way there. The result is leaked:
 * tests are short. */
plain plain_run(const Onnx__ModelProto *model, const float *picture, const char *name);

#endif
