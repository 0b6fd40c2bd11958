# SPDX-License-Identifier: BSD-3-Clause
"""Compression: the coefficients of the projection, quantised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from fastcone._runtime.rows import row_norms
from fastcone._runtime.scaling import may_underflow
from fastcone._runtime.validation import integer
from fastcone.cone import Cone
from fastcone.tasks._restore import Array, check_cone


@dataclass(frozen=True, eq=False)
class Compressed:
    """Quantised coefficients; for one sample ``v`` or a cube, N stands for its leading axes.

    Attributes
    ----------
    codes : ndarray of uint8 or uint16, shape (N, d)
        ``h_j ||w_j||_2 / scale``, rounded.
    scale : ndarray, shape (N,)
        Step of each sample, in the units of the signal.
    """

    codes: Array
    scale: Array

    @property
    def nbytes(self) -> int:
        """Bytes of the codes and the scales; the cone is shared by all samples and not counted."""
        return int(self.codes.nbytes + self.scale.nbytes)

    @may_underflow
    def decompress(self, cone: Cone) -> Array:
        """Return the signals.

        Parameters
        ----------
        cone : Cone
            The cone the samples were compressed with.

        Returns
        -------
        ndarray, shape (N, m) or (m,)
            In the dtype of the compressed samples.

        Raises
        ------
        ValueError, TypeError
            Not a cone, or one of another rank.

        Examples
        --------
        See `compress`.
        """
        rank = check_cone("cone", cone).W.shape[1]
        if self.codes.shape[-1] != rank:
            raise ValueError(f"cone must have rank {self.codes.shape[-1]}, found {rank}")
        weighted = self.codes * np.asarray(self.scale)[..., None]
        norms = _column_norms(cone, weighted.dtype)
        return cone.decode(np.divide(weighted, norms, out=np.zeros_like(weighted), where=norms > 0))


@may_underflow
def compress(
    V: npt.ArrayLike, cone: Cone, *, bits: Literal[8, 16] = 8, l1: float = 0.0
) -> Compressed:
    """Store each sample as `bits` bits per generator and one scale.

        code_j = round(h_j ||w_j||_2 / scale),        scale = max_j h_j ||w_j||_2 / (2^bits - 1)

    Rounding moves the signal by at most ``d scale / 2`` in the 2-norm. The codes do not depend on
    the lengths of the generators.

    Parameters
    ----------
    V : array_like, shape (N, m), (m,) or (..., m), or sparse matrix, shape (N, m)
        Samples as rows. float32 samples have scales of 4 bytes, others of 8.
    cone : Cone
        Needed again for `Compressed.decompress`.
    bits : {8, 16}
        Bits per coefficient.
    l1 : float
        Weight of the sum of the coefficients, >= 0; more codes are then 0.

    Returns
    -------
    Compressed

    Raises
    ------
    ValueError, TypeError
        An argument of the wrong kind, shape or range.

    Examples
    --------
    >>> from fastcone import Cone
    >>> from fastcone.tasks import compress
    >>> cone = Cone([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> packed = compress([51.0, 25.4, 3.0], cone)
    >>> packed.codes, packed.nbytes
    (array([255, 127], dtype=uint8), 10)
    >>> packed.decompress(cone)
    array([51. , 25.4,  0. ])
    """
    check_cone("cone", cone)
    if integer("bits", bits, minimum=8) not in (8, 16):
        raise ValueError(f"bits must be 8 or 16, found {bits!r}")
    coef = cone.encode(V, l1=l1)
    weighted = coef * _column_norms(cone, coef.dtype)
    levels = 2**bits - 1
    scale = np.asarray(weighted.max(axis=-1) / levels)[..., None]
    codes = np.divide(weighted, scale, out=np.zeros_like(weighted), where=scale > 0)
    dtype = np.uint8 if bits == 8 else np.uint16
    return Compressed(np.minimum(np.rint(codes), levels).astype(dtype), scale[..., 0])


def _column_norms(cone: Cone, dtype: npt.DTypeLike) -> Array:
    return row_norms(cone.W.T, "l2").astype(dtype)
