# SPDX-License-Identifier: BSD-3-Clause
"""Checked bindings of the kernels in fastcone/_kernels/nmf."""

from libc.stdint cimport int32_t

from fastcone._kernels.common.lanes cimport real
from fastcone._runtime.dispatch cimport (
    entries_table, kl_table, product_table, sparse_table, width,
)

ENTRIES = ("square", "kl", "is", "beta")   # in the order of the table


def outer(const real[:, ::1] B, const real[:, ::1] H, real[:, ::1] C, real[::1] work):
    """C += B'H, the sum over the samples of a block; B (p, m), H (p, n), C (m, n)."""
    cdef Py_ssize_t p = B.shape[0], m = B.shape[1], n = H.shape[1], rows = entries_table.rows
    cdef Py_ssize_t L = width(sizeof(real))
    assert H.shape[0] == p and C.shape[0] >= m and C.shape[1] == n and n % L == 0
    assert work.shape[0] >= p * (n + rows) + 2 * rows * L
    if p == 0 or m == 0 or n == 0:
        return
    with nogil:
        if real is float:
            entries_table.outer_f32(m, n, p, &B[0, 0], m, &H[0, 0], &C[0, 0], &work[0])
        else:
            entries_table.outer_f64(m, n, p, &B[0, 0], m, &H[0, 0], &C[0, 0], &work[0])


def outer_work(Py_ssize_t p, Py_ssize_t n, dtype):
    """Numbers of work space `outer` needs."""
    return p * (n + entries_table.rows) + 2 * entries_table.rows * width(dtype.itemsize)


def entries(str loss, const real[:, ::1] X, const real[:, ::1] Y, const real[:, ::1] weight,
            real least, double beta, real[:, ::1] P, real[:, ::1] Q, real[::1] value):
    """The entries of a loss: value_r, and P, Q (which may be Y): see the kernel's head.

    X (p, m), Y, P, Q (p, ld >= m), weight (p, >= m), or (1, >= m) for one row that serves all.
    """
    cdef Py_ssize_t p = X.shape[0], m = X.shape[1], ldy = Y.shape[1], ldw = weight.shape[1]
    assert Y.shape[0] == p and m <= ldy and Q.shape[0] == p and Q.shape[1] == ldy
    assert P.shape[0] == p and P.shape[1] == ldy
    assert value.shape[0] == p and m <= ldw and weight.shape[0] in (1, p)
    if p == 0 or m == 0:
        value[:] = 0
        return
    if weight.shape[0] == 1:
        ldw = 0
    cdef int which = ENTRIES.index(loss)
    with nogil:
        if real is float:
            entries_table.entries_f32[which](m, p, &X[0, 0], m, &Y[0, 0], ldy, &weight[0, 0], ldw,
                                             least, beta, &P[0, 0], &Q[0, 0], &value[0])
        else:
            entries_table.entries_f64[which](m, p, &X[0, 0], m, &Y[0, 0], ldy, &weight[0, 0], ldw,
                                             least, beta, &P[0, 0], &Q[0, 0], &value[0])


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
    assert n % width(sizeof(real)) == 0
    assert den.shape[0] == n and loss.shape[0] == p
    assert stages < 2 or (C.shape[0] >= m and C.shape[1] == n)
    assert work.shape[0] >= kl_work(m, n, sizeof(real)) and index.shape[0] >= m + entries_table.rows
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
    return (2 * m + 2 * n + 2 * entries_table.rows) * width(itemsize) + n + m


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
