/* Which of the models built into the library (builtin.c) is taken where none is named. */
#ifndef VL_BUILTIN_H
#define VL_BUILTIN_H

#define VL_BUILTIN_DEFAULT "veil-n"

#endif
