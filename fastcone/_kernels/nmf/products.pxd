# SPDX-License-Identifier: BSD-3-Clause
"""The two products of training, as parts of the kernels that need them; see products.pyx.

A panel is one lane vector of columns, not two as in common/product.pyx: the rank of a dictionary
is often below two vectors, and what fills it up costs as much as what is asked for. TILE rows
against one vector keep the multipliers as busy.
"""
from libc.string cimport memcpy, memset

from fastcone._kernels.common.lanes cimport BYTES, lane, lane32, lane64, none, real, spread

cdef extern from *:
    """
    #define fc_ahead(p) __builtin_prefetch(p, 0, 2)
    """
    void ahead "fc_ahead"(const void* line) noexcept nogil  # it will be read, fetch it meanwhile

cdef enum:
    LINE = 64               # bytes
    TILE = 8                # rows per register block
    TERMS = 128             # of a partial sum; samples that `add_outer` takes at a time
    STRIP = 64              # features that are laid out together, a multiple of TILE


cdef inline void rank_block(Py_ssize_t m, const lane* A, const lane** b, lane** c) noexcept nogil:
    """c_t += sum_i b_t[i] A_i for TILE rows; a row may be repeated"""
    cdef lane acc[TILE]
    cdef lane a
    cdef Py_ssize_t i
    cdef int t
    for t in range(TILE):
        acc[t] = none(A)
    for i in range(m):
        a = A[i]
        for t in range(TILE):
            acc[t] = acc[t] + a * spread(b[t], i)
    for t in range(TILE):                   # all are read before one is written
        acc[t] = acc[t] + c[t][0]
    for t in range(TILE):
        c[t][0] = acc[t]


