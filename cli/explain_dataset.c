#include "explain.h"
int explain_dataset(const explain_options *o) {
    (void)o;
    return evio_say("explain: --dataset is not there yet");
}
