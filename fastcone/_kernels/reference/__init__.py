# SPDX-License-Identifier: BSD-3-Clause
"""Plain NumPy twins of the kernels, one file per folder of kernels: the executable specification.

Slow and obvious. Only tests import them.
"""

from fastcone._kernels.reference.common import product
from fastcone._kernels.reference.nmf import (
    nmf_cd,
    nmf_entries,
    nmf_mu,
    nmf_mu_iteration,
    nmf_objective,
    nmf_outer,
    sparse_cd,
    sparse_kl,
)
from fastcone._kernels.reference.nnlad import nnlad, nnlad_proof
from fastcone._kernels.reference.nnls import (
    active_set,
    nnls_bounded,
    nnls_cd,
    nnls_report,
    nnls_support,
    units_in,
)

__all__ = [
    "active_set",
    "nmf_cd",
    "nmf_entries",
    "nmf_mu",
    "nmf_mu_iteration",
    "nmf_objective",
    "nmf_outer",
    "nnlad",
    "nnlad_proof",
    "nnls_bounded",
    "nnls_cd",
    "nnls_report",
    "nnls_support",
    "product",
    "sparse_cd",
    "sparse_kl",
    "units_in",
]
