# SPDX-License-Identifier: BSD-3-Clause
"""A vertex of the least absolute deviations problem, and the walk along one of its edges.

See simplex.pyx for the method. Along the edge, x_P + t d and r - t u with u = A d; residual i
changes sign at t_i = r_i / u_i, where the slope of the objective grows by 2 |u_i|.
"""

from libc.math cimport fabs

from fastcone._kernels.common.dense cimport VECTORS, zero
from fastcone._kernels.common.lanes cimport BYTES, lane64, maximum, spread, total64

cdef extern from *:
    """
    /* when a residual reaches zero, FAR where it does not move there */
    #define FAR 1e300       /* no breakpoint */
    #define NOISE 1e-14     /* |u_i| below NOISE size_i ||d||_1 does not move row i */
    #define PIVOT 1e-7      /* a pivot is preferred above this, relative as NOISE */
    #define SLACK 1e-13     /* a coefficient this negative is zero: ||b||_1 is of order 1 */
    #define OPTIMAL 1e-13   /* a price this small is zero: ||a_j||_1, |y_i| are of order 1 */
    #define EXACT 1e-11     /* a step may move the interpolated rows by this, ||.||_1 */
    #define PROGRESS 1e-15  /* an objective that falls by less does not count as lower */
    #define fc_when(gap, rate, least) (fc_keep((rate) > (least), (gap) / (rate)) \\
                                       + fc_keep((rate) <= (least), (gap) - (gap) + FAR))
    #define fc_least(a, b) (fc_keep((a) < (b), a) + fc_keep((a) >= (b), b))
    """
    const double FAR, NOISE, PIVOT, SLACK, OPTIMAL, EXACT, PROGRESS
    lane64 when "fc_when"(lane64 gap, lane64 rate, lane64 least) nogil
    lane64 least "fc_least"(lane64 a, lane64 b) nogil

cdef enum:
    # `state`: the problem under way, k, steps used (-1: not begun), steps since the last refresh,
    # refreshes since the objective last fell, whether M was computed anew then; while M is computed
    # anew the columns done (-1: M stands), all of them, rows left, whether pivots were delicate
    CURRENT, SIZE, USED, SINCE, IDLE, AFRESH, BUILT, COLUMNS, LEFT, SHARPER
    STATE = 12
    PASSES = 8192           # sign changes per step at most; stopping early is still a descent


cdef struct Problem:
    Py_ssize_t m, n, ld, ldn
    Py_ssize_t k                # |P| = |I|
    Py_ssize_t entering         # the edge: the generator that enters, or -1 and
    Py_ssize_t leaving          # the position in I of the row that leaves
    const double* A
    const double* R
    const double* G
    const double* size
    const double* length        # n: ||a_j||_1
    const double* l1
    const double* perturbation
    const double* b
    double* x                   # n
    double* r                   # ld: b - perturbation - A x
    double* s                   # ld: signs, 0 on I and on padding
    double* u                   # ld: A d
    double* t                   # ld: the time at which a residual reaches zero
    double* row_norm            # ld: squared norms of the edges of the interpolated rows
    double* near                # ld / 16: least t of each register block
    double* lowest              # the least objective seen at a refresh
    double* norm                # ldn: squared norms of the edges of the generators
    double* q                   # ldn: A's
    double* g                   # ldn: prices of the generators
    double* y                   # ldn: prices of the interpolated rows
    double* d                   # ldn: the edge, in the order of P, the entering generator last
    double* alpha               # ldn
    double* beta                # ldn
    double* z                   # ldn: G d
    double* h                   # ldn: M'z_P
    double* best                # ldn: x of the least objective
    double* M                   # min(m, ldn) x ldn: k is at most m
    Py_ssize_t* state           # what survives from call to call, see the enum above
    Py_ssize_t* P               # n + 1: free generators, then the entering one
    Py_ssize_t* I               # n + 1: interpolated rows
    Py_ssize_t* pool            # n + 1
    Py_ssize_t* order           # n + 1
    Py_ssize_t* free            # n: 1 in P
    Py_ssize_t* rejected          # 2 n: edges that failed numerically: generators, positions in I
    Py_ssize_t* passed          # PASSES: rows that change sign in this step


