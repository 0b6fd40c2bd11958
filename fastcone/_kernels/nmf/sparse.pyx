# SPDX-License-Identifier: BSD-3-Clause
# Rows of sparse data against the rows of a dense factor: what one half of a training step needs.
#
# sparse_product   C_r = sum_t x_t A_{i_t}                         t over the entries of row r
# sparse_kl        C_r = sum_t (x_t / y_t) A_{i_t},                y_t = max(A_{i_t}'H_r, least)
#                  loss_r = sum_t x_t log(x_t / y_t) - x_t
# sparse_models    y_t = A_{i_t}'H_r
# sparse_cd        H_r descends on  sum_t (x_t - A_{i_t}'h)^2 / 2 + l1 sum(h) + l2/2 h'h,  h >= 0
#
# Step       sparse_cd: h_j <- max(0, h_j + (b_j'e - l1 - l2 h_j) / (b_j'b_j + l2)), b_j the column
#            (A_{i_t j})_t, e = (x_t - y_t)_t kept up to date; `epochs` times for fixed <= j < n.
#            Where b_j = 0 and l2 = 0, h_j stays, or is 0 where l1 > 0; without an entry all are 0
# Lanes      coordinates of a factor's row; entries come one by one, each gathers the row A_i.
#            sparse_kl forms PARTS ratios together, over contiguous entries; sparse_cd runs over
#            the entries of a row, whose rows A_i it transposes first
# Order      C_r adds the entries at even and at odd places of a row (sparse_kl: of PARTS entries)
#            apart, each in their order; a loss adds PARTS interleaved sums, in double
# Cost       sparse_product, sparse_models 2 n, sparse_kl 4 n + about 40, sparse_cd 4 n per epoch
#            and 4 n more, flops per entry
# Memory     never p x m, never entries x n but sparse_cd for one row
#
#   start    p + 1 positions in index and x, ascending: row r holds start_r .. start_{r+1} - 1
#   index    rows of A, >= 0; read only
#   x        the entries, > 0 for sparse_kl; read only
#   A, H     rows of ld, H has p of them; ld a multiple of the lanes of a vector, 64-byte aligned;
#            what lies beyond n in the last vector counts: zeros; read only
#            sparse_cd: H is the start (>= 0) on entry, the answer on return
#   C        p rows of ld, 64-byte aligned, written: zeros beyond the last vector
#   y        a number for each entry of these rows, written: y_0 for the entry at start_0
#   fixed    leading coordinates that stay, 0 <= fixed < n
#   l1, l2   >= 0
#   work     ld + (n + 1) E, 64-byte aligned, no meaning on entry or return; E the entries of the
#            longest row rounded up to whole panels, 2 BYTES / sizeof(real)
#   least    > 0, so small that x / least is finite
#   loss     p doubles, written, or NULL where it is not wanted
# Allocates nothing. Every function returns 0.
from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int32_t
from libc.string cimport memcpy, memset

from fastcone._kernels.nmf.kl_entry cimport kl_entry
from fastcone._kernels.common.lanes cimport (
    BYTES, lane, lane32, lane64, none, real, spread, total32, total64,
)
from fastcone._kernels.common.panels cimport PANEL
from fastcone._kernels.common.tables cimport SparseTable

cdef enum:
    WIDE = 4            # vectors of a row that stay in registers
    PARTS = 16          # entries whose ratios are formed together

cdef extern from *:
    """
    #define FC_TINY32 0x1p-103f     /* FLT_MIN / FLT_EPSILON: squares below have lost digits */
    #define FC_TINY64 0x1p-970      /* DBL_MIN / DBL_EPSILON */
    """
    const float TINY32 "FC_TINY32"
    const double TINY64 "FC_TINY64"


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


