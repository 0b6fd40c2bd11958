# SPDX-License-Identifier: BSD-3-Clause
"""Checked bindings of the kernels in fastcone/_kernels/nnls."""

from fastcone._kernels.common.lanes cimport real
from fastcone._runtime.dispatch cimport (
    active_set_table, columns_table, descent_table, householder_table, lanes,
    report_table, scale_table, support_table, triangle_table,
)

from fastcone._kernels.nnls.support_room cimport support_room
from fastcone._kernels.nnls.report_columns cimport (
    AX, CONVEX, COORDINATE_COLUMNS, CX, NORM1, REPORT_COLUMNS, SHIFT, VIOLATION, XDELTA, XG,
)

from fastcone._runtime.kernels import tile
from fastcone._runtime.threads import aligned

REPORT = {                          # its columns by name, one row a problem
    "xg": XG, "cx": CX, "xdelta": XDELTA, "violation": VIOLATION, "convex": CONVEX, "shift": SHIFT,
    "ax": AX, "norm1": NORM1,
}


def nnls_work(Py_ssize_t n, dtype):
    """Numbers of work space `nnls_cd` and `nnls_report` need."""
    return max(4 * n + 3, 2 * n + 10) * tile(dtype)


def units_in(real[:, ::1] C, const int[::1] k, const int[::1] E, l1, const int[::1] e,
             const double[::1] rootinv, real[::1] allow, double largest, double[::1] scale):
    """Bring products to the scaled units and subtract the penalty; l1 (p,) or None."""
    cdef Py_ssize_t p = C.shape[0], ld = C.shape[1], n = e.shape[0]
    cdef const double[::1] penalty
    cdef const double* weight = NULL
    assert n <= ld and k.shape[0] == p and E.shape[0] == p and allow.shape[0] == p
    assert rootinv.shape[0] == n and scale.shape[0] >= n
    if p == 0 or n == 0:
        return
    if l1 is not None:
        penalty = l1
        assert penalty.shape[0] == p
        weight = &penalty[0]
    with nogil:
        if real is float:
            scale_table.in_f32(p, n, ld, &C[0, 0], &k[0], &E[0], weight, &e[0], &rootinv[0],
                               &allow[0], largest, &scale[0])
        else:
            scale_table.in_f64(p, n, ld, &C[0, 0], &k[0], &E[0], weight, &e[0], &rootinv[0],
                               &allow[0], largest, &scale[0])


def nnls_cd(const real[::1] G, const real[::1] inv, const real[::1] weight, const real[:, ::1] C,
            real[:, ::1] X, const real[::1] stop, double[:, ::1] schedule, real[::1] last,
            const int[::1] most, int[::1] epochs, real[::1] work):
    """Coordinate descent on every row of C; returns the number of problems left unfinished."""
    cdef Py_ssize_t n = inv.shape[0], p = C.shape[0], ld = C.shape[1], left
    assert G.shape[0] == n * n and n % 4 == 0 and n <= ld and X.shape[0] == p and X.shape[1] == ld
    assert stop.shape[0] == p and last.shape[0] == p and epochs.shape[0] == p
    assert weight.shape[0] == n and most.shape[0] == p
    assert schedule.shape[0] == p and schedule.shape[1] == 2
    assert work.shape[0] >= (4 * n + 3) * lanes(sizeof(real))
    if p == 0 or n == 0:
        epochs[:] = 0
        last[:] = 0
        return 0
    with nogil:
        if real is float:
            left = descent_table.cd_f32(n, &G[0], &inv[0], &weight[0], p, &C[0, 0], NULL, &X[0, 0],
                                        ld, &stop[0], &schedule[0, 0], &last[0], &most[0],
                                        &epochs[0], &work[0])
        else:
            left = descent_table.cd_f64(n, &G[0], &inv[0], &weight[0], p, &C[0, 0], NULL, &X[0, 0],
                                        ld, &stop[0], &schedule[0, 0], &last[0], &most[0],
                                        &epochs[0], &work[0])
    return left


