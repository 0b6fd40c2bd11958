# SPDX-License-Identifier: BSD-3-Clause
"""Many multiplicative iterations of the squared error in one compiled call, for small tables.

One iteration is that of `frobenius.GramFit`, with the same kernels, blocks, groups and order of
sums, hence the same bits. Where an iteration is not plainly a gain it is not taken: what follows
from that is decided where iterations are made one by one.
"""

from libc.string cimport memcpy, memset

from fastcone._kernels.common.lanes cimport real
from fastcone._runtime.dispatch cimport product_table, products_table

cdef struct Half:           # what a half-step is told of its factor
    const Py_ssize_t* edges         # of its blocks
    const Py_ssize_t* group         # of each block
    Py_ssize_t blocks
    Py_ssize_t fixed
    double l1
    double l2
    double floor


cdef inline double total(Py_ssize_t n, const real* A, const real* B) noexcept nogil:
    """sum_i A_i B_i in float64, in order"""
    cdef double found = 0
    cdef Py_ssize_t i
    for i in range(n):
        found += <double> A[i] * B[i]
    return found


def inner(const real[:, ::1] A, const real[:, ::1] B):
    """The sum of A_ij B_ij in float64, row after row."""
    assert A.shape[0] == B.shape[0] and A.shape[1] == B.shape[1]
    return total(A.shape[0] * A.shape[1], &A[0, 0], &B[0, 0]) if A.size else 0.0


