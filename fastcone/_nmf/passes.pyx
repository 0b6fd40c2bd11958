# SPDX-License-Identifier: BSD-3-Clause
"""Multiplicative passes over a block of samples, made of the kernels, SLAB samples by FEATURES.

Model, entries and their products with W follow one another while all of them are in cache, in one
compiled call. Every sum is in the order of its features, a sum for W in that of its samples.
"""

from libc.string cimport memcpy, memset

from fastcone._kernels.common.lanes cimport real
from fastcone._runtime.dispatch cimport entries_table, product_table, products_table

cdef enum:
    SLAB = 64           # samples
    FEATURES = 256      # as many as the entries' own pieces

ENTRIES = "square", "kl", "is", "beta"          # in the order of the table
STEPS = "root", "ratio", "power"

cdef Kinds kinds_of(str entry, double beta, str kind, double gamma) except *:
    """The numbers of a loss and a step, of exponents `beta` and `gamma`."""
    cdef Kinds kinds
    kinds.entry, kinds.step = ENTRIES.index(entry), STEPS.index(kind)
    kinds.beta, kinds.gamma = beta, gamma
    return kinds


cdef inline void add(Py_ssize_t m, Py_ssize_t lda, Py_ssize_t n, const real* A, Py_ssize_t p,
                     const real* B, Py_ssize_t ldb, real* C, Py_ssize_t ldc) noexcept nogil:
    if real is float:
        products_table.add_f32(m, lda, n, A, p, B, ldb, C, ldc)
    else:
        products_table.add_f64(m, lda, n, A, p, B, ldb, C, ldc)


cdef inline void outer(Py_ssize_t m, Py_ssize_t k, Py_ssize_t n, Py_ssize_t p, const real* B,
                       const real* H, real* C, real* work) noexcept nogil:
    if real is float:
        products_table.outer_f32(m, k, n, p, B, FEATURES, H, n, C, work)
    else:
        products_table.outer_f64(m, k, n, p, B, FEATURES, H, n, C, work)


cdef inline void entries(Kinds kinds, Py_ssize_t m, Py_ssize_t p, const real* X, Py_ssize_t ldx,
                         const real* weight, Py_ssize_t ldw, real least, real* P, real* Q,
                         real* loss) noexcept nogil:
    if real is float:
        entries_table.entries_f32[kinds.entry](m, p, X, ldx, Q, FEATURES, weight, ldw, least,
                                               kinds.beta, P, Q, loss)
    else:
        entries_table.entries_f64[kinds.entry](m, p, X, ldx, Q, FEATURES, weight, ldw, least,
                                               kinds.beta, P, Q, loss)


cdef void step(Kinds kinds, Py_ssize_t k, Py_ssize_t p, Py_ssize_t n, real* h, const real* num,
               const real* den, Py_ssize_t ldd, real l1, real l2, real floor) noexcept nogil:
    if real is float:
        entries_table.steps_f32[kinds.step](k, p, n, h, num, den, ldd, l1, l2, floor, kinds.gamma)
    else:
        entries_table.steps_f64[kinds.step](k, p, n, h, num, den, ldd, l1, l2, floor, kinds.gamma)


