# SPDX-License-Identifier: BSD-3-Clause
"""Prices of the least absolute deviations problem, and the edges that leave a vertex.

See simplex.pyx for the method, ratio_test.pxd for the names.
"""

from libc.math cimport fabs
from libc.string cimport memset

from fastcone._kernels.common.dense cimport gemv_add, gemv_n, gather, padded, gemv, gemv_t
from fastcone._kernels.nnlad.ratio_test cimport (
    EXACT, NOISE, OPTIMAL, Problem, breakpoints, long_step, blocking_bound,
)


cdef inline void set_prices(Problem* f) noexcept nogil:
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
        gemv_t(f.k, f.ldn, f.M, f.beta, f.alpha)
        for k in range(f.k):
            f.y[k] += f.alpha[k]
            f.alpha[k] = -f.alpha[k]
        gemv_add(f.ldn, f.R, f.ldn, f.k, f.I, f.alpha, f.g)


cdef inline bint price(Problem* f) noexcept nogil:
    """Find the steepest edge (f.entering or f.leaving); False where none descends."""
    cdef double best = 0, fall
    cdef Py_ssize_t j, k
    set_prices(f)
    f.entering = f.leaving = -1
    for j in range(f.n):
        fall = fabs(f.g[j]) if f.x[j] > 0 else -f.g[j]
        if (fall > OPTIMAL and fall * fall > best * f.norm[j] and f.l1[j] < f.length[j]
                and not (f.free[j] or f.rejected[j])):
            best = fall * fall / f.norm[j]
            f.entering = j
    for k in range(f.k):
        fall = fabs(f.y[k]) - 1
        if (fall > OPTIMAL and fall * fall > best * f.row_norm[f.I[k]]
                and not f.rejected[f.n + k]):
            best = fall * fall / f.row_norm[f.I[k]]
            f.leaving = k
            f.entering = -1
    return f.entering >= 0 or f.leaving >= 0


cdef inline Py_ssize_t edge(Problem* f) noexcept nogil:
    """The direction d of the generators P[:count]; returns count."""
    cdef Py_ssize_t k
    cdef double sign
    if f.entering >= 0:
        gather(f.k, f.A + f.entering * f.ld, f.I, f.beta)
        gemv(f.k, f.ldn, f.M, f.beta, f.d)
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


cdef inline double one_norm(Py_ssize_t count, const double* d) noexcept nogil:
    """||d||_1"""
    cdef double total = 0
    cdef Py_ssize_t k
    for k in range(count):
        total += fabs(d[k])
    return total


cdef inline double follow(Problem* f, Py_ssize_t count) noexcept nogil:
    """u = A d; returns how fast the interpolated rows leave zero, which is rounding."""
    cdef double drift = 0
    cdef Py_ssize_t k
    gemv_n(f.ld, f.A, count, f.P, f.d, f.u)
    if f.leaving >= 0:                          # the row that leaves moves at the rate of its sign
        f.u[f.I[f.leaving]] += f.s[f.I[f.leaving]]
    for k in range(f.k):
        drift += fabs(f.u[f.I[k]])
    return drift


cdef inline void straighten(Problem* f) noexcept nogil:
    """d <- d - M u_I"""
    cdef Py_ssize_t k
    gather(f.k, f.u, f.I, f.beta)
    gemv(f.k, f.ldn, f.M, f.beta, f.alpha)
    for k in range(f.k):
        f.d[k] -= f.alpha[k]


cdef inline bint ratio_test(Problem* f, Py_ssize_t count, double* time, Py_ssize_t* column,
                            Py_ssize_t* row, Py_ssize_t* passes) noexcept nogil:
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
        column[0] = blocking_bound(f, count, length, time)
        if slope >= 0 or not long_step(f, slope, length, time, column, row, passes):
            return False
        if drift * time[0] <= EXACT:
            return True
        if tries == 0:
            follow(f, count)
            straighten(f)
    return drift <= NOISE * length
