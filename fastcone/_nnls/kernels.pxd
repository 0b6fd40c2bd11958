# SPDX-License-Identifier: BSD-3-Clause
"""What compiled code cimports of kernels.pyx: the work space of the exact kernels."""
cpdef Py_ssize_t active_set_work(Py_ssize_t m, Py_ssize_t n) noexcept nogil
cpdef Py_ssize_t householder_work(Py_ssize_t m, Py_ssize_t n) noexcept nogil
