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
# Ties       b is tilted by `tilt` (a shift of the objective below sum(tilt)): no step has length 0
# Cost       2 m k + O(n k + k^2) flops per step; the lanes of a vector are rows
# Reference  Barrodale, Roberts, SIAM J. Numer. Anal. 10, 1973 (long steps);
#            Goldfarb, Reid, Math. Programming 12, 1977 (the norms of the edges)
#
#   m, n     rows, generators;  ld: m rounded up to 64;  ldn: n rounded up to 8
#   A        n x ld, generator j in row j, padding 0, scaled so that ||a_j||_1 is in [1/2, 1) or 0
#   R        m x ldn, the same by rows, padding 0
#   G        n x ldn, A'A, padding 0
#   size     ld, max_j |A_ij|, padding 0         used   n, 0 for generators that never enter
#   l1       ldn, >= 0                           tilt   ld, > 0, padding 0
#   B        p x ld, problem c in row c, padding 0, ||b||_1 in [1/2, 1) or 0
#   X        p x n, start on entry (>= 0), answer on return
#   Y        p x ld, written: the dual point, |y| <= 1, A'y <= l1 up to rounding where optimal
#   steps    p, written: steps used, or -1 - steps where `most` came first
#   budget   steps of this call
#   work     5 ld + ld / 8 + (10 + ldn) ldn doubles;  index  12 + 7 n + PASSES integers.
#            They hold the problem under way between calls; index starts as 0, 0, -1
#   returns  the number of problems finished; call again with the same arrays until it is p
# All but X, Y, steps, work, index are read only; all 64-byte aligned. Allocates nothing.
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport fabs
from libc.string cimport memcpy, memset

from fastcone._kernels.basis cimport exchange, factor, sound
from fastcone._kernels.dense cimport (
    accumulate, axpy, combine, gather, height, padded, times, transposed,
)
from fastcone._kernels.tables cimport NNLADTable
from fastcone._kernels.vertex cimport (
    EXACT, FAR, NOISE, OPTIMAL, PROGRESS, Problem, breakpoints, walk, wall,
)

cdef enum:
    # index begins with the problem under way, its k, steps used (-1: not begun), steps since the
    # last refresh, refreshes since the objective last fell, whether M was computed anew then
    CURRENT, SIZE, USED, SINCE, IDLE, AFRESH
    STATE = 8
    RENEW = 100             # steps between two refreshes
    PATIENCE = 3            # refreshes without a lower objective: rounding has taken over


cdef void set_prices(Problem* f) noexcept nogil:
    """y_I = M'(l1_P - q_P),  g = l1 - q - A_I'y_I;  g_P = 0 corrects y where M is not exact."""
    cdef Py_ssize_t j, k, tries
    cdef double off
    memset(f.y, 0, padded(f.k) * sizeof(double))
    for j in range(f.ldn):
        f.g[j] = f.l1[j] - f.q[j]
    for tries in range(3):
        off = 0
        for k in range(f.k):
            off += fabs(f.g[f.P[k]])
        if tries > 0 and off <= OPTIMAL:
            return
        gather(f.k, f.g, f.P, f.beta)
        transposed(f.k, f.ldn, f.M, f.beta, f.alpha)
        for k in range(f.k):
            f.y[k] += f.alpha[k]
            f.alpha[k] = -f.alpha[k]
        accumulate(f.ldn, f.R, f.ldn, f.k, f.I, f.alpha, f.g)


cdef bint price(Problem* f) noexcept nogil:
    """Find the steepest edge (f.entering or f.leaving); False where none descends."""
    cdef double best = 0, fall
    cdef Py_ssize_t j, k
    set_prices(f)
    f.entering = f.leaving = -1
    for j in range(f.n):
        fall = fabs(f.g[j]) if f.x[j] > 0 else -f.g[j]
        if (fall > OPTIMAL and fall * fall > best * f.norm[j] and f.used[j] > 0
                and not (f.free[j] or f.barred[j])):
            best = fall * fall / f.norm[j]
            f.entering = j
    for k in range(f.k):
        fall = fabs(f.y[k]) - 1
        if (fall > OPTIMAL and fall * fall > best * f.row_norm[f.I[k]]
                and not f.barred[f.n + k]):
            best = fall * fall / f.row_norm[f.I[k]]
            f.leaving = k
            f.entering = -1
    return f.entering >= 0 or f.leaving >= 0


cdef Py_ssize_t edge(Problem* f) noexcept nogil:
    """The direction d of the generators P[:count]; returns count."""
    cdef Py_ssize_t k
    cdef double sign
    if f.entering >= 0:
        gather(f.k, f.A + f.entering * f.ld, f.I, f.beta)
        times(f.k, f.ldn, f.M, f.beta, f.d)
        sign = -1 if f.g[f.entering] > 0 else 1
        for k in range(f.k):
            f.d[k] *= -sign
        f.d[f.k] = sign
        f.P[f.k] = f.entering
        return f.k + 1
    sign = 1 if f.y[f.leaving] > 0 else -1
    f.s[f.I[f.leaving]] = sign
    for k in range(f.k):
        f.d[k] = -sign * f.M[k * f.ldn + f.leaving]
    return f.k


