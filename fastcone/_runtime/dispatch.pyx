# SPDX-License-Identifier: BSD-3-Clause
"""Chooses a SIMD level: asks the CPU once, loads that level's kernels, hands out their tables."""

import importlib
import importlib.util
import os

from cpython.pycapsule cimport PyCapsule_GetPointer

from fastcone._kernels import KERNELS

cdef extern from *:
    """
    #if (defined(__x86_64__) || defined(__amd64__)) && defined(__GNUC__)
    static int fc_cpu_level(void) {
        __builtin_cpu_init();
        if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
              && __builtin_cpu_supports("bmi2"))) return 0;
        if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
              && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
              && __builtin_cpu_supports("avx512vl"))) return 1;
        return 2;
    }
    #else
    static int fc_cpu_level(void) { return 0; }
    #endif
    """
    int fc_cpu_level() nogil
    const char* compiler "__VERSION__"

LEVELS = ("base", "v3", "v4")

_level = None


def cpu_levels():
    """The SIMD levels this CPU can run, lowest first."""
    return LEVELS[: fc_cpu_level() + 1]


def compiler_version():
    """The compiler that built this module."""
    return compiler.decode()


def _module(kernel, level):
    return f"fastcone._kernels.{kernel}_{level}"


def built_levels():
    """The SIMD levels this CPU can run and this installation holds, lowest first."""
    return tuple(
        level for level in cpu_levels()
        if all(importlib.util.find_spec(_module(kernel, level)) for kernel in KERNELS))


cdef const void* _table(str kernel, str level) except NULL:
    """The table of one kernel; its capsule bears the kernel's name."""
    module = importlib.import_module(_module(kernel, level))
    return PyCapsule_GetPointer(module.table, kernel.encode())


def use(level):
    """Load the kernels of one SIMD level and use them from now on; tests switch levels with it."""
    global product_table, scale_table, descent_table, report_table, support_table, active_set_table
    global householder_table, triangle_table, simplex_table, certificate_table, entries_table
    global kl_table, sparse_table, correction_table, columns_table, products_table, _level
    global kl_rows_table
    if level not in LEVELS:
        raise ValueError(f"level must be one of {LEVELS}, found {level!r}")
    if level not in built_levels():
        raise ValueError(f"level {level!r} is not available here: this CPU and this installation "
                         f"offer {built_levels()}")
    product_table = <const ProductTable*> _table("common.product", level)
    scale_table = <const ScaleTable*> _table("nnls.scale", level)
    descent_table = <const DescentTable*> _table("nnls.descent", level)
    report_table = <const ReportTable*> _table("nnls.report", level)
    columns_table = <const ColumnsTable*> _table("nnls.columns", level)
    correction_table = <const CorrectionTable*> _table("nnls.correction", level)
    support_table = <const SupportTable*> _table("nnls.support", level)
    active_set_table = <const ActiveSetTable*> _table("nnls.active_set", level)
    triangle_table = <const TriangleTable*> _table("nnls.triangle", level)
    householder_table = <const HouseholderTable*> _table("nnls.householder", level)
    simplex_table = <const SimplexTable*> _table("nnlad.simplex", level)
    certificate_table = <const CertificateTable*> _table("nnlad.certificate", level)
    products_table = <const ProductsTable*> _table("nmf.products", level)
    entries_table = <const EntriesTable*> _table("nmf.entries", level)
    kl_rows_table = <const KLRowsTable*> _table("nmf.kl_rows", level)
    kl_table = <const KLTable*> _table("nmf.kl", level)
    sparse_table = <const SparseTable*> _table("nmf.sparse", level)
    _level = level


def level():
    """The SIMD level in use."""
    return _level


cdef Py_ssize_t width(Py_ssize_t itemsize) noexcept nogil:
    """Generators per panel of the packed dictionary (see the product kernel)."""
    return 2 * product_table.bytes // itemsize


cdef Py_ssize_t lanes(Py_ssize_t itemsize) noexcept nogil:
    """Problems per tile, L, of numbers of this size."""
    return descent_table.vectors * product_table.bytes // itemsize


use(os.environ.get("FASTCONE_LEVEL") or max(built_levels(), key=LEVELS.index))
