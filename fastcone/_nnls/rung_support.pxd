# SPDX-License-Identifier: BSD-3-Clause
"""The first rung's other way: the support solver on G, a refinement with A, the certificate."""

from libc.math cimport INFINITY, ldexp, sqrt
from libc.string cimport memset

from fastcone._kernels.common.dense cimport axpy
from fastcone._kernels.nnls.report_columns cimport (
    AX, CONVEX, COORDINATE_COLUMNS, CX, HALF_CURVATURE, INVERSE_CURVATURE, INVERSE_SCALE,
    INVERSE_SHIFT, NORM1, REPORT_COLUMNS, ROOT, SCALE, SHIFT, SHIFT_ENTRY, VIOLATION, XDELTA, XG,
)
from fastcone._nnls.rung_descent cimport DIGITS, gap_of
from fastcone._nnls.rung_memory cimport UNIT, Block, Prepared, multiply
from fastcone._runtime.dispatch cimport scale_table, support_table

cdef extern from *:
    """
    #define FC_SMALL 1e-6       /* of sum ||a_j|| x_j: the rounding of such a step is no matter */
    #define FC_PROVED 1e-10     /* the gap that the default wants proved, as in plan.py */
    """
    const double SMALL "FC_SMALL"
    const double PROVED "FC_PROVED"


cdef inline Py_ssize_t solve_one(const Prepared* q, Block* k, Py_ssize_t r, bint started,
                                 int max_steps) noexcept nogil:
    """X and the gradient of one problem from G alone; returns the steps.

    Of a few generators most are in the support: that of the unconstrained solution is near it.
    """
    cdef double* x = <double*> k.X + r * k.ld
    cdef Py_ssize_t j, steps
    if q.inverse_G != NULL and not started:
        for j in range(q.n):
            axpy(q.ld, (<double*> k.C)[r * k.ld + j], q.inverse_G + j * q.ld, x)
        for j in range(q.n):
            x[j] = max(x[j], 0)
    steps = support_table.solve(
        q.n, q.ld, q.rows_of_G, <double*> k.C + r * k.ld, q.rootinv, q.norm,
        NULL, NULL, 0, q.rounding * (<double*> k.delta_scale)[r], <double*> k.X + r * k.ld,
        k.g + r * k.ld, min(max_steps, 30 * q.n), k.exact, k.index)
    return steps if steps >= 0 else -1 - steps


cdef inline void solve_on_support(const Prepared* q, Block* k, const double* l1,
                                  int max_steps, bint started) noexcept nogil:
    """X and the gradients g: support by support on G, then refined with A and b themselves.

    residual: ||b - A x|| where that was a small step from it, else -1.
    """
    cdef double* penalty = <double*> k.some_C
    cdef double* residual = <double*> k.some_delta
    cdef const double* b = <const double*> k.source
    cdef double* X = <double*> k.X
    cdef double change
    cdef Py_ssize_t r
    if l1 != NULL:
        memset(penalty, 0, k.p * k.ld * sizeof(double))
        memset(k.pending, 0, k.p * sizeof(int))
        scale_table.in_f64(k.p, q.n, k.ld, penalty, k.pending, k.exponent, l1, q.column_exp,
                           q.rootinv, residual, 1e150, k.scale)
    for r in range(k.p):
        if not k.near[r]:
            memset(X + r * k.ld, 0, k.ld * sizeof(double))
            continue
        k.epochs[r] = solve_one(q, k, r, started, max_steps)
        if q.near_cache:
            change = support_table.refine(
                q.n, q.ld, q.rows_of_G, q.rootinv, NULL, NULL, 0, X + r * k.ld, k.g + r * k.ld,
                k.exact, k.index, q.m, q.ldm, q.generators, b + r * k.ldb,
                ldexp(1, -k.exponent[r]), q.ridge, penalty + r * k.ld if l1 != NULL else NULL,
                k.fit, &residual[r])
            residual[r] = residual[r] if 0 <= change < SMALL else -1
    if not q.near_cache:
        refine_together(q, k, penalty if l1 != NULL else NULL)


cdef inline void refine_together(const Prepared* q, Block* k, const double* penalty) noexcept nogil:
    """The refinement of `solve_on_support`, a block of residuals at a time: A is read once."""
    cdef double* X = <double*> k.X
    cdef double* residual = <double*> k.some_delta
    cdef const double* b = <const double*> k.source
    cdef double down, change
    cdef Py_ssize_t r, i, j
    multiply[double](q.n, q.ldm, q.transposed, k.p, X, k.ld, k.fit, residual)
    for r in range(k.p):
        down = ldexp(1, -k.exponent[r]) if k.near[r] else 0
        for i in range(q.m):
            k.fit[r * q.ldm + i] = b[r * k.ldb + i] * down - k.fit[r * q.ldm + i]
    # g = l1 + ridge x - A'(b - A x)
    multiply[double](q.m, k.ld, q.panels64, k.p, k.fit, q.ldm, k.g, residual)
    for r in range(k.p):
        if not k.near[r]:
            continue
        for j in range(q.n):
            i = r * k.ld + j
            k.g[i] = q.ridge[j] * X[i] - (penalty[i] if penalty != NULL else 0) - k.g[i]
        change = support_table.polish(q.n, q.ld, q.rows_of_G, q.rootinv, X + r * k.ld,
                                      k.g + r * k.ld, k.exact, k.index)
        residual[r] = sqrt(residual[r]) if 0 <= change < SMALL else -1


