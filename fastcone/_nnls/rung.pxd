# SPDX-License-Identifier: BSD-3-Clause
"""What embedded.pyx cimports of the first rung; see rung.pyx."""
from fastcone._nnls.rung_memory cimport Prepared


cdef class Rung:
    cdef Prepared q
    cdef list arrays        # what q points to

    cdef const void* keep(self, array)
    cdef const double* wide(self, array)
    cdef const float* narrow(self, array)


cdef Py_ssize_t solve_block(const Prepared* q, Py_ssize_t p, const double* B, Py_ssize_t ldb,
                            const double* l1, double tol, double* X, double* known,
                            Py_ssize_t* epochs, char* memory) noexcept nogil
