/* Walks the outer structure of JPEG, PNG and WebP. Trusts no length in the data; what follows the
 * end mark (films of phones, for one) does not matter. */
#include "whole.h"

#include <string.h>

static uint32_t big32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* From the start of image data to the 0xFF of the next marker that is not part of it. */
static size_t skip_scan(const uint8_t *data, size_t size, size_t at) {
    while (at + 1 < size) {
        uint8_t code = data[at + 1];
        if (data[at] == 0xff && code != 0 && code != 0xff && (code < 0xd0 || code > 0xd7))
            return at;
        at++;
    }
    return size;
}

static bool whole_jpeg(const uint8_t *data, size_t size) {
    size_t at = 2;
    while (at + 4 <= size || (at + 2 <= size && data[at] == 0xff && data[at + 1] == 0xd9)) {
        if (data[at] != 0xff || data[at + 1] == 0xff || data[at + 1] == 0) {
            at++; /* filling, or rubbish that decoders skip too */
            continue;
        }
        uint8_t code = data[at + 1];
        if (code == 0xd9)
            return true;
        if (code == 0x01 || (code >= 0xd0 && code <= 0xd8)) {
            at += 2;
            continue;
        }
        size_t length = (size_t)data[at + 2] << 8 | data[at + 3];
        if (length > size - at - 2)
            return false;
        at += 2 + length;
        if (code == 0xda)
            at = skip_scan(data, size, at);
    }
    return false;
}

static bool whole_png(const uint8_t *data, size_t size) {
    size_t at = 8;
    while (size - at >= 12) {
        size_t length = big32(data + at);
        if (length > size - at - 12)
            return false;
        if (memcmp(data + at + 4, "IEND", 4) == 0)
            return true;
        at += length + 12;
    }
    return false;
}

bool whole_picture(const uint8_t *data, size_t size) {
    if (size >= 4 && data[0] == 0xff && data[1] == 0xd8)
        return whole_jpeg(data, size);
    if (size >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0)
        return whole_png(data, size);
    if (size >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0) {
        size_t length =
            (size_t)data[7] << 24 | (size_t)data[6] << 16 | (size_t)data[5] << 8 | data[4];
        return length <= size - 8;
    }
    return true;
}
