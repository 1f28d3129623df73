/* The subcommands. argv[0] is the subcommand's name; each returns an exit status. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

int cli_run(int argc, char **argv);
int cli_detect(int argc, char **argv);
int cli_redact(int argc, char **argv);
int cli_doctor(int argc, char **argv);

/* Present when their files are. */
int cli_model(int argc, char **argv);
int cli_eval(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_serve(int argc, char **argv);

#endif
