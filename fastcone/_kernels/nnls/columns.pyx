# SPDX-License-Identifier: BSD-3-Clause
# Non-negative least squares by coordinate descent on sparse generators, with the residual kept.
#
#     minimise  1/2 ||A x - b||^2 + l1'x + 1/2 sum_j l2_j x_j^2   over x >= 0          float64 only
#
# Step       x_j <- max(0, x_j + (a_j'r - l1_j - l2_j x_j) / (||a_j||^2 + l2_j)),   r = b - A x
# Cost       4 flops an entry of the generators gone through; no product of two of them is formed
# Reference  Franc, Hlavac, Navara, CAIP 2005
#
#   start, index, value  A by columns: entries start[j]..start[j + 1] - 1 of rows `index`; read only
#   curvature  n: ||a_j||^2 + l2_j, or 0 for a generator that stays as it is; read only
#   l1, l2    n; read only
#   which     count: the generators to go through, in this order; read only
#   x         n, r  m: read and written
#   returns   sum_j (||a_j||^2 + l2_j) step_j^2
from cpython.pycapsule cimport PyCapsule_New

from fastcone._kernels.common.tables cimport ColumnsTable


cdef double epoch(const Py_ssize_t* start, const int* index, const double* value,
                  const double* curvature, const double* l1, const double* l2, Py_ssize_t count,
                  const Py_ssize_t* which, double* x, double* r) noexcept nogil:
    cdef double g, step, moved = 0
    cdef Py_ssize_t i, j, k
    for k in range(count):
        j = which[k]
        if curvature[j] == 0:
            continue
        g = -l1[j] - l2[j] * x[j]
        for i in range(start[j], start[j + 1]):
            g += value[i] * r[index[i]]
        step = max(g / curvature[j], -x[j])
        if step == 0:
            continue
        x[j] += step
        for i in range(start[j], start[j + 1]):
            r[index[i]] -= value[i] * step
        moved += curvature[j] * step * step
    return moved


cdef ColumnsTable TABLE
TABLE.epoch = epoch
table = PyCapsule_New(&TABLE, "nnls.columns", NULL)
