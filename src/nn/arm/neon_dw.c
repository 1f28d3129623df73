/* Depthwise integer convolutions for any arm64 processor: sixteen channels at a time, bytes widened
 * to 16 bits, which hold both factors exactly. */
#include "nn/arm/neon.h"

#define MAX_TAPS (VL_FMT_MAX_KERNEL * VL_FMT_MAX_KERNEL)

/* Channels c to c + 15 of a row; inputs past the last channel are read and multiplied by 0. */
static void row(const vl_depthwise *d, const uint8_t *in, uint8_t *out, const uint8_t *residual,
                int32_t c) {
    const ptrdiff_t padded = (d->channels + VL_DSP_BLOCK - 1) / VL_DSP_BLOCK * VL_DSP_BLOCK;
    const size_t item = d->finish.out_u8 ? 1 : sizeof(float), at = (size_t)c * item;
    const int32_t taps = d->kh * d->kw;
    int16x8_t w[MAX_TAPS][2];
    ptrdiff_t offset[MAX_TAPS];
    for (int32_t t = 0; t < taps; t++) {
        int8x16_t v = vld1q_s8((const int8_t *)d->weights + t * padded + c);
        w[t][0] = vmovl_s8(vget_low_s8(v));
        w[t][1] = vmovl_s8(vget_high_s8(v));
        offset[t] = t / d->kw * d->tap_row + t % d->kw * d->tap_pixel + c;
    }
    for (int32_t x = 0; x < d->width; x++) {
        int32x4_t sum[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
        for (int32_t t = 0; t < taps; t++) {
            uint8x16_t v = vld1q_u8(in + offset[t]);
            int16x8_t low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(v)));
            int16x8_t high = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(v)));
            sum[0] = vmlal_s16(sum[0], vget_low_s16(low), vget_low_s16(w[t][0]));
            sum[1] = vmlal_s16(sum[1], vget_high_s16(low), vget_high_s16(w[t][0]));
            sum[2] = vmlal_s16(sum[2], vget_low_s16(high), vget_low_s16(w[t][1]));
            sum[3] = vmlal_s16(sum[3], vget_high_s16(high), vget_high_s16(w[t][1]));
        }
        vl_finish_16_neon(&d->finish, d->mult + c, d->add + c, sum, out + at,
                          residual == NULL ? NULL : residual + at, d->channels - c);
        in += d->in_pixel;
        out += d->out_pixel;
        if (residual != NULL)
            residual += d->finish.res_pixel;
    }
}

static void depthwise_s8_neon(const vl_depthwise *d, int32_t y0, int32_t y1) {
    const uint8_t *residual = d->finish.residual;
    for (int32_t y = y0; y < y1; y++) {
        for (int32_t c = 0; c < d->channels; c += 16)
            row(d, d->in + y * d->in_row, d->out + y * d->out_row,
                residual == NULL ? NULL : residual + y * d->finish.res_row, c);
    }
}

void vl_dsp_init_neon_dw(vl_dsp *dsp) {
    dsp->dw_s8_level = "neon";
    dsp->depthwise_s8 = depthwise_s8_neon;
}
