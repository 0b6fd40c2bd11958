# SPDX-License-Identifier: BSD-3-Clause
"""The door to the kernels of sparse training, at the level `fastcone._dispatch` has chosen."""

from libc.stdint cimport int32_t

from fastcone cimport _dispatch
from fastcone._kernels.lanes cimport real


def product(const Py_ssize_t[::1] start, const int32_t[::1] index, const real[::1] x,
            Py_ssize_t n, const real[:, ::1] A, real[:, ::1] C):
    """C_r = sum of x_t A[index_t] over the entries of row r; A and C rows of ld >= n."""
    cdef Py_ssize_t p = start.shape[0] - 1, ld = A.shape[1]
    assert C.shape[0] == p and C.shape[1] == ld and n <= ld
    assert ld * <Py_ssize_t> sizeof(real) % _dispatch._product.bytes == 0
    assert index.shape[0] == x.shape[0] >= start[p]
    if p == 0 or n == 0 or x.shape[0] == 0:
        C[:, :] = 0
        return
    with nogil:
        if real is float:
            _dispatch._sparse.product_f32(p, &start[0], &index[0], &x[0], n, ld,
                                          &A[0, 0], &C[0, 0])
        else:
            _dispatch._sparse.product_f64(p, &start[0], &index[0], &x[0], n, ld,
                                          &A[0, 0], &C[0, 0])


def kl(const Py_ssize_t[::1] start, const int32_t[::1] index, const real[::1] x,
       Py_ssize_t n, const real[:, ::1] A, const real[:, ::1] H, real least,
       real[:, ::1] C, double[::1] loss):
    """C_r = sum of x_t / y_t A[index_t], y_t = A[index_t]'H_r; loss_r = sum x log(x / y) - x."""
    cdef Py_ssize_t p = start.shape[0] - 1, ld = A.shape[1]
    cdef double* value = NULL
    assert C.shape[0] == p and C.shape[1] == ld and n <= ld
    assert ld * <Py_ssize_t> sizeof(real) % _dispatch._product.bytes == 0
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
            _dispatch._sparse.kl_f32(p, &start[0], &index[0], &x[0], n, ld, &A[0, 0],
                                     &H[0, 0], least, &C[0, 0], value)
        else:
            _dispatch._sparse.kl_f64(p, &start[0], &index[0], &x[0], n, ld, &A[0, 0],
                                     &H[0, 0], least, &C[0, 0], value)
