# SPDX-License-Identifier: BSD-3-Clause
"""Checked bindings of the kernels in fastcone/_kernels/nmf."""

from libc.stdint cimport int32_t
from libc.string cimport memset

from fastcone._kernels.common.lanes cimport real
from fastcone._runtime.dispatch cimport (
    entries_table, kl_rows_table, kl_table, product_table, products_table, sparse_table, width,
)

ENTRIES = ("square", "kl", "is", "beta")   # in the order of the table


cdef inline Py_ssize_t vector_of(Py_ssize_t itemsize) noexcept nogil:
    return product_table.bytes // itemsize


def vector(dtype):
    """Numbers per panel of `times`: one lane vector."""
    return vector_of(dtype.itemsize)


cpdef Py_ssize_t unit(Py_ssize_t itemsize):
    """What the padded rank is a multiple of: whole lane vectors, and register blocks of `kl`."""
    return max(<Py_ssize_t> kl_table.rows, vector_of(itemsize))


cdef inline bint lined(Py_ssize_t count, Py_ssize_t stride, Py_ssize_t itemsize) noexcept:
    """Whether the numbers of a row lie side by side."""
    return count <= 1 or stride == itemsize


def times(const real[:, :, ::1] A, const real[:, :] B, real[:, ::1] C):
    """C = B A; A packed [panels][m][vector], the rows of B may lie apart."""
    cdef Py_ssize_t m = A.shape[1], n = A.shape[0] * A.shape[2], p = B.shape[0]
    cdef Py_ssize_t ldb = B.strides[0] // <Py_ssize_t> sizeof(real)
    assert lined(m, B.strides[1], sizeof(real)) and A.shape[2] == vector_of(sizeof(real))
    assert B.shape[1] == m and C.shape[0] == p and C.shape[1] == n
    if p == 0 or m == 0:
        C[:, :] = 0
        return
    with nogil:
        if real is float:
            products_table.times_f32(m, n, &A[0, 0, 0], p, &B[0, 0], ldb, &C[0, 0])
        else:
            products_table.times_f64(m, n, &A[0, 0, 0], p, &B[0, 0], ldb, &C[0, 0])


def outer(const real[:, :] B, const real[:, :] H, real[:, ::1] C, real[::1] work):
    """C += B'H, the sum over the samples of a block; B (p, m), H (p, k), C (>= m, n >= k)."""
    cdef Py_ssize_t p = B.shape[0], m = B.shape[1], k = H.shape[1], n = C.shape[1]
    cdef Py_ssize_t ldb = B.strides[0] // <Py_ssize_t> sizeof(real)
    cdef Py_ssize_t ldh = H.strides[0] // <Py_ssize_t> sizeof(real)
    assert lined(m, B.strides[1], sizeof(real)) and lined(k, H.strides[1], sizeof(real))
    assert H.shape[0] == p and C.shape[0] >= m and k <= n
    assert n * <Py_ssize_t> sizeof(real) % product_table.bytes == 0
    assert work.shape[0] >= outer_work(n, sizeof(real))
    if p == 0 or m == 0 or k == 0:
        return
    with nogil:
        if real is float:
            products_table.outer_f32(m, k, n, p, &B[0, 0], ldb, &H[0, 0], ldh, &C[0, 0], &work[0])
        else:
            products_table.outer_f64(m, k, n, p, &B[0, 0], ldb, &H[0, 0], ldh, &C[0, 0], &work[0])


cpdef Py_ssize_t outer_work(Py_ssize_t n, Py_ssize_t itemsize):
    """Numbers of work space `outer` needs for sums of n columns."""
    return products_table.outer_work(n, vector_of(itemsize))


