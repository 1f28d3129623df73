/* See heat.h. */
#include "heat.h"

#include <math.h>

static float polynomial(const float *c, int n, float x) {
    float v = 0.0f;
    while (n-- > 0)
        v = v * x + c[n];
    return v;
}

/* Turbo by Anton Mikhailov, Apache-2.0; viridis' table is in the public domain (CC0). */
static const float turbo[3][6] = {
    {0.13572138f, 4.61539260f, -42.66032258f, 132.13108234f, -152.94239396f, 59.28637943f},
    {0.09140261f, 2.19418839f, 4.84296658f, -14.18503333f, 4.27729857f, 2.82956604f},
    {0.10667330f, 12.64194608f, -60.58204836f, 110.36276771f, -89.90310912f, 27.34824973f}};
static const float viridis[3][7] = {
    {0.2777273f, 0.1050930f, -0.3308618f, -4.6342305f, 6.2282699f, 4.7763850f, -5.4354559f},
    {0.0054073f, 1.4046135f, 0.2148476f, -5.7991010f, 14.1799334f, -13.7451454f, 4.6458526f},
    {0.3340998f, 1.3845902f, 0.0950952f, -19.3324410f, 56.6905526f, -65.3530326f, 26.3124352f}};

void heat_colour(heat_colours colours, float v, uint8_t rgb[3]) {
    v = fminf(fmaxf(v, 0.0f), 1.0f);
    for (int i = 0; i < 3; i++) {
        float c = colours == HEAT_TURBO ? polynomial(turbo[i], 6, v) : polynomial(viridis[i], 7, v);
        rgb[i] = (uint8_t)lrintf(fminf(fmaxf(c, 0.0f), 1.0f) * 255.0f);
    }
}

void heat_blend(heat_colours colours, const float *map, uint8_t *rgb, int width, int height,
                ptrdiff_t stride) {
    for (int y = 0; y < height; y++) {
        uint8_t *p = rgb + y * stride;
        for (int x = 0; x < width; x++, p += 3) {
            float v = fminf(fmaxf(*map++, 0.0f), 1.0f), cover = 0.75f * fminf(1.0f, 1.6f * v);
            float grey = 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2];
            uint8_t c[3];
            heat_colour(colours, v, c);
            for (int i = 0; i < 3; i++) {
                float dim = 0.35f * (float)p[i] + 0.4f * grey;
                p[i] = (uint8_t)lrintf(dim * (1.0f - cover) + (float)c[i] * cover);
            }
        }
    }
}
