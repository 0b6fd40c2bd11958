# SPDX-License-Identifier: BSD-3-Clause
# From the caller's units to those of the scaled problems: powers of two, exact.
#
#     units_in    C_rj <- C_rj 2^-pending_exp_r - l1_r 2^(column_exp_j - target_exp_r)
#
# Lanes      coordinates j
#
# units_in
#   C        p x ld: A'b on entry, the linear terms on return; n <= ld columns carry the penalty
#   pending_exp, target_exp  p: powers of two that C still holds, that b held in all; read only
#   l1       p: in the caller's units, or NULL for none; read only
#   column_exp  n: the caller's x_j is 2^(column_exp_j + target_exp_r) times the scaled one; read
#            only
#   rootinv  n: 1 / sqrt(G_jj), or 0; read only
#   allow    p: ||b_r|| 2^-target_exp_r on entry; plus max_j (scaled l1) rootinv_j, the unit of the
#            rounding allowance, on return
#   largest  of a scaled penalty; more is cut, such a coordinate stays 0 all the same
#   scale    n, no meaning on entry or return
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport ldexp

from fastcone._kernels.common.lanes cimport real
from fastcone._kernels.common.tables cimport ScaleTable


cdef enum:
    FAR = 500           # powers of two from which on no product of two is formed


cdef int units_in(Py_ssize_t p, Py_ssize_t n, Py_ssize_t ld, real* C, const int* pending_exp,
                  const int* target_exp, const double* l1, const int* column_exp,
                  const double* rootinv, real* allow, double largest, double* scale) noexcept nogil:
    cdef real* c
    cdef double base, penalty, most
    cdef real unit
    cdef Py_ssize_t r, j
    cdef bint near = True
    for j in range(n):
        scale[j] = ldexp(1, column_exp[j])
    for j in range(n):
        near = near and -FAR < column_exp[j] < FAR
    for r in range(p):
        c = C + r * ld
        unit = <real> ldexp(1, -pending_exp[r])
        for j in range(ld):
            c[j] *= unit
        if l1 == NULL or l1[r] == 0:
            continue
        most = 0
        base = ldexp(l1[r], -target_exp[r])
        if near and 1e-150 < base < 1e150:
            for j in range(n):
                penalty = min(base * scale[j], largest)
                most = max(most, penalty * rootinv[j])
                c[j] -= <real> penalty
        else:
            for j in range(n):
                penalty = min(ldexp(l1[r], column_exp[j] - target_exp[r]), largest)
                most = max(most, penalty * rootinv[j])
                c[j] -= <real> penalty
        allow[r] += <real> most
    return 0


cdef ScaleTable TABLE
TABLE.in_f32 = units_in[float]
TABLE.in_f64 = units_in[double]
table = PyCapsule_New(&TABLE, "nnls.scale", NULL)
