# SPDX-License-Identifier: BSD-3-Clause
from libc.math cimport fabs, frexp, ldexp, sqrt
from libc.string cimport memset

from fastcone cimport _dispatch


cdef Py_ssize_t nnls_work(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    # scaled A and b, norms, prices, penalties, and the kernel's own
    return m * n + m + 3 * n + (m * n + n * n + m + 4 * n)


cdef Py_ssize_t nnls_index(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    return 4 * n


cdef inline int scale_into(Py_ssize_t m, const double* a, double* scaled) noexcept nogil:
    """Copy a with its largest entry brought into [1/2, 1); returns the exponent taken out."""
    cdef double largest = 0
    cdef int e = 0
    cdef Py_ssize_t i
    for i in range(m):
        largest = max(largest, fabs(a[i]))
    frexp(largest, &e)
    for i in range(m):
        scaled[i] = ldexp(a[i], -e)
    return e


cdef Py_ssize_t nnls(Py_ssize_t m, Py_ssize_t n, const double* A, const double* b, double* x,
                     double* rnorm, Py_ssize_t max_steps, double* work,
                     Py_ssize_t* index) noexcept nogil:
    cdef double* scaled = work
    cdef double* target = scaled + m * n
    cdef double* norm = target + m
    cdef double* price = norm + n
    cdef double* l1 = price + n
    cdef Py_ssize_t* exponent = index + 3 * n
    cdef double total, residual
    cdef Py_ssize_t i, j, steps
    cdef int unit = scale_into(m, b, target)
    memset(l1, 0, n * sizeof(double))
    for j in range(n):
        exponent[j] = scale_into(m, A + j * m, scaled + j * m)
        price[j] = ldexp(1, <int> exponent[j])
        total = 0
        for i in range(m):
            total += scaled[j * m + i] * scaled[j * m + i]
        norm[j] = sqrt(total)
    steps = _dispatch._active_set.solve(m, n, scaled, target, norm, price, l1, 32, x, max_steps,
                                        l1 + n, index)
    total = 0
    for i in range(m):
        residual = -target[i]
        for j in range(n):
            residual += scaled[j * m + i] * x[j]
        total += residual * residual
    rnorm[0] = ldexp(sqrt(total), unit)
    for j in range(n):
        x[j] = ldexp(x[j], unit - <int> exponent[j])
    return steps
