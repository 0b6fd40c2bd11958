# SPDX-License-Identifier: BSD-3-Clause
"""What fastcone.cy and stack.pyx cimport: one problem on raw pointers; see single.pyx."""

cdef Py_ssize_t nnls_work(Py_ssize_t m, Py_ssize_t n) noexcept nogil
cdef Py_ssize_t nnls_index(Py_ssize_t m, Py_ssize_t n) noexcept nogil
cdef Py_ssize_t nnls(Py_ssize_t m, Py_ssize_t n, const double* A, const double* b, double* x,
                     double* rnorm, Py_ssize_t max_steps, double* work,
                     Py_ssize_t* index) noexcept nogil
cdef Py_ssize_t nnls_strided(Py_ssize_t m, Py_ssize_t n, const double* A, Py_ssize_t row_stride,
                             Py_ssize_t column_stride, const double* b, Py_ssize_t b_stride,
                             double* x, double* rnorm, Py_ssize_t max_steps, double* work,
                             Py_ssize_t* index) noexcept nogil
