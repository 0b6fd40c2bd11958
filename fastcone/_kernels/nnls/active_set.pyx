# SPDX-License-Identifier: BSD-3-Clause
# One non-negative least squares problem, exactly, on the original generators.
#
#     minimise  1/2 ||A x - b||^2 + l1'x   over x >= 0                    float64 only
#
# Support    P grows by the generator with the largest weighted w = A'r - l1, and shrinks when
#            the minimiser on P leaves the orthant
# Factors    A_P = Q R, thin, by Gram-Schmidt, twice where little is left; Givens rotations as a
#            column leaves
# On P       R x_P = Q'b - R^-T l1_P,   r = b - A x,   always from the generators themselves
# Ends       in exact arithmetic every entry lowers the objective, so no support comes back. Here an
#            entry that raises it beyond rounding is undone, and a generator that entered without
#            lowering it is barred until another one does
# Dependent  a generator within rounding of span(A_P) can lower only the penalty: it takes the place
#            of the first generator that its null direction drives to zero
# Cost       2 m n + 6 m k flops per step, k = |P|
# Reference  Lawson, Hanson, Solving Least Squares Problems, 1974, chapter 23;
#            Daniel, Gragg, Kaufman, Stewart, Math. Comp. 30, 1976 (the factor updates)
#
#   rows      A, m rows of n, columns scaled to ||a_j|| of order 1; read only
#   columns   n x ld: the generators that ever entered, copied from `rows` on first use; ld is m
#             rounded up to a multiple of 8
#   fetched   n: whether a column is there already; zeros before the first problem with this A
#   b         m; read only                      norm: n, ||a_j||; read only
#   entry_weight  n, > 0: the order of entry, 1 / ||a_j|| for the steepest edge; read only
#   l1        n, >= 0; read only
#   dependence_tol  roundings, per generator in the support, within which one is dependent
#   x         n, in: a start >= 0, whose support is taken over; out: >= 0, exactly 0 off the support
#   max_steps limit of the entries tried in this call
#   resume    whether to go on where a call that max_steps ended left x, work, index
#   work      (n + 2) ld + n^2 + 7 n + 8 doubles, their meaning kept for `resume`
#   index     2 n + 2 integers, likewise
#   returns   steps used, or -1 - steps where max_steps came first (x is then feasible, not optimal)
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY, sqrt
from libc.string cimport memcpy

from fastcone._kernels.common.dense cimport dot
from fastcone._kernels.nnls.qr_update cimport UNIT, Factors, enter, enter_several, leave, minimise
from fastcone._kernels.common.lanes cimport SHARE
from fastcone._kernels.common.span cimport aligned, gradient, inner, largest, subtract
from fastcone._kernels.common.tables cimport ActiveSetTable


cdef enum:
    BATCH = 16              # generators that may enter in one step
    PROOF = 2               # entries without a loss before several may


cdef double step_length(Factors* f, Py_ssize_t* wall) noexcept nogil:
    """The largest alpha <= 1 with x + alpha (z - x) >= 0 on P; wall: who stops it, or -1."""
    cdef double alpha = 1, to_wall
    cdef Py_ssize_t i
    wall[0] = -1
    for i in range(f.k):
        if f.z[i] <= 0:
            to_wall = f.x[f.P[i]] / (f.x[f.P[i]] - f.z[i])
            if wall[0] < 0 or to_wall < alpha:
                alpha = to_wall
                wall[0] = i
    return alpha


cdef void settle(Factors* f) noexcept nogil:
    """Move to the minimiser z on the support, dropping what reaches zero on the way."""
    cdef Py_ssize_t i, j, wall
    cdef double alpha
    while f.k > 0:
        alpha = step_length(f, &wall)
        for i in range(f.k - 1, -1, -1):
            j = f.P[i]
            f.x[j] = f.z[i] if wall < 0 else f.x[j] + alpha * (f.z[i] - f.x[j])
            if i == wall or f.x[j] <= 0:
                f.x[j] = 0
                leave(f, i)
        if wall < 0:
            return
        minimise(f)


