# SPDX-License-Identifier: BSD-3-Clause
# Rows of sparse data against the rows of a dense factor: what one half of a training step needs.
#
# sparse_product   C_r = sum_t x_t A_{i_t}                         t over the entries of row r
# sparse_kl        C_r = sum_t (x_t / y_t) A_{i_t},                y_t = max(A_{i_t}'H_r, least)
#                  loss_r = sum_t x_t log(x_t / y_t) - x_t
#
# Lanes      coordinates of a factor's row; entries come one by one, each gathers the row A_i.
#            sparse_kl forms PARTS ratios together, over contiguous entries
# Order      C_r adds the entries at even and at odd places of a row (sparse_kl: of PARTS entries)
#            apart, each in their order; a loss adds PARTS interleaved sums, in double
# Cost       sparse_product 2 n, sparse_kl 4 n + about 40 flops per entry
# Memory     never p x m, never entries x n: PARTS rows of products at a time
#
#   start    p + 1 positions in index and x, ascending: row r holds start_r .. start_{r+1} - 1
#   index    rows of A, >= 0; read only
#   x        the entries, > 0 for sparse_kl; read only
#   A, H     rows of ld, H has p of them; ld a multiple of the lanes of a vector, 64-byte aligned;
#            what lies beyond n in the last vector counts: zeros; read only
#   C        p rows of ld, 64-byte aligned, written: zeros beyond the last vector
#   least    > 0, so small that x / least is finite
#   loss     p doubles, written, or NULL where it is not wanted
# Allocates nothing. Every function returns 0.
from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int32_t
from libc.string cimport memset

from fastcone._kernels.nmf.kl_entry cimport kl_entry
from fastcone._kernels.common.lanes cimport (
    BYTES, lane, lane32, lane64, real, spread, total32, total64,
)
from fastcone._kernels.common.tables cimport SparseTable

cdef enum:
    WIDE = 4            # vectors of a row that stay in registers
    PARTS = 16          # entries whose ratios are formed together


