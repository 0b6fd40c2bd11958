# SPDX-License-Identifier: BSD-3-Clause
# The triangle of generators whose rows may be of any size, and the targets that go with it.
#
#     Q'A = R,  Q'b = d     Householder reflections: a row changes by roundings of its own size
#
# Order      of columns: what is left of them; of rows: the largest entry comes to the pivot
# Cost       2 m n^2 flops for R, 4 m n a target
# Reference  Powell, Reid, 1969; Cox, Higham, SIAM J. Matrix Anal. Appl. 19, 1998
#
# reduce     the triangle
#   T         n x ld, a generator a row (reflections.pxd); in: A; out: R in entries 0..k-1, the
#             reflections below
#   dependence_tol  roundings of a row's size within which what is left of a generator is none
#   head      n: first entries of the reflections; scale: n: their 2 / v'v; kept between calls
#   swap      n: the row that step k exchanged with row k; order: n: the column of step k; written
#   first, last  the steps to make, up to min(m, n): a long reduction can be cut up
#   row_size  ld, aligned: the largest entry of the columns so far in a row, kept between the calls
#   returns   last, or less: the rank within rounding
# apply      d (ld, aligned, padded) <- Q'd for k steps
from cpython.pycapsule cimport PyCapsule_New
from libc.string cimport memset

from fastcone._kernels.common.tables cimport TriangleTable
from fastcone._kernels.nnls.reflections cimport (
    exchange, grow, largest_row, reflect, reflection, stands_out, tail,
)

cdef extern from *:
    """
    #define FC_CANCELLED 0.01   /* of a squared length: what is left below that is summed anew */
    """
    const double CANCELLED "FC_CANCELLED"


cdef Py_ssize_t reduce(Py_ssize_t m, Py_ssize_t n, Py_ssize_t ld, double* T,
                       double dependence_tol, double* head, double* scale, Py_ssize_t* swap,
                       Py_ssize_t* order, Py_ssize_t first, Py_ssize_t last,
                       double* row_size) noexcept nogil:
    cdef double* left = head            # for the columns to come: what is left of their squares,
    cdef double* sure = scale           # and the last value that was summed
    cdef double* a
    cdef Py_ssize_t j, k, q, best
    cdef double pivot, unit
    if first == 0:
        memset(row_size, 0, ld * sizeof(double))
        for j in range(n):
            order[j] = j
            left[j] = sure[j] = tail(0, ld, T + j * ld, T + j * ld)
    for k in range(first, last):
        best = k
        for q in range(k + 1, n):
            if left[q] > left[best]:
                best = q
        if not stands_out(k, ld, T + order[best] * ld, row_size, dependence_tol):
            return k
        order[k], order[best] = order[best], order[k]
        left[best], sure[best] = left[k], sure[k]
        a = T + order[k] * ld
        swap[k] = largest_row(k, m, a)
        exchange(row_size, k, swap[k])
        for q in range(k, n):
            exchange(T + order[q] * ld, k, swap[k])
        grow(k, ld, a, row_size)
        head[k] = reflection(k, ld, a, &pivot, &unit)
        scale[k] = unit
        for q in range(k + 1, n):
            a = T + order[q] * ld
            reflect(k, ld, T + order[k] * ld, head[k], scale[k], a)
            left[q] -= a[k] * a[k]
            if not left[q] > CANCELLED * sure[q]:
                left[q] = sure[q] = tail(k + 1, ld, a, a)
        T[order[k] * ld + k] = pivot
    return last


cdef void apply(Py_ssize_t k, Py_ssize_t ld, const double* T, const double* head,
                const double* scale, const Py_ssize_t* swap, const Py_ssize_t* order,
                double* d) noexcept nogil:
    cdef Py_ssize_t step
    for step in range(k):
        exchange(d, step, swap[step])
        reflect(step, ld, T + order[step] * ld, head[step], scale[step], d)


cdef TriangleTable TABLE
TABLE.reduce = reduce
TABLE.apply = apply
table = PyCapsule_New(&TABLE, "nnls.triangle", NULL)
