# SPDX-License-Identifier: BSD-3-Clause
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.math cimport fabs, frexp, ldexp, sqrt

from fastcone cimport _dispatch

import numpy as np

cdef double FUZZ = 32       # as in fastcone/_nnls/exact.py


cdef Py_ssize_t nnls_work(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    # scaled A, twice, and b, norms, prices, penalties, and the kernel's own
    return 2 * m * n + m + 3 * n + (m * n + n * n + m + 5 * n)


cdef Py_ssize_t nnls_index(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    return 4 * n


cdef inline double scale_into(Py_ssize_t m, const double* a, Py_ssize_t stride, double* scaled,
                              int* exponent) noexcept nogil:
    """Copy a with its largest entry brought into [1/2, 1); returns the squared norm of the copy."""
    cdef double largest = 0, total = 0
    cdef Py_ssize_t i
    for i in range(m):
        largest = max(largest, fabs(a[i * stride]))
    frexp(largest, exponent)
    for i in range(m):
        scaled[i] = ldexp(a[i * stride], -exponent[0])
        total += scaled[i] * scaled[i]
    return total


cdef Py_ssize_t solve(Py_ssize_t m, Py_ssize_t n, const double* A, Py_ssize_t row_stride,
                      Py_ssize_t column_stride, const double* b, double* x, double* rnorm,
                      Py_ssize_t max_steps, double* work, Py_ssize_t* index) noexcept nogil:
    """`nnls` for generators of any strides."""
    cdef double* scaled = work
    cdef double* rows = scaled + m * n
    cdef double* target = rows + m * n
    cdef double* norm = target + m
    cdef double* price = norm + n
    cdef double* l1 = price + n
    cdef Py_ssize_t* exponent = index + 3 * n
    cdef double total = 0
    cdef Py_ssize_t i, j, steps
    cdef int e, unit
    scale_into(m, b, 1, target, &unit)
    for j in range(n):
        norm[j] = sqrt(scale_into(m, A + j * column_stride, row_stride, scaled + j * m, &e))
        exponent[j] = e
        price[j] = ldexp(1, e)
        l1[j] = x[j] = 0
    for i in range(m):
        for j in range(n):
            rows[i * n + j] = scaled[j * m + i]
    steps = _dispatch._active_set.solve(m, n, scaled, rows, target, norm, price, l1, FUZZ, x, max_steps,
                                        l1 + n, index)
    for j in range(n):
        for i in range(m if x[j] != 0 else 0):
            target[i] -= scaled[j * m + i] * x[j]
        x[j] = ldexp(x[j], unit - <int> exponent[j])
    for i in range(m):
        total += target[i] * target[i]
    rnorm[0] = ldexp(sqrt(total), unit)
    return steps


cdef Py_ssize_t nnls(Py_ssize_t m, Py_ssize_t n, const double* A, const double* b, double* x,
                     double* rnorm, Py_ssize_t max_steps, double* work,
                     Py_ssize_t* index) noexcept nogil:
    return solve(m, n, A, 1, m, b, x, rnorm, max_steps, work, index)


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
                          A.strides[1] // sizeof(double), &b[0], &out[0], &rnorm, max_steps, work,
                          index)
    finally:
        PyMem_Free(work)
        PyMem_Free(index)
    return x, rnorm, steps
