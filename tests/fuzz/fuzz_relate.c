/* Weights of the comparison of faces, as any text, and what they make of faces. */
#include "fuzz.h"
#include "relate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const unsigned fuzz_rounds = 20000;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    vl_relate *r = NULL;
    if (vl_relate_read(&r, text) == VEIL_OK) {
        veil_detection d[3] = {
            {1, 2, 30, 40, 0.9f, 0.8f}, {90, 9, 5, 6, 0.5f, 0.1f}, {7, 7, 7, 7, 0.1f, 1}};
        vl_relate_apply(r, 320, 240, d, 3);
        for (int i = 0; i < 3; i++)
            if (!(d[i].interview >= 0 && d[i].interview <= 1))
                abort();
    }
    vl_relate_destroy(r);
    free(text);
    return 0;
}

uint8_t *fuzz_seed(size_t *size) {
    static const char start[] = "1 1";
    enum { NUMBERS = 20 + 2 + 12 + 2 };
    char *text = malloc(sizeof start + NUMBERS * 6);
    if (!text)
        return NULL;
    int at = sprintf(text, "%s", start);
    for (int i = 0; i < NUMBERS; i++)
        at += sprintf(text + at, " %d", (i * 97 % 41 - 20) * 40);
    *size = (size_t)at;
    vl_relate *r = NULL; /* a start that is refused would reach nothing */
    if (vl_relate_read(&r, text) != VEIL_OK)
        abort();
    vl_relate_destroy(r);
    return (uint8_t *)text;
}
