# SPDX-License-Identifier: BSD-3-Clause
# One non-negative least squares problem, exactly, on the original generators.
#
#     minimise  1/2 ||A x - b||^2 + l1'x   over x >= 0                    float64 only
#
# Support    P grows by the generator with the largest w_j price_j,  w = A'r - l1, and shrinks when
#            the minimiser on P leaves the orthant
# Factors    A_P = Q R, thin, by Gram-Schmidt twice; a column leaves by Givens rotations
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
#   columns   n x m: the generators that ever entered, copied from `rows` on first use
#   fetched   n: whether a column is there already; zeros before the first problem with this A
#   b         m; read only                      norm: n, ||a_j||; read only
#   price     n, > 0: the order of entry, 1 / ||a_j|| for the steepest edge; read only
#   l1        n, >= 0; read only
#   fuzz      roundings, per generator in the support, within which a generator is dependent
#   x         n, in: a start >= 0, whose support is taken over; out: >= 0, exactly 0 off the support
#   max_steps limit of the entries tried in this call
#   resume    whether to go on where a call that max_steps ended left x, work, index
#   work      m n + n^2 + m + 6 n + 1 doubles, their meaning kept for `resume`
#   index     2 n + 1 integers, likewise
#   returns   steps used, or -1 - steps where max_steps came first (x is then feasible, not optimal)
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY, sqrt
from libc.string cimport memcpy, memset

from fastcone._kernels.dense cimport axpy
from fastcone._kernels.factors cimport UNIT, Factors, enter, generator, leave, minimise
from fastcone._kernels.sums cimport dot
from fastcone._kernels.tables cimport ActiveSetTable


