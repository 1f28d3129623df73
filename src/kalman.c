/* See kalman.h. Noise is relative to the face's size: a head moves in head sizes, not in pixels. */
#include "kalman.h"

#include <math.h>

#define SIZE_MIN_PX    1.0f
#define POSITION_NOISE 0.06f /* of the size: how far a detector's box is off */
#define LOG_SIZE_NOISE 0.08f
#define START_VELOCITY 1.5f /* sizes a second that a new face may have */
#define START_GROWTH   0.5f /* log size a second */
#define POSITION_ACCEL 4.0f /* (sizes / s)^2 of velocity gained in a second */
#define LOG_SIZE_ACCEL 0.3f
#define VAR_MAX        1e12f

void vl_axis_start(vl_axis *a, float x, float var_x, float var_v) {
    *a = (vl_axis){.x = x, .v = 0, .pxx = var_x, .pxv = 0, .pvv = var_v};
}

void vl_axis_predict(vl_axis *a, float dt, float accel) {
    a->x += a->v * dt;
    a->pxx += dt * (2 * a->pxv + dt * a->pvv) + accel * dt * dt * dt / 3;
    a->pxv += dt * a->pvv + accel * dt * dt / 2;
    a->pvv += accel * dt;
    if (a->pxx > VAR_MAX)
        a->pxx = VAR_MAX;
}

void vl_axis_update(vl_axis *a, float z, float var_z) {
    float s = a->pxx + var_z; /* > 0: var_z is */
    float kx = a->pxx / s, kv = a->pxv / s;
    float r = z - a->x;
    a->x += kx * r;
    a->v += kv * r;
    a->pvv -= kv * a->pxv;
    a->pxv -= kx * a->pxv;
    a->pxx -= kx * a->pxx;
    if (a->pxx < 0)
        a->pxx = 0;
    if (a->pvv < 0)
        a->pvv = 0;
}

static float size_of(const vl_kalman *k) {
    return expf((k->lw.x + k->lh.x) / 2);
}

static float square(float x) {
    return x * x;
}

static float log_size(float px) {
    return logf(px > SIZE_MIN_PX ? px : SIZE_MIN_PX);
}

void vl_kalman_start(vl_kalman *k, vl_rect b) {
    k->lw.x = log_size(b.w);
    k->lh.x = log_size(b.h);
    float s = size_of(k);
    vl_axis_start(&k->cx, b.x + b.w / 2, square(POSITION_NOISE * s), square(START_VELOCITY * s));
    vl_axis_start(&k->cy, b.y + b.h / 2, square(POSITION_NOISE * s), square(START_VELOCITY * s));
    vl_axis_start(&k->lw, k->lw.x, square(LOG_SIZE_NOISE), square(START_GROWTH));
    vl_axis_start(&k->lh, k->lh.x, square(LOG_SIZE_NOISE), square(START_GROWTH));
}

void vl_kalman_predict(vl_kalman *k, float dt) {
    float accel = POSITION_ACCEL * square(size_of(k));
    vl_axis_predict(&k->cx, dt, accel);
    vl_axis_predict(&k->cy, dt, accel);
    vl_axis_predict(&k->lw, dt, LOG_SIZE_ACCEL);
    vl_axis_predict(&k->lh, dt, LOG_SIZE_ACCEL);
}

void vl_kalman_update(vl_kalman *k, vl_rect b, float noise) {
    float s = size_of(k);
    float var = noise * square(POSITION_NOISE * s + 0.5f);
    vl_axis_update(&k->cx, b.x + b.w / 2, var);
    vl_axis_update(&k->cy, b.y + b.h / 2, var);
    vl_axis_update(&k->lw, log_size(b.w), noise * square(LOG_SIZE_NOISE));
    vl_axis_update(&k->lh, log_size(b.h), noise * square(LOG_SIZE_NOISE));
}

void vl_kalman_camera(vl_kalman *k, const vl_motion *m) {
    float vx = k->cx.v, vy = k->cy.v;
    vl_motion_point(m, &k->cx.x, &k->cy.x);
    k->cx.v = m->a * vx - m->b * vy;
    k->cy.v = m->b * vx + m->a * vy;
    float grow = logf(fmaxf(hypotf(m->a, m->b), 1e-3f));
    k->lw.x += grow;
    k->lh.x += grow;
}

void vl_kalman_damp(vl_kalman *k, float factor) {
    k->cx.v *= factor;
    k->cy.v *= factor;
    k->lw.v *= factor;
    k->lh.v *= factor;
}

vl_rect vl_kalman_box(const vl_kalman *k) {
    float w = expf(fminf(k->lw.x, 12.0f)), h = expf(fminf(k->lh.x, 12.0f));
    return (vl_rect){k->cx.x - w / 2, k->cy.x - h / 2, w, h};
}

float vl_kalman_spread_px(const vl_kalman *k) {
    return sqrtf(fmaxf(k->cx.pxx, k->cy.pxx));
}