cdef double one_norm(Py_ssize_t count, const double* d) noexcept nogil:
    """||d||_1"""
    cdef double total = 0
    cdef Py_ssize_t k
    for k in range(count):
        total += fabs(d[k])
    return total


cdef double follow(Problem* f, Py_ssize_t count) noexcept nogil:
    """u = A d; returns how fast the interpolated rows leave zero, which is rounding."""
    cdef double drift = 0
    cdef Py_ssize_t k
    combine(f.ld, f.A, count, f.P, f.d, f.u)
    if f.leaving >= 0:                          # the row that leaves moves at the rate of its sign
        f.u[f.I[f.leaving]] += f.s[f.I[f.leaving]]
    for k in range(f.k):
        drift += fabs(f.u[f.I[k]])
    return drift


cdef void straighten(Problem* f) noexcept nogil:
    """d <- d - M u_I"""
    cdef Py_ssize_t k
    gather(f.k, f.u, f.I, f.beta)
    times(f.k, f.ldn, f.M, f.beta, f.alpha)
    for k in range(f.k):
        f.d[k] -= f.alpha[k]


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


cdef bint reach(Problem* f, Py_ssize_t count, double* time, Py_ssize_t* column, Py_ssize_t* row,
                Py_ssize_t* passes) noexcept nogil:
    """Where the edge leads; False where it leads nowhere or M is too far off to tell."""
    cdef double length, slope, drift
    cdef Py_ssize_t k, tries
    for tries in range(2):
        drift = follow(f, count)
        if f.leaving >= 0:
            f.u[f.I[f.leaving]] = -f.s[f.I[f.leaving]]
        length = one_norm(count, f.d)
        slope = breakpoints(f, length)
        for k in range(count):
            slope += f.l1[f.P[k]] * f.d[k]
        column[0] = wall(f, count, length, time)
        if slope >= 0 or not walk(f, slope, length, time, column, row, passes):
            return False
        if drift * time[0] <= EXACT:
            return True
        if tries == 0:
            follow(f, count)
            straighten(f)
    return drift <= NOISE * length


cdef bint move(Problem* f) noexcept nogil:
    """Walk along the edge to the next vertex; False, and nothing changed, if that fails."""
    cdef Py_ssize_t count = edge(f), column, row, passes
    cdef double time
    if reach(f, count, &time, &column, &row, &passes):
        advance(f, count, time, passes, column, row)
        exchange(f, count, column, row)
        return True
    if f.leaving >= 0:
        f.s[f.I[f.leaving]] = 0
    return False


cdef void residual(Problem* f) noexcept nogil:
    """r = b - tilt - A x"""
    cdef Py_ssize_t i, j, count = 0
    for j in range(f.n):
        if f.x[j] > 0:
            f.pool[count] = j
            f.d[count] = f.x[j]
            count += 1
    combine(f.ld, f.A, count, f.pool, f.d, f.u)
    for i in range(f.ld):
        f.r[i] = f.b[i] - f.tilt[i] - f.u[i]


cdef bint shift(Problem* f, const double* v) noexcept nogil:
    """x_P += M v_I; False, and nothing changed, where that leaves the orthant."""
    cdef Py_ssize_t k
    gather(f.k, v, f.I, f.beta)
    times(f.k, f.ldn, f.M, f.beta, f.alpha)
    for k in range(f.k):
        if not f.x[f.P[k]] + f.alpha[k] >= 0:
            return False
    for k in range(f.k):
        f.x[f.P[k]] += f.alpha[k]
    return True


cdef double keep(Problem* f) noexcept nogil:
    """Remember the best x seen; returns by how much the objective is below the lowest before."""
    cdef double objective = height(f.ld, f.r), before = f.lowest[0]
    cdef Py_ssize_t j
    for j in range(f.n):
        objective += f.l1[j] * f.x[j]
    if objective < before:
        f.lowest[0] = objective
        memcpy(f.best, f.x, f.n * sizeof(double))
    return before - objective


cdef double refresh(Problem* f, bint afresh) noexcept nogil:
    """What is updated from step to step, computed anew from P, I and x; returns as `keep`.

    M is computed anew where it has become inexact, or if `afresh`.
    """
    cdef Py_ssize_t i, k
    cdef double gain
    if afresh or not sound(f):
        factor(f)
    residual(f)
    if shift(f, f.r):
        residual(f)
    gain = keep(f)
    for i in range(f.m):
        f.s[i] = 1 if f.r[i] > 0 else -1
    for k in range(f.k):
        f.s[f.I[k]] = f.r[f.I[k]] = 0
    memset(f.q, 0, f.ldn * sizeof(double))
    accumulate(f.ldn, f.R, f.ldn, f.m, NULL, f.s, f.q)
    memset(f.barred, 0, 2 * f.n * sizeof(Py_ssize_t))
    return gain


