/* Body of the dense integer convolution of the 256-bit levels; included once by each after it has
 * defined DOT(acc, x, w): acc += dot of four unsigned bytes and four signed bytes per 32-bit lane.
 * Two vectors of 8 channels, interleaved (vl_packing), by up to TILE pixels. SPLITS: groups of
 * weights may be split (VL_SPLIT_PAIRS). */
#ifndef TILE
#error "TILE, SPLITS and DOT come from the including file"
#endif

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

/* The sums of a pixel's 16 channels as 16-bit values; residual: the pixel's, or NULL; dip: or NULL.
 */
VL_INLINE __m256i to_words(const vl_conv *c, const vl_chunk *k, __m256i a, __m256i b,
                           const uint8_t *residual, const vl_dip_256 *dip) {
    const __m256i zero = _mm256_setzero_si256();
    a = to_int(k, a, 0);
    b = to_int(k, b, 1);
    if (dip != NULL) {
        __m256i w = vl_dip_words_256(dip, _mm256_packs_epi32(a, b));
        if (residual == NULL)
            return w;
        w = _mm256_max_epi16(w, zero);
        a = _mm256_unpacklo_epi16(w, zero);
        b = _mm256_unpackhi_epi16(w, zero);
    }
    if (residual != NULL) {
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

/* With a residual, a dip or both. */
VL_INLINE void finish_each(const vl_conv *c, const vl_chunk *k, const __m256i *acc, uint8_t *out,
                           const uint8_t *residual, int pixels, const vl_dip_256 *dip) {
    const vl_finish *f = &c->finish;
    const __m128i low = _mm_set1_epi8((char)(uint8_t)(residual != NULL ? f->res_low : f->low));
    const __m128i high = _mm_set1_epi8((char)(uint8_t)(residual != NULL ? f->res_high : f->high));
    for (int i = 0; i < pixels; i++) {
        const uint8_t *x = residual != NULL ? residual + i * f->res_pixel : NULL;
        __m256i v = to_words(c, k, acc[2 * i], acc[2 * i + 1], x, dip);
        v = _mm256_permute4x64_epi64(_mm256_packus_epi16(v, v), 0xd8);
        __m128i bytes = _mm_min_epu8(_mm_max_epu8(_mm256_castsi256_si128(v), low), high);
        store_16(out + i * c->out_pixel + k->first, bytes, k->n);
    }
}

/* Ends that are rarer than a clamp share their code: the sums come through memory. */
static __attribute__((noinline)) void finish_other(const vl_conv *c, const vl_chunk *k,
                                                   const __m256i *acc, uint8_t *out,
                                                   const uint8_t *residual, int pixels) {
    if (!c->finish.quick) {
        finish_general(c, k, acc, out, residual, pixels);
    } else if (c->finish.dip == NULL) {
        finish_each(c, k, acc, out, residual, pixels, NULL);
    } else {
        const vl_dip_256 dip = vl_dip_load_256(c->finish.dip);
        if (residual == NULL)
            finish_each(c, k, acc, out, NULL, pixels, &dip);
        else
            finish_each(c, k, acc, out, residual, pixels, &dip);
    }
}

/* n groups of weights, for the first vector, the second (2) or both (3). */
VL_INLINE void multiply(__m256i acc[6][2], const uint8_t *in, ptrdiff_t step, const int32_t *offset,
                        int32_t n, const __m256i *w, const int pixels, const int vectors) {
#pragma GCC unroll 1
    for (int32_t j = 0; j < n; j++, w += 2) {
        const uint8_t *x = in + offset[j];
        __m256i w0 = w[0], w1 = w[1];
#pragma GCC unroll 16
        for (int i = 0; i < pixels; i++) {
            int32_t four;
            memcpy(&four, x + i * step, sizeof four);
            __m256i v = _mm256_set1_epi32(four);
            if ((vectors & 1) != 0)
                DOT(acc[i][0], v, w0);
            if ((vectors & 2) != 0)
                DOT(acc[i][1], v, w1);
        }
    }
}

VL_INLINE void tile(const vl_conv *c, const vl_chunk *k, const uint8_t *in, uint8_t *out,
                    const uint8_t *residual, const int pixels, const int blocks) {
    __m256i acc[6][2];
    (void)blocks; /* always 2 */
#pragma GCC unroll 16
    for (int i = 0; i < pixels; i++)
        acc[i][0] = acc[i][1] = _mm256_setzero_si256();
    const int32_t both = SPLITS ? k->n_k - k->alone[0] - k->alone[1] : k->n_k;
    const int32_t *offset = k->offset;
    const __m256i *w = k->weights;
    multiply(acc, in, c->in_pixel, offset, both, w, pixels, 3);
    if (SPLITS) {
        offset += both;
        w += 2 * both;
        multiply(acc, in, c->in_pixel, offset, k->alone[0], w, pixels, 1);
        offset += k->alone[0];
        w += 2 * k->alone[0];
        multiply(acc, in, c->in_pixel, offset, k->alone[1], w, pixels, 2);
    }
    if (!vl_finish_clamps(&c->finish) || residual != NULL) {
        __m256i spilled[6 * 2];
#pragma GCC unroll 16
        for (int i = 0; i < pixels; i++) {
            spilled[2 * i] = acc[i][0];
            spilled[2 * i + 1] = acc[i][1];
        }
        finish_other(c, k, spilled, out, residual, pixels);
        return;
    }
    const __m256i low = _mm256_set1_epi8((char)(uint8_t)c->finish.low);
    const __m256i high = _mm256_set1_epi8((char)(uint8_t)c->finish.high);
    out += k->first;
#pragma GCC unroll 16
    for (int i = 0; i < pixels; i += 2) {
        const int j = i + 1 < pixels ? i + 1 : i;
        __m256i v = _mm256_packus_epi16(to_words(c, k, acc[i][0], acc[i][1], NULL, NULL),
                                        to_words(c, k, acc[j][0], acc[j][1], NULL, NULL));
        v = _mm256_permute4x64_epi64(_mm256_min_epu8(_mm256_max_epu8(v, low), high), 0xd8);
        store_16(out + i * c->out_pixel, _mm256_castsi256_si128(v), k->n);
        if (j != i)
            store_16(out + j * c->out_pixel, _mm256_extracti128_si256(v, 1), k->n);
    }
}

VL_TILES_1_TO_6(2)

static const vl_tiles tiles_s8 = {
    {{0}, {tile_1_2, tile_2_2, tile_3_2, tile_4_2, tile_5_2, tile_6_2}, {0}, {0}}, {0, TILE, 0, 0}};
