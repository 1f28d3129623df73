/* The veil model file, version 1, as constants. docs/model-format.md says the same in prose. Shared
 * by the parser (src/nn/model.c) and the writer (modelbuild/emit.c); holds no code.
 *
 * Little-endian. Sections follow each other in this order, each starting at a multiple of 64 bytes:
 *   header    VL_FMT_HEADER_SIZE bytes
 *   strings   NUL-terminated UTF-8, addressed by byte offset; offset 0 is ""
 *   meta      n_meta    x { u32 key, u32 value }           string offsets
 *   blobs     n_blobs   x VL_FMT_BLOB_SIZE                  constant data
 *   tensors   n_tensors x VL_FMT_TENSOR_SIZE                values between operators
 *   ops       n_ops     x VL_FMT_OP_SIZE                    in execution order
 *   outputs   n_outputs x VL_FMT_OUTPUT_SIZE
 *   data      the blobs' bytes, each at a multiple of 64 bytes */
#ifndef VL_NN_FORMAT_H
#define VL_NN_FORMAT_H

#define VL_FMT_MAGIC   "VEIL" /* 4 bytes */
#define VL_FMT_VERSION 1u

/* Header, byte offsets of u32 fields after the magic:
 *  4 version, 8 file size, 12 CRC-32 (zlib polynomial) of bytes 16..end,
 * 16 strings offset, 20 strings size, 24 n_meta, 28 meta offset, 32 n_blobs, 36 blobs offset,
 * 40 n_tensors, 44 tensors offset, 48 n_ops, 52 ops offset, 56 n_outputs, 60 outputs offset,
 * 64 data offset, 68 data size, 72..127 zero */
#define VL_FMT_HEADER_SIZE 128u

/* Blob: u32 dtype, u32 n_elements, u32 offset in data, u32 size in bytes */
#define VL_FMT_BLOB_SIZE 16u
enum { VL_FMT_F32 = 1, VL_FMT_F16 = 2, VL_FMT_S8 = 3, VL_FMT_S32 = 4, VL_FMT_U8 = 5 };

/* Tensor: u32 name, u32 channels, u32 dtype (F32 or U8), f32 scale, u32 zero, u32[3] 0.
 * value = (q - zero) * scale for U8. Height and width follow from the input size. Tensor 0 is the
 * input: 3 channels, RGB, real value 0..1 = byte / 255 (dtype U8, scale 1/255, zero 0). */
#define VL_FMT_TENSOR_SIZE 32u

/* Operator, 128 bytes:
 *   0 u32 type      4 u32 name (string)   8 u32 out (tensor)  12 u32 n_in
 *  16 u32 in[8] (tensors)
 *  48 u32 act      52 f32 act_a          56 f32 act_b
 *  60 u32 kh       64 u32 kw             68 u32 sh            72 u32 sw
 *  76 u32 pad_top  80 pad_left           84 pad_bottom        88 pad_right
 *  92 u32 groups   96 u32 dilation
 * 100 u32 weights (blob + 1, 0 = none)  104 u32 bias (blob + 1)  108 u32 scales (blob + 1)
 * 112 u32 p0      116 u32 p1           120 u32 0                124 u32 0 */
#define VL_FMT_OP_SIZE    128u
#define VL_FMT_MAX_INPUTS 8u

enum {
    VL_FMT_OP_CONV = 1,     /* weights (OC,KH,KW,IC/groups) F32, F16 or S8; bias OC F32, real units
                               (before activation); scales OC F32 only with S8: real = s8 * scale.
                               groups is 1, or IC with OC == IC (depthwise), or any divisor (slow).
                               Padding pads with real 0. The activation is applied last. */
    VL_FMT_OP_MAXPOOL = 2,  /* padding pads with minus infinity */
    VL_FMT_OP_UPSAMPLE = 3, /* p0 factor (2,4,8), p1 0 nearest, 1 bilinear (half-pixel centres) */
    VL_FMT_OP_ADD = 4,      /* two inputs of one shape, then activation */
    VL_FMT_OP_CONCAT = 5,   /* along channels */
    VL_FMT_OP_ACT = 6,      /* activation alone */
    VL_FMT_OP_SLICE = 7,    /* channels p0 .. p0 + channels(out) - 1 */
    VL_FMT_OP_SHUFFLE = 8,  /* ShuffleNet channel shuffle with p0 groups */
    VL_FMT_OP_AVGPOOL = 9,  /* kh = 0: over the whole picture; padding is not counted */
    VL_FMT_OP_MUL = 10,     /* two inputs; the second of one shape or (1,1,C) */
    VL_FMT_OP_SCALE = 11,   /* out = in * scales[c] + bias[c], blobs F32, then activation */
    VL_FMT_OP_FOCUS =
        12 /* YOLOv5 v1-5 space to depth: (H,W,C) -> (H/2,W/2,4C), order of
              ONNX slices [0::2,0::2],[1::2,0::2],[0::2,1::2],[1::2,1::2] (row, col) */
};

enum {
    VL_FMT_ACT_NONE = 0,
    VL_FMT_ACT_RELU = 1,
    VL_FMT_ACT_LEAKY = 2, /* act_a = slope */
    VL_FMT_ACT_CLIP = 3,  /* act_a = low, act_b = high (ReLU6: 0, 6) */
    VL_FMT_ACT_SILU = 4,
    VL_FMT_ACT_SIGMOID = 5,
    VL_FMT_ACT_HSWISH = 6,
    VL_FMT_ACT_HSIGMOID = 7, /* max(0, min(1, x * act_a + act_b)) */
    VL_FMT_ACT_PRELU = 8     /* slopes per channel in the scales blob (OP_ACT only) */
};

/* Output: u32 name (string), u32 tensor, u32 stride in input px, u32 0. Outputs are given to the
 * caller as float32. */
#define VL_FMT_OUTPUT_SIZE 16u

/* Limits the parser enforces. */
#define VL_FMT_MAX_FILE     (64u << 20)
#define VL_FMT_MAX_CHANNELS 4096u
#define VL_FMT_MAX_OPS      4096u
#define VL_FMT_MAX_KERNEL   15u

#endif
