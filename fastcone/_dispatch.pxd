# SPDX-License-Identifier: BSD-3-Clause
"""The tables of the level in use, for `fastcone.cy`."""

from fastcone._kernels.tables cimport (
    ActiveSetTable, KLTable, NMFTable, NNLADProofTable, NNLADTable, NNLSTable, PivotTable,
    ProductTable, SparseTable, UnitsTable,
)

cdef const ProductTable* _product
cdef const UnitsTable* _units
cdef const NNLSTable* _nnls
cdef const PivotTable* _pivot
cdef const ActiveSetTable* _active_set
cdef const NNLADTable* _nnlad
cdef const NNLADProofTable* _nnlad_proof
cdef const NMFTable* _nmf
cdef const KLTable* _kl
cdef const SparseTable* _sparse

cpdef Py_ssize_t active_set_work(Py_ssize_t m, Py_ssize_t n) noexcept nogil
cdef Py_ssize_t width(Py_ssize_t itemsize) noexcept nogil
