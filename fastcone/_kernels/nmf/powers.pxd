# SPDX-License-Identifier: BSD-3-Clause
"""Powers of one positive number, in float64 arithmetic that vectorises over entries.

Logarithm    x = 2^e (1 + q), 1 + q in [sqrt(1/2), sqrt(2)); log (1 + q) as in kl_entry.pxd
Exponential  z + e g log 2 = n log 2 + r, |r| <= log(2) / 2: 2^n times the series of exp(r); the
             product g e is kept with its rounding error, so a power of any size is right to a few
             roundings
"""
from libc.math cimport fma, rint
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from fastcone._kernels.nmf.kl_entry cimport LOG2, ONE64, ROOT64, odd_series

cdef enum:
    EXP_TERMS = 14          # 0.3466^15 / 15! < 2^-62
    MOST = 2100             # binary orders of magnitude: beyond, all is 0 or infinite

cdef extern from *:
    """
    #define FC_LEAST 2.2250738585072014e-308
    #define FC_LOG2E 1.4426950408889634
    #define FC_LOG2_HIGH 0x1.62e42fefa38p-1
    #define FC_LOG2_LOW 0x1.ef35793c7673p-45
    """
    const double LEAST "FC_LEAST"             # normal number
    const double LOG2E "FC_LOG2E"
    const double LOG2_HIGH "FC_LOG2_HIGH"     # 32 of its binary digits are zero
    const double LOG2_LOW "FC_LOG2_LOW"


cdef inline double split_log(double x, double* e) noexcept nogil:
    """log of x / 2^e, which is in [sqrt(1/2), sqrt(2)); x > 0 and normal"""
    cdef uint64_t bits, exponent
    cdef double q, s
    memcpy(&bits, &x, sizeof(x))
    exponent = (bits + ROOT64) >> 52
    bits = bits - (exponent << 52) + ONE64
    memcpy(&q, &bits, sizeof(q))
    e[0] = <double> (<int64_t> exponent - 1023)
    q = q - 1
    s = q / (2 + q)
    return 2 * (s + s * odd_series[double](s * s))


cdef inline double two_to(double n) noexcept nogil:
    """2^n, n an integer within -1022 .. 1023"""
    cdef uint64_t bits = (<uint64_t> (<int64_t> n + 1023)) << 52
    cdef double value
    memcpy(&value, &bits, sizeof(value))
    return value


cdef inline double exp_parts(double g, double e, double z, double* n) noexcept nogil:
    """exp(r) - 1 with  g e log 2 + z = n log 2 + r"""
    cdef double whole = g * e, low = fma(g, e, -whole), near = rint(whole), r, k, total = 0
    cdef int i
    r = ((whole - near) + low) * LOG2 + z
    k = rint(r * LOG2E)
    r = (r - k * LOG2_HIGH) - k * LOG2_LOW
    for i in range(EXP_TERMS, 0, -1):
        total = r * (total + 1) * (<double> 1 / i)
    n[0] = near + k
    return total


cdef inline double scaled(double x, double n) noexcept nogil:
    """2^n x"""
    cdef double half
    n = n if n < MOST else MOST
    n = n if n > -MOST else -MOST
    half = rint(n / 4)
    x = x * two_to(half) * two_to(half)
    return x * two_to(half) * two_to(n - 3 * half)


cdef inline double power(double x, double g) noexcept nogil:
    """x^g; x > 0 and normal"""
    cdef double e, n, part = split_log(x, &e), t = exp_parts(g, e, g * part, &n)
    return scaled(1 + t, n)
