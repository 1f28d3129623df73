/* Connections wait suspended, without a thread, until there is a piece that they have not had. */
#include "hub.h"

#include "reply.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Shared by those who are sending it. */
typedef struct {
    size_t users, size;
    uint64_t serial;
    char *data;
} piece;

typedef struct reader {
    struct reader *next, *previous;
    hub *hub;
    struct MHD_Connection *connection;
    piece *piece; /* being sent */
    size_t sent;
    uint64_t last;
    bool asleep;
} reader;

struct hub {
    pthread_mutex_t lock;
    piece *newest;
    reader *first;
    size_t n_readers, max_readers;
    uint64_t serial;
    bool ended;
};

hub *hub_create(size_t max_readers) {
    hub *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->max_readers = max_readers;
    pthread_mutex_init(&h->lock, NULL);
    return h;
}

static void let_go(piece *p) {
    if (p && --p->users == 0) {
        free(p->data);
        free(p);
    }
}

void hub_destroy(hub *h) {
    if (!h)
        return;
    let_go(h->newest);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

static void wake_all(hub *h) {
    for (reader *r = h->first; r; r = r->next) {
        if (r->asleep) {
            r->asleep = false;
            MHD_resume_connection(r->connection);
        }
    }
}

void hub_publish(hub *h, void *data, size_t size) {
    piece *p = malloc(sizeof *p);
    if (!p || !data) {
        free(p);
        free(data);
        return;
    }
    pthread_mutex_lock(&h->lock);
    *p = (piece){.users = 1, .size = size, .serial = ++h->serial, .data = data};
    let_go(h->newest);
    h->newest = p;
    wake_all(h);
    pthread_mutex_unlock(&h->lock);
}

size_t hub_readers(hub *h) {
    pthread_mutex_lock(&h->lock);
    size_t n = h->n_readers;
    pthread_mutex_unlock(&h->lock);
    return n;
}

static ssize_t read_piece(void *user, uint64_t position, char *buffer, size_t max) {
    reader *r = user;
    hub *h = r->hub;
    ssize_t n = 0;
    (void)position;
    pthread_mutex_lock(&h->lock);
    if (r->piece && r->sent == r->piece->size) {
        let_go(r->piece);
        r->piece = NULL;
    }
    if (h->ended) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else if (!r->piece && h->newest && h->newest->serial > r->last) {
        r->piece = h->newest;
        r->piece->users++;
        r->last = r->piece->serial;
        r->sent = 0;
    }
    if (n == 0 && r->piece) {
        size_t left = r->piece->size - r->sent;
        size_t part = left < max ? left : max;
        memcpy(buffer, r->piece->data + r->sent, part);
        r->sent += part;
        n = (ssize_t)part;
    } else if (n == 0) {
        r->asleep = true;
        MHD_suspend_connection(r->connection);
    }
    pthread_mutex_unlock(&h->lock);
    return n;
}

static void free_reader(void *user) {
    reader *r = user;
    hub *h = r->hub;
    pthread_mutex_lock(&h->lock);
    if (r->previous)
        r->previous->next = r->next;
    else
        h->first = r->next;
    if (r->next)
        r->next->previous = r->previous;
    h->n_readers--;
    let_go(r->piece);
    pthread_mutex_unlock(&h->lock);
    free(r);
}

void hub_reply(hub *h, http_request *request, const char *type) {
    reader *r = calloc(1, sizeof *r);
    bool full = true;
    if (!r)
        return;
    r->hub = h;
    r->connection = request->connection;
    pthread_mutex_lock(&h->lock);
    if (h->n_readers < h->max_readers) {
        full = false;
        r->next = h->first;
        if (h->first)
            h->first->previous = r;
        h->first = r;
        h->n_readers++;
    }
    pthread_mutex_unlock(&h->lock);
    if (full) {
        free(r);
        reply_problem(request, MHD_HTTP_SERVICE_UNAVAILABLE, "too many are watching already");
        return;
    }
    reply_stream(request, type, read_piece, r, free_reader);
}

void hub_end(hub *h) {
    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    h->ended = true;
    wake_all(h);
    pthread_mutex_unlock(&h->lock);
}
