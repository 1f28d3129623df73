/* veil run on live inputs and outputs. */
#ifndef CLI_RUN_LIVE_H
#define CLI_RUN_LIVE_H

#include "options.h"

#include <stdio.h>

/* Whether these inputs, outputs and options need a live session. */
bool run_live_wanted(const cli_options *o);
/* audit may be NULL. Returns an exit status. */
int run_live(const cli_options *o, FILE *audit);

#endif
