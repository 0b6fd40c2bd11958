# SPDX-License-Identifier: BSD-3-Clause
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.math cimport NAN, fabs, frexp, isfinite, ldexp, sqrt

from fastcone cimport _dispatch

import numpy as np

cdef double FUZZ = 32       # as in fastcone/_nnls/exact.py


cdef Py_ssize_t nnls_work(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    # scaled A, its columns, b, norms, prices, penalties, and the kernel's own
    return 2 * m * n + m + 3 * n + (m * n + n * n + m + 6 * n)


cdef Py_ssize_t nnls_index(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    return 4 * n


cdef inline int exponent(double largest) noexcept nogil:
    """e with |largest| in [2^(e-1), 2^e), 0 for 0."""
    cdef int e = 0
    frexp(largest, &e)
    return e


cdef inline double times(double value, double half_unit) noexcept nogil:
    """value * half_unit^2: a power of two that a double may be too narrow to hold."""
    return value * half_unit * half_unit


cdef int scale_target(Py_ssize_t m, const double* b, Py_ssize_t stride,
                      double* target) noexcept nogil:
    """target = b with its largest entry brought near 1 by a power of four; returns its exponent."""
    cdef double largest = 0, half
    cdef Py_ssize_t i
    cdef int e
    for i in range(m):
        largest = max(largest, fabs(b[i * stride]))
    e = (exponent(largest) + 1) // 2
    half = ldexp(1, -e)
    for i in range(m):
        target[i] = times(b[i * stride], half)
    return 2 * e


cdef void scale_generators(Py_ssize_t m, Py_ssize_t n, const double* A, Py_ssize_t row_stride,
                           Py_ssize_t column_stride, double* rows, double* half, double* norm,
                           Py_ssize_t* e) noexcept nogil:
    """rows = A with columns scaled like `scale_target`; their norms and exponents."""
    cdef Py_ssize_t i, j
    for j in range(n):
        norm[j] = 0
    for i in range(m):
        for j in range(n):
            rows[i * n + j] = A[i * row_stride + j * column_stride]
            norm[j] = max(norm[j], fabs(rows[i * n + j]))
    for j in range(n):
        e[j] = (exponent(norm[j]) + 1) // 2 * 2
        half[j] = ldexp(1, -<int> e[j] // 2)
        norm[j] = 0
    for i in range(m):
        for j in range(n):
            rows[i * n + j] = times(rows[i * n + j], half[j])
            norm[j] += rows[i * n + j] * rows[i * n + j]
    for j in range(n):
        norm[j] = sqrt(norm[j])


cdef Py_ssize_t solve(Py_ssize_t m, Py_ssize_t n, const double* A, Py_ssize_t row_stride,
                      Py_ssize_t column_stride, const double* b, Py_ssize_t b_stride,
                      double* x, double* rnorm, Py_ssize_t max_steps, double* work,
                      Py_ssize_t* index) noexcept nogil:
    """`nnls` for arrays of any strides."""
    cdef double* rows = work
    cdef double* columns = rows + m * n
    cdef double* target = columns + m * n
    cdef double* norm = target + m
    cdef double* price = norm + n
    cdef double* l1 = price + n
    cdef Py_ssize_t* e = index + 2 * n
    cdef Py_ssize_t* fetched = e + n
    cdef double total = 0
    cdef Py_ssize_t i, j, steps
    cdef int unit = scale_target(m, b, b_stride, target)
    scale_generators(m, n, A, row_stride, column_stride, rows, price, norm, e)
    for j in range(n):
        total += norm[j]
        price[j] = ldexp(1, <int> e[j])
        l1[j] = x[j] = fetched[j] = 0
    if not isfinite(total):
        rnorm[0] = NAN
        return 0
    steps = _dispatch._active_set.solve(m, n, rows, columns, fetched, target, norm, price, l1,
                                        FUZZ, x, max_steps, l1 + n, index)
    for j in range(n):
        for i in range(m if x[j] != 0 else 0):
            target[i] -= columns[j * m + i] * x[j]
        x[j] = ldexp(x[j], unit - <int> e[j])
    total = 0
    for i in range(m):
        total += target[i] * target[i]
    rnorm[0] = ldexp(sqrt(total), unit)
    return steps


cdef Py_ssize_t nnls(Py_ssize_t m, Py_ssize_t n, const double* A, const double* b, double* x,
                     double* rnorm, Py_ssize_t max_steps, double* work,
                     Py_ssize_t* index) noexcept nogil:
    return solve(m, n, A, 1, m, b, 1, x, rnorm, max_steps, work, index)


def nnls_arrays(const double[:, :] A, const double[:] b, Py_ssize_t max_steps):
    """Return x, rnorm and the steps for one problem; the caller has checked the shapes."""
    cdef Py_ssize_t m = A.shape[0], n = A.shape[1], steps = 0
    cdef double rnorm = 0
    x = np.zeros(n)
    cdef double[::1] out = x
    cdef double* work = <double*> PyMem_Malloc(nnls_work(m, n) * sizeof(double))
    cdef Py_ssize_t* index = <Py_ssize_t*> PyMem_Malloc(nnls_index(m, n) * sizeof(Py_ssize_t))
    try:
        if work == NULL or index == NULL:
            raise MemoryError
        with nogil:
            steps = solve(m, n, &A[0, 0], A.strides[0] // sizeof(double),
                          A.strides[1] // sizeof(double), &b[0],
                          b.strides[0] // sizeof(double), &out[0], &rnorm, max_steps, work, index)
    finally:
        PyMem_Free(work)
        PyMem_Free(index)
    return x, rnorm, steps
