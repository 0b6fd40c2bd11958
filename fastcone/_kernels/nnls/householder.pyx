# SPDX-License-Identifier: BSD-3-Clause
# One non-negative least squares problem whose rows may be of any size, exactly.
#
#     minimise  1/2 ||A x - b||^2 + l1'x   over x >= 0                    float64 only
#
# Rows       Gram-Schmidt and the normal equations lose a row that is 1e8 times smaller than
#            another. Householder reflections with the largest entry brought to the pivot, columns
#            in the order of what is left of them, change every row by roundings of its own size;
#            what they cannot tell from 0 they set to 0
# Factors    T = Q'A and d = Q'b, whole; of the support P, in its order, T is a triangle R
# On P       R x_P = d - R^-T l1_P;   h = R^-T l1_P;   gradient  A'r - l1 = T'(h, d_rest) - l1
# Support    grows by the generator with the largest weighted gradient, shrinks where the minimiser
#            leaves the orthant: Givens rotations of two rows
# Proof      when no gradient is left that is more than the rounding of its own rows, the support is
#            factorised anew in the right order of columns and everything looked at again
# Ends       as active_set.pyx: an entry that raises the objective is undone, one that does not
#            lower it is barred until another does
# Cost       4 m n flops per entry of a generator, 6 n k per rotation of k
# Reference  Lawson, Hanson, Solving Least Squares Problems, 1974, chapter 23; triangle.pyx
#
#   A         n x ld, a generator a row (reflections.pxd); read only     b   ld, likewise
#   entry_weight, l1, dependence_tol, x   as in active_set.pyx
#   max_steps limit of the entries tried; a call with the x of one that was not enough goes on
#   work      (n + 3) ld + 6 n + 7 doubles; index  3 n integers; no meaning on entry or return
#   returns   steps used, or -1 - steps where max_steps came first (x is then feasible, not optimal)
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY, fabs, sqrt
from libc.string cimport memcpy

from fastcone._kernels.common.dense cimport padded
from fastcone._kernels.common.span cimport aligned
from fastcone._kernels.common.tables cimport HouseholderTable
from fastcone._kernels.nnls.householder_factor cimport (
    Problem, eliminate, factorise, leave, minimise,
)
from fastcone._kernels.nnls.qr_update cimport UNIT
from fastcone._kernels.nnls.reflections cimport NOISE, stands_out, tail

cdef enum:
    LATE = 1_000_000    # ratio of pivots out of order that costs light rows seven digits


cdef void settle(Problem* f) noexcept nogil:
    """Move x to the minimiser on the support, dropping what reaches zero on the way."""
    cdef Py_ssize_t i, j, blocking
    cdef double alpha, bound
    while True:
        minimise(f)
        alpha, blocking = 1, -1
        for i in range(f.k):
            if f.z[i] <= 0:
                bound = f.x[f.P[i]] / (f.x[f.P[i]] - f.z[i])
                if blocking < 0 or bound < alpha:
                    alpha, blocking = bound, i
        for i in range(f.k - 1, -1, -1):
            j = f.P[i]
            f.x[j] = f.z[i] if blocking < 0 else f.x[j] + alpha * (f.z[i] - f.x[j])
            if i == blocking or f.x[j] <= 0:
                f.x[j] = 0
                leave(f, i)
        if blocking < 0:
            return


cdef double objective(Problem* f, double* rounding) noexcept nogil:
    """1/2 ||A x - b||^2 + l1'x at the minimiser on P, and what rounding may have made of it."""
    cdef double total = tail(f.k, f.ld, f.d, f.d) / 2
    cdef Py_ssize_t i
    rounding[0] = 0
    for i in range(f.k, f.m):
        rounding[0] += NOISE * UNIT * fabs(f.d[i]) * f.d_size[i]
    for i in range(f.k if f.penalised else 0):
        total += f.h[i] ** 2 / 2 + f.l1[f.P[i]] * f.x[f.P[i]]
        rounding[0] += NOISE * UNIT * f.l1[f.P[i]] * f.x[f.P[i]]
    return total