cdef double exchange(Factors* f) noexcept nogil:
    """Let the generator that `enter` has just refused, a = A_P u, push another one out.

    Along x_P - t u the product A x stays; t is where the first coefficient reaches zero.
    Returns t, or 0 with nothing done.
    """
    cdef double* u = f.R + f.k * f.n
    cdef double t = 0
    cdef Py_ssize_t i, j, wall = -1
    for i in range(f.k - 1, -1, -1):
        u[i] /= f.R[i * f.n + i]
        for j in range(i):
            u[j] -= f.R[i * f.n + j] * u[i]
        if u[i] > 0 and (wall < 0 or f.x[f.P[i]] < t * u[i]):
            wall = i
            t = f.x[f.P[i]] / u[i]
    if wall < 0:
        return 0
    for i in range(f.k):
        f.x[f.P[i]] = 0 if i == wall else max(0.0, f.x[f.P[i]] - t * u[i])
    leave(f, wall)
    return t


cdef bint admit(Factors* f, Py_ssize_t j) noexcept nogil:
    """Take generator j into the support, z at the minimiser there; False if it cannot enter.

    The factors may have changed even then.
    """
    cdef Py_ssize_t k = f.k
    if enter(f, j):
        minimise(f)
        if f.z[k] > 0:
            return True
        f.k = k                                 # rounding: in exact arithmetic it enters positive
        return False
    if not f.penalised:
        return False
    f.x[j] = exchange(f)
    if f.k == k or not enter(f, j):
        return False
    minimise(f)
    return True


cdef double residual(Factors* f) noexcept nogil:
    """r = b - A x; returns the objective 1/2 ||r||^2 + l1'x."""
    cdef double total
    cdef Py_ssize_t i
    for i in range(f.k):
        f.s[i] = f.x[f.P[i]]
    memcpy(f.r, f.b, f.ld * sizeof(double))
    subtract(f.ld, f.k, f.columns, f.P, f.s, f.r)
    total = dot(f.ld, f.r, f.r) / 2
    for i in range(f.k if f.penalised else 0):
        total += f.l1[f.P[i]] * f.s[i]
    return total


cdef void take_over(Factors* f, Py_ssize_t count, const Py_ssize_t* P) noexcept nogil:
    """Factor the support P; generators within rounding of the others' span leave it, x_j = 0."""
    cdef Py_ssize_t i, j
    f.k = 0
    for i in range(count):
        j = P[i]
        if not enter(f, j):
            f.x[j] = 0
    minimise(f)


cdef void refine(Factors* f, double objective) noexcept nogil:
    """One step of iterative refinement, R dx = Q'r - R^-T l1_P, kept if it does no harm."""
    cdef Py_ssize_t i
    cdef bint inside = True
    inner(f.ld, f.k, f.Q, f.r, f.qb)
    minimise(f)
    for i in range(f.k):
        f.h[i] = f.x[f.P[i]]
        f.x[f.P[i]] += f.z[i]
        inside = inside and f.x[f.P[i]] > 0
    if not inside or not residual(f) <= objective:
        for i in range(f.k):
            f.x[f.P[i]] = f.h[i]


cdef void project(Factors* f) noexcept nogil:
    """Bring r to what it is at the minimiser on P, Q'r = R^-T l1_P."""
    cdef Py_ssize_t i
    inner(f.ld, f.k, f.Q, f.r, f.s)
    for i in range(f.k if f.penalised else 0):
        f.s[i] -= f.h[i]
    subtract(f.ld, f.k, f.Q, NULL, f.s, f.r)


