/* See assign.h. Shortest augmenting paths with potentials (Jonker and Volgenant 1987) on adjacency
 * lists, Dijkstra with a binary heap: rows * (pairs log pairs) at worst, and only pairs that could
 * match are ever looked at. Each row has a column of its own for "left over", so every row is
 * assigned. Equal distances are ordered by column, so that results do not depend on the platform.
 */
#include "assign.h"

#include "mem.h"
#include "veil.h"

#include <math.h>
#include <stdbool.h>

typedef struct {
    double dist;
    int32_t col;
} node;

struct vl_assign {
    int32_t cap_rows, cap_cols; /* cap_cols counts the columns of their own too */
    size_t cap_heap;
    size_t *first;       /* [rows + 1] pairs of a row */
    double *u, *v;       /* potentials of rows, columns */
    double *dist;        /* [cols] */
    int32_t *row_of_col; /* [cols] */
    int32_t *from_row;   /* [cols] row before the column on the path */
    int32_t *touched;    /* [cols] columns with a distance */
    uint8_t *done;       /* [cols] */
    node *heap;
    size_t n_heap;
    int32_t n_touched;
};

int vl_assign_create(vl_assign **out) {
    *out = vl_mem_alloc(1, sizeof **out);
    return *out != NULL ? VEIL_OK : VEIL_E_NOMEM;
}

static void free_scratch(vl_assign *a) {
    vl_mem_free(a->first);
    vl_mem_free(a->u);
    vl_mem_free(a->v);
    vl_mem_free(a->dist);
    vl_mem_free(a->row_of_col);
    vl_mem_free(a->from_row);
    vl_mem_free(a->touched);
    vl_mem_free(a->done);
    vl_mem_free(a->heap);
    *a = (vl_assign){0};
}

void vl_assign_destroy(vl_assign *a) {
    if (a == NULL)
        return;
    free_scratch(a);
    vl_mem_free(a);
}

static int reserve(vl_assign *a, int32_t rows, int32_t cols, size_t heap) {
    if (rows <= a->cap_rows && cols <= a->cap_cols && heap <= a->cap_heap)
        return VEIL_OK;
    free_scratch(a);
    size_t r = (size_t)rows * 2 + 16, c = (size_t)cols * 2 + 32, h = heap * 2 + 64;
    a->first = vl_mem_alloc(r + 1, sizeof *a->first);
    a->u = vl_mem_alloc(r, sizeof *a->u);
    a->v = vl_mem_alloc(c, sizeof *a->v);
    a->dist = vl_mem_alloc(c, sizeof *a->dist);
    a->row_of_col = vl_mem_alloc(c, sizeof *a->row_of_col);
    a->from_row = vl_mem_alloc(c, sizeof *a->from_row);
    a->touched = vl_mem_alloc(c, sizeof *a->touched);
    a->done = vl_mem_alloc(c, sizeof *a->done);
    a->heap = vl_mem_alloc(h, sizeof *a->heap);
    if (!a->first || !a->u || !a->v || !a->dist || !a->row_of_col || !a->from_row || !a->touched ||
        !a->done || !a->heap) {
        free_scratch(a);
        return VEIL_E_NOMEM;
    }
    a->cap_rows = (int32_t)r;
    a->cap_cols = (int32_t)c;
    a->cap_heap = h;
    return VEIL_OK;
}

/* ------------------------------------------------------------------ heap */

static bool before(const node *a, const node *b) {
    return a->dist < b->dist || (a->dist == b->dist && a->col < b->col);
}

static void push(vl_assign *a, double dist, int32_t col) {
    size_t i = a->n_heap++;
    node item = {dist, col};
    while (i > 0 && before(&item, &a->heap[(i - 1) / 2])) {
        a->heap[i] = a->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    a->heap[i] = item;
}

static node pop(vl_assign *a) {
    node top = a->heap[0], last = a->heap[--a->n_heap];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= a->n_heap)
            break;
        if (child + 1 < a->n_heap && before(&a->heap[child + 1], &a->heap[child]))
            child++;
        if (!before(&a->heap[child], &last))
            break;
        a->heap[i] = a->heap[child];
        i = child;
    }
    a->heap[i] = last;
    return top;
}

/* ------------------------------------------------------------------ paths */