cdef inline double nearest(const lane64* t) noexcept nogil:
    """The least time of a register block."""
    cdef lane64 low = t[0]
    cdef double best = FAR
    cdef int v
    for v in range(1, VECTORS):
        low = least(low, t[v])
    for v in range(BYTES // <int> sizeof(double)):
        best = min(best, (<double*> &low)[v])
    return best


cdef inline double breakpoints(Problem* f, double length) noexcept nogil:
    """t_i = s_i r_i / s_i u_i where residual i shrinks; returns the residuals' slope -s'u."""
    cdef double noise = NOISE * length
    cdef lane64 rate, total = zero, limit = spread(<const lane64*> &noise, 0)
    cdef const lane64* s = <const lane64*> f.s
    cdef const lane64* r = <const lane64*> f.r
    cdef const lane64* u = <const lane64*> f.u
    cdef const lane64* size = <const lane64*> f.size
    cdef lane64* t = <lane64*> f.t
    cdef Py_ssize_t block, i
    cdef int v
    for block in range(f.ld * <Py_ssize_t> sizeof(double) // (VECTORS * BYTES)):
        for v in range(VECTORS):
            i = block * VECTORS + v
            rate = s[i] * u[i]
            total = total + rate
            t[i] = when(maximum(s[i] * r[i], zero), rate, limit * size[i])
        f.near[block] = nearest(t + block * VECTORS)
    return -total64(total)


cdef inline Py_ssize_t next_breakpoint(Problem* f, double* time) noexcept nogil:
    """Take the row whose residual reaches zero next off the list; -1 if there is none."""
    cdef Py_ssize_t rows = VECTORS * BYTES // sizeof(double)
    cdef Py_ssize_t block, i, first = 0
    for block in range(1, f.ld // rows):
        if f.near[block] < f.near[first]:
            first = block
    time[0] = f.near[first]
    if time[0] >= FAR:
        return -1
    i = first * rows
    while f.t[i] != time[0]:
        i += 1
    f.t[i] = FAR
    f.near[first] = nearest(<const lane64*> (f.t + first * rows))
    return i


cdef inline Py_ssize_t blocking_bound(Problem* f, Py_ssize_t count, double length,
                                      double* time) noexcept nogil:
    """The free generator that reaches zero first, of near ties the fastest; -1 if there is none."""
    cdef double limit = FAR
    cdef Py_ssize_t k, found = -1
    for k in range(count):
        if f.d[k] < -NOISE * length:
            limit = min(limit, (f.x[f.P[k]] + SLACK) / -f.d[k])
    for k in range(count):
        if (f.d[k] < -NOISE * length and f.x[f.P[k]] / -f.d[k] <= limit
                and (found < 0 or f.d[k] < f.d[found])):
            found = k
    time[0] = FAR if found < 0 else f.x[f.P[found]] / -f.d[found]
    return found


cdef inline bint long_step(Problem* f, double slope, double length, double* time,
                           Py_ssize_t* column, Py_ssize_t* row, Py_ssize_t* passes) noexcept nogil:
    """Where the step ends: at `row` or at `column`; False where nothing ends it.

    On entry `column` and `time` tell the wall. A poor pivot is avoided by stopping sooner.
    """
    cdef Py_ssize_t i, good = 0
    cdef double t
    row[0] = -1
    passes[0] = 0
    while passes[0] < PASSES:
        i = next_breakpoint(f, &t)
        if i < 0 or t >= time[0]:
            break
        f.passed[passes[0]] = i
        passes[0] += 1
        if fabs(f.u[i]) > PIVOT * length * f.size[i]:
            good = passes[0]
        slope += 2 * fabs(f.u[i])
        if slope >= 0 or passes[0] == PASSES:
            column[0] = -1
            break
    if good and (column[0] < 0 or -f.d[column[0]] < PIVOT * length):
        column[0] = -1
        passes[0] = good
    if column[0] >= 0:
        return True
    if passes[0] == 0:
        return False
    passes[0] -= 1
    row[0] = i = f.passed[passes[0]]
    time[0] = max(f.s[i] * f.r[i], 0) / (f.s[i] * f.u[i])
    return True
