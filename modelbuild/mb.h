/* What every step of model building shares: memory that is freed all at once, and one error line.
 * The first error is kept; later ones are its consequences. */
#ifndef VEIL_MODELBUILD_MB_H
#define VEIL_MODELBUILD_MB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MB_MEMORY_LIMIT ((size_t)2 << 30)   /* bytes; a file that needs more is refused */
#define MB_FILE_LIMIT   ((size_t)512 << 20) /* bytes of an ONNX file */

typedef struct mb {
    struct mb_block *blocks;
    size_t total;    /* bytes handed out */
    size_t limit;    /* of total; MB_MEMORY_LIMIT after mb_init */
    char error[320]; /* one line without its end; "" = none */
    FILE *notes;     /* remarks for people, one a line; NULL = none */
    bool verbose;
} mb;

void mb_init(mb *m, FILE *notes);
void mb_done(mb *m); /* frees everything that mb_alloc gave out */

/* n * size zeroed bytes that live until mb_done. NULL with the error set on overflow, on the limit
 * or without memory; n * size of 0 gives a valid pointer. */
void *mb_alloc(mb *m, size_t n, size_t size);
const char *mb_copy(mb *m, const char *text);
const char *mb_text(mb *m, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* text itself when it is UTF-8 without control characters, as the engine wants the names in a model
 * to be; else a copy with '?' for each byte that may not be there. NULL with the error set. */
const char *mb_printable(mb *m, const char *text);

/* Keeps the first error, makes control characters harmless, returns -1. */
int mb_fail(mb *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
void mb_note(mb *m, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool mb_mul(size_t a, size_t b, size_t *out); /* false on overflow */

/* A growing array: makes room for one more of `size` bytes; items may move. False: no memory. */
bool mb_grow(mb *m, void **items, size_t n, size_t *room, size_t size);

#endif
