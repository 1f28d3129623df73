/* Settings as the caller gives them: checked, copied, defaults put in. */
#ifndef VL_SETTINGS_H
#define VL_SETTINGS_H

#include "veil.h"

#define VL_SETTINGS_ZONES 64

typedef struct {
    veil_settings s; /* no zero that means "default" is left; s.zones is not to be used */
    veil_zone zones[VL_SETTINGS_ZONES];
} vl_settings;

/* VEIL_OK, VEIL_E_ARG, or VEIL_E_WEAK for a weak style without force_weak; *out is written only on
 * success. */
int vl_settings_take(vl_settings *out, const veil_settings *in);

#endif
