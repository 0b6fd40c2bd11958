# SPDX-License-Identifier: BSD-3-Clause
"""The kernels' tables of the level in use."""

from fastcone._kernels.common.tables cimport (
    ActiveSetTable, CertificateTable, ColumnsTable, CorrectionTable, DescentTable, EntriesTable,
    HouseholderTable, KLRowsTable, KLTable, ProductsTable, ProductTable, ReportTable, ScaleTable,
    SimplexTable, SparseTable, SupportTable, TriangleTable,
)

cdef const ProductTable* product_table
cdef const ScaleTable* scale_table
cdef const DescentTable* descent_table
cdef const ReportTable* report_table
cdef const CorrectionTable* correction_table
cdef const SupportTable* support_table
cdef const ColumnsTable* columns_table
cdef const ActiveSetTable* active_set_table
cdef const TriangleTable* triangle_table
cdef const HouseholderTable* householder_table
cdef const SimplexTable* simplex_table
cdef const CertificateTable* certificate_table
cdef const ProductsTable* products_table
cdef const EntriesTable* entries_table
cdef const KLRowsTable* kl_rows_table
cdef const KLTable* kl_table
cdef const SparseTable* sparse_table

cdef Py_ssize_t width(Py_ssize_t itemsize) noexcept nogil
cdef Py_ssize_t lanes(Py_ssize_t itemsize) noexcept nogil
