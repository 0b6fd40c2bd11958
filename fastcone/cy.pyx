# SPDX-License-Identifier: BSD-3-Clause
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.math cimport NAN, fabs, frexp, isfinite, ldexp, sqrt

from fastcone cimport _dispatch

import numpy as np

cdef extern from *:
    """
    #define FC_FUZZ 32.0        /* as in fastcone/_nnls/exact.py */
    """
    const double FUZZ "FC_FUZZ"

cdef enum:
    CALL_WORK = 100_000_000     # flops between two looks at the signals


cdef struct Arrays:
    # where the parts of `work` and `index` begin
    double* rows            # m x n: A scaled
    double* columns         # n x m: the generators that entered
    double* target          # m: b scaled
    double* norm            # n
    double* price           # n
    double* l1              # n: zeros
    double* rest            # of the kernel
    Py_ssize_t* e           # n: exponents taken out of the columns
    Py_ssize_t* fetched     # n
    Py_ssize_t* order       # of the kernel


cdef Py_ssize_t nnls_work(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    return 2 * m * n + m + 3 * n + (m * n + n * n + m + 6 * n + 1)


cdef Py_ssize_t nnls_index(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    return 4 * n + 1


cdef Arrays cut(Py_ssize_t m, Py_ssize_t n, double* work, Py_ssize_t* index) noexcept nogil:
    """Lay the arrays out in the caller's work space."""
    cdef Arrays a
    a.rows, a.columns, a.target = work, work + m * n, work + 2 * m * n
    a.norm = a.target + m
    a.price, a.l1, a.rest = a.norm + n, a.norm + 2 * n, a.norm + 3 * n
    a.e, a.fetched, a.order = index, index + n, index + 2 * n
    return a


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


cdef bint prepare(Arrays* a, Py_ssize_t m, Py_ssize_t n, const double* A, Py_ssize_t row_stride,
                  Py_ssize_t column_stride, const double* b, Py_ssize_t b_stride, double* x,
                  int* unit) noexcept nogil:
    """Scale the problem and put x to 0; False if A or b holds NaN or infinity."""
    cdef double total = 0
    cdef Py_ssize_t i, j
    unit[0] = scale_target(m, b, b_stride, a.target)
    scale_generators(m, n, A, row_stride, column_stride, a.rows, a.price, a.norm, a.e)
    for j in range(n):
        total += a.norm[j]
        a.price[j] = ldexp(1, <int> a.e[j])
        a.l1[j] = x[j] = a.fetched[j] = 0
    for i in range(m):
        total += a.target[i] - a.target[i]
    return isfinite(total)


cdef Py_ssize_t descend(Arrays* a, Py_ssize_t m, Py_ssize_t n, double* x, Py_ssize_t max_steps,
                        bint resume) noexcept nogil:
    """Some steps of the kernel on a prepared problem."""
    return _dispatch._active_set.solve(m, n, a.rows, a.columns, a.fetched, a.target, a.norm,
                                       a.price, a.l1, FUZZ, x, max_steps, resume, a.rest, a.order)


cdef double finish(Arrays* a, Py_ssize_t m, Py_ssize_t n, int unit, double* x) noexcept nogil:
    """Bring x back to the caller's units; returns ||A x - b||."""
    cdef double total = 0
    cdef Py_ssize_t i, j
    for j in range(n):
        for i in range(m if x[j] != 0 else 0):
            a.target[i] -= a.columns[j * m + i] * x[j]
        x[j] = ldexp(x[j], unit - <int> a.e[j])
        total += x[j] - x[j]                    # not a number where x_j has overflowed
    for i in range(m):
        total += a.target[i] * a.target[i]
    return ldexp(sqrt(total), unit)


cdef Py_ssize_t nnls(Py_ssize_t m, Py_ssize_t n, const double* A, const double* b, double* x,
                     double* rnorm, Py_ssize_t max_steps, double* work,
                     Py_ssize_t* index) noexcept nogil:
    cdef Arrays a = cut(m, n, work, index)
    cdef int unit
    cdef Py_ssize_t steps
    if not prepare(&a, m, n, A, 1, m, b, 1, x, &unit):
        rnorm[0] = NAN
        return 0
    steps = descend(&a, m, n, x, max_steps, False)
    rnorm[0] = finish(&a, m, n, unit, x)
    return steps


def nnls_arrays(const double[:, :] A, const double[:] b, Py_ssize_t max_steps):
    """Return x, rnorm and whether one problem was solved; the caller has checked the shapes.

    rnorm is not a number if A or b holds NaN or infinity. Between some steps signals are seen.
    """
    cdef Py_ssize_t m = A.shape[0], n = A.shape[1], size = sizeof(double), steps = -1, used = 0
    cdef Py_ssize_t some = max(1, CALL_WORK // (6 * m * n + 1))
    cdef double rnorm = NAN
    cdef int unit = 0
    cdef Arrays a
    x = np.zeros(n)
    cdef double[::1] out = x
    cdef double* work = <double*> PyMem_Malloc(nnls_work(m, n) * size)
    cdef Py_ssize_t* index = <Py_ssize_t*> PyMem_Malloc(nnls_index(m, n) * sizeof(Py_ssize_t))
    try:
        if work == NULL or index == NULL:
            raise MemoryError
        a = cut(m, n, work, index)
        if prepare(&a, m, n, &A[0, 0], A.strides[0] // size, A.strides[1] // size, &b[0],
                   b.strides[0] // size, &out[0], &unit):
            while steps < 0 and used < max_steps:
                some = min(some, max_steps - used)
                with nogil:
                    steps = descend(&a, m, n, &out[0], some, used > 0)
                used += some
                PyErr_CheckSignals()
            rnorm = finish(&a, m, n, unit, &out[0])
    finally:
        PyMem_Free(work)
        PyMem_Free(index)
    return x, rnorm, steps >= 0