cdef inline void pack(Py_ssize_t m, Py_ssize_t n, const real* A, real* panels) noexcept nogil:
    """A (m, n) as panels [n / L][m][L] of one lane vector"""
    cdef Py_ssize_t L = product_table.bytes // sizeof(real), i, j
    for j in range(n // L):
        for i in range(m):
            memcpy(panels + (j * m + i) * L, A + i * n + j * L, L * sizeof(real))


cdef inline void times(Py_ssize_t m, Py_ssize_t n, const real* A, Py_ssize_t p, const real* B,
                       real* C) noexcept nogil:
    if real is float:
        products_table.times_f32(m, n, A, p, B, m, C)
    else:
        products_table.times_f64(m, n, A, p, B, m, C)


cdef inline void outer(Py_ssize_t m, Py_ssize_t k, Py_ssize_t n, Py_ssize_t p, const real* B,
                       const real* H, real* C, real* work) noexcept nogil:
    if real is float:
        products_table.outer_f32(m, k, n, p, B, m, H, k, C, work)
    else:
        products_table.outer_f64(m, k, n, p, B, m, H, k, C, work)


cdef inline double multiply(Half* half, Py_ssize_t k, Py_ssize_t n, Py_ssize_t p, const real* C,
                            const real* G, const real* F, real* Z, Py_ssize_t ld, real* GG,
                            real* work) noexcept nogil:
    if real is float:
        return products_table.multiply_f32(k, n, p, C, G, F, ld, Z, ld, half.fixed, half.l1,
                                           half.l2, half.floor, GG, work)
    else:
        return products_table.multiply_f64(k, n, p, C, G, F, ld, Z, ld, half.fixed, half.l1,
                                           half.l2, half.floor, GG, work)


cdef inline void add(Py_ssize_t n, const real* part, real* sums) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        sums[i] += part[i]


cdef double half_step(Half* half, Py_ssize_t m, Py_ssize_t k, Py_ssize_t n, const real* X,
                      const real* A, real* C, const real* G, const real* F, real* Z, Py_ssize_t ld,
                      real* GG, real* sums, real* parts, real* work) noexcept nogil:
    """One factor's step block by block, Gram matrix and, unless NULL, `sums` of it; <C, Z>.

    C = X A of a block where X is given, else the rows of C that are there already.
    parts: room for one group's Gram matrix and sums.
    """
    cdef Py_ssize_t b, row, p, size = n * n
    cdef double found = 0
    cdef real* gram
    cdef real* into = NULL
    cdef real* c
    for b in range(half.blocks):
        row, p = half.edges[b], half.edges[b + 1] - half.edges[b]
        gram = parts if half.group[b] else GG
        if sums != NULL:
            into = parts + size if half.group[b] else sums
        if b == 0 or half.group[b] != half.group[b - 1]:
            memset(gram, 0, size * sizeof(real))
            if sums != NULL:
                memset(into, 0, m * n * sizeof(real))
        c = C if X != NULL else C + row * n
        if X != NULL:
            times(m, n, A, p, X + row * m, c)
        found += multiply(half, k, n, p, c, G, F + row * ld, Z + row * ld, ld, gram, work)
        if sums != NULL:
            outer(m, k, n, p, X + row * m, Z + row * k, into, work)
        if half.group[b] and (b == half.blocks - 1 or half.group[b + 1] != half.group[b]):
            add(size, gram, GG)
            if sums != NULL:
                add(m * n, into, sums)
    return found


cdef Py_ssize_t longest(const Py_ssize_t[::1] edges):
    cdef Py_ssize_t b, most = 0
    for b in range(edges.shape[0] - 1):
        most = max(most, edges[b + 1] - edges[b])
    return most


cdef Half told(const Py_ssize_t[::1] edges, const Py_ssize_t[::1] group, Py_ssize_t rows,
               limits, Py_ssize_t fixed) except *:
    cdef Half half
    assert edges.shape[0] == group.shape[0] + 1 and edges[0] == 0
    assert edges[edges.shape[0] - 1] == rows
    half.edges, half.group, half.blocks = &edges[0], &group[0], group.shape[0]
    half.l1, half.l2, half.floor = limits
    half.fixed = fixed
    return half


def room(Py_ssize_t m, Py_ssize_t n, const Py_ssize_t[::1] edges, Py_ssize_t itemsize):
    """Numbers of work space `rounds` needs."""
    cdef Py_ssize_t work = (products_table.outer_work(n, product_table.bytes // itemsize)
                            + products_table.terms * n)
    return n * (longest(edges) + 3 * m + 4 * n) + work


def rounds(const real[:, ::1] X, const Py_ssize_t[::1] edges, const Py_ssize_t[::1] group,
           limits_H, const Py_ssize_t[::1] edges_W, const Py_ssize_t[::1] group_W, limits_W,
           Py_ssize_t fixed, bint update_W, const real[:, ::1] W, const real[:, ::1] H,
           real[:, ::1] G, real[:, ::1] W_new, real[:, ::1] H_new, real[:, ::1] W_spare,
           real[:, ::1] H_spare, double half_norm, double near, double noise, double first,
           double previous, double tol, double[::1] values, real[::1] work):
    """Iterate from W and H while each iteration plainly gains; how many did, the last in the new.

    X (N, m); W (>= m, n) and H (N, k) likewise new and spare, which may be the same W where it is
    not updated; G (n, n), W'W, which becomes that of W_new. values: the objective after each, its
    length the most there are. The limits are l1, l2 and the floor of a factor.
    """
    cdef Py_ssize_t N = X.shape[0], m = X.shape[1], k = H.shape[1], n = W.shape[1], t, done = 0
    cdef Half of_H = told(edges, group, N, limits_H, 0)
    cdef Half of_W = told(edges_W, group_W, m, limits_W, fixed)
    cdef double found, value, limit
    assert work.shape[0] >= room(m, n, edges, sizeof(real))
    assert n * <Py_ssize_t> sizeof(real) % product_table.bytes == 0 and 0 < k <= n
    assert H.shape[0] == H_new.shape[0] == H_spare.shape[0] == N
    assert H_new.shape[1] == k and H_spare.shape[1] == k
    assert W.shape[0] >= m and W_new.shape[0] >= m and W_spare.shape[0] >= m
    assert W_new.shape[1] == n and W_spare.shape[1] == n and G.shape[0] == n and G.shape[1] == n
    cdef real* A = &work[0]
    cdef real* XH = A + m * n
    cdef real* packed = XH + m * n
    cdef real* HH = packed + n * n
    cdef real* GG = HH + n * n
    cdef real* parts = GG + n * n               # n * n and m * n
    cdef real* C = parts + n * n + m * n
    cdef real* rest = C + n * longest(edges)
    cdef const real* W_at = &W[0, 0]
    cdef const real* H_at = &H[0, 0]
    cdef real* W_to = &W_new[0, 0]
    cdef real* H_to = &H_new[0, 0]
    cdef real* W_next = &W_spare[0, 0]
    cdef real* H_next = &H_spare[0, 0]
    with nogil:
        memcpy(GG, &G[0, 0], n * n * sizeof(real))
        pack(m, n, W_at, A)
        for t in range(values.shape[0]):
            pack(k, n, &G[0, 0], packed)
            found = half_step(&of_H, m, k, n, &X[0, 0], A, C, packed, H_at, H_to, k, HH,
                              XH if update_W else <real*> NULL, parts, rest)
            if update_W:
                pack(k, n, HH, packed)
                found = half_step(&of_W, m, k, n, <real*> NULL, A, XH, packed, W_at, W_to, n, GG,
                                  <real*> NULL, parts, rest)
            value = half_norm + (total(n * n, GG, HH) / 2 - found)
            limit = previous * (1 - tol) - noise
            if not (value < limit and value >= near and value > tol * tol * first):
                break
            values[t], previous, done = value, value, t + 1
            H_at, H_to, H_next = H_to, H_next, H_to
            if update_W:
                W_at, W_to, W_next = W_to, W_next, W_to
                memcpy(&G[0, 0], GG, n * n * sizeof(real))
                pack(m, n, W_at, A)
        if done and H_at != &H_new[0, 0]:
            memcpy(&H_new[0, 0], H_at, N * k * sizeof(real))
        if done and update_W and W_at != &W_new[0, 0]:
            memcpy(&W_new[0, 0], W_at, m * n * sizeof(real))
    return done
