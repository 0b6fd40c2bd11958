# SPDX-License-Identifier: BSD-3-Clause
"""Many small problems, each with generators of its own: the exact solver and a gap for each.

The gap is the least of f(x) and the shift's bound, y0 = A z, z_j = 1 / ||a_j|| (docs/nnls.md), each
taken at its worst within the roundings of its sums.
"""
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.math cimport INFINITY, NAN, fabs, sqrt

from fastcone._nnls.single cimport nnls_index, nnls_strided, nnls_work

cdef extern from *:
    """
    #define FC_UNIT 1.1102230246251565e-16      /* unit roundoff of float64 */
    """
    const double UNIT "FC_UNIT"


cdef double gap_of(Py_ssize_t m, Py_ssize_t n, const double* A, Py_ssize_t row,
                   Py_ssize_t column, const double* b, Py_ssize_t stride, const double* x,
                   double* violation, double* work) noexcept nogil:
    """An upper bound of f(x) - f* relative to f(0); violation is written. work: 2 m + n numbers."""
    cdef double* r = work           # b - A x
    cdef double* y = work + m       # A z
    cdef double* norm = work + 2 * m
    cdef double bb = 0, rr = 0, yy = 0, size = 0, gain = 0, mass = 0, shift = 0
    cdef double error, allowed, value, g, a
    cdef bint pointed = True
    cdef Py_ssize_t i, j
    violation[0] = 0
    for i in range(m):
        r[i], y[i] = b[i * stride], 0
        bb += r[i] * r[i]
    for j in range(n):
        norm[j] = 0
        for i in range(m):
            norm[j] += A[i * row + j * column] * A[i * row + j * column]
        norm[j] = sqrt(norm[j])
        size += norm[j] * x[j]
        for i in range(m):
            r[i] -= A[i * row + j * column] * x[j]
            y[i] += A[i * row + j * column] / norm[j] if norm[j] > 0 else 0
    for i in range(m):
        rr += r[i] * r[i]
        yy += y[i] * y[i]
    # r is off by (n + 3) u (||b|| + sum_j ||a_j|| x_j) at most, A'r by (m + 3) u ||r|| more
    error = 1.01 * UNIT * ((n + 4) * (sqrt(bb) + size) + (m + 4) * sqrt(rr))
    for j in range(n):
        if norm[j] == 0:
            continue
        g = a = 0
        for i in range(m):
            g -= A[i * row + j * column] * r[i]
            a += A[i * row + j * column] * y[i]
        violation[0] = max(violation[0], fabs(min(x[j], g)))
        allowed = error * norm[j]
        gain += x[j] * (g + allowed)
        value = 1.01 * UNIT * (m + n + 8) * n * norm[j]
        mass += x[j] * (a + value)
        if not a - value > 1e-8 * norm[j]:
            pointed = False
        elif allowed - g > 0:
            shift = max(shift, (allowed - g) / (a - value))
    value = rr / 2 + error * (sqrt(rr) + error)
    gain = max(gain, 0.0) + shift * mass + shift * shift * yy * (1 + 1e-10) / 2
    if gain - gain != 0 or value - value != 0:
        return INFINITY
    value = min(value, gain) if pointed else value
    return 0 if value == 0 else value / (bb / 2) * (1 + 1e-12)


def nnls_stack(const double[:, :, :] A, const double[:, :] B, double[:, ::1] X,
               double[:, ::1] known, Py_ssize_t[::1] steps, Py_ssize_t first, Py_ssize_t last,
               Py_ssize_t max_steps):
    """Solve the problems first..last-1 of A (p, m, n) and B (p, m), in float64.

    X (p, n), known (3, p) - objective, gap, violation - and steps (p,) are written; steps are
    -1 - steps where `max_steps` were too few, the gap inf where a problem is not finite.
    """
    cdef Py_ssize_t m = A.shape[1], n = A.shape[2], r, size = sizeof(double)
    cdef Py_ssize_t row = A.strides[1] // size, column = A.strides[2] // size
    cdef double rnorm = NAN
    assert B.shape[0] == A.shape[0] == X.shape[0] and B.shape[1] == m and X.shape[1] == n
    assert known.shape[0] == 3 and known.shape[1] == A.shape[0] == steps.shape[0]
    assert 0 <= first <= last <= A.shape[0] and m > 0 and n > 0
    cdef double* work = <double*> PyMem_Malloc((nnls_work(m, n) + 2 * m + n) * size)
    cdef Py_ssize_t* index = <Py_ssize_t*> PyMem_Malloc(nnls_index(m, n) * sizeof(Py_ssize_t))
    try:
        if work == NULL or index == NULL:
            raise MemoryError
        with nogil:
            for r in range(first, last):
                steps[r] = nnls_strided(m, n, &A[r, 0, 0], row, column, &B[r, 0],
                                        B.strides[1] // size, &X[r, 0], &rnorm, max_steps,
                                        work + 2 * m + n, index)
                known[1, r] = gap_of(m, n, &A[r, 0, 0], row, column, &B[r, 0],
                                     B.strides[1] // size, &X[r, 0], &known[2, r], work)
                known[0, r] = rnorm * rnorm / 2
    finally:
        PyMem_Free(work)
        PyMem_Free(index)
