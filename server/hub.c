/* Connections wait suspended, without a thread, until there is a piece for them. */
#include "hub.h"

#include "reply.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

/* The system may hold back so much for a reader; more would only come late. */
#define UNSENT_BYTES 65536

/* Shared by those who are sending it. */
typedef struct {
    size_t users, size;
    uint64_t serial;
    bool key;
    char *data;
} piece;

typedef struct reader {
    LIST_ENTRY(reader) others;
    hub *hub;
    struct MHD_Connection *connection;
    piece *piece; /* being sent */
    size_t sent;
    uint64_t stream; /* that it reads; 0 = has not begun */
    uint64_t last;   /* serial of its last piece, or before its first */
    bool begun, asleep;
} reader;

struct hub {
    pthread_mutex_t lock;
    piece *head;
    piece *ring[HUB_ROOM_MAX]; /* by serial % room, of this stream */
    size_t room, n_readers, max_readers;
    LIST_HEAD(, reader) readers;
    uint64_t serial, first; /* newest piece, and first of this stream */
    uint64_t stream;
    bool wants_key, ended;
};

hub *hub_create(size_t max_readers, size_t room) {
    hub *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->max_readers = max_readers;
    h->room = room;
    h->first = h->stream = 1;
    LIST_INIT(&h->readers);
    pthread_mutex_init(&h->lock, NULL);
    return h;
}

static piece *make_piece(void *data, size_t size, bool key) {
    piece *p = data ? malloc(sizeof *p) : NULL;
    if (p)
        *p = (piece){.users = 1, .size = size, .key = key, .data = data};
    else
        free(data);
    return p;
}

static void let_go(piece *p) {
    if (p && --p->users == 0) {
        free(p->data);
        free(p);
    }
}

static void forget_pieces(hub *h) {
    for (size_t i = 0; i < h->room; i++) {
        let_go(h->ring[i]);
        h->ring[i] = NULL;
    }
    let_go(h->head);
    h->head = NULL;
}

void hub_destroy(hub *h) {
    if (!h)
        return;
    forget_pieces(h);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

static void wake_all(hub *h) {
    reader *r;
    LIST_FOREACH(r, &h->readers, others) {
        if (r->asleep) {
            r->asleep = false;
            MHD_resume_connection(r->connection);
        }
    }
}

void hub_publish(hub *h, void *data, size_t size, bool key) {
    piece *p = make_piece(data, size, key);
    if (!p)
        return;
    pthread_mutex_lock(&h->lock);
    p->serial = ++h->serial;
    let_go(h->ring[p->serial % h->room]);
    h->ring[p->serial % h->room] = p;
    h->wants_key = h->wants_key && !key;
    wake_all(h);
    pthread_mutex_unlock(&h->lock);
}

void hub_begin(hub *h, void *head, size_t size) {
    piece *p = make_piece(head, size, false);
    pthread_mutex_lock(&h->lock);
    forget_pieces(h);
    h->head = p;
    h->first = h->serial + 1;
    h->stream++;
    h->wants_key = false;
    wake_all(h);
    pthread_mutex_unlock(&h->lock);
}

size_t hub_readers(hub *h) {
    pthread_mutex_lock(&h->lock);
    size_t n = h->n_readers;
    pthread_mutex_unlock(&h->lock);
    return n;
}

bool hub_wants_key(hub *h) {
    pthread_mutex_lock(&h->lock);
    bool wanted = h->wants_key;
    pthread_mutex_unlock(&h->lock);
    return wanted;
}

/* The newest key piece after this one. */
static piece *newest_key(const hub *h, uint64_t after) {
    for (uint64_t i = h->serial; i > after && i >= h->first && h->serial - i < h->room; i--) {
        piece *p = h->ring[i % h->room];
        if (p && p->key)
            return p;
    }
    return NULL;
}

/* What is to be sent next, NULL = nothing yet. */
static piece *next_piece(hub *h, reader *r) {
    bool follows = r->begun && r->last >= h->first && h->serial - r->last <= h->room / 2;
    piece *p;
    if (r->stream == 0 && h->head) {
        r->stream = h->stream;
        return h->head;
    }
    if (h->serial == r->last || h->serial < h->first)
        return NULL;
    r->stream = h->stream;
    p = follows ? h->ring[(r->last + 1) % h->room] : newest_key(h, r->last);
    h->wants_key = h->wants_key || !p;
    return p;
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
    if (h->ended || (!r->piece && r->stream != 0 && r->stream != h->stream)) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else if (!r->piece && (r->piece = next_piece(h, r))) {
        r->piece->users++;
        r->begun = r->begun || r->piece != h->head;
        r->last = r->piece != h->head ? r->piece->serial : r->last;
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
    LIST_REMOVE(r, others);
    h->n_readers--;
    let_go(r->piece);
    pthread_mutex_unlock(&h->lock);
    free(r);
}

/* What the system holds back for a slow reader is old when it comes: the rest waits here. */
static void hold_back_little(struct MHD_Connection *connection) {
    int bytes = UNSENT_BYTES;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info)
        (void)setsockopt(info->connect_fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
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
        LIST_INSERT_HEAD(&h->readers, r, others);
        h->n_readers++;
        /* A key piece of long ago would be a long way behind. */
        uint64_t recent = h->room / 8;
        r->last = h->serial > recent ? h->serial - recent - (h->room == 1) : 0;
    }
    pthread_mutex_unlock(&h->lock);
    if (full) {
        free(r);
        reply_problem(request, MHD_HTTP_SERVICE_UNAVAILABLE, "too many are watching already");
        return;
    }
    hold_back_little(r->connection);
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
