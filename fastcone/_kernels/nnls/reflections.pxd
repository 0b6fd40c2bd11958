# SPDX-License-Identifier: BSD-3-Clause
"""Householder reflections of columns whose rows may be of any size.

A column is ld numbers, ld = m rounded up to a multiple of 8, padded with zeros and aligned.
"""

from libc.math cimport fabs, sqrt
from libc.string cimport memset

from fastcone._kernels.common.dense cimport axpy, dot, padded
from fastcone._kernels.nnls.qr_update cimport UNIT

cdef enum:
    NOISE = 4           # roundings of a row's size that a reflected entry of it may be off by


cdef inline double tail(Py_ssize_t k, Py_ssize_t ld, const double* a,
                        const double* b) noexcept nogil:
    """sum over i >= k of a_i b_i"""
    cdef Py_ssize_t i, whole = padded(k)
    cdef double total = 0
    for i in range(k, whole):
        total += a[i] * b[i]
    return total + dot(ld - whole, a + whole, b + whole)


cdef inline Py_ssize_t largest_row(Py_ssize_t k, Py_ssize_t m, const double* a) noexcept nogil:
    """The row from k on where |a| is largest."""
    cdef double part[8]
    cdef double most = 0, size
    cdef Py_ssize_t i, group, groups = (m - k) // 8
    cdef int q
    for q in range(8):
        part[q] = 0
    for group in range(groups):
        for q in range(8):
            size = fabs(a[k + 8 * group + q])
            part[q] = size if size > part[q] else part[q]
    for q in range(8):
        most = max(most, part[q])
    for i in range(k + 8 * groups, m):
        most = max(most, fabs(a[i]))
    for i in range(k, m):
        if fabs(a[i]) == most:
            return i
    return k


cdef inline void exchange(double* a, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """Two entries change places."""
    a[i], a[j] = a[j], a[i]


cdef inline double reflection(Py_ssize_t k, Py_ssize_t ld, double* a, double* pivot,
                              double* scale) noexcept nogil:
    """Of v with (1 - scale v v') a = (a_0, .., a_k-1, pivot, 0, ..): v_k; what follows is a's."""
    cdef double length = sqrt(tail(k, ld, a, a)), head
    pivot[0] = -length if a[k] > 0 else length
    head = a[k] - pivot[0]
    scale[0] = -1 / (pivot[0] * head)
    return head


cdef inline void reflect(Py_ssize_t k, Py_ssize_t ld, const double* v, double head, double scale,
                         double* a) noexcept nogil:
    """a <- (1 - scale v v') a; v_k is `head`"""
    cdef double s = scale * (head * a[k] + tail(k + 1, ld, v, a))
    cdef Py_ssize_t i, whole = padded(k + 1)
    a[k] -= s * head
    for i in range(k + 1, whole):
        a[i] -= s * v[i]
    axpy(ld - whole, -s, v + whole, a + whole)


cdef inline void grow(Py_ssize_t k, Py_ssize_t ld, const double* a,
                      double* row_size) noexcept nogil:
    """row_size_i = max(row_size_i, |a_i|) from row k on, before a is reflected away.

    What a reflection makes of a row that its column does not reach is no rounding of that row.
    """
    cdef Py_ssize_t i
    for i in range(k, ld):
        row_size[i] = fabs(a[i]) if fabs(a[i]) > row_size[i] else row_size[i]


cdef inline void flush(Py_ssize_t k, Py_ssize_t ld, const double* row_size,
                       double* a) noexcept nogil:
    """a_i <- 0 from row k on where k reflections cannot tell it from 0.

    What a second heavy row like the first leaves must not stand beside the light ones.
    """
    cdef double limit = NOISE * k * UNIT
    cdef Py_ssize_t i
    for i in range(k, ld):
        a[i] = 0 if fabs(a[i]) <= limit * row_size[i] else a[i]


cdef inline bint stands_out(Py_ssize_t k, Py_ssize_t ld, const double* a, const double* row_size,
                            double tolerance) noexcept nogil:
    """Whether an entry from row k on is more than the rounding of its row."""
    cdef double limit = tolerance * (k + 1) * UNIT
    cdef Py_ssize_t i
    for i in range(k, ld):
        if fabs(a[i]) > limit * row_size[i]:
            return True
    return False


cdef inline void rotate_rows(double* a, Py_ssize_t i, double c, double s) noexcept nogil:
    """Entries i and i + 1 of a column."""
    cdef double upper = a[i]
    a[i] = c * upper + s * a[i + 1]
    a[i + 1] = c * a[i + 1] - s * upper


cdef inline void rotate_sizes(double* size, Py_ssize_t i, double c, double s) noexcept nogil:
    """How large entries of two rotated rows may be: a heavy row gives a light one its share."""
    cdef double upper = size[i]
    size[i] = c * upper + s * size[i + 1]
    size[i + 1] = c * size[i + 1] + s * upper
