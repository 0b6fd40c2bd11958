# SPDX-License-Identifier: BSD-3-Clause
"""The public cimport surface: plain C functions on raw pointers.

No Python, no allocation, no exceptions; the caller owns every array. Functions are added here,
never changed: Cython checks their signatures when an embedding module is imported. Each call goes
through the table of the SIMD level in use.

nnls    minimise ||A x - b||_2 over x >= 0, exactly
    m, n        rows and generators, >= 0
    A           n generators of m numbers, contiguous (Fortran order); read only
    b           m; read only
    x           n, written: >= 0, exactly 0 off the support
    rnorm       ||A x - b||_2, written; not a number if A or b holds NaN or infinity
    max_steps   limit of the entries tried; 3 n is usual
    work        nnls_work(m, n) doubles, no meaning on entry or return
    index       nnls_index(m, n) integers, likewise
    returns     the steps used, or -1 - steps if max_steps came first (x is then feasible)
"""

cdef Py_ssize_t nnls_work(Py_ssize_t m, Py_ssize_t n) noexcept nogil
cdef Py_ssize_t nnls_index(Py_ssize_t m, Py_ssize_t n) noexcept nogil
cdef Py_ssize_t nnls(Py_ssize_t m, Py_ssize_t n, const double* A, const double* b, double* x,
                     double* rnorm, Py_ssize_t max_steps, double* work,
                     Py_ssize_t* index) noexcept nogil