cdef bint rises(Problem* f, Py_ssize_t j, double gradient) noexcept nogil:
    """Whether a gradient entry is more than the roundings of the rows that it comes from."""
    cdef const double* a = f.T + j * f.ld
    cdef double allowed = f.l1[j]
    cdef Py_ssize_t i
    for i in range(f.k if f.penalised else 0):
        allowed += fabs(a[i] * f.h[i])
    for i in range(f.k, f.m):
        allowed += fabs(a[i]) * f.d_size[i] + f.row_size[i] * fabs(f.d[i])
    return gradient > NOISE * UNIT * allowed


cdef void score(Problem* f, const double* entry_weight) noexcept nogil:
    """w_j = weighted gradient of the generators that may enter, 0 of the others."""
    cdef Py_ssize_t i, j
    cdef const double* a
    for j in range(f.n):
        f.w[j] = 0
        if f.is_open[j] and not f.inside[j]:
            a = f.T + j * f.ld
            f.w[j] = tail(f.k, f.ld, a, f.d) - f.l1[j]
            for i in range(f.k if f.penalised else 0):
                f.w[j] += a[i] * f.h[i]
            f.w[j] *= entry_weight[j]


cdef Py_ssize_t next_entry(Problem* f, const double* entry_weight, bint sure) noexcept nogil:
    """The generator with the largest positive score, if `sure` one that is not rounding; or -1."""
    cdef Py_ssize_t j, best = 0
    while best >= 0:
        best = -1
        for j in range(f.n):
            if f.w[j] > 0 and (best < 0 or f.w[j] > f.w[best]):
                best = j
        if best < 0 or not sure or rises(f, best, f.w[best] / entry_weight[best]):
            break
        f.w[best] = 0
    return best


cdef bint is_independent(Problem* f, Py_ssize_t j) noexcept nogil:
    """Whether what P leaves of generator j is more than the rounding of its rows."""
    return stands_out(f.k, f.ld, f.T + j * f.ld, f.row_size, f.dependence_tol)


cdef void replace(Problem* f, Py_ssize_t j) noexcept nogil:
    """Let j, a_j = A_P u, push a generator out: x_P - t u, x_j + t leaves A x as it is."""
    cdef double* u = f.z
    cdef const double* column
    cdef double t = 0
    cdef Py_ssize_t i, q, blocking = -1
    memcpy(u, f.T + j * f.ld, f.k * sizeof(double))
    for i in range(f.k - 1, -1, -1):
        column = f.T + f.P[i] * f.ld
        u[i] /= column[i]
        for q in range(i):
            u[q] -= u[i] * column[q]
        if u[i] > 0 and (blocking < 0 or f.x[f.P[i]] < t * u[i]):
            blocking, t = i, f.x[f.P[i]] / u[i]
    if blocking < 0:
        return
    for i in range(f.k):
        f.x[f.P[i]] = 0 if i == blocking else max(0.0, f.x[f.P[i]] - t * u[i])
    leave(f, blocking)
    f.x[j] = t
    if is_independent(f, j):
        eliminate(f, j)
    else:
        f.x[j] = 0


cdef bint comes_late(Problem* f, Py_ssize_t j) noexcept nogil:
    """Whether what P leaves of generator j is so long that it should have come before others."""
    cdef double left = sqrt(tail(f.k, f.ld, f.T + j * f.ld, f.T + j * f.ld))
    cdef Py_ssize_t i
    for i in range(f.k):
        if left > LATE * fabs(f.T[f.P[i] * f.ld + i]):
            return True
    return False


cdef bint enter(Problem* f, Py_ssize_t j) noexcept nogil:
    """Take generator j into the support; False, with the support as it was, if it cannot be.

    `before` holds the support as it was.
    """
    cdef Py_ssize_t k = f.k, i
    if k < f.m and is_independent(f, j):
        if comes_late(f, j):
            f.before[k] = j
            factorise(f, f.before, k + 1)
        else:
            eliminate(f, j)
        minimise(f)
        for i in range(f.k):
            if f.P[i] == j and f.z[i] > 0:
                return True
        if f.k == k + 1 and f.P[k] == j:        # rounding: in exact arithmetic it enters positive
            f.k = k
            f.inside[j] = False
        else:
            factorise(f, f.before, k)
        return False
    if f.penalised:
        replace(f, j)
        return True
    return False