cdef void gradient(Py_ssize_t m, Py_ssize_t n, const double* rows, const double* r,
                   double* w) noexcept nogil:
    """w = A'r, four rows of A at a time."""
    cdef const double* a
    cdef Py_ssize_t i, j
    memset(w, 0, n * sizeof(double))
    for i in range(m // 4):
        a = rows + 4 * i * n
        for j in range(n):
            w[j] += (a[j] * r[4 * i] + a[n + j] * r[4 * i + 1]) + (
                a[2 * n + j] * r[4 * i + 2] + a[3 * n + j] * r[4 * i + 3])
    for i in range(m - m % 4, m):
        axpy(n, r[i], rows + i * n, w)


cdef double step_length(Factors* f, const double* x, Py_ssize_t* wall) noexcept nogil:
    """The largest alpha <= 1 with x + alpha (z - x) >= 0 on P; wall: who stops it, or -1."""
    cdef double alpha = 1, to_wall
    cdef Py_ssize_t i
    wall[0] = -1
    for i in range(f.k):
        if f.z[i] <= 0:
            to_wall = x[f.P[i]] / (x[f.P[i]] - f.z[i])
            if wall[0] < 0 or to_wall < alpha:
                alpha = to_wall
                wall[0] = i
    return alpha


cdef void settle(Factors* f, const double* l1, double* x) noexcept nogil:
    """Move to the minimiser on the support, dropping what reaches zero on the way."""
    cdef Py_ssize_t i, j, wall
    cdef double alpha
    while f.k > 0:
        minimise(f, l1)
        alpha = step_length(f, x, &wall)
        for i in range(f.k - 1, -1, -1):
            j = f.P[i]
            x[j] = f.z[i] if wall < 0 else x[j] + alpha * (f.z[i] - x[j])
            if i == wall or x[j] <= 0:
                x[j] = 0
                leave(f, i)
        if wall < 0:
            return


cdef double exchange(Factors* f, double* x) noexcept nogil:
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
        if u[i] > 0 and (wall < 0 or x[f.P[i]] < t * u[i]):
            wall = i
            t = x[f.P[i]] / u[i]
    if wall < 0:
        return 0
    for i in range(f.k):
        x[f.P[i]] = 0 if i == wall else max(0.0, x[f.P[i]] - t * u[i])
    leave(f, wall)
    return t


cdef bint admit(Factors* f, Py_ssize_t j, const double* b, const double* l1,
                double* x) noexcept nogil:
    """Take generator j into the support; False, with the factors perhaps changed, if it cannot."""
    cdef Py_ssize_t k = f.k
    if enter(f, j, b):
        minimise(f, l1)
        if f.z[k] > 0:
            return True
        f.k = k                                 # rounding: in exact arithmetic it enters positive
        return False
    if not f.penalised:
        return False
    x[j] = exchange(f, x)
    return f.k < k and enter(f, j, b)


cdef double residual(Factors* f, const double* b, const double* l1,
                     const double* x) noexcept nogil:
    """r = b - A x; returns the objective 1/2 ||r||^2 + l1'x."""
    cdef double total
    cdef Py_ssize_t i
    memcpy(f.r, b, f.m * sizeof(double))
    for i in range(f.k):
        axpy(f.m, -x[f.P[i]], generator(f, f.P[i]), f.r)
    total = dot[double](f.m, f.r, f.r) / 2
    for i in range(f.k):
        total += l1[f.P[i]] * x[f.P[i]]
    return total


cdef void take_over(Factors* f, const double* b, Py_ssize_t count, const Py_ssize_t* P,
                    double* x) noexcept nogil:
    """Factor the support P; generators within rounding of the others' span leave it, x_j = 0."""
    cdef Py_ssize_t i, j
    f.k = 0
    for i in range(count):
        j = P[i]
        if not enter(f, j, b):
            x[j] = 0


cdef void refine(Factors* f, const double* b, const double* l1, double objective,
                 double* x) noexcept nogil:
    """One step of iterative refinement, R dx = Q'r - R^-T l1_P, kept if it does no harm."""
    cdef Py_ssize_t i
    cdef bint inside = True
    for i in range(f.k):
        f.qb[i] = dot[double](f.m, f.Q + i * f.m, f.r)
    minimise(f, l1)
    for i in range(f.k):
        f.h[i] = x[f.P[i]]
        x[f.P[i]] += f.z[i]
        inside = inside and x[f.P[i]] > 0
    if not inside or not residual(f, b, l1, x) <= objective:
        for i in range(f.k):
            x[f.P[i]] = f.h[i]


cdef Py_ssize_t steepest(Factors* f, const double* price, const double* l1, double size,
                         const double* open) noexcept nogil:
    """The generator with the largest w_j price_j, w_j beyond rounding; -1 if there is none.

    r is first brought to what it is at the minimiser on P, Q'r = R^-T l1_P: where the rows of A
    differ in size, the rounding of b - A x in a large row would drown what a small one has to say.
    """
    cdef double part[8]
    cdef double most = 0, w
    cdef Py_ssize_t i, j, groups = f.n // 8
    cdef int q
    for i in range(f.k):
        w = dot[double](f.m, f.Q + i * f.m, f.r)
        axpy(f.m, (f.h[i] if f.penalised else 0) - w, f.Q + i * f.m, f.r)
    gradient(f.m, f.n, f.rows, f.r, f.w)
    for j in range(f.n):
        w = f.w[j] - l1[j]
        f.w[j] = w * price[j] * open[j] if w > 8 * UNIT * (f.norm[j] * size + l1[j]) else 0
    for q in range(8):
        part[q] = 0
    for j in range(groups):
        for q in range(8):
            part[q] = f.w[8 * j + q] if f.w[8 * j + q] > part[q] else part[q]
    for q in range(8):
        most = max(most, part[q])
    for j in range(8 * groups, f.n):
        most = max(most, f.w[j])
    if most > 0:
        for j in range(f.n):
            if f.w[j] == most:
                return j
    return -1


cdef void reopen(Py_ssize_t n, const double* norm, double* open) noexcept nogil:
    """Bar no generator but the zero ones."""
    cdef Py_ssize_t j
    for j in range(n):
        open[j] = norm[j] > 0


cdef void cut(Factors* f, Py_ssize_t m, Py_ssize_t n, double* work,
              Py_ssize_t* index) noexcept nogil:
    """Lay the factors out in the caller's work space."""
    f.m, f.n, f.P = m, n, index
    f.qb, f.z, f.h, f.w, f.r = work, work + n, work + 2 * n, work + 3 * n, work + 4 * n
    f.R = f.r + m
    f.Q = f.R + n * n


cdef double begin(Factors* f, const double* b, const double* l1, double* open, double* x,
                  Py_ssize_t* P) noexcept nogil:
    """Take the support of x over and move to its minimiser; returns the objective."""
    cdef Py_ssize_t i, j, count = 0
    for j in range(f.n):
        if x[j] > 0 and f.norm[j] > 0:
            P[count] = j
            count += 1
        else:
            x[j] = 0
    take_over(f, b, count, P, x)
    settle(f, l1, x)
    reopen(f.n, f.norm, open)
    for i in range(f.k):
        open[f.P[i]] = False
    return residual(f, b, l1, x)


cdef double advance(Factors* f, Py_ssize_t j, const double* b, const double* l1, double objective,
                    double* open, double* x, double* kept, Py_ssize_t* before) noexcept nogil:
    """Let generator j enter, undo it if that raises the objective; returns the new objective."""
    cdef Py_ssize_t i, k = f.k
    cdef double found, noise = 4 * UNIT * dot[double](f.m, b, b)
    open[j] = False
    memcpy(kept, x, f.n * sizeof(double))
    memcpy(before, f.P, k * sizeof(Py_ssize_t))
    if admit(f, j, b, l1, x):
        settle(f, l1, x)
        found = residual(f, b, l1, x)
    elif f.k == k:
        return objective
    else:
        found = INFINITY
    if found > objective + noise:
        memcpy(x, kept, f.n * sizeof(double))
        take_over(f, b, k, before, x)
        minimise(f, l1)
        found = residual(f, b, l1, x)
    elif found < objective:
        reopen(f.n, f.norm, open)
    for i in range(f.k):
        open[f.P[i]] = False
    return found


cdef Py_ssize_t active_set(Py_ssize_t m, Py_ssize_t n, const double* rows, double* columns,
                           Py_ssize_t* fetched, const double* b, const double* norm,
                           const double* price, const double* l1, double fuzz, double* x,
                           Py_ssize_t max_steps, bint resume, double* work,
                           Py_ssize_t* index) noexcept nogil:
    cdef Factors f
    cdef double* state = work                   # the objective, in a resumed call too
    cdef double* open = work + 1                # 1 where a generator may enter, else 0
    cdef double* kept = open + n                # x before a step
    cdef Py_ssize_t* k = index                  # |P| between calls
    cdef Py_ssize_t* before = index + 1         # P before a step
    cdef Py_ssize_t j, i, steps
    cdef double size = sqrt(dot[double](m, b, b))
    cut(&f, m, n, kept + n, before + n)
    f.rows, f.columns, f.fetched, f.norm, f.fuzz = rows, columns, fetched, norm, fuzz
    f.penalised = False
    for i in range(n):
        f.penalised = f.penalised or l1[i] > 0
    if resume:
        f.k = k[0]
        residual(&f, b, l1, x)
        minimise(&f, l1)
    else:
        state[0] = begin(&f, b, l1, open, x, before)
    for steps in range(max_steps + 1):
        k[0] = f.k
        j = steepest(&f, price, l1, size, open)
        if j < 0:
            residual(&f, b, l1, x)
            refine(&f, b, l1, state[0], x)
            return steps
        if steps < max_steps:
            state[0] = advance(&f, j, b, l1, state[0], open, x, kept, before)
    return -1 - max_steps


cdef ActiveSetTable TABLE
TABLE.solve = active_set
table = PyCapsule_New(&TABLE, "fastcone.ActiveSetTable", NULL)