cdef inline void report_of(const Prepared* q, const double* c, const double* x, const double* g,
                           double delta_scale, double residual, double* report) noexcept nogil:
    """The columns of report.pyx from a gradient that is known.

    Formed from A, r = b - A x is off by (k + 3) u (||b|| + sum_j ||a_j|| x_j), k = |P|, and A'r by
    (m + 3) u ||r|| more; a small change's share is far less.
    """
    cdef const double* bound
    cdef double delta, allow, hi, lo, d
    cdef Py_ssize_t j, k = 0
    memset(report, 0, REPORT_COLUMNS * sizeof(double))
    for j in range(q.n):
        report[<int> NORM1] += q.coord64[j * COORDINATE_COLUMNS + <int> ROOT] * x[j]
        k += x[j] > 0
    delta = q.rounding * (report[<int> NORM1] + delta_scale)
    if residual >= 0:
        delta = 1.01 * UNIT * ((k + 10) * (report[<int> NORM1] + delta_scale)
                               + (q.m + 8) * residual) + SMALL * delta
    for j in range(q.n):
        bound = q.coord64 + j * COORDINATE_COLUMNS
        allow = delta * bound[<int> ROOT]
        hi, lo = max(g[j] + allow, 0.0), min(g[j] - allow, 0.0)
        report[<int> XG] += x[j] * g[j]
        report[<int> CX] += c[j] * x[j]
        report[<int> XDELTA] += x[j] * allow
        report[<int> VIOLATION] = max(report[<int> VIOLATION], max(
            min(x[j] * bound[<int> SCALE], g[j] * bound[<int> INVERSE_SCALE]),
            -g[j] * bound[<int> INVERSE_SCALE]))
        d = min(hi * bound[<int> INVERSE_CURVATURE], x[j])
        report[<int> CONVEX] += d * (hi - bound[<int> HALF_CURVATURE] * d)
        d = lo * bound[<int> INVERSE_CURVATURE]
        report[<int> CONVEX] += d * (lo - bound[<int> HALF_CURVATURE] * d)
        report[<int> SHIFT] = max(report[<int> SHIFT], -lo * bound[<int> INVERSE_SHIFT])
        report[<int> AX] += x[j] * bound[<int> SHIFT_ENTRY]


cdef inline bint undecided(const Prepared* q, const double* x, const double* g, double size,
                           double residual) noexcept nogil:
    """Whether rounding hides the sign of a gradient behind which x may be larger than DIGITS of it.

    A generator outside with |g_j| below its rounding may belong inside with x_j as large as that
    over lam G_jj: cond(A)^2 roundings, where QR, which never forms a gradient of A, has cond(A).
    size: ||b|| + sum ||a_j|| x_j.
    """
    cdef double slack, largest = 0
    cdef Py_ssize_t j, k = 0
    for j in range(q.n):
        k += x[j] > 0
        largest = max(largest, x[j] * q.coord64[j * COORDINATE_COLUMNS + <int> ROOT])
    slack = 4 * UNIT * ((k + 10) * size + (q.m + 8) * max(residual, 0.0))
    if slack <= DIGITS * largest * q.lam:
        return False
    # the optimum fits no worse: lam ||D^1/2 (x - x*)||^2 <= ||A (x - x*)||^2 <= (2 ||r||)^2
    if 0 <= residual and 2 * (residual + slack) <= DIGITS * largest * sqrt(q.lam):
        return False
    for j in range(q.n):
        if x[j] == 0 and q.rootinv[j] > 0 and g[j] * q.rootinv[j] < slack:
            return True
    return residual < 0


cdef inline void gradients(const Prepared* q, Block* k, const double* X) noexcept nogil:
    """g = G x - c of all problems, from the rows of G."""
    cdef const double* C = <const double*> k.C
    cdef Py_ssize_t r, i, j
    for r in range(k.p):
        for j in range(q.ld):
            k.g[r * k.ld + j] = -C[r * k.ld + j]
        for i in range(q.n):
            if X[r * k.ld + i] != 0:
                axpy(q.ld, X[r * k.ld + i], q.rows_of_G + i * q.ld, k.g + r * k.ld)


cdef inline void by_support(const Prepared* q, Block* k, const double* l1, double tol,
                            int max_steps, bint started, bint narrow) noexcept nogil:
    """The support solver and the certificates of all problems that are near.

    At the default `tol` a support that rounding leaves open counts as not proved: QR decides.
    """
    cdef double* X = <double*> k.X
    cdef double* report = <double*> k.report
    cdef Py_ssize_t r, j
    solve_on_support(q, k, l1, max_steps, started)
    if narrow:                                  # what the caller gets is what is proved
        for r in range(k.p):
            for j in range(q.n):
                X[r * k.ld + j] = <float> X[r * k.ld + j]
        gradients(q, k, X)
    for r in range(k.p):
        if not k.near[r]:
            continue
        report_of(q, <double*> k.C + r * k.ld, X + r * k.ld, k.g + r * k.ld,
                  (<double*> k.delta_scale)[r], -1 if narrow else (<double*> k.some_delta)[r],
                  report)
        k.gap[r] = gap_of[double](q, report, (<double*> k.norm)[r], &k.objective[r])
        k.violation[r] = report[<int> VIOLATION]
        if tol <= PROVED and not narrow and undecided(
                q, X + r * k.ld, k.g + r * k.ld,
                report[<int> NORM1] + (<double*> k.delta_scale)[r], (<double*> k.some_delta)[r]):
            k.gap[r] = INFINITY