def multiply(const real[:, ::1] C, const real[:, :, ::1] G, const real[:, :] F, real[:, :] Z,
             Py_ssize_t fixed, real l1, real l2, real floor, real[:, ::1] GG, real[::1] work):
    """Z = one multiplicative step on F, whose products are C and Gram matrix G; returns <C, Z>.

    C (p, n), G packed [panels][k][vector], F and Z (p, k) with rows that may lie apart, Z may be
    F; Z'Z is added to GG (>= k, n).
    """
    cdef Py_ssize_t p = C.shape[0], n = C.shape[1], k = G.shape[1]
    cdef Py_ssize_t ldf = F.strides[0] // <Py_ssize_t> sizeof(real)
    cdef Py_ssize_t ldz = Z.strides[0] // <Py_ssize_t> sizeof(real)
    cdef double total = 0
    assert lined(k, F.strides[1], sizeof(real)) and lined(k, Z.strides[1], sizeof(real))
    assert F.shape[0] == p and Z.shape[0] == p and F.shape[1] == k and Z.shape[1] == k
    assert G.shape[0] * G.shape[2] == n and G.shape[2] == vector_of(sizeof(real))
    assert GG.shape[0] >= k and GG.shape[1] == n and 0 <= fixed <= k
    assert work.shape[0] >= multiply_work(n, sizeof(real))
    if p == 0 or k == 0:
        return 0.0
    with nogil:
        if real is float:
            total = products_table.multiply_f32(
                k, n, p, &C[0, 0], &G[0, 0, 0], &F[0, 0], ldf, &Z[0, 0], ldz, fixed, l1, l2, floor,
                &GG[0, 0], &work[0])
        else:
            total = products_table.multiply_f64(
                k, n, p, &C[0, 0], &G[0, 0, 0], &F[0, 0], ldf, &Z[0, 0], ldz, fixed, l1, l2, floor,
                &GG[0, 0], &work[0])
    return total


def mu_samples(const real[:, ::1] X, const real[:, :, ::1] A, const real[:, :, ::1] G,
               const real[:, ::1] F, real[:, ::1] Z, real l1, real l2, real floor,
               real[:, ::1] GG, real[:, ::1] sums, real[:, ::1] C, real[::1] work):
    """`times`, `multiply` and, unless `sums` is None, `outer` of one block of samples in a row.

    X (p, m), A = W and G packed, F and Z (p, k), C (p, n) for the products; returns <C, Z>.
    """
    cdef Py_ssize_t p = X.shape[0], m = X.shape[1], k = G.shape[1], n = A.shape[0] * A.shape[2]
    cdef double total = 0
    cdef real* into = NULL
    assert A.shape[2] == vector_of(sizeof(real)) and G.shape[2] == A.shape[2] and k <= n
    assert A.shape[1] == m and G.shape[0] == A.shape[0] and C.shape[0] == p and C.shape[1] == n
    assert F.shape[0] == p and Z.shape[0] == p and F.shape[1] == k and Z.shape[1] == k
    assert GG.shape[0] >= k and GG.shape[1] == n and work.shape[0] >= multiply_work(n, sizeof(real))
    if sums is not None:
        assert sums.shape[0] >= m and sums.shape[1] == n
        into = &sums[0, 0]
    if p == 0 or m == 0 or k == 0:
        return 0.0
    with nogil:
        if real is float:
            products_table.times_f32(m, n, &A[0, 0, 0], p, &X[0, 0], m, &C[0, 0])
            total = products_table.multiply_f32(k, n, p, &C[0, 0], &G[0, 0, 0], &F[0, 0], k,
                                                &Z[0, 0], k, 0, l1, l2, floor, &GG[0, 0], &work[0])
            if into != NULL:
                products_table.outer_f32(m, k, n, p, &X[0, 0], m, &Z[0, 0], k, into, &work[0])
        else:
            products_table.times_f64(m, n, &A[0, 0, 0], p, &X[0, 0], m, &C[0, 0])
            total = products_table.multiply_f64(k, n, p, &C[0, 0], &G[0, 0, 0], &F[0, 0], k,
                                                &Z[0, 0], k, 0, l1, l2, floor, &GG[0, 0], &work[0])
            if into != NULL:
                products_table.outer_f64(m, k, n, p, &X[0, 0], m, &Z[0, 0], k, into, &work[0])
    return total


