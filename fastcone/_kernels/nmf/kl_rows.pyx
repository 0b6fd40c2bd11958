# SPDX-License-Identifier: BSD-3-Clause
# Multiplicative steps for the Kullback-Leibler divergence of samples that have few zeros: the same
# as kl.pyx, its lanes turned by a right angle.
#
#     loss   sum_i x_i log(x_i / y_i) - x_i + y_i,    y = W h, at least `least`
#     num_j  sum_i W_ij x_i / y_i,                    z_j = the step of `kl_step` on h_j
#     C_ij   += sum over samples of z_j x_i / y_i     with the new z
#
# Lanes      features: samples are read as they lie, where kl.pyx turns each tile of them round and
#            gains the features that are zero in all of its samples
# Order      every sum in the order of its features, TERMS to a partial sum, a C_ij in the order of
#            its samples; a sample's step does not depend on its neighbours
# Cost       2 m n flops per sample and product, two products for the step and two more for the
#            sums; beside them about 40 per entry for the loss and two divisions
# Memory     SLAB samples by FEATURES at a time: model, ratios and what they meet stay in L2
# Reference  Lee, Seung, NIPS 2000
#
#   L        BYTES / sizeof(real);  n is a multiple of L, k <= n
#   X        p rows of m, >= 0; read only
#   V        panels [.. / L][k][L] of W', at least m columns, 64-byte aligned; read only
#   A        panels [n / L][m][L] of W, likewise
#   den      k: the column sums of W; read only
#   H, Z     p rows of k, row stride k; H read only, Z written if `stages` > 0, may be H
#   l1, l2, floor  of the step, see kl_step
#   C        m x n, 64-byte aligned, added to if `stages` > 1, else not touched
#   stages   0: loss alone; 1: and the step on H; 2: and the sums C
#   least    > 0, so small that X / least is finite
#   loss     p, written: of H
#   work     SLAB (FEATURES + n) + outer_work(n, L) of products.pxd, 64-byte aligned, no meaning on
#            entry or return
# Allocates nothing. Returns 0.
from cpython.pycapsule cimport PyCapsule_New
from libc.string cimport memcpy, memset

from fastcone._kernels.common.lanes cimport BYTES, real
from fastcone._kernels.common.tables cimport KLRowsTable
from fastcone._kernels.nmf.kl_entry cimport kl_entry
from fastcone._kernels.nmf.mu_step cimport kl_step
from fastcone._kernels.nmf.products cimport add_outer, add_times, outer_work

cdef enum:
    SLAB = 64           # samples
    FEATURES = 256      # a multiple of every L, and of the TERMS of a partial sum
    PARTS = 16          # partial sums of a loss


cdef inline void model(Py_ssize_t k, Py_ssize_t count, const real* V, Py_ssize_t p, const real* H,
                       real* Y) noexcept nogil:
    """Y = H V for `count` features, rounded up to whole vectors; rows of FEATURES"""
    cdef Py_ssize_t L = BYTES // sizeof(real)
    memset(Y, 0, p * FEATURES * sizeof(real))
    add_times(k, k, (count + L - 1) // L * L, V, p, H, k, Y, FEATURES)


cdef inline real ratios(Py_ssize_t count, const real* x, real least, real* y) noexcept nogil:
    """y <- x / y; returns the sum of the losses"""
    cdef real part[PARTS]
    cdef real f[PARTS]
    cdef real at, total = 0
    cdef Py_ssize_t _block, i
    cdef int q
    memset(part, 0, sizeof(part))
    for _block in range(count // PARTS):
        for q in range(PARTS):
            at = y[q] if y[q] > least else least
            f[q] = x[q] / at
            part[q] += kl_entry(f[q], at)
        memcpy(y, f, sizeof(f))
        x, y = x + PARTS, y + PARTS
    for i in range(count % PARTS):
        at = y[i] if y[i] > least else least
        y[i] = x[i] / at
        part[0] += kl_entry(y[i], at)
    for q in range(PARTS):
        total += part[q]
    return total


cdef inline void ratios_alone(Py_ssize_t count, const real* x, real least,
                              real* y) noexcept nogil:
    """y <- x / y"""
    cdef Py_ssize_t i
    for i in range(count):
        y[i] = x[i] / (y[i] if y[i] > least else least)


cdef inline void stepped(Py_ssize_t k, Py_ssize_t n, const real* H, const real* num,
                         const real* den, real l1, real l2, real floor, Py_ssize_t p,
                         real* Z) noexcept nogil:
    """Z <- the step on H"""
    cdef Py_ssize_t r, j
    for r in range(p):
        for j in range(k):
            Z[r * k + j] = kl_step[real](H[r * k + j], num[r * n + j], den[j], l1, l2, floor)


cdef int kl_rows(Py_ssize_t m, Py_ssize_t k, Py_ssize_t n, Py_ssize_t p, const real* X,
                 const real* V, const real* A, const real* den, const real* H, real* Z, real* C,
                 int stages, real l1, real l2, real floor, real least, real* loss,
                 real* work) noexcept nogil:
    cdef Py_ssize_t L = BYTES // sizeof(real), slab, s, here, chunk, c, count, r
    cdef Py_ssize_t chunks = (m + FEATURES - 1) // FEATURES
    cdef real* Y = work
    cdef real* num = Y + SLAB * FEATURES
    cdef real* rest = num + SLAB * n
    for slab in range((p + SLAB - 1) // SLAB):
        s = slab * SLAB
        here = min(<Py_ssize_t> SLAB, p - s)
        memset(loss + s, 0, here * sizeof(real))
        memset(num, 0, here * n * sizeof(real))
        for chunk in range(chunks):
            c = chunk * FEATURES
            count = min(<Py_ssize_t> FEATURES, m - c)
            model(k, count, V + c * k, here, H + s * k, Y)
            for r in range(here):
                loss[s + r] += ratios(count, X + (s + r) * m + c, least, Y + r * FEATURES)
            if stages > 0:
                add_times(count, m, n, A + c * L, here, Y, FEATURES, num, n)
        if stages == 0:
            continue
        stepped(k, n, H + s * k, num, den, l1, l2, floor, here, Z + s * k)
        if stages == 1:
            continue
        for chunk in range(chunks):
            c = chunk * FEATURES
            count = min(<Py_ssize_t> FEATURES, m - c)
            model(k, count, V + c * k, here, Z + s * k, Y)
            for r in range(here):
                ratios_alone(count, X + (s + r) * m + c, least, Y + r * FEATURES)
            add_outer(count, k, n, here, Y, FEATURES, Z + s * k, k, C + c * n, rest)
    return 0


cdef Py_ssize_t work_size(Py_ssize_t n, Py_ssize_t L) noexcept nogil:
    return SLAB * (FEATURES + n) + outer_work(n, L)


cdef KLRowsTable TABLE
TABLE.f32 = kl_rows[float]
TABLE.f64 = kl_rows[double]
TABLE.work = work_size
table = PyCapsule_New(&TABLE, "nmf.kl_rows", NULL)
