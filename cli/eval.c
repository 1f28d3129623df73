/* eval.c - `veil eval`: finds the part that is asked for. */
#include "eval.h"

#include "eval_io.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: veil eval wider|subject|video [options]   (veil eval PART --help)\n"
    "  wider    average precision and recall of a detector on WIDER FACE val pictures\n"
    "  subject  are bystanders and interviewees told apart? on labelled pictures\n"
    "  video    leaks of a hidden video against labels: tracks, or the pixels themselves\n";

int cli_eval(int argc, char **argv) {
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } parts[] = {{"wider", eval_wider}, {"subject", eval_subject}, {"video", eval_video}};
    const char *name = argc > 1 ? argv[1] : "";
    if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
        fputs(usage, stdout);
        return 0;
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!strcmp(name, parts[i].name))
            return parts[i].run(argc - 1, argv + 1);
    if (*name)
        evio_say("eval: there is no part \"%s\"; choose wider, subject or video", name);
    else
        fputs(usage, stderr);
    return 2;
}