cdef Py_ssize_t score(Factors* f, const double* entry_weight, const double* open) noexcept nogil:
    """w_j <- (A'r - l1)_j entry_weight_j where that is beyond rounding and j may enter, else 0.

    Returns the place of the largest, or -1.
    """
    cdef double w
    cdef Py_ssize_t j
    gradient(f.m, f.n, f.rows, f.r, f.w)
    for j in range(f.n):
        w = f.w[j] - f.l1[j]
        f.w[j] = w * entry_weight[j] * open[j] if w > 8 * UNIT * (
            f.norm[j] * f.size + f.l1[j]) else 0
    return largest(f.n, f.w)


cdef void reopen(Factors* f, double* open) noexcept nogil:
    """Bar no generator but the zero ones and those in the support."""
    cdef Py_ssize_t i
    for i in range(f.n):
        open[i] = f.norm[i] > 0
    for i in range(f.k):
        open[f.P[i]] = False


cdef void cut(Factors* f, double* work, Py_ssize_t* index) noexcept nogil:
    """Lay the factors out in the caller's work space."""
    cdef Py_ssize_t n = f.n
    f.P = index
    f.Q = aligned(work)
    f.b = f.Q + n * f.ld
    f.r = f.b + f.ld
    f.R = f.r + f.ld
    f.qb = f.R + n * n
    f.z, f.h, f.s, f.w = f.qb + n, f.qb + 2 * n, f.qb + 3 * n, f.qb + 4 * n


cdef void begin(Factors* f, const double* b, Py_ssize_t* P) noexcept nogil:
    """Take the target and the support of x over and move to its minimiser."""
    cdef Py_ssize_t i, j, count = 0
    for i in range(f.ld):
        f.b[i] = b[i] if i < f.m else 0
    f.size = sqrt(dot(f.ld, f.b, f.b))
    for j in range(f.n):
        if f.x[j] > 0 and f.norm[j] > 0:
            P[count] = j
            count += 1
        else:
            f.x[j] = 0
    take_over(f, count, P)
    settle(f)


cdef double advance(Factors* f, Py_ssize_t j, double objective, double* open, double* kept,
                    Py_ssize_t* before) noexcept nogil:
    """Let generator j enter, undo it if that raises the objective; returns the new objective."""
    cdef Py_ssize_t i, k = f.k
    cdef double found
    open[j] = False
    memcpy(kept, f.x, f.n * sizeof(double))
    memcpy(before, f.P, k * sizeof(Py_ssize_t))
    if admit(f, j):
        settle(f)
        found = residual(f)
    elif f.k == k:
        return objective
    else:
        found = INFINITY
    if found > objective + 4 * UNIT * f.size * f.size:
        memcpy(f.x, kept, f.n * sizeof(double))
        take_over(f, k, before)
        found = residual(f)
    elif found < objective:
        reopen(f, open)
    for i in range(f.k):
        open[f.P[i]] = False
    return found


