# SPDX-License-Identifier: BSD-3-Clause
"""Generators at their upper bound, and a first feasible point where the coefficients have a sum."""

from libc.string cimport memcpy

from fastcone._kernels.common.dense cimport axpy, gather
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