cdef void reopen(Problem* f) noexcept nogil:
    """Bar nobody but the generators that are zero."""
    cdef Py_ssize_t j
    for j in range(f.n):
        f.is_open[j] = tail(0, f.ld, f.A + j * f.ld, f.A + j * f.ld) > 0


cdef double step(Problem* f, Py_ssize_t j, double held) noexcept nogil:
    """Let generator j enter, undo it if that raises the objective `held`; returns the least."""
    cdef Py_ssize_t k = f.k
    cdef double found, rounding
    f.is_open[j] = False
    memcpy(f.kept, f.x, f.n * sizeof(double))
    memcpy(f.before, f.P, k * sizeof(Py_ssize_t))
    if not enter(f, j):
        return held
    settle(f)
    found = objective(f, &rounding)
    if found > held + rounding:
        memcpy(f.x, f.kept, f.n * sizeof(double))
        factorise(f, f.before, k)
        settle(f)
    elif found < held - rounding:
        reopen(f)
    return min(found, held)                     # so that no rounding adds up to a way round


cdef double check_again(Problem* f, double held) noexcept nogil:
    """Factorise the support anew; its objective, or infinity, with x as it was, if that is more."""
    cdef double found, rounding
    memcpy(f.before, f.P, f.k * sizeof(Py_ssize_t))
    memcpy(f.kept, f.x, f.n * sizeof(double))
    factorise(f, f.before, f.k)
    settle(f)
    found = objective(f, &rounding)
    if found > held + rounding:
        memcpy(f.x, f.kept, f.n * sizeof(double))
        return INFINITY
    return found


cdef void lay_out(Problem* f, double* work, Py_ssize_t* index) noexcept nogil:
    """Cut the caller's work space up."""
    cdef Py_ssize_t n = f.n
    f.T = aligned(work)
    f.d = f.T + n * f.ld
    f.row_size, f.d_size, f.z = f.d + f.ld, f.d + 2 * f.ld, f.d + 3 * f.ld
    f.h, f.w, f.kept, f.is_open, f.best = (
        f.z + n, f.z + 2 * n, f.z + 3 * n, f.z + 4 * n, f.z + 5 * n)
    f.P, f.before, f.inside = index, index + n, index + 2 * n


cdef Py_ssize_t solve(Py_ssize_t m, Py_ssize_t n, const double* A, const double* b,
                      const double* entry_weight, const double* l1, double dependence_tol,
                      double* x, Py_ssize_t max_steps, double* work,
                      Py_ssize_t* index) noexcept nogil:
    cdef Problem f
    cdef Py_ssize_t j, count = 0, steps = 0
    cdef bint checked = False, trying = False
    cdef double held, found, rounding = 0, best = 0
    f.m, f.n, f.ld, f.A, f.b, f.l1, f.x = m, n, padded(m), A, b, l1, x
    f.dependence_tol, f.penalised = dependence_tol, False
    lay_out(&f, work, index)
    for j in range(n):
        f.penalised = f.penalised or l1[j] > 0
        if x[j] > 0:
            f.before[count] = j
            count += 1
    reopen(&f)
    factorise(&f, f.before, count)
    settle(&f)
    held = objective(&f, &rounding)
    while True:
        score(&f, entry_weight)
        j = next_entry(&f, entry_weight, True)
        if j < 0 and not checked:
            found = check_again(&f, held)
            if found == INFINITY:               # nothing better can be had of this support
                return steps
            held, checked = min(found, held), True
            continue
        if j < 0:
            # a gradient that is rounding of a heavy row may hide one of a light row: try it
            score(&f, entry_weight)
            j = next_entry(&f, entry_weight, False)
            if j >= 0 and not trying:
                trying, best = True, held
                memcpy(f.best, x, n * sizeof(double))
        if j < 0:
            if trying:
                memcpy(x, f.best, n * sizeof(double))
            return steps
        if steps == max_steps:
            return -1 - max_steps
        steps += 1
        held = step(&f, j, held)
        objective(&f, &rounding)
        if not trying or held < best - rounding:
            trying = checked = False


cdef HouseholderTable TABLE
TABLE.solve = solve
table = PyCapsule_New(&TABLE, "nnls.householder", NULL)