cdef int sparse_models(Py_ssize_t p, const Py_ssize_t* start, const int32_t* index, Py_ssize_t n,
                       Py_ssize_t ld, const real* A, const real* H, real* y) noexcept nogil:
    cdef real part[PARTS]
    cdef Py_ssize_t width = BYTES // sizeof(real), vectors = (n + width - 1) // width
    cdef Py_ssize_t r, block, t
    cdef int count
    for r in range(p):
        for block in range((start[r + 1] - start[r] + PARTS - 1) // PARTS):
            t = start[r] + block * PARTS
            count = <int> min(<Py_ssize_t> PARTS, start[r + 1] - t)
            models(count, index + t, A, ld, H + r * ld, vectors, part)
            memcpy(y + t - start[0], part, count * sizeof(real))
    return 0


cdef inline lane moved(Py_ssize_t panels, const lane* d, const lane* b, const lane* after,
                       lane* e) noexcept nogil:
    """e -= d b, d one number; return after'e, its lanes still to be added."""
    cdef lane even = none(d), odd = even, s = spread(d, 0)
    cdef Py_ssize_t i
    for i in range(panels):
        e[PANEL * i] = e[PANEL * i] - b[PANEL * i] * s
        e[PANEL * i + 1] = e[PANEL * i + 1] - b[PANEL * i + 1] * s
        even = even + after[PANEL * i] * e[PANEL * i]
        odd = odd + after[PANEL * i + 1] * e[PANEL * i + 1]
    return even + odd


cdef inline real move(Py_ssize_t panels, real d, const real* b, const real* after,
                      real* e) noexcept nogil:
    """e -= d b; return after'e."""
    if real is float:
        return total32(moved(panels, <const lane32*> &d, <const lane32*> b, <const lane32*> after,
                             <lane32*> e))
    else:
        return total64(moved(panels, <const lane64*> &d, <const lane64*> b, <const lane64*> after,
                             <lane64*> e))


cdef inline void transpose(Py_ssize_t count, const int32_t* index, Py_ssize_t n, Py_ssize_t ld,
                           const real* A, Py_ssize_t long_, real* B) noexcept nogil:
    """B_jt = A[index_t]_j, zeros for count <= t < long_."""
    cdef const real* a[PARTS]
    cdef real part[PARTS]
    cdef Py_ssize_t block, t, j
    cdef int q
    for block in range(count // PARTS):             # few rows of A, so that they stay in cache
        t = block * PARTS
        for q in range(PARTS):
            a[q] = A + index[t + q] * ld
        for j in range(n):
            for q in range(PARTS):
                part[q] = a[q][j]
            memcpy(B + j * long_ + t, part, sizeof(part))
    for t in range(count - count % PARTS, count):
        for j in range(n):
            B[j * long_ + t] = A[index[t] * ld + j]
    for j in range(n):
        memset(B + j * long_ + count, 0, (long_ - count) * sizeof(real))


cdef int sparse_cd(Py_ssize_t p, const Py_ssize_t* start, const int32_t* index, const real* x,
                   Py_ssize_t n, Py_ssize_t ld, const real* A, real* H, Py_ssize_t fixed,
                   int epochs, real l1, real l2, real* work) noexcept nogil:
    cdef Py_ssize_t panel = PANEL * BYTES // sizeof(real), r, j, count, panels, long_
    cdef real least = TINY32 if real is float else TINY64, g, to, d, none_ = 0
    cdef real* square = work
    cdef real* e = work + ld
    cdef real* B
    cdef real* h
    cdef int _i
    for r in range(p):
        h, count = H + r * ld, start[r + 1] - start[r]
        if count == 0:
            memset(h + fixed, 0, (n - fixed) * sizeof(real))
            continue
        panels = (count + panel - 1) // panel
        long_ = panels * panel
        B = e + long_
        transpose(count, index + start[r], n, ld, A, long_, B)
        for j in range(fixed, n):                   # b_j'b_j: b_j, moved by nothing
            square[j] = move(panels, none_, B + j * long_, B + j * long_, B + j * long_)
        memcpy(e, x + start[r], count * sizeof(real))
        memset(e + count, 0, (long_ - count) * sizeof(real))
        for j in range(n):                          # e = x - y
            move(panels, h[j], B + j * long_, B, e)
        g = move(panels, none_, B, B + fixed * long_, e)
        for _i in range(epochs):
            for j in range(fixed, n):
                to = h[j]
                if square[j] + l2 > least:
                    to += (g - l1 - l2 * to) / (square[j] + l2)
                    to = to if to > 0 else 0
                elif l1 > 0:
                    to = 0
                d, h[j] = to - h[j], to
                g = move(panels, d, B + j * long_,
                         B + (j + 1 if j + 1 < n else fixed) * long_, e)
    return 0


cdef SparseTable TABLE
TABLE.product_f32 = sparse_product[float]
TABLE.product_f64 = sparse_product[double]
TABLE.kl_f32 = sparse_kl[float]
TABLE.kl_f64 = sparse_kl[double]
TABLE.models_f32 = sparse_models[float]
TABLE.models_f64 = sparse_models[double]
TABLE.cd_f32 = sparse_cd[float]
TABLE.cd_f64 = sparse_cd[double]
table = PyCapsule_New(&TABLE, "nmf.sparse", NULL)
