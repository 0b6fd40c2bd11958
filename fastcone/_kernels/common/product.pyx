# SPDX-License-Identifier: BSD-3-Clause
# The products a block of problems needs: inner products with the generators, and its own norms.
#
#     C_rj = sum_i B_ri A_ij        norm2_r = sum_i B_ri^2        r < p problems, j < n generators
#
# Lanes      coordinates j: a panel is 2 vectors of generators, ROWS problems share each load of it
# Order      every C_rj adds its terms in the order of i, whatever the block, so a problem's answer
#            does not depend on its neighbours; CHUNK of them make a partial sum, so that a C_rj has
#            CHUNK + m / CHUNK roundings, not m, and the panels stay in cache meanwhile
# Memory     A: panels [n / panel][m][panel], panel = 2 BYTES / sizeof(real) divides n,
#               64-byte aligned, read only.          B: p rows of m, row stride ldb, read only.
#            C: p x n, 64-byte aligned, written.     norm2: p, written.           Allocates nothing.
# Cost       2 m n flops per problem; a panel is read from cache once per ROWS problems, A from
#            farther away once per SLAB of them, B once
from cpython.pycapsule cimport PyCapsule_New
from libc.string cimport memset

from fastcone._kernels.common.lanes cimport BYTES, ROWS, lane, lane32, lane64, none, real, spread
from fastcone._kernels.common.panels cimport PANEL, PRODUCT_CHUNK, rank_chunk
from fastcone._kernels.common.sums cimport dot
from fastcone._kernels.common.tables cimport ProductTable

cdef enum:
    CHUNK = PRODUCT_CHUNK   # rows of A per pass
    SINGLE = 4          # panels that share each load of a single problem
    SLAB = 64           # problems per pass over A: their targets come from memory once


cdef inline bint not_zero(const lane* scalars, Py_ssize_t i) noexcept nogil:
    """Whether scalars[i] != 0; `scalars` points to numbers, not to lanes"""
    if lane is lane32:
        return (<const float*> scalars)[i] != 0
    else:
        return (<const double*> scalars)[i] != 0


cdef void product_single(Py_ssize_t m, Py_ssize_t panels, const lane* A, const lane* b,
                         lane* c) noexcept nogil:
    """c += b'A for one problem, SINGLE panels at a time; the terms in the same order.

    Terms with b_i = 0 are not even read: of a sum that begins with 0 they change no bit.
    """
    cdef int which[CHUNK]
    cdef lane acc[SINGLE * PANEL]
    cdef const lane* a[SINGLE]
    cdef lane t
    cdef Py_ssize_t chunk, group, i
    cdef int q, k, count
    for group in range((panels + SINGLE - 1) // SINGLE):
        for q in range(SINGLE):                 # the last group repeats a panel to stay full
            a[q] = A + min(group * SINGLE + q, panels - 1) * m * PANEL
        for chunk in range((m + CHUNK - 1) // CHUNK):
            for q in range(SINGLE * PANEL):
                acc[q] = none(A)
            count = 0
            for i in range(chunk * CHUNK, min(m, (chunk + 1) * CHUNK)):
                which[count] = <int> i
                count += not_zero(b, i)
            for k in range(count):
                i = which[k]
                t = spread(b, i)
                for q in range(SINGLE):
                    acc[2 * q] = acc[2 * q] + a[q][i * PANEL] * t
                    acc[2 * q + 1] = acc[2 * q + 1] + a[q][i * PANEL + 1] * t
            for q in range(<int> min(<Py_ssize_t> SINGLE, panels - group * SINGLE)):
                i = (group * SINGLE + q) * PANEL
                c[i] = c[i] + acc[2 * q]
                c[i + 1] = c[i + 1] + acc[2 * q + 1]


cdef void product_lanes(Py_ssize_t m, Py_ssize_t panels, const lane* A, Py_ssize_t p,
                        const lane* B, Py_ssize_t ldb, lane* C, Py_ssize_t width) noexcept nogil:
    """C += B'A, chunk by chunk; the last register block repeats the last problem to stay full."""
    cdef const lane* b[ROWS]
    cdef lane* c[ROWS]
    cdef Py_ssize_t chunk, group, i, j, row
    cdef int r
    if p == 1:
        product_single(m, panels, A, B, C)
        return
    for chunk in range((m + CHUNK - 1) // CHUNK):
        i = chunk * CHUNK
        for group in range((p + ROWS - 1) // ROWS):
            for j in range(panels):
                for r in range(ROWS):
                    row = min(group * ROWS + r, p - 1)
                    b[r] = <const lane*> (<const char*> B + (row * ldb + i) * width)
                    c[r] = C + (row * panels + j) * PANEL
                rank_chunk(min(<Py_ssize_t> CHUNK, m - i), A + (j * m + i) * PANEL, PANEL, b, c)


cdef int product(Py_ssize_t m, Py_ssize_t n, const real* A, Py_ssize_t p, const real* B,
                 Py_ssize_t ldb, real* C, real* norm2) noexcept nogil:
    """Fill C and norm2; see the head of the file. Returns 0."""
    cdef Py_ssize_t slab, r, count, panels = n * sizeof(real) // (PANEL * BYTES)
    cdef const real* b
    cdef real* c
    for slab in range((p + SLAB - 1) // SLAB):
        b = B + slab * SLAB * ldb
        c = C + slab * SLAB * n
        count = min(<Py_ssize_t> SLAB, p - slab * SLAB)
        memset(c, 0, count * n * sizeof(real))
        for r in range(count):
            norm2[slab * SLAB + r] = dot[real](m, b + r * ldb, b + r * ldb)
        if real is float:
            product_lanes(m, panels, <const lane32*> A, count, <const lane32*> b, ldb, <lane32*> c,
                          sizeof(float))
        else:
            product_lanes(m, panels, <const lane64*> A, count, <const lane64*> b, ldb, <lane64*> c,
                          sizeof(double))
    return 0


cdef ProductTable TABLE
TABLE.f32 = product[float]
TABLE.f64 = product[double]
TABLE.bytes = BYTES
table = PyCapsule_New(&TABLE, "common.product", NULL)