cdef Py_ssize_t enter_best(Factors* f, Py_ssize_t best, Py_ssize_t most) noexcept nogil:
    """Let up to `most` generators enter, none with less than half the best score; r follows."""
    cdef Py_ssize_t J[BATCH]
    cdef Py_ssize_t j, tried = 1, first
    cdef double least = f.w[best] / 2
    J[0] = best
    while tried < most:
        f.w[J[tried - 1]] = 0
        j = largest(f.n, f.w)
        if j < 0 or f.w[j] < least:
            break
        J[tried] = j
        tried += 1
    for first in range((tried + SHARE - 1) // SHARE):
        enter_several(f, min(tried - first * SHARE, <Py_ssize_t> SHARE),
                      J + first * SHARE)
    return tried


cdef double asum(Factors* f) noexcept nogil:
    """The objective at the minimiser on P, from r"""
    cdef double total = dot(f.ld, f.r, f.r) / 2
    cdef Py_ssize_t i
    for i in range(f.k if f.penalised else 0):
        total += f.l1[f.P[i]] * f.x[f.P[i]]
    return total


cdef Py_ssize_t approach(Factors* f, const double* entry_weight, double* open, Py_ssize_t* trust,
                         double* least, Py_ssize_t max_steps) noexcept nogil:
    """Grow the support by several generators a step; returns the entries tried.

    As many enter at once as have entered before, less two for every one that had to leave
    (`trust`): where supports only grow, few gradients are needed, and elsewhere none enters in
    vain. Nothing is proved here, nor undone; trust becomes -1 when there is no more to gain, or
    when a step neither lowered the objective below its `least` nor cost trust: in exact arithmetic
    none does that, and with rounding the steps could go round in a circle.
    """
    cdef Py_ssize_t k, best, tried, before, steps = 0
    cdef double found
    while steps < max_steps:
        reopen(f, open)
        best = score(f, entry_weight, open)
        if best < 0 or f.k == f.m:
            trust[0] = -1
            return steps
        k, before = f.k, trust[0]
        tried = max(1, min(BATCH, trust[0] - PROOF)) if f.m >= f.n else 1
        tried = enter_best(f, best, min(tried, max_steps - steps))
        steps += tried
        trust[0] += tried
        if f.k == k:
            trust[0] = -1
            return steps
        minimise(f)
        k = f.k
        settle(f)
        trust[0] = max(0, trust[0] - 2 * (k - f.k))
        if f.k < k or f.penalised:
            residual(f)
            project(f)
        found = asum(f)
        if found < least[0]:
            least[0] = found
        elif trust[0] >= before:
            trust[0] = -1
            return steps
    return steps


cdef Py_ssize_t active_set(Py_ssize_t m, Py_ssize_t n, const double* rows, double* columns,
                           Py_ssize_t* fetched, const double* b, const double* norm,
                           const double* entry_weight, const double* l1, double dependence_tol,
                           double* x, Py_ssize_t max_steps, bint resume, double* work,
                           Py_ssize_t* index) noexcept nogil:
    cdef Factors f
    cdef Py_ssize_t* k = index                  # |P| between calls
    cdef Py_ssize_t* trust = index + 1          # see `approach`; -1 afterwards
    cdef Py_ssize_t* before = index + 2         # P before a step
    cdef Py_ssize_t j, steps = 0
    cdef double* open                           # 1 where a generator may enter, else 0
    cdef double* kept                           # x before a step
    cdef double* state                          # the objective, the least while approaching; kept
    cdef double objective
    f.m, f.n, f.ld = m, n, (m + 7) // 8 * 8
    f.rows, f.columns, f.fetched, f.norm = rows, columns, fetched, norm
    f.dependence_tol = dependence_tol
    f.l1, f.x, f.penalised = l1, x, False
    cut(&f, work, before + n)
    open, kept, state = f.w + n, f.w + 2 * n, f.w + 3 * n
    for j in range(n):
        f.penalised = f.penalised or l1[j] > 0
    if resume:
        f.k = k[0]
        f.size = sqrt(dot(f.ld, f.b, f.b))
        minimise(&f)
    else:
        begin(&f, b, before)
        trust[0] = 0
    if trust[0] >= 0:
        objective = residual(&f)
        if not resume:
            state[0] = objective
        project(&f)
        steps = approach(&f, entry_weight, open, trust, state, max_steps)
        reopen(&f, open)
        objective = residual(&f)
        if trust[0] < 0:
            state[0] = objective
    elif resume:
        residual(&f)
    for steps in range(steps, max_steps + 1):
        k[0] = f.k
        project(&f)
        j = score(&f, entry_weight, open)
        if j < 0:
            refine(&f, residual(&f))
            return steps
        if steps < max_steps:
            state[0] = advance(&f, j, state[0], open, kept, before)
    return -1 - max_steps


cdef ActiveSetTable TABLE
TABLE.solve = active_set
table = PyCapsule_New(&TABLE, "nnls.active_set", NULL)