def outer_groups(const real[:, :] B, const real[:, :] H, const Py_ssize_t[::1] edges,
                 real[:, ::1] C, real[:, ::1] part, real[::1] work):
    """C = the sum over groups g, in order, of B_g'H_g, rows edges[g] to edges[g + 1]; part as C."""
    cdef Py_ssize_t m = B.shape[1], k = H.shape[1], n = C.shape[1], g, i, first, count
    cdef Py_ssize_t ldb = B.strides[0] // <Py_ssize_t> sizeof(real)
    cdef Py_ssize_t ldh = H.strides[0] // <Py_ssize_t> sizeof(real)
    cdef real* sums
    assert lined(m, B.strides[1], sizeof(real)) and lined(k, H.strides[1], sizeof(real))
    assert edges[0] == 0 and edges[edges.shape[0] - 1] == B.shape[0] == H.shape[0]
    assert C.shape[0] == m and k <= n and n % unit(sizeof(real)) == 0
    assert part.shape[0] == m and part.shape[1] == n
    assert work.shape[0] >= outer_work(n, sizeof(real))
    with nogil:
        for g in range(edges.shape[0] - 1):
            sums = &part[0, 0] if g else &C[0, 0]
            first, count = edges[g], edges[g + 1] - edges[g]
            memset(sums, 0, m * n * sizeof(real))
            if real is float:
                products_table.outer_f32(m, k, n, count, &B[first, 0], ldb, &H[first, 0], ldh, sums,
                                         &work[0])
            else:
                products_table.outer_f64(m, k, n, count, &B[first, 0], ldb, &H[first, 0], ldh, sums,
                                         &work[0])
            if g:
                for i in range(m * n):
                    (&C[0, 0])[i] += sums[i]


cpdef Py_ssize_t multiply_work(Py_ssize_t n, Py_ssize_t itemsize):
    """Numbers of work space `multiply` needs for n padded columns."""
    return outer_work(n, itemsize) + products_table.terms * n


def entries(str loss, const real[:, ::1] X, const real[:, ::1] Y, const real[:, ::1] weight,
            real least, double beta, real[:, ::1] P, real[:, ::1] Q, real[::1] value):
    """The entries of a loss: P, Q (which may be Y) and, unless None, value_r: the kernel's head.

    X (p, m), Y, P, Q (p, ld >= m), weight (p, >= m), or (1, >= m) for one row that serves all.
    """
    cdef Py_ssize_t p = X.shape[0], m = X.shape[1], ldy = Y.shape[1], ldw = weight.shape[1]
    assert Y.shape[0] == p and m <= ldy and Q.shape[0] == p and Q.shape[1] == ldy
    assert P.shape[0] == p and P.shape[1] == ldy
    assert (value is None or value.shape[0] == p) and m <= ldw and weight.shape[0] in (1, p)
    if p == 0 or m == 0:
        if value is not None:
            value[:] = 0
        return
    if weight.shape[0] == 1:
        ldw = 0
    cdef int which = ENTRIES.index(loss)
    cdef real* sums = NULL if value is None else &value[0]
    with nogil:
        if real is float:
            entries_table.entries_f32[which](m, p, &X[0, 0], m, &Y[0, 0], ldy, &weight[0, 0], ldw,
                                             least, beta, &P[0, 0], &Q[0, 0], sums)
        else:
            entries_table.entries_f64[which](m, p, &X[0, 0], m, &Y[0, 0], ldy, &weight[0, 0], ldw,
                                             least, beta, &P[0, 0], &Q[0, 0], sums)


def mu(str kind, Py_ssize_t n, real[:, ::1] H, const real[:, ::1] num,
       const real[:, ::1] den, real l1, real l2, real floor, double gamma=1):
    """One multiplicative step on the first n entries of every row of H; den (p, ld) or (1, ld)."""
    cdef Py_ssize_t p = H.shape[0], ld = H.shape[1], ldd = ld if den.shape[0] == p else 0
    assert n <= ld and num.shape[0] == p and num.shape[1] == ld
    assert den.shape[0] in (1, p) and den.shape[1] == ld
    if p == 0 or n == 0:
        return
    cdef int which = ("root", "ratio", "power").index(kind)
    with nogil:
        if real is float:
            entries_table.steps_f32[which](n, p, ld, &H[0, 0], &num[0, 0], &den[0, 0], ldd, l1, l2,
                                           floor, gamma)
        else:
            entries_table.steps_f64[which](n, p, ld, &H[0, 0], &num[0, 0], &den[0, 0], ldd, l1, l2,
                                           floor, gamma)


