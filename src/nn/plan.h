/* A plan: for one input size, where every tensor lies and which steps run in which order. Made by
 * plan.c (shapes, fusion), chain.c (order), arena.c (memory) and bind.c (addresses); run.c executes
 * it. */
#ifndef VL_NN_PLAN_H
#define VL_NN_PLAN_H

#include "dsp.h"
#include "ops.h"
#include "share.h"

#include <stdbool.h>

#define VL_PLAN_MARGIN_MAX VL_FMT_MAX_KERNEL

/* A tensor of the model (same index), then temporary ones. `parent` >= 0: it is `offset` channels
 * into that tensor's memory; else it has a buffer of its own, described by the other fields. */
typedef struct {
    vl_view view;
    int32_t parent, offset;
    /* Of a tensor with its own buffer: */
    int32_t top, left, bottom, right; /* margin of padding values, px */
    int32_t pixel_channels;           /* channels stored a pixel: 4 for the input */
    int32_t first, last;              /* steps that write it first and use it last; -1: unused */
    size_t offset_bytes, bytes;       /* in the arena */
    int32_t shelf;                    /* of arena.c */
} vl_place;

typedef enum {
    VL_STEP_CONV,
    VL_STEP_DEPTHWISE,
    VL_STEP_POOL,
    VL_STEP_ADD,
    VL_STEP_GENERIC /* op, or NULL for a copy */
} vl_step_kind;

typedef struct {
    vl_step_kind kind;
    int32_t op;               /* of the model: whose time this is */
    int32_t in[2], n_in, out; /* places */
    int32_t residual;         /* place added by a convolution, or -1; its ADD is `fused` */
    int32_t fused;
    int32_t edge; /* of a convolution that reads the input: 1 redoes its first column, 2 its last,
                     where taps lie beside the picture; 0: the whole */
    bool copy;
    const vl_place *margin; /* place of the output, whose margin must be filled; or NULL */
    int32_t group;          /* the first step of those that are done together */
    int32_t members;        /* of the first: how many they are */
    int32_t base, times;    /* rows, see chain.c */
    int32_t tasks;          /* the group's */
    union {
        struct {
            vl_conv args;
            void (*run)(const vl_conv *, int32_t, int32_t);
        } conv;
        struct {
            vl_depthwise args;
            void (*run)(const vl_depthwise *, int32_t, int32_t);
        } depthwise;
        struct {
            vl_pooling args;
            void (*run)(const vl_pooling *, int32_t, int32_t);
        } pool;
        struct {
            vl_addition args;
            void (*run)(const vl_addition *, int32_t, int32_t);
        } add;
        struct {
            const vl_op *op;
            vl_view in[2], out;
            vl_ops_fn *run;
        } generic;
    } u;
} vl_step;

struct vl_net {
    const vl_model *model;
    vl_pool *pool;
    int32_t keep_all;
    vl_dsp dsp;
    int64_t (*clock_ns)(void);
    vl_weights *weights;     /* shared */
    const vl_packed *packed; /* of weights */

    int32_t width, height; /* 0: no plan */
    vl_place *place;
    int32_t n_places, max_places;
    vl_step *step;
    int32_t n_steps, max_steps;
    int32_t *offsets; /* of all chunks of all convolutions */
    vl_chunk *chunks;
    uint8_t *edge_weights;
    int32_t *out_place;  /* per output: the float tensor */
    const char **kernel; /* per operator, for vl_net_layer */
    int64_t *time_ns;    /* per operator, of the last run */
    uint8_t *arena;
    size_t arena_bytes;
};

/* Shapes, fusion and steps for the size in net->width, height. */
int vl_plan_steps(vl_net *net);
/* Puts the steps into groups that are done together. */
int vl_plan_chain(vl_net *net);
/* Lifetimes, and where every tensor lies; needs the groups. */
int vl_plan_arena(vl_net *net);
/* Groups, arena, kernels and what they are given. */
int vl_plan_bind(vl_net *net);
/* The factors of out = a + b in bytes, with the ADD's own clamp; no addresses. */
vl_addition vl_plan_addition(const vl_op *op, const vl_view *a, const vl_view *b,
                             const vl_view *out);
/* Bytes of one number of a tensor. */
static inline size_t vl_plan_item(const vl_view *v) {
    return v->is_u8 ? 1 : sizeof(float);
}

/* Forgets the plan, keeps the weights. */
void vl_plan_clear(vl_net *net);

/* The tensor with its own buffer that i lies in; *channel is where i begins in it. */
int32_t vl_plan_root(const vl_net *net, int32_t i, int32_t *channel);

#endif
