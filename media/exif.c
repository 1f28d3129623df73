/* EXIF orientation from PNG (eXIf), WebP (EXIF) and TIFF. Trusts no length in the data. */
#include "exif.h"

#include <stdbool.h>
#include <string.h>

#define TAG_ORIENTATION 0x0112u

static uint32_t read16(const uint8_t *p, bool big) {
    return big ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

static uint32_t read32(const uint8_t *p, bool big) {
    return big ? read16(p, big) << 16 | read16(p + 2, big)
               : read16(p + 2, big) << 16 | read16(p, big);
}

/* A TIFF structure: header, offset of the first directory, its entries of 12 bytes. */
static int from_tiff(const uint8_t *data, size_t size) {
    if (size < 8)
        return 0;
    bool big = memcmp(data, "MM\0*", 4) == 0;
    if (!big && memcmp(data, "II*\0", 4) != 0)
        return 0;
    size_t at = read32(data + 4, big);
    if (at > size - 2)
        return 0;
    size_t n = read16(data + at, big);
    at += 2;
    for (size_t i = 0; i < n && size - at >= 12; i++, at += 12) {
        if (read16(data + at, big) == TAG_ORIENTATION) {
            uint32_t value = read16(data + at + 8, big);
            return value >= 1 && value <= 8 ? (int)value : 0;
        }
    }
    return 0;
}

static int from_png(const uint8_t *data, size_t size) {
    size_t at = 8;
    while (size - at >= 12) {
        size_t length = read32(data + at, true);
        if (length > size - at - 12)
            return 0;
        if (memcmp(data + at + 4, "eXIf", 4) == 0)
            return from_tiff(data + at + 8, length);
        at += length + 12;
    }
    return 0;
}

static int from_webp(const uint8_t *data, size_t size) {
    size_t at = 12;
    while (size - at >= 8) {
        size_t length = read32(data + at + 4, false);
        if (length > size - at - 8)
            return 0;
        if (memcmp(data + at, "EXIF", 4) == 0) {
            const uint8_t *body = data + at + 8;
            if (length >= 6 && memcmp(body, "Exif\0\0", 6) == 0)
                return from_tiff(body + 6, length - 6);
            return from_tiff(body, length);
        }
        at += 8 + length + (length & 1);
        if (at > size)
            return 0;
    }
    return 0;
}

int exif_orientation(const uint8_t *data, size_t size) {
    if (!data || size < 16)
        return 0;
    if (memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0)
        return from_png(data, size);
    if (memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0)
        return from_webp(data, size);
    return from_tiff(data, size);
}
