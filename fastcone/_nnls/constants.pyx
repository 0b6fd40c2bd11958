# SPDX-License-Identifier: BSD-3-Clause
"""The constants of generators and of their Gram matrix, a pass or two each: see prepare.py.

For a few generators a handful of array operations would take longer than the problem.
"""
from libc.math cimport fabs, frexp, ldexp, sqrt

import numpy as np

from fastcone._kernels.common.lanes cimport real
from fastcone._kernels.nnls.report_columns cimport (
    COORDINATE_COLUMNS, HALF_CURVATURE, INVERSE_CURVATURE, INVERSE_SCALE, INVERSE_SHIFT, ROOT,
    SCALE, SHIFT_ENTRY,
)
from fastcone._nnls.single_memory cimport even_out

cdef enum:
    BLOCK = 16          # entries of a generator that are read before those of the next
    STEPS = 8           # of the power methods: eigenvalues to some per cent, as the limits need

cdef extern from *:
    """
    static const double FC_SHARES[4] = {0.95, 0.8, 0.5, 0.1};
    """
    const double* PARTS "FC_SHARES"     # of an estimated eigenvalue that are tried as a bound

POWER_STEPS, SHARES = STEPS, (PARTS[0], PARTS[1], PARTS[2], PARTS[3])


def scaled_generators(const real[:, :] A, real[:, ::1] rows):
    """rows (n, m padded) = A' 2^e, the largest of a row in [1/2, 1) or 0; returns e (n,)."""
    cdef Py_ssize_t m = A.shape[0], n = A.shape[1], i, j, block, first, last
    exponent, peak = np.empty(n, np.intc), np.zeros(n)
    cdef int[::1] e = exponent
    cdef double[::1] largest = peak
    cdef int far = 0, limit = 60 if real is float else 500
    cdef bint by_columns = abs(A.strides[0]) < abs(A.strides[1])
    assert rows.shape[0] == n and rows.shape[1] >= m
    with nogil:
        for i in range(n if by_columns else m):
            for j in range(m if by_columns else n):
                if by_columns:
                    largest[i] = max(largest[i], fabs(A[j, i]))
                else:
                    largest[j] = max(largest[j], fabs(A[i, j]))
        for j in range(n):
            e[j] = 0
            frexp(largest[j], &e[j])
            e[j] = -e[j]
            far = max(far, abs(e[j]))
            largest[j] = ldexp(1, e[j]) if abs(e[j]) <= limit else 0
        for block in range((m + BLOCK - 1) // BLOCK):       # a line of each row at a time
            first, last = BLOCK * block, min(m, BLOCK * (block + 1))
            for j in range(n):
                for i in range(first, last):
                    rows[j, i] = <real> (A[i, j] * largest[j] if far <= limit
                                         else ldexp(A[i, j], e[j]))
        for j in range(n):
            for i in range(m, rows.shape[1]):
                rows[j, i] = 0
    return exponent


def evened(const double[:, ::1] columns, Py_ssize_t m, const int[::1] exponent):
    """Return powers of two by which to divide generators (n, m padded), as `even_out` says.

    exponent: the powers that bring them to common units.
    """
    cdef Py_ssize_t n = columns.shape[0], j
    found, room = np.empty(n, np.intp), np.empty(m + 1)
    cdef Py_ssize_t[::1] e = found
    cdef double[::1] row_size = room
    assert m <= columns.shape[1] and exponent.shape[0] == n
    for j in range(n):
        e[j] = exponent[j]
    if n:
        even_out(m, n, columns.shape[1], &columns[0, 0], &row_size[0], &e[0])
    return found


def gram_constants(const double[:, :] G, const double[::1] ridge, const int[::1] exponent):
    """Return ||a_j||, sqrt(G_jj), its inverse (0 for 0), max ||a_j|| / min in given units, and
    the largest |exponent|.
    """
    cdef Py_ssize_t n = G.shape[0], j
    cdef int far = 0
    cdef double most = 0, least = 0, size
    norm, root, rootinv = np.empty((3, n))
    cdef double[::1] norms = norm, roots = root, inverses = rootinv
    assert G.shape[1] == n == ridge.shape[0] == exponent.shape[0]
    for j in range(n):
        far = max(far, abs(exponent[j]))
        norms[j] = sqrt(max(G[j, j] - ridge[j], 0))
        roots[j] = sqrt(G[j, j])
        inverses[j] = 1 / roots[j] if G[j, j] > 0 else 0
        if norms[j] > 0:
            size = ldexp(norms[j], -exponent[j])
            most = max(most, size)
            least = size if least == 0 else min(least, size)
    return norm, root, rootinv, most / least if least > 0 else 1.0, far


cdef bint cholesky(Py_ssize_t n, const double* G, double less, double* L) noexcept nogil:
    """Write L, lower, of G - less I; False where there is none."""
    cdef Py_ssize_t i, j, k
    cdef double value
    for i in range(n):
        for j in range(i + 1):
            value = G[i * n + j] - (less if i == j else 0)
            for k in range(j):
                value -= L[i * n + k] * L[j * n + k]
            if i > j:
                L[i * n + j] = value * L[j * n + j]
            elif value > 0:
                L[i * n + i] = 1 / sqrt(value)      # the inverse of the diagonal
            else:
                return False
    return True


cdef double normalise(Py_ssize_t n, double* v) noexcept nogil:
    """v / ||v||; returns ||v||."""
    cdef double size = 0
    cdef Py_ssize_t i
    for i in range(n):
        size += v[i] * v[i]
    size = sqrt(size)
    for i in range(n):
        v[i] /= size
    return size


cdef double inverse_step(Py_ssize_t n, const double* L, double* v) noexcept nogil:
    """v <- (L L')^-1 v / ||v||; returns the length of the new v."""
    cdef double value, size = 0
    cdef Py_ssize_t i, k
    normalise(n, v)
    for i in range(n):
        value = v[i]
        for k in range(i):
            value -= L[i * n + k] * v[k]
        v[i] = value * L[i * n + i]
    for i in range(n - 1, -1, -1):
        value = v[i]
        for k in range(i + 1, n):
            value -= L[k * n + i] * v[k]
        v[i] = value * L[i * n + i]
        size += v[i] * v[i]
    return sqrt(size)


def inverse_of(const double[:, :] G, Py_ssize_t ld):
    """Return G^-1 of a few generators, rows padded with zeros to ld; zeros where there is none."""
    cdef Py_ssize_t n = G.shape[0], i, j
    inverse = np.zeros((n, ld))
    cdef double[:, ::1] out = inverse
    cdef double[:, ::1] room = np.empty((2 * n, n))
    assert G.shape[1] == n <= ld and n > 0
    for i in range(n):
        for j in range(n):
            room[i, j] = G[i, j]
    if cholesky(n, &room[0, 0], 0, &room[n, 0]):
        for i in range(n):
            out[i, i] = 1
            inverse_step(n, &room[n, 0], &out[i, 0])
    return inverse


def small_spectrum(const double[:, :] G, const double[::1] rootinv, bint singular):
    """Return a bound of the least eigenvalue, before its allowance, and about the largest.

    Those of G with unit diagonal, for a few generators; then its largest sum of a column's sizes.
    The bound is a share of what inverse iteration finds, for which a Cholesky factor exists; 0
    where G is known to be `singular`. A generator that is zero counts as orthogonal to the others.
    """
    cdef Py_ssize_t n = G.shape[0], i, j, _turn
    cdef double top, least, value, widest = 0, estimate = 1
    cdef double[:, ::1] room = np.empty((2 * n + 2, max(n, 1)))
    cdef double* unit = &room[0, 0]
    cdef double* L
    cdef double* v
    cdef double* w
    assert G.shape[1] == n == rootinv.shape[0]
    if n == 0:
        return 1.0, 1.0, 0.0
    L, v, w = &room[n, 0], &room[2 * n, 0], &room[2 * n + 1, 0]
    for i in range(n):
        value = 0
        for j in range(n):
            unit[i * n + j] = G[i, j] * rootinv[i] * rootinv[j]
            value += fabs(unit[i * n + j])
        if rootinv[i] == 0:
            unit[i * n + i] = value = 1
        widest = max(widest, value)
        v[i] = 1.5 + (i % 3) / 4.0
    for _turn in range(STEPS):
        normalise(n, v)
        for i in range(n):
            value = 0
            for j in range(n):
                value += unit[i * n + j] * v[j]
            w[i] = value
        for i in range(n):
            v[i] = w[i]
    top = max(1.0, normalise(n, v))
    if singular or not cholesky(n, unit, 0, L):
        return 0.0, top, widest
    for i in range(n):
        v[i] = 1 - 2 * (i % 2) + (i % 3) / 4.0
    for _turn in range(STEPS):
        estimate = inverse_step(n, L, v)
    for i in range(4):
        least = PARTS[i] / estimate
        if cholesky(n, unit, least, L):
            return least, top, widest
    return 0.0, top, widest


def shift_bounds(const double[:, :] G, const double[::1] z, const double[::1] root,
                 double rounding, double pointed_from):
    """Return bounds of a = G z from below and above, of z'G z, and whether a > 0 holds."""
    cdef Py_ssize_t n = G.shape[0], i, j
    cdef double size = 0, slack, norm2 = 0, value
    cdef bint pointed = True
    low, high = np.empty((2, n))
    cdef double[::1] below = low, above = high
    assert G.shape[1] == n == z.shape[0] == root.shape[0]
    with nogil:
        for j in range(n):
            size += root[j] * z[j]
        for i in range(n):
            value = 0
            for j in range(n):
                value += G[i, j] * z[j]
            slack = rounding * root[i] * size
            below[i], above[i] = value - slack, value + slack
            norm2 += z[i] * (value + slack)
            if root[i] > 0 and not below[i] > pointed_from * root[i]:
                pointed = False
    return low, high, norm2, pointed


def coordinates(Py_ssize_t padded, const double[::1] root, const double[::1] rootinv,
                const int[::1] exponent, double lam, const double[::1] low,
                const double[::1] high, bint pointed):
    """Return the columns of a report's coordinates, (n padded, COORDINATE_COLUMNS)."""
    cdef Py_ssize_t n = root.shape[0], j
    coord = np.zeros((padded, <int> COORDINATE_COLUMNS))
    cdef double[:, ::1] out = coord
    assert padded >= n == rootinv.shape[0] == exponent.shape[0] == low.shape[0] == high.shape[0]
    for j in range(n):
        out[j, <int> ROOT] = root[j]
        if lam > 0:
            out[j, <int> INVERSE_CURVATURE] = rootinv[j] * rootinv[j] / lam
            out[j, <int> HALF_CURVATURE] = lam * root[j] * root[j] / 2
        if pointed:
            out[j, <int> INVERSE_SHIFT] = 1 / low[j] if root[j] > 0 else 0
            out[j, <int> SHIFT_ENTRY] = high[j]
        out[j, <int> SCALE] = ldexp(1, exponent[j])
        out[j, <int> INVERSE_SCALE] = ldexp(1, -exponent[j])
    return coord
