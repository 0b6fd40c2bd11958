# SPDX-License-Identifier: BSD-3-Clause
"""The product of all solvers and the sizes that tell its layout, at the SIMD level in use.

Every function here and in the `kernels` of the solvers takes C-contiguous arrays of one dtype,
checks their shapes, drops the GIL and calls one kernel; the lengths and layouts are those of the
header comment of fastcone/_kernels/<solver>/<kernel>.pyx.
"""

from libc.math cimport sqrt
from libc.stdlib cimport getenv

cimport numpy as np
from libc.string cimport memcpy

from fastcone._kernels.common.lanes cimport real
from fastcone._kernels.common.panels cimport PRODUCT_CHUNK as TERMS
from fastcone._kernels.common.sums cimport dot
from fastcone._runtime.dispatch cimport lanes, product_table, width


np.import_array()

PRODUCT_CHUNK = TERMS               # terms of a partial sum of `product`


def address(np.ndarray array):
    """Where an array's numbers begin; array.ctypes.data takes ten times as long."""
    return <size_t> np.PyArray_DATA(array)


def environment(const char* name):
    """The value of an environment variable, "" where it is not set; os.environ takes 2 us."""
    cdef const char* value = getenv(name)
    return value.decode(errors="replace") if value != NULL else ""


def finite(np.ndarray array):
    """Whether no number is infinite or NaN; None for an array that is not float32 or float64 in
    one piece of memory, which is not looked at.
    """
    if not (np.PyArray_IS_C_CONTIGUOUS(array) or np.PyArray_IS_F_CONTIGUOUS(array)):
        return None
    if not np.PyArray_ISBEHAVED_RO(array):
        return None
    cdef Py_ssize_t size = np.PyArray_SIZE(array)
    if np.PyArray_TYPE(array) == np.NPY_DOUBLE:
        return all_finite(<const double*> np.PyArray_DATA(array), size)
    if np.PyArray_TYPE(array) == np.NPY_FLOAT:
        return all_finite(<const float*> np.PyArray_DATA(array), size)
    return None


cdef bint all_finite(const real* x, Py_ssize_t size) noexcept:
    cdef bint bad = False
    cdef Py_ssize_t i
    with nogil:
        for i in range(size):
            bad |= x[i] - x[i] != 0
    return not bad


def panel(dtype):
    """Generators per panel of the packed dictionary."""
    return width(dtype.itemsize)


def tile(dtype):
    """Problems per tile, L."""
    return lanes(dtype.itemsize)


def row_norms(const real[:, :] rows, double low, double high, real[::1] out):
    """out = norms of rows, whose numbers lie side by side; none depends on the others.

    -1 stands for a norm whose square is not between low and high; returns whether none is.
    """
    cdef Py_ssize_t m = rows.shape[1], r
    cdef real square
    cdef bint safe, all_safe = True
    assert out.shape[0] == rows.shape[0] and (m <= 1 or rows.strides[1] == sizeof(real))
    with nogil:
        for r in range(rows.shape[0]):
            square = dot[real](m, &rows[r, 0], &rows[r, 0]) if m else 0
            safe = low < square < high
            out[r] = sqrt(square) if safe else -1
            all_safe &= safe
    return all_safe


def pack(const real[:, :] A, real[:, :, ::1] panels):
    """panels [n / panel][m][panel] = the columns of A (m, n), the last panel filled with zeros."""
    cdef Py_ssize_t m = A.shape[0], n = A.shape[1], size = panels.shape[2], p, i, c, held
    cdef bint lined = A.strides[1] == sizeof(real)
    assert panels.shape[1] == m and panels.shape[0] * size >= n
    with nogil:
        for p in range(panels.shape[0]):
            held = min(size, n - p * size)
            for i in range(m):
                if lined and held > 0:
                    memcpy(&panels[p, i, 0], &A[i, p * size], held * sizeof(real))
                else:
                    for c in range(held):
                        panels[p, i, c] = A[i, p * size + c]
                for c in range(held, size):
                    panels[p, i, c] = 0


def product(const real[:, :, ::1] A, const real[:, :] B, real[:, ::1] C, real[::1] norm2):
    """C = B'A and norm2 = squared norms; A packed [panels][m][panel], B, C one problem a row.

    The rows of B may lie apart.
    """
    cdef Py_ssize_t m = A.shape[1], n = A.shape[0] * A.shape[2], p = B.shape[0]
    cdef Py_ssize_t ldb = B.strides[0] // <Py_ssize_t> sizeof(real)
    assert m <= 1 or B.strides[1] == sizeof(real)
    assert B.shape[1] == m and C.shape[0] == p and C.shape[1] == n and norm2.shape[0] == p
    if p == 0:
        return
    cdef const real* a = &A[0, 0, 0] if m and n else NULL
    cdef const real* b = &B[0, 0] if m else NULL
    with nogil:
        if real is float:
            product_table.f32(m, n, a, p, b, ldb, &C[0, 0], &norm2[0])
        else:
            product_table.f64(m, n, a, p, b, ldb, &C[0, 0], &norm2[0])
