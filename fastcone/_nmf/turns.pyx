# SPDX-License-Identifier: BSD-3-Clause
"""Many multiplicative iterations of any divergence in one compiled call, for small tables.

One iteration is that of `divergence.EntryFit` or `KLFit`, with the same kernels, blocks, groups and
order of sums, hence the same bits; one that is not plainly a gain is not taken, see cycles.pyx.
"""

from libc.string cimport memcpy, memset

from fastcone._kernels.common.lanes cimport real
from fastcone._nmf.passes cimport Kinds, kinds_of, look_work, slabs, step
from fastcone._runtime.dispatch cimport kl_rows_table, product_table


cdef inline void pack(Py_ssize_t m, Py_ssize_t mp, Py_ssize_t k, Py_ssize_t n, const real* W,
                      real* V, real* A, real* sums) noexcept nogil:
    """W' as panels [mp / L][k][L], W as [n / L][m][L], and the sums of W's columns"""
    cdef Py_ssize_t L = product_table.bytes // sizeof(real), i, j
    memset(sums, 0, n * sizeof(real))
    for i in range(mp):
        for j in range(k):
            V[(i // L * k + j) * L + i % L] = W[i * n + j]
    for i in range(m):
        for j in range(n // L):
            memcpy(A + (j * m + i) * L, W + i * n + j * L, L * sizeof(real))
        for j in range(n):
            sums[j] += W[i * n + j]


cdef inline void kl_rows(Py_ssize_t m, Py_ssize_t k, Py_ssize_t n, Py_ssize_t p, const real* X,
                         const real* V, const real* A, const real* sums, const real* H, real* Z,
                         real* num, real* den, double* l, real* loss, real* work) noexcept nogil:
    cdef real found
    cdef Py_ssize_t r, j
    if real is float:
        kl_rows_table.f32(m, k, n, p, X, V, A, sums, H, Z, num, 2, l[0], l[1], l[2], l[3], loss,
                          work)
    else:
        kl_rows_table.f64(m, k, n, p, X, V, A, sums, H, Z, num, 2, l[0], l[1], l[2], l[3], loss,
                          work)
    for j in range(k):
        found = 0
        for r in range(p):
            found = found + Z[r * k + j]
        den[j] += found


cdef inline double look(bint kl, Kinds kinds, Py_ssize_t m, Py_ssize_t k, Py_ssize_t n,
                        Py_ssize_t blocks, const Py_ssize_t* edges, const Py_ssize_t* group,
                        const real* X, const real* ones, const real* V, const real* A,
                        const real* sums, const real* H, real* Z, real* num, real* den,
                        Py_ssize_t den_size, real* part_num, real* part_den, double* l,
                        real* loss, real* work) noexcept nogil:
    """The objective at H; Z = the step on H, num and den the sums at Z"""
    cdef Py_ssize_t b, i, row, p
    cdef double value = 0, part
    cdef real* to_num
    cdef real* to_den
    for b in range(blocks):
        row, p = edges[b], edges[b + 1] - edges[b]
        to_num = part_num if group[b] else num
        to_den = part_den if group[b] else den
        if b == 0 or group[b] != group[b - 1]:
            memset(to_num, 0, m * n * sizeof(real))
            memset(to_den, 0, den_size * sizeof(real))
        if kl:
            kl_rows(m, k, n, p, X + row * m, V, A, sums, H + row * k, Z + row * k, to_num, to_den,
                    l, loss, work)
        else:
            slabs(kinds, m, k, n, p, X + row * m, ones, 0, V, A, H + row * k, Z + row * k, to_num,
                  to_den, 2, <real> l[0], <real> l[1], <real> l[2], <real> l[3], loss, work)
        part = 0
        for i in range(p):
            part += loss[i]
        value += part
        if group[b] and (b == blocks - 1 or group[b + 1] != group[b]):
            for i in range(m * n):
                num[i] += part_num[i]
            for i in range(den_size):
                den[i] += part_den[i]
    return value


def room(Py_ssize_t m, Py_ssize_t mp, Py_ssize_t k, Py_ssize_t n, Py_ssize_t longest,
         Py_ssize_t itemsize):
    """Numbers of work space `turns` needs."""
    cdef Py_ssize_t L = product_table.bytes // itemsize
    cdef Py_ssize_t work = max(look_work(n, itemsize), kl_rows_table.work(n, L))
    return mp * k + 5 * m * n + 2 * n + (longest + L - 1) // L * L + work


def turns(bint kl, str entry, double beta, str kind_H, double gamma_H, str kind_W, double gamma_W,
          const real[:, ::1] X, const real[:, ::1] ones, const Py_ssize_t[::1] edges,
          const Py_ssize_t[::1] group, limits_H, limits_W, double least, Py_ssize_t fixed,
          real[:, :, ::1] W, real[:, :, ::1] H, real[:, ::1] num, real[:, ::1] den, double first,
          double previous, double tol, double[::1] values, real[::1] work):
    """Iterate while each iteration plainly gains; how many did, and where W, H, the next H are.

    X (N, m); W (2, mp, n): W[0] is where to start; H (3, N, k): H[0] the coefficients that follow
    it. Returned are the number of iterations and the places in W and H of the last W and H that
    gained and of what follows them. num (>= m, n), den (1 or >= m, n): the sums at the H that
    follows, on return only if all iterations gained.
    """
    cdef Py_ssize_t N = X.shape[0], m = X.shape[1], mp = W.shape[1], n = W.shape[2]
    cdef Py_ssize_t k = H.shape[2], blocks = group.shape[0], b, t, i, longest = 0, done = 0
    cdef Py_ssize_t den_size = den.shape[0] * n if den.shape[0] == 1 else m * n
    cdef Kinds kinds = kinds_of(entry, beta, kind_H, gamma_H)
    cdef Kinds of_W = kinds_of(entry, beta, kind_W, gamma_W)
    cdef double l[4]
    cdef double w[3]
    cdef double value
    l[0], l[1], l[2] = limits_H
    w[0], w[1], w[2] = limits_W
    l[3] = least
    assert edges.shape[0] == blocks + 1 and edges[0] == 0 and edges[blocks] == N
    for b in range(blocks):
        longest = max(longest, edges[b + 1] - edges[b])
    assert W.shape[0] == 2 and mp >= m and H.shape[0] == 3 and H.shape[1] == N and 0 < k <= n
    assert num.shape[0] >= m and num.shape[1] == n and den.shape[1] == n
    assert den.shape[0] == 1 or den.shape[0] >= m
    assert ones.shape[0] == 1 and ones.shape[1] >= m
    assert work.shape[0] >= room(m, mp, k, n, longest, sizeof(real))
    cdef real* A = &work[0]
    cdef real* V = A + m * n
    cdef real* part_num = V + mp * k
    cdef real* part_den = part_num + m * n
    cdef real* sums = part_den + m * n
    cdef real* rest = sums + n
    cdef real* loss = rest + max(look_work(n, sizeof(real)),
                                 kl_rows_table.work(n, product_table.bytes // sizeof(real)))
    cdef real* W_at = &W[0, 0, 0]
    cdef real* W_to = &W[1, 0, 0]
    cdef real* H_free = &H[2, 0, 0]     # what was accepted last, at first nothing
    cdef real* H_at = &H[0, 0, 0]
    cdef real* H_to = &H[1, 0, 0]
    with nogil:
        for t in range(values.shape[0]):
            memcpy(W_to, W_at, mp * n * sizeof(real))
            step(of_W, k, m, n, W_to, &num[0, 0], &den[0, 0], 0 if den_size == n else n,
                 <real> w[0], <real> w[1], <real> w[2])
            for i in range(m):
                memcpy(W_to + i * n, W_at + i * n, fixed * sizeof(real))
            pack(m, mp, k, n, W_to, V, A, sums)
            value = look(kl, kinds, m, k, n, blocks, &edges[0], &group[0], &X[0, 0], &ones[0, 0], V,
                         A, sums, H_at, H_to, &num[0, 0], &den[0, 0], den_size, part_num, part_den,
                         l, loss, rest)
            if not (value < previous * (1 - tol) and value > tol * tol * first):
                break
            values[t], previous, done = value, value, t + 1
            W_at, W_to = W_to, W_at
            H_free, H_at, H_to = H_at, H_to, H_free
    if done == 0:
        return 0, 0, 0, 0
    # H_free is the last that gained, H_at what follows
    return (done, (W_at - &W[0, 0, 0]) // (mp * n), (H_free - &H[0, 0, 0]) // (N * k),
            (H_at - &H[0, 0, 0]) // (N * k))
