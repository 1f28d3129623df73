/* See relate.h. Deep sets (Zaheer et al. 2017, arXiv 1703.06114) over the list of faces; the twin
 * of train/relate.py, which fits the weights and says why. */
#include "relate.h"

#include "mem.h"

#include <math.h>
#include <string.h>

enum {
    OWN = 9,      /* numbers that describe a face */
    PAIR = 10,    /* and one face to another */
    OTHERS = 16,  /* largest other faces that count */
    JUDGED = 128, /* largest faces that are judged */
    WIDTH_MAX = 64
};
#define SEEN        0.2f /* score from which a face is one of the others */
#define UNIT        4096.0f
#define VALUE_MAX   100000000
#define RAISE       1.5f /* the logit is raised by so much at most, and never above 0: see the twin */
#define BEYOND_MOST 0.15f /* a face beyond the JUDGED largest is in a crowd */
#define P_LEAST     1e-3f

typedef struct {
    const float *weight, *bias; /* [out][in], [out] */
    int32_t in, out;
} layer;

struct vl_relate {
    layer pair_a, pair_b, face_a, face_b;
    float *values;
};

/* ------------------------------------------------------------------ the text */

/* An integer with an optional minus, followed by a space or the end; no locale. */
static bool read_integer(const char **text, int32_t *out) {
    const char *p = *text;
    bool minus = *p == '-';
    p += minus;
    int32_t v = 0, digits = 0;
    for (; *p >= '0' && *p <= '9'; p++, digits++) {
        v = v * 10 + (*p - '0');
        if (v > VALUE_MAX)
            return false;
    }
    if (digits == 0 || (*p != ' ' && *p != 0))
        return false;
    *text = *p == ' ' ? p + 1 : p;
    *out = minus ? -v : v;
    return true;
}

static float *place(layer *l, float *values, int32_t in, int32_t out) {
    *l = (layer){values, values + in * out, in, out};
    return values + in * out + out;
}

int vl_relate_read(vl_relate **out, const char *text) {
    if (out == NULL || text == NULL)
        return VEIL_E_ARG;
    *out = NULL;
    int32_t p, f;
    if (!read_integer(&text, &p) || !read_integer(&text, &f) || p < 1 || f < 1 || p > WIDTH_MAX ||
        f > WIDTH_MAX)
        return VEIL_E_MODEL;
    int32_t n = (OWN + PAIR + 1) * p + (p + 1) * p + (OWN + 2 * p + 1) * f + f + 1;
    int err = VEIL_E_NOMEM;
    vl_relate *r = vl_mem_alloc(1, sizeof *r);
    if (r == NULL || (r->values = vl_mem_alloc((size_t)n, sizeof *r->values)) == NULL)
        goto fail;
    float *v = place(&r->pair_a, r->values, OWN + PAIR, p);
    v = place(&r->pair_b, v, p, p);
    v = place(&r->face_a, v, OWN + 2 * p, f);
    place(&r->face_b, v, f, 1);
    err = VEIL_E_MODEL;
    for (int32_t i = 0; i < n; i++) {
        int32_t value;
        if (!read_integer(&text, &value))
            goto fail;
        r->values[i] = (float)value / UNIT;
    }
    if (*text != 0)
        goto fail;
    *out = r;
    return VEIL_OK;
fail:
    vl_relate_destroy(r);
    return err;
}

int vl_relate_create(vl_relate **out, const vl_model *model) {
    if (out == NULL || model == NULL)
        return VEIL_E_ARG;
    *out = NULL;
    const char *text = vl_model_meta(model, "relation");
    return text == NULL ? VEIL_OK : vl_relate_read(out, text);
}

void vl_relate_destroy(vl_relate *r) {
    if (r == NULL)
        return;
    vl_mem_free(r->values);
    vl_mem_free(r);
}

/* ------------------------------------------------------------------ numbers of a face */

float vl_relate_log_odds(float p) {
    p = fminf(fmaxf(p, P_LEAST), 1 - P_LEAST);
    return logf(p / (1 - p));
}

static void describe(float own[OWN], const veil_detection *d, float width, float height,
                     size_t n_seen) {
    own[0] = vl_relate_log_odds(d->interview) / 2;
    own[1] = logf(d->h / height) + 2;
    own[2] = logf(d->h / sqrtf(width * height)) + 2;
    own[3] = 2 * (d->x + d->w / 2) / width - 1;
    own[4] = 2 * (d->y + d->h / 2) / height - 1;
    own[5] = 2 * d->score - 1;
    own[6] = 2 * logf(d->h / d->w);
    own[7] = logf(width / height);
    own[8] = logf((float)(n_seen > 0 ? n_seen : 1));
}

