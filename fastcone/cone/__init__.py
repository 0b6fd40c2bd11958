# SPDX-License-Identifier: BSD-3-Clause
"""The model: a cone trained once, and projections onto it."""

from fastcone.cone.model import Cone
from fastcone.cone.prior import Prior
from fastcone.cone.projection import Projection

__all__ = ["Cone", "Prior", "Projection"]
