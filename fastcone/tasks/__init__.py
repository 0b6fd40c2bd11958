# SPDX-License-Identifier: BSD-3-Clause
"""Tasks: each is one projection onto trained cones, or two.

Samples are rows. `cones` is one `fastcone.Cone` or a dict ``{label: Cone}`` of cones with the same
number of rows; a restoration then uses, for each sample, the cone that lies nearest to it.
"""

from fastcone.tasks._restore import Restoration
from fastcone.tasks.classify import Classification, classify
from fastcone.tasks.compress import Compressed, compress
from fastcone.tasks.curve import Curve
from fastcone.tasks.deblur import deblur
from fastcone.tasks.denoise import denoise
from fastcone.tasks.detect import detect
from fastcone.tasks.inpaint import inpaint
from fastcone.tasks.separate import Separation, separate
from fastcone.tasks.super_resolve import super_resolve

__all__ = [
    "Classification",
    "Compressed",
    "Curve",
    "Restoration",
    "Separation",
    "classify",
    "compress",
    "deblur",
    "denoise",
    "detect",
    "inpaint",
    "separate",
    "super_resolve",
]
