# SPDX-License-Identifier: BSD-3-Clause
"""The pass over a block, for the loops over iterations that call it (`turns.pyx`)."""

from fastcone._kernels.common.lanes cimport real

cdef struct Kinds:
    int entry
    int step
    double beta
    double gamma

cdef Kinds kinds_of(str entry, double beta, str kind, double gamma) except *

cdef void step(Kinds kinds, Py_ssize_t k, Py_ssize_t p, Py_ssize_t n, real* h, const real* num,
               const real* den, Py_ssize_t ldd, real l1, real l2, real floor) noexcept nogil

cdef void slabs(Kinds kinds, Py_ssize_t m, Py_ssize_t k, Py_ssize_t n, Py_ssize_t p, const real* X,
                const real* weight, Py_ssize_t ldw, const real* V, const real* A, const real* H,
                real* Z, real* num_W, real* den_W, int stages, real l1, real l2, real floor,
                real least, real* loss, real* work) noexcept nogil

cpdef Py_ssize_t look_work(Py_ssize_t n, Py_ssize_t itemsize)