cdef inline void times_lanes(Py_ssize_t m, Py_ssize_t lda, Py_ssize_t panels, const lane* A,
                             Py_ssize_t p, const lane* B, Py_ssize_t ldb, lane* C, Py_ssize_t ldc,
                             Py_ssize_t size) noexcept nogil:
    """C += B A; ldb in numbers of `size` bytes, lda and ldc in vectors"""
    cdef const lane* b[TILE]
    cdef lane* c[TILE]
    cdef Py_ssize_t chunk, group, i, j, row
    cdef int t
    for chunk in range((m + TERMS - 1) // TERMS):
        i = chunk * TERMS
        for group in range((p + TILE - 1) // TILE):
            for j in range(panels):
                for t in range(TILE):
                    row = min(group * TILE + t, p - 1)
                    b[t] = <const lane*> (<const char*> B + (row * ldb + i) * size)
                    c[t] = C + row * ldc + j
                rank_block(min(<Py_ssize_t> TERMS, m - i), A + j * lda + i, b, c)


cdef inline void gather(Py_ssize_t p, const lane* B, Py_ssize_t step, const lane* H,
                        lane** c) noexcept nogil:
    """c_t += sum_r B[r step + t] H_r for TILE features t; `step` in bytes"""
    cdef lane acc[TILE]
    cdef lane h
    cdef Py_ssize_t r
    cdef int t
    for t in range(TILE):
        acc[t] = c[t][0]
    for r in range(p):
        h = H[r]
        for t in range(TILE):
            acc[t] = acc[t] + h * spread(B, t)
        B = <const lane*> (<const char*> B + step)
    for t in range(TILE):
        c[t][0] = acc[t]


cdef inline void outer_lanes(Py_ssize_t m, Py_ssize_t panels, Py_ssize_t p, const lane* B,
                             const lane* H, lane* C, lane* discard, Py_ssize_t size) noexcept nogil:
    """C += B'H for m features, laid out by TILE: B[m / TILE][p][TILE], H[panels][p]"""
    cdef lane* c[TILE]
    cdef Py_ssize_t group, j
    cdef int t
    for group in range((m + TILE - 1) // TILE):
        for j in range(panels):
            for t in range(TILE):
                c[t] = discard + t
                if group * TILE + t < m:
                    c[t] = C + (group * TILE + t) * panels + j
            gather(p, <const lane*> (<const char*> B + group * p * TILE * size), TILE * size,
                   H + j * p, c)


cdef inline void lay_out(Py_ssize_t p, Py_ssize_t count, const real* B, Py_ssize_t ldb,
                         Py_ssize_t group, real* out) noexcept nogil:
    """out[g][r][t] = B[r][g group + t], zero from `count` on"""
    cdef Py_ssize_t r, g, whole = count // group, left = count % group
    for r in range(p):
        for g in range(whole):
            memcpy(out + (g * p + r) * group, B + r * ldb + g * group, group * sizeof(real))
        if left:
            memset(out + (whole * p + r) * group, 0, group * sizeof(real))
            memcpy(out + (whole * p + r) * group, B + r * ldb + whole * group, left * sizeof(real))


cdef inline void fetch(Py_ssize_t p, Py_ssize_t count, const real* B,
                       Py_ssize_t ldb) noexcept nogil:
    """Ask for p rows of `count` numbers, which lie too far apart for the processor to foresee."""
    cdef Py_ssize_t r, i
    for r in range(p):
        for i in range((count * <Py_ssize_t> sizeof(real) + LINE - 1) // LINE):
            ahead(B + r * ldb + i * (LINE // sizeof(real)))


cdef inline void add_times(Py_ssize_t m, Py_ssize_t lda, Py_ssize_t n, const real* A, Py_ssize_t p,
                           const real* B, Py_ssize_t ldb, real* C, Py_ssize_t ldc) noexcept nogil:
    """C_rj += sum_i B_ri A_ij; A panels [n / L][lda][L] of which m rows count"""
    cdef Py_ssize_t L = BYTES // sizeof(real)
    if real is float:
        times_lanes(m, lda, n // L, <const lane32*> A, p, <const lane32*> B, ldb, <lane32*> C,
                    ldc // L, sizeof(float))
    else:
        times_lanes(m, lda, n // L, <const lane64*> A, p, <const lane64*> B, ldb, <lane64*> C,
                    ldc // L, sizeof(double))


cdef inline Py_ssize_t outer_work(Py_ssize_t n, Py_ssize_t L) noexcept nogil:
    """numbers of work space `add_outer` needs for coefficients of padded length n"""
    return TERMS * (n + STRIP) + TILE * L


cdef inline void add_outer(Py_ssize_t m, Py_ssize_t k, Py_ssize_t n, Py_ssize_t p, const real* B,
                           Py_ssize_t ldb, const real* H, Py_ssize_t ldh, real* C,
                           real* work) noexcept nogil:
    """C_ij += sum_r B_ri H_rj for i < m, j < k; C m x n, n >= k whole vectors"""
    cdef Py_ssize_t L = BYTES // sizeof(real), chunk, strip, r, i, here
    cdef Py_ssize_t count, whole = (k + L - 1) // L * L
    cdef real* wide = work + TERMS * n
    cdef real* discard = wide + TERMS * STRIP
    memset(discard, 0, TILE * L * sizeof(real))
    for chunk in range((p + TERMS - 1) // TERMS):
        r = chunk * TERMS
        here = min(<Py_ssize_t> TERMS, p - r)
        lay_out(here, k, H + r * ldh, ldh, L, work)
        memset(work + here * whole, 0, here * (n - whole) * sizeof(real))
        for strip in range((m + STRIP - 1) // STRIP):
            i = strip * STRIP
            count = min(<Py_ssize_t> STRIP, m - i)
            fetch(here, min(<Py_ssize_t> STRIP, m - i - count), B + r * ldb + i + count, ldb)
            lay_out(here, count, B + r * ldb + i, ldb, TILE, wide)
            if real is float:
                outer_lanes(count, n // L, here, <const lane32*> wide, <const lane32*> work,
                            <lane32*> (C + i * n), <lane32*> discard, sizeof(float))
            else:
                outer_lanes(count, n // L, here, <const lane64*> wide, <const lane64*> work,
                            <lane64*> (C + i * n), <lane64*> discard, sizeof(double))
