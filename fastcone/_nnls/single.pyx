# SPDX-License-Identifier: BSD-3-Clause
"""One problem, exactly, in the caller's units: what `nnls` and `fastcone.cy` share.

The arrays, their lengths and what is returned: fastcone/cy.pxd.
"""
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.math cimport NAN, fabs, frexp, isfinite, ldexp, sqrt

from fastcone._kernels.common.dense cimport padded
from fastcone._kernels.common.span cimport aligned
from fastcone._nnls.kernels cimport active_set_work
from fastcone._runtime.dispatch cimport active_set_table

import numpy as np

cdef extern from *:
    """
    #define FC_DEPENDENCE_TOL 32.0        /* as in fastcone/_nnls/active_set.py */
    """
    const double DEPENDENCE_TOL "FC_DEPENDENCE_TOL"

cdef enum:
    CALL_WORK = 100_000_000     # flops between two looks at the signals
    FAR = 900                   # powers of two between weights: more, and gradients would underflow


cdef struct Arrays:
    # where the parts of `work` and `index` begin
    const double* rows      # m x n: A itself, or `copy`
    double* copy            # m x n: A scaled
    double* columns         # n x ld: the generators that entered
    double* target          # ld: b scaled, padded with zeros
    double* norm            # n
    double* entry_weight           # n
    double* l1              # n: zeros
    double* rest            # of the kernel
    Py_ssize_t* e           # n: exponents taken out of the columns
    Py_ssize_t* fetched     # n
    Py_ssize_t* order       # of the kernel


cdef Py_ssize_t nnls_work(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    return (n + 1) * padded(m) + 7 + m * n + 3 * n + active_set_work(m, n)


cdef Py_ssize_t nnls_index(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    return 4 * n + 2


cdef Arrays cut(Py_ssize_t m, Py_ssize_t n, double* work, Py_ssize_t* index) noexcept nogil:
    """Lay the arrays out in the caller's work space."""
    cdef Arrays a
    a.columns = aligned(work)
    a.target = a.columns + n * padded(m)
    a.rows = a.copy = a.target + padded(m)
    a.norm = a.copy + m * n
    a.entry_weight, a.l1, a.rest = a.norm + n, a.norm + 2 * n, a.norm + 3 * n
    a.e, a.fetched, a.order = index, index + n, index + 2 * n
    return a


cdef inline int exponent(double largest) noexcept nogil:
    """e with |largest| in [2^(e-1), 2^e), 0 for 0."""
    cdef int e = 0
    frexp(largest, &e)
    return e


cdef void set_entry_weights(Py_ssize_t n, const double* norm, const Py_ssize_t* e,
                            double* entry_weight) noexcept nogil:
    """entry_weight_j = 2^e_j up to a factor: gradients in the caller's units tell who enters."""
    cdef Py_ssize_t j, top = 0
    cdef bint any = False
    for j in range(n):
        if norm[j] > 0 and (not any or e[j] > top):
            any, top = True, e[j]
    for j in range(n):
        entry_weight[j] = ldexp(1, <int> max(min(e[j] - top, <Py_ssize_t> 0), -<Py_ssize_t> FAR))


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


cdef void measure(Py_ssize_t m, Py_ssize_t n, const double* rows, double* norm) noexcept nogil:
    """norm_j = ||a_j||^2"""
    cdef const double* a
    cdef Py_ssize_t i, j
    for j in range(n):
        norm[j] = 0
    for i in range(m // 4):
        a = rows + 4 * i * n
        for j in range(n):
            norm[j] += (a[j] * a[j] + a[n + j] * a[n + j]) + (
                a[2 * n + j] * a[2 * n + j] + a[3 * n + j] * a[3 * n + j])
    for i in range(m - m % 4, m):
        for j in range(n):
            norm[j] += rows[i * n + j] * rows[i * n + j]


cdef bint usable(Py_ssize_t n, const double* norm) noexcept nogil:
    """Whether squared norms are so far from over- and underflow that nothing needs scaling."""
    cdef Py_ssize_t j
    cdef bint far = True
    for j in range(n):
        far = far and 1e-150 < norm[j] < 1e150
    return far


cdef void scale_generators(Py_ssize_t m, Py_ssize_t n, const double* A, Py_ssize_t row_stride,
                           Py_ssize_t column_stride, double* rows, double* largest,
                           Py_ssize_t* e) noexcept nogil:
    """rows = A with columns scaled like `scale_target`, and their exponents."""
    cdef double* half = largest
    cdef Py_ssize_t i, j
    for j in range(n):
        largest[j] = 0
    for i in range(m):
        for j in range(n):
            rows[i * n + j] = A[i * row_stride + j * column_stride]
            largest[j] = max(largest[j], fabs(rows[i * n + j]))
    for j in range(n):
        e[j] = (exponent(largest[j]) + 1) // 2 * 2
        half[j] = ldexp(1, -<int> e[j] // 2)
    for i in range(m):
        for j in range(n):
            rows[i * n + j] = times(rows[i * n + j], half[j])


cdef bint prepare(Arrays* a, Py_ssize_t m, Py_ssize_t n, const double* A, Py_ssize_t row_stride,
                  Py_ssize_t column_stride, const double* b, Py_ssize_t b_stride, double* x,
                  int* unit) noexcept nogil:
    """Scale the problem, where it must be, and put x to 0; False if A or b is not finite."""
    cdef double total = 0
    cdef bint ready = column_stride == 1 and row_stride == n
    cdef Py_ssize_t i, j
    unit[0] = scale_target(m, b, b_stride, a.target)
    for j in range(n):
        a.e[j] = 0
    if ready:
        a.rows = A
        measure(m, n, a.rows, a.norm)
    if not ready or not usable(n, a.norm):
        scale_generators(m, n, A, row_stride, column_stride, a.copy, a.entry_weight, a.e)
        a.rows = a.copy
        measure(m, n, a.rows, a.norm)
    for j in range(n):
        a.norm[j] = sqrt(a.norm[j])
        total += a.norm[j]
        a.l1[j] = x[j] = a.fetched[j] = 0
    set_entry_weights(n, a.norm, a.e, a.entry_weight)
    for i in range(m):
        total += a.target[i] - a.target[i]
    return isfinite(total)


cdef Py_ssize_t descend(Arrays* a, Py_ssize_t m, Py_ssize_t n, double* x, Py_ssize_t max_steps,
                        bint resume) noexcept nogil:
    """Some steps of the kernel on a prepared problem."""
    return active_set_table.solve(m, n, a.rows, a.columns, a.fetched, a.target, a.norm,
                                  a.entry_weight, a.l1, DEPENDENCE_TOL, x, max_steps, resume,
                                  a.rest, a.order)


cdef double finish(Arrays* a, Py_ssize_t m, Py_ssize_t n, int unit, double* x) noexcept nogil:
    """Bring x back to the caller's units; returns ||A x - b|| of the x that he gets."""
    cdef double total = 0, held
    cdef Py_ssize_t i, j
    for j in range(n):
        x[j] = ldexp(x[j], unit - <int> a.e[j])
        total += x[j] - x[j]                    # not a number where x_j has overflowed
        held = ldexp(x[j], <int> a.e[j] - unit)  # rounded where x_j is subnormal
        for i in range(m if held != 0 else 0):
            a.target[i] -= a.columns[j * padded(m) + i] * held
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
