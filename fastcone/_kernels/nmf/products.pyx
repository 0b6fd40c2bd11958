# SPDX-License-Identifier: BSD-3-Clause
# The products of training, a block of samples (or of rows of W) at a time, and the half-step of
# the squared error that stands between them.
#
# nmf_times     C_rj = sum_i B_ri A_ij                      r < p samples, i < m, j < n
# nmf_add       C_rj += sum_i B_ri A_ij                     of some features of a longer A and B
# nmf_outer     C_ij += sum_r B_ri H_rj                     j < k
# nmf_multiply  z <- max(floor, f c / (f G + l1 + l2 f)) for every entry f of F from column `fixed`
#               on, c of C; GG_ij += sum_r z_ri z_rj;  returns  sum_rj c z, in float64
#
# Lanes      coordinates j: a panel is one vector of them, TILE rows share each load of it
# Order      nmf_times: as common/product.pyx, TERMS to a partial sum; nmf_outer: every C_ij adds
#            its samples in their order; so neither depends on how the rows are cut into calls
# Cost       2 m n flops per sample and product; nmf_outer lays its operands out first, TERMS
#            samples by STRIP features, and touches C once per TERMS samples
#
#   L        BYTES / sizeof(real);  n is a multiple of L, k <= n
#   A        panels [n / L][m][L], 64-byte aligned; read only; nmf_add: [n / L][lda][L], lda >= m
#   B        p rows of m, row stride ldb; read only
#   H        p rows of k, row stride ldh; read only
#   C        nmf_times: p x n, written; nmf_add: p rows of n, row stride ldc, added to; nmf_outer:
#            m x n, added to; 64-byte aligned. nmf_multiply: p x n, read only
#   G        panels [n / L][k][L] of the Gram matrix, 64-byte aligned; read only
#   F, Z     p rows of k, row strides ldf, ldz; F read only, Z written, may be F
#   GG       k x n, 64-byte aligned; added to
#   floor    >= 0; an entry whose denominator is zero becomes `floor`
#   work     nmf_outer: outer_work(n, L) of products.pxd; nmf_multiply: that and TERMS n; 64-byte
#            aligned, no meaning on entry or return
# Allocates nothing. nmf_times, nmf_add and nmf_outer return 0.
from cpython.pycapsule cimport PyCapsule_New
from libc.string cimport memcpy, memset

from fastcone._kernels.common.lanes cimport real
from fastcone._kernels.common.tables cimport ProductsTable
from fastcone._kernels.nmf.products cimport TERMS, add_outer, add_times, outer_work

cdef enum:
    PARTS = 8           # partial sums of `dot`


cdef int nmf_times(Py_ssize_t m, Py_ssize_t n, const real* A, Py_ssize_t p, const real* B,
                   Py_ssize_t ldb, real* C) noexcept nogil:
    memset(C, 0, p * n * sizeof(real))
    add_times(m, m, n, A, p, B, ldb, C, n)
    return 0


cdef int nmf_add(Py_ssize_t m, Py_ssize_t lda, Py_ssize_t n, const real* A, Py_ssize_t p,
                 const real* B, Py_ssize_t ldb, real* C, Py_ssize_t ldc) noexcept nogil:
    add_times(m, lda, n, A, p, B, ldb, C, ldc)
    return 0


cdef int nmf_outer(Py_ssize_t m, Py_ssize_t k, Py_ssize_t n, Py_ssize_t p, const real* B,
                   Py_ssize_t ldb, const real* H, Py_ssize_t ldh, real* C,
                   real* work) noexcept nogil:
    add_outer(m, k, n, p, B, ldb, H, ldh, C, work)
    return 0


cdef inline double dot(Py_ssize_t k, const real* a, const real* b) noexcept nogil:
    """a'b in PARTS interleaved partial sums of float64"""
    cdef double part[PARTS]
    cdef Py_ssize_t j
    cdef int q
    memset(part, 0, sizeof(part))
    for j in range(k // PARTS):
        for q in range(PARTS):
            part[q] += <double> a[j * PARTS + q] * b[j * PARTS + q]
    for j in range(k - k % PARTS, k):
        part[0] += <double> a[j] * b[j]
    return ((part[0] + part[4]) + (part[2] + part[6])) + ((part[1] + part[5]) + (part[3] + part[7]))


cdef double nmf_multiply(Py_ssize_t k, Py_ssize_t n, Py_ssize_t p, const real* C, const real* G,
                         const real* F, Py_ssize_t ldf, real* Z, Py_ssize_t ldz, Py_ssize_t fixed,
                         real l1, real l2, real floor, real* GG, real* work) noexcept nogil:
    cdef Py_ssize_t chunk, s, r, j, here
    cdef real below, to
    cdef double total = 0
    cdef const real* f
    cdef const real* c
    cdef real* z
    cdef real* D
    for chunk in range((p + TERMS - 1) // TERMS):
        s = chunk * TERMS
        here = min(<Py_ssize_t> TERMS, p - s)
        memset(work, 0, here * n * sizeof(real))
        add_times(k, k, n, G, here, F + s * ldf, ldf, work, n)
        for r in range(here):
            f, z, c, D = F + (s + r) * ldf, Z + (s + r) * ldz, C + (s + r) * n, work + r * n
            for j in range(k):
                below = D[j] + l1 + l2 * f[j]
                to = f[j] * c[j] / below if below > 0 else 0
                D[j] = to if to > floor else floor
            for j in range(fixed):
                D[j] = f[j]
            memcpy(z, D, k * sizeof(real))
            total += dot(k, c, D)
        add_outer(k, k, n, here, work, n, work, n, GG, work + TERMS * n)
    return total


cdef ProductsTable TABLE
TABLE.times_f32 = nmf_times[float]
TABLE.times_f64 = nmf_times[double]
TABLE.add_f32 = nmf_add[float]
TABLE.add_f64 = nmf_add[double]
TABLE.outer_f32 = nmf_outer[float]
TABLE.outer_f64 = nmf_outer[double]
TABLE.multiply_f32 = nmf_multiply[float]
TABLE.multiply_f64 = nmf_multiply[double]
TABLE.terms = TERMS
TABLE.outer_work = outer_work
table = PyCapsule_New(&TABLE, "nmf.products", NULL)
