/* model.h - `veil model`: builds models from ONNX files, shows and checks them. */
#ifndef CLI_MODEL_H
#define CLI_MODEL_H

/** argv[0] is "model". Returns the exit status. */
int cli_model(int argc, char **argv);

#endif
