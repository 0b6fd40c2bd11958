# SPDX-License-Identifier: BSD-3-Clause
"""The model: a cone trained once, and projections onto it."""

from fastcone.cone.projection import Projection
from fastcone.cone.model import Cone

__all__ = ["Cone", "Projection"]
