/* See npz.h. A ZIP of .npy files, found through the central directory; every offset is checked. */
#include "npz.h"

#include <string.h>
#define ZLIB_CONST 1 /* so that next_in may point to const */
#include <zlib.h>

#define END_SIZE     22u /* end of central directory record */
#define CENTRAL_SIZE 46u
#define LOCAL_SIZE   30u
#define MAX_ARRAYS   256u

static uint32_t le(const uint8_t *p, size_t n) {
    uint32_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint32_t)p[i] << (8 * i);
    return v;
}

static const uint8_t *inflated(mb *m, const uint8_t *from, size_t packed, size_t size) {
    uint8_t *to = mb_alloc(m, size, 1);
    z_stream z = {
        .next_in = from, .avail_in = (uInt)packed, .next_out = to, .avail_out = (uInt)size};
    if (!to || inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return NULL;
    int err = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    return err == Z_STREAM_END && z.total_out == size ? to : NULL;
}

/* "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 6, 48, 80), }" */
static bool parse_header(const char *h, npz_array *a, size_t *item) {
    const char *type = strstr(h, "'descr': '"), *shape = strstr(h, "'shape': (");
    if (!type || !shape || !strstr(h, "'fortran_order': False"))
        return false;
    type += strlen("'descr': '");
    a->is_u8 = strncmp(type, "|u1'", 4) == 0;
    if (!a->is_u8 && strncmp(type, "<f4'", 4) != 0)
        return false;
    *item = a->is_u8 ? 1 : 4;
    a->n = 1;
    const char *p = shape + strlen("'shape': (");
    while (*p && *p != ')') {
        size_t v = 0;
        if (*p == ' ' || *p == ',') {
            p++;
            continue;
        }
        if (*p < '0' || *p > '9' || a->rank == 8)
            return false;
        for (; *p >= '0' && *p <= '9'; p++)
            if (!mb_mul(v, 10, &v) || __builtin_add_overflow(v, (size_t)(*p - '0'), &v))
                return false;
        a->dims[a->rank++] = v;
        if (!mb_mul(a->n, v, &a->n))
            return false;
    }
    return *p == ')';
}

static bool read_array(mb *m, const uint8_t *p, size_t size, npz_array *a) {
    if (size < 12 || memcmp(p, "\x93NUMPY", 6) != 0)
        return false;
    size_t field = p[6] == 1 ? 2 : 4, length = le(p + 8, field), start = 8 + field, item, bytes;
    if (length > size - start)
        return false;
    char *header = mb_alloc(m, length + 1, 1);
    if (!header)
        return false;
    memcpy(header, p + start, length);
    if (!parse_header(header, a, &item) || !mb_mul(a->n, item, &bytes) ||
        bytes != size - start - length)
        return false;
    void *copy = mb_alloc(m, bytes, 1); /* aligned, unlike the file */
    if (!copy)
        return false;
    if (bytes)
        memcpy(copy, p + start + length, bytes);
    a->f = a->is_u8 ? NULL : copy;
    a->u8 = a->is_u8 ? copy : NULL;
    return true;
}

/* One entry of the central directory at c. */
static bool read_entry(mb *m, const uint8_t *bytes, size_t size, const uint8_t *c, npz_array *a) {
    uint32_t method = le(c + 10, 2), packed = le(c + 20, 4), whole = le(c + 24, 4),
             n_name = le(c + 28, 2), at = le(c + 42, 4);
    if (at > size || size - at < LOCAL_SIZE || le(bytes + at, 4) != 0x04034b50u)
        return false;
    size_t skip = LOCAL_SIZE + le(bytes + at + 26, 2) + le(bytes + at + 28, 2);
    if (skip > size - at || packed > size - at - skip || (method != 0 && method != 8))
        return false;
    char *name = mb_alloc(m, n_name + 1u, 1);
    if (!name)
        return false;
    memcpy(name, c + CENTRAL_SIZE, n_name);
    if (n_name > 4 && strcmp(name + n_name - 4, ".npy") == 0)
        name[n_name - 4] = '\0';
    const uint8_t *data = bytes + at + skip;
    if (method == 8)
        data = inflated(m, data, packed, whole);
    else if (packed != whole)
        return false;
    *a = (npz_array){.name = name};
    return data && read_array(m, data, whole, a);
}

int npz_read(mb *m, const uint8_t *bytes, size_t size, npz_array **arrays, size_t *n) {
    size_t end = size;
    *n = 0;
    while (end >= END_SIZE && le(bytes + end - END_SIZE, 4) != 0x06054b50u)
        end--;
    if (end < END_SIZE)
        return mb_fail(m, "not an .npz file");
    const uint8_t *e = bytes + end - END_SIZE;
    size_t count = le(e + 10, 2), at = le(e + 16, 4);
    *arrays = mb_alloc(m, count, sizeof(**arrays));
    if (!*arrays)
        return -1;
    for (size_t i = 0; i < count && i < MAX_ARRAYS; i++) {
        if (at > size || size - at < CENTRAL_SIZE || le(bytes + at, 4) != 0x02014b50u)
            return mb_fail(m, "the .npz file is damaged");
        size_t names = le(bytes + at + 28, 2),
               more = le(bytes + at + 30, 2) + le(bytes + at + 32, 2);
        if (size - at - CENTRAL_SIZE < names ||
            !read_entry(m, bytes, size, bytes + at, &(*arrays)[*n]))
            return mb_fail(m, "the .npz file is damaged or holds more than float32 and uint8");
        ++*n;
        at += CENTRAL_SIZE + names + more;
    }
    return 0;
}
