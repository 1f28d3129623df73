/* A face's box over time: four independent Kalman filters of constant velocity (centre x, centre y,
 * log width, log height). Time in seconds, so that any frame rate gives the same track. */
#ifndef VL_KALMAN_H
#define VL_KALMAN_H

#include "frame.h"
#include "motion.h"

/* One quantity x with velocity v a second; p.. is their covariance. */
typedef struct {
    float x, v;
    float pxx, pxv, pvv;
} vl_axis;

void vl_axis_start(vl_axis *a, float x, float var_x, float var_v);
/* accel: spectral density of the white acceleration, unit^2 / s^3. */
void vl_axis_predict(vl_axis *a, float dt_s, float accel);
void vl_axis_update(vl_axis *a, float z, float var_z);

typedef struct {
    vl_axis cx, cy; /* px */
    vl_axis lw, lh; /* log px */
} vl_kalman;

void vl_kalman_start(vl_kalman *k, vl_rect box);
void vl_kalman_predict(vl_kalman *k, float dt_s);
/* noise: 1 for a sure detection, more for a weak one. */
void vl_kalman_update(vl_kalman *k, vl_rect box, float noise);
/* The camera moved: the picture's points went where m says. */
void vl_kalman_camera(vl_kalman *k, const vl_motion *m);
/* Multiplies all velocities, for a face that is no longer seen. */
void vl_kalman_damp(vl_kalman *k, float factor);
vl_rect vl_kalman_box(const vl_kalman *k);
/* Standard deviation of the centre, px, the larger of both axes. */
float vl_kalman_spread_px(const vl_kalman *k);

#endif
