# SPDX-License-Identifier: BSD-3-Clause
# Multiplicative steps for the Kullback-Leibler divergence of full data, L samples side by side.
#
#     loss   sum_i x_i log(x_i / y_i) - x_i + y_i,    y = W h, at least `least`
#     num_j  sum_i W_ij x_i / y_i,                    h_j <- the step of `kl_step`
#     C_ij   += sum over samples of h_j x_i / y_i     with the new h
#
# Zeros      x_i = 0 gives no ratio: where a feature is zero in all samples of a tile, its row of W
#            is only looked at for its part rest_j h_j of the loss, rest_j = sum W_ij over such i
# Lanes      samples: a tile is 2 vectors; its ratios stay in L1 / L2 from the first product to
#            the last, nothing is stored for the block as a whole
# Order      every sum in the order of its features, a C_ij in the order of its samples; to leave
#            out a zero changes no digit, so a sample's new h does not depend on its neighbours
# Cost       2 n flops per entry of an active feature and product: two products for the step, two
#            more for the sums; beside them about 40 per entry
# Memory     W, C and a tile of X, some 2 m L numbers, are meant to stay in L2
# Reference  Lee, Seung, NIPS 2000
#
#   L        2 BYTES / sizeof(real)
#   X        p rows of m, >= 0; read only
#   W        m rows of n, a multiple of L / 2 and of ROWS, 64-byte aligned, zero beyond the rank k;
#            read only
#   den      n: the column sums of W; read only
#   H        p rows of n, 64-byte aligned, zero beyond k; stepped in place if `stages` > 0
#   l1, l2, floor  of the step, see kl_step
#   C        m x n, 64-byte aligned, added to if `stages` > 1, else not touched
#   stages   0: loss alone; 1: and the step on H; 2: and the sums C
#   least    > 0, so small that X / least is finite
#   loss     p, written: of the H on entry
#   work     (2 m + 3 n + ROWS + TILE) L + n + m, 64-byte aligned, no meaning on entry or return
#   index    m + ROWS, no meaning on entry or return
# Allocates nothing. Returns 0.
from cpython.pycapsule cimport PyCapsule_New
from libc.string cimport memcpy, memset

from fastcone._kernels.nmf.kl_entry cimport kl_entry
from fastcone._kernels.common.lanes cimport BYTES, ROWS, lane, lane32, lane64, real, spread
from fastcone._kernels.common.panels cimport PANEL, rank_chunk
from fastcone._kernels.nmf.mu_step cimport kl_step
from fastcone._kernels.nmf.products cimport TILE, lay_out, rank_block
from fastcone._kernels.common.tables cimport KLTable


cdef inline Py_ssize_t nonzero_features(Py_ssize_t m, Py_ssize_t p, const real* X, real* top,
                                        Py_ssize_t* index) noexcept nogil:
    """The features that are not zero in all p samples, in order, filled up to whole ROWS."""
    cdef Py_ssize_t i, r, count = 0
    memcpy(top, X, m * sizeof(real))
    for r in range(1, p):
        for i in range(m):
            top[i] = top[i] if top[i] > X[r * m + i] else X[r * m + i]
    for i in range(m):
        index[count] = i
        count += top[i] > 0
    for i in range(count, count + ROWS):
        index[i] = index[count - 1] if count else 0
    return count


cdef inline void transpose(Py_ssize_t p, Py_ssize_t m, const real* X, Py_ssize_t count,
                           const Py_ssize_t* index, Py_ssize_t L, real* out) noexcept nogil:
    """out[a][r] = X[r][index[a]], zero in the lanes from p on"""
    cdef Py_ssize_t a, r
    memset(out, 0, count * L * sizeof(real))
    for a in range(count):
        for r in range(p):
            out[a * L + r] = X[r * m + index[a]]


cdef inline void cast_chunk(Py_ssize_t m, const lane* A, Py_ssize_t step, const void** b,
                            void** c) noexcept nogil:
    """rank_chunk with its pointers cast"""
    cdef const lane* rows[ROWS]
    cdef lane* sums[ROWS]
    cdef int t
    for t in range(ROWS):
        rows[t] = <const lane*> b[t]
        sums[t] = <lane*> c[t]
    rank_chunk(m, A, step, rows, sums)


