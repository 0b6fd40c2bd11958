# SPDX-License-Identifier: BSD-3-Clause
"""The multiplicative steps of one coefficient, in arithmetic that vectorises over coefficients."""

from libc.math cimport sqrt, sqrtf

from fastcone._kernels.common.lanes cimport real


cdef inline real kl_step(real h, real num, real den, real l1, real l2, real floor) noexcept nogil:
    """max(floor, the root z of (den + l1) z + l2 z^2 = h num), floor where den + l1 = l2 = 0"""
    # z = 2 b / (a + sqrt(a^2 + 4 l2 b)),  a = den + l1,  b = h num
    cdef real b = h * num, below = den + l1, to, four = 4, half = 0.5
    if real is float:
        below = half * (below + sqrtf(below * below + four * l2 * b))
    else:
        below = half * (below + sqrt(below * below + four * l2 * b))
    to = b / below if below > 0 else 0
    return to if to > floor else floor
