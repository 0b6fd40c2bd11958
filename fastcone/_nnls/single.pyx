# SPDX-License-Identifier: BSD-3-Clause
"""One problem, exactly, in the caller's units: what `nnls` and `fastcone.cy` share.

The arrays, their lengths and what is returned: fastcone/cy.pxd.

a) A is read where it lies. Only columns whose squared norms could over- or underflow are copied
   and scaled by powers of four.
b) Few generators of many rows, and rows of unlike size, go to the Householder kernel, the
   former reduced to a triangle first; all else to the Gram-Schmidt kernel, which is faster.
"""
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.math cimport NAN, fabs, frexp, isfinite, ldexp, sqrt
from libc.string cimport memcpy

from fastcone._kernels.common.dense cimport axpy, dot, padded
from fastcone._kernels.common.span cimport aligned
from fastcone._nnls.kernels cimport active_set_work, householder_work
from fastcone._runtime.dispatch cimport active_set_table, householder_table

import numpy as np

cdef extern from *:
    """
    #define FC_DEPENDENCE_TOL 32.0        /* as in fastcone/_nnls/active_set.py */
    #define FC_UNLIKE 1e3                 /* as in fastcone/_nnls/plan.py */
    """
    const double DEPENDENCE_TOL "FC_DEPENDENCE_TOL"
    const double UNLIKE "FC_UNLIKE"

cdef enum:
    CALL_WORK = 100_000_000     # flops between two looks at the signals
    FAR = 900                   # powers of two between weights: more, and gradients would underflow
    THIN = 12                   # generators up to which A is reduced to a triangle first ...
    TALL = 20                   # ... where it has this many times as many rows (measured)


cdef struct Arrays:
    # A as it is read, and where the parts of `work` and `index` begin
    const double* A
    Py_ssize_t row_stride, column_stride
    bint householder, reduced
    double* copy            # n x ld: A scaled, or in the order of rows, or of columns
    double* columns         # n x ld: generators, one a row
    double* target          # ld: b scaled, padded with zeros
    double* norm            # n
    double* entry_weight    # n
    double* l1              # n: zeros
    double* rest            # of the kernels
    Py_ssize_t* e           # n: exponents taken out of the columns
    Py_ssize_t* fetched     # n
    Py_ssize_t* order       # of the kernels


