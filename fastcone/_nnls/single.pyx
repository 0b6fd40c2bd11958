# SPDX-License-Identifier: BSD-3-Clause
"""One problem, exactly, in the caller's units: what `nnls` and `fastcone.cy` share.

The arrays, their lengths and what is returned: fastcone/cy/__init__.pxd.

a) A is read where it lies. Only columns whose squared norms could over- or underflow are copied
   and scaled by powers of four.
b) Few generators of many rows, and rows of unlike size, go to the Householder kernel, the
   former reduced to a triangle first; all else to the Gram-Schmidt kernel, which is faster, and
   from there to the Householder kernel again where b turns out to be in the cone all but exactly.
"""
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.math cimport NAN, isfinite, ldexp, sqrt
from libc.string cimport memcpy

from fastcone._kernels.common.dense cimport axpy, dot, padded
from fastcone._kernels.common.span cimport aligned
from fastcone._nnls.kernels cimport active_set_work, householder_work
from fastcone._nnls.single_memory cimport (
    Arrays, cut, differ, far_apart, in_rows, lay_down, measure, scale_columns, scale_generators,
    scale_target, set_entry_weights, unlike_when_scaled, usable,
)
from fastcone._runtime.dispatch cimport active_set_table, householder_table, triangle_table

cimport numpy as np

np.import_array()

cdef extern from *:
    """
    #include <float.h>
    #define FC_CLOSE_FIT 1e-8             /* ||A x - b|| / ||b||, see too_close */
    #define FC_EXACT_FIT 2e-15
    #define FC_DEPENDENCE_TOL 32.0        /* as in fastcone/_nnls/active_set.py */
    """
    const double DEPENDENCE_TOL "FC_DEPENDENCE_TOL"
    const double CLOSE "FC_CLOSE_FIT"
    const double EXACT "FC_EXACT_FIT"
    const double NORMAL "DBL_MIN"

cdef enum:
    CALL_WORK = 100_000_000     # flops between two looks at the signals
    THIN = 12                   # generators up to which A is reduced to a triangle first ...
    TALL = 20                   # ... where it has this many times as many rows (measured)


