/* Damaged copies of a model file whose checksum and size are right again, so that the parser's own
 * checks are reached; and running whatever it still accepts. */
#ifndef VEIL_TESTS_MUTATE_H
#define VEIL_TESTS_MUTATE_H

#include "nn/nn.h"

#include <string.h>

static inline void mutate_store(uint8_t *p, uint32_t v) {
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static inline uint32_t mutate_load(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Size and CRC-32 of the header made right; files shorter than a header are left alone. */
static inline void mutate_seal(uint8_t *file, size_t size) {
    if (size < 128)
        return;
    mutate_store(file + 8, (uint32_t)size);
    uint32_t table[256], crc = 0xffffffffu;
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = (table[i] >> 1) ^ (0xedb88320u & (0u - (table[i] & 1u)));
    }
    for (size_t i = 16; i < size; i++)
        crc = (crc >> 8) ^ table[(crc ^ file[i]) & 255];
    mutate_store(file + 12, ~crc);
}

/* Parses; when accepted plans a small input and runs it. Returns the first error. */
static inline int mutate_try(const uint8_t *file, size_t size) {
    vl_model *model = NULL;
    vl_net *net = NULL;
    int err = vl_model_parse(&model, file, size);
    if (err == VEIL_OK)
        err = vl_net_create(&net, model, NULL, 0, 0);
    if (err == VEIL_OK)
        err = vl_net_set_size(net, 64, 32);
    if (err == VEIL_OK) {
        memset(vl_net_input(net), 200, 64 * 32 * 4);
        err = vl_net_run(net);
    }
    vl_net_destroy(net);
    vl_model_destroy(model);
    return err;
}

#endif
