# SPDX-License-Identifier: BSD-3-Clause
"""Tasks: each is one projection onto trained cones, or two.

Samples are rows. `cones` is one `fastcone.Cone` or a dict ``{label: Cone}`` of cones with the same
number of rows; a restoration then uses, for each sample, the cone that lies nearest to it.
"""

from fastcone.tasks._restore import Restoration
from fastcone.tasks.audit import Audit, audit
from fastcone.tasks.augment import augment, shifts
from fastcone.tasks.class_cones import class_cones
from fastcone.tasks.classify import Classification, classify
from fastcone.tasks.cluster import Clustering, cluster
from fastcone.tasks.compress import Compressed, compress
from fastcone.tasks.curve import Curve
from fastcone.tasks.deblur import deblur
from fastcone.tasks.denoise import denoise
from fastcone.tasks.detect import detect
from fastcone.tasks.features import features
from fastcone.tasks.inpaint import inpaint
from fastcone.tasks.local import LocalCones
from fastcone.tasks.patches import in_patches, patches
from fastcone.tasks.sample import interpolate, sample
from fastcone.tasks.self_train import SelfTraining, self_train
from fastcone.tasks.sense import sense
from fastcone.tasks.separate import Separation, separate
from fastcone.tasks.super_resolve import super_resolve

__all__ = [
    "Audit",
    "Classification",
    "Clustering",
    "Compressed",
    "Curve",
    "LocalCones",
    "Restoration",
    "SelfTraining",
    "Separation",
    "audit",
    "augment",
    "class_cones",
    "classify",
    "cluster",
    "compress",
    "deblur",
    "denoise",
    "detect",
    "features",
    "in_patches",
    "inpaint",
    "interpolate",
    "patches",
    "sample",
    "self_train",
    "sense",
    "separate",
    "shifts",
    "super_resolve",
]
