# SPDX-License-Identifier: BSD-3-Clause
# Non-negative least absolute deviations: a simplex descent with long steps, one problem at a time.
#
#     minimise  ||A x - b||_1 + l1'x   over x >= 0                   float64 only, see docs/nnlad.md
#
# Vertex     P free generators, I interpolated rows, |P| = |I| = k: r_I = 0 for r = b - A x, every
#            other row keeps the sign s_i of its residual; M = (A_IP)^-1 is kept explicitly
# Prices     y_I = M'(l1_P - q_P),  q = A's with s_I = 0;  g = l1 - q - A_I'y_I;  y = s off I
# Edge       a generator with g_j < 0 enters, or a row with |y_i| > 1 leaves: the steepest edge, the
#            slope against ||A d||_2; these norms are updated, with the Gram matrix
# Step       along d the slope grows by 2 |u_i|, u = A d, whenever a residual changes sign: go on to
#            the row where it would turn positive, at most to the wall x_j = 0
# Stop       no edge descends: y is dual feasible, the vertex optimal
# Ties       b is perturbed (a shift of the objective below sum(perturbation)): no step has length 0
# Cost       2 m k + O(n k + k^2) flops per step; the lanes of a vector are rows
# Reference  Barrodale, Roberts, SIAM J. Numer. Anal. 10, 1973 (long steps);
#            Goldfarb, Reid, Math. Programming 12, 1977 (the norms of the edges)
#
#   m, n     rows, generators;  ld: m rounded up to 64;  ldn: n rounded up to 8
#   A        n x ld, generator j in row j, padding 0, scaled so that ||a_j||_1 is in [1/2, 1) or 0
#   R        m x ldn, the same by rows, padding 0
#   G        n x ldn, A'A, padding 0
#   size     ld, max_j |A_ij|, padding 0         length n, ||a_j||_1 or a little more
#   perturbation     ld, > 0, padding 0
#   B        p x ld, problem c in row c, padding 0, ||b||_1 in [1/2, 1) or 0
#   l1       p x ldn, >= 0, finite; generators with l1_j >= ||a_j||_1 never enter
#   X        p x n, start on entry (>= 0, 0 where l1_j >= ||a_j||_1), answer on return
#   Y        p x ld, written: the dual point, |y| <= 1, A'y <= l1 up to rounding where optimal
#   steps    p, written: steps used, or -1 - steps where `most` came first
#   budget   steps of this call; to compute one column of M anew counts as a step
#   work     5 ld + ld / 8 + (10 + min(m, ldn)) ldn doubles;  index  16 + 7 n + PASSES integers.
#            They hold the problem under way between calls; index starts as 0, 0, -1
#   returns  the number of problems finished; call again with the same arrays until it is p
# All but X, Y, steps, work, index are read only; all 64-byte aligned. Allocates nothing.
from cpython.pycapsule cimport PyCapsule_New
from libc.string cimport memcpy, memset

from fastcone._kernels.nnlad.inverse cimport refactor, exchange, factor, sound
from fastcone._kernels.common.dense cimport gemv_add, axpy, gemv_n, gather, asum, gemv
from fastcone._kernels.nnlad.pricing cimport edge, price, ratio_test
from fastcone._kernels.common.tables cimport SimplexTable
from fastcone._kernels.nnlad.ratio_test cimport (
    AFRESH, BUILT, CURRENT, FAR, IDLE, PROGRESS, SINCE, SIZE, STATE, USED, Problem,
)

cdef enum:
    RENEW = 100             # steps between two refreshes
    PATIENCE = 10           # refreshes without a lower objective: rounding has taken over
    STALE = 2               # `step`: what is updated has to be computed anew


cdef void advance(Problem* f, Py_ssize_t count, double time, Py_ssize_t passes, Py_ssize_t column,
                  Py_ssize_t row) noexcept nogil:
    """x += t d, r -= t A d; the rows passed change sign, the row at the end goes into I."""
    cdef Py_ssize_t k, i
    for i in range(f.ld):
        f.r[i] -= time * f.u[i]
    for k in range(count):
        f.x[f.P[k]] = max(f.x[f.P[k]] + time * f.d[k], 0)
    for k in range(passes):
        i = f.passed[k]
        f.s[i] = -f.s[i]
        axpy(f.ldn, 2 * f.s[i], f.R + i * f.ldn, f.q)
    if f.leaving >= 0:
        axpy(f.ldn, f.s[f.I[f.leaving]], f.R + f.I[f.leaving] * f.ldn, f.q)
    if row >= 0:
        axpy(f.ldn, -f.s[row], f.R + row * f.ldn, f.q)
        f.s[row] = f.r[row] = 0
    else:
        f.x[f.P[column]] = 0


