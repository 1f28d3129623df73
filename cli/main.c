/* veil, the program: finds the subcommand. */
#include "commands.h"
#include "options.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    const char *name, *help;
    int (*run)(int argc, char **argv);
} command;

static const command commands[] = {
    {"run", "hide the faces of bystanders in videos and pictures", cli_run},
    {"detect", "find and follow faces; write them as JSON lines", cli_detect},
    {"redact", "hide what an edited track file says", cli_redact},
#ifdef HAVE_CLI_SERVE
    {"serve", "web page and HTTP interface", cli_serve},
#endif
#ifdef HAVE_CLI_EXPLAIN
    {"explain", "show what the network looked at in a picture", cli_explain},
#endif
#ifdef HAVE_CLI_EVAL
    {"eval", "measure accuracy and leaks against labelled data", cli_eval},
#endif
#ifdef HAVE_CLI_BENCH
    {"bench", "measure speed", cli_bench},
#endif
#ifdef HAVE_CLI_MODEL
    {"model", "build, inspect and verify model files", cli_model},
#endif
    {"doctor", "what this machine offers, what is missing and what to do", cli_doctor},
};

#define N_COMMANDS (sizeof commands / sizeof commands[0])

static void print_help(void) {
    puts("veil hides the faces of bystanders in video, and leaves the people it is about visible.\n"
         "\n"
         "  veil run interview.mp4 -o hidden.mp4\n"
         "\n"
         "Commands:");
    for (size_t i = 0; i < N_COMMANDS; i++)
        printf("  %-10s%s\n", commands[i].name, commands[i].help);
    puts("\n"
         "veil help COMMAND tells its options. veil --version tells the version.\n"
         "Nothing leaves this machine, and no face is stored.");
}

static const command *find(const char *name) {
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static int unknown(const char *name) {
    const char *names[N_COMMANDS];
    for (size_t i = 0; i < N_COMMANDS; i++)
        names[i] = commands[i].name;
    const char *near = options_nearest(name, names, N_COMMANDS);
    if (near)
        cli_error("", "unknown command '%s'; did you mean '%s'?", name, near);
    else
        cli_error("", "unknown command '%s' (veil --help lists them)", name);
    return CLI_USAGE;
}

static int help(const char *name) {
    if (!name) {
        print_help();
        return CLI_OK;
    }
    const command *c = find(name);
    if (!c)
        return unknown(name);
    char first[16], second[] = "--help";
    snprintf(first, sizeof first, "%s", name);
    char *args[] = {first, second, NULL};
    return c->run(2, args);
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name) {
        print_help();
        return CLI_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return help(argc > 2 ? argv[2] : NULL);
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        printf("veil %s\n", PROGRAM_VERSION);
        return CLI_OK;
    }
    const command *c = find(name);
    if (!c)
        return unknown(name);
    return c->run(argc - 1, argv + 1);
}
