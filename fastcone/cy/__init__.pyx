# SPDX-License-Identifier: BSD-3-Clause
"""The functions that __init__.pxd promises, forwarded to fastcone._nnls.single."""
from fastcone._nnls cimport embedded, single


cdef Py_ssize_t nnls_work(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    return single.nnls_work(m, n)


cdef Py_ssize_t nnls_index(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    return single.nnls_index(m, n)


cdef Py_ssize_t nnls(Py_ssize_t m, Py_ssize_t n, const double* A, const double* b, double* x,
                     double* rnorm, Py_ssize_t max_steps, double* work,
                     Py_ssize_t* index) noexcept nogil:
    return single.nnls(m, n, A, b, x, rnorm, max_steps, work, index)


cdef const void* cone(object projector) except NULL:
    return embedded.cone(projector)


cdef Py_ssize_t cone_work(const void* cone, Py_ssize_t p) noexcept nogil:
    return embedded.cone_work(cone, p)


cdef Py_ssize_t cone_solve(const void* cone, Py_ssize_t p, const double* B, Py_ssize_t ldb,
                           const double* l1, double* X, double* gap, void* work) noexcept nogil:
    return embedded.cone_solve(cone, p, B, ldb, l1, X, gap, work)


cdef Py_ssize_t cone_solve_bounded(const void* cone, Py_ssize_t p, const double* B,
                                   Py_ssize_t ldb, const double* l1, const double* upper,
                                   const double* total, double* X, double* gap,
                                   void* work) noexcept nogil:
    return embedded.cone_solve_bounded(cone, p, B, ldb, l1, upper, total, X, gap, work)