static void reach(vl_assign *a, int32_t row, int32_t col, double dist) {
    if (a->dist[col] == HUGE_VAL)
        a->touched[a->n_touched++] = col;
    else if (dist >= a->dist[col])
        return;
    a->dist[col] = dist;
    a->from_row[col] = row;
    push(a, dist, col);
}

/* Shortest path from a free row to a free column; returns that column. The row's own column is
 * always free or reachable, so there is one. */
static int32_t search(vl_assign *a, int32_t start, int32_t n_cols, const vl_assign_pair *pairs,
                      double unmatched) {
    int32_t row = start;
    double base = 0;
    a->n_heap = 0;
    a->n_touched = 0;
    for (;;) {
        for (size_t i = a->first[row]; i < a->first[row + 1]; i++) {
            int32_t col = pairs[i].col;
            if (!a->done[col])
                reach(a, row, col, base + (double)pairs[i].cost - a->u[row] - a->v[col]);
        }
        int32_t own = n_cols + row;
        if (!a->done[own])
            reach(a, row, own, base + unmatched - a->u[row] - a->v[own]);
        node next = pop(a);
        while (a->done[next.col])
            next = pop(a);
        a->done[next.col] = 1;
        if (a->row_of_col[next.col] < 0)
            return next.col;
        base = next.dist;
        row = a->row_of_col[next.col];
    }
}

static void augment(vl_assign *a, int32_t start, int32_t end, int32_t *col_of_row) {
    double total = a->dist[end];
    a->u[start] += total;
    for (int32_t i = 0; i < a->n_touched; i++) {
        int32_t col = a->touched[i];
        if (a->done[col] && col != end) {
            a->v[col] += a->dist[col] - total;
            a->u[a->row_of_col[col]] += total - a->dist[col];
        }
    }
    for (int32_t col = end;;) {
        int32_t row = a->from_row[col], next = col_of_row[row];
        a->row_of_col[col] = row;
        col_of_row[row] = col;
        if (row == start)
            break;
        col = next;
    }
    for (int32_t i = 0; i < a->n_touched; i++) {
        a->dist[a->touched[i]] = HUGE_VAL;
        a->done[a->touched[i]] = 0;
    }
}

/* Rows' pair ranges; false when pairs are out of range or order. */
static bool index_pairs(vl_assign *a, int32_t n_rows, int32_t n_cols, const vl_assign_pair *pairs,
                        size_t n_pairs) {
    size_t i = 0;
    for (int32_t row = 0; row < n_rows; row++) {
        a->first[row] = i;
        while (i < n_pairs && pairs[i].row == row) {
            if (pairs[i].col < 0 || pairs[i].col >= n_cols || !(pairs[i].cost >= 0) ||
                !isfinite(pairs[i].cost))
                return false;
            i++;
        }
    }
    a->first[n_rows] = i;
    return i == n_pairs;
}

int vl_assign_solve(vl_assign *a, int32_t n_rows, int32_t n_cols, const vl_assign_pair *pairs,
                    size_t n_pairs, float unmatched_cost, int32_t *col_of_row) {
    if (n_rows < 0 || n_cols < 0 || n_rows > INT32_MAX / 4 || n_cols > INT32_MAX / 4)
        return VEIL_E_ARG;
    int32_t all_cols = n_cols + n_rows;
    int err = reserve(a, n_rows + 1, all_cols, n_pairs + (size_t)n_rows + 1);
    if (err != VEIL_OK)
        return err;
    if (!index_pairs(a, n_rows, n_cols, pairs, n_pairs))
        return VEIL_E_ARG;
    for (int32_t r = 0; r < n_rows; r++) {
        a->u[r] = 0;
        col_of_row[r] = -1;
    }
    for (int32_t c = 0; c < all_cols; c++) {
        a->v[c] = 0;
        a->dist[c] = HUGE_VAL;
        a->row_of_col[c] = -1;
        a->done[c] = 0;
    }
    for (int32_t r = 0; r < n_rows; r++) {
        int32_t end = search(a, r, n_cols, pairs, (double)unmatched_cost);
        augment(a, r, end, col_of_row);
    }
    for (int32_t r = 0; r < n_rows; r++)
        if (col_of_row[r] >= n_cols)
            col_of_row[r] = -1;
    return VEIL_OK;
}