cdef inline void model(Py_ssize_t k, Py_ssize_t n, Py_ssize_t count, const real* V, Py_ssize_t p,
                       const real* h, real* Y) noexcept nogil:
    """Y = h V for `count` features, rounded up to whole vectors; h rows of n, Y of FEATURES"""
    cdef Py_ssize_t L = product_table.bytes // sizeof(real)
    memset(Y, 0, p * FEATURES * sizeof(real))
    add(k, k, (count + L - 1) // L * L, V, p, h, n, Y, FEATURES)


cdef void slab(Kinds kinds, Py_ssize_t m, Py_ssize_t k, Py_ssize_t n, Py_ssize_t p, const real* X,
               const real* weight, Py_ssize_t ldw, const real* V, const real* A, const real* H,
               real* Z, real* num_W, real* den_W, int stages, real l1, real l2, real floor,
               real least, real* loss, real* work) noexcept nogil:
    """The pass for p <= SLAB samples; see `look`"""
    cdef Py_ssize_t L = product_table.bytes // sizeof(real), chunk, c, count, r
    cdef Py_ssize_t chunks = (m + FEATURES - 1) // FEATURES
    cdef real* P = work
    cdef real* Q = P + SLAB * FEATURES
    cdef real* h = Q + SLAB * FEATURES
    cdef real* num = h + SLAB * n
    cdef real* den = num + SLAB * n
    cdef real* part = den + SLAB * n
    cdef real* rest = part + SLAB
    memset(loss, 0, p * sizeof(real))
    memset(h, 0, 3 * SLAB * n * sizeof(real))
    for r in range(p):
        memcpy(h + r * n, H + r * k, k * sizeof(real))
    for chunk in range(chunks):
        c = chunk * FEATURES
        count = min(<Py_ssize_t> FEATURES, m - c)
        model(k, n, count, V + c * k, p, h, Q)
        entries(kinds, count, p, X + c, m, weight + c, ldw, least, P, Q, part)
        for r in range(p):
            loss[r] += part[r]
        if stages > 0:
            add(count, m, n, A + c * L, p, P, FEATURES, num, n)
            add(count, m, n, A + c * L, p, Q, FEATURES, den, n)
    if stages == 0:
        return
    step(kinds, k, p, n, h, num, den, n, l1, l2, floor)
    for r in range(p):
        memcpy(Z + r * k, h + r * n, k * sizeof(real))
    if stages == 1:
        return
    for chunk in range(chunks):
        c = chunk * FEATURES
        count = min(<Py_ssize_t> FEATURES, m - c)
        model(k, n, count, V + c * k, p, h, Q)
        entries(kinds, count, p, X + c, m, weight + c, ldw, least, P, Q, <real*> NULL)
        outer(count, k, n, p, P, h, num_W + c * n, rest)
        outer(count, k, n, p, Q, h, den_W + c * n, rest)


cdef void slabs(Kinds kinds, Py_ssize_t m, Py_ssize_t k, Py_ssize_t n, Py_ssize_t p, const real* X,
                const real* weight, Py_ssize_t ldw, const real* V, const real* A, const real* H,
                real* Z, real* num_W, real* den_W, int stages, real l1, real l2, real floor,
                real least, real* loss, real* work) noexcept nogil:
    """The pass for any number of samples; see `look`"""
    cdef Py_ssize_t piece, s
    for piece in range((p + SLAB - 1) // SLAB):
        s = piece * SLAB
        slab(kinds, m, k, n, min(<Py_ssize_t> SLAB, p - s), X + s * m, weight + s * ldw, ldw, V, A,
             H + s * k, Z + s * k if stages > 0 else <real*> NULL, num_W, den_W, stages, l1, l2,
             floor, least, loss + s, work)


def total(const real[::1] values):
    """The sum of some numbers in float64, in order."""
    cdef double found = 0
    cdef Py_ssize_t i
    for i in range(values.shape[0]):
        found += values[i]
    return found


def add_rows(const real[:, ::1] H, real[::1] sums):
    """sums_j += sum_r H_rj, in order"""
    cdef real found
    cdef Py_ssize_t r, j
    assert H.shape[1] <= sums.shape[0]
    for j in range(H.shape[1]):
        found = 0
        for r in range(H.shape[0]):
            found = found + H[r, j]
        sums[j] += found


def look(str entry, double beta, str kind, double gamma, const real[:, ::1] X,
         const real[:, ::1] weight, const real[:, :, ::1] V, const real[:, :, ::1] A,
         const real[:, ::1] H, real[:, ::1] Z, real[:, ::1] num, real[:, ::1] den, int stages,
         real l1, real l2, real floor, real least, real[::1] loss, real[::1] work):
    """The losses of a block at H; stages > 0: Z = the step on H; stages > 1: the sums at Z added.

    X (p, m), weight (p, >= m) or (1, >= m), V = W' and A = W packed [panels][rows][vector], H and
    Z (p, k), of which Z may be H; num and den (>= m, n). `entry` is the loss, of exponent `beta`,
    `kind` the step, of exponent `gamma`: the heads of the kernels tell what they compute.
    """
    cdef Py_ssize_t p = X.shape[0], m = X.shape[1], k = H.shape[1], n = A.shape[0] * A.shape[2]
    cdef Py_ssize_t vector = product_table.bytes // sizeof(real), ldw = weight.shape[1]
    cdef Kinds kinds = kinds_of(entry, beta, kind, gamma)
    cdef real* for_num = NULL
    cdef real* for_den = NULL
    assert V.shape[2] == vector and A.shape[2] == vector and A.shape[1] == m and k <= n
    assert V.shape[0] * vector >= m and V.shape[1] == k and m <= ldw
    assert weight.shape[0] in (1, p) and H.shape[0] == p and loss.shape[0] == p
    assert stages == 0 or (Z.shape[0] == p and Z.shape[1] == k)
    assert work.shape[0] >= look_work(n, sizeof(real))
    if stages > 1:
        assert num.shape[0] >= m and num.shape[1] == n and den.shape[0] >= m and den.shape[1] == n
        for_num, for_den = &num[0, 0], &den[0, 0]
    if p == 0:
        return
    if weight.shape[0] == 1:
        ldw = 0
    with nogil:
        slabs(kinds, m, k, n, p, &X[0, 0], &weight[0, 0], ldw, &V[0, 0, 0], &A[0, 0, 0], &H[0, 0],
              &Z[0, 0] if stages > 0 else <real*> NULL, for_num, for_den, stages, l1, l2, floor,
              least, &loss[0], &work[0])


cpdef Py_ssize_t look_work(Py_ssize_t n, Py_ssize_t itemsize):
    """Numbers of work space `look` needs for n padded columns."""
    return (SLAB * (2 * FEATURES + 3 * n + 1)
            + products_table.outer_work(n, product_table.bytes // itemsize))