cdef Py_ssize_t nnls_work(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    return ((2 * n + 1) * padded(m) + 14 + 3 * n
            + max(active_set_work(m, n), householder_work(min(m, n), n) + 2 * padded(m)
                  + padded(2 * n) + n * padded(n)))


cdef Py_ssize_t nnls_index(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    return 7 * n + 2


cdef Arrays cut(Py_ssize_t m, Py_ssize_t n, double* work, Py_ssize_t* index) noexcept nogil:
    """Lay the arrays out in the caller's work space."""
    cdef Arrays a
    a.columns = aligned(work)
    a.target = a.columns + n * padded(m)
    a.copy = a.target + padded(m)
    a.norm = a.copy + n * padded(m)
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
        entry_weight[j] = 1 if e[j] == top else ldexp(
            1, <int> max(min(e[j] - top, <Py_ssize_t> 0), -<Py_ssize_t> FAR))


cdef inline double times(double value, double half_unit) noexcept nogil:
    """value * half_unit^2: a power of two that a double may be too narrow to hold."""
    return value * half_unit * half_unit


cdef int scale_target(Py_ssize_t m, const double* b, Py_ssize_t stride,
                      double* target) noexcept nogil:
    """target = b with its largest entry brought near 1 by a power of four; returns its exponent."""
    cdef double part[8]
    cdef double half
    cdef Py_ssize_t i
    cdef int e, q
    for q in range(8):
        part[q] = 0
    for i in range(m):
        target[i] = b[i * stride]
    for i in range(m // 8):
        for q in range(8):
            half = fabs(target[8 * i + q])
            part[q] = half if half > part[q] else part[q]
    for i in range(m - m % 8, m):
        part[0] = max(part[0], fabs(target[i]))
    for q in range(1, 8):
        part[0] = max(part[0], part[q])
    e = (exponent(part[0]) + 1) // 2
    half = ldexp(1, -e)
    for i in range(m if e != 0 else 0):
        target[i] = times(target[i], half)
    for i in range(m, padded(m)):
        target[i] = 0
    return 2 * e


cdef void measure(Py_ssize_t m, Py_ssize_t n, Arrays* a, bint* unlike) noexcept nogil:
    """norm_j = ||a_j||^2; whether rows of A differ in size so much that the small ones are lost."""
    cdef const double* row
    cdef double value, size, least = 0, most = 0
    cdef Py_ssize_t i, j
    for j in range(n):
        a.norm[j] = 0
    for i in range(m):
        row = a.A + i * a.row_stride
        size = 0
        if a.column_stride == 1:
            for j in range(n):
                a.norm[j] += row[j] * row[j]
                size = fabs(row[j]) if fabs(row[j]) > size else size
        else:
            for j in range(n):
                value = row[j * a.column_stride]
                a.norm[j] += value * value
                size = fabs(value) if fabs(value) > size else size
        most = max(most, size)
        least = size if size > 0 and (least == 0 or size < least) else least
    unlike[0] = most > UNLIKE * least


cdef bint usable(Py_ssize_t n, const double* norm) noexcept nogil:
    """Whether squared norms are so far from over- and underflow that nothing needs scaling."""
    cdef Py_ssize_t j
    cdef bint far = True
    for j in range(n):
        far = far and 1e-150 < norm[j] < 1e150
    return far


cdef void scale_generators(Py_ssize_t m, Py_ssize_t n, Arrays* a) noexcept nogil:
    """copy = A with columns scaled like `scale_target`, and their exponents."""
    cdef double* rows = a.copy
    cdef double* largest = a.entry_weight
    cdef double* half = largest
    cdef Py_ssize_t i, j
    for j in range(n):
        largest[j] = 0
    for i in range(m):
        for j in range(n):
            rows[i * n + j] = a.A[i * a.row_stride + j * a.column_stride]
            largest[j] = max(largest[j], fabs(rows[i * n + j]))
    for j in range(n):
        a.e[j] = (exponent(largest[j]) + 1) // 2 * 2
        half[j] = ldexp(1, -<int> a.e[j] // 2)
    for i in range(m):
        for j in range(n):
            rows[i * n + j] = times(rows[i * n + j], half[j])
    a.A, a.row_stride, a.column_stride = rows, n, 1


cdef void lay_down(Py_ssize_t m, Py_ssize_t n, Arrays* a) noexcept nogil:
    """columns = A', padded with zeros, for the Householder kernel."""
    cdef Py_ssize_t i, j, ld = padded(m)
    for j in range(n):
        for i in range(m if a.row_stride == 1 else 0):
            a.columns[j * ld + i] = a.A[i + j * a.column_stride]
        for i in range(m, ld):
            a.columns[j * ld + i] = 0
    for i in range(m if a.row_stride != 1 else 0):
        for j in range(n):
            a.columns[j * ld + i] = a.A[i * a.row_stride + j * a.column_stride]


cdef void in_rows(Py_ssize_t m, Py_ssize_t n, Arrays* a) noexcept nogil:
    """A in the order of rows, for the Gram-Schmidt kernel."""
    cdef Py_ssize_t i, j
    if a.column_stride == 1 and a.row_stride == n:
        return
    for i in range(m):
        for j in range(n):
            a.copy[i * n + j] = a.A[i * a.row_stride + j * a.column_stride]
    a.A, a.row_stride, a.column_stride = a.copy, n, 1


cdef bint prepare(Arrays* a, Py_ssize_t m, Py_ssize_t n, const double* A, Py_ssize_t row_stride,
                  Py_ssize_t column_stride, const double* b, Py_ssize_t b_stride, double* x,
                  int* unit) noexcept nogil:
    """Scale the problem, where it must be, and put x to 0; False if A or b is not finite."""
    cdef double total = 0
    cdef bint unlike = False, thin = n <= THIN and m >= TALL * n, laid = thin
    cdef Py_ssize_t i, j
    unit[0] = scale_target(m, b, b_stride, a.target)
    a.A, a.row_stride, a.column_stride = A, row_stride, column_stride
    for j in range(n):
        a.e[j] = 0
    if thin:
        lay_down(m, n, a)
        for j in range(n):
            a.norm[j] = dot(padded(m), a.columns + j * padded(m), a.columns + j * padded(m))
    else:
        measure(m, n, a, &unlike)
    if not usable(n, a.norm):
        scale_generators(m, n, a)
        measure(m, n, a, &unlike)
        laid = False
    a.householder, a.reduced = thin or unlike, (thin or unlike) and m > n
    if not a.householder:
        in_rows(m, n, a)
    elif not laid:
        lay_down(m, n, a)
    for j in range(n):
        a.norm[j] = sqrt(a.norm[j])
        total += a.norm[j]
        a.l1[j] = x[j] = a.fetched[j] = 0
    set_entry_weights(n, a.norm, a.e, a.entry_weight)
    for i in range(m):
        total += a.target[i] - a.target[i]
    return isfinite(total)


cdef double* triangle(Arrays* a, Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    """Where the reduction lays R; before it: the rows' sizes, the target, heads and scales."""
    return aligned(a.rest) + 2 * padded(m) + padded(2 * n)


cdef Py_ssize_t reduce(Arrays* a, Py_ssize_t m, Py_ssize_t n, Py_ssize_t first,
                       Py_ssize_t last) noexcept nogil:
    """Some steps of the way from A to its triangle; returns how many were made in all."""
    cdef double* head = aligned(a.rest) + 2 * padded(m)
    return householder_table.reduce(m, n, padded(m), a.columns, DEPENDENCE_TOL, head, head + n,
                                    a.order, a.order + n, first, last, aligned(a.rest))


cdef void take_triangle(Arrays* a, Py_ssize_t m, Py_ssize_t n, Py_ssize_t rank) noexcept nogil:
    """R as generators of `rank` entries, and the target that goes with them."""
    cdef double* d = aligned(a.rest) + padded(m)
    cdef double* head = d + padded(m)
    cdef double* R = triangle(a, m, n)
    cdef const Py_ssize_t* order = a.order + n
    cdef Py_ssize_t i, q
    memcpy(d, a.target, padded(m) * sizeof(double))
    householder_table.apply(rank, padded(m), a.columns, head, head + n, a.order, order, d)
    for i in range(rank, padded(rank)):
        d[i] = 0
    for q in range(n):
        for i in range(padded(rank)):
            R[order[q] * padded(rank) + i] = (
                a.columns[order[q] * padded(m) + i] if i < rank and i <= q else 0)


cdef Py_ssize_t some_steps(Arrays* a, Py_ssize_t m, Py_ssize_t n, Py_ssize_t rank, double* x,
                           Py_ssize_t max_steps, bint resume) noexcept nogil:
    """Some steps of the kernel on a prepared problem."""
    if a.reduced:
        return householder_table.solve(
            rank, n, triangle(a, m, n), aligned(a.rest) + padded(m), a.entry_weight, a.l1,
            DEPENDENCE_TOL, x, max_steps, triangle(a, m, n) + n * padded(n), a.order + 2 * n)
    if a.householder:
        return householder_table.solve(m, n, a.columns, a.target, a.entry_weight, a.l1,
                                       DEPENDENCE_TOL, x, max_steps, a.rest, a.order)
    return active_set_table.solve(m, n, a.A, a.columns, a.fetched, a.target, a.norm,
                                  a.entry_weight, a.l1, DEPENDENCE_TOL, x, max_steps, resume,
                                  a.rest, a.order)


cdef double finish(Arrays* a, Py_ssize_t m, Py_ssize_t n, int unit, double* x) noexcept nogil:
    """Bring x back to the caller's units; returns ||A x - b|| of the x that he gets."""
    cdef double total = 0, product
    cdef double* held = a.norm
    cdef const double* row
    cdef Py_ssize_t i, j
    for j in range(n):
        x[j] = ldexp(x[j], unit - <int> a.e[j]) if x[j] > 0 else 0
        total += x[j] - x[j]                    # not a number where x_j has overflowed
        held[j] = ldexp(x[j], <int> a.e[j] - unit) if x[j] > 0 else 0   # rounded if subnormal
    if a.householder and a.row_stride != 1:
        for i in range(m):
            row = a.A + i * a.row_stride
            product = 0
            for j in range(n):
                product += row[j * a.column_stride] * held[j]
            a.target[i] -= product
    else:
        for j in range(n):
            if held[j] > 0:
                axpy(m, -held[j], a.A + j * a.column_stride if a.householder
                     else a.columns + j * padded(m), a.target)
    total += dot(padded(m), a.target, a.target)
    return ldexp(sqrt(total), unit)


cdef Py_ssize_t nnls(Py_ssize_t m, Py_ssize_t n, const double* A, const double* b, double* x,
                     double* rnorm, Py_ssize_t max_steps, double* work,
                     Py_ssize_t* index) noexcept nogil:
    cdef Arrays a = cut(m, n, work, index)
    cdef int unit
    cdef Py_ssize_t steps, rank = 0
    if not prepare(&a, m, n, A, 1, m, b, 1, x, &unit):
        rnorm[0] = NAN
        return 0
    if a.reduced:
        rank = reduce(&a, m, n, 0, n)
        take_triangle(&a, m, n, rank)
    steps = some_steps(&a, m, n, rank, x, max_steps, False)
    rnorm[0] = finish(&a, m, n, unit, x)
    return steps


cdef Py_ssize_t reduce_with_signals(Arrays* a, Py_ssize_t m, Py_ssize_t n) except -1:
    """The reduction in pieces, between which signals are seen; returns the rank."""
    cdef Py_ssize_t rank = 0, last = 0, some = max(1, CALL_WORK // (8 * m * n + 1))
    while last < n and rank == last:
        last = min(last + some, n)
        with nogil:
            rank = reduce(a, m, n, rank, last)
        PyErr_CheckSignals()
    take_triangle(a, m, n, rank)
    return rank


def nnls_arrays(const double[:, :] A, const double[:] b, Py_ssize_t max_steps):
    """Return x, rnorm and whether one problem was solved; the caller has checked the shapes.

    rnorm is not a number if A or b holds NaN or infinity. Between some steps signals are seen.
    """
    cdef Py_ssize_t m = A.shape[0], n = A.shape[1], size = sizeof(double), steps = -1, used = 0
    cdef Py_ssize_t some = max(1, CALL_WORK // (6 * m * n + 1)), rank = 0
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
            rank = reduce_with_signals(&a, m, n) if a.reduced else 0
            while steps < 0 and used < max_steps:
                some = min(some, max_steps - used)
                with nogil:
                    steps = some_steps(&a, m, n, rank, &out[0], some, used > 0)
                used += some
                PyErr_CheckSignals()
            rnorm = finish(&a, m, n, unit, &out[0])
    finally:
        PyMem_Free(work)
        PyMem_Free(index)
    return x, rnorm, steps >= 0
