/* See share.h. Two lists under one lock, which is held while a model is parsed or packed: whoever
 * asks for the same thing meanwhile had better wait for it than make it again. A model is known by
 * all of its bytes, never by a hash of them. */
#include "share.h"

#include "mem.h"

#include <pthread.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static vl_model *models;
static vl_weights *all_weights;

/* ---------------------------------------------------------------- models */

static vl_model *find_model(const void *bytes, size_t size) {
    vl_model *m = models;
    while (m != NULL && (m->size != size || memcmp(m->bytes, bytes, size) != 0))
        m = m->next;
    return m;
}

int vl_model_parse(vl_model **out, const void *bytes, size_t size) {
    *out = NULL;
    if (bytes == NULL)
        return VEIL_E_MODEL;
    pthread_mutex_lock(&lock);
    int err = VEIL_OK;
    vl_model *m = find_model(bytes, size);
    if (m == NULL) {
        err = vl_model_read(&m, bytes, size);
        if (err == VEIL_OK) {
            m->next = models;
            models = m;
        }
    }
    if (err == VEIL_OK) {
        m->users++;
        *out = m;
    }
    pthread_mutex_unlock(&lock);
    return err;
}

void vl_model_destroy(vl_model *m) {
    if (m == NULL)
        return;
    pthread_mutex_lock(&lock);
    bool used = m->users > 1;
    if (m->users > 0) /* else it was never in the list: a float twin */
        m->users--;
    for (vl_model **at = &models; !used && *at != NULL; at = &(*at)->next) {
        if (*at == m) {
            *at = m->next;
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    if (!used)
        vl_model_free(m);
}

/* ---------------------------------------------------------------- weights */

static bool packed_alike(const vl_packing *a, const vl_packing *b) {
    return a->lanes == b->lanes && a->max_blocks == b->max_blocks && a->whole == b->whole &&
           a->interleaved == b->interleaved && a->split == b->split;
}

static vl_weights *find_weights(const vl_model *m, const vl_dsp *dsp) {
    vl_weights *w = all_weights;
    while (w != NULL && (w->model != m || !packed_alike(&w->pack_s8, &dsp->pack_s8) ||
                         !packed_alike(&w->pack_f32, &dsp->pack_f32) ||
                         w->depthwise_four != dsp->depthwise_four))
        w = w->next;
    return w;
}

static void free_weights(vl_weights *w) {
    for (int32_t i = 0; w->packed != NULL && i < w->model->n_ops; i++)
        vl_pack_free(&w->packed[i]);
    vl_mem_free(w->packed);
    vl_mem_free(w);
}

static int pack_all(vl_weights **out, const vl_model *m, const vl_dsp *dsp) {
    vl_weights *w = vl_mem_alloc(1, sizeof *w);
    if (w == NULL)
        return VEIL_E_NOMEM;
    w->model = m;
    w->pack_s8 = dsp->pack_s8;
    w->pack_f32 = dsp->pack_f32;
    w->depthwise_four = dsp->depthwise_four;
    w->packed = vl_mem_alloc((size_t)m->n_ops, sizeof *w->packed);
    int err = w->packed == NULL ? VEIL_E_NOMEM : VEIL_OK;
    for (int32_t i = 0; i < m->n_ops && err == VEIL_OK; i++) {
        if (m->ops[i].type == VL_FMT_OP_CONV)
            err = vl_pack_conv(&w->packed[i], m, &m->ops[i], dsp);
        w->bytes += w->packed[i].bytes;
    }
    if (err != VEIL_OK) {
        free_weights(w);
        return err;
    }
    *out = w;
    return VEIL_OK;
}

int vl_share_weights(vl_weights **out, const vl_model *m, const vl_dsp *dsp) {
    *out = NULL;
    pthread_mutex_lock(&lock);
    int err = VEIL_OK;
    vl_weights *w = find_weights(m, dsp);
    if (w == NULL) {
        err = pack_all(&w, m, dsp);
        if (err == VEIL_OK) {
            w->next = all_weights;
            all_weights = w;
        }
    }
    if (err == VEIL_OK) {
        w->users++;
        *out = w;
    }
    pthread_mutex_unlock(&lock);
    return err;
}

void vl_share_release(vl_weights *w) {
    if (w == NULL)
        return;
    pthread_mutex_lock(&lock);
    bool used = --w->users > 0;
    for (vl_weights **at = &all_weights; !used && *at != NULL; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    if (!used)
        free_weights(w);
}
