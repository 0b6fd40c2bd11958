# SPDX-License-Identifier: BSD-3-Clause
"""Compiled kernels, a folder for each solver; one module per kernel and SIMD level.

`fastcone._runtime.dispatch` loads one level. setup.py reads this list too.
"""

KERNELS = (
    "common.product",
    "nnls.scale",
    "nnls.descent",
    "nnls.report",
    "nnls.correction",
    "nnls.support",
    "nnls.columns",
    "nnls.active_set",
    "nnls.triangle",
    "nnls.householder",
    "nnlad.simplex",
    "nnlad.certificate",
    "nmf.products",
    "nmf.entries",
    "nmf.kl",
    "nmf.kl_rows",
    "nmf.sparse",
)
