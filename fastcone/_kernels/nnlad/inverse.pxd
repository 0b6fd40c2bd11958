# SPDX-License-Identifier: BSD-3-Clause
"""The inverse of a vertex's matrix A_IP and the norms of its edges, from vertex to vertex.

See simplex.pyx for the method, ratio_test.pxd for the names.
"""

from libc.math cimport fabs
from libc.string cimport memcpy, memset

from fastcone._kernels.common.dense cimport (
    gemv_add, axpy, border, gather, padded, ger, take_row, gemv, gemv_t, unborder,
)
from fastcone._kernels.nnlad.ratio_test cimport BUILT, COLUMNS, LEFT, SHARPER, Problem

cdef extern from *:
    """
    #define DEPENDENT 1e-11 /* a pivot this small, relative to its row and its direction, is zero */
    #define INVERSE_TOL 1e-10      /* an inverse is good enough to go on with */
    #define DELICATE 1e-4   /* a pivot below this, relative likewise, loses digits of the inverse */
    #define FLAT 1e-8       /* least squared norm of an edge, relative to its generator's */
    """
    const double DEPENDENT, DELICATE, FLAT, INVERSE_TOL


cdef inline void solve_column(Problem* f, Py_ssize_t j, int refinements) noexcept nogil:
    """alpha = M A_Ij, sharpened by alpha += M (A_Ij - A_IP alpha)"""
    cdef Py_ssize_t i, k
    cdef const double* row
    cdef int _
    gather(f.k, f.A + j * f.ld, f.I, f.z)
    gemv(f.k, f.ldn, f.M, f.z, f.alpha)
    for _ in range(refinements):
        for i in range(f.k):
            row = f.R + f.I[i] * f.ldn
            f.z[i] = row[j]
            for k in range(f.k):
                f.z[i] -= row[f.P[k]] * f.alpha[k]
        gemv(f.k, f.ldn, f.M, f.z, f.h)
        axpy(f.k, 1, f.h, f.alpha)


cdef inline void solve_row(Problem* f, Py_ssize_t i, int refinements) noexcept nogil:
    """beta = M'A_iP, sharpened by beta += M'(A_iP - A_IP'beta)"""
    cdef Py_ssize_t k, c
    cdef const double* row
    cdef int _
    gather(f.k, f.R + i * f.ldn, f.P, f.z)
    gemv_t(f.k, f.ldn, f.M, f.z, f.beta)
    for _ in range(refinements):
        gather(f.k, f.R + i * f.ldn, f.P, f.z)
        for c in range(f.k):
            row = f.R + f.I[c] * f.ldn
            for k in range(f.k):
                f.z[k] -= row[f.P[k]] * f.beta[c]
        gemv_t(f.k, f.ldn, f.M, f.z, f.h)
        axpy(f.k, 1, f.h, f.beta)


cdef inline Py_ssize_t best_row(Problem* f, Py_ssize_t j, Py_ssize_t left, double* pivot,
                                double* relative) noexcept nogil:
    """Of the rows pool[:left], the one with the largest pivot A_ij - A_iP alpha for its size."""
    cdef Py_ssize_t k, i, best = -1
    cdef const double* row
    cdef double value
    relative[0] = DEPENDENT
    for i in range(left):
        row = f.R + f.pool[i] * f.ldn
        value = row[j]
        for k in range(f.k):
            value -= row[f.P[k]] * f.alpha[k]
        if fabs(value) > relative[0] * f.size[f.pool[i]]:
            relative[0] = fabs(value) / f.size[f.pool[i]]
            pivot[0] = value
            best = i
    return best


cdef inline bint sound(Problem* f) noexcept nogil:
    """Whether A_IP M 1 = 1: a sample of how exact M is after its updates."""
    cdef Py_ssize_t i, k
    cdef const double* row
    cdef double value
    for k in range(f.k):
        f.z[k] = 1
    for k in range(f.k, padded(f.k)):
        f.z[k] = 0
    gemv(f.k, f.ldn, f.M, f.z, f.h)
    for i in range(f.k):
        row = f.R + f.I[i] * f.ldn
        value = -1
        for k in range(f.k):
            value += row[f.P[k]] * f.h[k]
        if not fabs(value) <= INVERSE_TOL:
            return False
    return True


cdef inline void refactor(Problem* f) noexcept nogil:
    """Begin to compute M anew: everything leaves the basis, to come back by `factor`."""
    cdef Py_ssize_t k
    memcpy(f.pool, f.I, f.k * sizeof(Py_ssize_t))
    memcpy(f.order, f.P, f.k * sizeof(Py_ssize_t))
    memset(f.M, 0, min(f.m, f.ldn) * f.ldn * sizeof(double))
    for k in range(f.k):
        f.free[f.P[k]] = 0
    f.state[BUILT], f.state[COLUMNS], f.state[LEFT], f.state[SHARPER] = 0, f.k, f.k, False
    f.k = 0


