# SPDX-License-Identifier: BSD-3-Clause
"""The Kullback-Leibler divergence of one entry, in arithmetic that vectorises over entries.

Logarithm  x / y = 2^e (1 + q), 1 + q in [sqrt(1/2), sqrt(2)), s = q / (2 + q),
           log = e log 2 + 2 (s + s^3 / 3 + s^5 / 5 + ...); for e = 0 the loss is arranged as
           y (s q + 2 (x / y) s (s^2 / 3 + ...)): no cancellation where the fit is good
"""
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastcone._kernels.common.lanes cimport real

cdef enum:
    TERMS32 = 5         # of the logarithm's series beyond the first: 0.1716^12 / 13 < 2^-31
    TERMS64 = 10        # 0.1716^22 / 23 < 2^-60
    ONE32 = 0x3F800000              # the words of 1.0, and 1.0 less sqrt(1/2) as words
    ROOT32 = 0x3F800000 - 0x3F3504F3

cdef extern from *:
    """
    #define FC_ONE64 0x3FF0000000000000ULL
    #define FC_ROOT64 (0x3FF0000000000000ULL - 0x3FE6A09E667F3BCDULL)
    #define FC_LOG2 0.6931471805599453
    """
    const uint64_t ONE64 "FC_ONE64"
    const uint64_t ROOT64 "FC_ROOT64"
    const double LOG2 "FC_LOG2"


cdef inline real odd_series(real s2) noexcept nogil:
    """s^2 / 3 + s^4 / 5 + s^6 / 7 + ..."""
    cdef real total = 0
    cdef int i
    if real is float:
        for i in range(TERMS32, 0, -1):
            total = s2 * (total + <float> 1 / (2 * i + 1))
    else:
        for i in range(TERMS64, 0, -1):
            total = s2 * (total + <double> 1 / (2 * i + 1))
    return total


cdef inline real log_parts(real f, real* e) noexcept nogil:
    """q and e with  f = 2^e (1 + q),  1 + q in [sqrt(1/2), sqrt(2))"""
    cdef real q, one = 1
    cdef uint32_t bits32, exponent32
    cdef uint64_t bits64, exponent64
    # ROOT moves the step of the exponent from 1 down to sqrt(1/2)
    if real is float:
        memcpy(&bits32, &f, sizeof(f))
        exponent32 = (bits32 + ROOT32) >> 23
        bits32 = bits32 - (exponent32 << 23) + ONE32
        memcpy(&q, &bits32, sizeof(q))
        e[0] = <float> (<int32_t> exponent32 - 127)
    else:
        memcpy(&bits64, &f, sizeof(f))
        exponent64 = (bits64 + ROOT64) >> 52
        bits64 = bits64 - (exponent64 << 52) + ONE64
        memcpy(&q, &bits64, sizeof(q))
        e[0] = <double> (<int32_t> exponent64 - 1023)
    return q - one


cdef inline real kl_entry(real f, real y) noexcept nogil:
    """y (f log f - f + 1) = x log(x / y) - x + y for f = x / y."""
    cdef real e, q = log_parts(f, &e), s = q / (q + 2), tail, one = 1, two = 2, log2 = LOG2
    tail = two * f * s * odd_series(s * s)
    if e == 0:
        return y * (s * q + tail)
    return y * (f * (e * log2 + two * s) - f + one + tail)