cdef Py_ssize_t nnls_work(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    return ((2 * n + 1) * padded(m) + 14 + 3 * n
            + max(active_set_work(m, n), householder_work(m, n),
                  householder_work(min(m, n), n) + 2 * padded(m) + padded(2 * n)
                  + n * padded(n)))


cdef Py_ssize_t nnls_index(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    return 7 * n + 2


cdef bint prepare(Arrays* a, Py_ssize_t m, Py_ssize_t n, const double* A, Py_ssize_t row_stride,
                  Py_ssize_t column_stride, const double* b, Py_ssize_t b_stride, double* x,
                  int* unit, bint careful) noexcept nogil:
    """Scale the problem, where it must be, and put x to 0; False if A or b is not finite.

    careful: the Householder kernel, whatever the rows.
    """
    cdef double total = 0
    cdef bint unlike = False, thin = n <= THIN and m >= TALL * n, laid = thin, apart
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
    apart = differ(n, a.norm)
    if not thin and not unlike and apart:
        unlike = unlike_when_scaled(m, n, a)
    a.householder = thin or unlike or careful
    a.size = sqrt(dot(padded(m), a.target, a.target))
    if not a.householder:
        in_rows(m, n, a)
    elif not laid:
        lay_down(m, n, a)
    for j in range(n):
        a.norm[j] = sqrt(a.norm[j])
        total += a.norm[j]
        a.l1[j] = x[j] = a.fetched[j] = 0
    if a.householder and apart:
        scale_columns(m, n, a)
    a.reduced = a.householder and m > n and not far_apart(m, n, a.columns)
    set_entry_weights(n, a.norm, a.e, a.fetched, a.entry_weight)
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
    return triangle_table.reduce(m, n, padded(m), a.columns, DEPENDENCE_TOL, head, head + n,
                                 a.order, a.order + n, first, last, aligned(a.rest))


cdef void take_triangle(Arrays* a, Py_ssize_t m, Py_ssize_t n, Py_ssize_t rank) noexcept nogil:
    """R as generators of `rank` entries, the target that goes with them, and what that leaves."""
    cdef Py_ssize_t whole = padded(rank)
    cdef double* d = aligned(a.rest) + padded(m)
    cdef double* head = d + padded(m)
    cdef double* R = triangle(a, m, n)
    cdef const Py_ssize_t* order = a.order + n
    cdef Py_ssize_t i, q
    memcpy(d, a.target, padded(m) * sizeof(double))
    triangle_table.apply(rank, padded(m), a.columns, head, head + n, a.order, order, d)
    a.rest2 = dot(padded(m) - whole, d + whole, d + whole)
    for i in range(rank, whole):
        a.rest2 += d[i] * d[i]
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


cdef double square_of_triangle(const Arrays* a, Py_ssize_t m, Py_ssize_t n, Py_ssize_t rank,
                               const double* x) noexcept nogil:
    """||A x - b||^2 of a reduced problem: ||R x - d||^2 and what no generator reaches."""
    cdef const double* d = aligned(a.rest) + padded(m)
    cdef const Py_ssize_t* order = a.order + n
    cdef double total = a.rest2, rest
    cdef Py_ssize_t i, q
    for i in range(rank):
        rest = d[i]
        for q in range(i, n):
            rest -= a.columns[order[q] * padded(m) + i] * x[order[q]]
        total += rest * rest
    return total


cdef double finish(Arrays* a, Py_ssize_t m, Py_ssize_t n, Py_ssize_t rank, int unit,
                   double* x) noexcept nogil:
    """Bring x back to the caller's units; returns ||A x - b|| of the x that he gets."""
    cdef double total = 0, square = square_of_triangle(a, m, n, rank, x) if a.reduced else 0
    cdef double product
    cdef bint rounded = False, positive
    cdef double* held = a.norm
    cdef const double* row
    cdef int power
    cdef Py_ssize_t i, j
    for j in range(n):
        power = <int> a.e[j] + (<int> a.fetched[j] if a.householder else 0)
        positive = x[j] > 0
        x[j] = ldexp(x[j], unit - power) if x[j] > 0 else 0
        total += x[j] - x[j]                    # not a number where x_j has overflowed
        rounded = rounded or (positive and x[j] < NORMAL)
        held[j] = ldexp(x[j], <int> a.e[j] - unit) if x[j] > 0 else 0   # rounded if subnormal
    if a.reduced and not rounded:
        return ldexp(sqrt(total + square), unit)
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


cdef bint too_close(const Arrays* a, double rnorm, int unit) noexcept nogil:
    """Whether b is so nearly in the cone that rounding hides the signs of gradients.

    The Gram-Schmidt kernel then leaves out what is worth up to cond(A)^2 roundings of b. A fit to
    some roundings tells that it did not.
    """
    return not a.householder and EXACT < rnorm / ldexp(a.size, unit) <= CLOSE


cdef Py_ssize_t nnls(Py_ssize_t m, Py_ssize_t n, const double* A, const double* b, double* x,
                     double* rnorm, Py_ssize_t max_steps, double* work,
                     Py_ssize_t* index) noexcept nogil:
    return nnls_strided(m, n, A, 1, m, b, 1, x, rnorm, max_steps, work, index)


cdef Py_ssize_t nnls_strided(Py_ssize_t m, Py_ssize_t n, const double* A, Py_ssize_t row_stride,
                             Py_ssize_t column_stride, const double* b, Py_ssize_t b_stride,
                             double* x, double* rnorm, Py_ssize_t max_steps, double* work,
                             Py_ssize_t* index) noexcept nogil:
    cdef Arrays a
    cdef int unit = 0, turn
    cdef Py_ssize_t steps = 0, rank = 0
    for turn in range(2):
        a = cut(m, n, work, index)
        if not prepare(&a, m, n, A, row_stride, column_stride, b, b_stride, x, &unit, turn > 0):
            rnorm[0] = NAN
            return 0
        if a.reduced:
            rank = reduce(&a, m, n, 0, n)
            take_triangle(&a, m, n, rank)
        steps = some_steps(&a, m, n, rank, x, max_steps, False)
        rnorm[0] = finish(&a, m, n, rank, unit, x)
        if steps < 0 or not too_close(&a, rnorm[0], unit):
            break
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


cdef bint plain(object value, int ndim):
    """Whether a value is an aligned float64 array of so many axes and strides of whole numbers."""
    cdef np.ndarray array
    cdef int axis
    if not np.PyArray_CheckExact(value):
        return False
    array = value
    for axis in range(np.PyArray_NDIM(array)):
        if np.PyArray_STRIDE(array, axis) % <Py_ssize_t> sizeof(double):
            return False
    return (np.PyArray_NDIM(array) == ndim and np.PyArray_TYPE(array) == np.NPY_DOUBLE
            and np.PyArray_ISBEHAVED_RO(array))


def nnls_if_plain(object A, object b):
    """x and rnorm of arrays that nothing need be said of; None where the caller must look."""
    if not (plain(A, 2) and plain(b, 1)):
        return None
    cdef Py_ssize_t n = np.PyArray_DIM(A, 1)
    if np.PyArray_DIM(A, 0) != np.PyArray_DIM(b, 0) or np.PyArray_SIZE(A) == 0:
        return None
    x, rnorm, solved = nnls_arrays(A, b, 3 * n)
    return (x, rnorm) if solved and isfinite(rnorm) else None


def nnls_arrays(np.ndarray A, np.ndarray b, Py_ssize_t max_steps):
    """Return x, rnorm and whether one problem was solved; A (m, n) and b (m,) are plain.

    rnorm is not a number if A or b holds NaN or infinity. Between some steps signals are seen.
    """
    cdef Py_ssize_t m = np.PyArray_DIM(A, 0), n = np.PyArray_DIM(A, 1), size = sizeof(double)
    cdef Py_ssize_t some = max(1, CALL_WORK // (6 * m * n + 1)), rank = 0, steps = -1, used = 0
    cdef np.npy_intp length = n
    cdef np.ndarray x = np.PyArray_ZEROS(1, &length, np.NPY_DOUBLE, 0)
    cdef double* out = <double*> np.PyArray_DATA(x)
    cdef double rnorm = NAN
    cdef int unit = 0, turn
    cdef Arrays a
    assert plain(A, 2) and plain(b, 1) and m > 0 < n and np.PyArray_DIM(b, 0) == m
    cdef double* work = <double*> PyMem_Malloc(nnls_work(m, n) * size)
    cdef Py_ssize_t* index = <Py_ssize_t*> PyMem_Malloc(nnls_index(m, n) * sizeof(Py_ssize_t))
    try:
        if work == NULL or index == NULL:
            raise MemoryError
        for turn in range(2):
            a = cut(m, n, work, index)
            if not prepare(&a, m, n, <const double*> np.PyArray_DATA(A),
                           np.PyArray_STRIDE(A, 0) // size, np.PyArray_STRIDE(A, 1) // size,
                           <const double*> np.PyArray_DATA(b), np.PyArray_STRIDE(b, 0) // size,
                           out, &unit, turn > 0):
                break
            steps, used = -1, 0
            rank = reduce_with_signals(&a, m, n) if a.reduced else 0
            while steps < 0 and used < max_steps:
                some = min(some, max_steps - used)
                with nogil:
                    steps = some_steps(&a, m, n, rank, out, some, used > 0)
                used += some
                PyErr_CheckSignals()
            rnorm = finish(&a, m, n, rank, unit, out)
            if steps < 0 or not too_close(&a, rnorm, unit):
                break
    finally:
        PyMem_Free(work)
        PyMem_Free(index)
    return x, rnorm, steps >= 0