cdef inline void add(Py_ssize_t count, const int32_t* index, const lane* x, const lane* A,
                     Py_ssize_t ld, lane* c, int v) noexcept nogil:
    """c += sum_t x_t A[index_t] on v vectors, even and odd entries apart."""
    cdef lane even[WIDE]
    cdef lane odd[WIDE]
    cdef const lane* a
    cdef const lane* b
    cdef lane s, t
    cdef Py_ssize_t i
    cdef int q
    memset(odd, 0, sizeof(odd))
    for q in range(v):
        even[q] = c[q]
    for i in range(count // 2):
        a, b = A + index[2 * i] * ld, A + index[2 * i + 1] * ld
        s, t = spread(x, 2 * i), spread(x, 2 * i + 1)
        for q in range(v):
            even[q] = even[q] + a[q] * s
            odd[q] = odd[q] + b[q] * t
    if count % 2:
        a, s = A + index[count - 1] * ld, spread(x, count - 1)
        for q in range(v):
            even[q] = even[q] + a[q] * s
    for q in range(v):
        c[q] = even[q] + odd[q]


cdef inline void add_rows(Py_ssize_t count, const int32_t* index, const lane* x, const lane* A,
                          Py_ssize_t ld, lane* c, Py_ssize_t vectors) noexcept nogil:
    """c += sum_t x_t A[index_t], WIDE vectors at a time."""
    cdef Py_ssize_t j
    for j in range(vectors // WIDE):
        add(count, index, x, A + j * WIDE, ld, c + j * WIDE, WIDE)
    j = vectors - vectors % WIDE
    if vectors % WIDE == 1:
        add(count, index, x, A + j, ld, c + j, 1)
    elif vectors % WIDE == 2:
        add(count, index, x, A + j, ld, c + j, 2)
    elif vectors % WIDE == 3:
        add(count, index, x, A + j, ld, c + j, 3)


cdef inline void products(int count, const int32_t* index, const lane* A, Py_ssize_t ld,
                          const lane* h, lane* y, int v) noexcept nogil:
    """y_t += A[index_t] * h, lane by lane, on v vectors."""
    cdef const lane* a
    cdef lane total
    cdef int t, q
    for t in range(count):
        a = A + index[t] * ld
        total = y[t]
        for q in range(v):
            total = total + a[q] * h[q]
        y[t] = total


cdef inline void row_products(int count, const int32_t* index, const lane* A, Py_ssize_t ld,
                              const lane* h, Py_ssize_t vectors, lane* y) noexcept nogil:
    """y_t = A[index_t] * h, coordinates a vector apart added; its lanes are still to be added."""
    cdef Py_ssize_t j
    memset(y, 0, PARTS * sizeof(y[0]))
    for j in range(vectors // WIDE):
        products(count, index, A + j * WIDE, ld, h + j * WIDE, y, WIDE)
    j = vectors - vectors % WIDE
    if vectors % WIDE == 1:
        products(count, index, A + j, ld, h + j, y, 1)
    elif vectors % WIDE == 2:
        products(count, index, A + j, ld, h + j, y, 2)
    elif vectors % WIDE == 3:
        products(count, index, A + j, ld, h + j, y, 3)


cdef int sparse_product(Py_ssize_t p, const Py_ssize_t* start, const int32_t* index,
                        const real* x, Py_ssize_t n, Py_ssize_t ld, const real* A,
                        real* C) noexcept nogil:
    cdef Py_ssize_t width = BYTES // sizeof(real), vectors = (n + width - 1) // width, r, t
    memset(C, 0, p * ld * sizeof(real))
    for r in range(p):
        t = start[r]
        if real is float:
            add_rows(start[r + 1] - t, index + t, <const lane32*> (x + t), <const lane32*> A,
                     ld // width, <lane32*> (C + r * ld), vectors)
        else:
            add_rows(start[r + 1] - t, index + t, <const lane64*> (x + t), <const lane64*> A,
                     ld // width, <lane64*> (C + r * ld), vectors)
    return 0


cdef inline void models(int count, const int32_t* index, const real* A, Py_ssize_t ld,
                        const real* h, Py_ssize_t vectors, real* y) noexcept nogil:
    """y_t = A[index_t]'h for count <= PARTS entries, 1 for the others."""
    cdef lane32 apart32[PARTS]
    cdef lane64 apart64[PARTS]
    cdef Py_ssize_t width = BYTES // sizeof(real)
    cdef int t
    if real is float:
        row_products(count, index, <const lane32*> A, ld // width, <const lane32*> h, vectors,
                     apart32)
        for t in range(count):
            y[t] = total32(apart32[t])
    else:
        row_products(count, index, <const lane64*> A, ld // width, <const lane64*> h, vectors,
                     apart64)
        for t in range(count):
            y[t] = total64(apart64[t])
    for t in range(count, PARTS):
        y[t] = 1


cdef int sparse_kl(Py_ssize_t p, const Py_ssize_t* start, const int32_t* index, const real* x,
                   Py_ssize_t n, Py_ssize_t ld, const real* A, const real* H, real least,
                   real* C, double* loss) noexcept nogil:
    cdef double sums[PARTS]
    cdef real y[PARTS]
    cdef real ratio[PARTS]
    cdef real given[PARTS]
    cdef Py_ssize_t width = BYTES // sizeof(real), vectors = (n + width - 1) // width
    cdef Py_ssize_t r, block, t
    cdef int count, q
    memset(C, 0, p * ld * sizeof(real))
    for r in range(p):
        memset(sums, 0, sizeof(sums))
        for block in range((start[r + 1] - start[r] + PARTS - 1) // PARTS):
            t = start[r] + block * PARTS
            count = <int> min(<Py_ssize_t> PARTS, start[r + 1] - t)
            models(count, index + t, A, ld, H + r * ld, vectors, y)
            for q in range(PARTS):
                given[q] = 1
            for q in range(count):
                given[q] = x[t + q]
            for q in range(PARTS):
                y[q] = y[q] if y[q] > least else least
                ratio[q] = given[q] / y[q]
            if real is float:
                add_rows(count, index + t, <const lane32*> ratio, <const lane32*> A, ld // width,
                         <lane32*> (C + r * ld), vectors)
            else:
                add_rows(count, index + t, <const lane64*> ratio, <const lane64*> A, ld // width,
                         <lane64*> (C + r * ld), vectors)
            if loss != NULL:
                # the filled-up entries have x = y = 1: a divergence of 0, and no y to take off
                for q in range(PARTS):
                    sums[q] += kl_entry(ratio[q], y[q])
                for q in range(count):
                    sums[q] -= y[q]
        if loss != NULL:
            loss[r] = 0
            for q in range(PARTS):
                loss[r] += sums[q]
    return 0


cdef SparseTable TABLE
TABLE.product_f32 = sparse_product[float]
TABLE.product_f64 = sparse_product[double]
TABLE.kl_f32 = sparse_kl[float]
TABLE.kl_f64 = sparse_kl[double]
table = PyCapsule_New(&TABLE, "nmf.sparse", NULL)
