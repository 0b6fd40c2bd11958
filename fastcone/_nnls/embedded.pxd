# SPDX-License-Identifier: BSD-3-Clause
"""What fastcone.cy cimports: prepared generators on raw pointers; see embedded.pyx."""

cdef const void* cone(object projector) except NULL
cdef Py_ssize_t cone_work(const void* cone, Py_ssize_t p) noexcept nogil
cdef Py_ssize_t cone_solve(const void* cone, Py_ssize_t p, const double* B, Py_ssize_t ldb,
                           const double* l1, double* X, double* gap, void* work) noexcept nogil
cdef Py_ssize_t cone_solve_bounded(const void* cone, Py_ssize_t p, const double* B,
                                   Py_ssize_t ldb, const double* l1, const double* upper,
                                   const double* total, double* X, double* gap,
                                   void* work) noexcept nogil
