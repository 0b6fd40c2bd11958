# SPDX-License-Identifier: BSD-3-Clause
"""Forward operators: how a signal became the data that were measured.

Every operator is a linear map ``y = A u`` from a signal ``u`` of `size_in` entries to data ``y`` of
`size_out` entries. A dictionary ``W`` seen through it is ``A W`` (`Operator.apply_to`), so one cone
serves every inverse problem:

    h* = argmin_{h >= 0} ||A W h - v||,        u* = W h*.

Signals and data are rows (one sample per row), images are flattened in C order. An operator with
negative entries is allowed: the problem in ``h`` stays a non-negative least squares problem, only
the generators ``A W`` have signs (semi-NNLS). Operators never change after they are built.
"""

from fastcone.operators.base import Operator
from fastcone.operators.maps import Blur, Compose, Dense, Downsample, Mask, Sensing, Warp

__all__ = ["Blur", "Compose", "Dense", "Downsample", "Mask", "Operator", "Sensing", "Warp"]