static void compare(float pair[PAIR], const veil_detection *d, const float *own,
                    const veil_detection *other, const float *others) {
    float dx = (other->x + other->w / 2 - d->x - d->w / 2) / d->h;
    float dy = (other->y + other->h / 2 - d->y - d->h / 2) / d->h;
    pair[0] = others[0];
    pair[1] = others[0] - own[0];
    pair[2] = logf(other->h / d->h);
    pair[3] = copysignf(log1pf(fabsf(dx)), dx);
    pair[4] = log1pf(fabsf(dx));
    pair[5] = copysignf(log1pf(fabsf(dy)), dy);
    pair[6] = others[5];
    pair[7] = others[3];
    pair[8] = others[4];
    pair[9] = others[1];
}

/* ------------------------------------------------------------------ the network */

static void run(const layer *l, const float *in, float *out, bool relu) {
    for (int32_t o = 0; o < l->out; o++) {
        const float *w = l->weight + o * l->in;
        float sum = l->bias[o];
        for (int32_t i = 0; i < l->in; i++)
            sum += w[i] * in[i];
        out[o] = relu && sum < 0 ? 0 : sum;
    }
}

typedef struct {
    size_t at;    /* in the list of detections */
    float weight; /* height * score */
    float own[OWN];
} face;

/* The largest faces of the list, largest first; how many of them. */
static size_t choose(face *faces, const veil_detection *d, size_t n) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        float weight = d[i].h * d[i].score;
        if (kept == JUDGED && weight <= faces[kept - 1].weight)
            continue;
        size_t k = kept < JUDGED ? kept++ : kept - 1;
        for (; k > 0 && faces[k - 1].weight < weight; k--)
            faces[k] = faces[k - 1];
        faces[k].at = i;
        faces[k].weight = weight;
    }
    return kept;
}

static float judge(const vl_relate *r, const veil_detection *d, const face *faces, size_t n,
                   size_t k) {
    float in[OWN + PAIR], a[WIDTH_MAX], b[WIDTH_MAX], all[OWN + 2 * WIDTH_MAX] = {0};
    int32_t width = r->pair_a.out;
    float *sum = all + OWN, *most = sum + width;
    memcpy(in, faces[k].own, sizeof faces[k].own);
    memcpy(all, faces[k].own, sizeof faces[k].own);
    size_t seen = 0;
    for (size_t j = 0; j < n && seen < OTHERS; j++) {
        if (j == k || d[faces[j].at].score < SEEN)
            continue;
        seen++;
        compare(in + OWN, &d[faces[k].at], faces[k].own, &d[faces[j].at], faces[j].own);
        run(&r->pair_a, in, a, true);
        run(&r->pair_b, a, b, true);
        for (int32_t i = 0; i < width; i++) {
            sum[i] += b[i] / 4;
            most[i] = fmaxf(most[i], b[i]);
        }
    }
    float out;
    run(&r->face_a, all, a, true);
    run(&r->face_b, a, &out, false);
    float said = 2 * faces[k].own[0];
    return fminf(said + out, fmaxf(said, fminf(said + RAISE, 0)));
}

void vl_relate_apply(const vl_relate *r, int32_t width, int32_t height, veil_detection *d,
                     size_t n) {
    if (r == NULL)
        return;
    face faces[JUDGED];
    size_t n_faces = choose(faces, d, n), n_seen = 0;
    for (size_t i = 0; i < n; i++)
        n_seen += d[i].score >= SEEN;
    for (size_t k = 0; k < n_faces; k++)
        describe(faces[k].own, &d[faces[k].at], (float)width, (float)height, n_seen);
    float judged[JUDGED];
    for (size_t k = 0; k < n_faces; k++)
        judged[k] = 1 / (1 + expf(-judge(r, d, faces, n_faces, k)));
    for (size_t i = 0; n_faces < n && i < n; i++)
        d[i].interview = fminf(d[i].interview, BEYOND_MOST);
    for (size_t k = 0; k < n_faces; k++)
        d[faces[k].at].interview = judged[k];
}
