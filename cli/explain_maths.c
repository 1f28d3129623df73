/* explain_maths.c - ranks, correlations and a linear fit for `veil explain --dataset`. */
#include "explain_set.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 8 };

typedef struct {
    double value;
    size_t at;
} item;

static int by_value(const void *a, const void *b) {
    const item *p = a, *q = b;
    return p->value < q->value ? -1 : p->value > q->value;
}

double *set_ranks(const double *x, size_t n) {
    item *items = ev_box_array(NULL, n ? n : 1, sizeof *items);
    double *ranks = ev_box_array(NULL, n ? n : 1, sizeof *ranks);
    if (!items || !ranks) {
        free(items);
        free(ranks);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        items[i] = (item){x[i], i};
    qsort(items, n, sizeof *items, by_value);
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && !(items[end].value > items[i].value))
            end++;
        for (size_t k = i; k < end; k++)
            ranks[items[k].at] = (double)(i + 1 + end) / 2;
        i = end;
    }
    free(items);
    return ranks;
}

double set_pearson(const double *x, const double *y, size_t n) {
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < n; i++) {
        mx += x[i] / (double)n;
        my += y[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my);
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}

double set_spearman(const double *x, const double *y, size_t n) {
    double *a = set_ranks(x, n), *b = set_ranks(y, n);
    double r = a && b ? set_pearson(a, b, n) : NAN;
    free(a);
    free(b);
    return r;
}

/* Solves m * c = m[][size] in place by Gauss with pivots; 0, or -1: singular. */
static int solve(double m[][MAX_COLUMNS + 2], size_t size, double *c) {
    for (size_t i = 0; i < size; i++) {
        size_t best = i;
        for (size_t r = i + 1; r < size; r++)
            if (fabs(m[r][i]) > fabs(m[best][i]))
                best = r;
        if (fabs(m[best][i]) < 1e-12)
            return -1;
        for (size_t k = 0; k <= size; k++) {
            double swap = m[i][k];
            m[i][k] = m[best][k];
            m[best][k] = swap;
        }
        for (size_t r = 0; r < size; r++) {
            double by = r == i ? 0 : m[r][i] / m[i][i];
            for (size_t k = i; k <= size; k++)
                m[r][k] -= by * m[i][k];
        }
    }
    for (size_t i = 0; i < size; i++)
        c[i] = m[i][size] / m[i][i];
    return 0;
}

double set_fit(const double *x, size_t k, const double *y, size_t n) {
    double m[MAX_COLUMNS + 1][MAX_COLUMNS + 2] = {{0}}, c[MAX_COLUMNS + 1];
    if (k > MAX_COLUMNS || n <= k + 1)
        return NAN;
    for (size_t i = 0; i < n; i++) {
        double row[MAX_COLUMNS + 1] = {1};
        memcpy(row + 1, x + i * k, k * sizeof *row);
        for (size_t a = 0; a <= k; a++) {
            for (size_t b = 0; b <= k; b++)
                m[a][b] += row[a] * row[b];
            m[a][k + 1] += row[a] * y[i];
        }
    }
    if (solve(m, k + 1, c))
        return NAN;
    double mean = 0, all = 0, left = 0;
    for (size_t i = 0; i < n; i++)
        mean += y[i] / (double)n;
    for (size_t i = 0; i < n; i++) {
        double fit = c[0];
        for (size_t j = 0; j < k; j++)
            fit += c[j + 1] * x[i * k + j];
        all += (y[i] - mean) * (y[i] - mean);
        left += (y[i] - fit) * (y[i] - fit);
    }
    return all > 0 ? 1 - left / all : NAN;
}
