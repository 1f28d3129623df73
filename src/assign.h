/* Optimal assignment of rows to columns over a sparse set of allowed pairs. */
#ifndef VL_ASSIGN_H
#define VL_ASSIGN_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    int32_t row, col;
    float cost; /* finite, 0 or more */
} vl_assign_pair;

typedef struct vl_assign vl_assign; /* scratch memory that grows to the largest problem seen */

int vl_assign_create(vl_assign **out);
void vl_assign_destroy(vl_assign *a);

/* Chooses pairs so that each row and column is used at most once and the sum of their costs, plus
 * unmatched_cost for each row left over, is least. pairs are sorted by row. col_of_row gets -1 for
 * rows left over. VEIL_OK, VEIL_E_NOMEM, or VEIL_E_ARG for pairs out of range or out of order. */
int vl_assign_solve(vl_assign *a, int32_t n_rows, int32_t n_cols, const vl_assign_pair *pairs,
                    size_t n_pairs, float unmatched_cost, int32_t *col_of_row);

#endif