cdef int descend(Problem* f, Py_ssize_t most, Py_ssize_t* budget,
                 Py_ssize_t* state) noexcept nogil:
    """Steps until no edge descends; 1: done, 0: `budget` spent, -1: `most` reached."""
    cdef Py_ssize_t* used = state + USED
    cdef Py_ssize_t* since = state + SINCE
    cdef bint stuck
    while budget[0] > 0:
        budget[0] -= 1
        stuck = False
        if price(f):
            if used[0] >= most:
                return -1
            if since[0] < RENEW:
                if move(f):
                    if since[0] == 0:
                        memset(f.barred, 0, 2 * f.n * sizeof(Py_ssize_t))
                    used[0] += 1
                    since[0] += 1
                    continue
                stuck = True
                if since[0] == 0 and state[AFRESH]:
                    f.barred[f.entering if f.entering >= 0 else f.n + f.leaving] = 1
                    continue
        elif since[0] == 0:
            return 1
        state[IDLE] = 0 if refresh(f, stuck) > PROGRESS else state[IDLE] + 1
        since[0] = 0
        state[AFRESH] = stuck
        if state[IDLE] == PATIENCE:
            price(f)
            return 1
    return 0


cdef void finish(Problem* f, double* y) noexcept nogil:
    """The answer and its dual point; the tilt is taken out where that does not harm."""
    cdef const double* tilt = f.tilt
    cdef Py_ssize_t k
    cdef bint vertex
    memcpy(y, f.s, f.ld * sizeof(double))
    for k in range(f.k):
        y[f.I[k]] = min(max(f.y[k], -1), 1)
    residual(f)
    vertex = keep(f) >= 0
    memcpy(f.x, f.best, f.n * sizeof(double))
    f.tilt = f.t
    memset(f.t, 0, f.ld * sizeof(double))
    f.lowest[0] = FAR
    residual(f)
    keep(f)
    if vertex and shift(f, tilt):
        residual(f)
        keep(f)
        memcpy(f.x, f.best, f.n * sizeof(double))
    f.tilt = tilt


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
    f.P = index + STATE
    f.I, f.pool, f.order = f.P + f.n + 1, f.P + 2 * (f.n + 1), f.P + 3 * (f.n + 1)
    f.free = f.order + f.n + 1
    f.barred = f.free + f.n
    f.passed = f.barred + 2 * f.n


cdef void begin(Problem* f) noexcept nogil:
    """Stand at the start, no generator free."""
    cdef Py_ssize_t j
    f.k = 0
    memset(f.free, 0, f.n * sizeof(Py_ssize_t))
    memset(f.r, 0, 5 * f.ld * sizeof(double))
    for j in range(f.n):
        f.norm[j] = f.G[j * f.ldn + j]
    f.lowest[0] = FAR
    refresh(f, True)
    if not f.lowest[0] <= 2 * height(f.ld, f.b):    # a start far off costs more digits than steps
        memset(f.x, 0, f.n * sizeof(double))
        refresh(f, True)


cdef Py_ssize_t nnlad(Py_ssize_t m, Py_ssize_t n, Py_ssize_t ld, Py_ssize_t ldn, const double* A,
                      const double* R, const double* G, const double* size, const double* used,
                      const double* l1, const double* tilt, Py_ssize_t p, const double* B,
                      double* X, double* Y, Py_ssize_t* steps, Py_ssize_t most,
                      Py_ssize_t budget, double* work, Py_ssize_t* index) noexcept nogil:
    cdef Problem f
    cdef Py_ssize_t c
    cdef int state
    f.m, f.n, f.ld, f.ldn = m, n, ld, ldn
    f.A, f.R, f.G, f.size, f.used, f.l1, f.tilt = A, R, G, size, used, l1, tilt
    lay_out(&f, work, index)
    while index[CURRENT] < p:
        c = index[CURRENT]
        f.b, f.x, f.k = B + c * ld, X + c * n, index[SIZE]
        if height(ld, f.b) == 0:                # x = 0, y = 0
            memset(f.x, 0, n * sizeof(double))
            memset(Y + c * ld, 0, ld * sizeof(double))
            steps[c] = 0
            index[CURRENT] += 1
            continue
        if index[USED] < 0:
            begin(&f)
            index[USED] = index[SINCE] = index[IDLE] = index[AFRESH] = 0
        state = descend(&f, most, &budget, index)
        index[SIZE] = f.k
        if state == 0:
            return c
        finish(&f, Y + c * ld)
        steps[c] = index[USED] if state > 0 else -1 - index[USED]
        index[CURRENT] += 1
        index[USED] = -1
    return p


cdef NNLADTable TABLE
TABLE.solve = nnlad
table = PyCapsule_New(&TABLE, "fastcone.NNLADTable", NULL)
