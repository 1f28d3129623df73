/* Optimal assignment against trying everything. */
#include "assign.h"
#include "random.h"
#include "veil.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define SIDE      6
#define UNMATCHED 0.9f

typedef struct {
    float cost[SIDE][SIDE]; /* HUGE_VALF: not allowed */
    int rows, cols;
} problem;

static double least(const problem *p, int row, unsigned used) {
    if (row == p->rows)
        return 0;
    double best = (double)UNMATCHED + least(p, row + 1, used);
    for (int c = 0; c < p->cols; c++) {
        if ((used & 1u << c) != 0 || p->cost[row][c] == HUGE_VALF)
            continue;
        double d = (double)p->cost[row][c] + least(p, row + 1, used | 1u << c);
        best = d < best ? d : best;
    }
    return best;
}

static double solved(vl_assign *a, const problem *p) {
    vl_assign_pair pairs[SIDE * SIDE];
    size_t n = 0;
    int32_t col[SIDE];
    for (int r = 0; r < p->rows; r++)
        for (int c = 0; c < p->cols; c++)
            if (p->cost[r][c] != HUGE_VALF)
                pairs[n++] = (vl_assign_pair){r, c, p->cost[r][c]};
    assert_int_equal(vl_assign_solve(a, p->rows, p->cols, pairs, n, UNMATCHED, col), VEIL_OK);
    double sum = 0;
    unsigned used = 0;
    for (int r = 0; r < p->rows; r++) {
        if (col[r] < 0) {
            sum += (double)UNMATCHED;
            continue;
        }
        assert_in_range(col[r], 0, p->cols - 1);
        assert_true(p->cost[r][col[r]] != HUGE_VALF); /* only allowed pairs */
        assert_int_equal(used & 1u << col[r], 0);     /* each column once */
        used |= 1u << col[r];
        sum += (double)p->cost[r][col[r]];
    }
    return sum;
}

static void equals_brute_force(void **state) {
    (void)state;
    vl_assign *a;
    assert_int_equal(vl_assign_create(&a), VEIL_OK);
    random_source seed = random_from(7);
    for (int round = 0; round < 4000; round++) {
        problem p;
        p.rows = (int)(random_bits(&seed) % (SIDE + 1));
        p.cols = (int)(random_bits(&seed) % (SIDE + 1));
        uint32_t holes = random_bits(&seed) % 4;
        for (int r = 0; r < SIDE; r++)
            for (int c = 0; c < SIDE; c++)
                p.cost[r][c] = random_bits(&seed) % 4 < holes
                                   ? HUGE_VALF
                                   : (float)(random_bits(&seed) % 1000) / 800.0f;
        double want = least(&p, 0, 0), got = solved(a, &p);
        if (fabs(want - got) > 1e-5)
            fail_msg("round %d: %f instead of %f", round, got, want);
    }
    vl_assign_destroy(a);
}

/* A chain in which each row would rather have the next row's column: only a long augmenting path
 * gets it right. */
static void long_chain(void **state) {
    (void)state;
    enum { N = 1000 };
    static vl_assign_pair pairs[2 * N];
    static int32_t col[N];
    vl_assign *a;
    assert_int_equal(vl_assign_create(&a), VEIL_OK);
    size_t n = 0;
    for (int32_t r = 0; r < N; r++) { /* row r: column r costs 0.5, column r - 1 costs 0.1 */
        if (r > 0)
            pairs[n++] = (vl_assign_pair){r, r - 1, 0.1f};
        pairs[n++] = (vl_assign_pair){r, r, 0.5f};
    }
    assert_int_equal(vl_assign_solve(a, N, N, pairs, n, 1000.0f, col), VEIL_OK);
    for (int32_t r = 0; r < N; r++)
        assert_int_equal(col[r], r); /* all are matched, although each alone prefers r - 1 */
    vl_assign_destroy(a);
}

static void refuses_bad_pairs(void **state) {
    (void)state;
    vl_assign *a;
    int32_t col[2];
    assert_int_equal(vl_assign_create(&a), VEIL_OK);
    const vl_assign_pair order[] = {{1, 0, 0.1f}, {0, 0, 0.1f}};
    const vl_assign_pair range[] = {{0, 2, 0.1f}};
    const vl_assign_pair nan_cost[] = {{0, 0, NAN}};
    const vl_assign_pair negative[] = {{0, 0, -1.0f}};
    assert_int_equal(vl_assign_solve(a, 2, 2, order, 2, 1, col), VEIL_E_ARG);
    assert_int_equal(vl_assign_solve(a, 2, 2, range, 1, 1, col), VEIL_E_ARG);
    assert_int_equal(vl_assign_solve(a, 2, 2, nan_cost, 1, 1, col), VEIL_E_ARG);
    assert_int_equal(vl_assign_solve(a, 2, 2, negative, 1, 1, col), VEIL_E_ARG);
    vl_assign_destroy(a);
    vl_assign_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_brute_force),
        cmocka_unit_test(long_chain),
        cmocka_unit_test(refuses_bad_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