def nnls_report(const real[::1] G, const real[:, ::1] coord, const real[:, ::1] C,
                const real[:, ::1] X, const real[::1] delta_scale, real rounding, real[:, ::1] out,
                real[::1] work):
    """What a certificate is made of, one row of REPORT_COLUMNS per problem."""
    cdef Py_ssize_t n = coord.shape[0], p = C.shape[0], ld = C.shape[1]
    assert G.shape[0] == n * n and n % 4 == 0 and n <= ld and X.shape[0] == p and X.shape[1] == ld
    assert coord.shape[1] == COORDINATE_COLUMNS and delta_scale.shape[0] == p
    assert out.shape[0] == p and out.shape[1] == REPORT_COLUMNS
    assert work.shape[0] >= (2 * n + 10) * lanes(sizeof(real))
    if p == 0 or n == 0:
        out[:, :] = 0
        return
    with nogil:
        if real is float:
            report_table.f32(n, &G[0], &coord[0, 0], p, &C[0, 0], &X[0, 0], ld, &delta_scale[0],
                             rounding, &out[0, 0], &work[0])
        else:
            report_table.f64(n, &G[0], &coord[0, 0], p, &C[0, 0], &X[0, 0], ld, &delta_scale[0],
                             rounding, &out[0, 0], &work[0])


def columns_epoch(const Py_ssize_t[::1] start, const int[::1] index, const double[::1] value,
                  const double[::1] curvature, const double[::1] l1, const double[::1] l2,
                  const Py_ssize_t[::1] which, double[::1] x, double[::1] r):
    """Go through some generators once, x and r = b - A x follow; returns how far x moved."""
    cdef Py_ssize_t n = x.shape[0]
    cdef double moved = 0
    assert start.shape[0] == n + 1 and index.shape[0] == value.shape[0] >= start[n]
    assert curvature.shape[0] == n == l1.shape[0] and l2.shape[0] == n
    if which.shape[0] == 0 or value.shape[0] == 0:
        return 0.0
    with nogil:
        moved = columns_table.epoch(&start[0], &index[0], &value[0], &curvature[0], &l1[0], &l2[0],
                                    which.shape[0], &which[0], &x[0], &r[0])
    return moved


def support_work(Py_ssize_t n):
    """Numbers of work space `support` and `polish` need."""
    return support_room(n)


def support(const double[:, ::1] G, const double[:, ::1] C, const double[::1] rootinv,
            const double[::1] norm, const double[::1] slack, double[:, ::1] X, double[:, ::1] g,
            Py_ssize_t max_steps, Py_ssize_t[::1] steps, double[::1] work, Py_ssize_t[::1] index):
    """Solve problem after problem on G (n, ld) from the support of X; rows of ld, padded."""
    cdef Py_ssize_t n = G.shape[0], ld = G.shape[1], r
    assert ld % 8 == 0 and ld >= n and C.shape[1] == ld == X.shape[1] and g.shape[1] == ld
    assert C.shape[0] == X.shape[0] == g.shape[0] == steps.shape[0] == slack.shape[0]
    assert work.shape[0] >= support_work(n) and index.shape[0] >= n
    assert rootinv.shape[0] == n == norm.shape[0]
    with nogil:
        for r in range(C.shape[0] if n else 0):
            steps[r] = support_table.solve(n, ld, &G[0, 0], &C[r, 0], &rootinv[0], &norm[0],
                                           NULL, NULL, 0, slack[r], &X[r, 0], &g[r, 0], max_steps,
                                           &work[0], &index[0])


