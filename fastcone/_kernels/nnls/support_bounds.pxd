# SPDX-License-Identifier: BSD-3-Clause
"""Generators at their upper bound, and a first feasible point where the coefficients have a sum."""

from libc.string cimport memcpy

from fastcone._kernels.common.dense cimport axpy, dot, gather, gemv_add, padded
from fastcone._kernels.nnls.support_factor cimport Problem, combine, enter, minimiser


cdef inline bint is_upper(const Problem* f, Py_ssize_t j) noexcept nogil:
    """Whether x_j is at its upper bound, which is not 0."""
    return f.upper != NULL and f.upper[j] > 0 and f.x[j] >= f.upper[j]


cdef inline void to_bound(Problem* f, Py_ssize_t j, double sign) noexcept nogil:
    """Take what a generator at its upper bound explains out of c and the sum (1), or put it back
    (-1).
    """
    axpy(f.ld, -sign * f.upper[j], f.G + j * f.ld, f.reduced)
    if f.weight != NULL:
        f.rest -= sign * f.weight[j] * f.upper[j]


cdef inline void resolve(Problem* f) noexcept nogil:
    """y and the minimiser for a `target` that has changed."""
    gather(f.k, f.target, f.P, f.part)
    combine(f.k, f.row, f.columns, False, f.part, f.y)
    combine(f.k, f.row, f.W, True, f.y, f.free)
    minimiser(f)


cdef inline bint first_point(Problem* f) noexcept nogil:
    """Fill generators up, the most useful first, until the sum is reached; the last one is P.

    False where none is left between its bounds.
    """
    cdef Py_ssize_t j, best
    cdef double value, least, change
    memcpy(f.g, f.c, f.ld * sizeof(double))     # c - G x
    while True:
        best, least = -1, 0
        for j in range(f.n):
            if f.outside[j] > 0 and f.rootinv[j] > 0:
                value = min(f.rest / f.weight[j], f.upper[j]) if f.upper != NULL else (
                    f.rest / f.weight[j])
                change = value * (f.G[j * f.ld + j] * value / 2 - f.g[j])
                if best < 0 or change < least:
                    best, least = j, change
        if best < 0:
            return False
        value = f.rest / f.weight[best]
        if f.upper == NULL or value < f.upper[best]:
            f.x[best] = value
            return enter(f, best)
        f.x[best], f.outside[best] = f.upper[best], -1
        axpy(f.ld, -f.upper[best], f.G + best * f.ld, f.g)
        to_bound(f, best, 1)


cdef inline double correct_sum(Problem* f, double total) noexcept nogil:
    """entering = W g_P, for a step after which weight'x = total: less mu t; returns mu."""
    cdef double mu = total
    cdef Py_ssize_t i, j
    for j in range(f.n):
        mu -= f.weight[j] * f.x[j]
    for i in range(f.k, padded(f.k)):
        f.entering[i] = 0
    mu = (mu + dot(padded(f.k), f.t, f.entering)) / dot(padded(f.k), f.t, f.t)
    for i in range(f.k):
        f.entering[i] -= mu * f.t[i]
    return mu


cdef inline double keep_sum(Problem* f, double total) noexcept nogil:
    """The step along W't that ends at the sum, which a large z missed; g follows. Returns mu."""
    cdef double mu = total
    cdef Py_ssize_t i, j
    for j in range(f.n):
        mu -= f.weight[j] * f.x[j]
    mu /= dot(padded(f.k), f.t, f.t)
    for i in range(f.k):
        j = f.P[i]
        f.z[i] = mu * f.slope[i]
        f.x[j] = max(f.x[j] + f.z[i], 0)
        if f.upper != NULL:
            f.x[j] = min(f.x[j], f.upper[j])
    gemv_add(f.ld, f.G, f.ld, f.k, f.P, f.z, f.g)
    return mu


cdef inline bint inside(Problem* f) noexcept nogil:
    """Whether x_P - z stays between the bounds."""
    cdef Py_ssize_t i
    cdef double value
    for i in range(f.k):
        value = f.x[f.P[i]] - f.z[i]
        if not value > 0 or (f.upper != NULL and not value < f.upper[f.P[i]]):
            return False
    return True
