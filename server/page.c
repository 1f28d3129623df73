/* Serves the compiled-in files by their exact path. */
#include "page.h"

#include "reply.h"

#include <string.h>

static void send_file(http_request *r, const char *path) {
    for (size_t i = 0; i < page_n_files; i++) {
        const page_file *f = &page_files[i];
        if (strcmp(f->path, path) == 0) {
            reply_static(r, f->type, f->data, f->size, f->etag);
            return;
        }
    }
    reply_problem(r, MHD_HTTP_NOT_FOUND, "there is nothing here");
}

void page_get(struct server *s, http_request *r) {
    (void)s;
    send_file(r, r->uri);
}

void page_get_api(struct server *s, http_request *r) {
    (void)s;
    send_file(r, "/api");
}