def kl(Py_ssize_t k, const real[:, ::1] X, const real[:, ::1] W, const real[::1] den,
       real[:, ::1] H, real[:, ::1] C, int stages, real l1, real l2, real floor, real least,
       real[::1] loss, real[::1] work, Py_ssize_t[::1] index):
    """The losses of a block at H; stages > 0: H stepped; stages > 1: its sums added to C."""
    cdef Py_ssize_t p = X.shape[0], m = X.shape[1], n = W.shape[1]
    assert H.shape[0] == p and H.shape[1] == n and W.shape[0] >= m and k <= n
    assert n % unit(sizeof(real)) == 0
    assert den.shape[0] == n and loss.shape[0] == p
    assert stages < 2 or (C.shape[0] >= m and C.shape[1] == n)
    assert work.shape[0] >= kl_work(m, n, sizeof(real)) and index.shape[0] >= m + kl_table.rows
    if p == 0 or m == 0 or n == 0:
        loss[:] = 0
        return
    cdef real* sums = &C[0, 0] if stages > 1 else NULL
    with nogil:
        if real is float:
            kl_table.f32(m, n, k, p, &X[0, 0], &W[0, 0], &den[0], &H[0, 0], sums, stages, l1, l2,
                         floor, least, &loss[0], &work[0], &index[0])
        else:
            kl_table.f64(m, n, k, p, &X[0, 0], &W[0, 0], &den[0], &H[0, 0], sums, stages, l1, l2,
                         floor, least, &loss[0], &work[0], &index[0])


cpdef Py_ssize_t kl_work(Py_ssize_t m, Py_ssize_t n, Py_ssize_t itemsize):
    """Numbers of work space `kl` needs; its index needs m + 8."""
    return (2 * m + 3 * n + kl_table.rows + kl_table.tile) * width(itemsize) + n + m


def kl_rows(const real[:, ::1] X, const real[:, :, ::1] V, const real[:, :, ::1] A,
            const real[::1] den, const real[:, ::1] H, real[:, ::1] Z, real[:, ::1] C, int stages,
            real l1, real l2, real floor, real least, real[::1] loss, real[::1] work):
    """The losses of a block at H; stages > 0: Z = the step on H; stages > 1: its sums added to C.

    V = W' and A = W packed [panels][rows][vector], H and Z (p, k).
    """
    cdef Py_ssize_t p = X.shape[0], m = X.shape[1], k = H.shape[1], n = A.shape[0] * A.shape[2]
    assert V.shape[2] == vector_of(sizeof(real)) and A.shape[2] == V.shape[2]
    assert V.shape[0] * V.shape[2] >= m and V.shape[1] == k and A.shape[1] == m and k <= n
    assert den.shape[0] >= k and H.shape[0] == p and Z.shape[0] == p and Z.shape[1] == k
    assert stages < 2 or (C.shape[0] >= m and C.shape[1] == n)
    assert loss.shape[0] == p and work.shape[0] >= kl_rows_work(n, sizeof(real))
    if p == 0 or m == 0 or k == 0:
        loss[:] = 0
        return
    cdef real* sums = &C[0, 0] if stages > 1 else NULL
    with nogil:
        if real is float:
            kl_rows_table.f32(m, k, n, p, &X[0, 0], &V[0, 0, 0], &A[0, 0, 0], &den[0], &H[0, 0],
                              &Z[0, 0], sums, stages, l1, l2, floor, least, &loss[0], &work[0])
        else:
            kl_rows_table.f64(m, k, n, p, &X[0, 0], &V[0, 0, 0], &A[0, 0, 0], &den[0], &H[0, 0],
                              &Z[0, 0], sums, stages, l1, l2, floor, least, &loss[0], &work[0])


cpdef Py_ssize_t kl_rows_work(Py_ssize_t n, Py_ssize_t itemsize):
    """Numbers of work space `kl_rows` needs for n padded columns."""
    return kl_rows_table.work(n, vector_of(itemsize))


def sparse_product(const Py_ssize_t[::1] start, const int32_t[::1] index, const real[::1] x,
                   Py_ssize_t n, const real[:, ::1] A, real[:, ::1] C):
    """C_r = sum of x_t A[index_t] over the entries of row r; A and C rows of ld >= n."""
    cdef Py_ssize_t p = start.shape[0] - 1, ld = A.shape[1]
    assert C.shape[0] == p and C.shape[1] == ld and n <= ld
    assert ld * <Py_ssize_t> sizeof(real) % product_table.bytes == 0
    assert index.shape[0] == x.shape[0] >= start[p]
    if p == 0 or n == 0 or x.shape[0] == 0:
        C[:, :] = 0
        return
    with nogil:
        if real is float:
            sparse_table.product_f32(p, &start[0], &index[0], &x[0], n, ld, &A[0, 0], &C[0, 0])
        else:
            sparse_table.product_f64(p, &start[0], &index[0], &x[0], n, ld, &A[0, 0], &C[0, 0])


