/* eval.h - `veil eval`: measures detectors and videos. Each part is a function of its own file. */
#ifndef CLI_EVAL_H
#define CLI_EVAL_H

/** argv[0] is "eval". Returns the exit status. */
int cli_eval(int argc, char **argv);

/* The parts; argv[0] is their own name. */
int eval_wider(int argc, char **argv);
int eval_subject(int argc, char **argv);
int eval_video(int argc, char **argv);

#endif