def support_bounded(const double[:, ::1] G, const double[:, ::1] C, const double[::1] rootinv,
                    const double[::1] norm, upper, weight, total, penalty,
                    const double[::1] slack,
                    double[:, ::1] X, double[:, ::1] g, Py_ssize_t max_steps,
                    Py_ssize_t[::1] steps, const double[:, ::1] A, const double[:, ::1] B,
                    const double[::1] ridge, double[::1] residual, double[::1] change,
                    double[::1] work, Py_ssize_t[::1] index):
    """Solve with bounds (p, n) or sums, weight (n) and total (p), or both; None for none.

    Each is refined with generators A (n, ldm), padded with zeros, targets B (p, m) and penalty
    (p, n) or None; change and residual are what `refine` tells, change -1 where there was none.
    The rest as in `support`.
    """
    cdef Py_ssize_t n = G.shape[0], ld = G.shape[1], p = C.shape[0], m = B.shape[1], r
    cdef const double[:, ::1] bounds, penalties
    cdef const double[::1] weights, totals
    cdef const double* most = NULL
    cdef const double* each = NULL
    cdef const double* less = NULL
    cdef double sums = 0
    cdef double[2] known
    cdef bint bounded = upper is not None, penalised = penalty is not None
    cdef double[::1] fit = aligned((A.shape[1],), float)
    assert ld % 8 == 0 and ld >= n > 0 and C.shape[1] == ld == X.shape[1] and g.shape[1] == ld
    assert p == X.shape[0] == g.shape[0] == steps.shape[0] == slack.shape[0] == B.shape[0]
    assert work.shape[0] >= support_work(n) and index.shape[0] >= n
    assert rootinv.shape[0] == n == norm.shape[0] and ridge.shape[0] == n == A.shape[0]
    assert A.shape[1] % 8 == 0 and A.shape[1] >= m > 0
    assert residual.shape[0] == p == change.shape[0]
    if bounded:
        bounds = upper
        assert bounds.shape[0] == p and bounds.shape[1] == n
    if penalised:
        penalties = penalty
        assert penalties.shape[0] == p and penalties.shape[1] == n
    if weight is not None:
        weights, totals = weight, total
        assert weights.shape[0] == n and totals.shape[0] == p
        each = &weights[0]
    with nogil:
        for r in range(p):
            if bounded:
                most = &bounds[r, 0]
            if penalised:
                less = &penalties[r, 0]
            if each != NULL:
                sums = totals[r]
            steps[r] = support_table.solve(n, ld, &G[0, 0], &C[r, 0], &rootinv[0], &norm[0], most,
                                           each, sums, slack[r], &X[r, 0], &g[r, 0], max_steps,
                                           &work[0], &index[0])
            change[r] = -1
            if steps[r] >= 0:
                change[r] = support_table.refine(
                    n, ld, &G[0, 0], &rootinv[0], most, each, sums, &X[r, 0], &g[r, 0], &work[0],
                    &index[0], m, A.shape[1], &A[0, 0], &B[r, 0], 1, &ridge[0], less, &fit[0],
                    known)
                residual[r] = known[0]


def polish(const double[:, ::1] G, const double[::1] rootinv, double[:, ::1] X,
           double[:, ::1] g, double[::1] work, Py_ssize_t[::1] index):
    """One step of refinement of each X with its gradient; both follow, arrays as in `support`."""
    cdef Py_ssize_t n = G.shape[0], ld = G.shape[1], r
    assert ld % 8 == 0 and ld >= n and X.shape[1] == ld == g.shape[1]
    assert X.shape[0] == g.shape[0] and rootinv.shape[0] == n
    assert work.shape[0] >= support_work(n) and index.shape[0] >= n
    with nogil:
        for r in range(X.shape[0] if n else 0):
            support_table.polish(n, ld, &G[0, 0], &rootinv[0], &X[r, 0], &g[r, 0], &work[0],
                                 &index[0])


