/* Memory in blocks that end together, and the error line. See mb.h. */
#include "mb.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK ((size_t)64 << 10) /* bytes; larger requests get a block of their own */
#define ALIGN 16u

struct mb_block {
    struct mb_block *next;
    size_t size, used;
    _Alignas(ALIGN) unsigned char bytes[];
};

void mb_init(mb *m, FILE *notes) {
    *m = (mb){.notes = notes, .limit = MB_MEMORY_LIMIT};
}

void mb_done(mb *m) {
    for (struct mb_block *b = m->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    m->blocks = NULL;
    m->total = 0;
}

bool mb_mul(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}

static struct mb_block *add_block(mb *m, size_t size) {
    struct mb_block *b = calloc(1, sizeof(*b) + size);
    if (!b)
        return NULL;
    b->size = size;
    b->next = m->blocks;
    m->blocks = b;
    return b;
}

void *mb_alloc(mb *m, size_t n, size_t size) {
    size_t want;
    if (!mb_mul(n, size, &want) || want > m->limit - ALIGN) {
        mb_fail(m, "a size in the file is impossibly large");
        return NULL;
    }
    want = (want + ALIGN - 1) / ALIGN * ALIGN;
    if (want > m->limit - m->total) {
        mb_fail(m, "the file needs more than %zu MiB of memory", m->limit >> 20);
        return NULL;
    }
    struct mb_block *b = m->blocks;
    if (want > CHUNK / 4) {
        /* Goes behind the open chunk, so that the chunk's rest stays in use. */
        struct mb_block *open = b;
        b = add_block(m, want);
        if (b && open) {
            m->blocks = open;
            b->next = open->next;
            open->next = b;
        }
    } else if (!b || b->size - b->used < want) {
        b = add_block(m, CHUNK);
    }
    if (!b) {
        mb_fail(m, "out of memory");
        return NULL;
    }
    void *p = b->bytes + b->used;
    b->used += want;
    m->total += want;
    return p;
}

const char *mb_copy(mb *m, const char *text) {
    size_t n = strlen(text) + 1;
    char *p = mb_alloc(m, n, 1);
    if (p)
        memcpy(p, text, n);
    return p;
}

const char *mb_text(mb *m, const char *format, ...) {
    char line[256];
    va_list ap;
    va_start(ap, format);
    vsnprintf(line, sizeof(line), format, ap);
    va_end(ap);
    return mb_copy(m, line);
}

/* Bytes of the character at s, 0 when it is none or a control character. Overlong forms pass:
 * nothing depends on them. */
static int character(const unsigned char *s) {
    if (*s < 0x80)
        return *s >= 0x20 && *s != 0x7f;
    int more = *s >= 0xc2 && *s < 0xe0 ? 1 : *s >= 0xe0 && *s < 0xf0 ? 2 : *s < 0xf5 ? 3 : 0;
    if (*s < 0xc2)
        return 0;
    for (int k = 1; k <= more; k++)
        if ((s[k] & 0xc0) != 0x80)
            return 0;
    return more ? more + 1 : 0;
}

const char *mb_printable(mb *m, const char *text) {
    const unsigned char *s = (const unsigned char *)text;
    while (*s && character(s))
        s += character(s);
    if (!*s)
        return text;
    size_t n = strlen(text) + 1;
    char *p = mb_alloc(m, n, 1), *to = p;
    if (!p)
        return NULL;
    for (s = (const unsigned char *)text; *s;) {
        int length = character(s);
        if (!length)
            *to++ = '?';
        for (int k = 0; k < length; k++)
            *to++ = (char)s[k];
        s += length ? length : 1;
    }
    return p;
}

static void make_printable(char *s) {
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

int mb_fail(mb *m, const char *format, ...) {
    if (m->error[0])
        return -1;
    va_list ap;
    va_start(ap, format);
    vsnprintf(m->error, sizeof(m->error), format, ap);
    va_end(ap);
    make_printable(m->error);
    return -1;
}

void mb_note(mb *m, const char *format, ...) {
    if (!m->notes)
        return;
    char line[320];
    va_list ap;
    va_start(ap, format);
    vsnprintf(line, sizeof(line), format, ap);
    va_end(ap);
    make_printable(line);
    fprintf(m->notes, "%s\n", line);
}

bool mb_grow(mb *m, void **items, size_t n, size_t *room, size_t size) {
    if (n < *room)
        return true;
    size_t more = *room ? *room * 2 : 32;
    void *p = mb_alloc(m, more, size);
    if (!p)
        return false;
    if (n)
        memcpy(p, *items, n * size);
    *items = p;
    *room = more;
    return true;
}
