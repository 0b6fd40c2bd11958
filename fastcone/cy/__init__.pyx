# SPDX-License-Identifier: BSD-3-Clause
"""The functions that __init__.pxd promises, forwarded to fastcone._nnls.single."""
from fastcone._nnls cimport single


cdef Py_ssize_t nnls_work(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    return single.nnls_work(m, n)


cdef Py_ssize_t nnls_index(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    return single.nnls_index(m, n)


cdef Py_ssize_t nnls(Py_ssize_t m, Py_ssize_t n, const double* A, const double* b, double* x,
                     double* rnorm, Py_ssize_t max_steps, double* work,
                     Py_ssize_t* index) noexcept nogil:
    return single.nnls(m, n, A, b, x, rnorm, max_steps, work, index)
