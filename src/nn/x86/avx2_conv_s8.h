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

VL_INLINE __m256i to_words(const vl_chunk *k, __m256i a, __m256i b) {
    __m256 v =
        _mm256_fmadd_ps(_mm256_cvtepi32_ps(a), _mm256_load_ps(k->mult), _mm256_load_ps(k->add));
    __m256 u = _mm256_fmadd_ps(_mm256_cvtepi32_ps(b), _mm256_load_ps(k->mult + 8),
                               _mm256_load_ps(k->add + 8));
    return _mm256_packs_epi32(_mm256_cvtps_epi32(v), _mm256_cvtps_epi32(u));
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
    if (!c->finish.quick || residual != NULL) {
        __m256i spilled[6 * 2];
#pragma GCC unroll 16
        for (int i = 0; i < pixels; i++) {
            spilled[2 * i] = acc[i][0];
            spilled[2 * i + 1] = acc[i][1];
        }
        finish_general(c, k, spilled, out, residual, pixels);
        return;
    }
    const __m256i low = _mm256_set1_epi8((char)(uint8_t)c->finish.low);
    const __m256i high = _mm256_set1_epi8((char)(uint8_t)c->finish.high);
    out += k->first;
#pragma GCC unroll 16
    for (int i = 0; i < pixels; i += 2) {
        int j = i + 1 < pixels ? i + 1 : i;
        __m256i v = _mm256_packus_epi16(to_words(k, acc[i][0], acc[i][1]),
                                        to_words(k, acc[j][0], acc[j][1]));
        v = _mm256_permute4x64_epi64(_mm256_min_epu8(_mm256_max_epu8(v, low), high), 0xd8);
        store_16(out + i * c->out_pixel, _mm256_castsi256_si128(v), k->n);
        if (j != i)
            store_16(out + j * c->out_pixel, _mm256_extracti128_si256(v, 1), k->n);
    }
}

VL_TILES_1_TO_6(2)

static const vl_tiles tiles_s8 = {
    {{0}, {tile_1_2, tile_2_2, tile_3_2, tile_4_2, tile_5_2, tile_6_2}, {0}, {0}}, {0, TILE, 0, 0}};