cdef inline void chunk(Py_ssize_t m, const real* A, Py_ssize_t step, const void** b,
                       void** c) noexcept nogil:
    """c_t += sum_i b_t[i] A[i step] for ROWS rows; `step` in numbers"""
    if real is float:
        cast_chunk(m, <const lane32*> A, step * sizeof(float) // BYTES, b, c)
    else:
        cast_chunk(m, <const lane64*> A, step * sizeof(double) // BYTES, b, c)


cdef inline void model(Py_ssize_t n, const real* W, Py_ssize_t count, const Py_ssize_t* index,
                       const real* Ht, real* Y) noexcept nogil:
    """Y_a = sum_j W[index[a]][j] Ht_j, ROWS features at a time"""
    cdef const void* b[ROWS]
    cdef void* c[ROWS]
    cdef Py_ssize_t group, L = PANEL * BYTES // <int> sizeof(real)
    cdef int t
    memset(Y, 0, (count + ROWS) * PANEL * BYTES)
    for group in range((count + ROWS - 1) // ROWS):
        for t in range(ROWS):
            b[t] = W + index[group * ROWS + t] * n
            c[t] = Y + (group * ROWS + t) * L
        chunk[real](n, Ht, L, b, c)


cdef inline void back_lanes(Py_ssize_t n, const lane* W, Py_ssize_t width, Py_ssize_t count,
                            const Py_ssize_t* index, const lane* R, lane* num) noexcept nogil:
    """num_j = sum_a W[index[a]][j] R_a, ROWS coordinates at a time; rows of W of `width` bytes"""
    cdef lane acc[ROWS * PANEL]
    cdef lane r0, r1, w
    cdef const lane* row
    cdef Py_ssize_t group, a
    cdef int t
    for group in range(n // ROWS):
        memset(acc, 0, sizeof(acc))
        for a in range(count):
            r0 = R[2 * a]
            r1 = R[2 * a + 1]
            row = <const lane*> (<const char*> W + index[a] * width)
            for t in range(ROWS):
                w = spread(row, group * ROWS + t)
                acc[2 * t] = acc[2 * t] + r0 * w
                acc[2 * t + 1] = acc[2 * t + 1] + r1 * w
        memcpy(num + group * ROWS * PANEL, acc, sizeof(acc))


cdef inline void wt_times(Py_ssize_t n, const real* W, Py_ssize_t count, const Py_ssize_t* index,
                          const real* R, real* num) noexcept nogil:
    """num_j = sum_a W[index[a]][j] R_a"""
    if real is float:
        back_lanes(n, <const lane32*> W, n * sizeof(float), count, index, <const lane32*> R,
                   <lane32*> num)
    else:
        back_lanes(n, <const lane64*> W, n * sizeof(double), count, index, <const lane64*> R,
                   <lane64*> num)


cdef inline void add_lanes(Py_ssize_t panels, Py_ssize_t p, Py_ssize_t count,
                           const Py_ssize_t* index, const lane* R, const lane* H, lane* C,
                           lane* discard) noexcept nogil:
    """C[index[a]] += sum over r < p of R_a[r] H_r, TILE features and one vector at a time"""
    cdef const lane* b[TILE]
    cdef lane* c[TILE]
    cdef Py_ssize_t group, j, a
    cdef int t
    for group in range((count + TILE - 1) // TILE):
        for t in range(TILE):
            b[t] = R + min(group * TILE + t, count - 1) * PANEL
        for j in range(panels):
            for t in range(TILE):
                a = group * TILE + t
                c[t] = C + index[a] * panels + j if a < count else discard + t
            rank_block(p, H + j * p, b, c)


cdef inline void add(Py_ssize_t n, Py_ssize_t p, Py_ssize_t count, const Py_ssize_t* index,
                     const real* R, const real* H, real* C, real* work) noexcept nogil:
    """C[index[a]] += sum over r < p of R_a[r] H_r"""
    cdef Py_ssize_t L = BYTES // sizeof(real)
    lay_out(p, n, H, n, L, work)
    if real is float:
        add_lanes(n // L, p, count, index, <const lane32*> R, <const lane32*> work, <lane32*> C,
                  <lane32*> (work + p * n))
    else:
        add_lanes(n // L, p, count, index, <const lane64*> R, <const lane64*> work, <lane64*> C,
                  <lane64*> (work + p * n))


cdef inline void ratios(Py_ssize_t count, const real* X, real least, real* Y,
                        real* part) noexcept nogil:
    """Y <- X / Y; part[q] += the losses of lane q"""
    cdef real ratio[PANEL * BYTES]
    cdef real y
    cdef Py_ssize_t _a
    cdef int q
    for _a in range(count):
        for q in range(PANEL * BYTES // <int> sizeof(real)):
            y = Y[q] if Y[q] > least else least
            ratio[q] = X[q] / y
            part[q] += kl_entry(ratio[q], y)
        memcpy(Y, ratio, PANEL * BYTES)
        X += PANEL * BYTES // <int> sizeof(real)
        Y += PANEL * BYTES // <int> sizeof(real)


cdef inline void ratios_alone(Py_ssize_t count, const real* X, real least,
                              real* Y) noexcept nogil:
    """Y <- X / Y"""
    cdef Py_ssize_t i
    for i in range(count):
        Y[i] = X[i] / (Y[i] if Y[i] > least else least)


cdef inline void skipped(Py_ssize_t m, Py_ssize_t n, const real* W, Py_ssize_t count,
                         const Py_ssize_t* index, const real* Ht, real* rest,
                         real* part) noexcept nogil:
    """part[q] += sum_j rest_j Ht[j][q], rest_j = sum of W_ij over the features not in `index`"""
    cdef Py_ssize_t i, j, a = 0, L = PANEL * BYTES // <int> sizeof(real)
    cdef int q
    memset(rest, 0, n * sizeof(real))
    for i in range(m):
        if a < count and index[a] == i:
            a += 1
        else:
            for j in range(n):
                rest[j] += W[i * n + j]
    for j in range(n):
        for q in range(L):
            part[q] += rest[j] * Ht[j * L + q]


cdef inline void multiply(Py_ssize_t k, const real* num, const real* den, real l1, real l2,
                          real floor, real* Ht) noexcept nogil:
    """Ht_j <- max(floor, the root z of (den_j + l1) z + l2 z^2 = Ht_j num_j)"""
    cdef Py_ssize_t j, L = PANEL * BYTES // <int> sizeof(real)
    cdef int q
    for j in range(k):
        for q in range(L):
            Ht[j * L + q] = kl_step[real](Ht[j * L + q], num[j * L + q], den[j], l1, l2, floor)


cdef int kl(Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, Py_ssize_t p, const real* X, const real* W,
            const real* den, real* H, real* C, int stages, real l1, real l2, real floor,
            real least, real* loss, real* work, Py_ssize_t* index) noexcept nogil:
    cdef Py_ssize_t L = PANEL * BYTES // <int> sizeof(real), tile, count, r, j, here
    cdef real part[PANEL * BYTES]
    cdef real* Xt = work
    cdef real* Y = Xt + m * L
    cdef real* Ht = Y + (m + ROWS) * L
    cdef real* num = Ht + n * L
    cdef real* wide = num + n * L
    cdef real* rest = wide + (n + TILE) * L
    cdef real* h
    for tile in range((p + L - 1) // L):
        here = min(L, p - tile * L)
        h = H + tile * L * n
        count = nonzero_features(m, here, X + tile * L * m, rest + n, index)
        transpose(here, m, X + tile * L * m, count, index, L, Xt)
        memset(Ht, 0, n * L * sizeof(real))
        for r in range(here):
            for j in range(n):
                Ht[j * L + r] = h[r * n + j]
        memset(part, 0, sizeof(part))
        model(n, W, count, index, Ht, Y)
        ratios(count, Xt, least, Y, part)
        skipped(m, n, W, count, index, Ht, rest, part)
        memcpy(loss + tile * L, part, here * sizeof(real))
        if stages == 0:
            continue
        wt_times(n, W, count, index, Y, num)
        multiply(k, num, den, l1, l2, floor, Ht)
        for r in range(here):
            for j in range(k):
                h[r * n + j] = Ht[j * L + r]
        if stages == 1:
            continue
        model(n, W, count, index, Ht, Y)
        ratios_alone(count * L, Xt, least, Y)
        add(n, here, count, index, Y, h, C, wide)
    return 0


cdef KLTable TABLE
TABLE.f32 = kl[float]
TABLE.f64 = kl[double]
TABLE.rows = ROWS
TABLE.tile = TILE
table = PyCapsule_New(&TABLE, "nmf.kl", NULL)