cdef inline bint factor(Problem* f, Py_ssize_t* budget) noexcept nogil:
    """Border M with the largest pivots, a column for a step of the budget; what is singular
    stays out. False where the budget came first."""
    cdef Py_ssize_t j, best
    cdef Py_ssize_t* left = f.state + LEFT
    cdef double pivot = 0, relative
    cdef int refinements
    while f.state[BUILT] < f.state[COLUMNS]:
        if budget[0] <= 0:
            return False
        budget[0] -= 1
        j = f.order[f.state[BUILT]]
        f.state[BUILT] += 1
        refinements = 2 if f.state[SHARPER] else 0
        solve_column(f, j, refinements)
        best = best_row(f, j, left[0], &pivot, &relative)
        if best < 0:
            f.norm[j] = f.G[j * f.ldn + j]
            continue
        solve_row(f, f.pool[best], refinements)
        border(f.k, f.ldn, f.M, f.alpha, f.beta, pivot)
        f.P[f.k], f.I[f.k], f.free[j] = j, f.pool[best], 1
        f.k += 1
        left[0] -= 1
        f.pool[best] = f.pool[left[0]]
        if relative < DELICATE:                 # from here on M itself is not exact enough
            f.state[SHARPER] = True
    f.state[BUILT] = -1
    return True


cdef inline void update_norms(Problem* f, Py_ssize_t count, Py_ssize_t column,
                              Py_ssize_t row) noexcept nogil:
    """norm_e += (rate_e / rate)^2 norm - 2 (rate_e / rate) h_e for every edge e but d.

    h_e = d_e'G d; rate_e: what edge e does to the row or coefficient that ends the step; beta holds
    it for the rows.
    """
    cdef double rate = f.u[row] if row >= 0 else f.d[column], squared = 0, ratio, after
    cdef Py_ssize_t j, k
    memset(f.z, 0, f.ldn * sizeof(double))
    gemv_add(f.ldn, f.G, f.ldn, count, f.P, f.d, f.z)
    for k in range(count):
        squared += f.d[k] * f.z[f.P[k]]
    gather(f.k, f.z, f.P, f.alpha)
    gemv_t(f.k, f.ldn, f.M, f.alpha, f.h)
    if row >= 0:                                # alpha = rates of the generators
        memcpy(f.alpha, f.R + row * f.ldn, f.ldn * sizeof(double))
    else:
        memset(f.alpha, 0, f.ldn * sizeof(double))
    for k in range(f.k):
        f.beta[k], f.h[k] = -f.beta[k], -f.h[k]
    gemv_add(f.ldn, f.R, f.ldn, f.k, f.I, f.beta, f.alpha)
    gemv_add(f.ldn, f.R, f.ldn, f.k, f.I, f.h, f.z)
    for k in range(f.k):
        f.beta[k], f.h[k] = -f.beta[k], -f.h[k]
    for j in range(f.n):
        ratio = f.alpha[j] / rate
        f.norm[j] = max(f.norm[j] + ratio * (ratio * squared - 2 * f.z[j]),
                        FLAT * f.G[j * f.ldn + j])
    for k in range(f.k):
        ratio = f.beta[k] / rate
        j = f.I[k]
        f.row_norm[j] = max(f.row_norm[j] + ratio * (ratio * squared - 2 * f.h[k]), FLAT)
    after = max(squared / (rate * rate), FLAT)
    if row >= 0:
        f.row_norm[row] = after
    else:
        f.norm[f.P[column]] = after


cdef inline void exchange(Problem* f, Py_ssize_t count, Py_ssize_t column,
                          Py_ssize_t row) noexcept nogil:
    """The vertex at the end of the edge: the entering generator or the leaving row
    goes, `row` or `column` comes."""
    cdef Py_ssize_t k
    if column == f.k:                           # generator j itself came down to zero
        return
    if row >= 0:
        gather(f.k, f.R + row * f.ldn, f.P, f.alpha)
        gemv_t(f.k, f.ldn, f.M, f.alpha, f.beta)
    else:
        take_row(f.k, f.ldn, f.M, column, f.beta)
        f.free[f.P[column]] = 0
    update_norms(f, count, column, row)
    if f.entering >= 0:
        f.free[f.entering] = 1
        for k in range(f.k):                    # alpha = M A_Ij
            f.alpha[k] = -f.d[k] / f.d[f.k]
        if row >= 0:
            border(f.k, f.ldn, f.M, f.alpha, f.beta, f.u[row] / f.d[f.k])
            f.I[f.k] = row
            f.k += 1
            return
        f.P[column] = f.entering
        f.alpha[column] -= 1
        ger(f.k, f.ldn, f.M, f.alpha, f.beta, f.alpha[column] + 1)
        return
    for k in range(f.k):
        f.alpha[k] = f.M[k * f.ldn + f.leaving]
    if row >= 0:
        f.beta[f.leaving] -= 1
        ger(f.k, f.ldn, f.M, f.alpha, f.beta, f.beta[f.leaving] + 1)
        f.I[f.leaving] = row
        return
    ger(f.k, f.ldn, f.M, f.alpha, f.beta, f.alpha[column])
    unborder(f.k, f.ldn, f.M, column, f.leaving)
    f.k -= 1
    f.P[column] = f.P[f.k]
    f.I[f.leaving] = f.I[f.k]
