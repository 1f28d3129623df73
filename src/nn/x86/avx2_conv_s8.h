/* Body of the dense integer convolution of the 256-bit levels; included once by each after it has
 * defined DOT(acc, x, w): acc += dot of four unsigned bytes and four signed bytes per 32-bit lane.
 * Two vectors of 8 channels, interleaved (vl_packing), by up to TILE pixels. */
#ifndef TILE
#error "TILE and DOT come from the including file"
#endif

static void finish_general(const vl_conv *c, const vl_chunk *k, const __m256i *acc, uint8_t *out,
                           const uint8_t *residual, int pixels) {
    for (int i = 0; i < pixels; i++) {
        __m256 a = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[2 * i]), _mm256_load_ps(k->mult),
                                   _mm256_load_ps(k->add));
        __m256 b = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[2 * i + 1]), _mm256_load_ps(k->mult + 8),
                                   _mm256_load_ps(k->add + 8));
        vl_finish_256(&c->finish, _mm256_permute2f128_ps(a, b, 0x20), out, residual, k->first,
                      k->n);
        if (k->n > 8)
            vl_finish_256(&c->finish, _mm256_permute2f128_ps(a, b, 0x31), out, residual,
                          k->first + 8, k->n - 8);
        out += c->out_pixel;
        if (residual != NULL)
            residual += c->finish.res_pixel;
    }
}

VL_INLINE __m256i to_int(const vl_chunk *k, __m256i sum, int b) {
    return _mm256_cvtps_epi32(_mm256_fmadd_ps(
        _mm256_cvtepi32_ps(sum), _mm256_load_ps(k->mult + 8 * b), _mm256_load_ps(k->add + 8 * b)));
}

VL_INLINE __m256i to_int_adding(const vl_finish *f, __m256i i, __m256i x) {
    i = _mm256_max_epi32(i, _mm256_set1_epi32((int32_t)f->low));
    i = _mm256_min_epi32(i, _mm256_set1_epi32((int32_t)f->high));
    __m256 r =
        _mm256_fmadd_ps(_mm256_cvtepi32_ps(x), _mm256_set1_ps(f->res_b), _mm256_set1_ps(f->res_c));
    return _mm256_cvtps_epi32(_mm256_fmadd_ps(_mm256_cvtepi32_ps(i), _mm256_set1_ps(f->res_a), r));
}

VL_INLINE __m128i load_16(const uint8_t *p, int32_t n) {
    uint8_t all[16] = {0};
    if (n < 16)
        p = memcpy(all, p, (size_t)n);
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* The sums of a pixel's 16 channels as 16-bit values; residual: the pixel's, or NULL. */
VL_INLINE __m256i to_words(const vl_conv *c, const vl_chunk *k, __m256i a, __m256i b,
                           const uint8_t *residual) {
    a = to_int(k, a, 0);
    b = to_int(k, b, 1);
    if (residual != NULL) {
        const __m256i zero = _mm256_setzero_si256();
        __m256i x = _mm256_cvtepu8_epi16(load_16(residual + k->first, k->n));
        a = to_int_adding(&c->finish, a, _mm256_unpacklo_epi16(x, zero));
        b = to_int_adding(&c->finish, b, _mm256_unpackhi_epi16(x, zero));
    }
    return _mm256_packs_epi32(a, b);
}

VL_INLINE void store_16(uint8_t *out, __m128i v, int32_t n) {
    if (n >= 16) {
        _mm_storeu_si128((__m128i *)(void *)out, v);
        return;
    }
    uint8_t all[16];
    _mm_storeu_si128((__m128i *)(void *)all, v);
    memcpy(out, all, (size_t)n);
}

VL_INLINE void tile(const vl_conv *c, const vl_chunk *k, const uint8_t *in, uint8_t *out,
                    const uint8_t *residual, const int pixels, const int blocks) {
    __m256i acc[6][2];
    const __m256i *w = k->weights;
    const int32_t *offset = k->offset, *end = offset + k->n_k;
    const ptrdiff_t step = c->in_pixel;
    (void)blocks; /* always 2 */
#pragma GCC unroll 16
    for (int i = 0; i < pixels; i++)
        acc[i][0] = acc[i][1] = _mm256_setzero_si256();
#pragma GCC unroll 1
    for (; offset < end; offset++, w += 2) {
        const uint8_t *x = in + *offset;
        __m256i w0 = w[0], w1 = w[1];
#pragma GCC unroll 16
        for (int i = 0; i < pixels; i++) {
            int32_t four;
            memcpy(&four, x + i * step, sizeof four);
            __m256i v = _mm256_set1_epi32(four);
            DOT(acc[i][0], v, w0);
            DOT(acc[i][1], v, w1);
        }
    }
    if (!c->finish.quick) {
        __m256i spilled[6 * 2];
#pragma GCC unroll 16
        for (int i = 0; i < pixels; i++) {
            spilled[2 * i] = acc[i][0];
            spilled[2 * i + 1] = acc[i][1];
        }
        finish_general(c, k, spilled, out, residual, pixels);
        return;
    }
    const vl_finish *f = &c->finish;
    const __m256i low = _mm256_set1_epi8((char)(uint8_t)(residual != NULL ? f->res_low : f->low));
    const __m256i high =
        _mm256_set1_epi8((char)(uint8_t)(residual != NULL ? f->res_high : f->high));
    out += k->first;
#pragma GCC unroll 16
    for (int i = 0; i < pixels; i += 2) {
        const int j = i + 1 < pixels ? i + 1 : i;
        const uint8_t *x = residual == NULL ? NULL : residual + i * f->res_pixel;
        const uint8_t *y = residual == NULL ? NULL : residual + j * f->res_pixel;
        __m256i v = _mm256_packus_epi16(to_words(c, k, acc[i][0], acc[i][1], x),
                                        to_words(c, k, acc[j][0], acc[j][1], y));
        v = _mm256_permute4x64_epi64(_mm256_min_epu8(_mm256_max_epu8(v, low), high), 0xd8);
        store_16(out + i * c->out_pixel, _mm256_castsi256_si128(v), k->n);
        if (j != i)
            store_16(out + j * c->out_pixel, _mm256_extracti128_si256(v, 1), k->n);
    }
}

VL_TILES_1_TO_6(2)

static const vl_tiles tiles_s8 = {
    {{0}, {tile_1_2, tile_2_2, tile_3_2, tile_4_2, tile_5_2, tile_6_2}, {0}, {0}}, {0, TILE, 0, 0}};
