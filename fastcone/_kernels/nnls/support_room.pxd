# SPDX-License-Identifier: BSD-3-Clause
"""The work space of support.pyx, for the kernel and for those who call it."""


cdef inline Py_ssize_t row_of(Py_ssize_t n) noexcept nogil:
    """Numbers of a row of W: whole pairs of the widest vectors."""
    return (n + 15) // 16 * 16


cdef inline Py_ssize_t support_room(Py_ssize_t n) noexcept nogil:
    """Numbers of the work space, at any address."""
    return (2 * n + 11) * row_of(n) + 7