cdef bint move(Problem* f) noexcept nogil:
    """Walk along the edge to the next vertex; False, and nothing changed, if that fails."""
    cdef Py_ssize_t count = edge(f), column, row, passes
    cdef double time
    if ratio_test(f, count, &time, &column, &row, &passes):
        advance(f, count, time, passes, column, row)
        exchange(f, count, column, row)
        return True
    if f.leaving >= 0:
        f.s[f.I[f.leaving]] = 0
    return False


cdef void residual(Problem* f) noexcept nogil:
    """r = b - perturbation - A x"""
    cdef Py_ssize_t i, j, count = 0
    for j in range(f.n):
        if f.x[j] > 0:
            f.pool[count] = j
            f.d[count] = f.x[j]
            count += 1
    gemv_n(f.ld, f.A, count, f.pool, f.d, f.u)
    for i in range(f.ld):
        f.r[i] = f.b[i] - f.perturbation[i] - f.u[i]


cdef bint shift(Problem* f, const double* v) noexcept nogil:
    """x_P += M v_I; False, and nothing changed, where that leaves the orthant."""
    cdef Py_ssize_t k
    gather(f.k, v, f.I, f.beta)
    gemv(f.k, f.ldn, f.M, f.beta, f.alpha)
    for k in range(f.k):
        if not f.x[f.P[k]] + f.alpha[k] >= 0:
            return False
    for k in range(f.k):
        f.x[f.P[k]] += f.alpha[k]
    return True


cdef double keep(Problem* f) noexcept nogil:
    """Remember the best x seen; returns by how much the objective is below the lowest before."""
    cdef double objective = asum(f.ld, f.r), before = f.lowest[0]
    cdef Py_ssize_t j
    for j in range(f.n):
        objective += f.l1[j] * f.x[j]
    if objective < before:
        f.lowest[0] = objective
        memcpy(f.best, f.x, f.n * sizeof(double))
    return before - objective


cdef double refresh(Problem* f) noexcept nogil:
    """All that is updated from step to step but M, computed anew from P, I and x; returns as
    `keep`."""
    cdef Py_ssize_t i, k
    cdef double gain
    residual(f)
    if shift(f, f.r):
        residual(f)
    gain = keep(f)
    for i in range(f.m):
        f.s[i] = 1 if f.r[i] > 0 else -1
    for k in range(f.k):
        f.s[f.I[k]] = f.r[f.I[k]] = 0
    memset(f.q, 0, f.ldn * sizeof(double))
    gemv_add(f.ldn, f.R, f.ldn, f.m, NULL, f.s, f.q)
    memset(f.rejected, 0, 2 * f.n * sizeof(Py_ssize_t))
    f.state[SINCE] = 0
    return gain


cdef int step(Problem* f, Py_ssize_t most) noexcept nogil:
    """0: one step further, 1: no edge descends, -1: `most` steps are used, STALE: first refresh."""
    cdef Py_ssize_t* state = f.state
    cdef bint stuck = False
    if price(f):
        if state[USED] >= most:
            return -1
        if state[SINCE] < RENEW:
            if move(f):
                if state[SINCE] == 0:
                    memset(f.rejected, 0, 2 * f.n * sizeof(Py_ssize_t))
                state[USED] += 1
                state[SINCE] += 1
                return 0
            stuck = True
            if state[SINCE] == 0 and state[AFRESH]:
                f.rejected[f.entering if f.entering >= 0 else f.n + f.leaving] = 1
                return 0
    elif state[SINCE] == 0:
        return 1
    state[AFRESH] = stuck
    if stuck or not sound(f):
        refactor(f)
    return STALE


cdef int descend(Problem* f, Py_ssize_t most, Py_ssize_t* budget) noexcept nogil:
    """Steps until no edge descends; 1: done, 0: `budget` spent, -1: `most` reached."""
    cdef Py_ssize_t* state = f.state
    cdef int outcome
    while budget[0] > 0:
        if state[BUILT] < 0:
            budget[0] -= 1
            outcome = step(f, most)
            if outcome == 0:
                continue
            if outcome != STALE:
                return outcome
        elif state[USED] >= most:               # time is up while M is in parts
            f.k = 0
            return -1
        if state[BUILT] >= 0 and not factor(f, budget):
            return 0
        state[IDLE] = 0 if refresh(f) > PROGRESS else state[IDLE] + 1
        if state[IDLE] == PATIENCE:
            price(f)
            return 1
    return 0