cpdef Py_ssize_t active_set_work(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    """Numbers of work space `active_set` needs."""
    return (n + 2) * ((m + 7) // 8 * 8) + n * n + 7 * n + 8


cdef inline Py_ssize_t count_steps(Py_ssize_t got, Py_ssize_t most,
                                   Py_ssize_t* steps) noexcept nogil:
    """Add what a solver has used (-1 - got if it is not done) to `steps`; returns 1 at the end."""
    cdef Py_ssize_t used = -1 - steps[0]
    steps[0] = used + got if got >= 0 else got - used
    return got >= 0 or -1 - steps[0] >= most


def active_set(const double[:, ::1] rows, double[:, ::1] columns, Py_ssize_t[::1] fetched,
               const double[:, ::1] B, const double[::1] norm, const double[::1] entry_weight,
               const double[:, ::1] l1, double dependence_tol, double[:, ::1] X,
               const Py_ssize_t[::1] most, Py_ssize_t[::1] steps, Py_ssize_t first,
               Py_ssize_t budget, double[::1] work, Py_ssize_t[::1] index):
    """Exact solution of problems from `first` on, on the same rows of A (m, n), for some steps.

    A problem is left after `budget` steps of its own, the batch after as many: where a problem is
    cut does not depend on its neighbours.
    most: the steps each problem may use, at least 1.
    steps: -1 before a problem is begun; the steps used, or -1 - steps while they were not enough.
    Returns the first problem that is not done; a call with it as `first` goes on.
    """
    cdef Py_ssize_t m = rows.shape[0], n = rows.shape[1], p = B.shape[0], used, got, spent = 0
    assert columns.shape[0] == n and columns.shape[1] == (m + 7) // 8 * 8
    assert fetched.shape[0] == n
    assert B.shape[1] == m
    assert norm.shape[0] == n and entry_weight.shape[0] == n
    assert l1.shape[0] == p and l1.shape[1] == n
    assert X.shape[0] == p and X.shape[1] == n and steps.shape[0] == p and most.shape[0] == p
    assert work.shape[0] >= active_set_work(m, n) and index.shape[0] >= 2 * n + 2
    assert 0 <= first <= p
    if n == 0 or m == 0:
        X[:, :] = 0
        steps[:] = 0
        return p
    with nogil:
        while first < p and spent < budget:
            used = -1 - steps[first]
            got = active_set_table.solve(m, n, &rows[0, 0], &columns[0, 0], &fetched[0],
                                         &B[first, 0], &norm[0], &entry_weight[0], &l1[first, 0],
                                         dependence_tol, &X[first, 0],
                                         min(budget, most[first] - used), used > 0, &work[0],
                                         &index[0])
            spent += 1 + (got if got >= 0 else -1 - got)
            first += count_steps(got, most[first], &steps[first])
    return first


cpdef Py_ssize_t householder_work(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    """Numbers of work space `householder_solve` needs."""
    return (n + 3) * ((m + 7) // 8 * 8) + 6 * n + 7


def triangle_reduce(double[:, ::1] T, Py_ssize_t m, double dependence_tol, double[::1] head,
                    double[::1] scale, Py_ssize_t[::1] swap, Py_ssize_t[::1] order,
                    Py_ssize_t first, Py_ssize_t last, double[::1] row_size):
    """Some steps from generators (n, ld), a row each, of m entries, to their triangle, in place.

    Returns `last`, or less: the rank.
    """
    cdef Py_ssize_t n = T.shape[0], ld = T.shape[1], rank
    assert ld == (m + 7) // 8 * 8 and 0 <= first < last <= min(m, n) and row_size.shape[0] == ld
    assert head.shape[0] == n == scale.shape[0] and swap.shape[0] == n == order.shape[0]
    with nogil:
        rank = triangle_table.reduce(m, n, ld, &T[0, 0], dependence_tol, &head[0], &scale[0],
                                     &swap[0], &order[0], first, last, &row_size[0])
    return rank


def triangle_apply(Py_ssize_t rank, const double[:, ::1] T, const double[::1] head,
                   const double[::1] scale, const Py_ssize_t[::1] swap, const Py_ssize_t[::1] order,
                   double[:, ::1] D):
    """D <- D Q, rows of ld, for the reflections that `triangle_reduce` has left in T."""
    cdef Py_ssize_t r, ld = T.shape[1]
    assert D.shape[1] == ld and 0 <= rank <= T.shape[0]
    with nogil:
        for r in range(D.shape[0] if rank else 0):
            triangle_table.apply(rank, ld, &T[0, 0], &head[0], &scale[0], &swap[0], &order[0],
                                 &D[r, 0])


def householder_solve(Py_ssize_t m, const double[:, ::1] A, const double[:, ::1] B,
                      const double[::1] entry_weight, const double[:, ::1] l1,
                      double dependence_tol, double[:, ::1] X, const Py_ssize_t[::1] most,
                      Py_ssize_t[::1] steps, Py_ssize_t first, Py_ssize_t budget,
                      double[::1] work, Py_ssize_t[::1] index):
    """As `active_set`, for generators (n, ld), a row each, and targets (p, ld), of m entries."""
    cdef Py_ssize_t n = A.shape[0], p = B.shape[0], used, got, spent = 0
    assert A.shape[1] == (m + 7) // 8 * 8 == B.shape[1]
    assert entry_weight.shape[0] == n and l1.shape[0] == p and l1.shape[1] == n
    assert X.shape[0] == p and X.shape[1] == n and steps.shape[0] == p and most.shape[0] == p
    assert work.shape[0] >= householder_work(m, n) and index.shape[0] >= 3 * n
    assert 0 <= first <= p
    if n == 0 or m == 0:
        X[:, :] = 0
        steps[:] = 0
        return p
    with nogil:
        while first < p and spent < budget:
            used = -1 - steps[first]
            got = householder_table.solve(m, n, &A[0, 0], &B[first, 0], &entry_weight[0],
                                          &l1[first, 0], dependence_tol, &X[first, 0],
                                          min(budget, most[first] - used), &work[0], &index[0])
            spent += 1 + (got if got >= 0 else -1 - got)
            first += count_steps(got, most[first], &steps[first])
    return first
