# SPDX-License-Identifier: BSD-3-Clause

cdef Py_ssize_t nnls_work(Py_ssize_t m, Py_ssize_t n) noexcept nogil
cdef Py_ssize_t nnls_index(Py_ssize_t m, Py_ssize_t n) noexcept nogil
cdef Py_ssize_t nnls(Py_ssize_t m, Py_ssize_t n, const double* A, const double* b, double* x,
                     double* rnorm, Py_ssize_t max_steps, double* work,
                     Py_ssize_t* index) noexcept nogil