cdef void finish(Problem* f, double* y) noexcept nogil:
    """The answer and its dual point; the perturbation is taken out where that does not harm."""
    cdef const double* perturbation = f.perturbation
    cdef Py_ssize_t k
    cdef bint vertex
    memcpy(y, f.s, f.ld * sizeof(double))
    for k in range(f.k):
        y[f.I[k]] = min(max(f.y[k], -1), 1)
    residual(f)
    vertex = keep(f) >= 0
    memcpy(f.x, f.best, f.n * sizeof(double))
    f.perturbation = f.t
    memset(f.t, 0, f.ld * sizeof(double))
    f.lowest[0] = FAR
    residual(f)
    keep(f)
    if vertex and shift(f, perturbation):
        residual(f)
        keep(f)
        memcpy(f.x, f.best, f.n * sizeof(double))
    f.perturbation = perturbation


cdef void lay_out(Problem* f, double* work, Py_ssize_t* index) noexcept nogil:
    """Cut the work arrays into the parts of a problem."""
    cdef double* part = work + 5 * f.ld
    f.r, f.s, f.u, f.t = work, work + f.ld, work + 2 * f.ld, work + 3 * f.ld
    f.row_norm = part - f.ld
    f.near, f.lowest = part, part + f.ld // 16
    part += f.ld // 8
    f.norm, f.q, f.g, f.y = part, part + f.ldn, part + 2 * f.ldn, part + 3 * f.ldn
    part += 4 * f.ldn
    f.d, f.alpha, f.beta, f.z = part, part + f.ldn, part + 2 * f.ldn, part + 3 * f.ldn
    f.h, f.best, f.M = part + 4 * f.ldn, part + 5 * f.ldn, part + 6 * f.ldn
    f.state = index
    f.P = index + STATE
    f.I, f.pool, f.order = f.P + f.n + 1, f.P + 2 * (f.n + 1), f.P + 3 * (f.n + 1)
    f.free = f.order + f.n + 1
    f.rejected = f.free + f.n
    f.passed = f.rejected + 2 * f.n


cdef void begin(Problem* f) noexcept nogil:
    """Stand at the start, no generator free."""
    cdef Py_ssize_t j
    f.k = f.state[USED] = f.state[IDLE] = f.state[AFRESH] = 0
    f.state[BUILT] = -1
    memset(f.free, 0, f.n * sizeof(Py_ssize_t))
    memset(f.r, 0, 5 * f.ld * sizeof(double))
    memset(f.M, 0, min(f.m, f.ldn) * f.ldn * sizeof(double))
    for j in range(f.n):
        f.norm[j] = f.G[j * f.ldn + j]
    f.lowest[0] = FAR
    refresh(f)
    if not f.lowest[0] <= 2 * asum(f.ld, f.b):    # a start far off costs more digits than steps
        memset(f.x, 0, f.n * sizeof(double))
        refresh(f)


cdef Py_ssize_t nnlad(Py_ssize_t m, Py_ssize_t n, Py_ssize_t ld, Py_ssize_t ldn, const double* A,
                      const double* R, const double* G, const double* size, const double* length,
                      const double* perturbation, Py_ssize_t p, const double* B, const double* l1,
                      double* X, double* Y, Py_ssize_t* steps, Py_ssize_t most,
                      Py_ssize_t budget, double* work, Py_ssize_t* index) noexcept nogil:
    cdef Problem f
    cdef Py_ssize_t c
    cdef int outcome
    f.m, f.n, f.ld, f.ldn = m, n, ld, ldn
    f.A, f.R, f.G, f.size, f.length, f.perturbation = A, R, G, size, length, perturbation
    lay_out(&f, work, index)
    while index[CURRENT] < p:
        c = index[CURRENT]
        f.b, f.l1, f.x, f.k = B + c * ld, l1 + c * ldn, X + c * n, index[SIZE]
        if asum(ld, f.b) == 0:                # x = 0, y = 0
            memset(f.x, 0, n * sizeof(double))
            memset(Y + c * ld, 0, ld * sizeof(double))
            steps[c] = 0
            index[CURRENT] += 1
            continue
        if index[USED] < 0:
            begin(&f)
        outcome = descend(&f, most, &budget)
        index[SIZE] = f.k
        if outcome == 0:
            return c
        finish(&f, Y + c * ld)
        steps[c] = index[USED] if outcome > 0 else -1 - index[USED]
        index[CURRENT] += 1
        index[USED] = -1
    return p


cdef SimplexTable TABLE
TABLE.solve = nnlad
table = PyCapsule_New(&TABLE, "nnlad.simplex", NULL)