def sparse_kl(const Py_ssize_t[::1] start, const int32_t[::1] index, const real[::1] x,
              Py_ssize_t n, const real[:, ::1] A, const real[:, ::1] H, real least,
              real[:, ::1] C, double[::1] loss):
    """C_r = sum of x_t / y_t A[index_t], y_t = A[index_t]'H_r; loss_r = sum x log(x / y) - x."""
    cdef Py_ssize_t p = start.shape[0] - 1, ld = A.shape[1]
    cdef double* value = NULL
    assert C.shape[0] == p and C.shape[1] == ld and n <= ld
    assert ld * <Py_ssize_t> sizeof(real) % product_table.bytes == 0
    assert H.shape[0] == p and H.shape[1] == ld and index.shape[0] == x.shape[0] >= start[p]
    assert loss is None or loss.shape[0] == p
    if p == 0 or n == 0 or x.shape[0] == 0:
        C[:, :] = 0
        if loss is not None:
            loss[:] = 0
        return
    if loss is not None:
        value = &loss[0]
    with nogil:
        if real is float:
            sparse_table.kl_f32(p, &start[0], &index[0], &x[0], n, ld, &A[0, 0], &H[0, 0], least,
                                &C[0, 0], value)
        else:
            sparse_table.kl_f64(p, &start[0], &index[0], &x[0], n, ld, &A[0, 0], &H[0, 0], least,
                                &C[0, 0], value)


def sparse_models(const Py_ssize_t[::1] start, const int32_t[::1] index, Py_ssize_t n,
                  const real[:, ::1] A, const real[:, ::1] H, real[::1] y):
    """y_t = A[index_t]'H_r over the entries of every row r."""
    cdef Py_ssize_t p = start.shape[0] - 1, ld = A.shape[1]
    assert H.shape[0] == p and H.shape[1] == ld and n <= ld
    assert ld * <Py_ssize_t> sizeof(real) % product_table.bytes == 0
    assert index.shape[0] >= start[p] and y.shape[0] >= start[p] - start[0]
    if p == 0 or n == 0 or start[p] == start[0]:
        return
    with nogil:
        if real is float:
            sparse_table.models_f32(p, &start[0], &index[0], n, ld, &A[0, 0], &H[0, 0], &y[0])
        else:
            sparse_table.models_f64(p, &start[0], &index[0], n, ld, &A[0, 0], &H[0, 0], &y[0])


def sparse_cd(const Py_ssize_t[::1] start, const int32_t[::1] index, const real[::1] x,
              Py_ssize_t n, const real[:, ::1] A, real[:, ::1] H, Py_ssize_t fixed, int epochs,
              real l1, real l2, real[::1] work):
    """Epochs of descent on sum_t (x_t - A[index_t]'h)^2 / 2 + penalties from and to every H_r."""
    cdef Py_ssize_t p = start.shape[0] - 1, ld = A.shape[1]
    assert H.shape[0] == p and H.shape[1] == ld and 0 <= fixed < n <= ld
    assert ld * <Py_ssize_t> sizeof(real) % product_table.bytes == 0
    assert index.shape[0] == x.shape[0] >= start[p]
    assert work.shape[0] >= sparse_cd_work(start, n, ld, sizeof(real))
    if p == 0:
        return
    if x.shape[0] == 0:
        H[:, fixed:n] = 0
        return
    with nogil:
        if real is float:
            sparse_table.cd_f32(p, &start[0], &index[0], &x[0], n, ld, &A[0, 0], &H[0, 0], fixed,
                                epochs, l1, l2, &work[0])
        else:
            sparse_table.cd_f64(p, &start[0], &index[0], &x[0], n, ld, &A[0, 0], &H[0, 0], fixed,
                                epochs, l1, l2, &work[0])


cpdef Py_ssize_t sparse_cd_work(const Py_ssize_t[::1] start, Py_ssize_t n, Py_ssize_t ld,
                                Py_ssize_t itemsize):
    """Numbers of work space `sparse_cd` needs for these rows."""
    cdef Py_ssize_t longest = 0, panel = 2 * width(itemsize), r
    for r in range(start.shape[0] - 1):
        longest = max(longest, start[r + 1] - start[r])
    return ld + (n + 1) * ((longest + panel - 1) // panel * panel)
