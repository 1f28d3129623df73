/* A file with settings as JSON, named like the options of veil run. */
#ifndef CLI_SETTINGS_FILE_H
#define CLI_SETTINGS_FILE_H

#include "error.h"
#include "veil.h"

/* Changes what the file names, all of it or nothing. zones: 64, used by set from then on. */
int settings_file_load(const char *path, veil_settings *set, veil_zone *zones, media_error *err);

#endif
